import LLMgineBus
import LLMgineCore
import NIOCore

/// One record of a journal.
///
/// On the disk: u32 length of the body, u32 CRC-32 of the body, body. The body is u64 number, u8 kind, and what the kind says. Numbers are big-endian,
/// texts and lists have a u32 length. Records of one journal have ascending numbers without gaps.
struct JournalRecord: Sendable {
    enum Content: Sendable {
        /// An event that is open.
        case event(JournaledEvent)
        /// One obligation of the event with the number is settled.
        case settled(UInt64, obligation: String)
    }

    let number: UInt64
    let content: Content

    /// Bytes before the body.
    static let headerBytes = 8
    /// The shortest body: a settled record with an empty name.
    static let minimumBody = 8 + 1 + 8 + 4
    /// The longest body that is believed: the largest payload that a link carries, and room for what is around it.
    static let maximumBody = 20 << 20
    /// No journal gets so far: a number beyond makes no sense, and there is always a next one.
    static let maximumNumber: UInt64 = 1 << 62

    private enum Kind: UInt8 {
        case event = 1
        case settled = 2
    }

    // MARK: Writing

    func write(into buffer: inout ByteBuffer) {
        let start = buffer.writerIndex
        buffer.writeInteger(0 as UInt64)
        buffer.writeInteger(number)
        switch content {
        case .event(let event):
            buffer.writeInteger(Kind.event.rawValue)
            event.write(into: &buffer)
        case .settled(let number, let obligation):
            buffer.writeInteger(Kind.settled.rawValue)
            buffer.writeInteger(number)
            buffer.writeText(obligation)
        }
        let length = buffer.writerIndex - start - JournalRecord.headerBytes
        let body = start - buffer.readerIndex + JournalRecord.headerBytes
        let crc = CRC32.of(buffer.readableBytesUInt8Span.extracting(body..<body + length))
        buffer.setInteger(UInt32(truncatingIfNeeded: length), at: start)
        buffer.setInteger(crc, at: start + 4)
    }

    // MARK: Reading

    /// The record at the start of the buffer, which moves behind it. Nil, and the buffer as it was, if there is none that is sound.
    static func read(from buffer: inout ByteBuffer) -> JournalRecord? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self).map({ Int($0) }),
            (minimumBody...maximumBody).contains(length), buffer.readableBytes - headerBytes >= length,
            let crc = buffer.getInteger(at: buffer.readerIndex + 4, as: UInt32.self),
            var body = buffer.getSlice(at: buffer.readerIndex + headerBytes, length: length),
            CRC32.of(body.readableBytesUInt8Span) == crc, let record = JournalRecord(&body), body.readableBytes == 0
        else { return nil }
        buffer.moveReaderIndex(forwardBy: headerBytes + length)
        return record
    }

    private init?(_ body: inout ByteBuffer) {
        guard let number = body.readInteger(as: UInt64.self), let kind = body.readInteger(as: UInt8.self).flatMap(Kind.init(rawValue:))
        else { return nil }
        self.number = number
        switch kind {
        case .event:
            guard let event = JournaledEvent(&body) else { return nil }
            content = .event(event)
        case .settled:
            guard let event = body.readInteger(as: UInt64.self), let obligation = body.readText() else { return nil }
            content = .settled(event, obligation: obligation)
        }
    }

    init(_ number: UInt64, _ content: Content) {
        self.number = number
        self.content = content
    }
}

extension JournaledEvent {
    /// About what it takes on the disk, and never less.
    var journaledBytes: Int {
        let texts =
            obligations.reduce(0) { $0 + $1.utf8.count + 4 }
            + message.headers.pairs.reduce(0) { $0 + $1.0.utf8.count + $1.1.utf8.count + 8 }
        let names =
            message.topic.text.utf8.count + (message.eventType?.utf8.count ?? 0) + message.session.name.utf8.count + id.node.name.utf8.count
        return message.payload.readableBytes + texts + names + 128
    }

