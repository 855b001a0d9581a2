package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// One message for one responder, with the room for its replies reserved beforehand, so that answering never waits for credit.
package struct RequestFrame: FrameBody {
    /// The request, unique in the direction of the link for as long as the link lives.
    package var request: UInt64
    /// The responder's flow, of which this takes one message of credit.
    package var flow: UInt32
    /// How long the requester will wait from now.
    package var deadline: Duration
    /// The reply messages that have room.
    package var replyMessages: UInt64
    /// The reply payload bytes that have room.
    package var replyBytes: UInt64
    /// Exactly one message. Its inside is not verified: ask ``index(highestIntern:maximumPayload:)``.
    package var message: ByteBuffer

    package init(
        request: UInt64, flow: UInt32, deadline: Duration, replyMessages: UInt64, replyBytes: UInt64, message: ByteBuffer
    ) {
        self.request = request
        self.flow = flow
        self.deadline = deadline
        self.replyMessages = replyMessages
        self.replyBytes = replyBytes
        self.message = message
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        self = try RequestFrame(request: try reader.varint(), readingFields: &reader)
        message = reader.remainder()
        guard message.readableBytes >= MessageIndex.minimumMessage else { throw .truncated }
    }

    /// Everything but the number in front and the message at the end.
    init(request: UInt64, readingFields reader: inout BodyReader) throws(WireFault) {
        self.request = request
        flow = try reader.varint32()
        deadline = try reader.milliseconds()
        replyMessages = try reader.varint()
        replyBytes = try reader.varint()
        message = ByteBuffer()
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(request)
        writeFields(into: &buffer)
        buffer.writeImmutableBuffer(message)
    }

    func writeFields(into buffer: inout ByteBuffer) {
        buffer.writeVarint(flow)
        buffer.writeMilliseconds(deadline)
        buffer.writeVarint(replyMessages)
        buffer.writeVarint(replyBytes)
    }

    /// Verifies the message, as ``DataFrame/index(highestIntern:maximumPayload:)`` does.
    /// - Throws: `malformedFrame`, or `limitExceeded` for a payload or list that is too large.
    package func index(highestIntern: UInt32, maximumPayload: Int) throws(LLMgineError) -> MessageIndex {
        let rules = MessageRules(highestIntern: highestIntern, maximumPayload: maximumPayload)
        return try MessageIndex(of: message, count: 1, baseSequence: 0, rules: rules, frame: .request)
    }
}
