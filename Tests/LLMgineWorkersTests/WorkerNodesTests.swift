import LLMgineCore
import LLMgineLLM
import LLMgineNode
import LLMgineProviders
import LLMgineTestKit
import LLMgineWorkers
import Testing

@Suite(.timeLimit(.minutes(1))) struct `Nodes with workers` {
    @Test func `share the calls of a node that has none, and lose none when one of them leaves`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b", "c"])
        for node in nodes[1...] {
            try await node.offer([EmbeddedProvider()], slots: 2).established()
        }
        let answers = try await withThrowingTaskGroup(of: LLMResponse.self) { group in
            for number in 0..<60 {
                group.addTask {
                    let request = LLMRequest(
                        model: "embedded/echo", messages: [.user("call \(number)")],
                        extensions: ["embedded": ["firstTokenDelayMilliseconds": 2]])
                    return try await nodes[0].llm.generate(request)
                }
            }
            var answers: [LLMResponse] = []
            for try await answer in group {
                answers.append(answer)
                if answers.count == 20 { group.addTask { await Self.leave(nodes[2]) } }
            }
            return answers.filter { !$0.provider.isEmpty }
        }
        #expect(answers.count == 60)
        #expect(Set(answers.map(\.text)).count == 60)
        #expect(Set(answers.compactMap(\.worker)) == ["b", "c"])
        for node in nodes { await node.stop() }
    }

    /// Stops a node at once; calls that run there are ended. Gives an answer only to fit among the others.
    private static func leave(_ node: Node) async -> LLMResponse {
        await node.stop(deadline: .zero)
        return LLMResponse(model: "", provider: "", text: "")
    }

    @Test func `stream across the link, and end the call when the reader stops`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let provider = WatchedProvider(first: "some")
        try await nodes[1].offer([provider], slots: 1).established()
        for try await event in nodes[0].llm.stream(LLMRequest(model: "watched/m", messages: [])) where event.kind.isContent { break }
        await provider.ends()
        provider.release()
        let answer = try await nodes[0].llm.generate(LLMRequest(model: "watched/m", messages: []))
        #expect(answer.text == "somedone")
        #expect(answer.worker == "b")
        for node in nodes { await node.stop() }
    }
}
