import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineTestKit
import NIOCore
import Synchronization
import Testing

struct Mishap: Error {}

struct OrderPlaced: Event, Equatable {
    var id: Int
}

/// Collects what handlers see, for tests to await.
final class Inbox<Element: Sendable>: Sendable {
    private let state = Mutex<(items: [Element], waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)])>(([], []))

    func add(_ item: Element) {
        let ready = state.withLock { state in
            state.items.append(item)
            let ready = state.waiters.filter { $0.count <= state.items.count }
            state.waiters.removeAll { $0.count <= state.items.count }
            return ready
        }
        for waiter in ready { waiter.continuation.resume() }
    }

    var items: [Element] { state.withLock { $0.items } }

    func wait(for count: Int) async -> [Element] {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if state.items.count < count { state.waiters.append((count, continuation)) }
                return state.items.count >= count
            }
            if isReady { continuation.resume() }
        }
        return items
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Two nodes` {
    @Test func `carry typed events from one to the other`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let inbox = Inbox<OrderPlaced>()
        let subscription = try await nodes[1].bus.subscribe("orders.>") { (order: OrderPlaced, context) in
            #expect(context.publisher == "a")
            #expect(context.topic == "orders.eu.placed")
            inbox.add(order)
        }
        try await subscription.established()
        for id in 1...1000 {
            let receipt = try await nodes[0].bus.publish(OrderPlaced(id: id), to: "orders.eu.placed")
            #expect(receipt.matched == 1)
            #expect(receipt.accepted == 1)
        }
        #expect(await inbox.wait(for: 1000) == (1...1000).map { OrderPlaced(id: $0) })
        for node in nodes { #expect(await node.stop() == [:]) }
    }

    @Test func `serve a task that runs on the thread of the links, also while it waits for room, for answers and for time`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let inbox = Inbox<OrderPlaced>()
        let subscription = try await nodes[1].bus.subscribe("orders", options: .init(capacity: 100)) { (order: OrderPlaced, _) in
            inbox.add(order)
        }
        try await nodes[1].bus.respond(to: "questions") { message, _ in message.payload }
        try await subscription.established()
        let answer = try await withTaskExecutorPreference(nodes[0].executor) { [node = nodes[0]] in
            // Many times what has room, so that it waits for a window that only this thread can open.
            for id in 1...5000 { try await node.bus.publish(OrderPlaced(id: id), to: "orders") }
            try await Task.sleep(for: .milliseconds(1))
            return try await node.bus.request(Message(topic: "questions", payload: ByteBuffer(string: "?"))).first()
        }
        #expect(answer.payload == ByteBuffer(string: "?"))
        #expect(await inbox.wait(for: 5000) == (1...5000).map { OrderPlaced(id: $0) })
        for node in nodes { #expect(await node.stop() == [:]) }
    }

    @Test func `keep the order of handler priorities on the node of the handlers`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let inbox = Inbox<String>()
        for (name, priority) in [("third", HandlerPriority.low), ("first", .high), ("second", .normal)] {
            let subscription = try await nodes[1].bus.subscribe("orders.>", options: .init(handlerPriority: priority)) {
                (order: OrderPlaced, context) in
                if name == "first", order.id == 50, context.attempt == 1 { throw Mishap() }
                inbox.add("\(name) \(order.id)")
            }
            try await subscription.established()
        }
        // No more than a first window: a handler that has no credit left gets what comes later than the others, who do not wait for it.
        for id in 1...60 { try await nodes[0].bus.publish(OrderPlaced(id: id), to: "orders.eu.placed") }
        let items = await inbox.wait(for: 180)
        for id in 1...60 {
            #expect(items.filter { $0.hasSuffix(" \(id)") } == ["first \(id)", "second \(id)", "third \(id)"])
        }
        for node in nodes { #expect(await node.stop() == [:]) }
    }

    @Test func `carry raw messages with all their fields`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let inbox = Inbox<Message>()
        let subscription = try await nodes[1].bus.subscribe("raw.*") { (message: Message, _) in inbox.add(message) }
        try await subscription.established()
        let trace = TraceContext(traceHigh: 1, traceLow: 2, span: 3, flags: 1)
        let sent = Message(
            topic: "raw.one", payload: ByteBuffer(string: "hello"), eventType: "Greeting", priority: .high, session: "s1",
            headers: ["k": "v"], trace: trace,
            timeToLive: .seconds(60))
        try await nodes[0].bus.publish(sent)
        let got = try #require(await inbox.wait(for: 1).first)
        #expect(got.topic == sent.topic)
        #expect(got.payload == sent.payload)
        #expect(got.eventType == sent.eventType)
        #expect(got.priority == sent.priority)
        #expect(got.session == sent.session)
        #expect(got.headers == sent.headers)
        #expect(got.trace == sent.trace)
        // What it waited on the way counts.
        let left = try #require(got.timeToLive)
        #expect(left > .zero && left <= .seconds(60))
        for node in nodes { await node.stop() }
    }

    @Test func `answer on the thread of the link where the responder asks for it`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let threads = Mutex<[Bool]>([])
        for (topic, runsOnLink) in [("quick", true), ("usual", false)] {
            try await nodes[1].bus.respond(to: TopicFilter(topic), options: ResponderOptions(runsOnLink: runsOnLink)) { message, _ in
                let isOnLink = unsafe withUnsafeCurrentTask { unsafe $0?.unownedTaskExecutor != nil }
                threads.withLock { $0.append(isOnLink) }
                return message.payload
            }
        }
        try await nodes[1].established()
        for topic: Topic in ["quick", "usual"] {
            let reply = try await nodes[0].bus.request(Message(topic: topic, payload: ByteBuffer(string: "ping"))).first()
            #expect(reply.payload == ByteBuffer(string: "ping"))
        }
        #expect(threads.withLock { $0 } == [true, false])
        for node in nodes { await node.stop() }
    }

    @Test func `answer each other's requests, with one reply or a stream`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        try await nodes[1].bus.respond(to: "echo") { message, _ in message.payload }
        try await nodes[1].bus.respond(to: ["count"]) { message, _, writer in
            for number in 0..<500 { try await writer.send(ByteBuffer(integer: number)) }
        }
        try await nodes[1].established()
        let reply = try await nodes[0].bus.request(Message(topic: "echo", payload: ByteBuffer(string: "ping"))).first()
        #expect(reply.payload == ByteBuffer(string: "ping"))
        var seen = 0
        for try await reply in try await nodes[0].bus.request(
            Message(topic: "count", payload: ByteBuffer()), options: RequestOptions(replyWindow: 7))
        {
            #expect(reply.payload == ByteBuffer(integer: seen))
            seen += 1
        }
        #expect(seen == 500)
        await #expect(throws: LLMgineError(.noResponders, "")) {
            try await nodes[0].bus.request(Message(topic: "nobody", payload: ByteBuffer())).first()
        }
        for node in nodes { await node.stop() }
    }

    @Test func `hold a publisher back while a subscriber is slow, and lose nothing`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let inbox = Inbox<Int>()
        let gate = Inbox<Void>()
        let subscription = try await nodes[1].bus.subscribe(
            "slow", options: SubscriptionOptions(capacity: 16, whenFull: .block(deadline: .seconds(60)))
        ) {
            (order: OrderPlaced, _) in
            if order.id == 1 { _ = await gate.wait(for: 1) }
            inbox.add(order.id)
        }
        try await subscription.established()
        let count = 30_000
        async let publishing: Duration = {
            var waited = Duration.zero
            for id in 1...count { waited += try await nodes[0].bus.publish(OrderPlaced(id: id), to: "slow").waited }
            return waited
        }()
        gate.add(())
        #expect(await inbox.wait(for: count) == Array(1...count))
        _ = try await publishing
        #expect(subscription.statistics.processed <= UInt64(count))
        for node in nodes { await node.stop() }
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Three nodes and a leaf` {
    @Test func `find each other from one seed and deliver to everyone once`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b", "c"])
        let inbox = Inbox<String>()
        for node in nodes {
            for _ in 0..<2 {
                try await node.bus.subscribe("news") { (message: Message, _) in inbox.add(node.configuration.name.name) }
            }
        }
        for node in nodes { try await node.established() }
        let receipt = try await nodes[0].bus.publish(Message(topic: "news", payload: ByteBuffer(string: "x")))
        #expect(receipt.matched == 4)  // two here, two nodes
        #expect(await inbox.wait(for: 6).sorted() == ["a", "a", "b", "b", "c", "c"])
        for node in nodes { await node.stop() }
    }

    @Test func `relay what a leaf publishes, wants and asks`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b", "c"])
        try await nodes[2].bus.respond(to: "echo") { message, _ in message.payload }
        let inbox = Inbox<String>()
        try await nodes[1].bus.subscribe("from.leaf") { (message: Message, _) in inbox.add(String(buffer: message.payload)) }
        for node in nodes { try await node.established() }
        let one = try await cluster.node("one", seeds: [nodes[0].listeningAddress ?? ""], kind: .leaf)
        let two = try await cluster.node("two", seeds: [nodes[1].listeningAddress ?? ""], kind: .leaf)
        let leafInbox = Inbox<String>()
        let subscription = try await two.bus.subscribe("from.>") { (message: Message, _) in leafInbox.add(String(buffer: message.payload)) }
        try await subscription.established()
        try await one.bus.publish(Message(topic: "from.leaf", payload: ByteBuffer(string: "hello")))
        #expect(await inbox.wait(for: 1) == ["hello"])
        #expect(await leafInbox.wait(for: 1) == ["hello"])
        let reply = try await one.bus.request(Message(topic: "echo", payload: ByteBuffer(string: "ping"))).first()
        #expect(reply.payload == ByteBuffer(string: "ping"))
        for node in [one, two] + nodes { await node.stop() }
    }
}
