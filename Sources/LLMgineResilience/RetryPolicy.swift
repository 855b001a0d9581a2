/// How often and how soon a failed call is tried again.
///
/// Negative numbers count as zero and a factor below 1 as 1, whether they were given to the initialiser or set later.
public struct RetryPolicy: Sendable, Hashable {
    /// Tries after the first one. Default 3, which makes four calls; 0 turns retrying off.
    public var maximumRetries: Int
    /// The delay before the first retry, before jitter. Default 0.1 s.
    public var initialDelay: Duration
    /// What the delay grows by from one retry to the next. Default 2.
    public var factor: Double
    /// The longest delay. Default 10 s.
    public var maximumDelay: Duration
    /// Whether the delay is drawn from zero up to its full length, which spreads out callers that failed together. Default true.
    public var hasJitter: Bool

    /// Creates a policy.
    public init(
        maximumRetries: Int = 3, initialDelay: Duration = .milliseconds(100), factor: Double = 2, maximumDelay: Duration = .seconds(10),
        hasJitter: Bool = true
    ) {
        self.maximumRetries = max(0, maximumRetries)
        self.initialDelay = max(.zero, initialDelay)
        self.factor = factor.isFinite ? max(1, factor) : 1
        self.maximumDelay = max(.zero, maximumDelay)
        self.hasJitter = hasJitter
    }

    /// One call and no more.
    public static let never = RetryPolicy(maximumRetries: 0)

    /// How long to wait after a failed attempt.
    /// - Parameters:
    ///   - attempt: 1 for the first call.
    ///   - random: from 0 up to 1.
    /// - Returns: nil if that was the last attempt.
    package func delay(afterAttempt attempt: Int, random: Double) -> Duration? {
        guard attempt >= 1, attempt <= maximumRetries else { return nil }
        return sound.soundDelay(afterAttempt: attempt, random: random)
    }

    /// The policy with every number in range, because the properties can be set to anything.
    private var sound: RetryPolicy {
        RetryPolicy(
            maximumRetries: maximumRetries, initialDelay: initialDelay, factor: factor, maximumDelay: maximumDelay, hasJitter: hasJitter)
    }

    private func soundDelay(afterAttempt attempt: Int, random: Double) -> Duration {
        guard initialDelay > .zero else { return .zero }
        var delay = initialDelay
        for _ in 1..<attempt where delay < maximumDelay {
            // Compared before it is multiplied: a large factor would overflow.
            delay = factor < maximumDelay / delay ? delay * factor : maximumDelay
        }
        delay = min(delay, maximumDelay)
        return hasJitter ? delay * min(max(0, random), 1) : delay
    }

    /// What to do after a failed attempt.
    /// - Parameters:
    ///   - attempt: 1 for the first call.
    ///   - random: from 0 up to 1.
    ///   - remaining: the time left until the deadline; nil without one.
    ///   - isRetryable: whether the error may go away by itself.
    package func decide(
        afterAttempt attempt: Int, error: any Error, random: Double, remaining: Duration? = nil,
        isRetryable: (any Error) -> Bool = RetryDecision.isRetryable
    ) -> RetryDecision {
        guard isRetryable(error) else { return .giveUp(.notRetryable) }
        guard let delay = delay(afterAttempt: attempt, random: random) else { return .giveUp(.exhausted) }
        if let remaining, delay >= remaining { return .giveUp(.pastDeadline) }
        return .retry(after: delay)
    }
}
