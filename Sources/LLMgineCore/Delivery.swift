/// What happens to an event when a subscription has no room or no credit left for it.
public enum WhenFull: Sendable, Hashable {
    /// The publisher's `await` waits, up to the deadline: this is backpressure, and the only policy by which a subscriber slows a publisher.
    /// When the deadline passes, the receipt names the subscription and it is *demoted*: publishers no longer wait for it and the
    /// oldest go, with gap markers, until it has caught up.
    case block(deadline: Duration)
    /// The oldest queued event goes; the subscriber sees a gap, the receipt counts the eviction.
    case dropOldest
    /// The new event is refused; the receipt counts it.
    case rejectNew

    /// `.block` with a deadline of 5 s: the default.
    public static var block: WhenFull { .block(deadline: .seconds(5)) }
}

/// What became of one published event, counted over the subscriptions that it matched.
public struct PublishReceipt: Sendable, Hashable {
    /// The identity of the event.
    public var id: MessageID
    /// Subscriptions that matched, each remote node counting as one.
    public var matched: Int
    /// Of these, the ones that have it queued.
    public var accepted: Int
    /// Older events that had to go to make room.
    public var evicted: Int
    /// Subscriptions that refused it.
    public var rejected: Int
    /// How long the publisher was held back.
    public var waited: Duration
    /// The subscriptions whose deadline passed while the publisher waited.
    public var slow: [String]

    /// A receipt in which nothing has happened yet.
    public init(
        id: MessageID, matched: Int = 0, accepted: Int = 0, evicted: Int = 0, rejected: Int = 0, waited: Duration = .zero,
        slow: [String] = []
    ) {
        self.id = id
        self.matched = matched
        self.accepted = accepted
        self.evicted = evicted
        self.rejected = rejected
        self.waited = waited
        self.slow = slow
    }
}
