import LLMgineBus
import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Logging
import Synchronization
import Testing

/// Notes what passes, under a name.
private struct Noting: HandlerMiddleware {
    let name: String
    let journal: Journal<String>

    func processCommand(_ call: CommandCall, next: @Sendable () async throws -> CommandValue) async throws -> CommandValue {
        journal.add("\(name) > \(call.commandType) \(call.context.attempt)")
        defer { journal.add("\(name) <") }
        return try await next()
    }

    func processEvent(_ call: EventCall, next: @Sendable () async throws -> Void) async throws {
        journal.add("\(name) > \(call.eventType ?? "-") \(call.handler) \(call.context.attempt)")
        defer { journal.add("\(name) <") }
        try await next()
    }
}

private struct Refusing: HandlerMiddleware {
    let error: any Error
    func processCommand(_ call: CommandCall, next: @Sendable () async throws -> CommandValue) async throws -> CommandValue { throw error }
    func processEvent(_ call: EventCall, next: @Sendable () async throws -> Void) async throws { throw error }
}

private struct Answering: HandlerMiddleware {
    func processCommand(_ call: CommandCall, next: @Sendable () async throws -> CommandValue) async throws -> CommandValue { 42 }
    func processEvent(_ call: EventCall, next: @Sendable () async throws -> Void) async throws {}
}

private struct Passive: HandlerMiddleware {}

@Suite(.timeLimit(.minutes(1))) struct `Middleware` {
    private let bus = MessageBus(.swift)
    private let journal = Journal<String>()

    @Test func `stands around handlers of events, the first outermost, until it is removed`() async throws {
        try await bus.subscribe("t", options: .init(name: "h")) { [journal] (tick: Tick, _) in journal.add("handler \(tick.number)") }
        try await bus.publish(Tick(number: 0), to: "t", until: .processed)
        let outer = bus.addMiddleware(Noting(name: "a", journal: journal))
        bus.addEventMiddleware(Noting(name: "b", journal: journal))
        bus.addCommandMiddleware(Noting(name: "c", journal: journal))
        bus.addMiddleware(Passive())
        try await bus.publish(Tick(number: 1), to: "t", until: .processed)
        outer.remove()
        try await bus.publish(Tick(number: 2), to: "t", until: .processed)
        await bus.stop()
        #expect(
            journal.entries == ["handler 0", "a > Tick h 1", "b > Tick h 1", "handler 1", "b <", "a <", "b > Tick h 1", "handler 2", "b <"])
    }

    @Test func `sees events in all forms: bytes, retries, from several publishers`() async throws {
        try await bus.subscribe("t", options: .init(name: "raw")) { (_: Message, _) in }
        try await bus.subscribe("u", options: .init(name: "again", concurrency: 2)) { (_: Tick, context) in
            if context.attempt < 3 { throw Mishap() }
        }
        bus.addMiddleware(Noting(name: "a", journal: journal))
        try await bus.publish(Message("t", "bytes"))
        await journal.first(2)
        try await bus.publish(Tick(number: 1), to: "t", until: .processed)
        try await bus.publish(Tick(number: 1), to: "u", until: .processed)
        await bus.stop()
        #expect(
            journal.entries.filter { $0 != "a <" } == [
                "a > - raw 1", "a > Tick raw 1", "a > Tick again 1", "a > Tick again 2", "a > Tick again 3",
            ])
    }

    @Test func `stands around handlers of commands, here and in sessions`() async throws {
        try await bus.registerCommandHandler(Add.self) { command, _ in command.left }
        let session = try await bus.createSession()
        try session.handle(Silent.self) { _, _ in }
        let registration = bus.addCommandMiddleware(Noting(name: "a", journal: journal))
        bus.addEventMiddleware(Noting(name: "b", journal: journal))
        #expect(await bus.execute(Add(left: 1, right: 1)).isSuccess)
        #expect(await session.execute(Silent()).isSuccess)
        registration.remove()
        #expect(await bus.execute(Add(left: 1, right: 1)).isSuccess)
        await bus.stop()
        #expect(journal.entries == ["a > Add 1", "a <", "a > Silent 1", "a <"])
    }

    @Test func `may answer in the handler's place`() async throws {
        try await bus.registerCommandHandler(Add.self) { _, _ -> Int in throw Mishap() }
        let subscription = try await bus.subscribe("t") { (_: Tick, _) in Issue.record("the handler was called") }
        bus.addMiddleware(Answering())
        #expect(try await bus.execute(Add(left: 1, right: 1)).value(as: Int.self) == 42)
        try await bus.publish(Tick(number: 1), to: "t", until: .processed)
        await bus.stop()
        #expect(subscription.statistics.processed == 1)
    }

    @Test func `that throws is a failure of the handler, and the publisher does not notice`() async throws {
        let observer = Observer()
        bus.observability.registerHandler(observer)
        let subscription = try await bus.subscribe("t", options: .init(name: "h")) { (_: Tick, _) in }
        try await bus.registerCommandHandler(Add.self) { _, _ in 1 }
        bus.addMiddleware(Refusing(error: Mishap()))
        #expect(try await bus.publish(Tick(number: 1), to: "t", until: .processed).accepted == 1)
        let result = await bus.execute(Add(left: 1, right: 1))
        #expect((result.error?.code, result.attempts) == (.handlerFailed, 4))
        #expect(result.error?.cause is Mishap)
        await bus.stop()
        await bus.observability.drained()
        #expect((subscription.statistics.failed, subscription.statistics.deadLettered) == (4, 1))
        #expect(bus.deadLetters.list().map(\.attempts) == [4, 4])
        #expect(
            observer.events("MiddlewareFailed").map(\.metadata[0].value) == Array(repeating: "h", count: 4)
                + Array(repeating: "Add", count: 4))
    }

    @Test func `does not take the blame for what the handler throws`() async throws {
        let observer = Observer()
        bus.observability.registerHandler(observer)
        try await bus.subscribe("t") { (_: Tick, _) in throw Verdict(isRetryable: false) }
        bus.addMiddleware(Passive())
        try await bus.publish(Tick(number: 1), to: "t", until: .processed)
        await bus.stop()
        await bus.observability.drained()
        #expect((observer.events("HandlerFailed").count, observer.events("MiddlewareFailed").count) == (1, 0))
    }

    @Test func `opens the breaker of a command that it lets fail`() async throws {
        let bus = MessageBus(BusResilience(retry: nil, circuitBreaker: BreakerPolicy(failureThreshold: 3, recovery: .seconds(3600))))
        let calls = Journal<Int>()
        try await bus.registerCommandHandler(Add.self) { command, _ -> Int in
            calls.add(1)
            throw Mishap()
        }
        bus.addMiddleware(LoggingMiddleware(level: .debug))
        var codes: [LLMgineError.Code?] = []
        for _ in 0..<10 { codes.append(await bus.execute(Add(left: 1, right: 2)).error?.code) }
        #expect(codes == Array(repeating: .handlerFailed, count: 3) + Array(repeating: .circuitOpen, count: 7))
        #expect(calls.entries.count == 3)
        await bus.stop()
    }
}

