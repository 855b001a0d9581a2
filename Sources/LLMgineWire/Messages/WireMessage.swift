package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// One message as a link carries it: topics and types are still numbers of the link's intern table.
package struct WireMessage: Sendable, Hashable {
    /// The interned topic, 0 for none, which only a reply may have.
    package let topicRef: UInt32
    /// The interned name of the event type, 0 for none.
    package let typeRef: UInt32
    /// The publisher's number of the message.
    package let sequence: UInt64
    /// The span that published it, if it is traced.
    package let trace: TraceContext?
    /// Application headers.
    package let headers: Headers
    /// How long from publishing it is worth delivering; nil for ever.
    package let timeToLive: Duration?
    /// The session it belongs to.
    package let session: SessionID
    /// The bytes: a slice of the read buffer, which stays in memory for as long as the slice does.
    package let payload: ByteBuffer

    package init(
        topicRef: UInt32, typeRef: UInt32, sequence: UInt64, trace: TraceContext?, headers: Headers, timeToLive: Duration?,
        session: SessionID,
        payload: ByteBuffer
    ) {
        self.topicRef = topicRef
        self.typeRef = typeRef
        self.sequence = sequence
        self.trace = trace
        self.headers = headers
        self.timeToLive = timeToLive
        self.session = session
        self.payload = payload
    }
}

extension MessageIndex: RandomAccessCollection {
    package var startIndex: Int { 0 }
    package var endIndex: Int { entries.count }

    /// The message at a position, its texts and headers made now.
    package subscript(position: Int) -> WireMessage {
        let entry = entries[position]
        let fields = optionalFields(of: entry)
        return WireMessage(
            topicRef: entry.topicRef, typeRef: entry.typeRef, sequence: sequence(of: entry), trace: fields?.trace,
            headers: fields?.headers ?? Headers(), timeToLive: fields?.timeToLive, session: fields?.session ?? .bus,
            payload: payload(of: entry))
    }

    /// The publisher's number of a message of this index.
    package func sequence(of entry: Entry) -> UInt64 { baseSequence &+ UInt64(entry.sequenceDelta) }

    /// The payload of a message of this index, as a slice: no copy, one reference to the buffer.
    package func payload(of entry: Entry) -> ByteBuffer {
        messages.getSlice(at: messages.readerIndex + Int(entry.payloadOffset), length: entry.payloadLength) ?? ByteBuffer()
    }

    /// The trace of a message of this index, without making its other fields.
    package func trace(of entry: Entry) -> TraceContext? {
        guard entry.flags.contains(.trace) else { return nil }
        return optionalFields(of: entry, only: .trace)?.trace
    }

    /// nil for a message without such fields; verified when the index was made, so that reading cannot fail.
    private func optionalFields(of entry: Entry, only wanted: MessageFlags = .rare) -> OptionalFields? {
        let flags = entry.flags.intersection(wanted)
        guard !flags.isEmpty else { return nil }
        var offset = Int(entry.offset) + Int(entry.fields)
        return try? OptionalFields(flags, in: messages.readableBytesUInt8Span, at: &offset, end: Int(entry.end))
    }
}
