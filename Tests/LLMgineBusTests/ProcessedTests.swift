import LLMgineBus
import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A publish that waits for its handlers` {
    private let bus = MessageBus(.swift)

    @Test func `returns when they are done with this very event, whatever else is queued`() async throws {
        let seen = Journal<Int>()
        let gates = [Gate(), Gate()]
        let started = Gate()
        let subscription = try await bus.subscribe("t", options: .init(name: "s")) { (tick: Tick, _) in
            started.open()
            if tick.number == 0 { await gates[0].pass() }
            if tick.number == 2 { await gates[1].pass() }
            seen.add(tick.number)
        }
        try await bus.publish(Tick(number: 0), to: "t")
        await started.pass()
        let publisher = Task { [bus] in try await bus.publish(Tick(number: 1), to: "t", until: .processed) }
        try await bus.publish(Tick(number: 2), to: "t", options: .init(priority: .low))
        #expect(seen.entries.isEmpty)
        try await until { subscription.statistics.queued == 3 }  // else the second may be begun before the first is there
        gates[0].open()
        let receipt = try await publisher.value
        #expect(seen.entries == [0, 1])
        #expect((receipt.matched, receipt.accepted, receipt.slow) == (1, 1, []))
        gates[1].open()
        await bus.stop()
    }

    @Test func `returns at once without handlers, and for what is only to be queued`() async throws {
        #expect(try await bus.publish(Tick(number: 0), to: "t", until: .processed).matched == 0)
        let held = try await HeldSubscription(on: bus, options: .init())
        #expect(try await bus.publish(Tick(number: 1), to: "t", until: .queued).accepted == 1)
        held.gate.open()
        await bus.stop()
    }

    @Test func `waits for every form of handler: of the type, of bytes, of a family, in a group, of a session`() async throws {
        let seen = Journal<String>()
        try await bus.subscribe("t") { (_: Tick, _) in seen.add("typed") }
        try await bus.subscribe("t") { (_: Tock, _) in Issue.record("not for this one") }
        try await bus.subscribe("t", options: .init(concurrency: 2)) { (_: Message, _) in seen.add("bytes") }
        try await bus.subscribe("t", options: .init(group: "g")) { (_: Tick, _) in seen.add("group") }
        try await bus.subscribe("t", options: .init(group: "g")) { (_: Tick, _) in seen.add("group") }
        try await bus.subscribe(to: EventFamily<Tick>().including(Tick.self) { $0 }, on: ["t"]) { _, _ in seen.add("family") }
        let session = try await bus.createSession()
        try await session.subscribe("t", options: .init(concurrency: 2, ordering: .session)) { (_: Tick, _) in seen.add("session") }
        let receipt = try await session.publish(
            Tick(number: 1), to: "t", options: .init(headers: ["a": "b"], timeToLive: .seconds(60)), until: .processed)
        #expect(seen.entries.sorted() == ["bytes", "family", "group", "session", "typed"])
        #expect((receipt.matched, receipt.accepted) == (5, 5))
        await bus.stop()
    }

    @Test func `returns when they have given up, or cannot read it`() async throws {
        try await bus.subscribe("t") { (_: Tick, _) in throw Mishap() }
        try await bus.publish(Tick(number: 1), to: "t", until: .processed)
        #expect(bus.deadLetters.list().map(\.attempts) == [4])
        try await bus.subscribe("u") { (_: Tick, _) in Issue.record("called although the time was over") }
        try await bus.publish(Tick(number: 1), to: "u", options: .init(timeToLive: .zero), until: .processed)
        try await bus.subscribe("v") { (_: OtherTick, _) in }
        try await bus.publish(Tick(number: 1), to: "v", until: .processed)
        #expect(bus.deadLetters.list().map(\.error.code) == [.handlerFailed, .badPayload])
        await bus.stop()
    }

    @Test func `returns when the event is evicted, and when the subscription ends`() async throws {
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 2, whenFull: .dropOldest))
        let evicted = Task { [bus] in try await bus.publish(Tick(number: 1), to: "t", until: .processed) }
        try await until { held.subscription.statistics.queued == 2 }
        try await bus.publish(Tick(number: 2), to: "t")
        #expect(try await evicted.value.slow == [])
        let ended = Task { [bus] in try await bus.publish(Tick(number: 3), to: "t", until: .processed) }
        try await until { held.subscription.statistics.evicted == 2 }
        async let ending: Void = held.subscription.cancel()
        held.gate.open()
        #expect(try await ended.value.accepted == 1)
        await ending
        await bus.stop()
    }

    @Test func `returns when the subscription refuses the event`() async throws {
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 1, whenFull: .rejectNew))
        #expect(try await bus.publish(Tick(number: 1), to: "t", until: .processed).rejected == 1)
        held.gate.open()
        await bus.stop()
    }

    @Test func `waits for room as well`() async throws {
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 1, whenFull: .block(deadline: .seconds(600))))
        let family = Gate()
        try await bus.subscribe(
            to: EventFamily<Tick>().including(Tick.self) { $0 }, on: ["t"],
            options: .init(capacity: 1, whenFull: .block(deadline: .seconds(600)))
        ) { _, _ in await family.pass() }
        try await bus.publish(Tick(number: 9, publisher: 1), to: "u")
        let publisher = Task { [bus] in try await bus.publish(Tick(number: 1), to: "t", until: .processed) }
        while !bus.isHoldingPublishersBack { await Task.yield() }
        held.gate.open()
        family.open()
        #expect(try await publisher.value.accepted == 2)
        #expect(held.numbers == [0, 1])
        await bus.stop()
    }

    @Test func `says when a stop has left it without handlers`() async throws {
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 1, whenFull: .block(deadline: .seconds(600))))
        let publisher = Task { [bus] in try await bus.publish(Tick(number: 1), to: "t", until: .processed) }
        while !bus.isHoldingPublishersBack { await Task.yield() }
        let stopping = Task { [bus] in await bus.stop(deadline: .zero) }
        await #expect(throws: LLMgineError(.stopped, "")) { try await publisher.value }
        held.gate.open()
        _ = await stopping.value
    }

    @Test func `names those that are not done in time`() async throws {
        let held = try await HeldSubscription(on: bus, options: .init(name: "held"))
        let receipt = try await bus.publish(Tick(number: 1), to: "t", until: .processed(within: .milliseconds(5)))
        #expect((receipt.accepted, receipt.slow) == (1, ["held"]))
        #expect(receipt.waited >= .milliseconds(5))
        held.gate.open()
        await bus.stop()
    }

    @Test func `ends with its task, and the event goes its way`() async throws {
        let held = try await HeldSubscription(on: bus, options: .init())
        let publisher = Task { [bus] in try await bus.publish(Tick(number: 1), to: "t", until: .processed) }
        try await until { held.subscription.statistics.queued == 2 }
        publisher.cancel()
        await #expect(throws: LLMgineError(.cancelled, "")) { try await publisher.value }
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0, 1])
    }

    @Test func `is fast: nothing waits for a batch to fill`() async throws {
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        let began = ContinuousClock.now
        for number in 0..<500 {
            try await bus.publish(Tick(number: number), to: "t", until: .processed)
            #expect(seen.entries.count == number + 1)
        }
        // A batch window of 10 ms would take five seconds.
        #expect(ContinuousClock.now - began < .seconds(4))
        await bus.stop()
    }

    @Test func `is traced like any other`() async throws {
        let tracer = NodeTracer(sampler: .alwaysOn, enabled: true)
        let bus = MessageBus(
            configuration: BusConfiguration(name: "n", resilience: .swift), observability: ObservabilityManager(tracer: tracer))
        try await bus.subscribe("t") { (_: Tick, _) in }
        try await bus.publish(Tick(number: 1), to: "t", until: .processed)
        await #expect(throws: LLMgineError(.badPayload, "")) {
            try await bus.subscribe("u") { (_: Message, _) in }
            try await bus.publish(Unwritable(), to: "u", until: .processed)
        }
        await bus.stop()
        var spans: [FinishedSpan] = []
        tracer.recorder.drain(into: &spans, maximum: .max)
        #expect(spans.map(\.name).sorted() == ["process t", "publish t", "publish u"])
        await #expect(throws: LLMgineError(.stopped, "")) { try await bus.publish(Tick(number: 1), to: "t", until: .processed) }
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A handler that publishes and waits` {
    private let bus = MessageBus(.swift)

    @Test(arguments: [1, 3])
    func `does not wait for itself`(concurrency: Int) async throws {
        let receipts = Journal<PublishReceipt>()
        let seen = Journal<Int>()
        try await bus.subscribe("t", options: .init(name: "self", concurrency: concurrency)) { [bus] (tick: Tick, _) in
            seen.add(tick.number)
            if tick.number == 0 { receipts.add(try await bus.publish(Tick(number: 1), to: "t", until: .processed)) }
        }
        try await bus.publish(Tick(number: 0), to: "t")
        #expect(await receipts.first(1)[0].slow == ["self"])
        #expect(await seen.first(2) == [0, 1])
        await bus.stop()
    }

    @Test func `does wait for others`() async throws {
        let order = Journal<String>()
        try await bus.subscribe("u") { (_: Tick, _) in order.add("inner") }
        try await bus.subscribe("t") { [bus] (_: Tick, _) in
            try await bus.publish(Tick(number: 1), to: "u", until: .processed)
            order.add("outer")
        }
        try await bus.publish(Tick(number: 0), to: "t", until: .processed)
        #expect(order.entries == ["inner", "outer"])
        await bus.stop()
    }

    @Test func `does not wait for one that waits for it, nor in a longer circle`() async throws {
        let slow = Journal<[String]>()
        let names = ["a", "b", "c"]
        for (index, name) in names.enumerated() {
            let next = try Topic(names[(index + 1) % 3])
            try await bus.subscribe(TopicFilter(name), options: .init(name: name)) { [bus] (tick: Tick, _) in
                guard tick.number < 3 else { return }
                slow.add(try await bus.publish(Tick(number: tick.number + 1), to: next, until: .processed).slow)
            }
        }
        try await bus.publish(Tick(number: 0), to: "a", until: .processed)
        #expect(slow.entries == [["a"], [], []])
        await bus.stop()
    }

    @Test func `does not wait for one that began to wait for it on its own account`() async throws {
        let both = [Gate(), Gate()]
        let slow = Journal<[String]>()
        for (index, name) in ["a", "b"].enumerated() {
            let other = try Topic(["b", "a"][index])
            try await bus.subscribe(TopicFilter(name), options: .init(name: name)) { [bus] (tick: Tick, _) in
                guard tick.number == 0 else { return }
                both[index].open()
                await both[1 - index].pass()
                slow.add(try await bus.publish(Tick(number: 1), to: other, until: .processed).slow)
            }
        }
        try await bus.publish(Tick(number: 0), to: "a")
        try await bus.publish(Tick(number: 0), to: "b")
        // One of the two saw the circle and did not wait; the other waited for it.
        let receipts = await slow.first(2)
        #expect(receipts.filter(\.isEmpty).count == 1)
        await bus.stop()
    }

    @Test func `does not wait for a group that it is a member of`() async throws {
        let slow = Journal<[String]>()
        for _ in 0..<2 {
            try await bus.subscribe("t", options: .init(group: "g")) { [bus] (tick: Tick, _) in
                if tick.number < 4 { slow.add(try await bus.publish(Tick(number: tick.number + 1), to: "t", until: .processed).slow) }
            }
        }
        try await bus.publish(Tick(number: 0), to: "t", until: .processed)
        #expect(await slow.first(4) == Array(repeating: ["g"], count: 4))
        await bus.stop()
    }

    @Test func `with a time limit of its own does not wait for itself either`() async throws {
        let slow = Journal<[String]>()
        try await bus.subscribe("t", options: .init(handlerDeadline: .seconds(60))) { [bus] (tick: Tick, _) in
            if tick.number == 0 { slow.add(try await bus.publish(Tick(number: 1), to: "t", until: .processed).slow) }
        }
        try await bus.publish(Tick(number: 0), to: "t", until: .processed)
        #expect(slow.entries == [["t"]])
        await bus.stop()
    }
}

/// Goes by the wire name of another type and cannot read it.
struct OtherTick: Event {
    static var eventType: String { "Tick" }
    var text: String
}
