import LLMgineBus
import LLMgineCore
import LLMgineResilience
import Testing

/// What the bus of the predecessor did wrong, as it would show here. The limits are far above what this bus takes, and far below what that one took.
@Suite(.timeLimit(.minutes(1))) struct `A fault of the predecessor` {
    /// W3: every publish waited for a batch, 10.7 ms each: 90 events a second.
    @Test func `is not that publishing waits for handlers or batches`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init())
        let start = ContinuousClock.now
        for number in 1...1000 { #expect(try await bus.publish(Tick(number: number), to: "t").waited == .zero) }
        #expect(ContinuousClock.now - start < .seconds(2))
        #expect(held.numbers == [0])
        held.gate.open()
        await held.seen.first(1001)
        await bus.stop()
    }

    /// W4: an idle bus looked for events ten times a second: 59 ms until a handler was called.
    @Test func `is not that an idle bus looks for events now and then`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        let subscription = try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        var latencies: [Duration] = []
        for number in 1...50 {
            try await until { subscription.isIdle }
            let start = ContinuousClock.now
            try await bus.publish(Tick(number: number), to: "t")
            await seen.first(number)
            latencies.append(ContinuousClock.now - start)
        }
        #expect(latencies.sorted()[25] < .milliseconds(10), "\(latencies)")
        await bus.stop()
    }

    /// W5: 699 to 4,728 events a second, and 1.2 s under load, where 10,000 at 10 ms were claimed.
    @Test func `is not that a burst takes long`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        let start = ContinuousClock.now
        for number in 0..<5000 { try await bus.publish(Tick(number: number), to: "t") }
        await seen.first(5000)
        #expect(ContinuousClock.now - start < .seconds(5))
        await bus.stop()
    }

    /// W6: a handler that published waited for a queue that could not drain until it returned.
    @Test func `is not that a handler cannot publish to itself`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in
            if tick.number < 100 { try await bus.publish(Tick(number: tick.number + 1), to: "t") }
            seen.add(tick.number)
        }
        try await bus.publish(Tick(number: 0), to: "t")
        #expect(await seen.first(101) == Array(0...100))
        await bus.stop()
    }

    /// W8: what was queued when the bus stopped was gone: 1000 queued, 0 processed.
    @Test func `is not that stopping discards what is queued`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init())
        for number in 1...1000 { try await bus.publish(Tick(number: number), to: "t") }
        held.gate.open()
        #expect(await bus.stop(deadline: .seconds(30)) == [:])
        #expect(held.numbers == Array(0...1000))
    }

    /// W18: where an event came from and what handled it always named the same generated line.
    @Test func `is not that nobody knows where an event came from and who handled it`() async throws {
        let bus = MessageBus(configuration: BusConfiguration(name: "here", resilience: .swift))
        let contexts = Journal<EventContext>()
        try await bus.subscribe("outer", options: .init(name: "relay")) { (tick: Tick, context) in
            contexts.add(context)
            try await bus.publish(tick, to: "inner")
        }
        try await bus.subscribe("inner", options: .init(name: "sink")) { (_: Tick, context) in
            contexts.add(context)
            throw Mishap()
        }
        let receipt = try await bus.publish(Tick(number: 1), to: "outer", until: .processed)
        let seen = await contexts.first(2)
        #expect(seen.map(\.publisher) == ["here", "here"])
        #expect(seen.map(\.topic) == ["outer", "inner"])
        #expect(seen[0].id == receipt.id && seen[1].id > receipt.id)
        await contexts.first(5)
        try await until { bus.deadLetters.count == 1 }
        let letter = try #require(bus.deadLetters.list().first)
        #expect((letter.message, letter.subscription, letter.content.topic) == (seen[1].id, "sink", "inner"))
        await bus.stop()
    }

    /// W11: one event after another over all sessions: B waited 2 s behind A's slow handlers.
    @Test func `is not that a session waits behind another one`() async throws {
        let bus = MessageBus(.swift)
        let slow = Gate()
        let seen = Journal<Int>()
        try await bus.subscribe("t", options: .init(session: "a")) { (_: Tick, _) in await slow.pass() }
        try await bus.subscribe("t", options: .init(session: "b")) { (tick: Tick, _) in seen.add(tick.number) }
        for number in 0..<4 { try await bus.publish(Tick(number: number), to: "t", options: .init(session: "a")) }
        try await bus.publish(Tick(number: 9), to: "t", options: .init(session: "b"))
        #expect(await seen.first(1) == [9])
        #expect(!slow.isOpen)
        slow.open()
        await bus.stop()
    }
}

/// What applications do wrong, and what the bus makes of it.
@Suite(.timeLimit(.minutes(1))) struct `A bad handler` {
    @Test func `that publishes in a loop is bounded by its queue, and others go on`() async throws {
        let bus = MessageBus(.swift)
        let endless = try await bus.subscribe("loop", options: .init(name: "endless", capacity: 10)) { (tick: Tick, _) in
            for number in 0..<3 where !Task.isCancelled { try await bus.publish(Tick(number: tick.number + number), to: "loop") }
        }
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        try await bus.publish(Tick(number: 0), to: "loop")
        try await until { endless.statistics.evicted > 100 }
        #expect(endless.statistics.queued <= 11)
        for number in 0..<100 { try await bus.publish(Tick(number: number), to: "t") }
        await seen.first(100)
        await endless.cancel()
        #expect(endless.statistics.queued == 0)
        await bus.stop()
    }

    @Test func `that throws costs the others nothing`() async throws {
        let bus = MessageBus(.swift)
        let bad = try await bus.subscribe("t", options: .init(name: "bad")) { (_: Tick, _) in throw Verdict(isRetryable: false) }
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        for number in 0..<100 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(await seen.first(100) == Array(0..<100))
        await bus.stop()
        #expect((bad.statistics.failed, bad.statistics.deadLettered, bus.deadLetters.count) == (100, 100, 100))
    }

    @Test func `that holds on when it is cancelled does not keep the bus from stopping, and loses nothing`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(name: "deaf"))
        for number in 1...5 { try await bus.publish(Tick(number: number), to: "t") }
        let left = await bus.stop(deadline: .zero)
        #expect(left == ["deaf": 6])
        #expect(bus.deadLetters.count == 5)
        held.gate.open()
    }
}

@Suite(.timeLimit(.minutes(1))) struct `An event that does not encode` {
    private struct Secret: Event {
        var number: Int
        func encode(to encoder: any Encoder) throws { throw Mishap() }
    }

    @Test func `reaches handlers of its own type`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (secret: Secret, _) in seen.add(secret.number) }
        #expect(try await bus.publish(Secret(number: 7), to: "t").accepted == 1)
        #expect(await seen.first(1) == [7])
        await bus.stop()
    }

    @Test func `is an error for its publisher where bytes are wanted, and nothing else is disturbed`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<String>()
        try await bus.subscribe("t") { (message: Message, _) in seen.add(message.text) }
        await #expect(throws: LLMgineError(.badPayload, "")) { try await bus.publish(Secret(number: 1), to: "t") }
        try await bus.publish(Message("t", "next"))
        #expect(await seen.first(1) == ["next"])
        await bus.stop()
    }
}
