/// When an address is dialled next: at once, then after 50 ms, doubling, for as long as it is wanted.
///
/// The delay grows up to 5 s where nobody has been linked lately, and up to 0.8 s for ten minutes after a link broke: who was there will most likely be
/// back, and a link that is restored is to be in use within a second. So that it costs a node little when many are gone at once, that limit is 5 ms
/// for each address that is being dialled, if that is more: with up to 160 of them a node dials each at least every 0.8 s, with 1,000 or more every
/// 5 s. Whatever their number up to 1,000, those linked lately cost at most 400 dials a second, 270 on average.
package struct DialSchedule: Sendable, Hashable {
    package static let firstDelay = Duration.milliseconds(50)
    package static let longestDelay = Duration.seconds(5)
    /// The longest delay while a link has been there lately. A link that lasts less says nothing.
    package static let longestDelayAfterLink = Duration.milliseconds(800)
    /// How long after the end of a link that counts.
    package static let memory = Duration.seconds(600)
    /// What each address that is being dialled adds to the longest delay after a link.
    package static let share = Duration.milliseconds(5)

    /// Dials that failed in a row.
    package private(set) var failures = 0
    /// When the next dial is due; nil while one is under way.
    package private(set) var due: Duration?
    /// When the last link that lasted a while broke.
    private var linked: Duration?

    package init(at now: Duration) { due = now }

    package func isDue(at now: Duration) -> Bool { due.map { now >= $0 } ?? false }

    package mutating func dialled() { due = nil }

    /// A dial failed.
    /// - Parameters:
    ///   - random: from 0 up to 1; the delay is between half and all of its length, so that nodes that lost each other together do not
    ///     meet again together.
    ///   - count: how many addresses this node dials at present.
    package mutating func failed(at now: Duration, random: Double, among count: Int = 1) {
        let doublings = min(failures, 10)
        let delay = min(DialSchedule.firstDelay * (1 << doublings), longestDelay(at: now, among: count))
        failures += failures < 1000 ? 1 : 0
        due = now + delay * (0.5 + min(max(0, random), 1) / 2)
    }

    /// A dial made a link. Only a link that lasts makes up for earlier failures: one that the peer closes at once must not be redialled at once.
    package mutating func connected(at now: Duration) { due = now }

    /// A link to the address broke after it had lasted so long.
    package mutating func broke(after lifetime: Duration, at now: Duration, random: Double, among count: Int = 1) {
        if lifetime >= DialSchedule.longestDelay { failures = 0 }
        if lifetime >= DialSchedule.longestDelayAfterLink { linked = now }
        failed(at: now, random: random, among: count)
    }

    private func longestDelay(at now: Duration, among count: Int) -> Duration {
        guard let linked, now - linked < DialSchedule.memory else { return DialSchedule.longestDelay }
        return min(max(DialSchedule.longestDelayAfterLink, DialSchedule.share * min(count, 1000)), DialSchedule.longestDelay)
    }
}
