/// When an address is dialled next: at once, then after 50 ms, doubling up to 5 s, for as long as it is wanted.
package struct DialSchedule: Sendable, Hashable {
    package static let firstDelay = Duration.milliseconds(50)
    package static let longestDelay = Duration.seconds(5)

    /// Dials that failed in a row.
    package private(set) var failures = 0
    /// When the next dial is due; nil while one is under way.
    package private(set) var due: Duration?

    package init(at now: Duration) { due = now }

    package func isDue(at now: Duration) -> Bool { due.map { now >= $0 } ?? false }

    package mutating func dialled() { due = nil }

    /// A dial failed, or a link that it had made broke.
    /// - Parameter random: from 0 up to 1; the delay is between half and all of its length, so that nodes that lost each other together do not
    ///   meet again together.
    package mutating func failed(at now: Duration, random: Double) {
        let doublings = min(failures, 10)
        let delay = min(DialSchedule.firstDelay * (1 << doublings), DialSchedule.longestDelay)
        failures += failures < 1000 ? 1 : 0
        due = now + delay * (0.5 + min(max(0, random), 1) / 2)
    }

    /// A dial made a link. The next failure starts from the beginning.
    package mutating func succeeded(at now: Duration) {
        failures = 0
        due = now
    }
}
