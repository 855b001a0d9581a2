import LLMgineBus
import LLMgineCore
import LLMgineResilience
import NIOCore
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A handler that throws` {
    /// W10 of the predecessor: events were never tried again.
    @Test func `is called again, in order, with the number of the attempt`() async throws {
        let bus = MessageBus(.swift)
        let calls = Journal<[Int]>()
        let subscription = try await bus.subscribe("t") { (tick: Tick, context) in
            calls.add([tick.number, context.attempt])
            if tick.number == 1, context.attempt < 3 { throw Mishap() }
        }
        for number in 0..<3 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(await calls.first(5) == [[0, 1], [1, 1], [1, 2], [1, 3], [2, 1]])
        await bus.stop()
        #expect((subscription.statistics.processed, subscription.statistics.failed, subscription.statistics.deadLettered) == (3, 2, 0))
    }

    /// W10 of the predecessor: a failed event was counted and gone.
    @Test func `again and again sends the event to the dead letters and goes on`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        let letters = bus.deadLetters.arrivals()
        let subscription = try await bus.subscribe("t", options: .init(name: "s")) { (tick: Tick, _) in
            if tick.number == 1 { throw Mishap() }
            seen.add(tick.number)
        }
        let began = SystemClock.sinceEpoch()
        for number in 1...2 { try await bus.publish(Tick(number: number), to: "t", options: .init(session: "x", headers: ["a": "b"])) }
        let letter = try #require(await letters.first { _ in true })
        #expect(letter.error == LLMgineError(.handlerFailed, ""))
        #expect(letter.error.cause is Mishap)
        #expect((letter.attempts, letter.subscription, letter.id) == (4, "s", 1))
        #expect(letter.message == MessageID(node: "n", incarnation: Incarnation(1), sequence: 1))
        #expect(
            (letter.content.topic, letter.content.session, letter.content.headers["a"], letter.content.eventType) == ("t", "x", "b", "Tick")
        )
        #expect(try Tick(decoding: letter.content.payload) == Tick(number: 1))
        #expect(letter.firstAttempt >= began && letter.lastAttempt >= letter.firstAttempt)
        #expect(await seen.first(1) == [2])
        await bus.stop()
        #expect((subscription.statistics.processed, subscription.statistics.failed, subscription.statistics.deadLettered) == (1, 4, 1))
    }

    @Test(arguments: [
        (Verdict(isRetryable: false) as any Error, LLMgineError.Code.handlerFailed), (CancellationError(), .cancelled),
        (LLMgineError(.badPayload, "no"), .badPayload), (LLMgineError(.invalidArgument, "no"), .invalidArgument),
    ])
    func `for good is not called again`(error: any Error, code: LLMgineError.Code) async throws {
        let bus = MessageBus(.swift)
        let letters = bus.deadLetters.arrivals()
        try await bus.subscribe("t") { (_: Tick, _) in throw error }
        try await bus.publish(Tick(number: 1), to: "t")
        let letter = try #require(await letters.first { _ in true })
        #expect((letter.attempts, letter.error.code) == (1, code))
        await bus.stop()
    }

    @Test func `leaves the others alone`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (_: Tick, _) in throw Mishap() }
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        for number in 0..<100 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(await seen.first(100) == Array(0..<100))
        await bus.stop()
        #expect(bus.deadLetters.count == 100)
    }

    @Test func `is forgotten when resilience is off`() async throws {
        let bus = MessageBus(.off)
        let subscription = try await bus.subscribe("t") { (_: Tick, _) in throw Mishap() }
        for number in 0..<100 { try await bus.publish(Tick(number: number), to: "t") }
        await bus.stop()
        #expect((subscription.statistics.failed, subscription.statistics.deadLettered, bus.deadLetters.count) == (100, 100, 0))
    }

    @Test func `waits between attempts, and no longer than the bus lives`() async throws {
        let bus = MessageBus(
            BusResilience(retry: RetryPolicy(initialDelay: .seconds(3600), maximumDelay: .seconds(3600), hasJitter: false)))
        let calls = Journal<Int>()
        try await bus.subscribe("t") { (_: Tick, context) in
            calls.add(context.attempt)
            throw Mishap()
        }
        try await bus.publish(Tick(number: 1), to: "t")
        await calls.first(1)
        await bus.stop(deadline: .zero)
        let letter = try #require(bus.deadLetters.list().first)
        #expect((letter.error.code, letter.attempts, calls.entries) == (.stopped, 1, [1]))
        #expect(letter.error.cause is Mishap)
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Dead letters` {
    /// A bus with a handler that fails while it is told to.
    private func failing(_ resilience: BusResilience = .swift) async throws -> (
        bus: MessageBus, calls: Journal<EventContext>, works: Atomicity
    ) {
        let bus = MessageBus(resilience)
        let calls = Journal<EventContext>()
        let works = Atomicity()
        try await bus.subscribe("t", options: .init(name: "s")) { (_: Tick, context) in
            calls.add(context)
            if !works.value { throw Verdict(isRetryable: false) }
        }
        return (bus, calls, works)
    }

    @Test func `take what cannot be decoded, with the bytes`() async throws {
        let bus = MessageBus(.swift)
        let letters = bus.deadLetters.arrivals()
        let subscription = try await bus.subscribe("t") { (_: Tick, _) in Issue.record("called with nonsense") }
        try await bus.publish(Message("t", "nonsense"))
        let letter = try #require(await letters.first { _ in true })
        #expect((letter.error.code, letter.attempts, letter.content.text) == (.badPayload, 0, "nonsense"))
        await bus.stop()
        #expect(subscription.statistics.failed == 0)
    }

    @Test func `say so when the event does not encode`() async throws {
        let bus = MessageBus(.swift)
        let letters = bus.deadLetters.arrivals()
        try await bus.subscribe("t") { (_: Unwritable, _) in throw Verdict(isRetryable: false) }
        try await bus.publish(Unwritable(), to: "t")
        let letter = try #require(await letters.first { _ in true })
        #expect((letter.error.code, letter.encodingError?.code) == (.handlerFailed, .badPayload))
        #expect(letter.content.payload.readableBytes == 0)
        #expect(!bus.deadLetters.retry(letter.id))
        #expect(bus.deadLetters.count == 1)
        await bus.stop()
    }

    @Test func `are tried again by the subscription that failed, and by no other`() async throws {
        let (bus, calls, works) = try await failing()
        let others = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in others.add(tick.number) }
        let letters = bus.deadLetters.arrivals()
        try await bus.publish(Tick(number: 1), to: "t", options: .init(headers: ["a": "b"]))
        let letter = try #require(await letters.first { _ in true })
        works.value = true
        #expect(bus.deadLetters.retry(letter.id))
        #expect(!bus.deadLetters.retry(letter.id))
        let again = await calls.first(2)[1]
        #expect((again.attempt, again.id, again.headers["a"]) == (2, letter.message, "b"))
        await bus.stop()
        #expect(others.entries == [1])
        #expect(bus.deadLetters.count == 0)
    }

    @Test func `that fail again come back with all their attempts`() async throws {
        let (bus, calls, _) = try await failing()
        try await bus.publish(Tick(number: 1), to: "t")
        await calls.first(1)
        try await until { bus.deadLetters.count == 1 }
        let first = try #require(bus.deadLetters.list().first)
        #expect(bus.deadLetters.retryAll() == 1)
        await calls.first(2)
        try await until { bus.deadLetters.count == 1 }
        let second = try #require(bus.deadLetters.list().first)
        #expect((second.id, second.attempts, second.message, second.firstAttempt) == (2, 2, first.message, first.firstAttempt))
        await bus.stop()
    }

    @Test func `stay when their subscription is gone`() async throws {
        let (bus, calls, _) = try await failing()
        try await bus.publish(Tick(number: 1), to: "t")
        await calls.first(1)
        await bus.stop()
        #expect(bus.deadLetters.retryAll() == 0)
        #expect(bus.deadLetters.list().map(\.id) == [1])
        #expect(bus.deadLetters.remove(1)?.id == 1)
        #expect(bus.deadLetters.remove(1) == nil)
    }

    @Test func `are bounded: the oldest goes and is counted`() async throws {
        let (bus, _, _) = try await failing(BusResilience(retry: nil, circuitBreaker: nil, deadLetterCapacity: 3))
        for number in 0..<10 { try await bus.publish(Tick(number: number), to: "t") }
        await bus.stop()
        #expect(bus.deadLetters.list().map(\.id) == [8, 9, 10])
        #expect((bus.deadLetters.count, bus.deadLetters.evicted, bus.deadLetters.added) == (3, 7, 10))
        #expect(bus.deadLetters.list(after: 8, limit: 1).map(\.id) == [9])
        #expect(bus.deadLetters.removeAll() == 3)
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A circuit breaker` {
    private let policy = BreakerPolicy(failureThreshold: 2, recovery: .milliseconds(20), successThreshold: 2)

    /// W10 of the predecessor: handlers had no breaker of their own.
    @Test func `pauses a failing subscription, keeps its queue, and lets it go on`() async throws {
        let bus = MessageBus(BusResilience(retry: RetryPolicy(maximumRetries: 50, initialDelay: .zero), circuitBreaker: policy))
        let calls = Journal<Int>()
        let works = Atomicity()
        let subscription = try await bus.subscribe("t") { (tick: Tick, _) in
            calls.add(tick.number)
            if !works.value { throw Mishap() }
        }
        for number in 0..<20 { try await bus.publish(Tick(number: number), to: "t") }
        await calls.first(2)
        try await until { subscription.breakerState == .open }
        works.value = true
        await bus.stop()
        #expect(bus.deadLetters.count == 0)
        #expect(subscription.breakerState == .closed)
        #expect(subscription.statistics.processed == 20)
        #expect(calls.entries.filter { $0 > 0 } == Array(1..<20))
    }

    @Test func `costs one event for as many rests as it has attempts`() async throws {
        let bus = MessageBus(BusResilience(retry: RetryPolicy(maximumRetries: 1, initialDelay: .zero), circuitBreaker: policy))
        let calls = Journal<Int>()
        let subscription = try await bus.subscribe("t") { (tick: Tick, _) in
            calls.add(tick.number)
            throw Mishap()
        }
        for number in 0..<1000 { try await bus.publish(Tick(number: number), to: "t") }
        // Two calls open the breaker, each probe after that is one more.
        await calls.first(6)
        #expect(bus.deadLetters.count <= 3)
        #expect(subscription.statistics.queued >= 997)
        await bus.stop(deadline: .zero)
    }

    @Test func `does not blame the handler for events that are wrong`() async throws {
        let bus = MessageBus(BusResilience(retry: nil, circuitBreaker: policy))
        let subscription = try await bus.subscribe("t") { (_: Tick, _) in throw Verdict(isRetryable: false) }
        for number in 0..<100 { try await bus.publish(Tick(number: number), to: "t") }
        await bus.stop()
        #expect(subscription.breakerState == .closed)
        #expect(subscription.statistics.deadLettered == 100)
    }
}

/// A flag for handlers.
final class Atomicity: Sendable {
    private let flag = Mutex(false)
    var value: Bool {
        get { flag.withLock { $0 } }
        set { flag.withLock { $0 = newValue } }
    }
}

/// An event that cannot leave the process.
struct Unwritable: Event {
    init() {}
    init(from decoder: any Decoder) throws { throw Mishap() }
    func encode(to encoder: any Encoder) throws { throw Mishap() }
}
