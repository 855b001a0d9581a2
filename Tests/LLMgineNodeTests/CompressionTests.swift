import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineTestKit
import LLMgineTransport
import Logging
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(2))) struct `A compressed link` {
    /// Two nodes over TLS on loopback, each with its own mind about compression.
    private func nodes(
        _ cluster: TestCluster, _ first: LinkCompression, _ second: LinkCompression, maximumPayload: Int = 1 << 20
    ) async throws -> [Node] {
        var nodes: [Node] = []
        for (name, compression) in [("a", first), ("b", second)] as [(NodeID, LinkCompression)] {
            var configuration = try cluster.configuration(name, seeds: nodes.first?.listeningAddress.map { [$0] } ?? [])
            configuration.compression = compression
            configuration.maximumPayload = maximumPayload
            nodes.append(
                try await Node(configuration: configuration, logger: Logger(label: "llmgine.test") { _ in SwiftLogNoOpLogHandler() }))
        }
        for node in nodes { try await node.linked(to: 1) }
        return nodes
    }

    private func text(_ number: Int, bytes: Int) -> ByteBuffer {
        var payload = ByteBuffer(integer: number)
        while payload.readableBytes < bytes {
            payload.writeString(#"{"id":\#(number),"at":"2026-11-23T02:50:00Z","note":"please leave it at the door"}"#)
        }
        return payload.getSlice(at: 0, length: max(8, bytes)) ?? payload
    }

    private func number(_ message: Message) -> Int { message.payload.getInteger(at: message.payload.readerIndex, as: Int.self) ?? -1 }

    @Test func `brings events in order, in fewer bytes, and both ends count them`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await nodes(cluster, .on, .on)
        let inbox = Inbox<Int>()
        let subscription = try await nodes[1].bus.subscribe("orders.>") { (message: Message, _) in
            #expect(message.payload == text(number(message), bytes: 400))
            inbox.add(number(message))
        }
        try await subscription.established()
        for number in 1...5000 {
            let message = Message(topic: "orders.placed", payload: text(number, bytes: 400), headers: ["n": "\(number)"])
            #expect(try await nodes[0].bus.publish(message).accepted == 1)
        }
        #expect(await inbox.wait(for: 5000) == Array(1...5000))
        let sent = try #require(await nodes[0].status().links.first?.compression)
        #expect(sent.sentBytes > 5000 * 400)
        #expect(sent.sentWireBytes * 2 < sent.sentBytes, "\(sent)")
        let received = try #require(await nodes[1].status().links.first?.compression)
        #expect(received.receivedBytes > received.receivedWireBytes)
        #expect(received.receivedBytes <= sent.sentBytes && received.receivedWireBytes <= sent.sentWireBytes)
        for node in nodes { #expect(await node.stop() == [:]) }
    }

    @Test func `leaves parts, credit and classes as they are`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await nodes(cluster, .on, .on)
        let inbox = Inbox<Message>()
        let subscription = try await nodes[1].bus.subscribe(
            "parts", options: SubscriptionOptions(capacity: 8, whenFull: .block(deadline: .seconds(60)))
        ) { (message: Message, _) in inbox.add(message) }
        try await subscription.established()
        var random = SeededGenerator(seed: 7)
        let lengths = [0, 100, 16_384, 17_000, 100_000, 1 << 20]
        func payload(_ number: Int) -> ByteBuffer {
            let length = lengths[number % lengths.count]
            guard number % 4 == 3 else { return text(number, bytes: length) }
            var noise = ByteBuffer(integer: number)
            for _ in 0..<max(0, length - 8) / 8 { noise.writeInteger(random.next()) }
            return noise
        }
        let payloads = (0..<60).map(payload)
        for (number, payload) in payloads.enumerated() {
            let priority: Priority = number % 5 == 0 ? .urgent : .normal
            try await nodes[0].bus.publish(Message(topic: "parts", payload: payload, priority: priority))
        }
        let messages = await inbox.wait(for: 60)
        for priority in [Priority.urgent, .normal] {
            let numbers = messages.filter { $0.priority == priority }.map(number)
            #expect(numbers == (0..<60).filter { ($0 % 5 == 0) == (priority == .urgent) })
        }
        for message in messages { #expect(message.payload == payloads[number(message)]) }
        for node in nodes { #expect(await node.stop() == [:]) }
    }

    @Test func `carries requests with long answers`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await nodes(cluster, .on, .on)
        try await nodes[1].bus.respond(to: "echo") { message, _ in message.payload }
        try await nodes[1].established()
        for length in [8, 1000, 1 << 20] {
            let question = text(length, bytes: length)
            #expect(try await nodes[0].bus.request(Message(topic: "echo", payload: question)).first().payload == question)
        }
        let bytes = try #require(await nodes[0].status().links.first?.compression)
        #expect(bytes.sentWireBytes * 2 < bytes.sentBytes && bytes.receivedWireBytes * 2 < bytes.receivedBytes, "\(bytes)")
        for node in nodes { await node.stop() }
    }

    @Test(arguments: [
        (LinkCompression.on, LinkCompression.on, true), (.on, .off, false), (.off, .on, false), (.off, .off, false), (.auto, .on, false),
        (.auto, .auto, false),
    ])
    func `is one where both ends want it, and not on loopback by itself`(
        first: LinkCompression, second: LinkCompression, isCompressed: Bool
    ) async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await nodes(cluster, first, second)
        let inbox = Inbox<Int>()
        let subscription = try await nodes[1].bus.subscribe("t") { (message: Message, _) in inbox.add(number(message)) }
        try await subscription.established()
        for number in 1...100 { try await nodes[0].bus.publish(Message(topic: "t", payload: text(number, bytes: 1000))) }
        #expect(await inbox.wait(for: 100) == Array(1...100))
        for node in nodes { #expect((await node.status().links.first?.compression != nil) == isCompressed) }
        for node in nodes { await node.stop() }
    }
}
