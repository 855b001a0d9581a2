import LLMgineBus
import LLMgineCore
import LLMgineResilience
import LLMgineTestKit
import Testing

@Suite struct `A full queue that keeps the newest of each key` {
    private func publish(_ number: Int, _ symbol: String?, on bus: MessageBus, priority: Priority = .normal) async throws -> PublishReceipt
    {
        var options = PublishOptions(priority: priority)
        options.headers["symbol"] = symbol
        return try await bus.publish(Tick(number: number), to: "t", options: options)
    }

    @Test func `loses nothing while there is room`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 5, whenFull: .conflate(by: .topic)))
        for number in 1...4 { #expect(try await bus.publish(Tick(number: number), to: "t").evicted == 0) }
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0, 1, 2, 3, 4])
    }

    @Test func `lets what is superseded go first, and tells of it`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 5, whenFull: .conflate(by: .header("symbol"))))
        for (number, symbol) in [(1, "A"), (2, "B"), (3, "A"), (4, "C")] { _ = try await publish(number, symbol, on: bus) }
        #expect(try await publish(5, "B", on: bus).evicted == 1)  // 1 goes, which 3 has superseded
        #expect(try await publish(6, "D", on: bus).evicted == 1)  // 2
        #expect(try await publish(7, "C", on: bus).evicted == 1)  // 4
        #expect(try await publish(8, "E", on: bus).evicted == 1)  // 3: there are more keys than room
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0, 5, 6, 7, 8])
        #expect(held.seen.entries.map(\.1.missed) == [0, 4, 0, 0, 0])
        #expect(held.subscription.statistics.evicted == 4)
        #expect(held.subscription.statistics.missed == 4)
    }

    @Test func `holds a class apart from the others, and leaves those alone that have no key`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 4, whenFull: .conflate(by: .header("symbol"))))
        _ = try await publish(1, "A", on: bus, priority: .urgent)
        _ = try await publish(2, nil, on: bus)
        _ = try await publish(3, "A", on: bus)
        #expect(try await publish(4, "A", on: bus).evicted == 1)  // 3
        #expect(try await publish(5, nil, on: bus).evicted == 1)  // 2: the oldest of the least urgent class
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == [0, 1, 4, 5])
    }

    @Test func `may have a handler for messages`() async throws {
        let bus = MessageBus(.swift)
        let gate = Gate()
        let seen = Journal<(String, UInt64)>()
        try await bus.subscribe("q.>", options: .init(capacity: 3, whenFull: .conflate(by: .topic))) { (message: Message, context) in
            seen.add((message.text, context.missed))
            await gate.pass()
        }
        try await bus.publish(Message("q.x", "first"))
        await seen.first(1)
        for number in 1...100 { try await bus.publish(Message(number % 2 == 0 ? "q.even" : "q.odd", "\(number)")) }
        gate.open()
        await bus.stop()
        #expect(seen.entries.map(\.0) == ["first", "99", "100"])
        #expect(seen.entries.map(\.1) == [0, 98, 0])
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `keeps order and the newest of each under random use`(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let bus = MessageBus(.swift)
        let capacity = Int.random(in: 8...200, using: &random)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: capacity, whenFull: .conflate(by: .header("symbol"))))
        let count = 5000
        var newest: [String: Int] = [:]
        var evicted = 0
        for number in 1...count {
            let symbol = "s\(Int.random(in: 0..<6, using: &random))"
            newest[symbol] = number
            let receipt = try await publish(number, symbol, on: bus)
            evicted += receipt.evicted
            #expect((receipt.accepted, receipt.rejected) == (1, 0), "seed \(seed)")
        }
        held.gate.open()
        await bus.stop()
        let numbers = held.numbers
        #expect(numbers == numbers.sorted(), "seed \(seed)")
        #expect(Set(newest.values).isSubset(of: numbers), "seed \(seed)")
        #expect(numbers.count == capacity && evicted == count + 1 - capacity, "seed \(seed)")
        #expect(held.seen.entries.reduce(0) { $0 + Int($1.1.missed) } == evicted, "seed \(seed)")
        #expect(held.subscription.queueMetrics.totalDropped == UInt64(evicted), "seed \(seed)")
    }

    @Test func `is not for events that must come at least once`() async throws {
        let bus = MessageBus(.swift)
        await #expect(throws: LLMgineError(.invalidArgument, "")) {
            try await bus.subscribe("t", options: .init(whenFull: .conflate(by: .topic), delivery: .atLeastOnce)) { (_: Tick, _) in }
        }
        await #expect(throws: LLMgineError(.invalidArgument, "")) {
            try await bus.subscribe("t", options: .init(whenFull: .conflate(by: .header("")))) { (_: Tick, _) in }
        }
    }
}
