import LLMgineBus
import LLMgineCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A publish` {
    @Test func `tells what became of the event`() async throws {
        let bus = MessageBus(.swift)
        #expect(try await bus.publish(Tick(number: 1), to: "nobody").matched == 0)
        try await bus.subscribe("a.>") { (_: Tick, _) in }
        try await bus.subscribe("a.*") { (_: Message, _) in }
        try await bus.subscribe("b") { (_: Tick, _) in }
        let receipt = try await bus.publish(Tick(number: 2), to: "a.b")
        #expect((receipt.matched, receipt.accepted, receipt.evicted, receipt.rejected) == (2, 2, 0, 0))
        #expect(receipt.id == MessageID(node: "n", incarnation: Incarnation(1), sequence: 2))
        #expect(await bus.stop() == [:])
    }

    @Test func `reaches handlers of the type and handlers of bytes, and no others`() async throws {
        let bus = MessageBus(.swift)
        let ticks = Journal<Tick>()
        let bytes = Journal<String?>()
        try await bus.subscribe("t") { (tick: Tick, _) in ticks.add(tick) }
        try await bus.subscribe("t") { (message: Message, _) in bytes.add(message.eventType) }
        let other = try await bus.subscribe("t") { (_: Tock, _) in Issue.record("an event of another type came") }
        #expect(try await bus.publish(Tick(number: 1), to: "t").matched == 2)
        try await bus.publish(Message("t", #"{"number":2,"publisher":0}"#))
        #expect(await ticks.first(2) == [Tick(number: 1), Tick(number: 2)])
        #expect(await bytes.first(2) == ["Tick", nil])
        await other.cancel()
        await bus.stop()
    }

    @Test func `carries headers, session and priority to the handler`() async throws {
        let bus = MessageBus(.swift)
        let contexts = Journal<EventContext>()
        try await bus.subscribe("t", options: .init(session: "s")) { (_: Tick, context) in contexts.add(context) }
        try await bus.publish(Tick(number: 1), to: "t", options: .init(session: "other"))
        try await bus.publish(Tick(number: 2), to: "t", options: .init(priority: .high, session: "s", headers: ["a": "b"]))
        let context = await contexts.first(1)[0]
        #expect((context.session, context.priority, context.headers["a"], context.sequence, context.attempt) == ("s", .high, "b", 2, 1))
        #expect((context.topic, context.publisher, context.missed) == ("t", "n", 0))
        await bus.stop()
        #expect(contexts.entries.count == 1)
    }

    @Test func `does not deliver what has outlived its time`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init())
        try await bus.publish(Tick(number: 1), to: "t", options: .init(timeToLive: .zero))
        try await bus.publish(Tick(number: 2), to: "t", options: .init(timeToLive: .seconds(60)))
        held.gate.open()
        await held.seen.first(2)
        #expect(held.numbers == [0, 2])
        await bus.stop()
        #expect(held.subscription.statistics.expired == 1)
    }

    @Test func `fails once the bus has stopped`() async throws {
        let bus = MessageBus(.swift)
        await bus.stop()
        await #expect(throws: LLMgineError(.stopped, "")) { try await bus.publish(Tick(number: 1), to: "t") }
        await #expect(throws: LLMgineError(.stopped, "")) { try await bus.subscribe("t") { (_: Tick, _) in } }
        await #expect(throws: LLMgineError(.stopped, "")) { try await bus.request(Message("t", "")) }
    }

    @Test func `keeps the order of each of two publishers`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Tick>()
        try await bus.subscribe("t", options: .init(capacity: 16, whenFull: .block(deadline: .seconds(600)))) { (tick: Tick, _) in
            seen.add(tick)
        }
        await withTaskGroup { group in
            for publisher in 1...2 {
                group.addTask {
                    for number in 0..<500 { _ = try? await bus.publish(Tick(number: number, publisher: publisher), to: "t") }
                }
            }
        }
        await seen.first(1000)
        for publisher in 1...2 { #expect(seen.entries.filter { $0.publisher == publisher }.map(\.number) == Array(0..<500)) }
        await bus.stop()
    }

    @Test func `in a handler never waits for itself`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        let subscription = try await bus.subscribe("t", options: .init(capacity: 4, whenFull: .block(deadline: .seconds(600)))) {
            (tick: Tick, _) in
            seen.add(tick.number)
            guard tick.number == 0 else { return }
            for number in 1...20 { try await bus.publish(Tick(number: number), to: "t") }
        }
        try await bus.publish(Tick(number: 0), to: "t")
        // Three are queued beside the one that is being handled; the oldest went for each that came after.
        #expect(await seen.first(4) == [0, 18, 19, 20])
        await bus.stop()
        #expect(subscription.statistics.evicted == 17)
        #expect(subscription.statistics.missed == 17)
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Priorities` {
    @Test func `let urgent events overtake what is queued, and keep the order within a class`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init())
        for (number, priority) in [(1, Priority.low), (2, .normal), (3, .urgent), (4, .high), (5, .urgent), (6, .low)] {
            try await bus.publish(Tick(number: number), to: "t", options: .init(priority: priority))
        }
        held.gate.open()
        await held.seen.first(7)
        #expect(held.numbers == [0, 3, 5, 4, 2, 1, 6])
        await bus.stop()
    }

    @Test func `interrupt a chunk that is being worked through`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in
            seen.add(tick.number)
            if tick.number == 10 { try await bus.publish(Tick(number: 1000), to: "t", options: .init(priority: .urgent)) }
        }
        for number in 0..<100 { try await bus.publish(Tick(number: number), to: "t") }
        let all = await seen.first(101)
        #expect(all == Array(0...10) + [1000] + Array(11..<100))
        await bus.stop()
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A queue group` {
    @Test func `gives each event to one member, in turn`() async throws {
        let bus = MessageBus(.swift)
        let seen = [Journal<Int>(), Journal<Int>()]
        for journal in seen {
            try await bus.subscribe("t", options: .init(group: "g")) { (tick: Tick, _) in journal.add(tick.number) }
        }
        for number in 0..<100 { #expect(try await bus.publish(Tick(number: number), to: "t").matched == 1) }
        await bus.stop()
        #expect(seen.map(\.entries.count) == [50, 50])
        #expect((seen[0].entries + seen[1].entries).sorted() == Array(0..<100))
    }

    @Test func `passes over a member without room`() async throws {
        let bus = MessageBus(.swift)
        let gate = Gate()
        let stuck = Journal<Int>()
        let free = Journal<Int>()
        try await bus.subscribe("t", options: .init(group: "g", capacity: 2)) { (tick: Tick, _) in
            stuck.add(tick.number)
            await gate.pass()
        }
        try await bus.subscribe("t", options: .init(group: "g")) { (tick: Tick, _) in free.add(tick.number) }
        for number in 0..<50 { #expect(try await bus.publish(Tick(number: number), to: "t").waited == .zero) }
        await free.first(48)
        gate.open()
        await bus.stop()
        #expect(stuck.entries.count == 2)
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Concurrency` {
    @Test func `runs so many handlers at once and no more`() async throws {
        let bus = MessageBus(.swift)
        let gate = Gate()
        let started = Journal<Int>()
        let subscription = try await bus.subscribe("t", options: .init(concurrency: 3)) { (tick: Tick, _) in
            started.add(tick.number)
            await gate.pass()
        }
        for number in 0..<10 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(await Set(started.first(3)) == [0, 1, 2])
        #expect(subscription.statistics.queued == 10)
        gate.open()
        #expect(await bus.stop() == [:])
        #expect(subscription.statistics.processed == 10)
        #expect(started.entries.count == 10)
    }

    @Test func `is settled when the bus stops`() async throws {
        let bus = MessageBus(.swift)
        let started = Journal<Int>()
        let subscription = try await bus.subscribe("t", options: .init(concurrency: 2)) { (tick: Tick, _) in
            started.add(tick.number)
            try await cancellation()
        }
        for number in 0..<5 { try await bus.publish(Tick(number: number), to: "t") }
        await started.first(2)
        #expect(await bus.stop(deadline: .zero) == ["t": 5])
        #expect(subscription.statistics.stopped == 5)
        #expect(bus.deadLetters.count == 5)
    }
}
