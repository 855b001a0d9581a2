package import LLMgineCore

/// What one read of a link brought for some subscriptions: messages that stay encoded until their handler runs.
///
/// The chunk is the unit that crosses from the link's thread to the handler's: one hand-over pays for all of its messages.
package protocol InboundChunk: AnyObject, Sendable {
    /// How many messages.
    var count: Int { get }
    /// The class that they travelled in.
    var priority: Priority { get }
    /// The node that published them.
    var node: NodeID { get }
    /// The life of that node.
    var incarnation: Incarnation { get }
    /// The message at an index below `count`.
    func message(at index: Int) -> InboundMessage
}

/// One message of a chunk.
package struct InboundMessage: Sendable {
    package var message: Message
    package var sequence: UInt64
    /// What the message counts against the byte credit of its flow.
    package var encodedBytes: Int

    package init(message: Message, sequence: UInt64, encodedBytes: Int) {
        self.message = message
        self.sequence = sequence
        self.encodedBytes = encodedBytes
    }
}

/// Takes back the credit of what a subscription has dealt with.
package protocol CreditReturn: AnyObject, Sendable {
    func consumed(messages: Int, bytes: Int)
}
