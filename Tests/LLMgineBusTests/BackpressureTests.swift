import LLMgineBus
import LLMgineCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A full subscription` {
    @Test func `that blocks holds the publisher until there is room`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 4, whenFull: .block(deadline: .seconds(600))))
        for number in 1..<4 { #expect(try await bus.publish(Tick(number: number), to: "t").waited == .zero) }
        let publisher = Task { try await bus.publish(Tick(number: 4), to: "t") }
        while !bus.isHoldingPublishersBack { await Task.yield() }
        held.gate.open()
        let receipt = try await publisher.value
        #expect((receipt.matched, receipt.accepted, receipt.slow) == (1, 1, []))
        #expect(receipt.waited > .zero)
        await held.seen.first(5)
        #expect(held.numbers == [0, 1, 2, 3, 4])
        #expect(!bus.isHoldingPublishersBack)
        await bus.stop()
    }

    @Test func `is demoted at the deadline, loses its oldest, and is waited for again once it has caught up`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(
            on: bus, options: .init(name: "slow", capacity: 2, whenFull: .block(deadline: .milliseconds(1))))
        try await bus.publish(Tick(number: 1), to: "t")
        let late = try await bus.publish(Tick(number: 2), to: "t")
        #expect((late.slow, late.evicted, late.accepted) == (["slow"], 1, 1))
        let demoted = try await bus.publish(Tick(number: 3), to: "t")
        #expect((demoted.slow, demoted.evicted, demoted.waited) == ([], 1, .zero))
        held.gate.open()
        let last = await held.seen.first(2)[1]
        #expect((last.0.number, last.1.missed) == (3, 2))
        while held.subscription.statistics.queued > 0 { await Task.yield() }

        let again = Gate()
        try await bus.subscribe("u", options: .init(name: "slow2", capacity: 1, whenFull: .block(deadline: .milliseconds(1)))) {
            (_: Tick, _) in
            await again.pass()
        }
        try await bus.publish(Tick(number: 0), to: "u")
        let first = try await bus.publish(Tick(number: 1), to: "u")
        // The event that is being handled cannot be evicted: the queue takes one more than it may.
        #expect((first.slow, first.evicted, first.accepted) == (["slow2"], 0, 1))
        again.open()
        await bus.stop()
    }

    @Test func `that has caught up is waited for again`() async throws {
        let bus = MessageBus(.swift)
        let gates = [Gate(), Gate()]
        let seen = Journal<Int>()
        let subscription = try await bus.subscribe("t", options: .init(capacity: 2, whenFull: .block(deadline: .milliseconds(1)))) {
            (tick: Tick, _) in
            seen.add(tick.number)
            if tick.number == 0 { await gates[0].pass() }
            if tick.number == 10 { await gates[1].pass() }
        }
        for number in 0..<4 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(subscription.statistics.evicted > 0)
        gates[0].open()
        let caughtUp = await seen.first(2)
        #expect(caughtUp[0] == 0)
        try await until { subscription.isIdle }
        try await bus.publish(Tick(number: 10), to: "t")
        try await bus.publish(Tick(number: 11), to: "t")
        let receipt = try await bus.publish(Tick(number: 12), to: "t")
        #expect(receipt.waited > .zero && receipt.slow == ["t"])
        gates[1].open()
        await bus.stop()
    }

    @Test func `that drops its oldest tells of the gap`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 3, whenFull: .dropOldest))
        var evicted = 0
        for number in 1...10 { evicted += try await bus.publish(Tick(number: number), to: "t").evicted }
        #expect(evicted == 8)
        held.gate.open()
        let seen = await held.seen.first(3)
        #expect(seen.map(\.0.number) == [0, 9, 10])
        #expect(seen.map(\.1.missed) == [0, 8, 0])
        await bus.stop()
        #expect(held.subscription.statistics.evicted == 8)
        #expect(held.subscription.statistics.missed == 8)
    }

    @Test func `lets the least urgent go first`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 4, whenFull: .dropOldest))
        for (number, priority) in [(1, Priority.urgent), (2, .low), (3, .low), (4, .urgent), (5, .normal)] {
            try await bus.publish(Tick(number: number), to: "t", options: .init(priority: priority))
        }
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0, 1, 4, 5])
    }

    @Test func `that rejects what is new says so in the receipt`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 2, whenFull: .rejectNew))
        try await bus.publish(Tick(number: 1), to: "t")
        let receipt = try await bus.publish(Tick(number: 2), to: "t")
        #expect((receipt.matched, receipt.accepted, receipt.rejected) == (1, 0, 1))
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0, 1])
        #expect(held.subscription.statistics.rejected == 1)
    }

    @Test func `gives way when the publisher is cancelled`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 1, whenFull: .block(deadline: .seconds(600))))
        let publisher = Task { try await bus.publish(Tick(number: 1), to: "t") }
        while !bus.isHoldingPublishersBack { await Task.yield() }
        publisher.cancel()
        await #expect(throws: LLMgineError(.cancelled, "")) { try await publisher.value }
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0])
    }

    @Test func `whose handler never returns holds up nobody else`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 2, whenFull: .dropOldest))
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        for number in 1...1000 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(await seen.first(1000) == Array(1...1000))
        held.gate.open()
        await bus.stop()
    }
}

extension Subscription {
    var isIdle: Bool { statistics.queued == 0 }
}

/// Lets other tasks run until something holds that nobody announces.
func until(_ condition: () -> Bool) async throws {
    while !condition() {
        try Task.checkCancellation()
        await Task.yield()
    }
}
