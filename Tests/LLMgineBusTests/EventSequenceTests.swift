import LLMgineBus
import LLMgineCore
import LLMgineResilience
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A sequence of events` {
    private let bus = MessageBus(.swift)

    @Test func `gives every event since it was made, in order`() async throws {
        let events = try await bus.events(Tick.self, on: "t.>")
        for number in 0..<100 { try await bus.publish(Tick(number: number), to: Topic("t.\(number % 3)")) }
        var numbers: [Int] = []
        for await (tick, context) in events {
            #expect(context.topic.text == "t.\(tick.number % 3)")
            numbers.append(tick.number)
            if numbers.count == 100 { break }
        }
        #expect(numbers == Array(0..<100))
        await bus.stop()
    }

    @Test func `is read at the pace of its reader, and publishers wait for it`() async throws {
        let events = try await bus.events(Tick.self, options: .init(capacity: 2, whenFull: .block(deadline: .seconds(600))))
        var iterator = events.makeAsyncIterator()
        for number in 0..<2 { try await bus.publish(Tick(number: number)) }
        let publisher = Task { [bus] in try await bus.publish(Tick(number: 2)) }
        while !bus.isHoldingPublishersBack { await Task.yield() }
        #expect(await iterator.next()?.event.number == 0)
        // It is being looked at: its place is free when the next one is asked for.
        #expect(bus.isHoldingPublishersBack)
        #expect(await iterator.next()?.event.number == 1)
        #expect(try await publisher.value.accepted == 1)
        #expect(await iterator.next()?.event.number == 2)
        await bus.stop(deadline: .zero)
    }

    @Test func `ends its subscription with its iterator`() async throws {
        let events = try await bus.events(Tick.self)
        for number in 0..<5 { try await bus.publish(Tick(number: number)) }
        for await _ in events { break }
        #expect(bus.subscriptionCount == 0)
        #expect(bus.deadLetters.list().map(\.error.code) == Array(repeating: .stopped, count: 4))
        #expect((events.subscription.statistics.processed, events.subscription.statistics.stopped) == (1, 4))
        await bus.stop()
    }

    @Test func `ends when nobody can read it any more`() async throws {
        do { _ = try await bus.events(Tick.self) }
        #expect(bus.subscriptionCount == 0)
        await bus.stop()
    }

    @Test func `ends with the task that reads it`() async throws {
        let events = try await bus.events(Tick.self)
        let waiting = Gate()
        let reader = Task {
            var count = 0
            waiting.open()
            for await _ in events { count += 1 }
            return count
        }
        await waiting.pass()
        reader.cancel()
        #expect(await reader.value == 0)
        #expect(bus.subscriptionCount == 0)
        await bus.stop()
    }

    @Test func `is read to its end when the bus stops`() async throws {
        let messages = try await bus.messages(on: "a", "b")
        try await bus.publish(Message("a", "1"))
        try await bus.publish(Message("b", "2"))
        async let left = bus.stop()
        var texts: [String] = []
        for await (message, _) in messages { texts.append(message.text) }
        #expect(texts == ["1", "2"])
        #expect(await left == [:])
    }

    @Test func `ends with its subscription`() async throws {
        let events = try await bus.events(Tick.self)
        async let count = events.reduce(0) { count, _ in count + 1 }
        await events.subscription.cancel()
        #expect(await count == 0)
        await bus.stop()
    }

    @Test func `passes over what cannot be decoded`() async throws {
        var iterator = try await bus.events(Tick.self, on: "t").makeAsyncIterator()
        try await bus.publish(Message("t", "nonsense"))
        try await bus.publish(Tick(number: 1), to: "t")
        #expect(await iterator.next()?.event.number == 1)
        #expect(bus.deadLetters.list().map(\.error.code) == [.badPayload])
        await bus.stop(deadline: .zero)
    }

    @Test func `puts into the dead letters, once, what is being decoded when it ends`() async throws {
        let events = try await bus.events(Riddle.self, on: "t")
        Riddle.iterator.withLock { $0 = events.makeAsyncIterator() }
        try await bus.publish(Message("t", "{}"))
        var count = 0
        for await _ in events { count += 1 }
        #expect(count == 0)
        let statistics = events.subscription.statistics
        #expect((statistics.processed, statistics.deadLettered, statistics.queued) == (0, 1, 0))
        #expect(bus.deadLetters.list().map(\.error.code) == [.stopped])
        await bus.stop()
    }
}

/// Does not decode, and ends the sequence in the middle of it.
private struct Riddle: Event {
    static let iterator = Mutex<EventSequence<Riddle>.Iterator?>(nil)

    init(from _: any Decoder) throws {
        Riddle.iterator.withLock { $0 = nil }
        throw Mishap()
    }
}
