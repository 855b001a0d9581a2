/// An open loop that leaves the processors to others: every event has its own time and its latency counts from then, but between the events that
/// are due the publisher sleeps, up to a millisecond, and then publishes all that have come due.
///
/// So a latency holds the publisher's own wake-up, which an application that publishes now and then pays as well; for 10 us schedules there is
/// ``OpenLoop``.
struct PacedLoad: Sendable {
    let rate: Double
    let seconds: Double

    var count: Int { Int(rate * seconds) }

    /// Calls `publish` for each event with its number, from 1 on, and when it was due. - Returns: the seconds it took.
    func run(_ publish: (_ sequence: UInt64, _ due: UInt64) async throws -> Void) async throws -> Double {
        let start = monotonic()
        let interval = 1e9 / rate
        for index in 0..<count {
            let due = start + UInt64(Double(index) * interval)
            let now = monotonic()
            if due > now { try await Task.sleep(for: .nanoseconds(max(due - now, 1_000_000)), tolerance: .zero) }
            try await publish(UInt64(index + 1), due)
        }
        return Double(monotonic() - start) / 1e9
    }
}
