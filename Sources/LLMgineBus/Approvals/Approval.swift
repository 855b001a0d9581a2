public import LLMgineCore

public import struct FoundationEssentials.Date

/// Names an approval, unique over the lives of a node.
public struct ApprovalID: Sendable, Hashable, Codable, CustomStringConvertible {
    /// `node/incarnation/a<number>`.
    public let text: String
    /// Wraps a text.
    public init(_ text: String) { self.text = text }
    /// The text.
    public var description: String { text }
    /// The node that it waits on; nil for text that is no such name.
    package var node: NodeID? {
        let parts = text.split(separator: "/")
        return parts.count == 3 ? try? NodeID(String(parts[0])) : nil
    }
}

/// Where an approval stands.
public enum ApprovalStatus: String, Sendable, Hashable, Codable, CaseIterable {
    /// Nobody has decided.
    case pending
    /// It may be done.
    case approved
    /// It must not be done.
    case denied
    /// Nobody decided in time: it must not be done.
    case expired
}

/// What became of an approval.
public struct ApprovalResult: Payload, Codable, Hashable {
    /// The approval.
    public var id: ApprovalID
    /// Approved, denied or expired.
    public var status: ApprovalStatus
    /// Who decided, as they say; empty if nobody did.
    public var decidedBy: String
    /// What they said about it.
    public var note: String

    /// An outcome.
    public init(id: ApprovalID, status: ApprovalStatus, decidedBy: String = "", note: String = "") {
        self.id = id
        self.status = status
        self.decidedBy = decidedBy
        self.note = note
    }

    /// Whether it may be done.
    public var isApproved: Bool { status == .approved }
}

/// A command that somebody has to allow first, with everything that is needed to go on in another life of the process.
public struct Approval: Sendable, Identifiable {
    /// Its name: what to decide it by.
    public let id: ApprovalID
    /// Who is asked.
    public let approver: String
    /// What is asked, for a person.
    public let summary: String
    /// The command, encoded.
    public let request: Message
    /// When it was asked.
    public let requested: Date
    /// When it counts as expired; nil for never.
    public let expires: Date?
    /// The events that are published when it is approved, denied or expired.
    public let callbacks: [ApprovalStatus: Message]
    /// What became of it, once that is known and until it is announced.
    public var outcome: ApprovalResult?

    /// Puts one together, as a store does.
    public init(
        id: ApprovalID, approver: String, summary: String, request: Message, requested: Date, expires: Date?,
        callbacks: [ApprovalStatus: Message], outcome: ApprovalResult? = nil
    ) {
        self.id = id
        self.approver = approver
        self.summary = summary
        self.request = request
        self.requested = requested
        self.expires = expires
        self.callbacks = callbacks
        self.outcome = outcome
    }

    /// The session that the command belongs to.
    public var session: SessionID { request.session }

    /// The command. - Throws: `badPayload` if it is of another type.
    public func command<C: Command>(as type: C.Type = C.self) throws(LLMgineError) -> C {
        guard request.eventType == C.commandType else {
            throw LLMgineError(.badPayload, "the command is a \(request.eventType ?? "message") and no \(C.commandType)")
        }
        do { return try C(decoding: request.payload) } catch {
            throw LLMgineError(.badPayload, "the payload is not a \(C.commandType)", cause: error)
        }
    }
}

/// How an approval is asked for.
public struct ApprovalOptions: Sendable {
    /// How long there is to decide. Default one day; nil for ever.
    public var expiresAfter: Duration?
    /// What is asked, for a person. Default: the type of the command.
    public var summary: String?
    /// Published when it is approved. Default: nothing but the ``ApprovalAcceptedEvent``.
    public var onApproval: (any Event)?
    /// Published when it is denied. Default: nothing but the ``ApprovalDeniedEvent``.
    public var onDenial: (any Event)?
    /// Published when nobody decides in time. Default: nothing but the ``ApprovalExpiredEvent``.
    public var onExpiry: (any Event)?
    /// The session that the command belongs to. Default: none.
    public var session: SessionID
    /// What travels beside it. Default: nothing.
    public var headers: Headers

    /// Options with the documented defaults.
    public init(
        expiresAfter: Duration? = .seconds(86_400), summary: String? = nil, onApproval: (any Event)? = nil, onDenial: (any Event)? = nil,
        onExpiry: (any Event)? = nil, session: SessionID = .bus, headers: Headers = Headers()
    ) {
        self.expiresAfter = expiresAfter
        self.summary = summary
        self.onApproval = onApproval
        self.onDenial = onDenial
        self.onExpiry = onExpiry
        self.session = session
        self.headers = headers
    }
}
