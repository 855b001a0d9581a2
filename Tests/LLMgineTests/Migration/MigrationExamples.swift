import LLMgine
import Testing

// The code of `MigrationGuide.md`, each piece within the few lines that it needs to run. `MigrationGuideTests` compares the texts.

struct OrderPlaced: Event {
    var order: Int
}

struct Add: Command {
    var left: Int
    var right: Int
}

final class Audit: ObservabilityHandler {
    func handle(_ event: ObservedEvent) { print(event.eventType, event.eventID) }
}

@Suite(.timeLimit(.minutes(1))) struct `The examples of the migration guide` {
    @Test func `publish and subscribe`() async throws {
        let bus = MessageBus()
        let subscription = try await bus.subscribe(to: OrderPlaced.self, options: .init(handlerPriority: .high)) { event, context in
            print("order \(event.order), attempt \(context.attempt)")
        }
        let receipt = try await bus.publish(OrderPlaced(order: 7))
        #expect(receipt.accepted == 1)
        try await bus.publish(OrderPlaced(order: 8), to: "orders.eu.placed", options: .init(priority: .urgent, session: "chat-7"))
        let done = try await bus.publish(OrderPlaced(order: 9), until: .processed)
        #expect(done.accepted == 1)
        await bus.stop()
        #expect(subscription.statistics.processed == 2)
    }

    @Test func `schedule an event`() async throws {
        let bus = MessageBus()
        let reminder = try await bus.schedule(OrderPlaced(order: 10), after: .seconds(300))
        let cancelled = try await bus.cancelScheduled(reminder.id)
        #expect(cancelled?.id == reminder.id)
        await bus.stop()
    }

    @Test func `ask for an approval`() async throws {
        let bus = MessageBus()
        try await bus.registerCommandHandler(Add.self) { command, context in command.left + command.right }
        let outcome = try await bus.requestApproval(of: Add(left: 1, right: 2), from: "ann") { command, approval in
            command.right < 10 ? .approve(by: "ann") : .deny(by: "ann", note: "too much")
        }
        if outcome.status == .approved { print(await bus.execute(Add(left: 1, right: 2))) }
        #expect((outcome.status, outcome.decidedBy) == (.approved, "ann"))
        await bus.stop()
    }

    @Test func `execute a command`() async throws {
        let bus = MessageBus()
        try await bus.registerCommandHandler(Add.self) { command, context in command.left + command.right }
        let result = await bus.execute(Add(left: 1, right: 2))
        guard result.isSuccess else { throw result.error ?? LLMgineError(.remoteError, "no reason given") }
        let sum = try result.value(as: Int.self)
        #expect(sum == 3)
        await bus.stop()
    }

    @Test func `open a session`() async throws {
        let bus = MessageBus()
        try await bus.registerCommandHandler(Add.self) { command, context in command.left + command.right }
        let result = try await bus.session("chat-7") { session in
            try await session.subscribe(to: OrderPlaced.self) { event, _ in print("order \(event.order) of \(session.id)") }
            return await session.execute(Add(left: 1, right: 2))
        }
        #expect((result.isSuccess, result.session, bus.subscriptionCount) == (true, "chat-7", 0))
        await bus.stop()
    }

    @Test func `add middleware and filters, and take them out`() async throws {
        let bus = MessageBus()
        try await bus.subscribe(to: OrderPlaced.self) { _, _ in }
        let timing = TimingMiddleware()
        let registrations = [bus.addMiddleware(timing), bus.addEventFilter(SessionFilter(exclude: ["noisy"]))]
        try await bus.publish(OrderPlaced(order: 7))
        for registration in registrations { registration.remove() }
        let noisy = try await bus.publish(OrderPlaced(order: 8), options: .init(session: "noisy"))
        #expect(noisy.accepted == 1)
        await bus.stop()
    }

    @Test func `configure resilience and queues`() async throws {
        let resilience = BusResilience(
            retry: RetryPolicy(maximumRetries: 5), circuitBreaker: BreakerPolicy(recovery: .seconds(1)), deadLetterCapacity: 500)
        let bus = ResilientMessageBus(resilience: resilience)
        let strategy = try BackpressureStrategy(named: "adaptive_rate_limit")
        let queue = BoundedEventQueue(capacity: 1000, highWaterMark: 0.8, lowWaterMark: 0.5, strategy: strategy)
        let subscription = try await bus.subscribe(to: OrderPlaced.self, options: .init(queue: queue)) { event, _ in
            print("order \(event.order)")
        }
        for letter in bus.deadLetters.list(limit: 10) {
            print("\(letter.subscription): \(letter.error.code) after \(letter.attempts) attempts")
        }
        let retried = bus.deadLetters.retryAll()
        #expect((retried, subscription.queueMetrics.totalEnqueued) == (0, 0))
        await bus.stop()
    }

    @Test func `observe and measure`() async throws {
        let bus = MessageBus()
        try await bus.registerCommandHandler(Add.self) { _, _ -> Int in throw CancellationError() }
        try await bus.publish(OrderPlaced(order: 1))
        bus.observability.registerHandler(Audit())
        let metrics = bus.metrics()
        let published = metrics.counters["events_published_total"] ?? 0
        let p99 = metrics.histograms["event_processing_duration_seconds"]?.p99
        let open = metrics.gauges[#"circuit_breaker_state{command="Add"}"#] == 1
        #expect((published, p99, open) == (1, nil, false))
        await bus.stop()
    }

    @Test func `stop`() async throws {
        let bus = MessageBus()
        let left = await bus.stop(deadline: .seconds(5))
        for (subscription, count) in left { print("\(subscription) did not get to \(count) events") }
        #expect(left.isEmpty)
    }

    @Test func `ask a model`() async throws {
        let bus = MessageBus()
        let worker = try await LLMWorker(providers: [EmbeddedProvider()], slots: 2, on: bus)
        let client = LLMClient(bus: bus)
        let answer = try await client.generate(LLMRequest(model: "embedded/pirate", messages: [.user("hello")]))
        for try await event in client.stream(LLMRequest(model: "embedded/echo", messages: [.user("hello")])) {
            if case .textDelta(let text) = event.kind { print(text) }
        }
        #expect((worker.slots, answer.text) == (2, "Arrr, ye scurvy dog! ahoy"))
        await bus.stop()
    }

    /// Compiled only: it runs until it is told to stop.
    static func application() async throws {
        let application = try await ApplicationBootstrap(settings: NodeSettings.load(file: "shop.yaml").settings)
        try await application.run {
            let answer = try await application.node.llm.generate(LLMRequest(model: "openai/gpt-4o-mini", messages: [.user("hello")]))
            print(answer.text)
        }
    }
}
