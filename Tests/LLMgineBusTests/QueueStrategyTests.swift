import LLMgineBus
import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `The queue of a subscription` {
    @Test func `has metrics that account for every event`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(
            on: bus, options: .init(name: "s", queue: BoundedEventQueue(capacity: 10, strategy: .dropOldest)))
        for number in 1...14 { try await bus.publish(Tick(number: number), to: "t") }
        let full = held.subscription.queueMetrics
        #expect((full.totalEnqueued, full.totalDequeued, full.totalDropped, full.totalRejected) == (15, 0, 5, 0))
        #expect((full.currentSize, full.maxSizeReached, full.highWaterMarkHits) == (10, 10, 1))
        #expect(full.isBackpressureActive)
        #expect(full.lastHighWaterMark != nil)
        held.gate.open()
        await bus.stop()
        let empty = held.subscription.queueMetrics
        #expect((empty.totalEnqueued, empty.totalDequeued, empty.totalDropped, empty.currentSize) == (15, 10, 5, 0))
        #expect(!empty.isBackpressureActive)
    }

    @Test func `counts what it refuses`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(
            on: bus, options: .init(name: "s", queue: BoundedEventQueue(capacity: 4, strategy: .rejectNew)))
        for number in 1...9 { try await bus.publish(Tick(number: number), to: "t") }
        let metrics = bus.queueMetrics()["s"]
        #expect((metrics?.totalEnqueued, metrics?.totalRejected, metrics?.currentSize) == (4, 6, 4))
        let summary = bus.metrics()
        #expect(summary.counters[#"queue_rejected_total{handler="s"}"#] == 6)
        #expect(summary.counters["queue_high_water_hits_total"] == 1)
        #expect(summary.gauges[#"backpressure_active{handler="s"}"#] == 1)
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0, 1, 2, 3])
    }

    @Test func `takes the metrics of one name together`() async throws {
        let bus = MessageBus(.swift)
        let one = try await HeldSubscription(on: bus, "t", options: .init(name: "s", capacity: 2, whenFull: .dropOldest))
        let two = try await HeldSubscription(on: bus, "u", options: .init(name: "s"))
        for number in 1...3 { try await bus.publish(Tick(number: number), to: "t") }
        let metrics = bus.queueMetrics()["s"]
        #expect((metrics?.totalEnqueued, metrics?.totalDropped, metrics?.currentSize) == (5, 2, 3))
        #expect(bus.metrics().counters["queue_dropped_total"] == 2)
        one.gate.open()
        two.gate.open()
        await bus.stop()
    }

    @Test(arguments: [(0, 0.5, 0.8), (-1, 0.5, 0.8), (10, 0.8, 0.5), (10, 0, 0.5), (10, 0.5, 1.5)])
    func `is checked when the subscription is made`(capacity: Int, low: Double, high: Double) async throws {
        let bus = MessageBus(.swift)
        let queue = BoundedEventQueue(capacity: capacity, highWaterMark: high, lowWaterMark: low)
        await #expect(throws: LLMgineError(.invalidArgument, "")) {
            try await bus.subscribe("t", options: .init(queue: queue)) { (_: Tick, _) in }
        }
        #expect(bus.subscriptionCount == 0)
        await bus.stop()
    }
}

