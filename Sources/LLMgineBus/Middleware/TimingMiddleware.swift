import Synchronization

/// Measures how long handlers take, by type of command and event.
///
/// Its memory does not grow with the number of calls: a type has 160 counters, four to each doubling of the duration, so a percentile is at most
/// a quarter too high.
public final class TimingMiddleware: HandlerMiddleware {
    /// How many types are told apart. What comes after that is counted together as `other`.
    public static let maximumTypes = 1000

    /// How long the handlers of one type took.
    public struct Statistics: Sendable, Hashable {
        /// Calls, whether they failed or not.
        public var count: UInt64
        /// The mean of all.
        public var average: Duration
        /// The shortest.
        public var minimum: Duration
        /// The longest.
        public var maximum: Duration
        /// Half of all were not longer.
        public var p50: Duration
        /// 95 % of all were not longer.
        public var p95: Duration
        /// 99 % of all were not longer.
        public var p99: Duration
    }

    private let tallies = Mutex<[String: LatencyTally]>([:])

    /// Begins with nothing.
    public init() {}

    /// What was measured so far, by wire name of the type.
    public var statistics: [String: Statistics] { tallies.withLock { $0.mapValues(\.statistics) } }

    /// Forgets what was measured.
    public func reset() { tallies.withLock { $0 = [:] } }

    /// Measures a command.
    public func processCommand(_ call: CommandCall, next: @Sendable () async throws -> CommandValue) async throws -> CommandValue {
        let start = SystemClock.monotonicNanoseconds()
        defer { record(SystemClock.monotonicNanoseconds() &- start, call.commandType) }
        return try await next()
    }

    /// Measures an event.
    public func processEvent(_ call: EventCall, next: @Sendable () async throws -> Void) async throws {
        let start = SystemClock.monotonicNanoseconds()
        defer { record(SystemClock.monotonicNanoseconds() &- start, call.eventType ?? "bytes") }
        try await next()
    }

    package func record(_ nanoseconds: UInt64, _ type: String) {
        tallies.withLock { tallies in
            let known = tallies[type] != nil || tallies.count < TimingMiddleware.maximumTypes
            tallies[known ? type : "other", default: LatencyTally()].record(nanoseconds)
        }
    }
}

/// Durations in buckets whose bounds grow by a quarter of each doubling.
private struct LatencyTally {
    private var counts = [UInt64](repeating: 0, count: 160)
    private var count: UInt64 = 0
    private var sum: Double = 0
    private var minimum = UInt64.max
    private var maximum: UInt64 = 0

    mutating func record(_ nanoseconds: UInt64) {
        counts[LatencyTally.bucket(of: nanoseconds)] += 1
        count += 1
        sum += Double(nanoseconds)
        minimum = min(minimum, nanoseconds)
        maximum = max(maximum, nanoseconds)
    }

    var statistics: TimingMiddleware.Statistics {
        .init(
            count: count, average: .seconds(1) * (sum / Double(max(1, count)) * 1e-9), minimum: .nanoseconds(Int64(clamping: minimum)),
            maximum: .nanoseconds(Int64(clamping: maximum)), p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99))
    }

    /// The upper bound of the bucket that the share ends in, and never more than the longest.
    private func quantile(_ share: Double) -> Duration {
        var rest = max(1, UInt64((share * Double(count)).rounded(.up)))
        for (index, count) in counts.enumerated() {
            guard rest > count else { return .nanoseconds(Int64(clamping: min(LatencyTally.upperBound(of: index), maximum))) }
            rest -= count
        }
        return .nanoseconds(Int64(clamping: maximum))
    }

    /// Below 4 ns a bucket each; above, the position of the highest bit and the two bits after it. The last takes what is above 18 minutes.
    private static func bucket(of nanoseconds: UInt64) -> Int {
        guard nanoseconds >= 4 else { return Int(nanoseconds) }
        let exponent = 63 - nanoseconds.leadingZeroBitCount
        let quarter = Int(nanoseconds >> UInt64(exponent - 2) & 3)
        return min((exponent - 1) * 4 + quarter, 159)
    }

    private static func upperBound(of bucket: Int) -> UInt64 {
        guard bucket >= 4 else { return UInt64(bucket) }
        guard bucket < 159 else { return .max }
        let exponent = bucket / 4 + 1
        let quarter = UInt64(bucket % 4)
        return (5 + quarter) << UInt64(exponent - 2) - 1
    }
}
