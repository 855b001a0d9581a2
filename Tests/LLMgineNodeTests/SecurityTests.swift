import Foundation
import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineObservability
import LLMgineTestKit
import LLMgineTransport
import Logging
import NIOCore
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A node among others` {
    let cluster: TestCluster

    init() throws { cluster = try TestCluster() }

    private func message(_ topic: Topic, headers: Headers = Headers(), trace: TraceContext? = nil) -> Message {
        Message(topic: topic, payload: ByteBuffer(string: "the payload"), headers: headers, trace: trace)
    }

    private func stop(_ nodes: [Node]) async {
        for node in nodes { await node.stop() }
        cluster.remove()
    }

    @Test func `leaves no key in its log, its status or its metrics`() async throws {
        let lines = Inbox<String>()
        let handled = Inbox<Bool>()
        let logger = Logger(label: "a") { _ in RecordingLogHandler(lines: lines) }
        let observability = ObservabilityManager(tracer: NodeTracer(sampler: .alwaysOn))
        let a = try await Node(configuration: try cluster.configuration("a"), observability: observability, logger: logger)
        let b = try await cluster.node("b", seeds: [a.listeningAddress ?? ""])
        try await a.linked(to: 1)
        let subscription = try await b.bus.subscribe("t") { (message: Message, _) in handled.add(true) }
        try await subscription.established()
        try await a.bus.publish(message("t"))
        _ = await handled.wait(for: 1)
        try "broken".write(toFile: "\(cluster.directory)/a/node.pem", atomically: true, encoding: .utf8)
        #expect(throws: LLMgineError.self) { try a.reloadCertificates() }
        let key = try String(contentsOfFile: "\(cluster.directory)/a/node.key", encoding: .utf8)
        let secrets =
            key.split(separator: "\n").filter { !$0.hasPrefix("-----") }.map { String($0.prefix(24)) } + ["PRIVATE KEY", "the payload"]
        #expect(secrets.count > 2)
        let status = String(decoding: try JSONEncoder().encode(await a.status()), as: UTF8.self)
        let told =
            lines.items + [status, "\(a.observability.metrics.snapshot())", PrometheusText.render(a.observability.metrics.snapshot())]
        for text in told {
            for secret in secrets { #expect(!text.contains(secret)) }
        }
        await stop([b, a])
    }

    @Test func `goes where it would go without its trace context`() async throws {
        let nodes = try await cluster.mesh(["a", "b"])
        let inbox = Inbox<TraceContext?>()
        let subscription = try await nodes[1].bus.subscribe("t") { (message: Message, _) in inbox.add(message.trace) }
        try await subscription.established()
        let traces = [
            nil, TraceContext(traceHigh: 0, traceLow: 0, span: 0, flags: 0xFF),
            TraceContext(traceHigh: .max, traceLow: .max, span: .max, flags: 1),
            TraceContext(traceHigh: 1, traceLow: 2, span: 3, flags: 0),
        ]
        for trace in traces {
            let headers: Headers = ["traceparent": "00-1-2-03", "Nats-Trace-Dest": "elsewhere", "Nats-Trace-Only": "true"]
            let receipt = try await nodes[0].bus.publish(message("t", headers: headers, trace: trace))
            #expect((receipt.matched, receipt.accepted) == (1, 1))
        }
        #expect(await inbox.wait(for: 4).count == 4)
        await stop(nodes)
    }

    @Test func `speaks for no other member of the mesh`() async throws {
        let nodes = try await cluster.mesh(["a", "b", "c"])
        let inbox = Inbox<String>()
        let subscription = try await nodes[2].bus.subscribe("t") { (message: Message, context) in
            inbox.add("\(context.publisher) \(message.headers.count)")
        }
        try await subscription.established()
        for name in ["b", "c", "a", "stranger"] {
            try await nodes[0].bus.publish(message("t", headers: ["llmgine-origin": "\(name)/1/7"]))
        }
        // For who is no member it may speak: that is what a hub does for its leaves.
        #expect(await inbox.wait(for: 4) == ["a 0", "a 0", "a 0", "stranger 0"])
        await stop(nodes)
    }

    @Test(arguments: [(UInt64.max, Int.max), (0, Int.min), (.max, -1), (1, 0)] as [(UInt64, Int)])
    func `takes any page of its dead letters`(after: UInt64, limit: Int) async throws {
        let nodes = try await cluster.mesh(["a", "b"])
        let question = try JSONEncoder().encode(DeadLetterQuestion(.list, after: after, limit: limit))
        let topic = try Node.deadLetterTopic("a")
        try await nodes[0].established()
        let reply = try await nodes[1].bus.request(Message(topic: topic, payload: ByteBuffer(bytes: question))).first()
        #expect(reply.payload.readableBytes > 0)
        await stop(nodes)
    }
}
