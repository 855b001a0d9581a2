package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// Everything of a message but its payload, as it goes out on one link.
package struct MessageFields: Sendable, Hashable {
    /// The interned topic, 0 for none, which only a reply may have.
    package var topicRef: UInt32
    /// The interned name of the event type, 0 for none.
    package var typeRef: UInt32
    /// The message's sequence less the base sequence of its run.
    package var sequenceDelta: UInt32
    /// The span that published it, if it is traced.
    package var trace: TraceContext?
    /// Application headers.
    package var headers: Headers
    /// How long from publishing it is worth delivering; nil for ever.
    package var timeToLive: Duration?
    /// The session it belongs to.
    package var session: SessionID

    package init(
        topicRef: UInt32, typeRef: UInt32 = 0, sequenceDelta: UInt32 = 0, trace: TraceContext? = nil, headers: Headers = Headers(),
        timeToLive: Duration? = nil, session: SessionID = .bus
    ) {
        self.topicRef = topicRef
        self.typeRef = typeRef
        self.sequenceDelta = sequenceDelta
        self.trace = trace
        self.headers = headers
        self.timeToLive = timeToLive
        self.session = session
    }

    /// Holds what an application hands in to the limits of a link, so that the receiver never has a reason to close it.
    /// - Throws: `limitExceeded`, naming the limit.
    package static func check(
        headers: Headers, session: SessionID, payloadBytes: Int, limits: WireLimits
    ) throws(LLMgineError) {
        guard payloadBytes <= limits.maximumPayload else {
            throw LLMgineError(.limitExceeded, "a payload of \(payloadBytes) bytes, where at most \(limits.maximumPayload) are allowed")
        }
        guard session.name.utf8.count <= SessionID.maximumBytes else {
            throw LLMgineError(.limitExceeded, "a session name of more than \(SessionID.maximumBytes) bytes")
        }
        guard !headers.isEmpty else { return }
        guard headers.count <= Headers.maximumCount else {
            throw LLMgineError(.limitExceeded, "\(headers.count) headers, where at most \(Headers.maximumCount) are allowed")
        }
        var bytes = 0
        for (name, value) in headers.pairs {
            guard max(name.utf8.count, value.utf8.count) <= Headers.maximumBytes else {
                throw LLMgineError(.limitExceeded, "a header of more than \(Headers.maximumBytes) bytes")
            }
            bytes += name.utf8.count + value.utf8.count
        }
        guard bytes <= MessageFields.maximumHeaderBytes else {
            throw LLMgineError(
                .limitExceeded, "headers of \(bytes) bytes in all, where at most \(MessageFields.maximumHeaderBytes) are allowed")
        }
    }

    /// The most bytes of all header names and values: with the payload they must fit a frame. Both ends hold a message to it.
    package static let maximumHeaderBytes = 32 << 10
}

