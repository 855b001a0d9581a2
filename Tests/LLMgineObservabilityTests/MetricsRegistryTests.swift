import CoreMetrics
import LLMgineOTLP
import LLMgineObservability
import Testing

@Suite struct `The metrics registry` {
    private let registry = MetricsRegistry()

    @Test func `gives one cell per set of labels, in any order`() {
        let one = registry.counter(.eventsPublished, labels: [.init("topic", "a"), .init("priority", "high")])
        let same = registry.counter(.eventsPublished, labels: [.init("priority", "high"), .init("topic", "a")])
        let other = registry.counter(.eventsPublished, labels: [.init("topic", "b")])
        one.increment()
        same.increment(by: 4)
        other.increment()
        let snapshot = registry.snapshot()
        #expect(snapshot[.eventsPublished, [.init("topic", "a"), .init("priority", "high")]] == .integer(5))
        #expect(snapshot[.eventsPublished, [.init("topic", "b")]] == .integer(1))
    }

    @Test func `counts what is past the limit of series in one of them`() {
        for number in 0..<3_000 { registry.counter(.eventsPublished, labels: [.init("topic", "t\(number)")]).increment() }
        let snapshot = registry.snapshot()
        let series = snapshot.families.first?.series ?? []
        #expect(series.count == MetricsRegistry.maximumSeries)
        #expect(snapshot[.eventsPublished, [.init("otel_metric_overflow", "true")]] == .integer(1_001))
    }

    @Test func `gives the place of a series that has retired to a new one, and keeps what it counted`() {
        for number in 0..<3_000 {
            let labels = [MetricsRegistry.Label("topic", "t\(number)")]
            registry.counter(.eventsPublished, labels: labels).increment()
            registry.histogram(.eventProcessingDuration, labels: labels).record(0.5)
            registry.retire(.eventsPublished, labels: labels)
            registry.retire(.eventProcessingDuration, labels: labels)
        }
        let snapshot = registry.snapshot()
        #expect(snapshot.families.map(\.series.count) == [MetricsRegistry.maximumSeries, MetricsRegistry.maximumSeries])
        #expect(snapshot[.eventsPublished, [.init("topic", "t0")]] == nil)
        #expect(snapshot[.eventsPublished, [.init("topic", "t2999")]] == .integer(1))
        let summary = MetricsSummary(snapshot)
        #expect(summary.counters["events_published_total"] == 3_000)
        #expect(summary.histograms["event_processing_duration_seconds"]?.count == 3_000)
    }

    @Test func `has a retired series go on where it stood when it is asked for again`() {
        let labels = [MetricsRegistry.Label("topic", "a")]
        registry.counter(.eventsPublished, labels: labels).increment(by: 2)
        registry.retire(.eventsPublished, labels: labels)
        #expect(registry.snapshot()[.eventsPublished, labels] == .integer(2))
        registry.counter(.eventsPublished, labels: labels).increment()
        for number in 0..<3_000 { registry.counter(.eventsPublished, labels: [.init("topic", "t\(number)")]).increment() }
        #expect(registry.snapshot()[.eventsPublished, labels] == .integer(3))
    }

    @Test func `adds from many tasks without losing one`() async {
        let counter = registry.counter(.eventsProcessed)
        let gauge = registry.gauge(.queueSize)
        let histogram = registry.histogram(.eventProcessingDuration)
        await withDiscardingTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<10_000 {
                        counter.increment()
                        gauge.add(1)
                        histogram.record(0.5)
                    }
                }
            }
        }
        let snapshot = registry.snapshot()
        #expect(snapshot[.eventsProcessed, []] == .integer(40_000) && snapshot[.queueSize, []] == .number(40_000))
        guard case .distribution(let distribution)? = snapshot[.eventProcessingDuration, []] else {
            Issue.record("no distribution")
            return
        }
        #expect(distribution.count == 40_000 && distribution.sum == 20_000)
    }

    @Test func `puts a value on a bound into the bucket below it`() {
        let instrument = Instrument(.histogram(bounds: [1, 2]), "test", "")
        let histogram = registry.histogram(instrument)
        for value in [0.5, 1, 1.5, 2, 2.5, .nan, .infinity] { histogram.record(value) }
        histogram.record(nanoseconds: 500_000_000)
        histogram.record(Duration.milliseconds(1_500))
        guard case .distribution(let distribution)? = registry.snapshot()[instrument, []] else {
            Issue.record("no distribution")
            return
        }
        #expect(distribution.counts == [3, 3, 1] && distribution.sum == 9.5)
        #expect(distribution.quantile(0.5) == 1 + 0.5 / 3)
        #expect(distribution.quantile(1) == 2 && MetricsSnapshot.Distribution?.none?.quantile(0.5) == nil)
    }

    @Test func `asks observed series when somebody looks, and forgets removed ones`() {
        registry.observe(.queueSize, labels: [.init("queue", "a")]) { 17 }
        #expect(registry.snapshot()[.queueSize, [.init("queue", "a")]] == .number(17))
        registry.observe(.queueSize, labels: [.init("queue", "a")]) { 18 }
        #expect(registry.snapshot()[.queueSize, [.init("queue", "a")]] == .number(18))
        registry.remove(.queueSize, labels: [.init("queue", "a")])
        #expect(registry.snapshot().families.isEmpty)
    }

    @Test func `gives a cell that is not shown to a name of another kind`() {
        registry.counter(.eventsPublished).increment()
        registry.gauge(.eventsPublished).set(99)
        registry.histogram(.eventsPublished).record(1)
        #expect(registry.snapshot()[.eventsPublished, []] == .integer(1))
    }

    @Test func `becomes cumulative OTLP metrics`() throws {
        registry.counter(.eventsFailed, labels: [.init("error_type", "boom")]).increment(by: 3)
        registry.gauge(.backpressureActive).set(1)
        registry.histogram(.eventProcessingDuration).record(0.002)
        let snapshot = registry.snapshot()
        let metrics = snapshot.otlp()
        #expect(metrics.map(\.name) == ["llmgine.events.failed", "llmgine.backpressure.active", "llmgine.event.processing.duration"])
        let point = OTLP.NumberPoint(
            attributes: [OTLP.Attribute("error.type", "boom")], start: snapshot.startedAt, time: snapshot.takenAt, value: .int(3))
        #expect(metrics[0].data == .sum([point], isMonotonic: true, temporality: .cumulative) && metrics[0].unit == "{event}")
        guard case .histogram(let points, .cumulative) = metrics[2].data else {
            Issue.record("no histogram")
            return
        }
        #expect(points[0].count == 1 && points[0].bucketCounts.count == points[0].bounds.count + 1 && points[0].sum == 0.002)
    }

    @Test func `stands behind swift-metrics`() {
        let factory = RegistryMetricsFactory(registry)
        factory.makeCounter(label: "http.requests", dimensions: [("route", "/")]).increment(by: 2)
        factory.makeMeter(label: "pool.size", dimensions: []).set(Int64(4))
        factory.makeTimer(label: "http.time", dimensions: []).recordNanoseconds(1_000_000)
        factory.makeFloatingPointCounter(label: "cost", dimensions: []).increment(by: 0.5)
        factory.makeRecorder(label: "last", dimensions: [], aggregate: false).record(Int64(9))
        let text = PrometheusText.render(registry.snapshot())
        #expect(text.contains("http_requests_total{route=\"/\"} 2\n") && text.contains("pool_size 4\n"))
        #expect(text.contains("http_time_seconds_count 1\n") && text.contains("cost 0.5\n") && text.contains("last 9\n"))
    }
}
