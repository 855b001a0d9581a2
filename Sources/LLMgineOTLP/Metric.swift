extension OTLP {
    /// One instrument with the current value of its series.
    package struct Metric: Sendable, Hashable {
        package var name: String
        package var description: String
        /// UCUM: `s`, `By`, `{event}`.
        package var unit: String
        package var data: Data

        package init(name: String, description: String = "", unit: String = "", data: Data) {
            self.name = name
            self.description = description
            self.unit = unit
            self.data = data
        }

        /// What kind of instrument it is, with its series.
        package enum Data: Sendable, Hashable {
            case gauge([NumberPoint])
            case sum([NumberPoint], isMonotonic: Bool, temporality: Temporality)
            case histogram([HistogramPoint], temporality: Temporality)
        }
    }

    /// Whether points count since the last export or since the start.
    package enum Temporality: UInt8, Sendable, Hashable {
        case delta = 1
        case cumulative = 2
    }

    /// The value of one series of a sum or gauge.
    package struct NumberPoint: Sendable, Hashable {
        package enum Number: Sendable, Hashable {
            case int(Int64)
            case double(Double)
        }

        package var attributes: [Attribute]
        /// When counting began; fixed for the life of a cumulative series.
        package var start: UInt64
        package var time: UInt64
        package var value: Number

        package init(attributes: [Attribute] = [], start: UInt64, time: UInt64, value: Number) {
            self.attributes = attributes
            self.start = start
            self.time = time
            self.value = value
        }
    }

    /// The distribution in one series of a histogram. N bounds make N + 1 counts; bucket i covers (bound[i-1], bound[i]].
    package struct HistogramPoint: Sendable, Hashable {
        package var attributes: [Attribute]
        package var start: UInt64
        package var time: UInt64
        package var count: UInt64
        /// Nil when negative values make a sum meaningless.
        package var sum: Double?
        /// Not cumulative.
        package var bucketCounts: [UInt64]
        /// Ascending and finite: ±Inf is never sent.
        package var bounds: [Double]

        package init(
            attributes: [Attribute] = [], start: UInt64, time: UInt64, count: UInt64, sum: Double?, bucketCounts: [UInt64], bounds: [Double]
        ) {
            self.attributes = attributes
            self.start = start
            self.time = time
            self.count = count
            self.sum = sum
            self.bucketCounts = bucketCounts
            self.bounds = bounds
        }
    }
}
