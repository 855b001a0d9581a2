import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Synchronization

import struct NIOCore.ByteBuffer

/// One execution of a command: attempts until one succeeds, it is hopeless, or the time is over.
struct CommandRun<C: Command>: Sendable {
    let command: C
    let id: CommandID
    /// The how many-th command of the bus it is.
    let number: UInt64
    let options: CommandOptions
    let bus: MessageBus
    /// What happened to it before, if it comes out of the dead letters.
    let trial: Trial?
    private let deadline: ContinuousClock.Instant
    var tracer: NodeTracer { bus.observability.tracer }
    private var earlier: Int { trial?.letter.attempts ?? 0 }

    init(_ command: C, number: UInt64, options: CommandOptions, bus: MessageBus, trial: Trial? = nil) {
        self.command = command
        self.number = number
        self.id = trial?.letter.command ?? bus.commandID(number)
        self.options = options
        self.bus = bus
        self.trial = trial
        self.deadline = .now.advanced(bySaturating: options.deadline)
    }

    func execute() async -> CommandResult {
        let handler = bus.commandHandler(C.self, in: options.session)
        // The handler of this node has its counters at hand. The registry, which has one lock for all, is asked where there is none.
        let meters = handler?.meters ?? HandlerMeters(commands: C.commandType, in: bus.services.metrics)
        (handler?.sent ?? bus.services.sentCommands(of: C.commandType)).increment()
        observe("CommandStarted")
        bus.services.announcer.announce(CommandStartedEvent.topic, in: options.session) {
            .started(CommandStartedEvent(id: id, commandType: C.commandType))
        }
        let began = SystemClock.sinceEpoch()
        let (trace, span) =
            tracer.isEnabled
            ? tracer.begin(.custom, "execute \(C.commandType)", topic: C.topic, below: options.trace) : (options.trace, nil)
        var result: CommandResult
        if let span {
            result = await span.bound { await attempts(by: handler, trace: trace) }
        } else {
            result = await attempts(by: handler, trace: trace)
        }
        result.id = id
        result.session = options.session
        span?.end(on: tracer, error: result.error, notes: result.attempts > 1 ? [.attempt(result.attempts)] : [])
        (result.isSuccess ? meters.processed : meters.failed).increment()
        observe(
            "CommandResult",
            [
                .init("success", "\(result.isSuccess)"), .init("error", result.error?.code.rawValue ?? ""),
                .init("attempts", "\(result.attempts)"),
            ])
        if let error = result.error { keep(error, after: result.attempts, since: began, trace: trace) }
        bus.services.announcer.announce(CommandResultEvent.topic, in: options.session) {
            .ended(CommandResultEvent(commandType: C.commandType, result: result))
        }
        return result
    }

    func observe(_ what: String, _ metadata: [ObservedEvent.Entry] = []) {
        bus.observability.observe(
            ObservedEvent(
                eventID: id.text, eventType: what, timestamp: tracer.clock.now(), session: options.session, topic: C.topic,
                metadata: [.init("command", C.commandType)] + metadata))
    }

    /// - Parameter first: the handler of the first attempt, if there is one on this node; for each other it is looked up again.
    private func attempts(by first: CommandRegistration?, trace: TraceContext?) async -> CommandResult {
        let policy = options.retry ?? bus.configuration.resilience.retry ?? .never
        var attempt = earlier + 1
        var known = first
        while true {
            let result = await once(by: known, attempt: attempt, trace: trace)
            known = nil
            guard let error = result.error, result.isRetryable, !Task.isCancelled else { return result }
            let decision = policy.decide(
                afterAttempt: result.attempts - earlier, error: error, random: Double.random(in: 0..<1), remaining: deadline - .now,
                isRetryable: { _ in true })
            guard case .retry(let delay) = decision else { return result }
            do { try await Task.sleep(for: min(delay, .horizon), tolerance: .zero) } catch {
                return failure(
                    LLMgineError(.cancelled, "the caller gave up between two attempts", cause: result.error), result.attempts,
                    isRetryable: false)
            }
            attempt = result.attempts + 1
        }
    }

