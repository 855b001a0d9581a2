import Foundation
import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineObservability
import LLMgineTestKit
import Logging
import NIOCore
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2))) struct `New certificates` {
    let cluster: TestCluster
    let lines = Inbox<String>()

    init() throws { cluster = try TestCluster() }

    private func node(_ name: NodeID, seeds: [String] = [], eventLoops: Int = 1, permissions: [String] = []) async throws -> Node {
        var configuration = try cluster.configuration(name, seeds: seeds, eventLoops: eventLoops)
        configuration.permissions = try permissions.map { try TopicPermission($0) }
        configuration.certificateCheck = .milliseconds(20)
        return try await Node(
            configuration: configuration, logger: Logger(label: "\(name)") { [lines] _ in RecordingLogHandler(lines: lines) })
    }

    private func lines(containing text: String, count: Int = 1) async -> [String] {
        while true {
            let items = lines.items
            let found = items.filter { $0.contains(text) }
            if found.count >= count { return found }
            _ = await lines.wait(for: items.count + 1)
        }
    }

    /// With several event loops, the new connection of the node that was dialled mostly runs on another loop than the old one.
    @Test(arguments: [1, 3])
    func `come into use under load, and no event is lost, doubled or out of order`(eventLoops: Int) async throws {
        let a = try await node("a", eventLoops: eventLoops)
        let b = try await node("b", seeds: [a.listeningAddress ?? ""], eventLoops: eventLoops)
        try await a.linked(to: 1)
        let (toA, toB) = (Inbox<Int>(), Inbox<Int>())
        for (node, topic, inbox) in [(a, "to.a", toA), (b, "to.b", toB)] as [(Node, TopicFilter, Inbox<Int>)] {
            let subscription = try await node.bus.subscribe(topic) { (order: OrderPlaced, _) in inbox.add(order.id) }
            try await subscription.established()
        }
        let replies = 20_000
        try await b.bus.respond(to: ["count"]) { _, _, writer in
            for number in 0..<replies { try await writer.send(ByteBuffer(integer: number)) }
        }
        try await b.established()
        let flag = Flag()
        async let publishedToA = publish(on: b, to: "to.a", until: flag)
        async let publishedToB = publish(on: a, to: "to.b", until: flag)
        async let answered = read(Message(topic: "count", payload: ByteBuffer()), on: a)
        for round in 1...3 {
            try cluster.renewCertificates(for: round == 2 ? "a" : "b")
            _ = await lines(containing: "link renewed", count: 2 * round)  // both ends say so, each time
        }
        flag.set()
        let counts = try await (publishedToA, publishedToB)
        #expect(await toA.wait(for: counts.0) == Array(1...counts.0))
        #expect(await toB.wait(for: counts.1) == Array(1...counts.1))
        #expect(try await answered == replies)
        #expect(!lines.items.contains { $0.contains("link closed") || $0.contains("connection refused") })
        for node in [b, a] { #expect(await node.stop() == [:]) }
        cluster.remove()
    }

    private func publish(on node: Node, to topic: Topic, until flag: Flag) async throws -> Int {
        var id = 0
        while !flag.isSet || id < 2000 {
            id += 1
            let receipt = try await node.bus.publish(OrderPlaced(id: id), to: topic)
            #expect((receipt.matched, receipt.accepted, receipt.evicted) == (1, 1, 0))
        }
        return id
    }

    private func read(_ question: Message, on node: Node) async throws -> Int {
        var next = 0
        for try await reply in try await node.bus.request(question, options: RequestOptions(replyWindow: 50)) {
            #expect(reply.payload == ByteBuffer(integer: next))
            next += 1
        }
        return next
    }

    private static let writersOnly = ["role writer may publish orders.>", "everyone may subscribe >"]

    @Test func `that carry a role no more end the link, and the peer refuses what only the role allowed`() async throws {
        _ = try cluster.certificates(for: "b", roles: ["writer"])
        let a = try await node("a", permissions: Self.writersOnly)
        let b = try await node("b", seeds: [a.listeningAddress ?? ""])
        let seen = Inbox<Int>()
        let subscription = try await a.bus.subscribe("orders.>") { (order: OrderPlaced, _) in seen.add(order.id) }
        try await subscription.established()
        try await b.bus.publish(OrderPlaced(id: 1), to: "orders.new")
        #expect(await seen.wait(for: 1) == [1])
        try cluster.renewCertificates(for: "b")
        let closed = await lines(containing: "link closed", count: 2)
        #expect(closed.contains { $0.contains("the node's new certificate carries other roles") }, "\(closed)")
        _ = await lines(containing: "peer linked", count: 4)
        try await a.established()
        try await b.bus.publish(OrderPlaced(id: 2), to: "orders.new")
        _ = await lines(containing: "refused what a peer has published")
        #expect(seen.items == [1])
        #expect(!lines.items.contains { $0.contains("link renewed") })
        for node in [b, a] { await node.stop() }
        cluster.remove()
    }

    @Test func `that carry a role no more hold the node itself to the rules without it`() async throws {
        _ = try cluster.certificates(for: "b", roles: ["writer"])
        let b = try await node("b", permissions: Self.writersOnly)
        try await b.bus.publish(OrderPlaced(id: 1), to: "orders.new")
        try cluster.renewCertificates(for: "b")
        try b.reloadCertificates()
        await #expect(throws: LLMgineError(.permissionDenied, "")) { try await b.bus.publish(OrderPlaced(id: 2), to: "orders.new") }
        await b.stop()
        cluster.remove()
    }

    @Test func `that carry a role no more end the node's links, so that it hears no more over them than without it`() async throws {
        _ = try cluster.certificates(for: "b", roles: ["reader"])
        let a = try await node("a")
        let rules = ["role reader may subscribe orders.>", "everyone may subscribe open", "everyone may publish >"]
        let b = try await node("b", seeds: [a.listeningAddress ?? ""], permissions: rules)
        let seen = Inbox<Topic>()
        let subscription = try await b.bus.subscribe("orders.>", "open") { (message: Message, _) in seen.add(message.topic) }
        try await subscription.established()
        try await a.bus.publish(Message(topic: "orders.new", payload: ByteBuffer()))
        #expect(await seen.wait(for: 1) == ["orders.new"])
        try cluster.renewCertificates(for: "b")
        let closed = await lines(containing: "link closed", count: 2)
        let text = "the node's new certificate carries other roles"
        #expect(closed.contains { $0.contains(text) && $0.contains("peer=a") && $0.contains("by=us") }, "\(closed)")
        _ = await lines(containing: "peer linked", count: 4)
        try await b.established()
        for topic in ["orders.new", "open"] as [Topic] {
            while try await a.bus.publish(Message(topic: topic, payload: ByteBuffer())).matched == 0 { await Task.yield() }
        }
        #expect(await seen.wait(for: 2) == ["orders.new", "open"])
        await #expect(throws: LLMgineError(.permissionDenied, "")) { try await b.bus.subscribe("orders.new") { (_: Message, _) in } }
        for node in [b, a] { await node.stop() }
        cluster.remove()
    }

    @Test func `that cannot be used are refused with the reason, and the old ones stay`() async throws {
        let a = try await node("a")
        try "no certificate".write(toFile: "\(cluster.directory)/a/node.pem", atomically: true, encoding: .utf8)
        let line = try #require(await lines(containing: "the old ones stay").first)
        #expect(line.hasPrefix("error"))
        #expect(line.contains("\(cluster.directory)/a/node.pem"))
        #expect(throws: LLMgineError(.tlsFailure, "")) { try a.reloadCertificates() }
        let b = try await node("b", seeds: [a.listeningAddress ?? ""])
        #expect(b.peers == ["a"])
        #expect(lines.items.count { $0.contains("the old ones stay") } == 1)
        for node in [b, a] { await node.stop() }
        cluster.remove()
    }

    @Test func `of another node are refused`() async throws {
        let a = try await node("a")
        _ = try cluster.certificates(for: "b")
        for file in ["node.pem", "node.key"] {
            let text = try String(contentsOfFile: "\(cluster.directory)/b/\(file)", encoding: .utf8)
            try text.write(toFile: "\(cluster.directory)/a/\(file)", atomically: true, encoding: .utf8)
        }
        #expect(throws: LLMgineError(.identityRefused, "")) { try a.reloadCertificates() }
        await a.stop()
        cluster.remove()
    }

    @Test func `are asked for in the log and in a metric before the old ones end`() async throws {
        let a = try await node("a")
        try cluster.renewCertificates(for: "a", lifetime: .seconds(5.5 * 86_400))
        #expect(try #require(await lines(containing: "expires soon").first).contains("days=5"))
        func seconds() -> Double {
            let family = a.observability.metrics.snapshot().families.first { $0.instrument == .certificateExpiry }
            guard case .number(let value)? = family?.series.first?.value else { return -1 }
            return value
        }
        #expect((5.4 * 86_400...5.6 * 86_400).contains(seconds()))
        await a.stop()
        cluster.remove()
    }

    @Test func `come too late for a link whose certificate has ended, which closes for that reason`() async throws {
        _ = try cluster.certificates(for: "b")
        try cluster.renewCertificates(for: "b", lifetime: .seconds(2))
        let a = try await node("a")
        let b = try await node("b", seeds: [a.listeningAddress ?? ""])
        #expect(try #require(await lines(containing: "link closed").first).contains("the node's certificate has expired"))
        try cluster.renewCertificates(for: "b")
        try await a.linked(to: 1)
        for node in [b, a] { await node.stop() }
        cluster.remove()
    }
}

private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}
