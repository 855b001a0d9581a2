public import LLMgineCore
import NIOCore

public import struct FoundationEssentials.Data
public import struct FoundationEssentials.Date

/// Somebody is asked to allow a command. Whoever shows it to them decides with ``MessageBus/approve(_:by:note:)`` or
/// ``MessageBus/deny(_:by:note:)``, on any node.
public struct ApprovalRequestEvent: Event {
    /// The approval.
    public var id: ApprovalID
    /// Who is asked.
    public var approver: String
    /// What is asked, for a person.
    public var summary: String
    /// The type of the command.
    public var commandType: String
    /// The command, encoded.
    public var payload: Data
    /// When it counts as expired; nil for never.
    public var expires: Date?

    init(_ approval: Approval) {
        id = approval.id
        approver = approval.approver
        summary = approval.summary
        commandType = approval.request.eventType ?? ""
        payload = Data(approval.request.payload.readableBytesView)
        expires = approval.expires
    }

    /// The command. - Throws: `badPayload` if it is of another type.
    public func command<C: Command>(as type: C.Type = C.self) throws(LLMgineError) -> C {
        guard commandType == C.commandType else {
            throw LLMgineError(.badPayload, "the command is a \(commandType.printable) and no \(C.commandType)")
        }
        do { return try C(decoding: ByteBuffer(bytes: payload)) } catch {
            throw LLMgineError(.badPayload, "the payload is not a \(C.commandType)", cause: error)
        }
    }
}

/// An approval was given.
public struct ApprovalAcceptedEvent: Event, Hashable {
    /// Who decided, and what they said.
    public var result: ApprovalResult
}

/// An approval was denied.
public struct ApprovalDeniedEvent: Event, Hashable {
    /// Who decided, and what they said.
    public var result: ApprovalResult
}

/// Nobody decided about an approval in time.
public struct ApprovalExpiredEvent: Event, Hashable {
    /// Which one.
    public var result: ApprovalResult
}

/// Whoever asked for an approval does not wait any more, and it cannot be decided.
public struct ApprovalWithdrawnEvent: Event, Hashable {
    /// Which one.
    public var id: ApprovalID
}
