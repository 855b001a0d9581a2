import LLMgineOTLP
import LLMgineObservability
import NIOCore
import Synchronization

extension OTLPExporter {
    /// Exports a snapshot per interval, from start to start, and a last one when it is told to stop.
    func exportMetrics(through sender: OTLPSender) async {
        var writer = ProtobufWriter(capacity: 64 * 1024)
        var due = Self.now() + configuration.metricInterval
        while !Task.isCancelled {
            // A stop may have rung while the export before this one was resting.
            if !isStopping { await metricBell.rung(within: max(due - Self.now(), .zero)) }
            let isLast = isStopping
            due = Self.now() + configuration.metricInterval
            let metrics = observability.metrics.snapshot().otlp()
            if !metrics.isEmpty, !Task.isCancelled {
                writer.removeAll()
                envelope.encode(metrics, into: &writer)
                if let body = try? sender.body(writer) { await export(body, through: sender) }
            }
            if isLast { return }
        }
    }

    private var isStopping: Bool { control.withLock { $0.isStopping } }

    /// Tries until the metrics are taken, refused, or so old that the next snapshot replaces them: they are cumulative, so nothing is lost with one.
    private func export(_ body: ByteBuffer, through sender: OTLPSender) async {
        let deadline = Self.now() + min(configuration.metricTimeout, configuration.metricInterval)
        var retry = RetrySchedule(deadline: deadline, base: configuration.retryBase, cap: configuration.retryCap)
        while !Task.isCancelled {
            let timeout = max(min(configuration.metrics.timeout, deadline - Self.now()), .milliseconds(1))
            let outcome = await sender.send(body, timeout: timeout, unixSeconds: Int64(observability.tracer.clock.now() / 1_000_000_000))
            complaints.heard(outcome, signal: "metrics")
            guard case .unavailable(_, let retryAfter) = outcome, !isStopping,
                let again = retry.failed(retryAfter: retryAfter, at: Self.now(), random: Double.random(in: 0..<1))
            else { return }
            await metricBell.rung(within: again - Self.now())
        }
    }
}
