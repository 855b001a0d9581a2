/// Durations that one thread counts for itself, in the buckets of ``Instrument/durationBounds``, until it adds them to a histogram.
///
/// Recording touches nothing that is shared; the usual duration, up to 10 us, is two additions.
package struct DurationTally: Sendable {
    /// How many there are.
    package private(set) var count: UInt64 = 0
    private var longer: [UInt64] = []
    private var nanoseconds: UInt64 = 0

    private static let bounds = Instrument.durationBounds.map { UInt64($0 * 1e9) }
    private static let shortest: UInt64 = 10_000

    package init() {}

    /// Counts one.
    package mutating func record(_ duration: UInt64) {
        count &+= 1
        nanoseconds &+= duration
        if duration > Self.shortest { recordLonger(duration) }
    }

    @inline(never)
    private mutating func recordLonger(_ duration: UInt64) {
        if longer.isEmpty { longer = Array(repeating: 0, count: Self.bounds.count + 1) }
        longer[Self.bounds.firstIndex { duration <= $0 } ?? Self.bounds.count] += 1
    }

    /// The counts by bucket and their sum in seconds.
    var distribution: (counts: [UInt64], seconds: Double) {
        var counts = longer.isEmpty ? [0] : longer
        counts[0] = count &- counts.reduce(0, &+)
        return (counts, Double(nanoseconds) * 1e-9)
    }
}

extension MetricsRegistry.Histogram {
    /// Takes in what a thread has counted for itself. - Precondition: the instrument has the bounds ``Instrument/durationBounds``.
    package func add(_ tally: DurationTally) {
        guard tally.count > 0 else { return }
        let (counts, seconds) = tally.distribution
        add(counts, sum: seconds)
    }
}
