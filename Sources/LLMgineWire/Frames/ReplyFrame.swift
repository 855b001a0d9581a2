package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// One message of the answer to a request. A stream is several, the last one marked.
package struct ReplyFrame: FrameBody {
    /// The request that it answers.
    package var request: UInt64
    /// Whether the answer is complete with it.
    package var isLast: Bool
    /// Exactly one message, whose topic may be left out (0). Its inside is not verified: ask ``index(highestIntern:maximumPayload:)``.
    package var message: ByteBuffer

    package init(request: UInt64, isLast: Bool, message: ByteBuffer) {
        self.request = request
        self.isLast = isLast
        self.message = message
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        self = try ReplyFrame(request: try reader.varint(), readingFields: &reader)
        message = reader.remainder()
        guard message.readableBytes >= MessageIndex.minimumMessage else { throw .truncated }
    }

    /// Everything but the number in front and the message at the end.
    init(request: UInt64, readingFields reader: inout BodyReader) throws(WireFault) {
        self.request = request
        let last = try reader.u8()
        guard last <= 1 else { throw .invalidValue }
        isLast = last == 1
        message = ByteBuffer()
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(request)
        writeFields(into: &buffer)
        buffer.writeImmutableBuffer(message)
    }

    func writeFields(into buffer: inout ByteBuffer) { buffer.writeInteger(isLast ? 1 : 0, as: UInt8.self) }

    /// Verifies the message, as ``DataFrame/index(highestIntern:maximumPayload:)`` does, but lets it have no topic.
    /// - Throws: `malformedFrame`, or `limitExceeded` for a payload or list that is too large.
    package func index(highestIntern: UInt32, maximumPayload: Int) throws(LLMgineError) -> MessageIndex {
        let rules = MessageRules(highestIntern: highestIntern, maximumPayload: maximumPayload, needsTopic: false)
        return try MessageIndex(of: message, count: 1, baseSequence: 0, rules: rules, frame: .reply)
    }
}
