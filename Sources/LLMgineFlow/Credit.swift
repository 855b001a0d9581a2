/// Room for messages and their payload bytes. Counts are absolute: since the start of the link.
package struct Credit: Sendable, Hashable {
    package var messages: UInt64
    package var bytes: UInt64

    package init(messages: UInt64, bytes: UInt64) {
        self.messages = messages
        self.bytes = bytes
    }

    package static let none = Credit(messages: 0, bytes: 0)

    /// How much more it is than another count, nothing where it is less.
    package func beyond(_ other: Credit) -> Credit {
        Credit(messages: messages - min(messages, other.messages), bytes: bytes - min(bytes, other.bytes))
    }
}
