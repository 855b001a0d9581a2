import struct LLMgineCore.LLMgineError

/// An error that knows whether trying again can help. Errors that do not conform are retried, except a cancellation.
public protocol RetryClassifying: Error {
    /// Whether the same call may succeed later.
    var isRetryable: Bool { get }
}

/// What follows a failed attempt.
package enum RetryDecision: Sendable, Hashable {
    package enum Reason: String, Sendable, Hashable {
        /// The error will not go away by itself.
        case notRetryable
        /// That was the last attempt.
        case exhausted
        /// The next attempt would come after the deadline.
        case pastDeadline
    }

    case retry(after: Duration)
    case giveUp(Reason)

    /// Whether an error may go away by itself: what it says itself, else true unless it is a cancellation.
    package static func isRetryable(_ error: any Error) -> Bool {
        if let error = error as? any RetryClassifying { return error.isRetryable }
        if let error = error as? LLMgineError { return isRetryable(error) }
        return !(error is CancellationError)
    }

    private static func isRetryable(_ error: LLMgineError) -> Bool {
        switch error.code {
        case .handlerFailed: error.cause.map { isRetryable($0) } ?? true
        // What is full, open or gone now may not be later.
        case .rejected, .circuitOpen, .storageFailed, .noCapacity, .connectionClosed, .noWorkerAvailable, .workerLost, .remoteError: true
        // The same input, name or configuration fails the same way.
        case .invalidArgument, .invalidConfiguration, .badPayload, .duplicateHandler, .noHandler, .noResponders, .permissionDenied: false
        // The caller does not wait any more, or it may have been executed: doing it twice is for the caller to decide.
        case .stopped, .deadlineExceeded, .cancelled, .peerLost: false
        case .malformedFrame, .limitExceeded, .creditOverdrawn, .unexpectedFrame, .versionMismatch, .identityRefused, .duplicateIdentity,
            .tlsFailure:
            false
        }
    }
}
