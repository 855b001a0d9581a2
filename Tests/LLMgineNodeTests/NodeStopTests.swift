import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineTestKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct `The stop of a node` {
    @Test func `ends the wait for peers that will never answer`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let proxy = try await CutProxy()
        let (a, b) = try await proxy.pair(of: cluster)
        try await proxy.freeze()
        try await b.bus.subscribe("t") { (_: Message, _) in }
        // It waits when this returns.
        let asking = Task.immediate { try await b.established(within: .seconds(600)) }
        await b.stop(deadline: .zero)
        await #expect(throws: LLMgineError(.stopped, "")) { try await asking.value }
        await #expect(throws: LLMgineError(.stopped, "")) { try await b.established() }
        await proxy.close()
        await a.stop()
    }

    @Test func `that is asked for twice is one, and both hear what it has left`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let node = try await cluster.node("a")
        let (started, gate) = (Inbox<Int>(), Inbox<Int>())
        try await node.bus.subscribe("orders", options: .init(name: "held")) { (order: OrderPlaced, _) in
            started.add(order.id)
            _ = await gate.wait(for: 1)
        }
        try await node.bus.publish(OrderPlaced(id: 1), to: "orders")
        _ = await started.wait(for: 1)
        async let first = node.stop(deadline: .zero)
        async let second = node.stop(deadline: .zero)
        let both = await [first, second]
        #expect(both == [["held": 1], ["held": 1]])
        #expect(await node.stop() == ["held": 1])
        gate.add(1)
    }
}
