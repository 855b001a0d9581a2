public import LLMgineResilience

/// What the bus does about handlers that fail. Each part can be switched off on its own.
public struct BusResilience: Sendable {
    /// How a failed event is tried again, in its place in the order of the subscription; nil switches retrying off. Default three retries
    /// after up to 0.1 s, 0.2 s and 0.4 s.
    public var retry: RetryPolicy?
    /// When a subscription whose handler keeps failing pauses; nil switches breakers off. Default: five failures within a minute, then
    /// half a second of rest before each probe and three good probes to go on.
    ///
    /// A paused subscription keeps its queue, which fills up and then does what ``SubscriptionOptions/whenFull`` says. The event at hand is the
    /// probe, and a failed probe counts as one of its attempts: so an outage costs at most one dead letter in as many rests as an event
    /// has attempts, and one event that can never be handled does not hold up the others for longer.
    ///
    /// A command whose handler has failed that often is refused with `circuitOpen`. A handler that is at work when the deadline of a command of this
    /// node passes has failed; one whose caller gave up has not.
    public var circuitBreaker: BreakerPolicy?
    /// How many events that could not be handled are kept; 0 keeps none and only counts them. Default 1000. At capacity the oldest goes.
    public var deadLetterCapacity: Int
    /// Whether queues have the room that ``SubscriptionOptions/capacity`` says. Default true. Without bounds, ``SubscriptionOptions/whenFull`` never
    /// applies on this node, no publisher is held back, and a slow handler costs memory without end.
    public var hasBoundedQueues: Bool

    /// What a breaker of the bus does unless told otherwise: it rests for half a second, so that a handler that has recovered is called
    /// again well within a second.
    public static let defaultBreaker = BreakerPolicy(recovery: .milliseconds(500))

    /// Everything on, with the documented defaults.
    public init(
        retry: RetryPolicy? = RetryPolicy(), circuitBreaker: BreakerPolicy? = BusResilience.defaultBreaker, deadLetterCapacity: Int = 1000,
        hasBoundedQueues: Bool = true
    ) {
        self.retry = retry
        self.circuitBreaker = circuitBreaker
        self.deadLetterCapacity = max(0, deadLetterCapacity)
        self.hasBoundedQueues = hasBoundedQueues
    }

    /// Everything off but the bounds of queues: a failed event is counted and forgotten.
    public static let off = BusResilience(retry: nil, circuitBreaker: nil, deadLetterCapacity: 0)
}
