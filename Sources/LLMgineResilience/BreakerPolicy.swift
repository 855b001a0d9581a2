/// When a circuit breaker stops calling a failing handler, and when it tries again.
///
/// A number out of range counts as the nearest allowed one, whether it was given to the initialiser or set later.
public struct BreakerPolicy: Sendable, Hashable {
    /// So many failures within the window open the breaker. 1 to 1000, default 5.
    public var failureThreshold: Int
    /// How far back a failure counts. Default 60 s.
    public var window: Duration
    /// How long an open breaker refuses before it lets a probe through. Default 60 s; a handler that recovers fast may have far less.
    public var recovery: Duration
    /// So many successful probes in a row close the breaker. Default 3.
    public var successThreshold: Int
    /// Probes that may run at a time while the breaker is half open. Default 1.
    public var maximumProbes: Int

    /// Creates a policy; numbers out of range are moved to the nearest allowed one.
    public init(
        failureThreshold: Int = 5, window: Duration = .seconds(60), recovery: Duration = .seconds(60), successThreshold: Int = 3,
        maximumProbes: Int = 1
    ) {
        self.failureThreshold = min(max(1, failureThreshold), 1000)
        self.window = max(.zero, window)
        self.recovery = max(.zero, recovery)
        self.successThreshold = max(1, successThreshold)
        self.maximumProbes = max(1, maximumProbes)
    }

    /// The policy with every number in range, because the properties can be set to anything.
    var sound: BreakerPolicy {
        BreakerPolicy(
            failureThreshold: failureThreshold, window: window, recovery: recovery, successThreshold: successThreshold,
            maximumProbes: maximumProbes)
    }
}

/// What a circuit breaker does with calls.
public enum BreakerState: String, Sendable, Hashable, CaseIterable {
    /// Lets every call through. Opens when too many failed within the window.
    case closed
    /// Refuses every call. Half opens when the recovery time is over.
    case open
    /// Lets a few probes through. Closes when enough succeed, opens when one fails.
    case halfOpen
}
