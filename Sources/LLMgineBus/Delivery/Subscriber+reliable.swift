package import LLMgineCore
import LLMgineResilience
import Synchronization

/// Events that came to a subscription that had ended before its handler was done with them. Their publisher keeps them, so they need not
/// become dead letters here; whoever brought one must not acknowledge it.
package final class UnhandledEvents: Sendable {
    private struct State {
        var unhandled: Set<MessageID> = []
        /// Events of this node that a journal keeps.
        var kept: Set<MessageID> = []
    }

    private let state = Mutex(State())

    func insert(_ id: MessageID) { _ = state.withLock { $0.unhandled.insert(id) } }

    /// Whether the event was not handled. Asked once for each.
    package func take(_ id: MessageID) -> Bool {
        state.withLock { state in
            // Both are empty as a rule, and an empty set still hashes what it is asked for.
            if !state.kept.isEmpty { state.kept.remove(id) }
            return !state.unhandled.isEmpty && state.unhandled.remove(id) != nil
        }
    }

    func keep(_ id: MessageID) { _ = state.withLock { $0.kept.insert(id) } }
    func dismiss(_ id: MessageID) { _ = state.withLock { $0.kept.remove(id) } }
    func keeps(_ id: MessageID) -> Bool { state.withLock { $0.kept.contains(id) } }
}

extension AnySubscriber {
    /// Whether its queue may let nothing go, not even for a publisher that has waited for too long.
    final var mayLoseNothing: Bool { unhandled != nil }

    /// Which of the events that it was given nobody will handle.
    package final var unhandledEvents: UnhandledEvents? { unhandled }

    /// Refuses an event after all the waiting there was.
    final func refuse(_ receipt: inout PublishReceipt, _ refused: () -> Void) {
        receipt.rejected += 1
        receipt.slow.append(name)
        mailbox.noteRejected()
        refused()
    }

    /// How failed calls are tried again.
    final var retryPolicy: RetryPolicy? {
        guard let maximum = options.delivery.atLeastOnceOptions?.maximumAttempts else { return services.resilience.retry }
        var policy = services.resilience.retry ?? RetryPolicy()
        policy.maximumRetries = maximum - 1
        return policy
    }

    /// Whether an event that was not handled stays with the node that it came from, instead of going to the dead letters.
    final func returns(_ envelope: Envelope) -> Bool {
        guard let unhandled, envelope.trial == nil, envelope.run.isRemote(to: services.origin) || unhandled.keeps(envelope.id) else {
            return false
        }
        unhandled.insert(envelope.id)
        return true
    }
}

extension DeliveryRun {
    fileprivate func isRemote(to origin: BusIdentity) -> Bool { node != origin.node }
}

extension SubscriptionOptions {
    /// - Throws: `invalidArgument` if the queue may lose what the delivery mode promises to keep.
    func checkDelivery() throws(LLMgineError) {
        guard delivery.atLeastOnceOptions != nil else { return }
        guard queue.strategy != .dropOldest, queue.strategy != .conflate, queue.strategy != .spill else {
            throw LLMgineError(.invalidArgument, "a subscription that has its events at least once can neither drop events nor spill them")
        }
        guard (name?.utf8.count ?? 0) <= Topic.maximumBytes else {
            throw LLMgineError(
                .invalidArgument, "the name of a subscription that has its events at least once has at most \(Topic.maximumBytes) bytes")
        }
    }
}
