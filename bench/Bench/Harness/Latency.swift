import Histogram
import NIOCore

/// Latencies in an HDR histogram, to three digits up to one minute.
struct Latency: Sendable {
    private var histogram = Histogram<UInt32>(highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)

    /// Takes one, in nanoseconds.
    mutating func record(_ nanoseconds: UInt64) { histogram.record(nanoseconds) }

    var count: UInt64 { histogram.totalCount }
    /// Microseconds below which so many percent lie.
    func microseconds(at percentile: Double) -> Double { Double(histogram.valueAtPercentile(percentile)) / 1000 }

    /// The fields of a `result` line.
    var fields: [String: String] {
        [
            "p50": "\(microseconds(at: 50))", "p99": "\(microseconds(at: 99))", "p99.9": "\(microseconds(at: 99.9))",
            "max": "\(Double(histogram.max) / 1000)", "count": "\(count)",
        ]
    }
}

/// Nanoseconds of the monotonic clock, the same for all processes of the machine.
func monotonic() -> UInt64 { NIODeadline.now().uptimeNanoseconds }
