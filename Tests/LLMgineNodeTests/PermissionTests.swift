import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineObservability
import LLMgineTestKit
import LLMgineWire
import Logging
import NIOCore
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct `Topic permissions` {
    let cluster: TestCluster

    init() throws { cluster = try TestCluster() }

    /// Linked nodes, of which only some know of rules: so it is seen which end holds to them.
    private func mesh(_ rules: KeyValuePairs<NodeID, [String]>, logger: Logger? = nil) async throws -> [Node] {
        var nodes: [Node] = []
        for (name, sentences) in rules {
            var configuration = try cluster.configuration(name, seeds: nodes.first?.listeningAddress.map { [$0] } ?? [])
            configuration.permissions = try sentences.map { try TopicPermission($0) }
            nodes.append(try await Node(configuration: configuration, logger: logger))
        }
        for node in nodes { try await node.linked(to: nodes.count - 1) }
        return nodes
    }

    private func message(_ topic: Topic, _ text: String = "") -> Message { Message(topic: topic, payload: ByteBuffer(string: text)) }

    private func denied(_ action: String, of peer: NodeID, at node: Node) -> UInt64 {
        node.observability.metrics.counter(.permissionsDenied, labels: [.init("action", action), .init("peer", peer.name)]).value
    }

    private func stop(_ nodes: [Node]) async {
        for node in nodes { await node.stop() }
        cluster.remove()
    }

    private func collect(_ filter: TopicFilter, on node: Node, group: String? = nil) async throws -> Inbox<String> {
        let inbox = Inbox<String>()
        let subscription = try await node.bus.subscribe(filter, options: SubscriptionOptions(group: group, capacity: 16)) {
            (message: Message, _) in inbox.add(message.topic.text)
        }
        try await subscription.established()
        return inbox
    }

    @Test func `stop a publisher where it publishes, naming topic and rule`() async throws {
        let nodes = try await mesh(["a": ["node a may publish orders.> except orders.secret.>", "node a may subscribe >"], "b": []])
        let (here, there) = (try await collect(">", on: nodes[0]), try await collect("orders.>", on: nodes[1]))
        let error = await #expect(throws: LLMgineError(.permissionDenied, "")) {
            try await nodes[0].bus.publish(message("orders.secret.plan"))
        }
        #expect(
            error?.detail == "node a may not publish on orders.secret.plan: the rule "
                + "\"node a may publish orders.> except orders.secret.>\" excepts orders.secret.>")
        await #expect(throws: LLMgineError(.permissionDenied, "")) { try await nodes[0].bus.publish(OrderPlaced(id: 1), to: "other") }
        try await nodes[0].bus.publish(message("orders.last"))
        #expect(await here.wait(for: 1) == ["orders.last"])
        #expect(await there.wait(for: 1) == ["orders.last"])
        #expect(denied("publish", of: "a", at: nodes[0]) == 2)
        await stop(nodes)
    }

    @Test func `are held to by the receiving node, by the topic of each message, whatever its subscription's wildcard`() async throws {
        let lines = Inbox<String>()
        let nodes = try await mesh(
            ["a": [], "b": ["node a may publish orders.> except orders.secret.>"]],
            logger: Logger(label: "t") { _ in RecordingLogHandler(lines: lines) })
        let inbox = try await collect(">", on: nodes[1])
        // More than the window of the subscription: what is refused gives its credit back.
        for number in 1...200 {
            try await nodes[0].bus.publish(message(number.isMultiple(of: 2) ? "orders.secret.x" : "elsewhere"))
            if number.isMultiple(of: 50) { try await nodes[0].bus.publish(message(number == 200 ? "orders.last" : "orders.x")) }
        }
        #expect(await inbox.wait(for: 4) == ["orders.x", "orders.x", "orders.x", "orders.last"])
        #expect(denied("deliver", of: "a", at: nodes[1]) == 200)
        #expect(lines.items.count { $0.contains("refused what a peer has published") } == 1)
        await stop(nodes)
    }

    @Test func `keep from a peer what its wildcard and its queue group would match`() async throws {
        let nodes = try await mesh(["a": ["node b may subscribe orders.> except orders.secret.>"], "b": [], "c": []])
        let plain = try await collect("orders.>", on: nodes[1])
        let (b, c) = (try await collect("orders.>", on: nodes[1], group: "g"), try await collect("orders.>", on: nodes[2], group: "g"))
        for _ in 1...10 { #expect(try await nodes[0].bus.publish(message("orders.secret.x")).matched == 1) }
        #expect(await c.wait(for: 10) == Array(repeating: "orders.secret.x", count: 10))
        for _ in 1...10 { try await nodes[0].bus.publish(message("orders.open")) }
        #expect(await plain.wait(for: 10).allSatisfy { $0 == "orders.open" })
        #expect(b.items.allSatisfy { $0 == "orders.open" })
        await stop(nodes)
    }

    @Test func `leave a subscription unserved that may get nothing, and show it`() async throws {
        let lines = Inbox<String>()
        let nodes = try await mesh(
            ["a": ["node b may subscribe llmgine.> orders.> except orders.secret.>"], "b": []],
            logger: Logger(label: "t") { _ in RecordingLogHandler(lines: lines) })
        let subscription = try await nodes[1].bus.subscribe("orders.secret.*", "other") { (_: Message, _) in }
        try await subscription.established()
        #expect(try await nodes[0].bus.publish(message("orders.secret.x")).matched == 0)
        let refused = try #require(await nodes[0].status().refused)
        #expect(refused.map(\.peer) == ["b"])
        #expect(refused.map(\.filters) == [["orders.secret.*", "other"]])
        #expect(denied("subscribe", of: "b", at: nodes[0]) == 1)
        #expect(lines.items.count { $0.contains("refused a peer's subscription") } == 1)
        await subscription.cancel()
        try await nodes[1].established()
        while await nodes[0].status().refused?.isEmpty == false { await Task.yield() }
        await stop(nodes)
    }

    @Test func `keep a node's own subscriptions from what it may not receive, from itself and from others`() async throws {
        let nodes = try await mesh(["a": [], "b": ["node b may subscribe orders.> except orders.secret.>", "node b may publish >"]])
        await #expect(throws: LLMgineError(.permissionDenied, "")) {
            try await nodes[1].bus.subscribe("orders.secret.x") { (_: Message, _) in }
        }
        await #expect(throws: LLMgineError(.permissionDenied, "")) {
            try await nodes[1].bus.respond(to: "other") { message, _ in message.payload }
        }
        let inbox = try await collect("orders.>", on: nodes[1])
        for node in nodes {
            try await node.bus.publish(message("orders.secret.x"))
            try await node.bus.publish(message(node.configuration.name == "a" ? "orders.a" : "orders.b"))
        }
        #expect(await inbox.wait(for: 2).sorted() == ["orders.a", "orders.b"])
        await stop(nodes)
    }

    @Test func `hold for requests, at the requester and at the responder, which loses no slot by it`() async throws {
        let nodes = try await mesh([
            "a": ["node a may publish work.> ask.>", "node c may subscribe ask.>"], "b": ["node a may publish ask.>"], "c": [],
        ])
        for node in nodes[1...] {
            try await node.bus.respond(to: [">"], options: ResponderOptions(concurrency: 2)) { message, _, writer in
                try await writer.finish(with: ByteBuffer(string: node.configuration.name.name))
            }
            try await node.established()
        }
        await #expect(throws: LLMgineError(.permissionDenied, "")) { try await nodes[0].bus.request(message("other")).first() }
        // `c` may not be asked for work by `a`, and `b` refuses to be: nine refusals are more than it has slots.
        for _ in 1...9 {
            await #expect(throws: LLMgineError(.permissionDenied, "")) { try await nodes[0].bus.request(message("work.x")).first() }
        }
        #expect(denied("request", of: "a", at: nodes[0]) == 1)
        #expect(denied("deliver", of: "a", at: nodes[1]) == 9)
        var seen: Set<String> = []
        for _ in 1...20 { seen.insert(String(buffer: try await nodes[0].bus.request(message("ask.x")).first().payload)) }
        #expect(seen.isSubset(of: ["b", "c"]) && !seen.isEmpty)
        await stop(nodes)
    }

    @Test func `go by the roles that a certificate carries, and not by those that a node claims`() async throws {
        _ = try cluster.certificates(for: "real", roles: ["admin"])
        let rules = try ["role admin may publish admin.>", "everyone may publish open", "everyone may subscribe >"].map {
            try TopicPermission($0)
        }
        var configuration = try cluster.configuration("hub")
        configuration.permissions = rules
        let hub = try await Node(configuration: configuration)
        let seeds = [hub.listeningAddress ?? ""]
        let claimed = try await cluster.node("claimed", seeds: seeds, roles: ["admin"])
        let real = try await cluster.node("real", seeds: seeds)
        try await hub.linked(to: 2)
        let inbox = try await collect(">", on: hub)
        try await claimed.bus.publish(message("admin.claimed"))
        try await claimed.bus.publish(message("open"))
        #expect(await inbox.wait(for: 1) == ["open"])
        try await real.bus.publish(message("admin.real"))
        #expect(await inbox.wait(for: 2) == ["open", "admin.real"])
        await stop([real, claimed, hub])
    }

    @Test func `hold a leaf to its own rules at its hub`() async throws {
        let nodes = try await mesh([
            "a": ["node leaf may publish orders.>", "node leaf may subscribe news.> except news.secret"], "b": [],
        ])
        let leaf = try await cluster.node("leaf", seeds: [nodes[0].listeningAddress ?? ""], kind: .leaf)
        let inbox = try await collect(">", on: nodes[1])
        let news = try await collect(">", on: leaf)
        for topic in ["secret", "orders.1", "news.secret", "orders.2"] as [Topic] { try await leaf.bus.publish(message(topic)) }
        #expect(await inbox.wait(for: 2) == ["orders.1", "orders.2"])
        for topic in ["news.secret", "orders.3", "news.open"] as [Topic] { try await nodes[1].bus.publish(message(topic)) }
        let seen = await news.wait(for: 5)
        #expect(seen == ["secret", "orders.1", "news.secret", "orders.2", "news.open"])  // four of its own
        await #expect(throws: LLMgineError(.permissionDenied, "")) { try await leaf.bus.request(message("secret")).first() }
        await stop([leaf] + nodes)
    }

    @Test func `are told to a leaf that asks its hub, whatever it may publish`() async throws {
        let rules = ["node leaf may publish orders.> except orders.secret", "node leaf may subscribe news.> except news.secret"]
        let nodes = try await mesh(["a": rules, "b": []])
        let leaf = try await cluster.node("leaf", seeds: [nodes[0].listeningAddress ?? ""], kind: .leaf)
        try await leaf.checkPublishing(on: "orders.1")
        let publishing = await #expect(throws: LLMgineError(.permissionDenied, "")) { try await leaf.checkPublishing(on: "orders.secret") }
        #expect(publishing?.detail == "node leaf may not publish on orders.secret: the rule \"\(rules[0])\" excepts orders.secret")
        try await leaf.checkSubscribing(to: ["news.secret", "news.*"])
        let subscribing = await #expect(throws: LLMgineError(.permissionDenied, "")) {
            try await leaf.checkSubscribing(to: ["news.secret", "orders.>"])
        }
        #expect(subscribing?.detail == "node leaf may not subscribe to news.secret, orders.>: may subscribe to: \"\(rules[1])\"")
        let free = try await cluster.node("free", seeds: [nodes[1].listeningAddress ?? ""], kind: .leaf)
        for node in [free] + nodes {
            try await node.checkPublishing(on: "orders.secret")
            try await node.checkSubscribing(to: ["news.secret"])
        }
        await stop([leaf, free] + nodes)
    }

    @Test func `are no way around what a leaf was told of: it reaches no responder of its hub but the one that passes on`() async throws {
        let nodes = try await mesh(["a": ["node leaf may publish nothing", "node leaf may subscribe nothing"]])
        let asked = Inbox<Topic>()
        let responder = try await nodes[0].bus.respond(to: "secret") { (message: Message, _) in
            asked.add(message.topic)
            return ByteBuffer()
        }
        let leaf = try await RawPeer("leaf", kind: .leaf, of: cluster, at: nodes[0])
        for topic in ["llmgine.rules", "secret"] as [Topic] { #expect(try await leaf.ask(responder, on: topic) == "peerLost") }
        #expect(asked.items == [])
        await stop(nodes)
    }

    @Test func `are asked about the topics of a responder, and one that it does not answer on reaches it from no peer`() async throws {
        let nodes = try await mesh(["a": ["node peer may publish open", "node peer may subscribe nothing"]])
        let asked = Inbox<Topic>()
        func respond(to filter: TopicFilter, isRemote: Bool = true) async throws -> Responder {
            try await nodes[0].bus.respond(to: filter, options: ResponderOptions(concurrency: 1, isRemote: isRemote)) {
                (message: Message, _) in
                asked.add(message.topic)
                return ByteBuffer()
            }
        }
        let (open, secret) = (try await respond(to: "open"), try await respond(to: "secret"))
        let local = try await respond(to: "open", isRemote: false)
        let peer = try await RawPeer("peer", of: cluster, at: nodes[0])
        // More often than it has slots.
        for _ in 1...3 { #expect(try await peer.ask(secret, on: "open") == "noResponders") }
        #expect(try await peer.ask(secret, on: "secret") == "permissionDenied")
        #expect(try await peer.ask(local, on: "open") == "peerLost")
        #expect(try await peer.ask(open, on: "open") == "answered")
        #expect(asked.items == ["open"])
        await stop(nodes)
    }

    @Test func `can close a node to administration without keeping it from its work`() async throws {
        let nodes = try await mesh(["a": ["node a may publish orders.>", "node a may subscribe orders.>"], "b": []])
        let inbox = try await collect("orders.>", on: nodes[0])
        await #expect(throws: LLMgineError(.noResponders, "")) {
            try await nodes[1].bus.request(message(try Node.statusTopic("a"))).first()
        }
        try await nodes[1].bus.publish(message("orders.x"))
        #expect(await inbox.wait(for: 1) == ["orders.x"])
        await stop(nodes)
    }
}
