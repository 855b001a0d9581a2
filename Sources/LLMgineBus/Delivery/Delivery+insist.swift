import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import ServiceContextModule
import Synchronization

import struct NIOCore.ByteBuffer

extension Subscriber {
    /// Calls the handler until it takes the event, gives it up, or the subscription ends: the long way, for everything out of the ordinary.
    ///
    /// Retries keep the event's place in the order: nothing of the same subscription overtakes it. What is given up goes to the dead letters.
    /// - Parameters:
    ///   - message: what the value was read from, if it came as a message.
    ///   - failure: what the first call threw, if it has been made.
    func insist(on value: Value, from message: Message?, _ envelope: Envelope, after failure: (any Error)?, _ counts: inout DeliveryCounts)
        async
    {
        defer {
            envelope.extras?.token?.settle()
            if isLate.load(ordering: .relaxed) { isLate.store(false, ordering: .relaxed) }
        }
        if let gate = envelope.extras?.gate, failure == nil, await !passes(gate, envelope) {
            return bury(message, value, envelope, ended(after: nil), attempts: envelope.trial?.letter.attempts ?? 0)
        }
        if failure == nil, envelope.isExpired {
            statistics.expired.add(1, ordering: .relaxed)
            return
        }
        let earlier = envelope.trial?.letter.attempts ?? 0
        let began = SystemClock.sinceEpoch()
        var attempt = earlier + 1
        var failure = failure
        if let failure { failed(failure, permit: breaker.permitOfClosed, envelope, attempt: attempt, &counts) }
        while true {
            if let error = failure {
                switch decide(error, attempt: attempt - earlier) {
                case .giveUp:
                    return bury(message, value, envelope, wrapped(error), attempts: attempt, since: began)
                case .retry(let delay):
                    guard await rested(for: delay) else {
                        return bury(message, value, envelope, ended(after: error), attempts: attempt, since: began)
                    }
                    attempt += 1
                }
            }
            let admission = await admitted()
            guard admission.isAdmitted else {
                return bury(message, value, envelope, ended(after: failure), attempts: attempt - 1, since: began)
            }
            counts.resume()
            do {
                try await call(value, envelope, attempt: attempt)
                breaker.succeeded(admission.permit)
                counts.succeeded()
                return
            } catch {
                failed(error, permit: admission.permit, envelope, attempt: attempt, &counts)
                failure = error
            }
        }
    }

    /// Waits for the handlers that come before this one. - Returns: false when the subscription ends first.
    private func passes(_ gate: HandlerStage, _ envelope: Envelope) async -> Bool {
        switch await gate.wait(for: self) {
        case .open, .circular: return true
        case .cancelled: return false
        case .late:
            noteOvertaking(envelope)
            return true
        }
    }

    /// Tells observers that the handler goes on before one that comes before it is done with the event.
    func noteOvertaking(_ envelope: Envelope) {
        services.observability.observe(
            ObservedEvent(
                eventID: envelope.id.description, eventType: "HandlerOvertook", timestamp: services.tracer.clock.now(),
                session: envelope.run.session, topic: envelope.run.topic, metadata: [.init("handler", name)]))
    }

    /// One call, as a span of its own if the event is traced.
    private func call(_ value: Value, _ envelope: Envelope, attempt: Int) async throws {
        let tracer = services.tracer
        guard let extras = envelope.extras, let parent = extras.trace, parent.isSampled, tracer.isEnabled else {
            return try await invoke(value, EventContext(envelope, attempt: attempt))
        }
        let span = OpenSpan(
            .process, envelope.run.topic, context: tracer.child(of: parent), parent: parent,
            parentIsRemote: envelope.run.node != services.origin.node, start: tracer.clock.now())
        let traced = Envelope(
            run: envelope.run, sequence: envelope.sequence,
            extras: MessageExtras(headers: extras.headers, trace: span.context, expires: extras.expires),
            missed: envelope.missed, trial: envelope.trial)
        do {
            try await span.bound { try await invoke(value, EventContext(traced, attempt: attempt)) }
            span.end(on: tracer, notes: notes(envelope, attempt: attempt))
        } catch {
            span.end(on: tracer, error: error, notes: notes(envelope, attempt: attempt))
            throw error
        }
    }

    private func notes(_ envelope: Envelope, attempt: Int) -> [SpanNote] {
        var notes: [SpanNote] = [.messageID(envelope.id), .subscription(name)]
        if let filter = filters.first, filter.hasWildcard { notes.append(.template(filter)) }
        if attempt > 1 { notes.append(.attempt(attempt)) }
        if envelope.run.session != .bus { notes.append(.session(envelope.run.session)) }
        if envelope.run.priority != .normal { notes.append(.priority(envelope.run.priority)) }
        if let group = options.group { notes.append(.group(group)) }
        return notes
    }

    /// One call threw.
    private func failed(
        _ error: any Error, permit: CircuitBreaker.Permit?, _ envelope: Envelope, attempt: Int, _ counts: inout DeliveryCounts
    ) {
        counts.threw()
        statistics.failed.add(1, ordering: .relaxed)
        // An error that need not be tried again is about the event, and a cancelled call says nothing: neither speaks against the handler.
        breaker.failed(permit, blame: RetryDecision.isRetryable(error) && !Task.isCancelled)
        services.observability.observe(
            ObservedEvent(
                eventID: envelope.id.description, eventType: "HandlerFailed", timestamp: services.tracer.clock.now(),
                session: envelope.run.session,
                topic: envelope.run.topic,
                metadata: [.init("handler", name), .init("attempt", "\(attempt)"), .init("error", String(describing: type(of: error)))]))
    }

