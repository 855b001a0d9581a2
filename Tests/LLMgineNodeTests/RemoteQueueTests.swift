import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineObservability
import LLMgineResilience
import LLMgineTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A queue behind a link` {
    /// Two nodes with a subscription on the second whose handler waits until it is let go.
    private struct Scene {
        let cluster = try? TestCluster()
        let nodes: [Node]
        let subscription: Subscription
        let inbox = Inbox<Int>()
        private let gate = AsyncStream.makeStream(of: Void.self)

        init(_ queue: BoundedEventQueue) async throws {
            let cluster = try #require(cluster)
            nodes = try await cluster.mesh(["a", "b"])
            subscription = try await nodes[1].bus.subscribe("orders", options: .init(name: "s", queue: queue)) {
                [inbox, stream = gate.stream] (order: OrderPlaced, _) in
                inbox.add(order.id)
                if order.id == 1 { for await _ in stream {} }
            }
            try await subscription.established()
        }

        func publish(_ id: Int, on node: Int = 0) async throws -> PublishReceipt {
            try await nodes[node].bus.publish(OrderPlaced(id: id), to: "orders")
        }

        func waits(for count: Int) async throws {
            while subscription.queueMetrics.currentSize != count {
                try Task.checkCancellation()
                await Task.yield()
            }
        }

        func letGo() { gate.continuation.finish() }

        func stop() async {
            for node in nodes { _ = await node.stop() }
            cluster?.remove()
        }
    }

    @Test func `knows pressure from events that it cannot refuse`() async throws {
        let scene = try await Scene(BoundedEventQueue(capacity: 10))
        for id in 1...9 { _ = try await scene.publish(id) }
        try await scene.waits(for: 9)
        let metrics = scene.subscription.queueMetrics
        #expect((metrics.isBackpressureActive, metrics.highWaterMarkHits, metrics.totalEnqueued) == (true, 1, 9))
        #expect(scene.nodes[1].bus.metrics().counters["queue_high_water_hits_total"] == 1)
        scene.letGo()
        try await scene.waits(for: 0)
        #expect(!scene.subscription.queueMetrics.isBackpressureActive)
        #expect(await scene.inbox.wait(for: 9) == Array(1...9))
        await scene.stop()
    }

    @Test func `keeps what has to go, wherever it comes from, and gives its credit back`() async throws {
        let scene = try await Scene(BoundedEventQueue(capacity: 4, strategy: .dropOldest, keepsDropped: true))
        var ids = [try await scene.publish(1).id]
        // What the handler's task has taken cannot be taken from it: let it take the first alone.
        _ = await scene.inbox.wait(for: 1)
        for id in 2...4 { ids.append(try await scene.publish(id).id) }
        try await scene.waits(for: 4)
        let receipts = [try await scene.publish(5, on: 1), try await scene.publish(6, on: 1)]
        #expect(receipts.map(\.evicted) == [1, 1])
        let letters = scene.nodes[1].bus.deadLetters.list()
        #expect(letters.map(\.message) == Array(ids[1...2]))
        #expect(try letters.map { try OrderPlaced(decoding: $0.content.payload).id } == [2, 3])
        scene.letGo()
        #expect(await scene.inbox.wait(for: 4) == [1, 4, 5, 6])
        try await scene.waits(for: 0)
        // All of the window is free again: a whole one comes through.
        for id in 11...14 { _ = try await scene.publish(id) }
        #expect(await scene.inbox.wait(for: 8) == [1, 4, 5, 6, 11, 12, 13, 14])
        await scene.stop()
    }

    @Test func `paces a remote publisher by credit when it limits the rate, and loses nothing`() async throws {
        let scene = try await Scene(BoundedEventQueue(capacity: 8, strategy: .adaptiveRateLimit, deadline: .seconds(30)))
        scene.letGo()
        for id in 1...500 {
            let receipt = try await scene.publish(id)
            #expect((receipt.accepted, receipt.evicted, receipt.rejected, receipt.slow) == (1, 0, 0, []))
        }
        #expect(await scene.inbox.wait(for: 500) == Array(1...500))
        await scene.stop()
    }
}
