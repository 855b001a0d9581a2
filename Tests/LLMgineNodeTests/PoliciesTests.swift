import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineTestKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A publisher on another node, when a subscriber does not return` {
    /// Two nodes with a subscription on the second whose handler waits at its first event.
    private struct Scene {
        let cluster: TestCluster
        let nodes: [Node]
        let subscription: Subscription
        let seen = Inbox<(topic: String, id: Int, missed: Int)>()
        private let gate = AsyncStream.makeStream(of: Void.self)

        init(_ options: SubscriptionOptions) async throws {
            cluster = try TestCluster()
            nodes = try await cluster.mesh(["a", "b"])
            subscription = try await nodes[1].bus.subscribe("orders.>", options: options) {
                [seen, stream = gate.stream] (order: OrderPlaced, context) in
                seen.add((context.topic.text, order.id, Int(context.missed)))
                if order.id == 1 { for await _ in stream {} }
            }
            try await subscription.established()
        }

        func publish(_ id: Int, to topic: Topic = "orders.new") async throws -> PublishReceipt {
            try await nodes[0].bus.publish(OrderPlaced(id: id), to: topic)
        }

        func letGo() { gate.continuation.finish() }

        func stop() async {
            for node in nodes { _ = await node.stop() }
            cluster.remove()
        }
    }

    @Test func `is slowed by one that asks for that, until its deadline, and goes on without waiting`() async throws {
        let scene = try await Scene(.init(capacity: 16, whenFull: .adaptiveRateLimit(deadline: .milliseconds(100))))
        var id = 0
        var slow: [String] = []
        while slow.isEmpty {
            id += 1
            let receipt = try await scene.publish(id)
            #expect(receipt.evicted == 0)
            slow = receipt.slow
            if !slow.isEmpty { #expect(receipt.waited >= .milliseconds(100)) }
        }
        #expect(slow == ["b/\(scene.subscription.subscriber.id)"])
        #expect((6000..<8192).contains(id), "\(id)")  // three quarters of the room at the sender
        let status = await scene.nodes[0].status()
        #expect(status.links.first?.blocked.first?.whenFull == "adaptive-rate-limit:100ms")
        var evicted = 0
        for next in id + 1...id + 3000 {
            let receipt = try await scene.publish(next)
            #expect(receipt.slow.isEmpty)
            evicted += receipt.evicted
        }
        #expect(evicted > 0)
        scene.letGo()
        let all = await scene.seen.wait(for: id + 3000 - evicted)
        #expect(all.map(\.id) == all.map(\.id).sorted())
        #expect(all.last?.id == id + 3000)
        await scene.stop()
    }

    @Test func `waits for one that stands still as long as that one says, whatever its neighbour on the link says`() async throws {
        let scene = try await Scene(.init(name: "frozen", capacity: 16, whenFull: .block(deadline: .milliseconds(100))))
        let patient = Inbox<Int>()
        try await scene.nodes[1].bus.subscribe("orders.>", options: .init(whenFull: .block(deadline: .seconds(600)))) {
            (order: OrderPlaced, _) in patient.add(order.id)
        }.established()
        var id = 0
        var receipt: PublishReceipt
        repeat {
            id += 1
            receipt = try await scene.publish(id)
        } while receipt.slow.isEmpty
        #expect(receipt.slow == ["b/\(scene.subscription.subscriber.id)"])
        #expect(receipt.waited >= .milliseconds(100) && receipt.waited < .seconds(300), "\(receipt.waited)")
        for next in id + 1...id + 1000 { #expect(try await scene.publish(next).slow.isEmpty) }
        #expect(await patient.wait(for: id + 1000) == Array(1...id + 1000), "the other one misses nothing")
        scene.letGo()
        await scene.stop()
    }

    @Test func `keeps to the pace of one that goes on, and nothing is lost`() async throws {
        let scene = try await Scene(.init(capacity: 16, whenFull: .adaptiveRateLimit(deadline: .seconds(60))))
        let count = 9000
        async let publishing: (waited: Duration, slow: [String], evicted: Int) = {
            var total = (waited: Duration.zero, slow: [String](), evicted: 0)
            for id in 1...count {
                let receipt = try await scene.publish(id)
                total = (total.waited + receipt.waited, total.slow + receipt.slow, total.evicted + receipt.evicted)
            }
            return total
        }()
        while !scene.nodes[0].bus.isHoldingPublishersBack { await Task.yield() }
        scene.letGo()
        let total = try await publishing
        #expect(total.waited > .zero && total.slow.isEmpty && total.evicted == 0)
        #expect(await scene.seen.wait(for: count).map(\.id) == Array(1...count))
        await scene.stop()
    }

    @Test func `never waits for one that wants the newest of each topic, which gets that`() async throws {
        let scene = try await Scene(.init(capacity: 4, whenFull: .conflate(by: .topic)))
        var evicted = 0
        var newest: [String: Int] = [:]
        for id in 1...1000 {
            let topic = try Topic("orders.t\(id % 5)")
            newest[topic.text] = id
            let receipt = try await scene.publish(id, to: topic)
            #expect((receipt.accepted, receipt.waited) == (1, .zero))
            evicted += receipt.evicted
        }
        #expect(evicted >= 1000 - 4 - 5)
        scene.letGo()
        let all = await scene.seen.wait(for: 1000 - evicted)
        #expect(Dictionary(all.map { ($0.topic, $0.id) }, uniquingKeysWith: { $1 }) == newest)
        for topic in newest.keys {
            let ids = all.filter { $0.topic == topic }.map(\.id)
            #expect(ids == ids.sorted())
        }
        #expect(all.reduce(0) { $0 + $1.missed } == evicted)
        await scene.stop()
    }

    @Test func `loses what the status counts once, wherever it was lost`() async throws {
        let scene = try await Scene(.init(capacity: 4, whenFull: .dropOldest))
        let count = 9000
        var evicted = (here: 0, there: try await scene.publish(1).evicted)
        _ = await scene.seen.wait(for: 1)
        for id in 2...count { evicted.there += try await scene.publish(id).evicted }
        for id in count + 1...count + 100 {
            evicted.here += try await scene.nodes[1].bus.publish(OrderPlaced(id: id), to: "orders.new").evicted
        }
        #expect(evicted.here > 0 && evicted.there > 0)
        scene.letGo()
        let lost = evicted.here + evicted.there
        _ = await scene.seen.wait(for: count + 100 - lost)
        let told = await scene.nodes[1].status().subscriptions.filter { $0.filters == ["orders.>"] }.map(\.lost)
        #expect(told == [UInt64(lost)])
        await scene.stop()
    }

    @Test func `goes on over its own disk for one that asks for that, and everything arrives in order`() async throws {
        let scene = try await Scene(.init(capacity: 16, whenFull: .spill))
        let count = 10_000
        var spilled = 0
        for id in 1...count {
            let receipt = try await scene.publish(id)
            #expect((receipt.accepted, receipt.rejected, receipt.waited > .seconds(1)) == (1, 0, false))
            spilled += receipt.spilled
        }
        #expect((1000..<2000).contains(spilled), "\(spilled)")  // the rest waits in memory
        #expect(await scene.nodes[0].status().links.first?.spilledMessages == spilled)
        scene.letGo()
        #expect(await scene.seen.wait(for: count).map(\.id) == Array(1...count))
        while try await scene.publish(count + 1).spilled > 0 { await Task.yield() }
        await scene.stop()
    }
}