    private func decide(_ error: any Error, attempt: Int) -> RetryDecision {
        guard let retry = retryPolicy, keepsTrying else { return .giveUp(.exhausted) }
        return retry.decide(afterAttempt: attempt, error: error, random: Double.random(in: 0..<1))
    }

    /// Waits. False when the subscription ends first.
    private func rested(for delay: Duration) async -> Bool {
        guard delay > .zero else { return !Task.isCancelled }
        do { try await Task.sleep(for: min(delay, .horizon), tolerance: .zero) } catch { return false }
        return true
    }

    /// Waits while the breaker is open.
    private func admitted() async -> (permit: CircuitBreaker.Permit?, isAdmitted: Bool) {
        while !Task.isCancelled {
            let (permit, retryAfter) = breaker.admit()
            guard let retryAfter else { return (permit, true) }
            guard await rested(for: retryAfter) else { break }
        }
        return (nil, false)
    }

    private func wrapped(_ error: any Error) -> LLMgineError {
        if error is CancellationError {
            return Task.isCancelled ? ended(after: nil) : LLMgineError(.cancelled, "the handler was cancelled", cause: error)
        }
        return error as? LLMgineError ?? LLMgineError(.handlerFailed, "the handler threw \(type(of: error))", cause: error)
    }

    private func ended(after cause: (any Error)?) -> LLMgineError {
        LLMgineError(.stopped, "the subscription ended before the event was handled", cause: cause)
    }
}

// MARK: What could not be handled

extension Subscriber {
    /// Puts an event into the dead letters. One of `message` and `value` is given.
    func bury(
        _ message: Message?, _ value: Value?, _ envelope: Envelope, _ error: LLMgineError, attempts: Int,
        since began: Duration = SystemClock.sinceEpoch()
    ) {
        defer { envelope.extras?.token?.settle() }
        if error.code == .stopped, returns(envelope) { return }
        statistics.deadLettered.add(1, ordering: .relaxed)
        if error.code == .stopped {
            statistics.stopped.add(1, ordering: .relaxed)
        } else {
            meters.failed.increment()
            announce(error, message, value, envelope, attempts: attempts)
        }
        guard keepsTrying, services.resilience.deadLetterCapacity > 0 else { return }
        let (content, encodingError) = content(message, value, envelope)
        services.deadLetters.add(
            message: envelope.id, content: content, subscription: name, error: error, encodingError: encodingError, attempts: attempts,
            firstAttempt: envelope.trial?.letter.firstAttempt ?? began, lastAttempt: SystemClock.sinceEpoch())
        services.observability.observe(
            ObservedEvent(
                eventID: envelope.id.description, eventType: "DeadLettered", timestamp: services.tracer.clock.now(),
                session: envelope.run.session,
                topic: envelope.run.topic,
                metadata: [.init("handler", name), .init("attempts", "\(attempts)"), .init("error", error.code.rawValue)]))
    }

    /// The event as a message, encoded if it is not one yet.
    func content(_ message: Message?, _ value: Value?, _ envelope: Envelope) -> (Message, LLMgineError?) {
        if let message { return (message, nil) }
        var content = Message(
            topic: envelope.run.topic, payload: ByteBuffer(), eventType: value.flatMap(form.name(of:)), priority: envelope.run.priority,
            session: envelope.run.session,
            headers: envelope.extras?.headers ?? Headers(), trace: envelope.extras?.trace)
        guard let value else { return (content, nil) }
        do {
            try form.encode(value, &content.payload)
            return (content, nil)
        } catch {
            content.payload.clear()
            return (content, LLMgineError(.badPayload, "the event does not encode", cause: error))
        }
    }

    /// Puts all that is left of a queue that nobody works through any more into the dead letters. The mailbox is closed.
    func bury(_ rest: inout TakenLanes) {
        for lane in 0..<4 { rest.lanes[lane].leaveChunk() }
        while let delivery = pull(&rest) {
            bury(delivery)
        }
    }

    /// Puts one event that will not be handled any more into the dead letters.
    func bury(_ delivery: Delivery<Value>) {
        let error = LLMgineError(.stopped, "the subscription ended before the event was handled")
        let attempts = delivery.envelope.trial?.letter.attempts ?? 0
        switch delivery.body {
        case .value(let value): bury(nil, value, delivery.envelope, error, attempts: attempts)
        case .message(let message): bury(message, nil, delivery.envelope, error, attempts: attempts)
        }
        finished(with: delivery)
    }

    /// Tells whoever wants to know that an event was given up, unless that is what the event told.
    private func announce(_ error: LLMgineError, _ message: Message?, _ value: Value?, _ envelope: Envelope, attempts: Int) {
        guard envelope.run.topic != EventHandlerFailedEvent.topic else { return }
        services.announcer.announce(EventHandlerFailedEvent.topic, in: envelope.run.session) {
            .failed(
                EventHandlerFailedEvent(
                    eventID: envelope.id.description, failedType: message?.eventType ?? value.flatMap(form.name(of:)),
                    failedTopic: envelope.run.topic, handler: name, code: error.code.rawValue, detail: error.detail, attempts: attempts))
        }
    }
}
