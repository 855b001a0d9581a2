import LLMgineBus
import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `Metrics of a bus` {
    @Test func `count what was published, processed and failed, and how long it took`() async throws {
        let bus = MessageBus(.swift)
        try await bus.subscribe("t", options: .init(name: "s")) { (tick: Tick, _) in
            if tick.number < 2 { throw Verdict(isRetryable: false) }
        }
        for number in 0..<10 { try await bus.publish(Tick(number: number), to: "t") }
        await bus.stop()
        let snapshot = bus.observability.metrics.snapshot()
        let labels = [MetricsRegistry.Label("handler", "s")]
        #expect(snapshot[.eventsPublished, []] == .number(10))
        #expect(snapshot[.eventsProcessed, labels] == .integer(8))
        #expect(snapshot[.eventsFailed, labels] == .integer(2))
        #expect(snapshot[.deadLetterQueueSize, []] == .number(2))
        guard case .distribution(let durations) = snapshot[.eventProcessingDuration, labels] else {
            Issue.record("no durations")
            return
        }
        #expect(durations.count == 10)
        #expect(durations.sum > 0)
    }

    @Test func `put a duration into its bucket`() async throws {
        let bus = MessageBus(.swift)
        try await bus.subscribe("t", options: .init(name: "s")) { (_: Tick, _) in
            let end = ContinuousClock.now + .milliseconds(3)
            while ContinuousClock.now < end {}
        }
        for number in 0..<3 { try await bus.publish(Tick(number: number), to: "t") }
        await bus.stop()
        guard case .distribution(let durations) = bus.observability.metrics.snapshot()[.eventProcessingDuration, [.init("handler", "s")]]
        else {
            Issue.record("no durations")
            return
        }
        let short = zip(durations.bounds, durations.counts).filter { $0.0 < 0.003 }.reduce(0) { $0 + $1.1 }
        #expect((short, durations.count) == (0, 3))
        #expect(durations.sum >= 0.009)
    }

    @Test func `show what waits, for all subscriptions of a name, and forget it with the last`() async throws {
        let bus = MessageBus(.swift)
        let one = try await HeldSubscription(on: bus, "t", options: .init(name: "s"))
        let two = try await HeldSubscription(on: bus, "u", options: .init(name: "s"))
        for number in 1...3 { try await bus.publish(Tick(number: number), to: "t") }
        let labels = [MetricsRegistry.Label("handler", "s")]
        #expect(bus.observability.metrics.snapshot()[.queueSize, labels] == .number(5))
        #expect(bus.observability.metrics.snapshot()[.registeredHandlers, []] == .number(2))
        one.gate.open()
        two.gate.open()
        await one.subscription.cancel()
        #expect(bus.observability.metrics.snapshot()[.queueSize, labels] != nil)
        await two.subscription.cancel()
        #expect(bus.observability.metrics.snapshot()[.queueSize, labels] == nil)
        await bus.stop()
    }

    @Test func `count commands by their type`() async throws {
        let bus = MessageBus(.swift)
        try await bus.registerCommandHandler(Add.self) { command, context in
            if context.attempt == 1 { throw Mishap() }
            return 1
        }
        _ = await bus.execute(Add(left: 1, right: 1))
        _ = await bus.execute(Silent())
        let snapshot = bus.observability.metrics.snapshot()
        #expect(snapshot[.commandsSent, [.init("command", "Add")]] == .integer(1))
        #expect(snapshot[.commandsProcessed, [.init("command", "Add")]] == .integer(1))
        #expect(snapshot[.commandsFailed, [.init("command", "Silent")]] == .integer(1))
        await bus.stop()
    }
}

/// Remembers what it is told.
private final class Witness: ObservabilityHandler {
    let seen = Journal<ObservedEvent>()
    func handle(_ event: ObservedEvent) { seen.add(event) }

