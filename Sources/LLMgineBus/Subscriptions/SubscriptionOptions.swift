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
    /// Handlers that may run at once. Default 1, which keeps the order; above 1 what is kept is what ``ordering`` says.
    public var concurrency: Int
    /// What is handled in order when several handlers may run at once. Default: nothing.
    public var ordering: HandlerOrdering
    /// How long one call of the handler may take. Then its task is cancelled, and the event has failed with `handlerFailed` whether the handler listens or
    /// not: it is tried again or goes to the dead letters, and the next event has its turn, beside a handler that does not listen. Default: for ever.
    ///
    /// A handler with a limit runs in a task of its own, which costs about a microsecond an event.
    public var handlerDeadline: Duration?
    /// Only events of this session; the default sees all sessions.
    public var session: SessionID
    /// Where the handler stands among the handlers of one event on this node. Default 50.
    public var handlerPriority: HandlerPriority
    /// Whether other nodes may send here. Default true.
    public var isRemote: Bool
    /// What is promised about events that come from other nodes. Default: at most once. A subscription that has its events at least once never
    /// lets one go to make room: its queue must make publishers wait or refuse what is new. With a ``name`` it is the same subscription after a
    /// restart, and gets what was not processed before.
    public var delivery: DeliveryMode
    /// The leaf that the subscription stands for, whose own events it does not get.
    package var relaysFor: LeafID?
    /// Whether the leaf may receive what is published on a topic; nil where this node's own rules decide.
    package var receives: (@Sendable (Topic) -> Bool)?

    /// Options with the documented defaults.
    public init(
        name: String? = nil, group: String? = nil, capacity: Int = 10_000, whenFull: WhenFull = .block, concurrency: Int = 1,
        session: SessionID = .bus, handlerPriority: HandlerPriority = .normal, isRemote: Bool = true,
        ordering: HandlerOrdering = .subscription, handlerDeadline: Duration? = nil, delivery: DeliveryMode = .atMostOnce
    ) {
        self.delivery = delivery
        self.name = name
        self.group = group
        self.queue = BoundedEventQueue(capacity: capacity)
        self.queue.whenFull = whenFull
        self.concurrency = concurrency
        self.session = session
        self.handlerPriority = handlerPriority
        self.isRemote = isRemote
        self.ordering = ordering
        self.handlerDeadline = handlerDeadline
    }

    /// Options with a queue that has more to say than how long it is: water marks, another strategy, what becomes of what is dropped.
    public init(
        name: String? = nil, group: String? = nil, queue: BoundedEventQueue, concurrency: Int = 1, session: SessionID = .bus,
        handlerPriority: HandlerPriority = .normal, isRemote: Bool = true, ordering: HandlerOrdering = .subscription,
        handlerDeadline: Duration? = nil, delivery: DeliveryMode = .atMostOnce
    ) {
        self.init(
            name: name, group: group, concurrency: concurrency, session: session, handlerPriority: handlerPriority, isRemote: isRemote,
            ordering: ordering, handlerDeadline: handlerDeadline, delivery: delivery)
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

/// What a subscription handles in order.
public enum HandlerOrdering: Sendable, Hashable {
    /// All events alike: one after another with a concurrency of 1; with more, they are begun in order and may overtake each other.
    case subscription
    /// The events of each session, one after another, by priority; events of different sessions run side by side, as many as
    /// ``SubscriptionOptions/concurrency`` allows. A slow session then delays others only when it fills half of the queue. Events without a
    /// session are one session.
    case session
}

/// The order in which the handlers of one node get an event; lower is earlier.
///
/// Where subscriptions of different priorities match, a handler begins with an event when all those of lower number are done with that event, well or badly,
/// retries included; those of one number run side by side. An event waits for its own handlers and for no other event. A handler that takes longer than
/// ``BusConfiguration/handlerPatience`` is not waited for any longer, until it has handled something (observed as `HandlerOvertook`). Each node keeps its own
/// order; members of a queue group stand outside of it, and so do events that come from another node with delivery at least once. Of what comes from another
/// node, the order holds while all handlers of the topic have room: one that has fallen behind by its whole window gets the events later, and the others do not
/// wait for it.
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
