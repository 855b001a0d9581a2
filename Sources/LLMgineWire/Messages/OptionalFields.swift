import LLMgineCore

/// The fields that only some messages have, between the fixed ones and the payload.
struct OptionalFields {
    private(set) var trace: TraceContext?
    private(set) var headers = Headers()
    private(set) var timeToLive: Duration?
    private(set) var session: SessionID = .bus

    /// Reads the fields that the flags name. `offset` moves past them.
    init(_ flags: MessageFlags, in bytes: Span<UInt8>, at offset: inout Int, end: Int) throws(WireFault) {
        if flags.contains(.trace) {
            guard end &- offset >= MessageFlags.traceBytes else { throw .truncated }
            trace = TraceContext(
                traceHigh: OptionalFields.u64(bytes, at: offset), traceLow: OptionalFields.u64(bytes, at: offset &+ 8),
                span: OptionalFields.u64(bytes, at: offset &+ 16), flags: bytes[offset &+ 24])
            offset &+= MessageFlags.traceBytes
        }
        if flags.contains(.headers) {
            var room = MessageFields.maximumHeaderBytes
            for _ in 0..<(try OptionalFields.headerCount(bytes, at: &offset, end: end)) {
                let name = try OptionalFields.text(bytes, at: &offset, end: end, maximum: Headers.maximumBytes)
                let value = try OptionalFields.text(bytes, at: &offset, end: end, maximum: Headers.maximumBytes)
                room &-= name.utf8.count &+ value.utf8.count
                guard room >= 0 else { throw .headersTooLong }
                headers.add(name, value)
            }
        }
        if flags.contains(.timeToLive) {
            timeToLive = .milliseconds(try OptionalFields.milliseconds(bytes, at: &offset, end: end))
        }
        if flags.contains(.session) {
            session = SessionID(try OptionalFields.text(bytes, at: &offset, end: end, maximum: SessionID.maximumBytes))
        }
    }

    /// Verifies the fields as `init` does, taking no memory.
    static func skip(_ flags: MessageFlags, in bytes: Span<UInt8>, at offset: inout Int, end: Int) throws(WireFault) {
        if flags.contains(.trace) {
            guard end &- offset >= MessageFlags.traceBytes else { throw .truncated }
            offset &+= MessageFlags.traceBytes
        }
        if flags.contains(.headers) {
            var room = MessageFields.maximumHeaderBytes
            for _ in 0..<(try headerCount(bytes, at: &offset, end: end) * 2) {
                room &-= try skipText(bytes, at: &offset, end: end, maximum: Headers.maximumBytes)
                guard room >= 0 else { throw .headersTooLong }
            }
        }
        if flags.contains(.timeToLive) { _ = try milliseconds(bytes, at: &offset, end: end) }
        if flags.contains(.session) { _ = try skipText(bytes, at: &offset, end: end, maximum: SessionID.maximumBytes) }
    }

    /// - Precondition: eight bytes are there.
    static func u64(_ bytes: Span<UInt8>, at offset: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in offset..<(offset &+ 8) { value = value &<< 8 | UInt64(bytes[index]) }
        return value
    }

    private static func headerCount(_ bytes: Span<UInt8>, at offset: inout Int, end: Int) throws(WireFault) -> Int {
        let count = try Varint.read(bytes, at: &offset, end: end)
        guard count <= UInt64(Headers.maximumCount) else { throw .tooMany }
        return Int(count)
    }

    private static func milliseconds(_ bytes: Span<UInt8>, at offset: inout Int, end: Int) throws(WireFault) -> UInt64 {
        let value = try Varint.read(bytes, at: &offset, end: end)
        guard value <= WireLimits.maximumMilliseconds else { throw .varintOverflow }
        return value
    }

    private static func text(_ bytes: Span<UInt8>, at offset: inout Int, end: Int, maximum: Int) throws(WireFault) -> String {
        let start = try textStart(bytes, at: &offset, end: end, maximum: maximum)
        return try Text.read(bytes, from: start, to: offset)
    }

    /// - Returns: the bytes of the text.
    private static func skipText(_ bytes: Span<UInt8>, at offset: inout Int, end: Int, maximum: Int) throws(WireFault) -> Int {
        let start = try textStart(bytes, at: &offset, end: end, maximum: maximum)
        guard Text.isValid(bytes, from: start, to: offset) else { throw .invalidText }
        return offset &- start
    }

    /// Where the text starts; `offset` moves to where it ends.
    private static func textStart(_ bytes: Span<UInt8>, at offset: inout Int, end: Int, maximum: Int) throws(WireFault) -> Int {
        let length = try Varint.read(bytes, at: &offset, end: end)
        guard length <= UInt64(maximum) else { throw .textTooLong }
        guard length <= UInt64(end &- offset) else { throw .truncated }
        let start = offset
        offset = start &+ Int(length)
        return start
    }
}
