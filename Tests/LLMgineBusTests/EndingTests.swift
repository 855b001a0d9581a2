import LLMgineBus
import LLMgineCore
import LLMgineResilience
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `The end of a subscription` {
    @Test func `puts what is queued into the dead letters`() async throws {
        let bus = MessageBus(.swift)
        let started = Journal<Int>()
        let subscription = try await bus.subscribe("t", options: .init(name: "s")) { (tick: Tick, _) in
            started.add(tick.number)
            try await cancellation()
        }
        for number in 0..<5 { try await bus.publish(Tick(number: number), to: "t", options: .init(headers: ["k": "\(number)"])) }
        await started.first(1)
        await subscription.cancel()
        #expect(try await bus.publish(Tick(number: 9), to: "t").matched == 0)
        let letters = bus.deadLetters.list()
        #expect(letters.map(\.error.code) == Array(repeating: .stopped, count: 5))
        #expect(letters.map(\.attempts) == [1, 0, 0, 0, 0])
        #expect(letters.map(\.content.headers["k"]) == ["0", "1", "2", "3", "4"])
        #expect(letters.map(\.message.sequence) == [1, 2, 3, 4, 5])
        #expect(try letters.map { try Tick(decoding: $0.content.payload).number } == [0, 1, 2, 3, 4])
        #expect(Set(letters.map(\.subscription)) == ["s"])
        #expect(started.entries == [0])
        #expect((subscription.statistics.queued, subscription.statistics.stopped) == (0, 5))
        await bus.stop()
    }

    @Test func `can wait until what is queued has been handled`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init())
        for number in 1...100 { try await bus.publish(Tick(number: number), to: "t") }
        async let ending: Void = held.subscription.finish(within: .seconds(600))
        held.gate.open()
        await ending
        #expect(held.numbers == Array(0...100))
        #expect((bus.deadLetters.count, bus.subscriptionCount) == (0, 0))
        await bus.stop()
    }

    @Test func `can be asked for by its own handler`() async throws {
        let bus = MessageBus(.swift)
        let handle = Journal<Subscription>()
        let ended = Gate()
        let subscription = try await bus.subscribe("t") { (_: Tick, _) in
            await handle.first(1)[0].cancel()
            ended.open()
        }
        handle.add(subscription)
        try await bus.publish(Tick(number: 1), to: "t")
        await ended.pass()
        #expect(bus.subscriptionCount == 0)
        await bus.stop()
    }

    @Test func `wakes the publishers that wait for it`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 1, whenFull: .block(deadline: .seconds(600))))
        let publisher = Task { try await bus.publish(Tick(number: 1), to: "t") }
        while !bus.isHoldingPublishersBack { await Task.yield() }
        async let ending: Void = held.subscription.cancel()
        #expect(try await publisher.value.matched == 0)
        held.gate.open()
        await ending
        await bus.stop()
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Stopping a bus` {
    @Test func `lets handlers finish what is queued`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init())
        for number in 1...1000 { try await bus.publish(Tick(number: number), to: "t") }
        async let left = bus.stop()
        held.gate.open()
        #expect(await left == [:])
        #expect(held.numbers == Array(0...1000))
        #expect(bus.deadLetters.count == 0)
    }

    @Test func `saves what is not handled by the deadline`() async throws {
        let bus = MessageBus(.swift)
        let started = Journal<Int>()
        try await bus.subscribe("t", options: .init(name: "s")) { (tick: Tick, _) in
            started.add(tick.number)
            try await cancellation()
        }
        for number in 0..<4 { try await bus.publish(Tick(number: number), to: "t") }
        await started.first(1)
        #expect(await bus.stop(deadline: .zero) == ["s": 4])
        #expect(bus.deadLetters.list().map(\.error.code) == Array(repeating: .stopped, count: 4))
        #expect(await bus.stop() == [:])
    }

    @Test func `does not wait for a handler that does not listen`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(name: "deaf"))
        try await bus.publish(Tick(number: 1), to: "t")
        try await bus.publish(Tick(number: 2), to: "t")
        #expect(await bus.stop(deadline: .zero) == ["deaf": 3])
        #expect(bus.deadLetters.count == 2)
        held.gate.open()
    }

    @Test func `ends requests that are under way`() async throws {
        let bus = MessageBus(.swift)
        let asked = Gate()
        try await bus.respond(to: "q") { _, _ in
            asked.open()
            try await cancellation()
            return .init()
        }
        let answer = try await bus.request(Message("q", ""))
        await asked.pass()
        await bus.stop(deadline: .zero)
        await #expect(throws: LLMgineError.self) { try await answer.first() }
    }
}
