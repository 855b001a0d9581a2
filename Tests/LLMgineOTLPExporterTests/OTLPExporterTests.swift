import LLMgineCore
import LLMgineOTLP
import LLMgineOTLPExporter
import LLMgineOTLPSink
import LLMgineObservability
import Logging
import ServiceLifecycle
import Synchronization
import Testing

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A node's telemetry, an exporter for it and a sink, run together for one test.
private func withExporter(
    faults: [OTLPSink.Fault] = [], _ change: (inout OTLPConfiguration) -> Void = { _ in }, test: (Rig) async throws -> Void
) async throws {
    let sink = OTLPSink(port: 0, logger: silent)
    sink.script(faults)
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await sink.run() }
        var configuration = OTLPConfiguration(endpoint: "http://127.0.0.1:\(try await sink.port())")
        configuration.scheduleDelay = .milliseconds(20)
        configuration.retryBase = .milliseconds(2)
        configuration.metrics.isEnabled = false
        change(&configuration)
        let rig = Rig(sink: sink, configuration: configuration)
        group.addTask { try await rig.exporter.run() }
        try await test(rig)
        sink.release(forGood: true)
        group.cancelAll()
    }
}

private final class Rig: Sendable {
    let sink: OTLPSink
    let observability = ObservabilityManager()
    let exporter: OTLPExporter

    init(sink: OTLPSink, configuration: OTLPConfiguration, node: String = "a") {
        self.sink = sink
        observability.tracer.setEnabled(true)  // so that a test may record before the exporter has come up
        exporter = OTLPExporter(configuration, observability: observability, node: node, logger: silent)
    }

    /// Returns once what became of the spans is as asked.
    func settled(_ isDone: @escaping @Sendable (SpanBatcher.Counts) -> Bool) async { await exporter.progress.reached { isDone($0.counts) } }

    var counts: SpanBatcher.Counts { exporter.progress.report.counts }

