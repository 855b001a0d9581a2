import LLMgineBus
import LLMgineCore
import LLMgineResilience
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A queue group with members that cannot take an event` {
    private static let tooLarge = LLMgineError(.limitExceeded, "the payload is too large for the link")

    /// Two publishes, so that each member has its turn once.
    @Test func `waits for one that can`() async throws {
        let bus = MessageBus(.swift)
        let able = MemberRoute("able", group: "g")
        for route in [MemberRoute("small", group: "g", failure: Self.tooLarge), able] { bus.addRemote(route.flow) }
        for _ in 1...2 {
            let receipt = try await bus.publish(Message("t", "x"))
            #expect((receipt.matched, receipt.accepted, receipt.rejected) == (1, 1, 0))
        }
        #expect(able.count == 2)
        await bus.stop()
    }

    @Test(arguments: [["small", "able"], ["able", "small"]] as [[NodeID]])
    func `leaves the other groups theirs`(order: [NodeID]) async throws {
        let bus = MessageBus(.swift)
        let routes = order.map { MemberRoute($0, group: "group of \($0)", failure: $0 == "small" ? Self.tooLarge : nil) }
        for route in routes { bus.addRemote(route.flow) }
        let plain = try await bus.publish(Message("t", "x"))
        #expect((plain.matched, plain.accepted, plain.rejected) == (2, 1, 1))
        let tracked = try await bus.publish(Tick(number: 1), to: "t", until: .processed)
        #expect((tracked.matched, tracked.accepted, tracked.rejected) == (2, 1, 1))
        #expect(routes.map(\.count).reduce(0, +) == 2)
        await bus.stop()
    }

    @Test func `gets its event also if a link outside cannot carry it`() async throws {
        let bus = MessageBus(.swift)
        let able = MemberRoute("able", group: "g")
        for route in [MemberRoute("small", group: nil, failure: Self.tooLarge), able] { bus.addRemote(route.flow) }
        let receipt = try await bus.publish(Tick(number: 1), to: "t", until: .processed)
        #expect((receipt.matched, receipt.accepted, receipt.rejected) == (2, 1, 1))
        #expect(able.count == 1)
        await bus.stop()
    }

    @Test func `fails the publish if nobody else is there`() async throws {
        let bus = MessageBus(.swift)
        for group in [nil, "g"] { bus.addRemote(MemberRoute("small", group: group, failure: Self.tooLarge).flow) }
        await #expect(throws: Self.tooLarge) { try await bus.publish(Message("t", "x")) }
        await #expect(throws: Self.tooLarge) { try await bus.publish(Tick(number: 1), to: "t") }
        await bus.stop()
    }

    /// Two publishes, so that each member has its turn once.
    @Test func `passes over one that refuses it, unless all do`() async throws {
        let bus = MessageBus(.swift)
        bus.addRemote(MemberRoute("refuses", group: "g", refuses: true).flow)
        let alone = try await bus.publish(Message("t", "x"))
        #expect((alone.matched, alone.accepted, alone.rejected) == (1, 0, 1))
        let able = MemberRoute("able", group: "g")
        bus.addRemote(able.flow)
        for _ in 1...2 {
            let receipt = try await bus.publish(Message("t", "x"))
            #expect((receipt.matched, receipt.accepted, receipt.rejected) == (1, 1, 0))
        }
        #expect(able.count == 2)
        await bus.stop()
    }

    /// Two publishes, so that each member has its turn once.
    @Test func `waits for one that has not ended`() async throws {
        let bus = MessageBus(.swift)
        let options = SubscriptionOptions(group: "g", capacity: 1, whenFull: .block(deadline: .seconds(600)))
        let ending = try await HeldSubscription(on: bus, options: options)
        async let end: Void = ending.subscription.finish(within: .seconds(600))
        while try await bus.publish(Tick(number: 9), to: "t").matched > 0 { await Task.yield() }
        let full = try await HeldSubscription(on: bus, options: options)
        async let first = bus.publish(Tick(number: 1), to: "t")
        async let second = bus.publish(Tick(number: 2), to: "t")
        while !bus.isHoldingPublishersBack { await Task.yield() }
        full.gate.open()
        #expect(try await (first.accepted, second.accepted) == (1, 1))
        await full.seen.first(3)
        ending.gate.open()
        await end
        #expect(ending.numbers == [0])
        await bus.stop()
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A subscription that is full again` {
    @Test func `is not taken for stuck because another one was waited for`() async throws {
        let bus = MessageBus(.swift)
        let whenFull = WhenFull.block(deadline: .seconds(1))
        let stuck = try await HeldSubscription(on: bus, "a.t", options: .init(name: "stuck", capacity: 1, whenFull: whenFull))
        let (turns, seen) = ([1: Gate(), 3: Gate()], Journal<Int>())
        try await bus.subscribe("a.*", options: .init(name: "busy", capacity: 1, whenFull: whenFull)) { (tick: Tick, _) in
            seen.add(tick.number)
            await turns[tick.number]?.pass()
        }
        try await bus.publish(Tick(number: 1), to: "a.u")
        await seen.first(1)
        async let publish = bus.publish(Tick(number: 2), to: "a.t")
        while !bus.isHoldingPublishersBack { await Task.yield() }
        turns[1]?.open()
        try await bus.publish(Tick(number: 3), to: "a.u")
        await seen.first(2)
        // The publisher has had enough of the other one, and comes to this one, which is full.
        while stuck.subscription.statistics.queued < 2 { await Task.yield() }
        // It waits there for longer than it would for one whose time is over.
        let hundred = WhenFull.block(deadline: .milliseconds(100))
        let clock = try await HeldSubscription(on: bus, "clock", options: .init(capacity: 1, whenFull: hundred))
        try await bus.publish(Tick(number: 1), to: "clock")
        turns[3]?.open()
        let receipt = try await publish
        #expect((receipt.slow, receipt.accepted, receipt.evicted) == (["stuck"], 2, 0))
        #expect(await seen.first(3) == [1, 3, 2])
        for held in [stuck, clock] { held.gate.open() }
        await bus.stop()
    }
}
