import LLMgineCore
import LLMgineObservability
import LLMgineResilience

import struct NIOCore.ByteBuffer

extension Subscriber {
    /// Takes the oldest event out of the queue and keeps it. False if there is none that a handler has not got.
    func buryOldest() -> Bool {
        while let oldest = mailbox.takeOldest(of: Value.self) {
            var chunk = oldest.chunk
            defer {
                chunk.lane.head = chunk.next
                chunk.lane.discard()
            }
            guard let delivery = pull(from: &chunk, priority: oldest.priority) else { continue }  // not for this subscription
            let (message, encodingError) = content(of: delivery)
            keep(message, delivery.envelope.id, encodingError, "the queue of \(mailbox.capacity) was full and this was its oldest event")
            finished(with: delivery)
            mailbox.noteDisplaced()
            return true
        }
        return false
    }

    private func content(of delivery: Delivery<Value>) -> (Message, LLMgineError?) {
        switch delivery.body {
        case .message(let message): content(message, nil, delivery.envelope)
        case .value(let value): content(nil, value, delivery.envelope)
        }
    }
}

extension AnySubscriber {
    /// Keeps a message that the full queue refused.
    final func keep(refused message: Message, _ id: MessageID, _ encodingError: LLMgineError? = nil) {
        keep(message, id, encodingError, "the queue of \(mailbox.capacity) was full and took no new events")
    }

    /// A dead letter of an event that no handler saw. It is counted as evicted or rejected, and not once more as dead-lettered.
    fileprivate final func keep(_ content: Message, _ id: MessageID, _ encodingError: LLMgineError?, _ reason: String) {
        guard keepsTrying else { return }
        let now = SystemClock.sinceEpoch()
        services.deadLetters.add(
            message: id, content: content, subscription: name, error: LLMgineError(.rejected, reason), encodingError: encodingError,
            attempts: 0, firstAttempt: now, lastAttempt: now)
        services.observability.observe(
            ObservedEvent(
                eventID: id.description, eventType: "DeadLettered", timestamp: services.tracer.clock.now(), session: content.session,
                topic: content.topic,
                metadata: [.init("handler", name), .init("attempts", "0"), .init("error", LLMgineError.Code.rejected.rawValue)]))
    }
}

extension MessageBus {
    /// Keeps an event that a full queue refused, encoded if that can be done.
    func keep<E: Event>(refused event: E, to topic: Topic, options: PublishOptions, _ id: MessageID, by subscriber: AnySubscriber) {
        var message = Message(
            topic: topic, payload: ByteBuffer(), eventType: E.eventType, priority: options.priority, session: options.session,
            headers: options.headers, trace: options.trace)
        do {
            try event.encode(into: &message.payload)
            subscriber.keep(refused: message, id)
        } catch {
            message.payload.clear()
            subscriber.keep(refused: message, id, LLMgineError(.badPayload, "the event does not encode", cause: error))
        }
    }
}
