import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineResilience
import LLMgineTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A subscription that has its events at least once` {
    /// A publisher `a` and a subscriber `b` whose only way to it leads over a relay that can be cut.
    private final class Scene: Sendable {
        let cluster: TestCluster
        let proxy: CutProxy
        let a: Node

        init() async throws {
            cluster = try TestCluster()
            proxy = try await CutProxy()
            var configuration = try cluster.configuration("a")
            configuration.advertise = proxy.address
            a = try await Node(configuration: configuration)
            try proxy.lead(to: try #require(a.listeningAddress))
        }

        func subscriber() async throws -> Node {
            var configuration = try cluster.configuration("b", seeds: [proxy.address])
            configuration.listen = nil
            let node = try await Node(configuration: configuration)
            try await node.linked(to: 1)
            return node
        }

        @discardableResult
        func publish(_ id: Int, _ priority: Priority = .normal) async throws -> PublishReceipt {
            try await a.bus.publish(OrderPlaced(id: id), to: "orders", options: PublishOptions(priority: priority))
        }

        func settled() async throws {
            while !a.unacknowledged.isEmpty {
                try Task.checkCancellation()
                await Task.yield()
            }
        }

        func stop(_ nodes: Node...) async {
            for node in nodes + [a] { _ = await node.stop() }
            await proxy.close()
            cluster.remove()
        }
    }

    @Test func `acknowledges what its handler has processed`() async throws {
        let scene = try await Scene()
        let b = try await scene.subscriber()
        let inbox = Inbox<Int>()
        let subscription = try await b.bus.subscribe("orders", options: .init(name: "s", delivery: .atLeastOnce)) {
            (order: OrderPlaced, context) in
            #expect(context.publisher == "a")
            inbox.add(order.id)
        }
        try await subscription.established()
        for id in 1...500 { #expect(try await scene.publish(id).accepted == 1) }
        #expect(await inbox.wait(for: 500) == Array(1...500))
        try await scene.settled()
        #expect(subscription.statistics.processed == 500)
        await scene.stop(b)
    }

    @Test func `loses, repeats and reorders nothing over a link that is cut again and again`() async throws {
        let scene = try await Scene()
        let b = try await scene.subscriber()
        let inbox = Inbox<Int>()
        let subscription = try await b.bus.subscribe("orders", options: .init(delivery: .atLeastOnce)) { (order: OrderPlaced, context) in
            inbox.add(order.id)
            if order.id % 200 == 0 { scene.proxy.cut() }
        }
        try await subscription.established()
        for id in 1...1000 { #expect(try await scene.publish(id, id % 2 == 0 ? .high : .low).accepted == 1) }
        let handled = await inbox.wait(for: 1000)
        try await scene.settled()
        #expect(handled.sorted() == Array(1...1000))
        for parity in 0..<2 {
            let order = handled.filter { $0 % 2 == parity }
            #expect(order == order.sorted())
        }
        #expect(inbox.items.count == 1000)
        await scene.stop(b)
    }

    @Test func `gets what was published while it was away`() async throws {
        let scene = try await Scene()
        let b = try await scene.subscriber()
        let inbox = Inbox<Int>()
        let subscription = try await b.bus.subscribe("orders", options: .init(delivery: .atLeastOnce)) { (order: OrderPlaced, _) in
            inbox.add(order.id)
        }
        try await subscription.established()
        try await scene.publish(1)
        _ = await inbox.wait(for: 1)
        scene.proxy.partition()
        while !scene.a.peers.isEmpty { await Task.yield() }
        for id in 2...10 { #expect(try await scene.publish(id).accepted == 1) }
        #expect(scene.a.unacknowledged.values.reduce(0, +) >= 9)
        scene.proxy.restore()
        #expect(await inbox.wait(for: 10) == Array(1...10))
        try await scene.settled()
        await scene.stop(b)
    }

    @Test func `gets under its name what an earlier life of its node has not processed`() async throws {
        let scene = try await Scene()
        let first = try await scene.subscriber()
        let inbox = Inbox<Int>()
        let gate = AsyncStream.makeStream(of: Void.self)
        let options = SubscriptionOptions(name: "orders", delivery: .atLeastOnce)
        let before = try await first.bus.subscribe("orders", options: options) { (order: OrderPlaced, _) in
            inbox.add(order.id)
            if order.id == 3 { for await _ in gate.stream {} }
            try Task.checkCancellation()
        }
        try await before.established()
        for id in 1...6 { try await scene.publish(id) }
        _ = await inbox.wait(for: 3)
        _ = await first.stop(deadline: .zero)
        #expect(first.bus.deadLetters.count == 0)
        while scene.a.unacknowledged != ["b/orders": 4] { await Task.yield() }
        try await scene.publish(7)

        let second = try await scene.subscriber()
        let again = Inbox<Int>()
        let after = try await second.bus.subscribe("orders", options: options) { (order: OrderPlaced, _) in again.add(order.id) }
        try await after.established()
        #expect(await again.wait(for: 5) == [3, 4, 5, 6, 7])
        try await scene.settled()
        await scene.stop(second)
    }

    @Test func `leaves what it has not processed in the publisher's dead letters when it ends for good`() async throws {
        let scene = try await Scene()
        let b = try await scene.subscriber()
        let inbox = Inbox<Int>()
        let gate = AsyncStream.makeStream(of: Void.self)
        let subscription = try await b.bus.subscribe("orders", options: .init(delivery: .atLeastOnce)) { (order: OrderPlaced, _) in
            inbox.add(order.id)
            for await _ in gate.stream {}
        }
        try await subscription.established()
        for id in 1...3 { try await scene.publish(id) }
        _ = await inbox.wait(for: 1)
        await subscription.cancel()
        var arrivals: [Int] = []
        for await letter in scene.a.bus.deadLetters.arrivals() {
            arrivals.append(try OrderPlaced(decoding: letter.content.payload).id)
            #expect(letter.error == LLMgineError(.stopped, ""))
            #expect(letter.message.node == "a")
            if arrivals.count == 2 { break }
        }
        // The handler of the first returned when it was cancelled: that one is processed.
        #expect(arrivals == [2, 3])
        #expect(try await scene.publish(4).matched == 0)
        await scene.stop(b)
    }

    @Test func `is not waited for longer than its retention`() async throws {
        let scene = try await Scene()
        let b = try await scene.subscriber()
        let options = SubscriptionOptions(name: "s", delivery: .atLeastOnce(AtLeastOnce(retention: .seconds(1))))
        let subscription = try await b.bus.subscribe("orders", options: options) { (_: OrderPlaced, _) in }
        try await subscription.established()
        let arrivals = scene.a.bus.deadLetters.arrivals()
        scene.proxy.partition()
        while !scene.a.peers.isEmpty { await Task.yield() }
        try await scene.publish(1)
        for await letter in arrivals {
            #expect(letter.error == LLMgineError(.peerLost, ""))
            #expect(letter.subscription == "b/s")
            break
        }
        #expect(try await scene.publish(2).matched == 0)
        await scene.stop(b)
    }

    @Test func `acknowledges what it gives up, with all that is to be known in its dead letters`() async throws {
        struct Refusal: Error {}
        let scene = try await Scene()
        let b = try await scene.subscriber()
        let delivery = DeliveryMode.atLeastOnce(AtLeastOnce(maximumAttempts: 2))
        let subscription = try await b.bus.subscribe("orders", options: .init(name: "s", delivery: delivery)) { (_: OrderPlaced, _) in
            throw Refusal()
        }
        try await subscription.established()
        let arrivals = b.bus.deadLetters.arrivals()
        let id = try await scene.publish(1).id
        for await letter in arrivals {
            #expect((letter.message, letter.attempts, letter.subscription) == (id, 2, "s"))
            #expect(try OrderPlaced(decoding: letter.content.payload) == OrderPlaced(id: 1))
            break
        }
        try await scene.settled()
        #expect(scene.a.bus.deadLetters.count == 0)
        await scene.stop(b)
    }

    @Test func `makes publishers wait when too much is kept for it, and refuses what comes after the deadline`() async throws {
        let scene = try await Scene()
        let b = try await scene.subscriber()
        let inbox = Inbox<Int>()
        let options = SubscriptionOptions(name: "s", whenFull: .block(deadline: .milliseconds(100)), delivery: .atLeastOnce)
        let subscription = try await b.bus.subscribe("orders", options: options) { (order: OrderPlaced, _) in inbox.add(order.id) }
        try await subscription.established()
        scene.proxy.partition()
        while !scene.a.peers.isEmpty { await Task.yield() }
        for id in 1...8192 { #expect(try await scene.publish(id).accepted == 1) }
        let late = try await scene.publish(8193)
        #expect((late.accepted, late.rejected, late.evicted, late.slow) == (0, 1, 0, ["b/s"]))
        #expect(late.waited >= .milliseconds(100))
        #expect(try await scene.publish(8194).rejected == 1)
        scene.proxy.restore()
        #expect(await inbox.wait(for: 8192).count == 8192)
        try await scene.settled()
        #expect(try await scene.publish(8195).rejected == 0)
        #expect(await inbox.wait(for: 8193).last == 8195)
        await scene.stop(b)
    }

    @Test func `hands over to another member of its group what it cannot process`() async throws {
        let scene = try await Scene()
        let b = try await scene.subscriber()
        let options = SubscriptionOptions(name: "w", group: "workers", delivery: .atLeastOnce)
        let inbox = Inbox<Int>()
        let gate = AsyncStream.makeStream(of: Void.self)
        let first = try await b.bus.subscribe("orders", options: options) { (order: OrderPlaced, _) in
            inbox.add(order.id)
            for await _ in gate.stream {}
            try Task.checkCancellation()
        }
        try await first.established()
        for id in 1...3 { try await scene.publish(id) }
        _ = await inbox.wait(for: 1)
        _ = await b.stop(deadline: .zero)
        let c = try await scene.cluster.node("c", seeds: [try #require(scene.a.listeningAddress)])
        let other = Inbox<Int>()
        let second = try await c.bus.subscribe("orders", options: options) { (order: OrderPlaced, _) in other.add(order.id) }
        try await second.established()
        #expect(await other.wait(for: 3) == [1, 2, 3])
        try await scene.settled()
        await scene.stop(c)
    }

    @Test func `cannot drop the oldest`() async throws {
        let bus = MessageBus()
        await #expect(throws: LLMgineError(.invalidArgument, "")) {
            try await bus.subscribe("orders", options: .init(whenFull: .dropOldest, delivery: .atLeastOnce)) { (_: OrderPlaced, _) in }
        }
        await bus.stop()
    }

    @Test func `refuses what a publisher of its own node has waited for, and keeps it`() async throws {
        let bus = MessageBus()
        let gate = AsyncStream.makeStream(of: Void.self)
        let inbox = Inbox<Int>()
        let options = SubscriptionOptions(name: "s", capacity: 2, whenFull: .block(deadline: .milliseconds(50)), delivery: .atLeastOnce)
        let subscription = try await bus.subscribe("orders", options: options) { (order: OrderPlaced, _) in
            inbox.add(order.id)
            if order.id == 1 { for await _ in gate.stream {} }
        }
        for id in 1...2 { try await bus.publish(OrderPlaced(id: id), to: "orders") }
        let late = try await bus.publish(OrderPlaced(id: 3), to: "orders")
        #expect((late.rejected, late.evicted, late.slow) == (1, 0, ["s"]))
        #expect(bus.deadLetters.list().map(\.message) == [late.id])
        gate.continuation.finish()
        #expect(await inbox.wait(for: 2) == [1, 2])
        #expect(subscription.statistics.evicted == 0)
        await bus.stop()
    }
}
