import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineTestKit
import Logging
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(2))) struct `A node's memory budget` {
    private static let bytes = 8 << 20

    /// A node that publishes, and one that subscribes and has little memory to lend.
    private func nodes(_ cluster: TestCluster) async throws -> (publisher: Node, subscriber: Node) {
        let publisher = try await cluster.node("a")
        var configuration = try cluster.configuration("b", seeds: [publisher.listeningAddress ?? ""])
        configuration.memoryBudget = Self.bytes
        let subscriber = try await Node(
            configuration: configuration, logger: Logger(label: "llmgine.test") { _ in SwiftLogNoOpLogHandler() })
        try await publisher.linked(to: 1)
        return (publisher, subscriber)
    }

    @Test func `holds however many handlers are stuck, and leaves room for those that are not`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let (publisher, subscriber) = try await nodes(cluster)
        let (inbox, stuck, gate) = (Inbox<Int>(), Inbox<Int>(), Inbox<Void>())
        for number in 0..<30 {
            try await subscriber.bus.subscribe(TopicFilter("stuck.\(number)"), options: SubscriptionOptions(whenFull: .dropOldest)) {
                (message: Message, _) in
                stuck.add(number)
                _ = await gate.wait(for: 1)
            }
        }
        let live = try await subscriber.bus.subscribe("live") { (order: OrderPlaced, _) in inbox.add(order.id) }
        try await live.established()
        // Six times what the budget is, to handlers that do not return.
        for _ in 0..<100 {
            for number in 0..<30 {
                try await publisher.bus.publish(
                    Message(topic: Topic("stuck.\(number)"), payload: ByteBuffer(repeating: 1, count: 16 << 10)))
            }
        }
        _ = await stuck.wait(for: 30)
        for id in 1...5000 { try await publisher.bus.publish(OrderPlaced(id: id), to: "live") }
        #expect(await inbox.wait(for: 5000) == Array(1...5000))
        let status = await subscriber.status()
        #expect(status.memory.budget == UInt64(Self.bytes))
        #expect(status.memory.exclusive + status.memory.floating <= status.memory.budget)
        let link = try #require(status.links.first)
        #expect(link.arrivedBytes + link.grantedBytes <= status.memory.budget)
        #expect(link.arrivedBytes > 1 << 20)
        let outbound = try #require(await publisher.status().links.first)
        #expect(outbound.blocked.count == 30)
        #expect(outbound.blocked.allSatisfy { $0.subscription.hasPrefix("stuck.") && $0.priority == "normal" && $0.messages > 0 })
        #expect(outbound.queuedBytes > 1 << 20)
        gate.add(())
        _ = await stuck.wait(for: 3000)
        for node in [publisher, subscriber] { await node.stop() }
    }

    @Test func `takes a message that is larger than all windows, and gets all of it back`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let (publisher, subscriber) = try await nodes(cluster)
        let inbox = Inbox<Int>()
        var last: Subscription?
        for number in 0..<40 {
            last = try await subscriber.bus.subscribe(TopicFilter("t.\(number)")) { (message: Message, _) in
                inbox.add(message.payload.readableBytes)
            }
        }
        try await last?.established()
        for number in 0..<40 {
            try await publisher.bus.publish(Message(topic: Topic("t.\(number)"), payload: ByteBuffer(repeating: 1, count: 1 << 20)))
        }
        #expect(await inbox.wait(for: 40) == [Int](repeating: 1 << 20, count: 40))
        #expect(await subscriber.status().memory.floating > 0)
        // The time after which idle flows give back what they do not use.
        for _ in 0..<15 { subscriber.creditTicked() }
        while await subscriber.status().memory.floating > 0 {
            subscriber.creditTicked()
            try await breathe()
        }
        #expect(await subscriber.status().memory.exclusive > 0)
        try await publisher.bus.publish(Message(topic: "t.7", payload: ByteBuffer(repeating: 1, count: 1 << 20)))
        #expect(await inbox.wait(for: 41).count == 41)
        await publisher.stop()
        while await subscriber.status().memory.exclusive > 0 { try await breathe() }
        while await subscriber.status().memory.floating > 0 { try await breathe() }
        await subscriber.stop()
    }

    /// A node that publishes and has little memory for what it keeps, and one whose handlers get it at least once, and wait for a gate.
    private func keepers(_ cluster: TestCluster, _ gate: Inbox<Void>, _ inbox: Inbox<Int>, _ policies: [WhenFull]) async throws -> (
        publisher: Node, subscriber: Node
    ) {
        var configuration = try cluster.configuration("a")
        configuration.memoryBudget = Self.bytes
        let publisher = try await Node(
            configuration: configuration, logger: Logger(label: "llmgine.test") { _ in SwiftLogNoOpLogHandler() })
        let subscriber = try await cluster.node("b", seeds: [publisher.listeningAddress ?? ""])
        try await subscriber.linked(to: 1)
        for (number, policy) in policies.enumerated() {
            let options = SubscriptionOptions(whenFull: policy, delivery: .atLeastOnce)
            try await subscriber.bus.subscribe(TopicFilter("t.\(number)"), options: options) { (_: Message, _) in
                _ = await gate.wait(for: 1)
                inbox.add(number)
            }
        }
        try await subscriber.established()
        return (publisher, subscriber)
    }

    private static let mostForWindows = UInt64(bytes / 4 + 64 << 10)

    @Test func `holds what is kept until it is acknowledged too, however many subscriptions do not`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let (gate, inbox) = (Inbox<Void>(), Inbox<Int>())
        let (publisher, subscriber) = try await keepers(cluster, gate, inbox, [WhenFull](repeating: .rejectNew, count: 12))
        var accepted = [Int](repeating: 0, count: 12)
        for number in 0..<12 {
            // 16 times what the windows may have.
            for _ in 0..<50 {
                let message = try Message(topic: Topic("t.\(number)"), payload: ByteBuffer(repeating: 1, count: 60_000))
                if try await publisher.bus.publish(message).rejected == 0 { accepted[number] += 1 }
            }
        }
        let memory = await publisher.status().memory
        #expect(memory.windows ?? 0 > 1 << 20)
        #expect(memory.windows ?? 0 <= Self.mostForWindows)
        #expect(memory.exclusive + memory.floating <= memory.budget)
        #expect(accepted[0] > accepted[11])
        #expect(accepted.reduce(0, +) * 60_000 <= Int(Self.mostForWindows))
        gate.add(())
        #expect(await inbox.wait(for: accepted.reduce(0, +)).count == accepted.reduce(0, +))
        while await publisher.status().memory.windows != 0 {
            publisher.creditTicked()
            try await breathe()
        }
        for number in 0..<12 {
            #expect(
                try await publisher.bus.publish(Message(topic: Topic("t.\(number)"), payload: ByteBuffer(repeating: 1, count: 60_000)))
                    .accepted == 1)
        }
        for node in [publisher, subscriber] { await node.stop() }
    }

    @Test func `has publishers wait for it whose events are to be kept`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let (gate, inbox) = (Inbox<Void>(), Inbox<Int>())
        let (publisher, subscriber) = try await keepers(cluster, gate, inbox, [.rejectNew, .rejectNew, .block(deadline: .seconds(50))])
        for number in 0..<2 {
            let message = try Message(topic: Topic("t.\(number)"), payload: ByteBuffer(repeating: 1, count: 1 << 20))
            #expect(try await publisher.bus.publish(message).accepted == 1)
        }
        async let receipt = publisher.bus.publish(Message(topic: "t.2", payload: ByteBuffer(repeating: 1, count: 1 << 20)))
        while await publisher.status().memory.waiting == 0 { try await breathe() }
        #expect(await publisher.status().memory.windows ?? 0 <= Self.mostForWindows)
        gate.add(())
        #expect(try await receipt.accepted == 1)
        #expect(await inbox.wait(for: 3).sorted() == [0, 1, 2])
        for node in [publisher, subscriber] { await node.stop() }
    }

    @Test func `must have room for the largest message`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        for (budget, payload) in [((8 << 20) - 1, 1 << 20), (63 << 20, 16 << 20)] {
            var configuration = try cluster.configuration("a")
            (configuration.memoryBudget, configuration.maximumPayload) = (budget, payload)
            await #expect(throws: LLMgineError(.invalidConfiguration, "")) { try await Node(configuration: configuration) }
        }
    }
}
