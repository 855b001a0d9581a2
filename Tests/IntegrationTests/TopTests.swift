import Foundation
import LLMgineCore
import LLMgineLLM
import LLMgineTestKit
import Testing

@Suite(.timeLimit(.minutes(2))) struct `llmgine top` {
    @Test func `shows every node with what it does, whichever is asked`() async throws {
        let machine = try await Machine(nodes: "a", "b", "cli")
        let a = try await machine.node("a")
        let b = try await machine.node("b", "node.seeds=\(a.address)")
        try await b.logged("peer linked", "peer=a")
        let options = ["--connect", a.address, "--certs", machine.path("cli"), "--interval", "100ms", "--once"]

        let report = try await machine.run(["top", "--json"] + options)
        #expect(report.ending == .code(0))
        let looked = try JSONValue(parsing: try #require(report.output.first))
        #expect(report.output.count == 1)
        #expect(looked["cluster"]?.string == "test")
        let nodes = try #require(looked["nodes"]?.array)
        #expect(nodes.map { $0["node"]?.string } == ["a", "b"])
        #expect(nodes.allSatisfy { $0["state"]?.string == "linked" && ($0["memoryBudget"]?.double ?? 0) > 0 })
        #expect(nodes.allSatisfy { $0["lostPerSecond"]?.double == 0 })

        let table = try await machine.run(["top"] + options)
        #expect(table.ending == .code(0))
        #expect(table.output.first?.hasPrefix("cluster test: 2 nodes") == true)
        #expect(table.output.contains { $0.hasPrefix("NODE") && $0.hasSuffix("MEMORY") })
        #expect(!table.output.contains { $0.contains("\u{1B}") }, "a pipe is no screen")
        let wrong = try await machine.run("top", "--interval", "1ms", "--certs", machine.path("cli"))
        #expect(wrong.ending == .code(64))
    }

    @Test func `ends on a signal`() async throws {
        let machine = try await Machine(nodes: "a", "cli")
        let a = try await machine.node("a")
        let top = try machine.start("top", "--interval", "100ms", "--connect", a.address, "--certs", machine.path("cli"))
        try await top.line(.output, containing: "cluster test: 1 nodes")
        top.signal(SIGTERM)
        #expect(await top.exit() == .code(0))
    }
}
