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
/// Typed events are encoded into one when a remote subscriber wants them; raw subscribers receive it as it is.
public struct Message: Sendable {
    /// Where it was published.
    public var topic: Topic
    /// The bytes. At most 1 MiB over a link unless configured otherwise.
    public var payload: ByteBuffer
    /// The wire name of the event type that the payload encodes, nil for raw bytes.
    public var eventType: String?
    /// The class it travels in.
    public var priority: Priority
    /// The session it belongs to.
    public var session: SessionID
    /// Application headers; names starting with `llmgine-` are reserved and stripped at ingress.
    public var headers: Headers
    /// The span that published it, if it is traced.
    public var trace: TraceContext?
    /// How long from publishing it is worth delivering; nil for ever.
    public var timeToLive: Duration?

    /// Creates a message to publish.
    public init(
        topic: Topic, payload: ByteBuffer, eventType: String? = nil, priority: Priority = .normal, session: SessionID = .bus,
        headers: Headers = Headers(), trace: TraceContext? = nil, timeToLive: Duration? = nil
    ) {
        self.topic = topic
        self.payload = payload
        self.eventType = eventType
        self.priority = priority
        self.session = session
        self.headers = headers
        self.trace = trace
        self.timeToLive = timeToLive
    }
}
