import Foundation
import LLMgineBus
import LLMgineCore
import LLMgineResilience
import LLMgineStore
import LLMgineTestKit
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(2))) struct `The dead letters of a node` {
    /// A store as an earlier life of the node may have left it.
    private func store(_ path: String, letters: ClosedRange<UInt64>) async throws {
        let store = try SQLiteStore(path: path)
        for id in letters {
            let content = Message(
                topic: "orders.placed", payload: ByteBuffer(string: #"{"id":\#(id)}"#), eventType: "OrderPlaced", headers: ["a": "b"])
            let letter = DeadLetter(
                id: id, message: MessageID(node: "a", incarnation: Incarnation(1), sequence: id), content: content, subscription: "billing",
                error: LLMgineError(.handlerFailed, "the handler threw Mishap"), attempts: 4, firstAttempt: .seconds(1_700_000_000),
                lastAttempt: .seconds(1_700_000_001))
            try await store.keep(.deadLetter(letter))
        }
        await store.close()
    }

    @Test func `are listed, shown, tried again and removed from the command line, and outlive the node`() async throws {
        let machine = try await Machine(nodes: "a", "cli")
        try await store(machine.path("a.db"), letters: 1...3)
        let a = try await machine.node("a", "store.path=\(machine.path("a.db"))")
        let to = ["--connect", a.address, "--certs", machine.path("cli")]
        func dlq(_ arguments: String...) async throws -> Finished { try await machine.run(["dlq"] + arguments + to) }

        let list = try await dlq("list")
        #expect(list.ending == .code(0))
        #expect(list.output.count == 4)
        #expect(list.output[0].split(separator: " ").first == "ID")
        #expect(
            list.output[2].split(separator: " ").map(String.init) == [
                "2", "2023-11-14T22:13:21Z", "orders.placed", "OrderPlaced", "billing", "4", "handlerFailed",
            ])
        let page = try await dlq("list", "--json", "--after", "1", "--limit", "1", "--node", "a")
        let json = try JSONDecoder().decode(DeadLetterPage.self, from: Data(page.output[0].utf8))
        #expect(json == DeadLetterPage(node: "a", count: 3, letters: [.init(id: 2, payload: nil)]))

        let shown = try await dlq("show", "3")
        #expect(shown.output.contains { $0.split(separator: " ") == ["subscription", "billing"] })
        #expect(shown.output.contains { $0.split(separator: " ") == ["header", "a:", "b"] })
        #expect(shown.output.last == #"{"id":3}"#)
        let shownJSON = try await dlq("show", "3", "--json")
        #expect(
            try JSONDecoder().decode(DeadLetterPage.self, from: Data(shownJSON.output[0].utf8)).letters == [
                .init(id: 3, payload: #"{"id":3}"#)
            ])

        // Nobody called billing is there to take it.
        let retried = try await dlq("retry", "3")
        #expect(retried.ending == .code(75))
        #expect(retried.errors.last?.contains("it stays") == true)
        let retriedJSON = try await dlq("retry", "3", "--json")
        #expect(retriedJSON.ending == .code(75))
        #expect(retriedJSON.errors.last?.contains("it stays") == true)
        #expect(
            try JSONDecoder().decode(DeadLetterPage.self, from: Data(try #require(retriedJSON.output.first).utf8))
                == DeadLetterPage(node: "a", count: 3, letters: [.init(id: 3, payload: nil)]))
        #expect(try await dlq("retry", "--all").output == ["0 tried again, 3 left"])
        #expect(try await dlq("remove", "2").output == ["1 removed, 2 left"])
        let gone = try await dlq("show", "2")
        #expect(gone.ending != .code(0))
        #expect(gone.errors.last?.contains("node a has no dead letter 2") == true)
        #expect(try await dlq("remove").ending == .code(64))

        a.child.signal(SIGTERM)
        #expect(await a.child.exit() == .code(0))
        let again = try await machine.node("a", "store.path=\(machine.path("a.db"))", "node.listen=\(a.address)")
        #expect(try await dlq("list").output.dropFirst().map { $0.first } == ["1", "3"])
        #expect(try await dlq("remove", "--all").output == ["2 removed, 0 left"])
        again.child.signal(SIGTERM)
        #expect(await again.child.exit() == .code(0))
    }

    @Test func `are in a file that only one node may use, and none unless it is asked for`() async throws {
        let machine = try await Machine(nodes: "a", "b")
        let path = machine.path("a.db")
        let a = try await machine.node("a", "store.path=\(path)")
        let second = try await machine.run(
            "node", "--set", "certificates.directory=\(machine.path("b"))", "--set", "node.listen=127.0.0.1:0", "--set",
            "store.path=\(path)")
        #expect(second.ending == .code(78))
        #expect(second.errors.last == "llmgine: store.path: \(path): is in use by another process, number \(a.child.pid)")
        let nowhere = try await machine.run(
            "node", "--set", "certificates.directory=\(machine.path("b"))", "--set", "node.listen=127.0.0.1:0", "--set",
            "store.path=/proc/a.db")
        #expect(nowhere.ending == .code(78))
        #expect(nowhere.errors.last?.hasPrefix("llmgine: store.path: /proc/a.db: the file cannot be made: ") == true)

        let before = try FileManager.default.contentsOfDirectory(atPath: machine.directory)
        let b = try await machine.node("b")
        b.child.signal(SIGTERM)
        #expect(await b.child.exit() == .code(0))
        #expect(try FileManager.default.contentsOfDirectory(atPath: machine.directory).sorted() == before.sorted())
    }
}

/// The part of an answer that these tests look at.
private struct DeadLetterPage: Decodable, Equatable {
    struct Letter: Decodable, Equatable {
        var id: UInt64
        var payload: String?
    }

    var node: String
    var count: Int
    var letters: [Letter]
}
