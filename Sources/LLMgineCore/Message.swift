public import struct NIOCore.ByteBuffer

/// The class of an event in every queue it passes. Each class has its own room, so a backlog in a low one never delays a higher one.
public enum Priority: UInt8, Sendable, Hashable, CaseIterable, Comparable, Codable {
    /// Before everything else: control and replies of the application.
    case urgent = 0
    /// Ahead of the ordinary.
    case high = 1
    /// The default.
    case normal = 2
    /// After everything else.
    case low = 3

    /// Higher classes sort first.
    public static func < (one: Priority, other: Priority) -> Bool { one.rawValue < other.rawValue }
}

/// Names and values that travel beside a payload, in the order given. Names are compared byte by byte.
public struct Headers: Sendable, Hashable {
    /// The most entries that a message may carry over a link.
    public static let maximumCount = 64
    /// The most bytes of UTF-8 in one name or value on a link.
    public static let maximumBytes = 4096

    private var entries: [Entry] = []

    private struct Entry: Sendable, Hashable {
        let name: String
        let value: String
    }

    /// No headers.
    public init() {}

    /// The first value of the name. Setting it replaces every entry of the name; setting nil removes them.
    public subscript(name: String) -> String? {
        get { entries.first { $0.name == name }?.value }
        set {
            entries.removeAll { $0.name == name }
            if let newValue { entries.append(Entry(name: name, value: newValue)) }
        }
    }

    /// Adds an entry, keeping others of the same name.
    public mutating func add(_ name: String, _ value: String) { entries.append(Entry(name: name, value: value)) }

    /// How many entries there are.
    public var count: Int { entries.count }
    /// Whether there are none.
    public var isEmpty: Bool { entries.isEmpty }
    /// The entries as pairs, in order.
    public var pairs: [(name: String, value: String)] { entries.map { ($0.name, $0.value) } }
}

extension Headers: ExpressibleByDictionaryLiteral {
    /// Takes the entries of a literal, in order.
    public init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { add(name, value) }
    }
}

/// Which span a message belongs to: the W3C trace context in binary form.
public struct TraceContext: Sendable, Hashable {
    /// The upper 64 bits of the trace id, big-endian.
    public let traceHigh: UInt64
    /// The lower 64 bits of the trace id, big-endian.
    public let traceLow: UInt64
    /// The span that caused this.
    public let span: UInt64
    /// W3C trace flags: bit 0 sampled, bit 1 random.
    public let flags: UInt8

    /// Puts a context together.
    public init(traceHigh: UInt64, traceLow: UInt64, span: UInt64, flags: UInt8) {
        self.traceHigh = traceHigh
        self.traceLow = traceLow
        self.span = span
        self.flags = flags
    }

    /// Whether spans of this trace are recorded.
    public var isSampled: Bool { flags & 1 == 1 }
    /// W3C: an all-zero trace or span id is no context.
    public var isValid: Bool { (traceHigh | traceLow) != 0 && span != 0 }
}

/// What travels: a payload on a topic, with what the bus needs to know about it.
///
/// Typed events are encoded into one when a remote subscriber wants them; raw subscribers receive it as it is. What few messages have lies
/// in an object of its own, so that passing on a message without it counts three references and not five.
public struct Message: Sendable {
    /// Where it was published.
    public var topic: Topic
    /// The bytes. At most 1 MiB over a link unless configured otherwise.
    public var payload: ByteBuffer
    /// The class it travels in.
    public var priority: Priority
    /// The wire name of the event type that the payload encodes, nil for raw bytes.
    public var eventType: String?
    private var rare: Rare?
    /// The span that published it, if it is traced.
    public var trace: TraceContext?

    /// Session, headers and time to live.
    private final class Rare: Sendable {
        let session: SessionID
        let headers: Headers
        let timeToLive: Duration?

        init(_ session: SessionID, _ headers: Headers, _ timeToLive: Duration?) {
            self.session = session
            self.headers = headers
            self.timeToLive = timeToLive
        }
    }

    /// Nil where they say nothing.
    private static func rare(_ session: SessionID, _ headers: Headers, _ timeToLive: Duration?) -> Rare? {
        guard !headers.isEmpty || timeToLive != nil || session != .bus else { return nil }
        return Rare(session, headers, timeToLive)
    }

    /// Creates a message to publish.
    public init(
        topic: Topic, payload: ByteBuffer, eventType: String? = nil, priority: Priority = .normal, session: SessionID = .bus,
        headers: Headers = Headers(), trace: TraceContext? = nil, timeToLive: Duration? = nil
    ) {
        self.init(topic: topic, payload: payload, eventType: eventType, priority: priority)
        self.trace = trace
        rare = Message.rare(session, headers, timeToLive)
    }

    /// Creates a message with nothing but the usual.
    public init(topic: Topic, payload: ByteBuffer, eventType: String? = nil, priority: Priority = .normal) {
        self.topic = topic
        self.payload = payload
        self.eventType = eventType
        self.priority = priority
    }

    /// The session it belongs to.
    public var session: SessionID {
        get { rare?.session ?? .bus }
        set { rare = Message.rare(newValue, headers, timeToLive) }
    }

    /// Application headers; names starting with `llmgine-` are reserved and stripped at ingress.
    public var headers: Headers {
        get { rare?.headers ?? Headers() }
        set { rare = Message.rare(session, newValue, timeToLive) }
    }

    /// How long from publishing it is worth delivering; nil for ever.
    public var timeToLive: Duration? {
        get { rare?.timeToLive }
        set { rare = Message.rare(session, headers, newValue) }
    }

    /// Whether it has no session, headers, trace and time to live.
    package var isPlain: Bool { rare == nil && trace == nil }
}