    func publish(_ count: Int) {
        let tracer = observability.tracer
        for _ in 0..<count {
            let start = tracer.clock.now()
            guard let context = tracer.publishStarted(parent: nil, topic: "orders.eu") else { continue }
            tracer.record(
                FinishedSpan(.publish, "orders.eu", context: context, start: start, end: tracer.clock.now(), notes: [.priority(.high)]))
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct `The exporter` {
    @Test func `sends what was recorded`() async throws {
        try await withExporter { rig in
            rig.publish(3)
            await rig.sink.received(spans: 3)
            let summary = rig.sink.summary
            #expect(summary.requests == 1 && summary.nodes == ["a": 3] && summary.services == ["llmgine": 3])
            #expect(summary.operations == ["publish": 3] && summary.traces == 3 && summary.tracesAcrossNodes == 0)
            let span = try #require(rig.sink.recentSpans.first)
            #expect(span.name == "publish orders.eu" && span.attributes.contains(OTLP.Attribute("messaging.llmgine.priority", "high")))
        }
    }

    @Test func `sends a burst of 10,000 spans completely, with the defaults`() async throws {
        try await withExporter({ $0.scheduleDelay = OTLPConfiguration().scheduleDelay }) { rig in
            rig.publish(10_000)
            rig.exporter.flush()
            await rig.sink.received(spans: 10_000)
            #expect(rig.observability.tracer.recorder.counts.dropped == 0)
            #expect(rig.sink.summary.spans == 10_000 && rig.sink.summary.traces == 10_000)
            #expect(rig.sink.summary.requests >= 20)
        }
    }

    @Test func `compresses if it is told to`() async throws {
        try await withExporter({ $0.traces.usesGzip = true }) { rig in
            rig.publish(700)
            await rig.sink.received(spans: 700)
            #expect(rig.sink.summary.refused == 0)
        }
    }

    @Test func `tries again after 503 until it is taken`() async throws {
        try await withExporter(faults: [.answer(503), .answer(503), .answer(429), .answer(502), .answer(504)]) { rig in
            rig.publish(5)
            await rig.sink.received(spans: 5)
            #expect(rig.sink.summary.refused == 5 && rig.sink.summary.spans == 5)
            await rig.settled { $0.delivered == 5 }
        }
    }

    @Test func `waits as long as Retry-After says`() async throws {
        try await withExporter(faults: [.answer(503, retryAfter: "1")]) { rig in
            let began = ContinuousClock.now
            rig.publish(1)
            await rig.sink.received(spans: 1)
            #expect(ContinuousClock.now - began >= .seconds(1))
        }
    }

    @Test(arguments: [400, 404, 413, 500]) func `drops what is refused and does not try it again`(status: Int) async throws {
        try await withExporter(faults: [.answer(status)]) { rig in
            rig.publish(2)
            await rig.settled { $0.refused == 2 }
            rig.publish(3)
            await rig.sink.received(spans: 3)
            #expect(rig.sink.summary.spans == 3)
            let snapshot = rig.observability.metrics.snapshot()
            #expect(snapshot[.spansExported, [.init("error_type", "\(status)")]] == .integer(2))
        }
    }

    @Test func `counts what was rejected and does not try it again`() async throws {
        try await withExporter(faults: [.partialSuccess(rejected: 4, message: "too old")]) { rig in
            rig.publish(10)
            await rig.settled { $0.rejected == 4 }
            #expect(rig.counts.delivered == 6 && rig.sink.summary.requests == 1)
        }
    }

    @Test func `gives up an attempt that hangs and makes another`() async throws {
        try await withExporter(faults: [.hang], { $0.traces.timeout = .milliseconds(50) }) { rig in
            rig.publish(2)
            await rig.sink.received(spans: 2)
            #expect(rig.counts.abandoned == 0)
        }
    }

    @Test func `gives up a batch at its deadline, and goes on with the next`() async throws {
        let faults = [OTLPSink.Fault](repeating: .answer(503), count: 1_000)
        try await withExporter(
            faults: faults,
            {
                $0.exportTimeout = .milliseconds(200)
                $0.retryCap = .milliseconds(5)
            }
        ) { rig in
            rig.publish(3)
            await rig.settled { $0.abandoned == 3 }
            rig.sink.clearScript()
            rig.publish(2)
            await rig.settled { $0.delivered == 2 }
            #expect(rig.counts.abandoned == 3 && rig.observability.metrics.snapshot()[.spansExported, []] == .integer(2))
        }
    }

    @Test func `delivers when a receiver that was down comes up`() async throws {
        // A port that was free a moment ago: nobody listens on it until the second sink does.
        let port = try await freePort()
        var configuration = OTLPConfiguration(endpoint: "http://127.0.0.1:\(port)")
        configuration.scheduleDelay = .milliseconds(10)
        configuration.retryBase = .milliseconds(20)
        configuration.retryCap = .milliseconds(20)
        configuration.metrics.isEnabled = false
        let sink = OTLPSink(port: port, logger: silent)
        let rig = Rig(sink: sink, configuration: configuration)
        await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await rig.exporter.run() }
            rig.publish(4)
            await rig.exporter.progress.reached { $0.attempts > 0 }
            #expect(rig.counts.delivered == 0)
            group.addTask { try await sink.run() }
            await sink.received(spans: 4)
            #expect(rig.counts.abandoned == 0)
            group.cancelAll()
        }
    }

    @Test func `sends what is left when it stops`() async throws {
        try await withExporter({ $0.scheduleDelay = .seconds(60) }) { rig in
            rig.publish(1_300)
            rig.exporter.stop()
            await rig.sink.received(spans: 1_300)
        }
    }

    @Test func `stops within its limit when the receiver hangs, and counts what is lost`() async throws {
        let sink = OTLPSink(port: 0, logger: silent)
        sink.script([.hang])
        let stopped = try await withThrowingTaskGroup(of: Duration?.self) { group in
            group.addTask {
                try await sink.run()
                return nil
            }
            var configuration = OTLPConfiguration(endpoint: "http://127.0.0.1:\(try await sink.port())")
            configuration.flushLimit = .milliseconds(200)
            configuration.metrics.isEnabled = false
            let rig = Rig(sink: sink, configuration: configuration)
            group.addTask {
                let began = ContinuousClock.now
                try await rig.exporter.run()
                return ContinuousClock.now - began
            }
            rig.publish(700)
            rig.exporter.stop()
            let stopped = try await group.next() ?? nil
            let counts = rig.observability.tracer.recorder.counts
            #expect(counts.waiting == 0 && !rig.observability.tracer.isEnabled)
            let snapshot = rig.observability.metrics.snapshot()
            let lost = snapshot.families.first { $0.instrument.name == Instrument.spansExported.name }?.series ?? []
            #expect(lost.map(\.value).reduce(0) { if case .integer(let count) = $1 { $0 + count } else { $0 } } == 700)
            sink.release(forGood: true)
            group.cancelAll()
            return stopped
        }
        #expect(try #require(stopped) < .seconds(2))
    }

    @Test func `sends metrics, and a last time when it stops`() async throws {
        try await withExporter({ $0.metrics.isEnabled = true }) { rig in
            rig.observability.metrics.counter(.eventsPublished).increment(by: 5)
            rig.observability.metrics.histogram(.eventProcessingDuration).record(0.1)
            rig.exporter.stop()
            await rig.sink.received { $0.dataPoints >= 2 }
            #expect(Set(rig.sink.summary.metrics).isSuperset(of: ["llmgine.events.published", "llmgine.event.processing.duration"]))
        }
    }

    @Test func `shows a trace that crossed two nodes as one`() async throws {
        try await withExporter { rig in
            let other = Rig(sink: rig.sink, configuration: rig.exporter.configuration, node: "b")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await other.exporter.run() }
                rig.publish(2)
                let context = try #require(rig.observability.tracer.publishStarted(parent: nil, topic: "x"))
                rig.observability.tracer.record(FinishedSpan(.publish, "x", context: context, start: 1, end: 2))
                let child = other.observability.tracer.child(of: context)
                other.observability.tracer.record(
                    FinishedSpan(.process, "x", context: child, parent: context.span, parentIsRemote: true, start: 3, end: 4, link: context)
                )
                await rig.sink.received(spans: 4)
                let summary = rig.sink.summary
                #expect(summary.nodes == ["a": 3, "b": 1] && summary.traces == 3 && summary.tracesAcrossNodes == 1)
                group.cancelAll()
            }
        }
    }

    @Test func `does nothing when it is disabled`() async throws {
        var configuration = OTLPConfiguration(environment: ["OTEL_SDK_DISABLED": "true"])
        configuration.setTestEndpoint()
        let rig = Rig(sink: OTLPSink(port: 0, logger: silent), configuration: configuration)
        rig.publish(3)
        rig.exporter.stop()
        try await rig.exporter.run()
        #expect(rig.exporter.progress.report.attempts == 0 && rig.observability.tracer.recorder.count == 3)
    }

    @Test func `stops by a graceful shutdown of its service group`() async throws {
        try await withExporter { rig in
            let other = Rig(sink: rig.sink, configuration: rig.exporter.configuration, node: "b")
            let group = ServiceGroup(services: [other.exporter], logger: silent)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await group.run() }
                other.publish(3)
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
            }
            #expect(rig.sink.summary.nodes["b"] == 3)
        }
    }

    private func freePort() async throws -> Int {
        let sink = OTLPSink(port: 0, logger: silent)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await sink.run() }
            let port = try await sink.port()
            group.cancelAll()
            return port
        }
    }
}

extension OTLPConfiguration {
    fileprivate mutating func setTestEndpoint() { traces.endpoint = "http://127.0.0.1:1/v1/traces" }
}
