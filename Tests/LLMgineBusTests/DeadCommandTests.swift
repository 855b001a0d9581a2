import LLMgineBus
import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A command that failed for good` {
    private let bus = MessageBus(.swift)
    private let works = Atomicity()
    private let calls = Journal<(CommandID, Int, SessionID)>()

    private func handle() async throws {
        try await bus.registerCommandHandler(Add.self) { [works, calls] command, context in
            calls.add((context.id, context.attempt, context.session))
            if !works.value { throw Mishap() }
            return command.left
        }
    }

    @Test func `is kept with all that is known of it`() async throws {
        try await handle()
        let told = Journal<DeadLetterCommandEvent>()
        try await bus.subscribe(to: DeadLetterCommandEvent.self) { event, _ in told.add(event) }
        let began = SystemClock.sinceEpoch()
        let result = await bus.execute(Add(left: 1, right: 2), options: .init(session: "s", headers: ["a": "b"]))
        let letter = try #require(bus.deadLetters.list().first)
        #expect((letter.command, letter.attempts, letter.subscription) == (result.id, 4, "commands.Add"))
        #expect(letter.error == LLMgineError(.handlerFailed, "") && letter.error.cause is Mishap)
        #expect((letter.content.eventType, letter.content.session, letter.content.headers["a"]) == ("Add", "s", "b"))
        #expect(try Add(decoding: letter.content.payload) == Add(left: 1, right: 2))
        #expect(letter.firstAttempt >= began && letter.lastAttempt >= letter.firstAttempt)
        #expect(
            await told.first(1) == [
                DeadLetterCommandEvent(
                    id: result.id, commandType: "Add", code: "handlerFailed", detail: "the handler threw Mishap", attempts: 4)
            ])
        await bus.stop()
    }

    @Test func `can be executed again, under its id, and its attempts are counted on`() async throws {
        try await handle()
        let result = await bus.execute(Add(left: 1, right: 2), options: .init(session: "s"))
        let first = try #require(bus.deadLetters.list().first)
        #expect(bus.deadLetters.retry(first.id))
        await calls.first(8)
        try await until { bus.deadLetters.count == 1 }
        let second = try #require(bus.deadLetters.list().first)
        #expect((second.id, second.attempts, second.command, second.firstAttempt) == (2, 8, result.id, first.firstAttempt))
        works.value = true
        #expect(bus.deadLetters.retryAll() == 1)
        #expect(await calls.first(9)[8] == (result.id, 9, "s"))
        await bus.stop()
        #expect(bus.deadLetters.count == 0)
        #expect(Set(calls.entries.map(\.0)) == [result.id])
    }

    @Test func `is kept again however the next execution ends`() async throws {
        try await bus.registerCommandHandler(Add.self) { _, context -> Int in
            if context.attempt == 1 { throw Verdict(isRetryable: false) }
            throw CancellationError()
        }
        let result = await bus.execute(Add(left: 1, right: 2))
        #expect(bus.deadLetters.retry(1))
        try await until { bus.deadLetters.added == 2 }
        let letter = try #require(bus.deadLetters.list().first)
        #expect((letter.id, letter.attempts, letter.command, letter.error.code) == (2, 2, result.id, .cancelled))
        await bus.stop()
    }

    @Test func `stays when nobody can execute it again`() async throws {
        let handler = try await bus.registerCommandHandler(Add.self) { _, _ -> Int in throw Verdict(isRetryable: false) }
        _ = await bus.execute(Add(left: 1, right: 2))
        await handler.cancel()
        #expect(bus.deadLetters.retryAll() == 0)
        #expect(bus.deadLetters.list().map(\.attempts) == [1])
        try await handle()
        await bus.stop()
        #expect(bus.deadLetters.retryAll() == 0)
    }

    @Test func `never holds up its caller, however full the dead letters are`() async throws {
        let bus = MessageBus(BusResilience(retry: nil, circuitBreaker: nil, deadLetterCapacity: 2))
        try await bus.registerCommandHandler(Add.self) { _, _ -> Int in throw Mishap() }
        for _ in 0..<10 { #expect(await bus.execute(Add(left: 1, right: 2)).error?.code == .handlerFailed) }
        #expect((bus.deadLetters.count, bus.deadLetters.evicted, bus.deadLetters.added) == (2, 8, 10))
        #expect(bus.deadLetters.list(limit: 1).map(\.id) == [9])
        #expect(bus.deadLetters.list().map(\.id) == [9, 10])
        await bus.stop()
    }

    @Test func `is not kept when nobody had a handler, its caller gave up, or the bus keeps nothing`() async throws {
        #expect(await bus.execute(Silent()).error?.code == .noHandler)
        let asked = Gate()
        try await bus.registerCommandHandler(Silent.self) { _, _ in
            asked.open()
            try await cancellation()
        }
        let caller = Task { [bus] in await bus.execute(Silent()) }
        await asked.pass()
        caller.cancel()
        #expect(await caller.value.error?.code == .cancelled)
        #expect(bus.deadLetters.count == 0)
        await bus.stop()
        #expect(await bus.execute(Silent()).error?.code == .stopped)
        #expect(bus.deadLetters.count == 0)
        let off = MessageBus(.off)
        try await off.registerCommandHandler(Add.self) { _, _ -> Int in throw Mishap() }
        #expect(await off.execute(Add(left: 1, right: 1)).error?.code == .handlerFailed)
        #expect(off.deadLetters.count == 0)
        await off.stop()
    }

    @Test func `that does not encode says so and stays`() async throws {
        try await bus.registerCommandHandler(Unspeakable.self) { _, _ in throw Verdict(isRetryable: false) }
        #expect(await bus.execute(Unspeakable()).error?.code == .handlerFailed)
        #expect(bus.deadLetters.list().map(\.encodingError?.code) == [.badPayload])
        #expect(bus.deadLetters.retryAll() == 0)
        await bus.stop()
    }
}

/// A command that cannot leave the process.
private struct Unspeakable: Command {
    init() {}
    init(from decoder: any Decoder) throws { throw Mishap() }
    func encode(to encoder: any Encoder) throws { throw Mishap() }
}
