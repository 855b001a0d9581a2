/// Which optional fields a message has, in the order in which they stand.
package struct MessageFlags: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The interned name of the event type.
    package static let type = MessageFlags(rawValue: 1 << 0)
    /// The trace context, 25 bytes.
    package static let trace = MessageFlags(rawValue: 1 << 1)
    /// Application headers.
    package static let headers = MessageFlags(rawValue: 1 << 2)
    /// Time to live in milliseconds.
    package static let timeToLive = MessageFlags(rawValue: 1 << 3)
    /// The name of the session.
    package static let session = MessageFlags(rawValue: 1 << 4)

    /// Bits 5 to 7, which must be 0.
    static let reserved: UInt8 = 0b1110_0000
    /// The fields that only few messages have: all but the type.
    static let rare: MessageFlags = [.trace, .headers, .timeToLive, .session]
    /// The fields whose length takes work to know.
    static let texts: MessageFlags = [.headers, .timeToLive, .session]
    /// Three integers of 64 bits and a byte.
    static let traceBytes = 25
}
