import LLMgineBus
import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Testing

/// W17: labels were accepted and ignored, so that handlers overwrote each other.
@Suite(.timeLimit(.minutes(1))) struct `The metrics of a bus` {
    @Test func `say by handler what became of its events`() async throws {
        let bus = MessageBus(.swift)
        try await bus.subscribe("t", options: .init(name: "good")) { (_: Tick, _) in }
        try await bus.subscribe("t", options: .init(name: "bad")) { (tick: Tick, _) in
            if tick.number < 3 { throw Verdict(isRetryable: false) }
        }
        try await bus.registerCommandHandler(Add.self) { command, _ in command.left + command.right }
        for number in 0..<10 { try await bus.publish(Tick(number: number), to: "t") }
        _ = await bus.execute(Add(left: 1, right: 2))
        _ = await bus.execute(Silent())
        #expect(bus.metrics().gauges["registered_handlers"] == 3)
        await bus.stop()
        let metrics = bus.metrics()
        #expect(metrics.counters["events_published_total"] == 10)
        #expect(metrics.counters["events_processed_total"] == 17)
        #expect(metrics.counters[#"events_processed_total{handler="good"}"#] == 10)
        #expect(metrics.counters[#"events_processed_total{handler="bad"}"#] == 7)
        #expect(metrics.counters["events_failed_total"] == 3)
        #expect(metrics.counters[#"events_failed_total{handler="good"}"#] == 0)
        #expect(metrics.counters["commands_sent_total"] == 2)
        #expect(metrics.counters[#"commands_processed_total{command="Add"}"#] == 1)
        #expect(metrics.counters[#"commands_failed_total{command="Silent"}"#] == 1)
        #expect(metrics.histograms["event_processing_duration_seconds"]?.count == 20)
        #expect(metrics.histograms["command_processing_duration_seconds"]?.count == 1)
        #expect(metrics.gauges["dead_letter_queue_size"] == 3)
    }

    @Test func `show each handler's breaker on its own`() async throws {
        let resilience = BusResilience(
            retry: nil, circuitBreaker: BreakerPolicy(failureThreshold: 2, recovery: .seconds(600)), deadLetterCapacity: 10)
        let bus = MessageBus(resilience)
        let bad = try await bus.subscribe("t", options: .init(name: "bad")) { (_: Tick, _) in throw Mishap() }
        try await bus.subscribe("t", options: .init(name: "good")) { (_: Tick, _) in }
        let registration = try await bus.registerCommandHandler(Add.self) { _, _ -> Int in throw Mishap() }
        for number in 0..<2 { try await bus.publish(Tick(number: number), to: "t") }
        for _ in 0..<2 { _ = await bus.execute(Add(left: 1, right: 1)) }
        try await until { bad.breakerState == .open }
        let gauges = bus.metrics().gauges
        #expect(gauges[#"circuit_breaker_state{handler="bad"}"#] == 1)
        #expect(gauges[#"circuit_breaker_state{handler="good"}"#] == 0)
        #expect(gauges[#"circuit_breaker_state{command="Add"}"#] == 1)
        await registration.cancel()
        #expect(bus.metrics().gauges[#"circuit_breaker_state{command="Add"}"#] == nil)
        await bus.stop(deadline: .zero)
    }

    @Test func `show which queue is under pressure`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, options: .init(name: "full", capacity: 5))
        try await bus.subscribe("t", options: .init(name: "empty")) { (_: Tick, _) in }
        for number in 1...4 { try await bus.publish(Tick(number: number), to: "t") }
        let gauges = bus.metrics().gauges
        #expect((gauges[#"backpressure_active{handler="full"}"#], gauges[#"backpressure_active{handler="empty"}"#]) == (1, 0))
        #expect((gauges["backpressure_active"], gauges[#"queue_size{handler="full"}"#]) == (1, 5))
        #expect(!bus.isHoldingPublishersBack)
        held.gate.open()
        await bus.stop()
    }

    @Test func `stay with a name that one subscription takes as another gives it up`() async throws {
        let bus = MessageBus(.swift)
        let metrics = bus.observability.metrics
        let labels = [MetricsRegistry.Label("handler", "x")]
        var current = try await bus.subscribe("t", options: .init(name: "x")) { (_: Tick, _) in }
        for number in 0..<MetricsRegistry.maximumSeries { _ = metrics.counter(.eventsProcessed, labels: [.init("handler", "s\(number)")]) }
        for number in 0..<200 {
            let old = current
            async let ending: Void = old.cancel()
            current = try await bus.subscribe("t", options: .init(name: "x")) { (_: Tick, _) in }
            await ending
            // There is no room: it would get the place of a series that is said to be nobody's.
            _ = metrics.counter(.eventsProcessed, labels: [.init("handler", "late\(number)")])
            let snapshot = metrics.snapshot()
            #expect(snapshot[.eventsProcessed, labels] == .integer(0))
            #expect(snapshot[.queueSize, labels] == .number(0))
        }
        await bus.stop()
    }

    /// Records per session or per event type would never be forgotten; a series makes room when its handler is gone.
    @Test func `do not grow with what comes and goes, and have room for what comes next`() async throws {
        let bus = MessageBus(.swift)
        let count = MetricsRegistry.maximumSeries + 500
        for number in 0..<count {
            let session = SessionID("x\(number)")
            let subscription = try await bus.subscribe("t", options: .init(name: "s\(number)", session: session)) { (_: Tick, _) in }
            try await bus.publish(Tick(number: number), to: "t", options: .init(session: session), until: .processed)
            await subscription.cancel()
        }
        let snapshot = bus.observability.metrics.snapshot()
        #expect(snapshot.families.allSatisfy { $0.series.count <= MetricsRegistry.maximumSeries })
        #expect(!snapshot.families.contains { $0.instrument == .queueSize })
        #expect(snapshot[.eventsProcessed, [.init("handler", "s\(count - 1)")]] == .integer(1))
        #expect(bus.metrics().counters["events_processed_total"] == UInt64(count))
        await bus.stop()
    }
}