    fileprivate func write(into buffer: inout ByteBuffer) {
        buffer.writeText(id.node.name)
        buffer.writeInteger(id.incarnation.value)
        buffer.writeInteger(id.sequence)
        buffer.writeInteger(UInt32(truncatingIfNeeded: obligations.count))
        for obligation in obligations { buffer.writeText(obligation) }
        buffer.writeText(message.topic.text)
        buffer.writeInteger(message.priority.rawValue)
        buffer.writeText(message.eventType ?? "")
        buffer.writeText(message.session.name)
        buffer.writeInteger(message.timeToLive.map { UInt64(min(max(0, $0 / .milliseconds(1)), 1e12)) + 1 } ?? 0)
        if let trace = message.trace {
            buffer.writeInteger(1 as UInt8)
            for word in [trace.traceHigh, trace.traceLow, trace.span] { buffer.writeInteger(word) }
            buffer.writeInteger(trace.flags)
        } else {
            buffer.writeInteger(0 as UInt8)
        }
        buffer.writeInteger(UInt32(truncatingIfNeeded: message.headers.count))
        for (name, value) in message.headers.pairs {
            buffer.writeText(name)
            buffer.writeText(value)
        }
        buffer.writeInteger(UInt32(truncatingIfNeeded: message.payload.readableBytes))
        buffer.writeImmutableBuffer(message.payload)
    }

    fileprivate init?(_ body: inout ByteBuffer) {
        guard let node = body.readText().flatMap({ try? NodeID($0) }), let incarnation = body.readInteger(as: UInt64.self),
            let sequence = body.readInteger(as: UInt64.self), let obligations = body.readTexts(),
            let topic = body.readText().flatMap({ try? Topic($0) }),
            let priority = body.readInteger(as: UInt8.self).flatMap(Priority.init(rawValue:)),
            let eventType = body.readText(), let session = body.readText(), let life = body.readInteger(as: UInt64.self),
            let trace = body.readTrace(), let headers = body.readTexts(each: 2), headers.count % 2 == 0,
            let length = body.readInteger(as: UInt32.self), let payload = body.readSlice(length: Int(length))
        else { return nil }
        var known = Headers()
        for index in stride(from: 0, to: headers.count, by: 2) { known.add(headers[index], headers[index + 1]) }
        self.init(
            id: MessageID(node: node, incarnation: Incarnation(incarnation), sequence: sequence),
            message: Message(
                topic: topic, payload: payload, eventType: eventType.isEmpty ? nil : eventType, priority: priority,
                session: SessionID(session), headers: known, trace: trace.context,
                timeToLive: life == 0 ? nil : .milliseconds(Int64(clamping: min(life - 1, 1 << 42)))),
            obligations: obligations)
    }
}

/// A trace that may be absent, in a field that is there.
private struct TraceField {
    let context: TraceContext?
}

extension ByteBuffer {
    fileprivate mutating func writeText(_ text: String) {
        writeInteger(UInt32(truncatingIfNeeded: text.utf8.count))
        writeString(text)
    }

    fileprivate mutating func readText() -> String? {
        guard let length = readInteger(as: UInt32.self), let bytes = readSlice(length: Int(length)) else { return nil }
        return try? String(copying: UTF8Span(validating: bytes.readableBytesUInt8Span))
    }

    fileprivate mutating func readTexts(each: Int = 1) -> [String]? {
        // A text takes four bytes or more, so no list takes memory that its bytes do not pay for.
        guard let count = readInteger(as: UInt32.self), Int(count) * each <= readableBytes / 4 else { return nil }
        var texts: [String] = []
        for _ in 0..<Int(count) * each {
            guard let text = readText() else { return nil }
            texts.append(text)
        }
        return texts
    }

    fileprivate mutating func readTrace() -> TraceField? {
        switch readInteger(as: UInt8.self) {
        case 0: return TraceField(context: nil)
        case 1:
            guard let high = readInteger(as: UInt64.self), let low = readInteger(as: UInt64.self), let span = readInteger(as: UInt64.self),
                let flags = readInteger(as: UInt8.self)
            else { return nil }
            return TraceField(context: TraceContext(traceHigh: high, traceLow: low, span: span, flags: flags))
        default: return nil
        }
    }
}
