/// The metrics of a node in three tables, for programs and people that want numbers and no series: what `get_metrics()` was.
///
/// Keys are Prometheus names without the `llmgine_` in front: `events_published_total`, `event_processing_duration_seconds`, `queue_size`. An instrument
/// with labels is there once for each series, as `events_processed_total{handler="orders"}`, and once under its bare name for all of them:
/// counters, histograms and `queue_size` added up, of other gauges the highest.
///
/// | here | OpenTelemetry |
/// |---|---|
/// | `events_published_total` | `llmgine.events.published` |
/// | `events_processed_total`, `events_failed_total` | `llmgine.events.processed`, `llmgine.events.failed`, by handler |
/// | `commands_sent_total`, `commands_processed_total`, `commands_failed_total` | `llmgine.commands.sent`, `.processed`, `.failed`, by command |
/// | `event_processing_duration_seconds` | `llmgine.event.processing.duration`, by handler |
/// | `command_processing_duration_seconds` | `llmgine.command.processing.duration`, by command |
/// | (not in the summary) | `llmgine.journal.events.open`, `.waiting`, `.size`, `.segments`, `.failed`, `.sync.duration`, of a bus with a journal |
/// | `queue_size` | `llmgine.queue.size`, by handler |
/// | `queue_dropped_total`, `queue_rejected_total`, `queue_high_water_hits_total` | `llmgine.queue.dropped`, `.rejected`, `.high_water_hits`, by handler |
/// | `backpressure_active` | `llmgine.backpressure.active`, of the node and by handler |
/// | `circuit_breaker_state` | `llmgine.circuit_breaker.state`, by handler or command: 0 closed, 1 open, 2 half open |
/// | `dead_letter_queue_size` | `llmgine.dead_letter_queue.size` |
/// | `active_sessions` | `llmgine.active_sessions` |
/// | `registered_handlers` | `llmgine.registered_handlers` |
public struct MetricsSummary: Sendable, Hashable, Codable {
    /// Numbers that only grow.
    public let counters: [String: UInt64]
    /// Distributions.
    public let histograms: [String: Histogram]
    /// Numbers of this moment.
    public let gauges: [String: Double]

    /// What is known of a distribution. Quantiles are estimates, linear within a bucket.
    public struct Histogram: Sendable, Hashable, Codable {
        /// How many values there are.
        public let count: UInt64
        /// Their sum, in the unit of the instrument.
        public let sum: Double
        /// Half of them are below; nil if there are none.
        public let p50: Double?
        /// 95 of 100 are below.
        public let p95: Double?
        /// 99 of 100 are below.
        public let p99: Double?

        init(_ distribution: MetricsSnapshot.Distribution) {
            count = distribution.count
            sum = distribution.sum
            p50 = distribution.quantile(0.5)
            p95 = distribution.quantile(0.95)
            p99 = distribution.quantile(0.99)
        }
    }

    /// Sums a snapshot up.
    public init(_ snapshot: MetricsSnapshot) {
        var tables = Tables()
        for family in snapshot.families {
            let name = MetricsSummary.name(of: family.instrument)
            for series in family.series { tables.add(series.value, of: family.instrument, as: name + MetricsSummary.text(series.labels)) }
            guard family.series.contains(where: { !$0.labels.isEmpty }) else { continue }
            tables.add(family.series.map(\.value), of: family.instrument, as: name)
        }
        counters = tables.counters
        histograms = tables.histograms
        gauges = tables.gauges
    }

    private static func name(of instrument: Instrument) -> String {
        let name = PrometheusText.name(of: instrument)
        return name.hasPrefix("llmgine_") ? String(name.dropFirst("llmgine_".count)) : name
    }

    private static func text(_ labels: [MetricsRegistry.Label]) -> String {
        labels.isEmpty ? "" : "{\(labels.map { "\($0.name)=\"\($0.value)\"" }.joined(separator: ","))}"
    }

    private struct Tables {
        var counters: [String: UInt64] = [:]
        var histograms: [String: Histogram] = [:]
        var gauges: [String: Double] = [:]

        mutating func add(_ value: MetricsSnapshot.Value, of instrument: Instrument, as key: String) {
            switch value {
            case .integer(let count): counters[key] = count
            case .number(let number) where instrument.kind == .counter: counters[key] = UInt64(exactly: max(0, number).rounded()) ?? .max
            case .number(let number): gauges[key] = number
            case .distribution(let distribution): histograms[key] = Histogram(distribution)
            }
        }

        /// All series of an instrument as one.
        mutating func add(_ values: [MetricsSnapshot.Value], of instrument: Instrument, as key: String) {
            var count: UInt64 = 0
            var numbers: [Double] = []
            var distribution: MetricsSnapshot.Distribution?
            for value in values {
                switch value {
                case .integer(let integer): count &+= integer
                case .number(let number): numbers.append(number)
                case .distribution(let next): distribution = distribution.map { $0 + next } ?? next
                }
            }
            switch instrument.kind {
            case .counter: counters[key] = count &+ (UInt64(exactly: max(0, numbers.reduce(0, +)).rounded()) ?? .max)
            case .gauge: gauges[key] = instrument == .queueSize ? numbers.reduce(0, +) : numbers.max() ?? 0
            case .histogram: histograms[key] = distribution.map { Histogram($0) }
            }
        }
    }
}

extension MetricsSnapshot.Value {
    /// Two values of one instrument, and so of one kind, as one.
    static func + (one: MetricsSnapshot.Value, other: MetricsSnapshot.Value) -> MetricsSnapshot.Value {
        switch (one, other) {
        case (.integer(let first), .integer(let second)): .integer(first &+ second)
        case (.number(let first), .number(let second)): .number(first + second)
        case (.distribution(let first), .distribution(let second)): .distribution(first + second)
        case (.integer, _), (.number, _), (.distribution, _): one
        }
    }
}

extension MetricsSnapshot.Distribution {
    /// Two distributions over the same buckets as one.
    static func + (one: MetricsSnapshot.Distribution, other: MetricsSnapshot.Distribution) -> MetricsSnapshot.Distribution {
        MetricsSnapshot.Distribution(
            bounds: one.bounds, counts: zip(one.counts, other.counts).map { $0 &+ $1 }, sum: one.sum + other.sum)
    }
}
