import LLMgineObservability
import Testing

@Suite struct `A summary of metrics` {
    private func summary(_ fill: (MetricsRegistry) -> Void) -> MetricsSummary {
        let registry = MetricsRegistry()
        fill(registry)
        return MetricsSummary(registry.snapshot())
    }

    @Test func `has the names that users know, for every instrument of the bus`() {
        let summary = summary { registry in
            for counter in [
                Instrument.eventsPublished, .eventsProcessed, .eventsFailed, .commandsSent, .commandsProcessed, .commandsFailed,
                .queueDropped, .queueRejected, .queueHighWater,
            ] { registry.counter(counter).increment() }
            for histogram in [Instrument.eventProcessingDuration, .commandProcessingDuration] { registry.histogram(histogram).record(1) }
            for gauge in [
                Instrument.queueSize, .backpressureActive, .circuitBreakerState, .deadLetterQueueSize, .activeSessions, .registeredHandlers,
            ] { registry.gauge(gauge).set(1) }
        }
        #expect(
            summary.counters.keys.sorted() == [
                "commands_failed_total", "commands_processed_total", "commands_sent_total", "events_failed_total", "events_processed_total",
                "events_published_total", "queue_dropped_total", "queue_high_water_hits_total", "queue_rejected_total",
            ])
        #expect(summary.histograms.keys.sorted() == ["command_processing_duration_seconds", "event_processing_duration_seconds"])
        #expect(
            summary.gauges.keys.sorted() == [
                "active_sessions", "backpressure_active", "circuit_breaker_state", "dead_letter_queue_size", "queue_size",
                "registered_handlers",
            ])
    }

    @Test func `adds counters up over their labels and keeps each`() {
        let summary = summary { registry in
            registry.counter(.eventsProcessed, labels: [.init("handler", "a")]).increment(by: 3)
            registry.counter(.eventsProcessed, labels: [.init("handler", "b")]).increment(by: 4)
            registry.observe(.eventsPublished) { 12 }
        }
        #expect(
            summary.counters == [
                "events_processed_total": 7, #"events_processed_total{handler="a"}"#: 3, #"events_processed_total{handler="b"}"#: 4,
                "events_published_total": 12,
            ])
    }

    @Test func `adds queues up, and of breakers and pressure shows the worst`() {
        let summary = summary { registry in
            for (handler, size, state) in [("a", 5.0, 0.0), ("b", 6, 1)] {
                registry.gauge(.queueSize, labels: [.init("handler", handler)]).set(size)
                registry.gauge(.circuitBreakerState, labels: [.init("handler", handler)]).set(state)
            }
            registry.gauge(.backpressureActive).set(0)
            registry.gauge(.backpressureActive, labels: [.init("handler", "a")]).set(1)
        }
        #expect((summary.gauges["queue_size"], summary.gauges[#"queue_size{handler="b"}"#]) == (11, 6))
        #expect((summary.gauges["circuit_breaker_state"], summary.gauges[#"circuit_breaker_state{handler="a"}"#]) == (1, 0))
        #expect((summary.gauges["backpressure_active"], summary.gauges[#"backpressure_active{handler="a"}"#]) == (1, 1))
    }

    @Test func `gives quantiles within their buckets`() throws {
        let summary = summary { registry in
            let histogram = registry.histogram(.eventProcessingDuration, labels: [.init("handler", "a")])
            for _ in 0..<90 { histogram.record(0.002) }
            for _ in 0..<10 { histogram.record(0.2) }
            registry.histogram(.eventProcessingDuration, labels: [.init("handler", "b")]).record(3)
            _ = registry.histogram(.commandProcessingDuration)
        }
        let a = try #require(summary.histograms[#"event_processing_duration_seconds{handler="a"}"#])
        #expect(a.count == 100)
        #expect(abs(a.sum - 2.18) < 1e-9)
        // 0.002 is in the bucket from 1 to 2.5 ms, 0.2 in that from 100 to 250 ms.
        #expect((0.001...0.0025).contains(try #require(a.p50)))
        #expect((0.1...0.25).contains(try #require(a.p95)))
        #expect((0.1...0.25).contains(try #require(a.p99)))
        #expect(summary.histograms["event_processing_duration_seconds"]?.count == 101)
        let empty = try #require(summary.histograms["command_processing_duration_seconds"])
        #expect((empty.count, empty.p50, empty.p99) == (0, nil, nil))
    }

    /// W17: the original kept every sample and sorted them all: 171 ms for 300,000.
    @Test func `takes a histogram of 300,000 values as quickly as an empty one`() {
        let registry = MetricsRegistry()
        let histogram = registry.histogram(.eventProcessingDuration)
        for number in 0..<300_000 { histogram.record(nanoseconds: UInt64(number)) }
        let start = ContinuousClock.now
        let summary = MetricsSummary(registry.snapshot())
        #expect(ContinuousClock.now - start < .milliseconds(20))
        #expect(summary.histograms["event_processing_duration_seconds"]?.count == 300_000)
    }
}
