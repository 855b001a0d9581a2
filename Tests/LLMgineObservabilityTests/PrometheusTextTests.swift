import LLMgineObservability
import Testing

@Suite struct `Prometheus text` {
    @Test func `looks like this`() {
        let registry = MetricsRegistry()
        registry.counter(.eventsPublished, labels: [.init("topic", "orders.*")]).increment(by: 12)
        registry.gauge(.queueSize, labels: [.init("queue", "say \"hi\"\\\n")]).set(2.5)
        let durations = Instrument(
            .histogram(bounds: [1e-5, 0.005, 0.1, 1, 10]), "llmgine.event.processing.duration", unit: "s", "How long.")
        for value in [0.00001, 0.004, 0.004, 0.5, 100] { registry.histogram(durations).record(value) }
        registry.counter(Instrument(.counter, "llmgine.peer.io", unit: "By", "Bytes.")).increment(by: 7)
        let text = PrometheusText.render(registry.snapshot(), target: [.init("service_name", "bus"), .init("service_instance_id", "a")])
        #expect(
            text == """
                # HELP target_info What this process is.
                # TYPE target_info gauge
                target_info{service_name="bus",service_instance_id="a"} 1
                # HELP llmgine_events_published_total Events handed to the bus.
                # TYPE llmgine_events_published_total counter
                llmgine_events_published_total{topic="orders.*"} 12
                # HELP llmgine_queue_size Events that wait in a queue.
                # TYPE llmgine_queue_size gauge
                llmgine_queue_size{queue="say \\"hi\\"\\\\\\n"} 2.5
                # HELP llmgine_event_processing_duration_seconds How long.
                # TYPE llmgine_event_processing_duration_seconds histogram
                llmgine_event_processing_duration_seconds_bucket{le="0.00001"} 1
                llmgine_event_processing_duration_seconds_bucket{le="0.005"} 3
                llmgine_event_processing_duration_seconds_bucket{le="0.1"} 3
                llmgine_event_processing_duration_seconds_bucket{le="1"} 4
                llmgine_event_processing_duration_seconds_bucket{le="10"} 4
                llmgine_event_processing_duration_seconds_bucket{le="+Inf"} 5
                llmgine_event_processing_duration_seconds_sum 100.50801
                llmgine_event_processing_duration_seconds_count 5
                # HELP llmgine_peer_io_bytes_total Bytes.
                # TYPE llmgine_peer_io_bytes_total counter
                llmgine_peer_io_bytes_total 7

                """)
    }

    @Test func `names the metrics as the original did`() {
        let names: [(Instrument, String)] = [
            (.eventsPublished, "llmgine_events_published_total"), (.eventsProcessed, "llmgine_events_processed_total"),
            (.eventsFailed, "llmgine_events_failed_total"), (.commandsSent, "llmgine_commands_sent_total"),
            (.commandsProcessed, "llmgine_commands_processed_total"), (.commandsFailed, "llmgine_commands_failed_total"),
            (.eventProcessingDuration, "llmgine_event_processing_duration_seconds"),
            (.commandProcessingDuration, "llmgine_command_processing_duration_seconds"), (.queueSize, "llmgine_queue_size"),
            (.backpressureActive, "llmgine_backpressure_active"), (.circuitBreakerState, "llmgine_circuit_breaker_state"),
            (.deadLetterQueueSize, "llmgine_dead_letter_queue_size"), (.activeSessions, "llmgine_active_sessions"),
            (.registeredHandlers, "llmgine_registered_handlers"), (.observabilityDropped, "llmgine_observability_dropped_total"),
            (Instrument(.gauge, "9lives..a-b", ""), "_9lives_a_b"),
        ]
        for (instrument, name) in names { #expect(PrometheusText.name(of: instrument) == name) }
    }

    @Test func `writes every default bound without an exponent`() {
        let registry = MetricsRegistry()
        registry.histogram(.eventProcessingDuration).record(1)
        let bounds = PrometheusText.render(registry.snapshot()).split(separator: "\n").compactMap { line in
            line.split(separator: "le=\"").last.flatMap { $0.contains("\"}") ? $0.prefix { $0 != "\"" } : nil }
        }
        #expect(
            bounds == [
                "0.00001", "0.000025", "0.00005", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05",
                "0.075", "0.1",
                "0.25", "0.5", "0.75", "1", "2.5", "5", "7.5", "10", "+Inf",
            ])
    }
}
