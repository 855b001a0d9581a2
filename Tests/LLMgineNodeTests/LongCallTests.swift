import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineObservability
import LLMgineTestKit
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(2))) struct `A long request over a link` {
    private func message(_ topic: Topic, _ bytes: Int) -> Message {
        Message(topic: topic, payload: ByteBuffer(repeating: 7, count: bytes))
    }

    private func cutShort(_ node: Node) -> Int {
        let families = node.observability.metrics.snapshot().families.filter { $0.instrument == .callsCutShort }
        return families.flatMap(\.series).reduce(0) { sum, series in
            guard case .integer(let value) = series.value else { return sum }
            return sum + Int(value)
        }
    }

    @Test func `comes whole, and so does its long answer`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        try await nodes[1].bus.respond(to: "echo") { message, _ in message.payload }
        try await nodes[1].established()
        for size in [0, 16_000, 16_384, 16_385, 40_000, 1 << 20] {
            let answer = try await nodes[0].bus.request(message("echo", size)).first()
            #expect(answer.payload == ByteBuffer(repeating: 7, count: size))
        }
        for node in nodes { #expect(await node.stop() == [:]) }
    }

    @Test func `is answered in order, however long each part of the answer is`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let sizes = [10, 300_000, 20, 17_000, 0, 1 << 20, 5]
        try await nodes[1].bus.respond(to: ["stream"]) { _, _, writer in
            for size in sizes { try await writer.send(ByteBuffer(repeating: 7, count: size)) }
            throw Mishap()
        }
        try await nodes[1].established()
        var answers: [ReplyStream] = []
        for _ in 0..<4 { answers.append(try await nodes[0].bus.request(message("stream", 100_000))) }
        for answer in answers {
            var got: [Int] = []
            await #expect(throws: LLMgineError.self) { for try await reply in answer { got.append(reply.payload.readableBytes) } }
            #expect(got == sizes)
        }
        for node in nodes { #expect(await node.stop() == [:]) }
    }

    @Test func `leaves its slot when it is given up before all of it is there`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        try await nodes[1].bus.respond(to: "echo", options: ResponderOptions(concurrency: 2)) { message, _ in message.payload }
        try await nodes[1].established()
        // More than there are slots, one after the other, each let go as soon as it is on its way.
        for _ in 0..<20 {
            _ = try await nodes[0].bus.request(message("echo", 1 << 20))
        }
        let answer = try await nodes[0].bus.request(message("echo", 1 << 20)).first()
        #expect(answer.payload.readableBytes == 1 << 20)
        #expect(cutShort(nodes[1]) <= 20)
        for node in nodes { #expect(await node.stop() == [:]) }
    }
}
