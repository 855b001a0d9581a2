import LLMgineResilience
import Synchronization

/// The permit of one call through a breaker. Whoever takes it first says how the call went, and nobody else does: the handler when it ends, or the
/// deadline when that passes first.
final class HeldPermit: Sendable {
    private let permit = Mutex<CircuitBreaker.Permit?>(nil)

    func hold(_ permit: CircuitBreaker.Permit?) { self.permit.withLock { $0 = permit } }

    /// Nil if the call has not begun, its outcome is known, or the breaker wants none.
    func take() -> CircuitBreaker.Permit? { permit.withLock { $0.take() } }
}
