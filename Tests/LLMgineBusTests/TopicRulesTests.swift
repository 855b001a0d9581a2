import LLMgineBus
import LLMgineCore
import LLMgineResilience
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `Topic rules on a bus` {
    private func rules(publish: Bool = true, receive: Bool = true, replay: Bool = true) -> TopicRules {
        TopicRules(
            publish: { publish ? nil : LLMgineError(.permissionDenied, "\($0)") }, subscribe: { _ in nil }, receive: { _ in receive },
            replay: { _, _ in replay })
    }

    @Test func `let a dead letter be tried again only while its event is still allowed`() async throws {
        let bus = MessageBus(configuration: .init(name: "n", resilience: .init(retry: nil, circuitBreaker: nil)))
        let calls = Journal<Int>()
        try await bus.subscribe(to: Tick.self) { (tick: Tick, context) in
            calls.add(context.attempt)
            throw Mishap()
        }
        let letters = bus.deadLetters.arrivals()
        try await bus.publish(Tick(number: 1))
        let letter = try #require(await letters.first { _ in true })
        bus.enforce(rules(replay: false))
        #expect(!bus.deadLetters.retry(letter.id))
        #expect(bus.deadLetters.retryAll() == 0)
        #expect(bus.deadLetters.count == 1)
        bus.enforce(rules())
        #expect(bus.deadLetters.retry(letter.id))
        #expect(await calls.first(2) == [1, 2])
        await bus.stop()
    }

    @Test func `hold for routes that were cached before`() async throws {
        let bus = MessageBus()
        let calls = Journal<Int>()
        try await bus.subscribe(to: Tick.self) { (tick: Tick, _) in calls.add(tick.number) }
        #expect(try await bus.publish(Tick(number: 1)).matched == 1)
        bus.enforce(rules(receive: false))
        #expect(try await bus.publish(Tick(number: 2)).matched == 0)
        bus.enforce(rules(publish: false))
        await #expect(throws: LLMgineError(.permissionDenied, "")) { try await bus.publish(Tick(number: 3)) }
        bus.enforce(rules())
        try await bus.publish(Tick(number: 4))
        #expect(await calls.first(2) == [1, 4])
        await bus.stop()
    }

    @Test func `hold for a publisher that waits for the handlers`() async throws {
        let bus = MessageBus()
        let calls = Journal<Int>()
        try await bus.subscribe(to: Tick.self) { (tick: Tick, _) in calls.add(tick.number) }
        bus.enforce(rules(publish: false))
        await #expect(throws: LLMgineError(.permissionDenied, "")) { try await bus.publish(Tick(number: 1), until: .processed) }
        bus.enforce(rules())
        #expect(try await bus.publish(Tick(number: 2), until: .processed).slow.isEmpty)
        #expect(calls.entries == [2])
        await bus.stop()
    }

    @Test func `hold for the subscriptions of a session`() async throws {
        let bus = MessageBus()
        let calls = Journal<Int>()
        let session = try await bus.createSession()
        try await session.subscribe(TopicFilter(Tick.topic)) { (tick: Tick, _) in calls.add(tick.number) }
        bus.enforce(rules(receive: false))
        #expect(try await session.publish(Tick(number: 1)).matched == 0)
        bus.enforce(rules())
        try await session.publish(Tick(number: 2))
        #expect(await calls.first(1) == [2])
        await bus.stop()
    }
}
