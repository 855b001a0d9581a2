import LLMgineBus
import LLMgineCore
import LLMgineResilience
import NIOCore
import Testing

struct Add: Command, Hashable {
    var left: Int
    var right: Int
}

struct Silent: Command {}

@Suite(.timeLimit(.minutes(1))) struct `A command` {
    private let bus = MessageBus(.swift)

    @Test func `is executed by its one handler`() async throws {
        try await bus.registerCommandHandler(Add.self) { command, context in
            #expect((context.attempt, context.requester, context.session) == (1, "n", "s"))
            return command.left + command.right
        }
        let result = await bus.execute(Add(left: 1, right: 2), options: .init(session: "s"))
        #expect(result.isSuccess)
        #expect(try result.value(as: Int.self) == 3)
        #expect((result.attempts, result.id, result.session) == (1, CommandID("n/1/c1"), "s"))
        #expect(throws: LLMgineError(.badPayload, "")) { try result.value(as: String.self) }
        await bus.stop()
    }

    @Test func `may have a handler that returns nothing`() async throws {
        try await bus.registerCommandHandler(Silent.self) { _, _ in }
        let result = await bus.execute(Silent())
        #expect(result.isSuccess && !result.hasValue)
        await bus.stop()
    }

    @Test func `has no second handler while there is a first`() async throws {
        let first = try await bus.registerCommandHandler(Add.self) { _, _ in 1 }
        await #expect(throws: LLMgineError(.duplicateHandler, "")) { try await bus.registerCommandHandler(Add.self) { _, _ in 2 } }
        await first.cancel()
        try await bus.registerCommandHandler(Add.self) { _, _ in 3 }
        await first.cancel()
        #expect(try await bus.execute(Add(left: 0, right: 0)).value(as: Int.self) == 3)
        await bus.stop()
    }

    /// W14 of the predecessor: a missing handler was tried four times.
    @Test func `fails without a handler, and is not tried again`() async throws {
        let result = await bus.execute(Add(left: 1, right: 2))
        #expect((result.error?.code, result.attempts, result.isRetryable) == (.noHandler, 0, false))
        #expect(result.id == CommandID("n/1/c1"))
        await bus.stop()
    }

    @Test func `is tried again under the same id`() async throws {
        let calls = Journal<(CommandID, Int)>()
        try await bus.registerCommandHandler(Add.self) { command, context in
            calls.add((context.id, context.attempt))
            if context.attempt < 3 { throw Mishap() }
            return command.left
        }
        let result = await bus.execute(Add(left: 7, right: 0))
        #expect(try result.value(as: Int.self) == 7)
        #expect(result.attempts == 3)
        #expect(calls.entries.map(\.1) == [1, 2, 3])
        #expect(Set(calls.entries.map(\.0)) == [result.id])
        await bus.stop()
    }

    @Test func `gives up after its attempts with the last error`() async throws {
        try await bus.registerCommandHandler(Add.self) { _, _ -> Int in throw Mishap() }
        let result = await bus.execute(Add(left: 1, right: 2))
        #expect((result.error?.code, result.attempts) == (.handlerFailed, 4))
        #expect(result.error?.cause is Mishap)
        let once = await bus.execute(Add(left: 1, right: 2), options: .init(retry: .never))
        #expect(once.attempts == 1)
        await bus.stop()
    }

    @Test func `is not tried again when that cannot help`() async throws {
        try await bus.registerCommandHandler(Add.self) { _, _ -> Int in throw Verdict(isRetryable: false) }
        #expect(await bus.execute(Add(left: 1, right: 2)).attempts == 1)
        await bus.stop()
    }

    /// W15 of the predecessor: there were no timeouts.
    @Test func `ends at its deadline, whatever its handler does`() async throws {
        let gate = Gate()
        let cancelled = Journal<Bool>()
        try await bus.registerCommandHandler(Add.self) { _, _ in
            await gate.pass()
            cancelled.add(Task.isCancelled)
            return 1
        }
        let result = await bus.execute(Add(left: 1, right: 2), options: .init(deadline: .milliseconds(10)))
        #expect((result.error?.code, result.attempts) == (.deadlineExceeded, 1))
        gate.open()
        #expect(await cancelled.first(1) == [true])
        await bus.stop()
    }

    @Test func `is cancelled with its caller`() async throws {
        let asked = Gate()
        let cancelled = Gate()
        try await bus.registerCommandHandler(Add.self) { _, _ in
            asked.open()
            do { try await cancellation() } catch { cancelled.open() }
            return 1
        }
        let caller = Task { [bus] in await bus.execute(Add(left: 1, right: 2)) }
        await asked.pass()
        caller.cancel()
        #expect(await caller.value.error?.code == .cancelled)
        await cancelled.pass()
        await bus.stop()
    }

    /// W1 of the predecessor: its breaker took every failed result for a success and never opened.
    @Test func `is refused while the breaker of its handler is open`() async throws {
        let bus = MessageBus(BusResilience(retry: nil, circuitBreaker: BreakerPolicy(failureThreshold: 2, recovery: .seconds(3600))))
        try await bus.registerCommandHandler(Add.self) { _, _ -> Int in throw Mishap() }
        var codes: [LLMgineError.Code?] = []
        for _ in 0..<3 { codes.append(await bus.execute(Add(left: 1, right: 2)).error?.code) }
        #expect(codes == [.handlerFailed, .handlerFailed, .circuitOpen])
        await bus.stop()
    }

    @Test func `is refused once its handler has run into the deadline too often`() async throws {
        let bus = MessageBus(BusResilience(retry: nil, circuitBreaker: BreakerPolicy(failureThreshold: 2, recovery: .seconds(3600))))
        let begun = Journal<Int>()
        try await bus.registerCommandHandler(Add.self) { command, _ -> Int in
            begun.add(command.left)
            try await cancellation()
            return command.left
        }
        // On a busy machine a deadline may pass before the handler begins, which says nothing about it: so no fixed number of executions.
        var code: LLMgineError.Code?
        repeat {
            code = await bus.execute(Add(left: 1, right: 2), options: .init(deadline: .milliseconds(5))).error?.code
        } while code == .deadlineExceeded
        #expect(code == .circuitOpen)
        #expect(await begun.first(2) == [1, 1])  // the second may begin when its deadline has passed
        await bus.stop()
    }

    @Test func `fails once the bus has stopped`() async throws {
        await bus.stop()
        #expect(await bus.execute(Add(left: 1, right: 2)).error?.code == .stopped)
    }

    @Test func `is executed for other nodes through a request`() async throws {
        try await bus.registerCommandHandler(Add.self) { command, context in
            if command.left < 0 { throw LLMgineError(.invalidArgument, "negative") }
            #expect(context.headers["llmgine-command"] == nil)
            return command.left + command.right
        }
        // What a node without a handler sends.
        func ask(_ payload: String) async throws -> CommandResult {
            let answer = try await bus.request(Message(Add.topic, payload))
            return try CommandResult(decoding: try await answer.first().payload)
        }
        #expect(try await ask(#"{"left":1,"right":2}"#).value(as: Int.self) == 3)
        #expect(try await ask(#"{"left":-1,"right":2}"#).error == LLMgineError(.invalidArgument, ""))
        #expect(try await ask("{}").error == LLMgineError(.badPayload, ""))
        await bus.stop()
    }

    @Test func `whose type another handler answers on its topic goes there`() async throws {
        try await bus.respond(to: TopicFilter(Add.topic)) { message, _ in
            #expect(message.headers["llmgine-command"] == "n/1/c1")
            var payload = message.payload
            payload.clear()
            try CommandResult(success: CommandID("other"), value: [1, 2]).encode(into: &payload)
            return payload
        }
        let result = await bus.execute(Add(left: 1, right: 2))
        #expect(try result.value(as: [Int].self) == [1, 2])
        #expect(result.id == CommandID("n/1/c1"))
        await bus.stop()
    }
}
