public import LLMgineCore
import LLMgineObservability
import Synchronization

import struct NIOCore.ByteBuffer

/// What an event survives once its publish has returned.
public enum Durability: Sendable, Hashable {
    /// The end of neither process: the default, and free.
    case transient
    /// The end of the publisher's process, `kill -9` and power failure too: it is in the journal, on the disk, before the publish returns.
    case durable
}

extension MessageBus {
    /// Publishes an event, in the journal first if that is asked for.
    ///
    /// A durable event is delivered, in this life of the process or the next, to every subscription that it matched when it was published, that has
    /// its events at least once, and that can be told to be the same after a restart: one with a name, a queue group of such, or one of another node
    /// for as long as that node runs. All others get it as they get any event. If no such subscription matched, nothing is written. The journal forgets the
    /// event when each of them has processed it, or has it in its dead letters, or has refused it, as the receipt says.
    /// - Throws: as ``publish(_:to:options:)``, and `storageFailed` if the journal cannot be written: the event is not published then;
    ///   `invalidConfiguration` if the bus has none.
    @discardableResult
    public func publish<E: Event>(
        _ event: E, to topic: Topic = E.topic, options: PublishOptions = PublishOptions(), durability: Durability
    ) async throws(LLMgineError) -> PublishReceipt {
        guard durability == .durable else { return try await publish(event, to: topic, options: options) }
        return try await publishDurably(try encode(event, to: topic, options: options, trace: options.trace).message)
    }

    /// The same for bytes as they are.
    @discardableResult
    public func publish(_ message: Message, durability: Durability) async throws(LLMgineError) -> PublishReceipt {
        guard durability == .durable else { return try await publish(message) }
        return try await publishDurably(message)
    }

    private func publishDurably(_ message: Message) async throws(LLMgineError) -> PublishReceipt {
        try checkRunning()
        guard let journal else {
            throw LLMgineError(
                .invalidConfiguration, "the bus has no journal for durable events; journal.path names the directory of a node's")
        }
        guard observability.tracer.isEnabled else { return try await publish(message, by: journal) }
        var message = message
        let (trace, span) = observability.tracer.begin(.publish, message.topic, below: message.trace)
        message.trace = trace
        do throws(LLMgineError) {
            let receipt = try await publish(message, by: journal)
            span?.end(on: observability.tracer, notes: [.messageID(receipt.id), .bodySize(message.payload.readableBytes)])
            return receipt
        } catch {
            span?.end(on: observability.tracer, error: error)
            throw error
        }
    }

    private func publish(_ message: Message, by journal: JournalDesk) async throws(LLMgineError) -> PublishReceipt {
        let route = router.route(for: message.topic, in: message.session)
        if let refusal = route.refusal { throw denied(refusal, "publish") }
        let number = sequence.add(1, ordering: .relaxed).newValue
        let id = MessageID(node: identity.node, incarnation: identity.incarnation, sequence: number)
        if let filters = route.filters, !filters.admits(PublishedEvent(message)) { return PublishReceipt(id: id) }
        return try await DurablePublish(message, id, along: route, on: self, journal).run()
    }
}
