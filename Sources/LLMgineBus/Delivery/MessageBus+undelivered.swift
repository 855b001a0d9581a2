package import LLMgineCore
import LLMgineObservability

/// What becomes of events that a node kept for a subscription of another one.
extension MessageBus {
    /// Keeps an event in the dead letters that could not be brought to a subscription of another node. One whose time to live was over is
    /// counted, as it is in a queue.
    package func keep(undelivered message: Message, _ sequence: UInt64, for subscription: String, _ error: LLMgineError) {
        let labels = [MetricsRegistry.Label("subscription", subscription)]
        services.metrics.counter(.eventsUndelivered, labels: labels).increment()
        guard error.code != .deadlineExceeded else { return }
        // An event of an earlier life tells its own identity.
        var message = message
        let id = message.takeOrigin() ?? MessageID(node: identity.node, incarnation: identity.incarnation, sequence: sequence)
        let now = SystemClock.sinceEpoch()
        deadLetters.add(
            message: id, content: message,
            subscription: subscription, error: error, encodingError: nil, attempts: 0, firstAttempt: now, lastAttempt: now)
    }

    /// Counts events that came a second time, and were not given to the handler again.
    package func noteDuplicates(_ count: UInt64, of subscription: String) {
        services.metrics.counter(.eventsRepeated, labels: [MetricsRegistry.Label("handler", subscription)]).increment(by: count)
    }
}