    /// What was said under this name, as `name=value` in order.
    func told(of type: String) -> [[String]] {
        seen.entries.filter { $0.eventType == type }.map { $0.metadata.map { "\($0.key)=\($0.value)" } }
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Observers of a bus` {
    private func watched(_ resilience: BusResilience) -> (MessageBus, Witness) {
        let bus = MessageBus(resilience)
        let witness = Witness()
        bus.observability.registerHandler(witness)
        return (bus, witness)
    }

    @Test func `hear of handlers that fail, of breakers and of dead letters`() async throws {
        let (bus, witness) = watched(
            BusResilience(
                retry: RetryPolicy(maximumRetries: 1, initialDelay: .zero),
                circuitBreaker: BreakerPolicy(failureThreshold: 2, recovery: .milliseconds(1), successThreshold: 1)))
        try await bus.subscribe("t", options: .init(name: "s")) { (tick: Tick, _) in if tick.number == 0 { throw Mishap() } }
        let id = try await bus.publish(Tick(number: 0), to: "t").id
        try await bus.publish(Tick(number: 1), to: "t")
        await bus.stop()
        await bus.observability.drained()
        #expect(
            witness.told(of: "HandlerFailed") == [
                ["handler=s", "attempt=1", "error=Mishap"], ["handler=s", "attempt=2", "error=Mishap"],
            ])
        #expect(witness.told(of: "DeadLettered") == [["handler=s", "attempts=2", "error=handlerFailed"]])
        #expect(
            witness.told(of: "CircuitBreakerChanged") == [
                ["handler=s", "from=closed", "to=open"], ["handler=s", "from=open", "to=halfOpen"],
                ["handler=s", "from=halfOpen", "to=closed"],
            ])
        #expect(witness.seen.entries.first { $0.eventType == "HandlerFailed" }?.eventID == id.description)
    }

    @Test func `hear of commands, and of events that a full queue did not take`() async throws {
        let (bus, witness) = watched(.swift)
        try await bus.registerCommandHandler(Add.self) { command, _ in command.left + command.right }
        _ = await bus.execute(Add(left: 1, right: 2))
        let held = try await HeldSubscription(
            on: bus, options: .init(name: "s", queue: BoundedEventQueue(capacity: 1, strategy: .rejectNew, keepsDropped: true)))
        try await bus.publish(Tick(number: 1), to: "t")
        held.gate.open()
        await bus.stop()
        await bus.observability.drained()
        #expect(witness.told(of: "CommandStarted") == [["command=Add"]])
        #expect(witness.told(of: "CommandResult") == [["command=Add", "success=true", "error=", "attempts=1"]])
        #expect(witness.told(of: "DeadLettered") == [["handler=s", "attempts=0", "error=rejected"]])
    }

    /// A failing handler of the failure event fed itself (W12): here what fails about a failure is told to observers and goes no further.
    @Test func `do not feed a failure back into the bus`() async throws {
        let (bus, witness) = watched(BusResilience(retry: nil, circuitBreaker: nil))
        try await bus.subscribe(">") { (_: Message, _) in throw Mishap() }
        for number in 1...2 {
            try await bus.publish(Tick(number: number), to: "t")
            // The event and the event of its failure.
            try await until { bus.deadLetters.count == number * 2 }
        }
        await bus.stop()
        await bus.observability.drained()
        #expect(witness.told(of: "HandlerFailed").count == 4)
        #expect(bus.metrics().counters["events_published_total"] == 4)
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Spans of a bus` {
    private func traced(_ sampler: Sampler = .alwaysOn) -> (MessageBus, NodeTracer) {
        let tracer = NodeTracer(sampler: sampler, enabled: true)
        return (
            MessageBus(
                configuration: BusConfiguration(name: "n", incarnation: Incarnation(1), resilience: .swift),
                observability: ObservabilityManager(tracer: tracer)), tracer
        )
    }

    private func spans(_ tracer: NodeTracer) -> [FinishedSpan] {
        var spans: [FinishedSpan] = []
        tracer.recorder.drain(into: &spans, maximum: .max)
        return spans
    }

    @Test func `lead from the publish to the handler and on to what it publishes and asks`() async throws {
        let (bus, tracer) = traced()
        let done = Gate()
        try await bus.respond(to: "q") { _, context in
            #expect(context.trace?.isSampled == true)
            return ByteBuffer()
        }
        try await bus.subscribe("u", options: .init(name: "second")) { (_: Tick, _) in done.open() }
        try await bus.subscribe("t", options: .init(name: "first")) { (_: Tick, _) in
            _ = try await bus.request(Message("q", "")).first()
            try await bus.publish(Tick(number: 2), to: "u")
        }
        try await bus.publish(Tick(number: 1), to: "t")
        await done.pass()
        await bus.stop()
        let spans = spans(tracer)
        func one(_ name: String) throws -> FinishedSpan { try #require(spans.first { $0.name == name }, "\(spans.map(\.name))") }
        #expect(spans.map(\.name).sorted() == ["process t", "process u", "publish t", "publish u", "request q", "respond q"])
        #expect(Set(spans.map(\.context.traceLow)).count == 1)
        #expect(try one("publish t").parent == 0)
        #expect(try one("process t").parent == one("publish t").context.span)
        #expect(try one("publish u").parent == one("process t").context.span)
        #expect(try one("process u").parent == one("publish u").context.span)
        #expect(try one("request q").parent == one("process t").context.span)
        #expect(try one("respond q").parent == one("request q").context.span)
        #expect(spans.allSatisfy { $0.end >= $0.start && !$0.parentIsRemote })
    }

    @Test func `are below the span that the caller names, and say how a handler failed`() async throws {
        let (bus, tracer) = traced()
        let parent = TraceContext(traceHigh: 1, traceLow: 2, span: 3, flags: 1)
        try await bus.subscribe("t") { (_: Tick, context) in if context.attempt < 2 { throw Mishap() } }
        try await bus.publish(Tick(number: 1), to: "t", options: .init(trace: parent))
        await bus.stop()
        let spans = spans(tracer).sorted { $0.start < $1.start }
        #expect(spans.map(\.name) == ["publish t", "process t", "process t"])
        #expect(spans.map(\.context.traceLow) == [2, 2, 2])
        #expect(spans[0].parent == 3)
        #expect(spans.map { if case .error = $0.status { true } else { false } } == [false, true, false])
    }

    @Test func `are not made when they are not sampled, and the caller's context goes on`() async throws {
        let (bus, tracer) = traced(Sampler(ratio: 0))
        let traces = Journal<TraceContext?>()
        try await bus.subscribe("t") { (_: Tick, context) in traces.add(context.trace) }
        try await bus.publish(Tick(number: 1), to: "t")
        try await bus.publish(Tick(number: 2), to: "t", options: .init(trace: TraceContext(traceHigh: 1, traceLow: 2, span: 3, flags: 0)))
        let seen = await traces.first(2)
        #expect(seen[0] == nil)
        #expect((seen[1]?.traceLow, seen[1]?.span, seen[1]?.isSampled) == (2, 3, false))
        await bus.stop()
        #expect(spans(tracer).isEmpty)
    }

    @Test func `are not made while tracing is off, and the caller's context goes on`() async throws {
        let bus = MessageBus(.swift)
        let traces = Journal<TraceContext?>()
        let parent = TraceContext(traceHigh: 1, traceLow: 2, span: 3, flags: 1)
        try await bus.subscribe("t") { (_: Tick, context) in traces.add(context.trace) }
        try await bus.publish(Tick(number: 1), to: "t", options: .init(trace: parent))
        #expect(await traces.first(1) == [parent])
        await bus.stop()
        #expect(spans(bus.observability.tracer).isEmpty)
    }

    @Test func `of bytes say how large they were, and of what failed, why`() async throws {
        let (bus, tracer) = traced()
        try await bus.subscribe("t") { (_: Message, _) in }
        try await bus.publish(Message("t", "four"))
        struct Secret: Event {
            func encode(to encoder: any Encoder) throws { throw Mishap() }
        }
        await #expect(throws: LLMgineError(.badPayload, "")) { try await bus.publish(Secret(), to: "t") }
        await bus.stop()
        let spans = spans(tracer)
        #expect(spans.map(\.name).sorted() == ["process t", "publish t", "publish t"])
        #expect(spans.count { if case .error = $0.status { true } else { false } } == 1)
    }

    @Test func `show commands with what their handlers do below them`() async throws {
        let (bus, tracer) = traced()
        try await bus.registerCommandHandler(Add.self) { _, _ in try await bus.publish(Tick(number: 1), to: "t").matched }
        #expect(await bus.execute(Add(left: 1, right: 2)).isSuccess)
        await bus.stop()
        let spans = spans(tracer)
        #expect(spans.map(\.name) == ["publish t", "execute Add"])
        #expect(spans[0].parent == spans[1].context.span)
    }
}
