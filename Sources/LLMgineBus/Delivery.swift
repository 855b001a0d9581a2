import LLMgineCore
import Synchronization

/// What one consumer counts between two pauses: settled when it pauses, so that an event costs no atomic of its own.
struct DeliveryCounts {
    var processed: UInt64 = 0
}

extension Subscriber {
    func handle(_ value: Value, run: DeliveryRun, sequence: UInt64, extras: MessageExtras?, missed: UInt64, _ counts: inout DeliveryCounts) async {
        let context = EventContext(run: run, sequence: sequence, attempt: 1, missed: missed, extras: extras)
        do {
            try await handler(value, context)
            counts.processed &+= 1
        } catch {
            statistics.failed.add(1, ordering: .relaxed)
        }
    }

    func handle(_ message: Message, run: DeliveryRun, sequence: UInt64, extras: MessageExtras?, missed: UInt64, _ counts: inout DeliveryCounts) async {
        do {
            let value = try decode(message)
            await handle(value, run: run, sequence: sequence, extras: extras, missed: missed, &counts)
        } catch {
            statistics.failed.add(1, ordering: .relaxed)
        }
    }

    func handle(_ delivery: InboundDelivery, from start: Int, missed: UInt64, _ counts: inout DeliveryCounts) async {
        let chunk = delivery.chunk
        var missed = missed
        var run: DeliveryRun?
        for index in start..<chunk.count {
            let inbound = chunk.message(at: index)
            let message = inbound.message
            let covered = run.flatMap {
                $0.covers(topic: message.topic, session: message.session, priority: message.priority, node: chunk.node, incarnation: chunk.incarnation) ? $0 : nil
            }
            let current = covered ?? DeliveryRun(
                topic: message.topic, session: message.session, priority: message.priority, node: chunk.node, incarnation: chunk.incarnation)
            run = current
            if takes(eventType: message.eventType), sees(message.session) {
                let extras = MessageExtras(headers: message.headers, trace: message.trace, timeToLive: message.timeToLive)
                await handle(message, run: current, sequence: inbound.sequence, extras: extras, missed: missed, &counts)
                missed = 0
            }
            delivery.credit.consumed(messages: 1, bytes: inbound.encodedBytes)
            mailbox.finish(1)
        }
    }

    /// Hands over what was counted.
    func settle(_ counts: inout DeliveryCounts) {
        guard counts.processed > 0 else { return }
        statistics.processed.add(counts.processed, ordering: .relaxed)
        counts.processed = 0
    }
}
