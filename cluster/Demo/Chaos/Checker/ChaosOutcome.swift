import LLMgine

/// How a request ended. Histories have the number.
package enum ChaosOutcome: Int, CaseIterable, Sendable {
    case answered = 0
    case noResponders = 1
    case noCapacity = 2
    case deadlineExceeded = 3
    case cancelled = 4
    /// It may have been executed.
    case peerLost = 5
    case remoteError = 6
    /// The node of the requester has stopped.
    case stopped = 7
    /// Another error.
    case other = 8
    /// The answer was that to another request.
    case wrongAnswer = 9
    /// Two seconds after its deadline there was none: a fault.
    case never = 10

    init(_ error: LLMgineError) {
        self =
            switch error.code {
            case .noResponders: .noResponders
            case .noCapacity: .noCapacity
            case .deadlineExceeded: .deadlineExceeded
            case .cancelled: .cancelled
            case .peerLost: .peerLost
            case .remoteError: .remoteError
            case .stopped: .stopped
            default: .other
            }
    }

    /// What the report calls it.
    var name: String {
        switch self {
        case .answered: "answered"
        case .noResponders: "no_responders"
        case .noCapacity: "no_capacity"
        case .deadlineExceeded: "deadline_exceeded"
        case .cancelled: "cancelled"
        case .peerLost: "peer_lost"
        case .remoteError: "remote_error"
        case .stopped: "stopped"
        case .other: "other"
        case .wrongAnswer: "wrong_answer"
        case .never: "never"
        }
    }
}
