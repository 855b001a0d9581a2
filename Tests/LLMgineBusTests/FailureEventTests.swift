import LLMgineBus
import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Testing

@Suite(.timeLimit(.minutes(1))) struct `The event of a failed handler` {
    private let bus = MessageBus(.swift)

    @Test func `tells whoever wants to know, once for each event that was given up`() async throws {
        let failures = Journal<(EventHandlerFailedEvent, SessionID)>()
        try await bus.subscribe(to: EventHandlerFailedEvent.self) { failure, context in failures.add((failure, context.session)) }
        try await bus.subscribe("t", options: .init(name: "h")) { (_: Tick, _) in throw Mishap() }
        try await bus.subscribe("u", options: .init(name: "r")) { (_: Message, _) in throw LLMgineError(.invalidArgument, "no good") }
        try await bus.publish(Tick(number: 1), to: "t", options: .init(session: "s"))
        let first = await failures.first(1)[0]
        #expect(
            first.0
                == EventHandlerFailedEvent(
                    eventID: "n/1/1", failedType: "Tick", failedTopic: "t", handler: "h", code: "handlerFailed",
                    detail: "the handler threw Mishap", attempts: 4))
        #expect(first.1 == "s")
        try await bus.publish(Message("u", "bytes"))
        let second = await failures.first(2)[1].0
        #expect((second.handler, second.failedType, second.code, second.attempts) == ("r", nil, "invalidArgument", 1))
        await bus.stop()
    }

    /// W12 of the predecessor: 189 calls in two seconds from one event.
    @Test func `does not feed itself when its own handler fails`() async throws {
        let calls = Journal<Int>()
        try await bus.subscribe(to: EventHandlerFailedEvent.self, options: .init(name: "f")) { _, context in
            calls.add(context.attempt)
            throw Mishap()
        }
        try await bus.subscribe("t") { (_: Tick, _) in throw Verdict(isRetryable: false) }
        for number in 0..<10 { try await bus.publish(Tick(number: number), to: "t") }
        await calls.first(40)
        try await until { bus.deadLetters.count == 20 }
        await bus.stop()
        #expect(calls.entries.count == 40)  // ten events, four attempts each
        #expect(bus.deadLetters.count == 20)
    }

    @Test func `holds up nobody, and what is too much is dropped and counted`() async throws {
        let gate = Gate()
        try await bus.subscribe(
            to: EventHandlerFailedEvent.self, options: .init(capacity: 1, whenFull: .block(deadline: .seconds(600)))
        ) { _, _ in await gate.pass() }
        try await bus.subscribe("t") { (_: Tick, _) in throw Verdict(isRetryable: false) }
        for number in 0..<5000 { try await bus.publish(Tick(number: number), to: "t") }
        try await until { bus.deadLetters.added == 5000 }
        let dropped = bus.observability.metrics.snapshot()[.announcementsDropped, []]
        guard case .integer(let count)? = dropped else {
            Issue.record("nothing was counted")
            return
        }
        #expect(count >= 2900)
        gate.open()
        await bus.stop()
    }

    @Test func `costs nothing when nobody wants it, and is not about what a stop left over`() async throws {
        let failures = Journal<EventHandlerFailedEvent>()
        try await bus.subscribe("t") { (_: Tick, _) in throw Verdict(isRetryable: false) }
        try await bus.publish(Tick(number: 1), to: "t", until: .processed)
        try await bus.subscribe(to: EventHandlerFailedEvent.self) { failure, _ in failures.add(failure) }
        let held = try await HeldSubscription(on: bus, "u", options: .init())
        try await bus.publish(Tick(number: 1), to: "u")
        async let ending: Void = held.subscription.cancel()
        held.gate.open()
        await ending
        await bus.stop()
        #expect(failures.entries.isEmpty)
    }
}

@Suite(.timeLimit(.minutes(1))) struct `The events of a command` {
    /// W14 of the predecessor: every attempt announced the command anew.
    @Test func `come once each, with the number of attempts`() async throws {
        let bus = MessageBus(.swift)
        let observer = Observer()
        bus.observability.registerHandler(observer)
        let seen = Journal<String>()
        try await bus.subscribe(to: CommandStartedEvent.self) { event, context in
            seen.add("started \(event.id) \(event.commandType) \(context.session)")
        }
        try await bus.subscribe(to: CommandResultEvent.self) { event, _ in
            seen.add("ended \(event.result.id) \(event.result.isSuccess) \(event.result.attempts)")
        }
        try await bus.registerCommandHandler(Add.self) { _, context in if context.attempt < 3 { throw Mishap() } }
        #expect(await bus.execute(Add(left: 1, right: 2), options: .init(session: "s")).isSuccess)
        #expect(await bus.execute(Silent()).error?.code == .noHandler)
        await seen.first(4)
        await bus.stop()
        await bus.observability.drained()
        #expect(seen.entries.filter { $0.hasPrefix("started") } == ["started n/1/c1 Add s", "started n/1/c2 Silent BUS"])
        #expect(seen.entries.filter { $0.hasPrefix("ended") } == ["ended n/1/c1 true 3", "ended n/1/c2 false 0"])
        #expect(observer.events("CommandStarted").map(\.eventID) == ["n/1/c1", "n/1/c2"])
        #expect(observer.events("CommandResult").map { $0.metadata.last?.value } == ["3", "0"])
        let snapshot = bus.observability.metrics.snapshot()
        #expect(snapshot[.commandsSent, [.init("command", "Add")]] == .integer(1))
    }

    @Test func `come again, under its id, when it is tried again out of the dead letters`() async throws {
        let bus = MessageBus(BusResilience(retry: nil, circuitBreaker: nil))
        let begun = Journal<CommandID>()
        let ended = Journal<(CommandID, Int)>()
        try await bus.subscribe(to: CommandStartedEvent.self) { event, _ in begun.add(event.id) }
        try await bus.subscribe(to: CommandResultEvent.self) { event, _ in ended.add((event.result.id, event.result.attempts)) }
        try await bus.registerCommandHandler(Add.self) { _, context in if context.attempt == 1 { throw Mishap() } }
        let id = await bus.execute(Add(left: 1, right: 2)).id
        #expect(bus.deadLetters.retry(1))
        #expect(await begun.first(2) == [id, id])
        #expect(await ended.first(2).map(\.0) == [id, id])
        #expect(ended.entries.map(\.1) == [1, 2])
        await bus.stop()
    }
}
