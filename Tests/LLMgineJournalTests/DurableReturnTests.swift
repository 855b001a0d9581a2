import LLMgineBus
import LLMgineCore
import LLMgineJournal
import LLMgineResilience
import LLMgineTestKit
import NIOCore
import Testing

/// What becomes of durable events whose subscription ends, in the same life of the process.
@Suite(.timeLimit(.minutes(1))) struct `A durable event whose subscription has ended` {
    private let options = SubscriptionOptions(name: "orders", delivery: .atLeastOnce)

    /// Makes a subscription whose handler never gets past the first event.
    private func stuck(_ bus: MessageBus, _ options: SubscriptionOptions) async throws -> (Subscription, Seen) {
        let seen = Seen()
        let subscription = try await bus.subscribe("orders", options: options) { (order: OrderPlaced, _) in
            seen.add(order.id)
            let gate = AsyncStream.makeStream(of: Void.self)
            for await _ in gate.stream {}
            try Task.checkCancellation()
        }
        return (subscription, seen)
    }

    @Test func `goes to the next of its name, in order`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        let bus = MessageBus(journal: journal)
        let (first, seen) = try await stuck(bus, options)
        for id in 1...5 { try await bus.publish(OrderPlaced(id: id), to: "orders", durability: .durable) }
        _ = try await seen.reaches(1)
        await first.cancel()
        let again = Seen()
        try await bus.subscribe("orders", options: options) { (order: OrderPlaced, _) in again.add(order.id) }
        #expect(try await again.reaches(5) == Array(1...5))
        try await journal.settled()
        #expect(bus.deadLetters.count == 0)
        await bus.stop()
        await journal.close()
    }

    @Test func `goes to another member of its group at once`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        let bus = MessageBus(journal: journal)
        var options = SubscriptionOptions(name: "a", group: "g", delivery: .atLeastOnce)
        let (first, seen) = try await stuck(bus, options)
        for id in 1...5 { try await bus.publish(OrderPlaced(id: id), to: "orders", durability: .durable) }
        _ = try await seen.reaches(1)
        options.name = "b"
        let other = Seen()
        try await bus.subscribe("orders", options: options) { (order: OrderPlaced, _) in other.add(order.id) }
        #expect(other.all.isEmpty)
        await first.cancel()
        #expect(try await other.reaches(5).sorted() == Array(1...5))
        try await journal.settled()
        await bus.stop()
        await journal.close()
    }

    @Test func `goes to the dead letters when nobody of its name comes`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path, options: .init(retention: .milliseconds(50)))
        let bus = MessageBus(journal: journal)
        let (first, seen) = try await stuck(bus, options)
        for id in 1...3 { try await bus.publish(OrderPlaced(id: id), to: "orders", durability: .durable) }
        _ = try await seen.reaches(1)
        await first.cancel()
        try await journal.settled()
        #expect(bus.deadLetters.list().map(\.message.sequence) == [1, 2, 3])
        await bus.stop()
        await journal.close()
    }

    @Test func `is owed to each subscription of its name`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        let bus = MessageBus(journal: journal)
        let (first, seen) = try await stuck(bus, options)
        let other = Seen()
        try await bus.subscribe("orders", options: options) { (order: OrderPlaced, _) in other.add(order.id) }
        let receipt = try await bus.publish(OrderPlaced(id: 1), to: "orders", durability: .durable)
        #expect(receipt.accepted == 2)
        _ = try await seen.reaches(1)
        _ = try await other.reaches(1)
        #expect(journal.statistics.open == 1)
        await first.cancel()
        // It cannot be told which of the two comes back: the one that is there gets it once more.
        #expect(try await other.reaches(2) == [1, 1])
        try await journal.settled()
        await bus.stop()
        await journal.close()
    }

    @Test func `is not owed to a queue that refused it`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        let bus = MessageBus(journal: journal)
        var options = options
        options.queue = BoundedEventQueue(capacity: 2, strategy: .rejectNew)
        let (_, seen) = try await stuck(bus, options)
        try await bus.publish(OrderPlaced(id: 1), to: "orders", durability: .durable)
        _ = try await seen.reaches(1)
        var receipts: [PublishReceipt] = []
        for id in 2...5 { receipts.append(try await bus.publish(OrderPlaced(id: id), to: "orders", durability: .durable)) }
        let refused = receipts.reduce(0) { $0 + $1.rejected }
        #expect(refused >= 2)
        while journal.statistics.open > 5 - refused { await Task.yield() }
        #expect(journal.statistics.open == 5 - refused)
        await bus.stop(deadline: .zero)
        await journal.close()
    }

    @Test func `is not owed if the publisher stopped waiting for room`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        let bus = MessageBus(journal: journal)
        var options = options
        options.queue = BoundedEventQueue(capacity: 1, strategy: .block, deadline: .seconds(60))
        let (_, seen) = try await stuck(bus, options)
        try await bus.publish(OrderPlaced(id: 1), to: "orders", durability: .durable)
        _ = try await seen.reaches(1)
        let publisher = Task { try await bus.publish(OrderPlaced(id: 2), to: "orders", durability: .durable) }
        while !bus.isHoldingPublishersBack, journal.statistics.appended < 3 { await Task.yield() }
        publisher.cancel()
        await #expect(throws: LLMgineError(.cancelled, "")) { try await publisher.value }
        while journal.statistics.open > 1 { await Task.yield() }
        await bus.stop(deadline: .zero)
        await journal.close()
    }
}
