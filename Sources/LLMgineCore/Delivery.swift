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
    /// The publisher's `await` is stretched so that it keeps to the pace of the subscription, before the queue is full: on this node to the pace
    /// of the handler, from another node to the rate at which credit is granted. A full queue makes it wait as `block` does, with the same
    /// deadline; nothing is lost within it.
    case adaptiveRateLimit(deadline: Duration)
    /// Events that have been superseded by a newer one of their key go first, so that the newest of each key is kept. The publisher never
    /// waits. The subscriber sees a gap, the receipt counts what went as evicted.
    ///
    /// On this node nothing goes while the queue has room. From another node it is the newest of each key that waits as soon as credit is
    /// used up, so a small capacity keeps what the handler sees fresh. If there are more keys than room, the oldest event goes.
    case conflate(by: ConflationKey)
    /// What finds no room goes to the disk of the node that publishes and is delivered from there in order; from the first such event until the last
    /// has come back, all go that way. `publish` returns when the event is written. When so many bytes lie there, or the disk takes no
    /// more, new events are refused and the receipt counts them, as for ``rejectNew``.
    ///
    /// The disk takes the place of memory and outlives no process: nothing is left on it when the node stops.
    case spill(maximumBytes: Int)

    /// `.block` with a deadline of 5 s: the default.
    public static var block: WhenFull { .block(deadline: .seconds(5)) }
    /// `.adaptiveRateLimit` with a deadline of 5 s.
    public static var adaptiveRateLimit: WhenFull { .adaptiveRateLimit(deadline: .seconds(5)) }
    /// `.spill` up to 256 MiB.
    public static var spill: WhenFull { .spill(maximumBytes: 256 << 20) }

    /// How long a publisher may be held back; nil for the policies that hold none.
    package var blockDeadline: Duration? {
        switch self {
        case .block(let deadline), .adaptiveRateLimit(let deadline): deadline
        case .dropOldest, .rejectNew, .conflate, .spill: nil
        }
    }

    /// The policy for a publisher that knows `block`, `dropOldest` and `rejectNew` only.
    package var fallback: WhenFull {
        switch self {
        case .block, .dropOldest, .rejectNew: self
        case .adaptiveRateLimit(let deadline): .block(deadline: deadline)
        case .conflate: .dropOldest
        case .spill: .block
        }
    }
}

/// What makes one event supersede another.
public enum ConflationKey: Sendable, Hashable {
    /// Both have the same topic.
    case topic
    /// Both have the same value under this name in their headers. An event without it supersedes none, and none supersedes it.
    case header(String)

    /// The key of an event; nil if it has none.
    package func value(topic: borrowing Topic, headers: Headers?) -> String? {
        switch self {
        case .topic: topic.text
        case .header(let name): headers?[name]
        }
    }

    /// - Throws: `invalidArgument` for a name that no header has.
    package func check() throws(LLMgineError) {
        guard case .header(let name) = self, !(1...Headers.maximumBytes ~= name.utf8.count) else { return }
        throw LLMgineError(.invalidArgument, "the name of a header has 1 to \(Headers.maximumBytes) bytes")
    }
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
    /// Subscriptions that refused it, and nodes to which no link may carry it because they take less than others.
    public var rejected: Int
    /// Of the subscriptions that have it queued, the ones that have it on the disk.
    public var spilled: Int
    /// How long the publisher was held back.
    public var waited: Duration
    /// The subscriptions whose deadline passed while the publisher waited.
    public var slow: [String]

    /// A receipt in which nothing has happened yet.
    public init(
        id: MessageID, matched: Int = 0, accepted: Int = 0, evicted: Int = 0, rejected: Int = 0, waited: Duration = .zero,
        slow: [String] = [], spilled: Int = 0
    ) {
        self.spilled = spilled
        self.id = id
        self.matched = matched
        self.accepted = accepted
        self.evicted = evicted
        self.rejected = rejected
        self.waited = waited
        self.slow = slow
    }
}
