import LLMgineObservability

/// What one consumer counts between two pauses: settled when it pauses, after each chunk and ten times a second, so that an event costs
/// no atomic of its own and one reading of the clock, which ends its duration and begins the next one's.
struct DeliveryCounts {
    private(set) var processed: UInt64 = 0
    private(set) var durations = DurationTally()
    private var last: UInt64 = 0
    private var settled: UInt64 = 0
    /// Nanoseconds that the last handler call took.
    private(set) var lastLap: UInt64 = 0

    /// The consumer turns to its next event after something that was not a handler.
    mutating func resume() { last = SystemClock.monotonicNanoseconds() }

    /// A handler returned.
    mutating func succeeded() {
        processed &+= 1
        durations.record(lap())
    }

    /// A handler threw; its duration is that of a handler all the same.
    mutating func threw() { durations.record(lap()) }

    var isEmpty: Bool { durations.count == 0 }

    /// Whether it is time to hand over although there is more to do.
    var isOverdue: Bool { last &- settled > 100_000_000 }

    /// Hands over and starts again.
    mutating func take() -> (processed: UInt64, durations: DurationTally) {
        defer {
            processed = 0
            durations = DurationTally()
            settled = last
        }
        return (processed, durations)
    }

    private mutating func lap() -> UInt64 {
        let now = SystemClock.monotonicNanoseconds()
        lastLap = now &- last
        last = now
        return lastLap
    }
}
