/// Lets through `rate` things a second on average and `burst` at once.
package struct TokenBucket: Sendable {
    /// Tokens a second.
    package let rate: Double
    /// The most tokens that wait to be used.
    package let burst: Double
    private var tokens: Double
    private var filled: Duration

    /// A full bucket. Rates and bursts that are no positive numbers count as 0, which lets nothing through.
    package init(rate: Double, burst: Double, at now: Duration) {
        self.rate = rate.isFinite ? max(0, rate) : 0
        self.burst = burst.isFinite ? max(0, burst) : 0
        self.tokens = self.burst
        self.filled = now
    }

    /// Takes tokens if they are there. - Returns: whether they were.
    package mutating func take(_ count: Double = 1, at now: Duration) -> Bool {
        fill(at: now)
        guard tokens >= count else { return false }
        tokens -= count
        return true
    }

    /// How long until so many tokens are there; nil if they never will be.
    package mutating func wait(for count: Double = 1, at now: Duration) -> Duration? {
        fill(at: now)
        if tokens >= count { return .zero }
        guard rate > 0, count <= burst else { return nil }
        return .seconds(1) * ((count - tokens) / rate)
    }

    private mutating func fill(at now: Duration) {
        guard now > filled else { return }
        tokens = min(burst, tokens + (now - filled) / .seconds(1) * rate)
        filled = now
    }
}