/// W16: the original's adaptive strategy refused events. This one slows publishers.
@Suite(.timeLimit(.minutes(1))) struct `A queue that limits the rate` {
    @Test func `loses nothing to a publisher that is faster than the handler`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        let subscription = try await bus.subscribe(
            "t", options: .init(queue: BoundedEventQueue(capacity: 40, strategy: .adaptiveRateLimit, deadline: .seconds(60)))
        ) { (tick: Tick, _) in
            seen.add(tick.number)
            // A slow handler that needs no clock.
            for _ in 0..<20 { await Task.yield() }
        }
        var (evicted, rejected) = (0, 0)
        for number in 0..<400 {
            let receipt = try await bus.publish(Tick(number: number), to: "t")
            #expect((receipt.matched, receipt.accepted, receipt.slow) == (1, 1, []))
            evicted += receipt.evicted
            rejected += receipt.rejected
        }
        #expect(await seen.first(400) == Array(0..<400))
        await bus.stop()
        #expect((evicted, rejected) == (0, 0))
        let metrics = subscription.queueMetrics
        #expect((metrics.totalEnqueued, metrics.totalDequeued) == (400, 400))
        #expect(metrics.maxSizeReached <= 40)
        #expect(bus.deadLetters.count == 0)
    }

    @Test func `slows publishers from its high-water mark on and lets them wait when it is full`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(
            on: bus, options: .init(queue: BoundedEventQueue(capacity: 10, strategy: .adaptiveRateLimit, deadline: .seconds(600))))
        for number in 1...7 { #expect(try await bus.publish(Tick(number: number), to: "t").waited == .zero) }
        // Eight are inside: the ninth and the tenth come in a little later.
        for number in 8...9 {
            let receipt = try await bus.publish(Tick(number: number), to: "t")
            #expect((receipt.matched, receipt.accepted, receipt.slow) == (1, 1, []))
            #expect(receipt.waited >= .milliseconds(1))
        }
        let publisher = Task { try await bus.publish(Tick(number: 10), to: "t") }
        try await until { bus.isHoldingPublishersBack }
        #expect(bus.metrics().gauges["backpressure_active"] == 1)
        held.gate.open()
        #expect(try await publisher.value.accepted == 1)
        await held.seen.first(11)
        #expect(held.numbers == Array(0...10))
        try await until { held.subscription.isIdle }
        #expect(!held.subscription.queueMetrics.isBackpressureActive)
        #expect(try await bus.publish(Tick(number: 11), to: "t").waited == .zero)
        await bus.stop()
    }

    @Test func `lets its oldest go when nothing has moved up to the deadline`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(
            on: bus, options: .init(queue: BoundedEventQueue(capacity: 2, strategy: .adaptiveRateLimit, deadline: .milliseconds(1))))
        try await bus.publish(Tick(number: 1), to: "t")
        let receipt = try await bus.publish(Tick(number: 2), to: "t")
        #expect((receipt.slow, receipt.evicted, receipt.accepted) == (["t"], 1, 1))
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0, 2])
    }

    @Test func `lets go of a publisher that is cancelled while it is slowed`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(
            on: bus,
            options: .init(
                queue: BoundedEventQueue(capacity: 1000, highWaterMark: 0.002, lowWaterMark: 0.001, strategy: .adaptiveRateLimit)))
        let publisher = Task {
            while true { try await bus.publish(Tick(number: 1), to: "t") }
        }
        try await until { held.subscription.queueMetrics.isBackpressureActive }
        publisher.cancel()
        await #expect(throws: LLMgineError(.cancelled, "")) { try await publisher.value }
        held.gate.open()
        await bus.stop()
    }

    @Test func `does not hold up the handler that fills its own queue`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        try await bus.subscribe("t", options: .init(queue: BoundedEventQueue(capacity: 10, strategy: .adaptiveRateLimit))) {
            (tick: Tick, _) in
            seen.add(tick.number)
            guard tick.number == 0 else { return }
            for number in 1...20 { try await bus.publish(Tick(number: number), to: "t") }
        }
        try await bus.publish(Tick(number: 0), to: "t")
        #expect(await seen.first(2).count == 2)
        await bus.stop()
    }
}

