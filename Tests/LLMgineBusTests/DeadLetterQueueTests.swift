import LLMgineBus
import LLMgineCore
import LLMgineResilience
import NIOCore
import Synchronization
import Testing

struct Job: Command, Hashable {
    var number: Int
}

@Suite(.timeLimit(.minutes(1))) struct `A command that fails for good` {
    private let calls = Journal<CommandContext>()

    private func bus(capacity: Int = 1000, store: MemoryStore? = nil) async throws -> MessageBus {
        let bus = MessageBus(
            configuration: BusConfiguration(
                name: "n", incarnation: Incarnation(1),
                resilience: BusResilience(
                    retry: RetryPolicy(maximumRetries: 1, initialDelay: .zero), circuitBreaker: nil, deadLetterCapacity: capacity)
            ), store: store)
        try await bus.registerCommandHandler(Job.self) { [calls] _, context in
            calls.add(context)
            throw Mishap()
        }
        return bus
    }

    /// W9 of the predecessor: a full queue of dead letters hung `execute` for ever.
    @Test func `returns its result however full the dead letters are`() async throws {
        let bus = try await bus(capacity: 2)
        for number in 1...10 {
            let result = await bus.execute(Job(number: number))
            #expect((result.isSuccess, result.attempts) == (false, 2))
        }
        #expect(bus.deadLetters.list().map(\.id) == [9, 10])
        #expect((bus.deadLetters.evicted, bus.deadLetters.added) == (8, 10))
        await bus.stop()
    }

    @Test func `stays while there is no handler for it`() async throws {
        let store = MemoryStore()
        let first = try await bus(store: store)
        _ = await first.execute(Job(number: 1))
        await first.stop()
        let second = MessageBus(configuration: .init(name: "n"), store: store.nextLife)
        #expect(!second.deadLetters.retry(1))
        #expect(second.deadLetters.count == 1)
        await second.stop()
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Dead letters with a store` {
    private func failing(_ store: MemoryStore, capacity: Int = 1000, works: Bool = false) async throws -> (
        MessageBus, Journal<EventContext>
    ) {
        let bus = MessageBus(
            configuration: .init(
                name: "n", resilience: .init(retry: nil, circuitBreaker: nil, deadLetterCapacity: capacity)), store: store)
        let calls = Journal<EventContext>()
        try await bus.subscribe("t", options: .init(name: "s")) { (_: Tick, context) in
            calls.add(context)
            if !works { throw Mishap() }
        }
        return (bus, calls)
    }

    @Test func `outlive the process and are tried again in the next one`() async throws {
        let store = MemoryStore()
        let (first, _) = try await failing(store)
        for number in 1...2 { try await first.publish(Tick(number: number), to: "t") }
        await first.stop()
        #expect(store.told == ["letter 1", "letter 2"])
        let next = store.nextLife
        let (second, calls) = try await failing(next, works: true)
        let letters = second.deadLetters.list()
        #expect(letters.map(\.id) == [1, 2])
        #expect(second.deadLetters.added == 0)
        #expect(second.deadLetters.retry(2))
        let context = await calls.first(1)[0]
        #expect((context.id, context.attempt) == (letters[1].message, 2))
        try await until { next.told == ["gone 2"] }
        #expect(second.deadLetters.remove(1) != nil)
        #expect(next.told == ["gone 2", "gone 1"])
        await second.stop()
    }

    @Test func `are there after a crash while they are tried again, and gone once that has ended well or badly`() async throws {
        let store = MemoryStore()
        let (first, _) = try await failing(store)
        for number in 1...2 { try await first.publish(Tick(number: number), to: "t") }
        await first.stop()
        let next = store.nextLife
        let second = MessageBus(configuration: .init(name: "n", resilience: .init(retry: nil, circuitBreaker: nil)), store: next)
        let gate = Gate()
        let begun = Journal<Int>()
        try await second.subscribe("t", options: .init(name: "s")) { (tick: Tick, _) in
            begun.add(tick.number)
            await gate.pass()
            if tick.number == 2 { throw Mishap() }
        }
        #expect(second.deadLetters.retryAll() == 2)
        await begun.first(1)
        #expect(second.deadLetters.count == 0)
        #expect(next.nextLife.contents.deadLetters.map(\.id) == [1, 2])
        gate.open()
        try await until { next.told == ["gone 1", "letter 3", "gone 2"] }
        await second.stop()
        #expect(next.contents.deadLetters.map(\.id) == [3])
    }

    @Test func `go on with their numbers, and the oldest goes for want of room`() async throws {
        let store = MemoryStore()
        let (first, _) = try await failing(store)
        for number in 1...3 { try await first.publish(Tick(number: number), to: "t") }
        await first.stop()
        let next = store.nextLife
        let (second, _) = try await failing(next, capacity: 2)
        #expect(second.deadLetters.list().map(\.id) == [2, 3])
        try await second.publish(Tick(number: 4), to: "t")
        await second.stop()
        #expect(second.deadLetters.list().map(\.id) == [3, 4])
        #expect(next.contents.deadLetters.map(\.id) == [3, 4])
        #expect(second.deadLetters.removeAll() == 2)
        #expect(next.contents.deadLetters.isEmpty)
    }
}
