import LLMgineCore
public import LLMgineResilience
import Synchronization

extension Subscription {
    /// What the subscription's queue has seen.
    public var queueMetrics: QueueMetrics { subscriber.mailbox.metrics }
}

extension MessageBus {
    /// What the queues have seen, by the names of their subscriptions; those of one name are taken together.
    public func queueMetrics() -> [String: QueueMetrics] {
        let subscribers = registry.withLock { registry in registry.subscriptions.values.map(\.subscriber) }
        return Dictionary(subscribers.map { ($0.name, $0.mailbox.metrics) }, uniquingKeysWith: +)
    }
}
