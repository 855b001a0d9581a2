import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineTestKit
import NIOCore
import Synchronization
import Testing

/// What a handler saw of an event and of who published it.
private struct Seen: Sendable, Hashable {
    let publisher: NodeID
    let id: MessageID
    let text: String
    let headers: Headers

    init(_ message: Message, _ context: EventContext) {
        publisher = context.publisher
        id = context.id
        text = String(buffer: message.payload)
        headers = context.headers
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A leaf` {
    let cluster: TestCluster

    init() throws { cluster = try TestCluster() }

    private func message(_ topic: Topic, _ text: String = "", headers: Headers = Headers()) -> Message {
        Message(topic: topic, payload: ByteBuffer(string: text), headers: headers)
    }

    private func leaf(_ name: NodeID, at hubs: Node...) async throws -> Node {
        try await cluster.node(name, seeds: hubs.compactMap(\.listeningAddress), kind: .leaf)
    }

    private func collect(_ filter: TopicFilter, on node: Node) async throws -> Inbox<Seen> {
        let inbox = Inbox<Seen>()
        let subscription = try await node.bus.subscribe(filter) { (message: Message, context) in inbox.add(Seen(message, context)) }
        try await subscription.established()
        return inbox
    }

    private func stop(_ nodes: [Node]) async {
        for node in nodes { await node.stop() }
        cluster.remove()
    }

    @Test func `is named as the publisher by its hub, by other nodes and by other leaves, with its own number`() async throws {
        let nodes = try await cluster.mesh(["a", "b"])
        let (one, two) = (try await leaf("one", at: nodes[0]), try await leaf("two", at: nodes[1]))
        let inboxes = [
            try await collect("from.*", on: nodes[0]), try await collect("from.*", on: nodes[1]), try await collect("from.*", on: two),
        ]
        for number in 1...3 {
            // What it says of itself in the reserved headers is not believed, and does not get through.
            let forged: Headers = ["mine": "1", "llmgine-origin": "b/1/1", "llmgine-admin": "yes"]
            try await one.bus.publish(message("from.leaf", "\(number)", headers: forged))
        }
        for inbox in inboxes {
            let seen = await inbox.wait(for: 3)
            #expect(seen.map(\.publisher) == ["one", "one", "one"])
            #expect(seen.map(\.id) == seen.indices.map { MessageID(node: "one", incarnation: one.incarnation, sequence: UInt64($0 + 1)) })
            #expect(seen.allSatisfy { $0.headers == ["mine": "1"] })
        }
        try await nodes[1].bus.publish(message("from.core"))
        #expect(await inboxes[2].wait(for: 4).last?.publisher == "b")
        await stop([one, two] + nodes)
    }

    @Test func `is named as the one who asks`() async throws {
        let nodes = try await cluster.mesh(["a", "b"])
        let one = try await leaf("one", at: nodes[0])
        for node in nodes {
            try await node.bus.respond(to: TopicFilter("ask.\(node.configuration.name)")) { message, context in
                #expect(message.headers == ["mine": "1"])
                return ByteBuffer(string: context.requester.name)
            }
            try await node.established()
        }
        for topic: Topic in ["ask.a", "ask.b"] {
            let question = message(topic, headers: ["mine": "1", "llmgine-origin": "b/1/1", "llmgine-x": "y"])
            #expect(String(buffer: try await one.bus.request(question).first().payload) == "one")
        }
        await stop([one] + nodes)
    }

    @Test func `answers requests of its hub, of other nodes and of other leaves, with one reply or a stream`() async throws {
        let nodes = try await cluster.mesh(["a", "b"])
        let (one, two) = (try await leaf("one", at: nodes[0]), try await leaf("two", at: nodes[1]))
        try await one.bus.respond(to: ["work.>"], options: ResponderOptions(concurrency: 2)) { message, context, writer in
            if message.topic == "work.fail" { throw LLMgineError(.rejected, "not today") }
            for number in 0..<200 { try await writer.send(ByteBuffer(string: "\(context.requester) \(number)")) }
        }
        try await one.established()
        for node in nodes + [two] {
            // More at once than it has slots.
            try await withThrowingTaskGroup(of: [String].self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        var replies: [String] = []
                        for try await reply in try await node.bus.request(message("work.x"), options: RequestOptions(replyWindow: 8)) {
                            replies.append(String(buffer: reply.payload))
                        }
                        return replies
                    }
                }
                for try await replies in group { #expect(replies == (0..<200).map { "\(node.configuration.name) \($0)" }) }
            }
            await #expect(throws: LLMgineError(.rejected, "")) { try await node.bus.request(message("work.fail")).first() }
        }
        await one.stop()
        await #expect(throws: LLMgineError.self) {
            try await nodes[1].bus.request(message("work.x"), options: RequestOptions(deadline: .seconds(5))).first()
        }
        await stop([two] + nodes)
    }

    @Test func `leaves it to its hub which member of a group gets what it publishes`() async throws {
        let nodes = try await cluster.mesh(["a", "b"])
        let (one, two) = (try await leaf("one", at: nodes[0]), try await leaf("two", at: nodes[1]))
        let inbox = Inbox<Int>()
        for node in [one, two] + nodes {
            let options = SubscriptionOptions(group: "workers")
            let member = try await node.bus.subscribe("work", options: options) { (message: Message, _) in
                inbox.add(Int(String(buffer: message.payload)) ?? 0)
            }
            try await member.established()
        }
        let last = Inbox<Int>()
        let everyone = try await two.bus.subscribe("work.end") { (_: Message, _) in last.add(0) }
        try await everyone.established()
        for number in 1...40 { try await one.bus.publish(message("work", "\(number)")) }
        #expect(await inbox.wait(for: 40).sorted() == Array(1...40))
        try await one.bus.publish(message("work.end"))
        _ = await last.wait(for: 1)
        await stop([one, two] + nodes)
        #expect(await inbox.wait(for: 40).count == 40)
    }

    @Test func `works on at once when its hub is gone, and gets nothing twice`() async throws {
        let nodes = try await cluster.mesh(["a", "b", "c"])
        let one = try await leaf("one", at: nodes[0], nodes[1])
        let hub = try #require(one.peers.first)
        let (first, second) = hub == "a" ? (nodes[0], nodes[1]) : (nodes[1], nodes[0])
        while await !second.status().members.contains(where: { $0.node == "one" }) { await Task.yield() }
        let (atLeaf, atCore) = (try await collect("to.leaf", on: one), try await collect("from.leaf", on: nodes[2]))
        for number in 1...100 {
            try await one.bus.publish(message("from.leaf", "\(number)"))
            try await nodes[2].bus.publish(message("to.leaf", "\(number)"))
        }
        _ = await (atLeaf.wait(for: 100), atCore.wait(for: 100))
        await first.stop(deadline: .zero)
        try await one.linked(to: 1)
        while one.peers != [second.configuration.name] { await Task.yield() }
        try await one.established()
        for number in 101...200 {
            try await one.bus.publish(message("from.leaf", "\(number)"))
            try await nodes[2].bus.publish(message("to.leaf", "\(number)"))
        }
        #expect(await atLeaf.wait(for: 200).map(\.text) == (1...200).map(String.init))
        #expect(await atCore.wait(for: 200).map(\.text) == (1...200).map(String.init))
        await stop([one, second, nodes[2]])
    }

    @Test(arguments: [0, 1]) func `hears how much it has missed, whether its hub publishes or another node`(publisher: Int) async throws {
        let nodes = try await cluster.mesh(["a", "b"])
        let one = try await leaf("one", at: nodes[0])
        let seen = Inbox<(number: Int, missed: Int)>()
        let gate = AsyncStream.makeStream(of: Void.self)
        let subscription = try await one.bus.subscribe("many", options: SubscriptionOptions(capacity: 16, whenFull: .dropOldest)) {
            [stream = gate.stream] (message: Message, context) in
            let number = Int(String(buffer: message.payload)) ?? 0
            seen.add((number, Int(context.missed)))
            if number == 1 { for await _ in stream {} }
        }
        try await subscription.established()
        let count = 30_000  // more than waits on two links and in the hub's queue
        var evicted = try await nodes[publisher].bus.publish(message("many", "1")).evicted
        _ = await seen.wait(for: 1)
        for number in 2...count { evicted += try await nodes[publisher].bus.publish(message("many", "\(number)")).evicted }
        gate.continuation.finish()
        while seen.items.last?.number != count { await Task.yield() }
        #expect(evicted > 0)
        #expect(seen.items.reduce(0) { $0 + $1.missed } == evicted)
        #expect(seen.items.count + evicted == count)
        await stop([one] + nodes)
    }
}
