import LLMgineCore
import Synchronization

/// Counts replies against the room that the requester has granted, and lets the sender wait for more. Absolute counts, as everywhere.
final class ReplyGate: Sendable {
    fileprivate struct State {
        var granted: UInt64
        var sent: UInt64 = 0
        var failure: LLMgineError?
        var waiter: CheckedContinuation<Void, Never>?
        var onFailure: [@Sendable () -> Void] = []
        var isFinished = false
    }

    private let state: Mutex<State>

    init(granted: UInt64) { state = Mutex(State(granted: granted)) }

    /// Takes room for one reply, waiting for it if need be. - Throws: what ended the request.
    func pass() async throws(LLMgineError) {
        while true {
            let verdict: Result<Bool, LLMgineError> = state.withLock { state in
                if let failure = state.failure { return .failure(failure) }
                if state.isFinished { return .failure(LLMgineError(.stopped, "the answer was already complete")) }
                guard state.sent < state.granted else { return .success(false) }
                state.sent += 1
                return .success(true)
            }
            if try verdict.get() { return }
            await withCheckedContinuation { continuation in
                let mustWait = state.withLock { state in
                    guard state.failure == nil, state.sent >= state.granted, state.waiter == nil else { return false }
                    state.waiter = continuation
                    return true
                }
                if !mustWait { continuation.resume() }
            }
        }
    }

    /// More room, as an absolute count.
    func granted(_ count: UInt64) {
        let waiter = state.withLock { state in
            state.granted = max(state.granted, count)
            return state.takeWaiter()
        }
        waiter?.resume()
    }

    /// The requester gave up, or is gone.
    func failed(_ error: LLMgineError) {
        let (waiter, actions) = state.withLock { state -> (CheckedContinuation<Void, Never>?, [@Sendable () -> Void]) in
            guard state.failure == nil else { return (nil, []) }
            state.failure = error
            let actions = state.onFailure
            state.onFailure = []
            return (state.takeWaiter(), actions)
        }
        waiter?.resume()
        for action in actions { action() }
    }

    func onFailure(_ action: @escaping @Sendable () -> Void) {
        let hasFailed = state.withLock { state in
            if state.failure == nil { state.onFailure.append(action) }
            return state.failure != nil
        }
        if hasFailed { action() }
    }

    /// Marks the answer as complete. False if it was already.
    func finish() -> Bool {
        state.withLock { state in
            defer { state.isFinished = true }
            return !state.isFinished
        }
    }

    /// Whether the requester still listens.
    var isOpen: Bool { state.withLock { $0.failure == nil } }
}

extension ReplyGate.State {
    fileprivate mutating func takeWaiter() -> CheckedContinuation<Void, Never>? {
        let taken = waiter
        waiter = nil
        return taken
    }
}
