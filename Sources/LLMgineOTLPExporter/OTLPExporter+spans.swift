import LLMgineOTLP
import LLMgineObservability
import NIOCore
import Synchronization

extension OTLPExporter {
    /// Does what the batcher says until it says stop, or until the task is cancelled.
    func exportSpans(through sender: OTLPSender) async {
        let recorder = observability.tracer.recorder
        var batcher = SpanBatcher(limits: configuration.limits, at: Self.now())
        var writer = ProtobufWriter(capacity: 256 * 1024)
        var spans: [FinishedSpan] = []
        var body = ByteBuffer()
        working: while !Task.isCancelled {
            heed(&batcher, queued: recorder.count)
            switch batcher.next(queued: recorder.count, at: Self.now()) {
            case .wait(let until): await spanBell.rung(within: max(until - Self.now(), .zero))
            case .export(let count, let timeout):
                recorder.drain(into: &spans, maximum: count)
                writer.removeAll()
                envelope.encode(into: &writer) { writer in
                    for span in spans { span.encode(asRecordIn: &writer) }
                }
                spans.removeAll(keepingCapacity: true)
                do {
                    body = try sender.body(writer)
                    await attempt(body, timeout: timeout, sender, &batcher)
                } catch {
                    settle(.refused(status: 400, message: "compression failed"), &batcher)
                }
            case .resend(let timeout): await attempt(body, timeout: timeout, sender, &batcher)
            case .stop: break working
            }
        }
        abandonRest(of: recorder)
    }

    private func attempt(_ body: ByteBuffer, timeout: Duration, _ sender: OTLPSender, _ batcher: inout SpanBatcher) async {
        let began = Self.now()
        let outcome = await sender.send(body, timeout: timeout, unixSeconds: Int64(observability.tracer.clock.now() / 1_000_000_000))
        observability.metrics.histogram(.exportDuration).record(Self.now() - began)
        // A stop that came during the attempt makes it the last.
        heed(&batcher, queued: observability.tracer.recorder.count)
        settle(outcome, &batcher)
    }

    private func settle(_ outcome: OTLP.Outcome, _ batcher: inout SpanBatcher) {
        let before = batcher.counts
        _ = batcher.answered(outcome, at: Self.now(), random: Double.random(in: 0..<1))
        let after = batcher.counts
        count(after.delivered - before.delivered, errorType: nil)
        let lost = after.rejected + after.refused + after.abandoned - before.rejected - before.refused - before.abandoned
        count(lost, errorType: outcome.errorType ?? "unknown")
        complaints.heard(outcome, signal: "traces")
        progress.attempted(counts: after)  // last: whoever waits for this finds the metrics up to date
    }

    private func heed(_ batcher: inout SpanBatcher, queued: Int) {
        let wish = control.withLock { control in
            defer { control.wantsFlush = false }
            return control
        }
        if wish.wantsFlush { batcher.flushRequested(queued: queued) }
        if wish.isStopping { batcher.stopRequested(at: Self.now(), within: configuration.flushLimit) }
    }

    private func count(_ spans: Int, errorType: String?) {
        guard spans > 0 else { return }
        let labels = errorType.map { [MetricsRegistry.Label("error_type", $0)] } ?? []
        observability.metrics.counter(.spansExported, labels: labels).increment(by: UInt64(spans))
    }

    /// What could not be sent before the end is lost, and counted.
    private func abandonRest(of recorder: SpanRecorder) {
        var rest: [FinishedSpan] = []
        recorder.drain(into: &rest, maximum: .max)
        count(rest.count, errorType: "shutdown")
        if !rest.isEmpty { complaints.abandoned(rest.count) }
    }

    static func now() -> Duration { epoch.duration(to: .now) }

    private static let epoch = ContinuousClock.now
}