    private func once(by known: CommandRegistration?, attempt: Int, trace: TraceContext?) async -> CommandResult {
        do throws(LLMgineError) { try bus.checkRunning() } catch { return failure(error, attempt - 1, isRetryable: false) }
        if let handler = known ?? bus.commandHandler(C.self, in: options.session) {
            return await local(handler, attempt: attempt, trace: trace)
        }
        return await remote(attempt: attempt, trace: trace)
    }

    // MARK: Here

    /// Runs the handler in a task of its own, which outlives the wait for it if it does not listen to its cancellation.
    private func local(_ handler: CommandRegistration, attempt: Int, trace: TraceContext?) async -> CommandResult {
        let context = CommandContext(
            id: id, attempt: attempt, deadline: deadline, session: options.session, requester: bus.node, headers: options.headers,
            trace: trace)
        let outcome = Outcome<CommandResult>()
        let calls = HandlerCalls()
        let held = HeldPermit()
        let task = Task { [command, id, session = options.session] in
            do {
                let value = try await handler.execute(command, context, calls: calls, held: held)
                outcome.settle(CommandResult(success: id, value: value, attempts: attempt, session: session))
            } catch {
                outcome.settle(
                    CommandResult(
                        failure: id, LLMgineError(command: error), attempts: attempt, isRetryable: RetryDecision.isRetryable(error),
                        session: session))
            }
        }
        let late = failure(
            LLMgineError(.deadlineExceeded, "\(C.commandType) did not end within \(options.deadline)"), attempt, isRetryable: false)
        let timer = bus.timers.schedule(at: deadline) {
            // Before the caller goes on. It speaks against the handler, which is cancelled and may well end as one that was merely called off.
            handler.breaker.failed(held.take(), blame: !outcome.isSettled)
            outcome.settle(late)
        }
        let given = failure(LLMgineError(.cancelled, "the caller gave up"), attempt, isRetryable: false)
        var result = await withTaskCancellationHandler {
            await outcome.result()
        } onCancel: {
            outcome.settle(given)
        }
        result.attempts = attempt + calls.further
        bus.timers.cancel(timer)
        task.cancel()  // over, unless its caller waits no longer
        return result
    }

    // MARK: On another node

    private func remote(attempt: Int, trace: TraceContext?) async -> CommandResult {
        do throws(LLMgineError) {
            let answer = try await bus.request(
                try message(attempt: attempt, trace: trace), options: RequestOptions(deadline: deadline - .now))
            let reply = try await answer.first()
            do {
                var result = try CommandResult(decoding: reply.payload)
                result.attempts = attempt
                return result
            } catch {
                throw LLMgineError(.badPayload, "the answer to \(C.commandType) is not a result", cause: error)
            }
        } catch {
            guard error.code == .noResponders else { return failure(error, attempt, isRetryable: RetryDecision.isRetryable(error)) }
            return failure(LLMgineError(.noHandler, "no node has a handler for \(C.commandType)"), attempt - 1, isRetryable: false)
        }
    }

    private func message(attempt: Int, trace: TraceContext?) throws(LLMgineError) -> Message {
        var payload = ByteBuffer()
        do { try command.encode(into: &payload) } catch {
            throw LLMgineError(.badPayload, "a command of type \(C.commandType) does not encode", cause: error)
        }
        var headers = options.headers
        headers[CommandHeaders.id] = id.text
        headers[CommandHeaders.attempt] = "\(attempt)"
        return Message(
            topic: C.topic, payload: payload, eventType: C.commandType, session: options.session, headers: headers, trace: trace)
    }

    private func failure(_ error: LLMgineError, _ attempts: Int, isRetryable: Bool) -> CommandResult {
        CommandResult(failure: id, error, attempts: attempts, isRetryable: isRetryable, session: options.session)
    }
}

/// The headers of a command on its way to another node.
package enum CommandHeaders {
    static let id = "llmgine-command"
    static let attempt = "llmgine-attempt"
    /// What the request of a command may carry of the reserved headers.
    package static let all = [id, attempt]
}
