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
            let displaced = takeOut(of: &chunk, priority: oldest.priority)
            mailbox.noteDisplaced(isLoss: displaced != nil)
            guard let displaced else { continue }
            keep(
                displaced.content, displaced.id, displaced.encodingError,
                "the queue of \(mailbox.capacity) was full and this was its oldest event")
            return true
        }
        return false
    }

    /// The one event of a chunk as a message, or nil if it is not for this subscription.
    private func takeOut(of chunk: inout TakenLane, priority: Priority) -> (id: MessageID, content: Message, encodingError: LLMgineError?)?
    {
        let index = chunk.next
        chunk.next += 1
        switch chunk.lane.items[index].body {
        case .value:
            guard let value = chunk.lane.values.take(Value.self, at: index) else { return nil }
            let envelope = chunk.envelope(at: index, priority: priority, origin: services.origin)
            let (message, encodingError) = content(nil, value, envelope)
            return (envelope.id, message, encodingError)
        case .encoded(let encoded):
            let envelope = chunk.envelope(at: index, priority: priority, origin: services.origin, encoded: encoded)
            return (envelope.id, encoded.message, nil)
        case .chunk(let inbound, let skip):
            let item = inbound.chunk.message(at: skip)
            inbound.credit.consumed(messages: 1, bytes: item.encodedBytes)
            var run: DeliveryRun?
            return envelope(of: item, in: inbound, missed: 0, &run).map { ($0.id, item.message, nil) }
        case .gap: return nil
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
