package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// Messages of one publisher for one or more flows of the receiver: one copy, however many subscriptions it serves there.
package struct DataFrame: FrameBody {
    /// The class of all its messages.
    package var priority: Priority
    /// The flows that get them, 1 to 256.
    package var flows: [UInt32]
    /// What the messages' sequences count from: the publisher's own numbering.
    package var baseSequence: UInt64
    /// How many messages there are, at least one.
    package var count: UInt32
    /// The messages back to back, a slice of the read buffer. Their inside is not verified: ask ``index(highestIntern:maximumPayload:)``.
    package var messages: ByteBuffer

    package init(priority: Priority, flows: [UInt32], baseSequence: UInt64, count: UInt32, messages: ByteBuffer) {
        self.priority = priority
        self.flows = flows
        self.baseSequence = baseSequence
        self.count = count
        self.messages = messages
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        priority = try reader.priority()
        flows = try reader.flows()
        baseSequence = try reader.baseSequence()
        count = UInt32(try reader.count(maximum: Int(UInt32.max), bytesEach: MessageIndex.minimumMessage))
        guard count > 0 else { throw .wrongCount }
        messages = reader.remainder()
    }

    package func write(into buffer: inout ByteBuffer) {
        writeFields(into: &buffer)
        buffer.writeImmutableBuffer(messages)
    }

    private func writeFields(into buffer: inout ByteBuffer) {
        buffer.writeInteger(priority.rawValue)
        buffer.writeVarint(flows.count)
        for flow in flows { buffer.writeVarint(flow) }
        buffer.writeInteger(baseSequence)
        buffer.writeVarint(count)
    }

    /// Appends everything of a DATA frame but its messages, of which so many bytes must follow: so the messages go out from where they lie.
    package static func writeHeader(
        priority: Priority, flows: [UInt32], baseSequence: UInt64, count: UInt32, messagesLength: Int, into buffer: inout ByteBuffer
    ) {
        Frame.write(.data, followedBy: messagesLength, into: &buffer) { buffer in
            DataFrame(priority: priority, flows: flows, baseSequence: baseSequence, count: count, messages: ByteBuffer())
                .writeFields(into: &buffer)
        }
    }

    /// Verifies the messages in one pass and says where each lies.
    /// - Parameters:
    ///   - highestIntern: the highest number that the sender has interned so far.
    ///   - maximumPayload: the agreed limit of the link, in bytes.
    /// - Throws: `malformedFrame`, or `limitExceeded` for a payload or list that is too large.
    package func index(highestIntern: UInt32, maximumPayload: Int) throws(LLMgineError) -> MessageIndex {
        let rules = MessageRules(highestIntern: highestIntern, maximumPayload: maximumPayload)
        return try MessageIndex(of: messages, count: count, baseSequence: baseSequence, rules: rules, frame: .data)
    }
}
