/// A failure that a program can compare and a person can read.
///
/// Two errors are equal when their codes are: the detail is for people, the code is for programs.
public struct LLMgineError: Error, Sendable {
    /// What went wrong, from a closed set that programs switch over.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        // Input
        /// A topic, filter, name or option breaks a documented rule.
        case invalidArgument
        /// A configuration key is unknown, missing or has a value that cannot be used.
        case invalidConfiguration
        /// A payload could not be encoded or decoded.
        case badPayload

        // Bus
        /// A second handler was registered for one command type.
        case duplicateHandler
        /// No handler is registered for the command.
        case noHandler
        /// The bus, node or session no longer takes new work.
        case stopped
        /// A topic permission stands against it.
        case permissionDenied
        /// A full queue refused the event, or let it go to make room for another.
        case rejected
        /// A handler threw; the cause is attached.
        case handlerFailed
        /// The circuit breaker of the handler is open.
        case circuitOpen
        /// What had to be kept could not be opened, read or written: the disk is full or read-only, or the file is in use.
        case storageFailed

        // Request outcomes (guarantee G9)
        /// Nobody is subscribed to the request's topic.
        case noResponders
        /// Responders exist, but none had room before the deadline.
        case noCapacity
        /// The deadline passed.
        case deadlineExceeded
        /// The caller gave up.
        case cancelled
        /// The link to the peer that had the request broke: the request may have been executed.
        case peerLost
        /// The responder answered with an error.
        case remoteError

        // Wire
        /// Bytes that are not a frame of this protocol.
        case malformedFrame
        /// A frame, payload or table grew past its limit.
        case limitExceeded
        /// The peer sent past its credit.
        case creditOverdrawn
        /// A frame that is not allowed in the link's current state.
        case unexpectedFrame
        /// The peers share no protocol version.
        case versionMismatch
        /// The peer is not who it claims to be, or belongs to another cluster.
        case identityRefused
        /// Two live processes claim one identity.
        case duplicateIdentity
        /// The connection was closed or never came up.
        case connectionClosed
        /// TLS refused the connection or the certificates cannot be used.
        case tlsFailure

        // LLM
        /// No worker of the cluster offers the model.
        case noWorkerAvailable
        /// The worker died or left while it ran the request.
        case workerLost
    }

    /// What went wrong.
    public let code: Code
    /// The particulars, for a person. Never holds a payload, a prompt or a secret.
    public let detail: String
    /// What caused it, if something else did.
    public let cause: (any Error)?

    /// Creates an error.
    public init(_ code: Code, _ detail: String, cause: (any Error)? = nil) {
        self.code = code
        self.detail = detail
        self.cause = cause
    }
}

extension LLMgineError: Hashable {
    /// Equality is the code's.
    public static func == (one: LLMgineError, other: LLMgineError) -> Bool { one.code == other.code }
    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}

extension LLMgineError: CustomStringConvertible {
    /// `code: detail (cause)`.
    public var description: String {
        guard let cause else { return "\(code.rawValue): \(detail)" }
        return "\(code.rawValue): \(detail) (\(cause))"
    }
}
