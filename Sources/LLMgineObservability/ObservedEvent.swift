public import LLMgineCore

/// What observers are told about an event of the bus: who, where, when, never the payload.
public struct ObservedEvent: Sendable, Hashable {
    /// The identity of the event, as `node/incarnation/sequence`, or any text that is unique.
    public var eventID: String
    /// The Swift type name of the event, or what happened: `HandlerFailed`, `SessionStarted`.
    public var eventType: String
    /// Nanoseconds since 1970.
    public var timestamp: UInt64
    /// The session it belongs to.
    public var session: SessionID
    /// Where it was published; nil for what has no topic.
    public var topic: Topic?
    /// Names and values from a closed set, in order. No payload, prompt or secret belongs here.
    public var metadata: [Entry]

    /// One name with its value.
    public struct Entry: Sendable, Hashable {
        /// The name.
        public var key: String
        /// The value.
        public var value: String

        /// Makes an entry.
        public init(_ key: String, _ value: String) {
            self.key = key
            self.value = value
        }
    }

    /// Describes an event.
    public init(
        eventID: String, eventType: String, timestamp: UInt64, session: SessionID = .bus, topic: Topic? = nil, metadata: [Entry] = []
    ) {
        self.eventID = eventID
        self.eventType = eventType
        self.timestamp = timestamp
        self.session = session
        self.topic = topic
        self.metadata = metadata
    }
}

extension ObservedEvent {
    /// The event as one line of JSON without a line break: the keys `event_id`, `timestamp` (ISO 8601, UTC, microseconds), `metadata`,
    /// `session_id`, `event_type`, and `topic` if there is one.
    package func appendJSON(to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "{\"event_id\":".utf8)
        bytes.append(json: eventID)
        bytes.append(contentsOf: ",\"timestamp\":\"".utf8)
        bytes.append(contentsOf: CalendarTime(timestamp).iso8601.utf8)
        bytes.append(contentsOf: "\",\"metadata\":{".utf8)
        for (index, entry) in metadata.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(json: entry.key)
            bytes.append(UInt8(ascii: ":"))
            bytes.append(json: entry.value)
        }
        bytes.append(contentsOf: "},\"session_id\":".utf8)
        bytes.append(json: session.name)
        bytes.append(contentsOf: ",\"event_type\":".utf8)
        bytes.append(json: eventType)
        if let topic {
            bytes.append(contentsOf: ",\"topic\":".utf8)
            bytes.append(json: topic.text)
        }
        bytes.append(UInt8(ascii: "}"))
    }
}

extension [UInt8] {
    /// Appends a text as a JSON string. Control characters are escaped; the rest is UTF-8 as it is.
    package mutating func append(json text: String) {
        append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                append(UInt8(ascii: "\\"))
                append(byte)
            case 0..<0x20:
                append(contentsOf: "\\u00".utf8)
                append(Self.digits[Int(byte >> 4)])
                append(Self.digits[Int(byte & 0xF)])
            default: append(byte)
            }
        }
        append(UInt8(ascii: "\""))
    }

    private static let digits = [UInt8]("0123456789abcdef".utf8)
}
