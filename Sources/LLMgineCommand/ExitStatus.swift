import LLMgineCore
import LLMgineLLM

/// What the exit code says, in the numbers of `sysexits.h`.
enum ExitStatus: Int32 {
    case failed = 1
    case wrongUsage = 64
    case unavailable = 69
    case tryAgain = 75
    case wrongConfiguration = 78

    init(_ code: LLMgineError.Code) {
        switch code {
        case .invalidArgument: self = .wrongUsage
        case .invalidConfiguration, .storageFailed, .tlsFailure, .identityRefused, .duplicateIdentity, .versionMismatch, .permissionDenied:
            self = .wrongConfiguration
        case .connectionClosed, .noResponders, .noWorkerAvailable, .peerLost, .workerLost: self = .unavailable
        case .deadlineExceeded, .noCapacity, .rejected, .circuitOpen: self = .tryAgain
        case .badPayload, .duplicateHandler, .noHandler, .stopped, .handlerFailed, .cancelled, .remoteError, .malformedFrame,
            .limitExceeded,
            .creditOverdrawn, .unexpectedFrame:
            self = .failed
        }
    }

    init(_ code: LLMError.Code) {
        switch code {
        case .invalidRequest, .modelNotFound, .unsupportedCapability: self = .wrongUsage
        case .authentication, .permission: self = .wrongConfiguration
        case .connection, .noWorkerAvailable, .workerLost: self = .unavailable
        case .rateLimited, .overloaded, .timeout, .deadlineExceeded: self = .tryAgain
        case .quotaExhausted, .truncatedStream, .contextLengthExceeded, .contentFiltered, .cancelled, .providerInternal, .protocolViolation:
            self = .failed
        }
    }
}
