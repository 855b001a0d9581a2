import LLMgineBus
import LLMgineCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A node that takes smaller events than others` {
    private static let tooLarge = LLMgineError(.limitExceeded, "the payload is too large for the link")

    @Test(arguments: [["small", "b", "c"], ["b", "small", "c"], ["b", "c", "small"]] as [[NodeID]])
    func `refuses one that is too large, and all others get it`(order: [NodeID]) async throws {
        let bus = MessageBus(.swift)
        let routes = order.map { MemberRoute($0, failure: $0 == "small" ? Self.tooLarge : nil) }
        for route in routes { bus.addRemote(route.flow) }
        let ofBytes = try await bus.publish(Message("t", "x"))
        #expect((ofBytes.matched, ofBytes.accepted, ofBytes.rejected) == (3, 2, 1))
        let ofEvent = try await bus.publish(Tick(number: 1), to: "t")
        #expect((ofEvent.matched, ofEvent.accepted, ofEvent.rejected) == (3, 2, 1))
        #expect(routes.map(\.count) == order.map { $0 == "small" ? 0 : 2 })
        await bus.stop()
    }

    @Test func `refuses it, and a subscription here gets it`() async throws {
        let bus = MessageBus(.swift)
        bus.addRemote(MemberRoute("small", failure: Self.tooLarge).flow)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        let receipt = try await bus.publish(Tick(number: 7), to: "t")
        #expect((receipt.matched, receipt.accepted, receipt.rejected) == (2, 1, 1))
        #expect(await seen.first(1) == [7])
        await bus.stop()
    }

    @Test(arguments: [1, 2]) func `is the reason why a publish fails if nobody else matches`(count: Int) async throws {
        let bus = MessageBus(.swift)
        let nodes: [NodeID] = ["small", "smaller"]
        for node in nodes.prefix(count) { bus.addRemote(MemberRoute(node, failure: Self.tooLarge).flow) }
        await #expect(throws: Self.tooLarge) { try await bus.publish(Message("t", "x")) }
        await #expect(throws: Self.tooLarge) { try await bus.publish(Tick(number: 1), to: "t") }
        await bus.stop()
    }
}
