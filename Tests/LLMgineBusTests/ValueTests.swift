import LLMgineBus
import LLMgineCore
import Synchronization
import Testing

/// Counts how many of its tokens are alive: 0 in the end is no leak, and never below is no double free.
final class Census: Sendable {
    private let alive = Atomic<Int>(0)
    private let lowest = Atomic<Int>(0)
    var count: Int { alive.load(ordering: .sequentiallyConsistent) }
    var everNegative: Bool { lowest.load(ordering: .sequentiallyConsistent) < 0 }

    final class Token: Sendable {
        let census: Census
        let number: Int
        init(_ census: Census, _ number: Int) {
            self.census = census
            self.number = number
            census.alive.add(1, ordering: .sequentiallyConsistent)
        }
        deinit {
            census.lowest.min(census.alive.subtract(1, ordering: .sequentiallyConsistent).newValue, ordering: .sequentiallyConsistent)
        }
    }
}

/// An event that holds a token, and so knows when it is gone.
private struct Held: Event {
    let token: Census.Token
    init(_ token: Census.Token) { self.token = token }
    init(from decoder: any Decoder) throws { throw Mishap() }
    func encode(to encoder: any Encoder) throws { throw Mishap() }
}

@Suite(.timeLimit(.minutes(1))) struct `Values in a queue` {
    private let census = Census()

    private func publish(_ numbers: Range<Int>, on bus: MessageBus, priority: Priority = .normal) async throws {
        for number in numbers { try await bus.publish(Held(Census.Token(census, number)), to: "t", options: .init(priority: priority)) }
    }

    private func expectNobodyLeft() async throws {
        try await until { census.count == 0 }
        #expect(!census.everNegative)
    }

    @Test func `live as long as they wait and are handled`() async throws {
        let bus = MessageBus(.off)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (held: Held, _) in seen.add(held.token.number) }
        try await publish(0..<10_000, on: bus)
        #expect(await seen.first(10_000) == Array(0..<10_000))
        await bus.stop()
        try await expectNobodyLeft()
    }

    @Test(arguments: [1, 3, 1000, 1500, 5000])
    func `go when they are evicted, also while the queue is compacted`(capacity: Int) async throws {
        let bus = MessageBus(.off)
        let gate = Gate()
        let seen = Journal<Int>()
        try await bus.subscribe("t", options: .init(capacity: capacity, whenFull: .dropOldest)) { (held: Held, _) in
            seen.add(held.token.number)
            await gate.pass()
        }
        try await publish(0..<1, on: bus)
        await seen.first(1)
        try await publish(1..<12_001, on: bus)
        #expect(census.count <= max(2, capacity))
        gate.open()
        await bus.stop()
        #expect(seen.entries == [0] + Array((12_001 - max(1, capacity - 1))..<12_001))
        try await expectNobodyLeft()
    }

    @Test func `go when the subscription ends, with those of every class`() async throws {
        let bus = MessageBus(.off)
        let started = Gate()
        let subscription = try await bus.subscribe("t") { (_: Held, _) in
            started.open()
            try await cancellation()
        }
        try await publish(0..<1, on: bus)
        await started.pass()
        for priority in Priority.allCases { try await publish(0..<100, on: bus, priority: priority) }
        #expect(census.count == 401)
        await subscription.cancel()
        try await expectNobodyLeft()
        await bus.stop()
    }

    @Test func `go with the bus that is let go of`() async throws {
        do {
            let bus = MessageBus(.off)
            let sequence = try await bus.events(Held.self, on: "t")
            try await publish(0..<100, on: bus)
            #expect(census.count == 100)
            _ = sequence
        }
        try await expectNobodyLeft()
    }
}

@Suite struct `A value store` {
    private final class Owner {
        let census: Census
        init(_ census: Census) { self.census = census }
    }

    @Test func `moves values as it grows and shifts, and destroys each once`() {
        let census = Census()
        var store = ValueStore(ValueLayout(of: Census.Token.self))
        for number in 0..<100 {
            if number >= store.capacity { store.grow(beyond: number, keeping: 0..<number) { _ in true } }
            store.put(Census.Token(census, number), at: number)
        }
        #expect(census.count == 100)
        for slot in 0..<40 { #expect(store.take(Census.Token.self, at: slot)?.number == slot) }
        for slot in 40..<50 { store.destroy(at: slot) }
        #expect(census.count == 50)
        store.shift(down: 50, used: 50..<100) { _ in true }
        #expect((0..<50).map { store.take(Census.Token.self, at: $0)?.number } == (50..<100).map { $0 })
        store.deallocate()
        #expect(census.count == 0 && !census.everNegative)
    }

    @Test func `knows its type`() {
        var store = ValueStore(ValueLayout(of: Int.self))
        store.grow(beyond: 0, keeping: 0..<0) { _ in true }
        store.put(1, at: 0)
        #expect(store.take(String.self, at: 0) == nil)
        #expect(store.take(Int.self, at: 99) == nil)
        #expect(store.take(Int.self, at: 0) == 1)
        store.deallocate()
    }
}
