import LLMgineCore
import LLMgineNode
import LLMgineTestKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A member that has fallen silent` {
    private func state(of member: NodeID, at node: Node) async -> String? {
        await node.status().members.first { $0.node == member }?.state
    }

    @Test func `is shown as suspect, and as linked once it is heard again`() async throws {
        let cluster = try TestCluster()
        let proxy = try await CutProxy()
        let (a, b) = try await proxy.pair(of: cluster)
        #expect(await state(of: "b", at: a) == "linked")
        try await proxy.freeze()
        while await state(of: "b", at: a) == "linked" { try Task.checkCancellation() }
        #expect(await state(of: "b", at: a) == "suspect")
        #expect(a.peers == ["b"])
        try await proxy.thaw()
        while await state(of: "b", at: a) == "suspect" { try Task.checkCancellation() }
        #expect(await state(of: "b", at: a) == "linked")
        for node in [b, a] { await node.stop() }
        await proxy.close()
        cluster.remove()
    }
}
