public import LLMgineCore
public import LLMgineResilience

package import struct LLMgineBroker.LeafID

/// How a subscription wants to be served.
public struct SubscriptionOptions: Sendable {
    /// What the subscription is called in receipts, dead letters, metrics and logs. Default: its filter.
    public var name: String?
    /// Members of one group share the events: each goes to one member only, one that has room. Default: none, every event.
    public var group: String?
    /// How many events may wait, and what happens then. Default: 10,000, and the publisher waits up to 5 s.
    public var queue: BoundedEventQueue
    /// Handlers that may run at once. Default 1, which keeps the order; above 1 the order of completion is not kept.
    public var concurrency: Int
    /// Only events of this session; the default sees all sessions.
    public var session: SessionID
    /// Where the handler stands among the handlers of one event on this node. Default 50.
    public var handlerPriority: HandlerPriority
    /// Whether other nodes may send here. Default true.
    public var isRemote: Bool
    /// The leaf that the subscription stands for, whose own events it does not get.
    package var relaysFor: LeafID?

    /// Options with the documented defaults.
    public init(
        name: String? = nil, group: String? = nil, capacity: Int = 10_000, whenFull: WhenFull = .block, concurrency: Int = 1,
        session: SessionID = .bus, handlerPriority: HandlerPriority = .normal, isRemote: Bool = true
    ) {
        self.name = name
        self.group = group
        self.queue = BoundedEventQueue(capacity: capacity)
        self.queue.whenFull = whenFull
        self.concurrency = concurrency
        self.session = session
        self.handlerPriority = handlerPriority
        self.isRemote = isRemote
    }

    /// Options with a queue that has more to say than how long it is: water marks, another strategy, what becomes of what is dropped.
    public init(
        name: String? = nil, group: String? = nil, queue: BoundedEventQueue, concurrency: Int = 1, session: SessionID = .bus,
        handlerPriority: HandlerPriority = .normal, isRemote: Bool = true
    ) {
        self.init(
            name: name, group: group, concurrency: concurrency, session: session, handlerPriority: handlerPriority, isRemote: isRemote)
        self.queue = queue
    }

    /// Events that may wait, over all priority classes.
    public var capacity: Int {
        get { queue.capacity }
        set { queue.capacity = newValue }
    }

    /// What happens when they do, as other nodes know it.
    public var whenFull: WhenFull {
        get { queue.whenFull }
        set { queue.whenFull = newValue }
    }
}

/// The order in which the subscriptions of one node are offered an event; lower is earlier.
public struct HandlerPriority: RawRepresentable, Sendable, Hashable, Comparable {
    /// The number; lower is earlier.
    public let rawValue: Int
    /// Wraps a number.
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// 0
    public static let highest = HandlerPriority(rawValue: 0)
    /// 10
    public static let high = HandlerPriority(rawValue: 10)
    /// 50, the default
    public static let normal = HandlerPriority(rawValue: 50)
    /// 90
    public static let low = HandlerPriority(rawValue: 90)
    /// 100
    public static let lowest = HandlerPriority(rawValue: 100)
    /// Orders by number.
    public static func < (one: HandlerPriority, other: HandlerPriority) -> Bool { one.rawValue < other.rawValue }
}
