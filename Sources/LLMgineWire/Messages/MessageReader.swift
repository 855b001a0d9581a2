package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// Reads messages one after another, where an index of all of them is not worth making.
package struct MessageReader: Sendable {
    private let messages: ByteBuffer
    private let baseSequence: UInt64
    private let rules: MessageRules
    private var position = 0

    /// Starts before the first message.
    /// - Parameters:
    ///   - highestIntern: the highest number that the sender has interned so far.
    ///   - maximumPayload: the agreed limit of the link, in bytes.
    package init(_ messages: ByteBuffer, baseSequence: UInt64, highestIntern: UInt32, maximumPayload: Int) {
        self.messages = messages
        self.baseSequence = baseSequence
        self.rules = MessageRules(highestIntern: highestIntern, maximumPayload: maximumPayload, needsTopic: false)
    }

    /// The next message, nil after the last.
    /// - Throws: `malformedFrame` or `limitExceeded`; the reader stays where it is.
    package mutating func next() throws(LLMgineError) -> WireMessage? {
        guard position < messages.readableBytes else { return nil }
        do throws(WireFault) {
            let (message, end) = try message(at: position)
            position = end
            return message
        } catch {
            throw error.error(in: "a message", at: position)
        }
    }

    private func message(at start: Int) throws(WireFault) -> (WireMessage, end: Int) {
        let bytes = messages.readableBytesUInt8Span
        let entry = try MessageIndex.Entry(scanning: bytes, at: start, rules: rules)
        var offset = Int(entry.offset) + Int(entry.fields)
        let fields = try OptionalFields(entry.flags, in: bytes, at: &offset, end: Int(entry.end))
        let payload = messages.getSlice(at: messages.readerIndex + Int(entry.payloadOffset), length: entry.payloadLength)
        let message = WireMessage(
            topicRef: entry.topicRef, typeRef: entry.typeRef, sequence: baseSequence &+ UInt64(entry.sequenceDelta), trace: fields.trace,
            headers: fields.headers, timeToLive: fields.timeToLive, session: fields.session, payload: payload ?? ByteBuffer())
        return (message, Int(entry.end))
    }
}
