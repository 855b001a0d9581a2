public import LLMgineCore

public import struct FoundationEssentials.Date

/// An event that is published at its time, with its whole payload, whatever happens to the process in between if there is a store.
public struct ScheduledEvent: Sendable, Identifiable {
    /// Names a scheduled event, unique over the lives of a node.
    public struct ID: Sendable, Hashable, Codable, CustomStringConvertible {
        /// `node/incarnation/s<number>` for events of a bus.
        public let text: String
        /// Wraps a text.
        public init(_ text: String) { self.text = text }
        /// The text.
        public var description: String { text }
    }

    /// Its name: what to call it off by.
    public let id: ID
    /// When it is published, or as soon after as the process runs.
    public let due: Date
    /// What is published.
    public let message: Message

    /// Puts one together, as a store does.
    public init(id: ID, due: Date, message: Message) {
        self.id = id
        self.due = due
        self.message = message
    }
}
