import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineTestKit
import Testing

struct Deploy: Command, Equatable {
    var version: String
}

@Suite(.timeLimit(.minutes(1))) struct `An approval that one node asks for` {
    @Test func `is decided on another`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let asked = Inbox<ApprovalRequestEvent>()
        let subscription = try await nodes[1].bus.subscribe(to: ApprovalRequestEvent.self) { event, _ in asked.add(event) }
        try await subscription.established()
        async let result = nodes[0].bus.requestApproval(of: Deploy(version: "2"), from: "ann")
        let event = await asked.wait(for: 1)[0]
        #expect(try event.command(as: Deploy.self) == Deploy(version: "2"))
        let told = try await nodes[1].bus.approve(event.id, by: "ann", note: "fine")
        #expect(try await result == told)
        #expect((told.status, told.decidedBy, told.note) == (.approved, "ann", "fine"))
        // It is over, and the node that had it says so.
        await #expect(throws: LLMgineError.self) { try await nodes[1].bus.deny(event.id) }
        for node in nodes { await node.stop() }
    }
}
