import LLMgineBus
import LLMgineCore
import LLMgineResilience
import Testing

/// A gap is a peer's word: it comes without credit, and its count may be anything.
@Suite(.timeLimit(.minutes(1))) struct `A gap that a peer tells of` {
    @Test func `takes one place however often it is told of`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: SubscriptionOptions())
        let subscriber = held.subscription.subscriber
        for _ in 0..<10_000 { subscriber.noteGap(1, priority: .normal) }
        #expect(subscriber.queuedGaps == 1)
        subscriber.noteGap(1, priority: .high)
        #expect(subscriber.queuedGaps == 2)
        try await bus.publish(Tick(number: 1), to: "t")
        subscriber.noteGap(5, priority: .normal)
        #expect(subscriber.queuedGaps == 3)
        try await bus.publish(Tick(number: 2), to: "t")
        held.gate.open()
        #expect(await held.seen.first(3).dropFirst().map(\.1.missed) == [10_000, 5])
        await bus.stop()
        #expect(held.subscription.statistics.missed == 10_005)
    }

    @Test func `of more than there can be is cut short`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: SubscriptionOptions())
        let most = UInt64(UInt32.max)
        for number in 1...3 {
            for _ in 1...3 { held.subscription.subscriber.noteGap(.max, priority: .normal) }
            try await bus.publish(Tick(number: number), to: "t")
        }
        held.gate.open()
        #expect(await held.seen.first(4).dropFirst().map(\.1.missed) == [most, most, most])
        await bus.stop()
        #expect(held.subscription.statistics.missed == 3 * most)
    }

    @Test func `is added to what a full queue lets go`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(
            on: bus, options: SubscriptionOptions(queue: BoundedEventQueue(capacity: 1, strategy: .dropOldest)))
        for number in 1...4 {
            held.subscription.subscriber.noteGap(.max, priority: .normal)
            try await bus.publish(Tick(number: number), to: "t")
        }
        held.gate.open()
        let last = try #require(await held.seen.first(2).last)
        #expect(last.0.number == 4)
        #expect(last.1.missed > 3 * UInt64(UInt32.max))
        await bus.stop()
    }

    @Test func `is told to several handlers at once as well`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<UInt64>()
        let subscription = try await bus.subscribe("t", options: SubscriptionOptions(concurrency: 2)) { (_: Tick, context) in
            seen.add(context.missed)
        }
        for _ in 1...3 { subscription.subscriber.noteGap(.max, priority: .normal) }
        for _ in 1...3 { subscription.subscriber.noteExpired(.max) }
        try await bus.publish(Tick(number: 1), to: "t")
        #expect(await seen.first(1)[0] > 0)
        await bus.stop()
    }
}
