import LLMgineResilience
import Synchronization

/// The circuit breaker of one handler, shared by all who call it. While it is closed, asking costs one relaxed load.
final class HandlerBreaker: Sendable {
    private let breaker: Mutex<CircuitBreaker>
    private let isOn: Bool
    private let closed = Atomic<Bool>(true)
    /// Told of each change of state, outside the lock.
    private let onChange: @Sendable (CircuitBreaker.Change) -> Void

    /// Without a policy the breaker never opens.
    init(_ policy: BreakerPolicy?, onChange: @escaping @Sendable (CircuitBreaker.Change) -> Void) {
        breaker = Mutex(CircuitBreaker(policy ?? BreakerPolicy()))
        isOn = policy != nil
        self.onChange = onChange
    }

    /// Whether every call is let through.
    var isClosed: Bool { closed.load(ordering: .relaxed) }

    var state: BreakerState { breaker.withLock { $0.state } }

    /// Asks for a call. Nil as permit: the breaker is switched off and wants no outcome.
    func admit() -> (permit: CircuitBreaker.Permit?, retryAfter: Duration?) {
        guard isOn else { return (nil, nil) }
        switch breaker.withLock({ $0.admit(at: HandlerBreaker.now) }) {
        case .admitted(let permit, let change):
            note(change)
            return (permit, nil)
        case .refused(let retryAfter): return (nil, retryAfter)
        }
    }

    /// The permit of a call that was made while ``isClosed`` by the only caller there is.
    var permitOfClosed: CircuitBreaker.Permit? { isOn ? breaker.withLock { $0.permit } : nil }

    func succeeded(_ permit: CircuitBreaker.Permit?) {
        guard let permit else { return }
        note(breaker.withLock { $0.succeeded(permit, at: HandlerBreaker.now) })
    }

    /// - Parameter blame: whether the failure speaks against the handler, or only against the event.
    func failed(_ permit: CircuitBreaker.Permit?, blame: Bool) {
        guard let permit else { return }
        note(
            breaker.withLock { breaker in
                if blame { return breaker.failed(permit, at: HandlerBreaker.now) }
                breaker.abandoned(permit)
                return nil
            })
    }

    private func note(_ change: CircuitBreaker.Change?) {
        guard let change else { return }
        closed.store(change.to == .closed, ordering: .relaxed)
        onChange(change)
    }

    private static var now: Duration { .nanoseconds(Int64(truncatingIfNeeded: SystemClock.monotonicNanoseconds())) }
}
