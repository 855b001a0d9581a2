package import LLMgineCore

package import struct NIOCore.ByteBuffer

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
    /// What the messages have beside payload and number if they all have the same, and nothing of what few messages have; its own payload is
    /// empty. Nil if they differ.
    var common: Message? { get }
    /// Payload and number of the message at an index below `count`.
    func content(at index: Int) -> (payload: ByteBuffer, sequence: UInt64)
    /// The message at an index below `count`.
    func message(at index: Int) -> InboundMessage
}

/// One message of a chunk.
package struct InboundMessage: Sendable {
    package var message: Message
    package var sequence: UInt64
    /// What the message counts against the byte credit of its flow.
    package var encodedBytes: Int
    /// Whose it is, if the peer only passes it on.
    package var origin: MessageID?

    package init(message: Message, sequence: UInt64, encodedBytes: Int, origin: MessageID? = nil) {
        self.origin = origin
        self.message = message
        self.sequence = sequence
        self.encodedBytes = encodedBytes
    }
}

/// Takes back the credit of what a subscription has dealt with.
package protocol CreditReturn: AnyObject, Sendable {
    func consumed(messages: Int, bytes: Int)
}
