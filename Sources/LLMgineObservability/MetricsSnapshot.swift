package import LLMgineOTLP

/// The metrics of a node at one moment.
public struct MetricsSnapshot: Sendable, Hashable {
    /// When counting began, in nanoseconds since 1970.
    public let startedAt: UInt64
    /// The moment, in nanoseconds since 1970.
    public let takenAt: UInt64
    /// The instruments, in the order in which they were first used.
    public let families: [Family]

    /// An instrument with its series.
    public struct Family: Sendable, Hashable {
        /// The instrument.
        public let instrument: Instrument
        /// Its series, in the order in which they were first used.
        public let series: [Series]
    }

    /// One series.
    public struct Series: Sendable, Hashable {
        /// What tells it apart, sorted by name.
        public let labels: [MetricsRegistry.Label]
        /// Its value.
        public let value: Value
    }

    /// The value of a series.
    public enum Value: Sendable, Hashable {
        /// Of a counter.
        case integer(UInt64)
        /// Of a gauge, or of anything that is observed.
        case number(Double)
        /// Of a histogram.
        case distribution(Distribution)
    }

    /// What a histogram holds.
    public struct Distribution: Sendable, Hashable {
        /// The upper bounds of the buckets, ascending.
        public let bounds: [Double]
        /// One more than there are bounds; not cumulative.
        public let counts: [UInt64]
        /// The sum of all values.
        public let sum: Double

        /// How many values there are.
        public var count: UInt64 { counts.reduce(0, &+) }

        /// An estimate of the value below which the share `quantile` of all values lies, linear within its bucket; nil if there are no values.
        public func quantile(_ quantile: Double) -> Double? {
            let count = count
            guard count > 0, let last = bounds.last else { return nil }
            let rank = quantile * Double(count)
            var below = 0.0
            for (index, inBucket) in counts.enumerated() where inBucket > 0 {
                let upTo = below + Double(inBucket)
                if upTo >= rank, index < bounds.count {
                    let low = index == 0 ? 0 : bounds[index - 1]
                    return low + (bounds[index] - low) * max(0, rank - below) / Double(inBucket)
                }
                below = upTo
            }
            return last
        }
    }

    /// The value of a series by its instrument and labels.
    public subscript(instrument: Instrument, labels: [MetricsRegistry.Label]) -> Value? {
        let key = labels.sorted { $0.name < $1.name }
        return families.first { $0.instrument.name == instrument.name }?.series.first { $0.labels == key }?.value
    }

    /// The snapshot as OTLP metrics, cumulative.
    package func otlp() -> [OTLP.Metric] {
        families.map { family in
            let instrument = family.instrument
            let data: OTLP.Metric.Data
            switch instrument.kind {
            case .counter: data = .sum(numbers(of: family), isMonotonic: true, temporality: .cumulative)
            case .gauge: data = .gauge(numbers(of: family))
            case .histogram: data = .histogram(distributions(of: family), temporality: .cumulative)
            }
            return OTLP.Metric(name: instrument.name, description: instrument.summary, unit: instrument.unit, data: data)
        }
    }

    private func numbers(of family: Family) -> [OTLP.NumberPoint] {
        family.series.map { series in
            let value: OTLP.NumberPoint.Number
            switch series.value {
            case .integer(let count): value = .int(Int64(clamping: count))
            case .number(let number): value = .double(number)
            case .distribution(let distribution): value = .double(distribution.sum)
            }
            return OTLP.NumberPoint(attributes: series.attributes, start: startedAt, time: takenAt, value: value)
        }
    }

    private func distributions(of family: Family) -> [OTLP.HistogramPoint] {
        family.series.compactMap { series in
            guard case .distribution(let distribution) = series.value else { return nil }
            return OTLP.HistogramPoint(
                attributes: series.attributes, start: startedAt, time: takenAt, count: distribution.count, sum: distribution.sum,
                bucketCounts: distribution.counts, bounds: distribution.bounds)
        }
    }
}

extension MetricsSnapshot.Series {
    /// Label names are Prometheus names; the few that the conventions spell with dots get them back.
    fileprivate var attributes: [OTLP.Attribute] {
        labels.map { OTLP.Attribute(Self.conventional[$0.name] ?? $0.name, $0.value) }
    }

    private static let conventional = [
        "error_type": "error.type", "otel_metric_overflow": "otel.metric.overflow", "gen_ai_operation_name": "gen_ai.operation.name",
        "gen_ai_provider_name": "gen_ai.provider.name", "gen_ai_request_model": "gen_ai.request.model",
        "gen_ai_response_model": "gen_ai.response.model", "gen_ai_token_type": "gen_ai.token.type",
    ]
}
