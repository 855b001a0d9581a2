import LLMgineBus
import LLMgineCore
import LLMgineJournal
import LLMgineResilience
import LLMgineTestKit
import NIOCore
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A durable event` {
    private let options = SubscriptionOptions(name: "orders", delivery: .atLeastOnce)

    @Test func `is forgotten once its handler has processed it`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        let bus = MessageBus(journal: journal)
        let seen = Seen()
        try await bus.subscribe("orders", options: options) { (order: OrderPlaced, context) in
            #expect(context.publisher == "local")
            seen.add(order.id)
        }
        for id in 1...10 {
            let receipt = try await bus.publish(OrderPlaced(id: id), to: "orders", durability: .durable)
            #expect((receipt.matched, receipt.accepted) == (1, 1))
        }
        #expect(try await seen.reaches(10) == Array(1...10))
        try await journal.settled()
        #expect(journal.statistics.appended == 10)
        await bus.stop()
        await journal.close()
    }

    @Test func `comes back after a restart with its identity, to the subscription of the same name and to no other`() async throws {
        let place = try Place()
        defer { place.remove() }
        var ids: [MessageID] = []
        do {
            let journal = try FileJournal(path: place.path)
            let bus = MessageBus(journal: journal)
            let gate = AsyncStream.makeStream(of: Void.self)
            let seen = Seen()
            try await bus.subscribe("orders", options: options) { (order: OrderPlaced, _) in
                seen.add(order.id)
                if order.id == 2 { for await _ in gate.stream {} }
                try Task.checkCancellation()
            }
            try await bus.subscribe("orders", options: .init(name: "others")) { (_: OrderPlaced, _) in }
            for id in 1...4 { ids.append(try await bus.publish(OrderPlaced(id: id), to: "orders", durability: .durable).id) }
            _ = try await seen.reaches(2)
            await bus.stop(deadline: .zero)
            #expect(bus.deadLetters.list().allSatisfy { $0.subscription == "others" })
            await journal.close()
        }
        let journal = try FileJournal(path: place.path)
        let bus = MessageBus(journal: journal)
        let others = Seen()
        try await bus.subscribe("orders", options: .init(name: "others", delivery: .atLeastOnce)) { (order: OrderPlaced, _) in
            others.add(order.id)
        }
        let seen = Seen()
        let known = ids
        try await bus.subscribe("orders", options: options) { (order: OrderPlaced, context) in
            #expect(context.id == known[order.id - 1])
            seen.add(order.id)
        }
        #expect(try await seen.reaches(3) == [2, 3, 4])
        try await journal.settled()
        #expect(others.all.isEmpty)
        await bus.stop()
        await journal.close()
    }

    @Test func `is settled when it goes to the dead letters`() async throws {
        struct Refusal: Error {}
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        let bus = MessageBus(journal: journal)
        let delivery = DeliveryMode.atLeastOnce(AtLeastOnce(maximumAttempts: 1))
        try await bus.subscribe("orders", options: .init(name: "s", delivery: delivery)) { (_: OrderPlaced, _) in throw Refusal() }
        let id = try await bus.publish(OrderPlaced(id: 1), to: "orders", durability: .durable).id
        try await journal.settled()
        #expect(bus.deadLetters.list().map(\.message) == [id])
        await bus.stop()
        await journal.close()
    }

    @Test func `goes to the dead letters when nobody comes back for it`() async throws {
        let place = try Place()
        defer { place.remove() }
        let first = try FileJournal(path: place.path)
        _ = try await first.append(event(1, "name:gone/s"))
        await first.close()
        let journal = try FileJournal(path: place.path, options: .init(retention: .milliseconds(20)))
        let bus = MessageBus(journal: journal)
        while bus.deadLetters.count == 0 { await Task.yield() }
        #expect(bus.deadLetters.list().map(\.message) == [event(1).id])
        #expect(bus.deadLetters.list().map(\.error) == [LLMgineError(.peerLost, "")])
        try await journal.settled()
        await bus.stop()
        await journal.close()
    }

    @Test func `is not published if it cannot be written`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        let bus = MessageBus(journal: journal)
        let seen = Seen()
        try await bus.subscribe("orders", options: options) { (order: OrderPlaced, _) in seen.add(order.id) }
        await journal.close()
        await #expect(throws: LLMgineError(.stopped, "")) {
            try await bus.publish(OrderPlaced(id: 1), to: "orders", durability: .durable)
        }
        #expect(seen.all.isEmpty)
        await bus.stop()
    }

    @Test func `needs a journal`() async throws {
        let bus = MessageBus()
        await #expect(throws: LLMgineError(.invalidConfiguration, "")) {
            try await bus.publish(OrderPlaced(id: 1), to: "orders", durability: .durable)
        }
        await bus.stop()
    }
}
