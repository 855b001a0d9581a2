/// When to try again: after what the receiver asked for, else after a random part of a delay that doubles, and never past the deadline.
///
/// "Full jitter": uniform between zero and the delay, so that many nodes that lost one receiver do not come back together.
package struct RetrySchedule: Sendable, Hashable {
    package var base: Duration
    package var cap: Duration
    private let deadline: Duration
    private var failures = 0

    package init(deadline: Duration, base: Duration = .milliseconds(500), cap: Duration = .seconds(15)) {
        self.deadline = deadline
        self.base = base
        self.cap = cap
    }

    /// When to try again after a failure, or nil to give up. - Parameter random: at least 0 and below 1.
    package mutating func failed(retryAfter: Duration?, at now: Duration, random: Double) -> Duration? {
        var delay = base
        for _ in 0..<min(failures, 32) where delay < cap { delay = delay * 2 }
        failures += 1
        let due = now + (retryAfter ?? min(delay, cap) * random)
        return due < deadline ? due : nil
    }
}
