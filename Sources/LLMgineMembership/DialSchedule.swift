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

    /// A dial failed.
    /// - Parameter random: from 0 up to 1; the delay is between half and all of its length, so that nodes that lost each other together do not
    ///   meet again together.
    package mutating func failed(at now: Duration, random: Double) {
        let doublings = min(failures, 10)
        let delay = min(DialSchedule.firstDelay * (1 << doublings), DialSchedule.longestDelay)
        failures += failures < 1000 ? 1 : 0
        due = now + delay * (0.5 + min(max(0, random), 1) / 2)
    }

    /// A dial made a link. Only a link that lasts makes up for earlier failures: one that the peer closes at once must not be redialled at once.
    package mutating func connected(at now: Duration) { due = now }

    /// A link to the address broke after it had lasted so long.
    package mutating func broke(after lifetime: Duration, at now: Duration, random: Double) {
        if lifetime >= DialSchedule.longestDelay { failures = 0 }
        failed(at: now, random: random)
    }
}
