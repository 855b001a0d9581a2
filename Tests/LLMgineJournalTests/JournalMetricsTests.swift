import LLMgineBus
import LLMgineCore
import LLMgineJournal
import LLMgineObservability
import Testing

@Suite(.timeLimit(.minutes(1))) struct `The metrics of a journal` {
    private func value(_ instrument: Instrument, of bus: MessageBus) -> MetricsSnapshot.Value? {
        bus.observability.metrics.snapshot().families.first { $0.instrument == instrument }?.series.first?.value
    }

    private func number(_ instrument: Instrument, of bus: MessageBus) -> Double? {
        switch value(instrument, of: bus) {
        case .integer(let count): Double(count)
        case .number(let number): number
        case .distribution, nil: nil
        }
    }

    @Test func `say what it holds, and how long the disk took`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        let bus = MessageBus(journal: journal)
        let (seen, gate) = (Seen(), AsyncStream.makeStream(of: Void.self))
        try await bus.subscribe("orders", options: SubscriptionOptions(name: "orders", delivery: .atLeastOnce)) { (order: OrderPlaced, _) in
            for await _ in gate.stream {}
            seen.add(order.id)
        }
        #expect(number(.journalOpen, of: bus) == 0)
        for id in 1...3 { try await bus.publish(OrderPlaced(id: id), to: "orders", durability: .durable) }
        #expect(number(.journalOpen, of: bus) == 3)
        #expect(number(.journalSegments, of: bus) == 1)
        #expect(number(.journalFailed, of: bus) == 0)
        #expect(number(.journalSize, of: bus) == Double(journal.statistics.bytes))
        #expect(number(.journalWaiting, of: bus) == 0)
        guard case .distribution(let histogram)? = value(.journalSyncDuration, of: bus) else {
            Issue.record("there is no histogram")
            return
        }
        #expect(histogram.count == journal.statistics.syncs)
        #expect(histogram.sum > 0)
        gate.continuation.finish()
        _ = try await seen.reaches(3)
        try await journal.settled()
        #expect(number(.journalOpen, of: bus) == 0)
        await bus.stop()
        await journal.close()
    }

    @Test func `are not there without one`() async throws {
        let bus = MessageBus()
        #expect(value(.journalOpen, of: bus) == nil)
        await bus.stop()
    }

    @Test func `count what a session publishes durably`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        let bus = MessageBus(journal: journal)
        let seen = Seen()
        try await bus.subscribe("orders", options: SubscriptionOptions(name: "orders", delivery: .atLeastOnce)) {
            (order: OrderPlaced, context) in
            #expect(context.session == "s")
            seen.add(order.id)
        }
        let session = try await bus.createSession("s")
        for id in 1...3 {
            #expect(try await session.publish(OrderPlaced(id: id), to: "orders", durability: .durable).accepted == 1)
        }
        try await session.publish(OrderPlaced(id: 4), to: "orders", durability: .transient)
        #expect(try await seen.reaches(4) == Array(1...4))
        #expect(journal.statistics.appended == 3)
        await session.end()
        await #expect(throws: LLMgineError(.stopped, "")) {
            try await session.publish(OrderPlaced(id: 5), to: "orders", durability: .durable)
        }
        await bus.stop()
        await journal.close()
    }
}
