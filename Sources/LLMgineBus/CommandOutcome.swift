import LLMgineCore
import Synchronization

/// The result of one call, settled by whatever comes first: the handler, the deadline or the caller's cancellation.
final class CommandOutcome: Sendable {
    private struct State {
        var result: CommandResult?
        var waiter: CheckedContinuation<CommandResult, Never>?
    }

    private let state = Mutex(State())

    /// The first one counts.
    func settle(_ result: CommandResult) {
        let waiter = state.withLock { state -> CheckedContinuation<CommandResult, Never>? in
            guard state.result == nil else { return nil }
            state.result = result
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: result)
    }

    /// Waits for it; one task does.
    func result() async -> CommandResult {
        await withCheckedContinuation { continuation in
            let result = state.withLock { state in
                if state.result == nil { state.waiter = continuation }
                return state.result
            }
            if let result { continuation.resume(returning: result) }
        }
    }
}
