import LLMgineCore
import LLMgineResilience

/// What a consumer has taken out of its mailbox: one chunk of each class, and how far it has been worked through.
struct TakenLanes {
    var lanes: InlineArray<4, TakenLane>

    init(_ layout: ValueLayout) { lanes = InlineArray(repeating: TakenLane(layout)) }

    /// The most urgent class that has something, here or in the mailbox.
    @inline(__always)  // the compiler copies the lanes for the call of a function that only reads them
    func mostUrgent(with mailbox: borrowing Mailbox) -> Int? {
        let queued = mailbox.mostUrgent ?? 4
        for lane in 0..<queued where !lanes[lane].isEmpty { return lane }
        return queued < 4 ? queued : nil
    }

    /// Lets go of what was not taken out, and of the memory.
    mutating func discard() {
        for lane in 0..<4 {
            lanes[lane].lane.head = lanes[lane].next
            lanes[lane].lane.discard()
            lanes[lane].next = 0
        }
    }

    /// Has something to take in a class, from the mailbox if need be.
    mutating func refill(_ lane: Int, from mailbox: borrowing Mailbox) {
        guard lanes[lane].isEmpty else { return }
        lanes[lane].lane.reset()
        mailbox.take(lane: lane, into: &lanes[lane].lane)
        lanes[lane].start()
    }
}

/// A chunk that was taken out of the mailbox, and how far it has been worked through.
struct TakenLane {
    var lane: Mailbox.Lane
    var next = 0
    /// How many messages of the link's chunk at `next` have been begun: a plain store for each of them, where the item would cost more.
    var begun = 0
    var missed: UInt64 = 0
    private var runIndex = 0
    private var current: DeliveryRun?
    /// Where the current run ends.
    private var runEnd = 0

    init(_ layout: ValueLayout) { lane = Mailbox.Lane(layout) }

    var isEmpty: Bool { @inline(__always) get { next >= lane.items.count } }

    mutating func start() {
        next = lane.head
        begun = 0
        missed &+= lane.missed
        runIndex = 0
        current = nil
        runEnd = 0
    }

    /// Notes how far the link's chunk at `next`, if there is one, has been worked through.
    mutating func leaveChunk() {
        guard !isEmpty, case .chunk(let inbound, let skip) = lane.items[next].body else { return }
        let reached = max(skip, begun)
        begun = 0
        if reached < inbound.chunk.count {
            lane.items[next].body = .chunk(inbound, skip: reached)
        } else {
            next += 1
        }
    }

    mutating func takeMissed() -> UInt64 {
        defer { missed = 0 }
        return missed
    }

    /// What the item has in common with its neighbours.
    mutating func run(at index: Int, priority: Priority, origin: BusIdentity) -> DeliveryRun {
        if index < runEnd, let current { return current }
        return nextRun(at: index, priority: priority, origin: origin)
    }

    @inline(never)
    private mutating func nextRun(at index: Int, priority: Priority, origin: BusIdentity) -> DeliveryRun {
        while runIndex + 1 < lane.runs.count, lane.runs[runIndex + 1].first <= index { runIndex += 1 }
        let run = DeliveryRun(
            topic: lane.runs[runIndex].topic, session: lane.runs[runIndex].session, priority: priority, node: origin.node,
            incarnation: origin.incarnation)
        current = run
        runEnd = runIndex + 1 < lane.runs.count ? lane.runs[runIndex + 1].first : .max
        return run
    }

    /// The envelope of the item at an index, which was published here or comes out of the dead letters.
    mutating func envelope(at index: Int, priority: Priority, origin: BusIdentity, encoded: EncodedMessage? = nil) -> Envelope {
        let trial = encoded?.trial
        let run: DeliveryRun
        if let message = encoded?.message, let origin = encoded?.origin {
            run = DeliveryRun(
                topic: message.topic, session: message.session, priority: priority, node: origin.node, incarnation: origin.incarnation)
        } else if let letter = trial?.letter {
            run = DeliveryRun(
                topic: letter.content.topic, session: letter.content.session, priority: priority, node: letter.message.node,
                incarnation: letter.message.incarnation)
        } else {
            run = self.run(at: index, priority: priority, origin: origin)
        }
        return Envelope(
            run: run, sequence: encoded?.origin?.sequence ?? lane.items[index].sequence, extras: lane.items[index].extras,
            missed: takeMissed(), trial: trial)
    }
}

extension Subscriber {
    /// Takes out the next event on its own, the most urgent first. Nil if there is none at the moment.
    func pull(_ taken: inout TakenLanes) -> Delivery<Value>? {
        while let lane = taken.mostUrgent(with: mailbox) {
            taken.refill(lane, from: mailbox)
            while !taken.lanes[lane].isEmpty {
                if let delivery = pull(from: &taken.lanes[lane], priority: Priority(rawValue: UInt8(truncatingIfNeeded: lane)) ?? .normal) {
                    noteMissed(delivery.envelope.missed)
                    return delivery
                }
            }
        }
        return nil
    }

    private func pull(from taken: inout TakenLane, priority: Priority) -> Delivery<Value>? {
        let index = taken.next
        switch taken.lane.items[index].body {
        case .value:
            taken.next += 1
            guard let value = taken.lane.values.take(Value.self, at: index) else { return nil }
            return Delivery(body: .value(value), envelope: taken.envelope(at: index, priority: priority, origin: services.origin))
        case .encoded(let encoded):
            taken.next += 1
            return Delivery(
                body: .message(encoded.message),
                envelope: taken.envelope(at: index, priority: priority, origin: services.origin, encoded: encoded))
        case .gap(let count):
            taken.next += 1
            taken.missed &+= UInt64(count)
            return nil
        case .chunk(let inbound, let skip):
            taken.lane.items[index].body = .chunk(inbound, skip: skip + 1)
            if skip + 1 >= inbound.chunk.count { taken.next += 1 }
            return pull(inbound, at: skip, missed: &taken.missed)
        }
    }

    private func pull(_ inbound: InboundDelivery, at index: Int, missed: inout UInt64) -> Delivery<Value>? {
        let item = inbound.chunk.message(at: index)
        var run: DeliveryRun?
        guard let envelope = envelope(of: item, in: inbound, missed: missed, &run) else {
            inbound.credit.consumed(messages: 1, bytes: item.encodedBytes)
            mailbox.finish(1)
            return nil
        }
        missed = 0
        return Delivery(body: .message(item.message), envelope: envelope, credit: inbound.credit, bytes: item.encodedBytes)
    }
}