/// Appends messages to a run, each encoded once for a link.
package enum MessageWriter {
    /// Appends one message. The length is computed first, so room is made once and nothing is moved or written twice.
    /// - Precondition: the fields and the payload are within the limits (``MessageFields/check(headers:session:payloadBytes:limits:)``).
    package static func write(_ fields: MessageFields, payload: ByteBuffer, into run: inout ByteBuffer) {
        let flags = fields.flags
        let size = size(of: fields, flags, payloadBytes: payload.readableBytes)
        writeFields(fields, flags, rest: size.rest, total: size.total, into: &run)
        run.writeImmutableBuffer(payload)
    }

    /// What a message will take on a link, known before its numbers are.
    package struct Measure: Sendable {
        /// At least its bytes in a run, whatever its numbers are.
        package let bound: Int
        /// Whether it has nothing but a topic, a type and a payload, as most have.
        fileprivate let isPlain: Bool

        /// - Throws: `limitExceeded` for a message that no link with these limits may carry, naming the limit.
        package init(_ message: borrowing Message, limits: WireLimits) throws(LLMgineError) {
            let payloadBytes = message.payload.readableBytes
            let numbers = Varint.maximumLength + 1 + 3 * 5  // length, flags, topic, sequence, type
            isPlain = message.isPlain
            guard !isPlain || payloadBytes > limits.maximumPayload else {
                bound = numbers + payloadBytes
                return
            }
            try MessageFields.check(headers: message.headers, session: message.session, payloadBytes: payloadBytes, limits: limits)
            bound = numbers + length(of: MessageFields(message, topicRef: 0), payloadBytes: payloadBytes)
        }
    }

    /// Appends one message. A plain one is written from where it lies.
    package static func write(
        _ message: borrowing Message, _ measure: Measure, topicRef: UInt32, typeRef: UInt32, sequenceDelta: UInt32,
        into run: inout ByteBuffer
    ) {
        guard measure.isPlain else {
            let fields = MessageFields(message, topicRef: topicRef, typeRef: typeRef, sequenceDelta: sequenceDelta)
            return write(fields, payload: message.payload, into: &run)
        }
        var rest = 1 + Varint.length(UInt64(topicRef)) + Varint.length(UInt64(sequenceDelta)) + message.payload.readableBytes
        if typeRef != 0 { rest += Varint.length(UInt64(typeRef)) }
        run.writeWithOutputRawSpan(minimumWritableBytes: Varint.length(UInt64(rest)) + rest) { output in
            Varint.append(UInt64(rest), to: &output)
            output.append(typeRef == 0 ? 0 : MessageFlags.type.rawValue)
            Varint.append(UInt64(topicRef), to: &output)
            Varint.append(UInt64(sequenceDelta), to: &output)
            if typeRef != 0 { Varint.append(UInt64(typeRef), to: &output) }
            append(message.payload, to: &output)
        }
    }

    /// Appends one message whose payload is a part of a buffer.
    /// - Precondition: the range is readable in the buffer.
    package static func write(_ fields: MessageFields, payload range: Range<Int>, of buffer: ByteBuffer, into run: inout ByteBuffer) {
        guard let payload = buffer.getSlice(at: range.lowerBound, length: range.count) else {
            preconditionFailure("a payload at \(range) of a buffer with \(buffer.readableBytes) bytes")
        }
        write(fields, payload: payload, into: &run)
    }

    /// How many bytes the message will take in a run, its length field among them.
    package static func length(of fields: MessageFields, payloadBytes: Int) -> Int {
        size(of: fields, fields.flags, payloadBytes: payloadBytes).total
    }

    @inline(__always)
    private static func size(of fields: MessageFields, _ flags: MessageFlags, payloadBytes: Int) -> (rest: UInt64, total: Int) {
        var rest = 1 + Varint.length(UInt64(fields.topicRef)) + Varint.length(UInt64(fields.sequenceDelta)) + payloadBytes
        if flags.contains(.type) { rest += Varint.length(UInt64(fields.typeRef)) }
        if flags.contains(.trace) { rest += MessageFlags.traceBytes }
        if !flags.isDisjoint(with: .texts) { rest += fields.textBytes }
        return (UInt64(rest), Varint.length(UInt64(rest)) + rest)
    }

    @inline(__always)
    private static func writeFields(
        _ fields: MessageFields, _ flags: MessageFlags, rest: UInt64, total: Int, into run: inout ByteBuffer
    ) {
        run.writeWithOutputRawSpan(minimumWritableBytes: total) { output in
            Varint.append(rest, to: &output)
            output.append(flags.rawValue)
            Varint.append(UInt64(fields.topicRef), to: &output)
            Varint.append(UInt64(fields.sequenceDelta), to: &output)
            if flags.contains(.type) { Varint.append(UInt64(fields.typeRef), to: &output) }
            if let trace = fields.trace { append(trace, to: &output) }
        }
        if !flags.isDisjoint(with: .texts) { fields.writeTexts(into: &run) }
    }

    /// - Precondition: there is room for it.
    @inline(__always)
    private static func append(_ payload: ByteBuffer, to output: inout OutputRawSpan) {
        // The pointers stay inside the closures, and `copyMemory` traps where the rest of the output is too short. A third of the cost of
        // a second write to the buffer.
        unsafe payload.withUnsafeReadableBytes { source in
            unsafe output.withUnsafeMutableBytes { target, count in
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[count...]).copyMemory(from: source)
                count += source.count
            }
        }
    }

    private static func append(_ trace: TraceContext, to output: inout OutputRawSpan) {
        append(trace.traceHigh, to: &output)
        append(trace.traceLow, to: &output)
        append(trace.span, to: &output)
        output.append(trace.flags)
    }

    private static func append(_ word: UInt64, to output: inout OutputRawSpan) {
        for shift in stride(from: 56 as UInt64, through: 0, by: -8) { output.append(UInt8(truncatingIfNeeded: word &>> shift)) }
    }
}

extension MessageFields {
    fileprivate init(_ message: borrowing Message, topicRef: UInt32, typeRef: UInt32 = 0, sequenceDelta: UInt32 = 0) {
        self.init(
            topicRef: topicRef, typeRef: typeRef, sequenceDelta: sequenceDelta, trace: message.trace, headers: message.headers,
            timeToLive: message.timeToLive, session: message.session)
    }

    /// The session of everything is left out.
    var hasSession: Bool { session != .bus }

    var flags: MessageFlags {
        var flags: MessageFlags = []
        if typeRef != 0 { flags.insert(.type) }
        if trace != nil { flags.insert(.trace) }
        if !headers.isEmpty { flags.insert(.headers) }
        if timeToLive != nil { flags.insert(.timeToLive) }
        if hasSession { flags.insert(.session) }
        return flags
    }

    /// Bytes of headers, time to live and session.
    var textBytes: Int {
        var bytes = 0
        if !headers.isEmpty {
            bytes += Varint.length(UInt64(headers.count))
            for (name, value) in headers.pairs { bytes += MessageFields.bytes(name) + MessageFields.bytes(value) }
        }
        if let timeToLive { bytes += Varint.length(timeToLive.wireMilliseconds) }
        if hasSession { bytes += MessageFields.bytes(session.name) }
        return bytes
    }

    func writeTexts(into run: inout ByteBuffer) {
        if !headers.isEmpty {
            run.writeVarint(headers.count)
            for (name, value) in headers.pairs {
                run.writeText(name, maximum: .max)
                run.writeText(value, maximum: .max)
            }
        }
        if let timeToLive { run.writeMilliseconds(timeToLive) }
        if hasSession { run.writeText(session.name, maximum: .max) }
    }

    private static func bytes(_ text: String) -> Int {
        let count = text.utf8.count
        return Varint.length(UInt64(count)) + count
    }
}