@Suite(.timeLimit(.minutes(1))) struct `The middleware for retries` {
    @Test func `calls the handler again, and the result counts every call`() async throws {
        let bus = MessageBus(.off)
        let attempts = Journal<Int>()
        try await bus.registerCommandHandler(Add.self) { _, context in
            attempts.add(context.attempt)
            if context.attempt < 3 { throw Mishap() }
            return 1
        }
        bus.addMiddleware(RetryMiddleware(policy: RetryPolicy(initialDelay: .zero)))
        let result = await bus.execute(Add(left: 1, right: 1))
        #expect((result.isSuccess, result.attempts, attempts.entries) == (true, 3, [1, 2, 3]))
        await bus.stop()
    }

    @Test func `gives up when it is hopeless or too often`() async throws {
        let bus = MessageBus(.off)
        try await bus.registerCommandHandler(Add.self) { command, _ -> Int in
            throw command.left == 0 ? Verdict(isRetryable: false) as any Error : Mishap()
        }
        bus.addMiddleware(RetryMiddleware(policy: RetryPolicy(initialDelay: .zero)))
        #expect(await bus.execute(Add(left: 0, right: 1)).attempts == 1)
        #expect(await bus.execute(Add(left: 1, right: 1)).attempts == 4)
        await bus.stop()
    }

    @Test func `has the defaults that users know`() {
        let policy = RetryMiddleware().policy
        #expect((policy.maximumRetries, policy.initialDelay, policy.factor, policy.hasJitter) == (3, .milliseconds(100), 2, false))
    }
}

@Suite(.timeLimit(.minutes(1))) struct `The middleware for validation` {
    @Test func `keeps empty sessions from handlers`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        try await bus.registerCommandHandler(Add.self) { _, _ in 1 }
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        let strict = bus.addMiddleware(ValidationMiddleware())
        let result = await bus.execute(Add(left: 1, right: 1), options: .init(session: ""))
        #expect((result.error?.code, result.attempts) == (.invalidArgument, 1))
        #expect(await bus.execute(Add(left: 1, right: 1)).isSuccess)
        try await bus.publish(Tick(number: 1), to: "t", options: .init(session: ""), until: .processed)
        try await bus.publish(Tick(number: 2), to: "t", until: .processed)
        strict.remove()
        bus.addMiddleware(ValidationMiddleware(validatesSession: false))
        #expect(await bus.execute(Add(left: 1, right: 1), options: .init(session: "")).isSuccess)
        try await bus.publish(Tick(number: 3), to: "t", options: .init(session: ""), until: .processed)
        await bus.stop()
        #expect(seen.entries == [2, 3])
    }
}

