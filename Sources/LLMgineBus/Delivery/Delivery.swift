import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Synchronization

import struct NIOCore.ByteBuffer

extension Subscriber {
    /// Gives one value to the handler.
    ///
    /// An event of a healthy subscription without headers, trace or time to live takes the short way: one look at the breaker's flag, the
    /// call, one reading of the clock.
    @inline(__always)  // a frame less for each event
    func handle(_ value: Value, _ envelope: Envelope, _ counts: inout DeliveryCounts) async {
        guard envelope.extras == nil, envelope.trial == nil, breaker.isClosed, !services.middleware.wrapsEvents else {
            return await insist(on: value, from: nil, envelope, after: nil, &counts)
        }
        do {
            try await handler(value, EventContext(envelope, attempt: 1))
            counts.succeeded()
        } catch {
            await insist(on: value, from: nil, envelope, after: error, &counts)
        }
    }

    /// Gives one message to the handler.
    func handle(_ message: Message, _ envelope: Envelope, _ counts: inout DeliveryCounts) async {
        let value: Value
        do {
            // What wants messages gets them as they are: to call `decode` would copy them.
            value = if Value.self == Message.self, let same = message as? Value { same } else { try form.decode(message) }
        } catch {
            return bury(
                message, nil, envelope, LLMgineError(.badPayload, "the payload is not what the handler takes", cause: error), attempts: 0)
        }
        guard envelope.extras == nil, envelope.trial == nil, breaker.isClosed, !services.middleware.wrapsEvents else {
            return await insist(on: value, from: message, envelope, after: nil, &counts)
        }
        do {
            try await handler(value, EventContext(envelope, attempt: 1))
            counts.succeeded()
        } catch {
            await insist(on: value, from: message, envelope, after: error, &counts)
        }
    }

    /// Handles what a link brought, message by message, up to its end, or until something more urgent has come or the subscription ends. The lane
    /// knows how many have been begun.
    /// - Returns: false if the rest was claimed meanwhile.
    func handle(_ delivery: InboundDelivery, from start: Int, lane: Int, _ counts: inout DeliveryCounts) async -> Bool {
        let chunk = delivery.chunk
        if let common = chunk.common { return await handle(delivery, like: common, from: start, lane: lane, &counts) }
        var run: DeliveryRun?
        var room = RoomReturn(mailbox, delivery.credit)
        defer { room.giveBack() }
        for index in start..<chunk.count {
            if index > start, mailbox.interrupts(lane) { return true }
            let inbound = chunk.message(at: index)
            if let envelope = envelope(of: inbound, in: delivery, missed: custody.lanes.lanes[lane].missed, &run) {
                begin(index, lane, envelope)
                custody.leave()
                await handle(inbound.message, envelope, &counts)
                guard comesBack() else {
                    room.finishedLate(of: inbound.encodedBytes)
                    return false
                }
            } else {
                custody.lanes.lanes[lane].begun = index + 1
            }
            room.finishedOne(of: inbound.encodedBytes, after: counts.lastLap)
        }
        return true
    }

    /// The same where all messages are alike but for payload and number, as they mostly are: what they have in common is looked at once.
    private func handle(
        _ delivery: InboundDelivery, like common: Message, from start: Int, lane: Int, _ counts: inout DeliveryCounts
    ) async -> Bool {
        let chunk = delivery.chunk
        let isWanted = takes(eventType: common.eventType) && sees(common.session)
        let run = DeliveryRun(
            topic: common.topic, session: common.session, priority: common.priority, node: chunk.node, incarnation: chunk.incarnation)
        var room = RoomReturn(mailbox, delivery.credit)
        defer { room.giveBack() }
        for index in start..<chunk.count {
            if index > start, mailbox.interrupts(lane) { return true }
            let content = chunk.content(at: index)
            if isWanted {
                var message = common
                message.payload = content.payload
                let envelope = Envelope(run: run, sequence: content.sequence, extras: nil, missed: custody.lanes.lanes[lane].missed)
                begin(index, lane, envelope)
                custody.leave()
                await handle(message, envelope, &counts)
                guard comesBack() else {
                    room.finishedLate(of: content.payload.readableBytes)
                    return false
                }
            } else {
                custody.lanes.lanes[lane].begun = index + 1
            }
            room.finishedOne(of: content.payload.readableBytes, after: counts.lastLap)
        }
        return true
    }

    /// The handler is about to be given the message at an index of the chunk that a lane has reached.
    @inline(__always)
    private func begin(_ index: Int, _ lane: Int, _ envelope: borrowing Envelope) {
        custody.lanes.lanes[lane].begun = index + 1
        guard envelope.missed > 0 else { return }
        custody.lanes.lanes[lane].missed = 0
        noteMissed(envelope.missed)
    }

    /// What the handler is told of a message of a chunk, or nil if it is not for this subscription.
    func envelope(of inbound: InboundMessage, in delivery: InboundDelivery, missed: UInt64, _ run: inout DeliveryRun?) -> Envelope? {
        let message = inbound.message
        let chunk = delivery.chunk
        guard takes(eventType: message.eventType), sees(message.session) else {
            delivery.place?.token.settle()
            return nil
        }
        let (node, incarnation) = inbound.origin.map { ($0.node, $0.incarnation) } ?? (chunk.node, chunk.incarnation)
        let current: DeliveryRun
        if let known = run,
            known.covers(
                topic: message.topic, session: message.session, priority: message.priority, node: node, incarnation: incarnation)
        {
            current = known
        } else {
            current = DeliveryRun(
                topic: message.topic, session: message.session, priority: message.priority, node: node, incarnation: incarnation)
            run = current
        }
        let extras =
            if let place = delivery.place {
                MessageExtras(headers: message.headers, trace: message.trace, timeToLive: message.timeToLive, place: place)
            } else {
                MessageExtras(headers: message.headers, trace: message.trace, timeToLive: message.timeToLive)
            }
        return Envelope(run: current, sequence: inbound.origin?.sequence ?? inbound.sequence, extras: extras, missed: missed)
    }

    /// Handles one event that was taken out on its own.
    func process(_ delivery: Delivery<Value>, _ counts: inout DeliveryCounts) async {
        switch delivery.body {
        case .value(let value): await insist(on: value, from: nil, delivery.envelope, after: nil, &counts)
        case .message(let message): await handle(message, delivery.envelope, &counts)
        }
        finished(with: delivery)
    }

    /// The event has left the queue for good.
    func finished(with delivery: Delivery<Value>) {
        delivery.credit?.consumed(messages: 1, bytes: delivery.bytes)
        mailbox.finish(1)
        delivery.envelope.extras?.token?.settle()
    }

    /// Hands over what was counted.
    func settle(_ counts: inout DeliveryCounts) {
        guard !counts.isEmpty else { return }
        let (processed, durations) = counts.take()
        if processed > 0 {
            statistics.processed.add(processed, ordering: .relaxed)
            meters.processed.increment(by: processed)
        }
        meters.duration.add(durations)
    }
}