/// W8: what the original's queue dropped went nowhere.
@Suite(.timeLimit(.minutes(1))) struct `Dropped events` {
    private static func queue(_ strategy: BackpressureStrategy, deadline: Duration = .seconds(5)) -> BoundedEventQueue {
        BoundedEventQueue(capacity: 3, strategy: strategy, deadline: deadline, keepsDropped: true)
    }

    @Test func `are kept if that is asked for, with what they were`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(name: "s", queue: Self.queue(.dropOldest)))
        var receipts: [PublishReceipt] = []
        for number in 1...6 {
            receipts.append(
                try await bus.publish(Tick(number: number), to: "t", options: .init(session: "x", headers: ["n": "\(number)"])))
        }
        #expect(receipts.map(\.evicted) == [0, 0, 1, 1, 1, 1])
        #expect(receipts.allSatisfy { $0.accepted == 1 && $0.rejected == 0 && $0.waited == .zero })
        let letters = bus.deadLetters.list()
        #expect(letters.map(\.message) == receipts.prefix(4).map(\.id))
        #expect(try letters.map { try Tick(decoding: $0.content.payload).number } == [1, 2, 3, 4])
        #expect(letters.map { $0.content.headers["n"] } == ["1", "2", "3", "4"])
        #expect(
            letters.allSatisfy { $0.error.code == .rejected && $0.attempts == 0 && $0.subscription == "s" && $0.content.session == "x" })
        held.gate.open()
        await held.seen.first(3)
        #expect(held.seen.entries.map(\.1.missed) == [0, 4, 0])
        await bus.stop()
        let statistics = held.subscription.statistics
        // Each event is in one class of loss.
        #expect((statistics.evicted, statistics.deadLettered, statistics.processed, statistics.missed) == (4, 0, 3, 4))
        let metrics = held.subscription.queueMetrics
        #expect((metrics.totalEnqueued, metrics.totalDequeued, metrics.totalDropped, metrics.currentSize) == (7, 3, 4, 0))
        #expect(bus.metrics().counters["queue_dropped_total"] == 4)
    }

    @Test func `can be handled after all`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(queue: Self.queue(.dropOldest)))
        for number in 1...4 { try await bus.publish(Tick(number: number), to: "t") }
        held.gate.open()
        await held.seen.first(3)
        try await until { held.subscription.isIdle }
        #expect(bus.deadLetters.retryAll() == 2)
        await bus.stop()
        #expect(held.numbers == [0, 3, 4, 1, 2])
    }

    @Test func `are kept as well when the new one is refused`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(queue: Self.queue(.rejectNew)))
        var receipts: [PublishReceipt] = []
        for number in 1...4 { receipts.append(try await bus.publish(Tick(number: number), to: "t")) }
        receipts.append(try await bus.publish(Message("t", #"{"number":5,"publisher":0}"#)))
        #expect(receipts.map(\.rejected) == [0, 0, 1, 1, 1])
        #expect(receipts.map(\.matched) == [1, 1, 1, 1, 1])
        #expect(bus.deadLetters.list().map(\.message) == receipts.suffix(3).map(\.id))
        #expect(try bus.deadLetters.list().map { try Tick(decoding: $0.content.payload).number } == [3, 4, 5])
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0, 1, 2])
        #expect((held.subscription.statistics.rejected, held.subscription.queueMetrics.totalRejected) == (3, 3))
    }

    @Test func `are kept when a blocking subscription was waited for in vain`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(queue: Self.queue(.block, deadline: .milliseconds(1))))
        for number in 1...4 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(try bus.deadLetters.list().map { try Tick(decoding: $0.content.payload).number } == [1, 2])
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0, 3, 4])
    }

    @Test func `of the least urgent class go first`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(queue: Self.queue(.dropOldest)))
        try await bus.publish(Tick(number: 1), to: "t", options: .init(priority: .urgent))
        try await bus.publish(Message("t", #"{"number":2,"publisher":0}"#, priority: .low))
        try await bus.publish(Tick(number: 3), to: "t", options: .init(priority: .low))
        try await bus.publish(Tick(number: 4), to: "t")
        #expect(try bus.deadLetters.list().map { try Tick(decoding: $0.content.payload).number } == [2, 3])
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0, 1, 4])
    }

    @Test func `that do not encode are kept without their payload`() async throws {
        struct Secret: Event {
            func encode(to encoder: any Encoder) throws { throw Mishap() }
        }
        let bus = MessageBus(.swift)
        for (topic, strategy) in [("t", BackpressureStrategy.dropOldest), ("u", .rejectNew)] as [(Topic, BackpressureStrategy)] {
            let gate = Gate()
            let entered = Gate()
            try await bus.subscribe(
                TopicFilter(topic), options: .init(queue: BoundedEventQueue(capacity: 2, strategy: strategy, keepsDropped: true))
            ) {
                (_: Secret, _) in
                entered.open()
                await gate.pass()
            }
            try await bus.publish(Secret(), to: topic)
            await entered.pass()
            for _ in 0..<2 { try await bus.publish(Secret(), to: topic) }
            let letter = try #require(bus.deadLetters.list().last)
            #expect((letter.encodingError?.code, letter.content.payload.readableBytes, letter.content.topic) == (.badPayload, 0, topic))
            gate.open()
        }
        #expect(bus.deadLetters.count == 2)
        await bus.stop()
    }

    @Test func `of a group are kept by the member whose turn it was`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(
            on: bus, options: .init(name: "s", group: "g", queue: BoundedEventQueue(capacity: 1, strategy: .rejectNew, keepsDropped: true)))
        let receipt = try await bus.publish(Tick(number: 1), to: "t")
        #expect((receipt.matched, receipt.accepted, receipt.rejected) == (1, 0, 1))
        #expect(bus.deadLetters.list().map(\.message) == [receipt.id])
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0])
    }

    @Test func `make room even when the handler has all there is`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(
            on: bus, options: .init(queue: BoundedEventQueue(capacity: 1, strategy: .dropOldest, keepsDropped: true)))
        let receipt = try await bus.publish(Tick(number: 1), to: "t")
        #expect((receipt.accepted, receipt.evicted) == (1, 0))
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0, 1])
        #expect(bus.deadLetters.count == 0)
    }
}