@Suite(.timeLimit(.minutes(1))) struct `The middleware for rates` {
    @Test func `spreads the commands of one type, and lets other types pass`() async throws {
        let bus = MessageBus(.off)
        let begun = Journal<ContinuousClock.Instant>()
        try await bus.registerCommandHandler(Add.self) { _, _ in begun.add(.now) }
        try await bus.registerCommandHandler(Silent.self) { _, _ in }
        bus.addMiddleware(RateLimitMiddleware(maximumPerSecond: 20))
        let start = ContinuousClock.now
        await withTaskGroup { group in
            for _ in 0..<4 { group.addTask { _ = await bus.execute(Add(left: 1, right: 1)) } }
            #expect(await bus.execute(Silent()).isSuccess)
            #expect(ContinuousClock.now - start < .milliseconds(2000))
        }
        let times = begun.entries.map { $0 - start }.sorted()
        for (index, time) in times.enumerated() { #expect(time >= .milliseconds(50 * index)) }
        await bus.stop()
    }

    @Test func `fails at once when the turn comes after the deadline, and stops waiting with its caller`() async throws {
        let bus = MessageBus(.off)
        let calls = Journal<Int>()
        try await bus.registerCommandHandler(Add.self) { _, _ in calls.add(1) }
        bus.addMiddleware(RateLimitMiddleware(maximumPerSecond: 0.001))
        #expect(await bus.execute(Add(left: 1, right: 1)).isSuccess)
        let late = await bus.execute(Add(left: 1, right: 1), options: .init(deadline: .seconds(60)))
        #expect(late.error?.code == .deadlineExceeded)
        let caller = Task { await bus.execute(Add(left: 1, right: 1), options: .init(deadline: .seconds(10_000))) }
        caller.cancel()
        #expect(await caller.value.error?.code == .cancelled)
        await bus.stop()
        #expect(calls.entries.count == 1)
    }
}

@Suite(.timeLimit(.minutes(1))) struct `The middleware for timing` {
    @Test func `tells how long the handlers of each type took`() async throws {
        let bus = MessageBus(.swift)
        let timing = TimingMiddleware()
        try await bus.registerCommandHandler(Add.self) { _, _ in 1 }
        try await bus.subscribe("t") { (tick: Tick, _) in if tick.number == 0 { throw Verdict(isRetryable: false) } }
        bus.addMiddleware(timing)
        for number in 0..<10 { try await bus.publish(Tick(number: number), to: "t", until: .processed) }
        #expect(await bus.execute(Add(left: 1, right: 1)).isSuccess)
        await bus.stop()
        #expect(timing.statistics.mapValues(\.count) == ["Tick": 10, "Add": 1])
        timing.reset()
        #expect(timing.statistics.isEmpty)
    }

    @Test func `estimates percentiles within a quarter, in bounded memory`() throws {
        let timing = TimingMiddleware()
        for number in 1...1000 as ClosedRange<UInt64> { timing.record(number * 1000, "T") }
        let statistics = try #require(timing.statistics["T"])
        #expect((statistics.count, statistics.minimum, statistics.maximum) == (1000, .microseconds(1), .microseconds(1000)))
        #expect(statistics.average > .microseconds(500) && statistics.average < .microseconds(501))
        #expect(statistics.p50 >= .microseconds(500) && statistics.p50 <= .microseconds(625))
        #expect(statistics.p95 >= .microseconds(950) && statistics.p95 <= .microseconds(1000))
        #expect(statistics.p99 >= .microseconds(990) && statistics.p99 <= .microseconds(1000))
        for duration in [0, 1, 3, 4, 7, 8, UInt64.max] { timing.record(duration, "U") }
        #expect(timing.statistics["U"]?.p50 == .nanoseconds(4))
        for number in 0..<2000 { timing.record(1, "type \(number)") }
        #expect(timing.statistics.count == TimingMiddleware.maximumTypes + 1)
        #expect(timing.statistics["other"]?.count == 1002)
    }
}

@Suite(.timeLimit(.minutes(1))) struct `The middleware for logging` {
    @Test func `logs the beginning and the end, and never the content`() async throws {
        let bus = MessageBus(.off)
        let lines = Journal<String>()
        var logger = Logger(label: "test") { _ in
            LineHandler { event in
                lines.add("\(event.level) \(event.message)")
                #expect(!"\(event.metadata ?? [:])".contains("hidden"))
            }
        }
        logger.logLevel = .trace
        try await bus.registerCommandHandler(Add.self) { command, _ -> Int in
            if command.left == 13 { throw Mishap() }
            return 1
        }
        try await bus.subscribe("t", options: .init(name: "h")) { (_: Tock, _) in }
        bus.addMiddleware(LoggingMiddleware(logger: logger))
        _ = await bus.execute(Add(left: 1, right: 2))
        _ = await bus.execute(Add(left: 13, right: 2))
        try await bus.publish(Tock(text: "hidden"), to: "t", until: .processed)
        await bus.stop()
        #expect(
            lines.entries == [
                "info command started", "info command finished", "info command started", "warning command failed", "info event started",
                "info event finished",
            ])
    }
}
