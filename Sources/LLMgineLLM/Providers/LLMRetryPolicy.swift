/// Decides whether and when a call that failed before its first content is tried again.
///
/// The figures are those of the vendors' own clients: two retries, 0.5 s doubling to 8 s with up to a quarter taken off at random, and no obedience to a
/// vendor that asks for more than 120 s.
public struct LLMRetryPolicy: Sendable, Hashable {
    /// How many further attempts there may be.
    public var maximumRetries: Int
    /// The wait before the first of them, when the vendor names none.
    public var firstDelay: Duration
    /// The wait doubles up to this.
    public var maximumDelay: Duration
    /// A vendor that asks for a longer wait than this is not asked again.
    public var longestRetryAfter: Duration

    /// Creates a policy: 2 retries, 0.5 s to 8 s, 120 s unless given.
    public init(
        maximumRetries: Int = 2, firstDelay: Duration = .milliseconds(500), maximumDelay: Duration = .seconds(8),
        longestRetryAfter: Duration = .seconds(120)
    ) {
        self.maximumRetries = maximumRetries
        self.firstDelay = firstDelay
        self.maximumDelay = maximumDelay
        self.longestRetryAfter = longestRetryAfter
    }

    /// One attempt and no more.
    public static let none = LLMRetryPolicy(maximumRetries: 0)

    /// How long to wait before the next attempt, nil to give up.
    /// - Parameters:
    ///   - error: why the attempt failed.
    ///   - attempt: 0 for the first attempt.
    ///   - remaining: what is left of the call's time; a wait that would use it up is pointless.
    ///   - jitter: a random number from 0 up to 1.
    public func delay(after error: LLMError, attempt: Int, remaining: Duration?, jitter: Double) -> Duration? {
        guard error.retryable, attempt < maximumRetries else { return nil }
        let wait: Duration
        if let asked = error.retryAfter, asked > .zero {
            guard asked <= longestRetryAfter else { return nil }
            wait = asked
        } else {
            let doubled = (0..<min(attempt, 16)).reduce(firstDelay) { wait, _ in wait < maximumDelay ? wait * 2 : wait }
            wait = min(doubled, maximumDelay) * (1 - 0.25 * jitter)
        }
        if let remaining, wait >= remaining { return nil }
        return wait
    }
}
