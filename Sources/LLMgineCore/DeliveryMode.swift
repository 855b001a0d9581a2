/// What a subscription is promised about events that are published on other nodes.
public enum DeliveryMode: Sendable, Hashable {
    /// An event is sent once. It is lost, and counted, if the link breaks or a node dies while it is under way. The default, and free.
    case atMostOnce
    /// The publisher's node keeps an event until the handler has processed it or given it up into the dead letters, and sends it again when the
    /// link was broken or the subscriber's node has restarted.
    case atLeastOnce(AtLeastOnce)

    /// At least once, with the documented defaults.
    public static var atLeastOnce: DeliveryMode { .atLeastOnce(AtLeastOnce()) }

    /// The particulars, if events are delivered at least once.
    public var atLeastOnceOptions: AtLeastOnce? {
        if case .atLeastOnce(let options) = self { options } else { nil }
    }
}

/// How events are delivered at least once.
public struct AtLeastOnce: Sendable, Hashable {
    /// How long publishers keep events for a subscriber that is away. After it they go to the dead letters of the publisher's node. Default 5 minutes.
    public var retention: Duration
    /// How often one event is given to the handler before it goes to the dead letters. Default: what the retry policy of the bus says.
    public var maximumAttempts: Int?
    /// For how many events of one publisher, counted from its latest, a repeated one is recognised. It takes a bit each. Default 1,048,576.
    public var deduplicationIDs: Int
    /// How long after its last event a publisher's events are recognised. Default 10 minutes.
    public var deduplicationAge: Duration

    /// Options with the documented defaults; counts below 1 count as 1, times below zero as zero.
    public init(
        retention: Duration = .seconds(300), maximumAttempts: Int? = nil, deduplicationIDs: Int = 1 << 20,
        deduplicationAge: Duration = .seconds(600)
    ) {
        self.retention = max(.zero, retention)
        self.maximumAttempts = maximumAttempts.map { max(1, $0) }
        self.deduplicationIDs = max(1, deduplicationIDs)
        self.deduplicationAge = max(.zero, deduplicationAge)
    }
}

/// What other nodes are told of a subscription that wants its events at least once.
package struct ReliableFlow: Sendable, Hashable {
    /// The name under which it will be made again after a restart; empty if it has none.
    package var name: String
    /// How long events are kept while it is away.
    package var retention: Duration

    package init(name: String, retention: Duration) {
        self.name = name
        self.retention = retention
    }
}
