public import LLMgineCore
import LLMgineObservability
import Synchronization

extension MessageBus {
    /// Publishes an event and returns once it is queued, or once the handlers of this node are done with it.
    /// - Throws: as ``publish(_:to:options:)``; `cancelled` also if the task is cancelled while it waits for handlers: then the event is published
    ///   all the same.
    @discardableResult
    public func publish<E: Event>(
        _ event: E, to topic: Topic = E.topic, options: PublishOptions = PublishOptions(), until: PublishUntil
    ) async throws(LLMgineError) -> PublishReceipt {
        guard case .processed(let limit) = until else { return try await publish(event, to: topic, options: options) }
        try checkRunning()
        let number = sequence.add(1, ordering: .relaxed).newValue
        let tracer = observability.tracer
        let (trace, span) = tracer.isEnabled ? tracer.begin(.publish, topic, below: options.trace) : (options.trace, nil)
        let publishing = TrackedPublish(
            event, to: topic, number: number, options: options, trace: trace, bus: self, watch: DeliveryWatch())
        defer { publishing.end() }
        do throws(LLMgineError) {
            let receipt = try await publishing.run(until: .now.advanced(bySaturating: limit))
            span?.end(on: tracer, notes: [.messageID(receipt.id), .eventType(E.eventType)])
            return receipt
        } catch {
            span?.end(on: tracer, error: error)
            throw error
        }
    }
}
