import LLMgineCore

import struct NIOCore.ByteBuffer

/// Reads the body of a frame field by field. For the frames that are few; messages are scanned by ``MessageIndex``.
struct BodyReader {
    private(set) var rest: ByteBuffer
    private let start: Int

    init(_ body: ByteBuffer) {
        self.rest = body
        self.start = body.readerIndex
    }

    /// How many bytes were read.
    var offset: Int { rest.readerIndex - start }

    mutating func u8() throws(WireFault) -> UInt8 {
        guard let value = rest.readInteger(as: UInt8.self) else { throw .truncated }
        return value
    }

    mutating func u32() throws(WireFault) -> UInt32 {
        guard let value = rest.readInteger(as: UInt32.self) else { throw .truncated }
        return value
    }

    mutating func u64() throws(WireFault) -> UInt64 {
        guard let value = rest.readInteger(as: UInt64.self) else { throw .truncated }
        return value
    }

    mutating func varint() throws(WireFault) -> UInt64 {
        var length = 0
        let value = try Varint.read(rest.readableBytesUInt8Span, at: &length, end: rest.readableBytes)
        rest.moveReaderIndex(forwardBy: length)
        return value
    }

    mutating func varint32() throws(WireFault) -> UInt32 {
        guard let value = UInt32(exactly: try varint()) else { throw .varintOverflow }
        return value
    }

    mutating func milliseconds() throws(WireFault) -> Duration {
        let value = try varint()
        guard value <= WireLimits.maximumMilliseconds else { throw .varintOverflow }
        return .milliseconds(value)
    }

    mutating func text(maximum: Int) throws(WireFault) -> String {
        let length = try varint()
        guard length <= UInt64(maximum) else { throw .textTooLong }
        guard length <= UInt64(rest.readableBytes) else { throw .truncated }
        let text = try Text.read(rest.readableBytesUInt8Span, from: 0, to: Int(length))
        rest.moveReaderIndex(forwardBy: Int(length))
        return text
    }

    /// The name of a cluster, zone or role.
    mutating func name() throws(WireFault) -> String {
        let text = try text(maximum: WireLimits.nameBytes)
        guard NodeID.isValid(text) else { throw .invalidName }
        return text
    }

    /// A name, or nothing.
    mutating func nameOrEmpty() throws(WireFault) -> String {
        let text = try text(maximum: WireLimits.nameBytes)
        guard text.isEmpty || NodeID.isValid(text) else { throw .invalidName }
        return text
    }

    mutating func node() throws(WireFault) -> NodeID {
        let text = try text(maximum: WireLimits.nameBytes)
        do throws(LLMgineError) { return try NodeID(text) } catch { throw .invalidName }
    }

    mutating func names(maximum: Int) throws(WireFault) -> [String] {
        var names: [String] = []
        for _ in 0..<(try count(maximum: maximum, bytesEach: 2)) { names.append(try name()) }
        return names
    }

    /// The length of a list. It is refused if its elements, at so many bytes or more each, cannot be in what is left: so a list never
    /// takes memory that its sender did not pay for in bytes.
    mutating func count(maximum: Int, bytesEach: Int) throws(WireFault) -> Int {
        let count = try varint()
        guard count <= UInt64(maximum) else { throw .tooMany }
        guard count <= UInt64(rest.readableBytes / bytesEach) else { throw .truncated }
        return Int(count)
    }

    /// Everything up to the end of the body, as a slice of the read buffer.
    mutating func remainder() -> ByteBuffer {
        let slice = rest.slice()
        rest.moveReaderIndex(to: rest.writerIndex)
        return slice
    }

    func end() throws(WireFault) {
        guard rest.readableBytes == 0 else { throw .trailingBytes }
    }
}

/// Texts inside byte spans.
enum Text {
    /// The text between two offsets. - Precondition: `0 <= start <= end <= bytes.count`.
    static func read(_ bytes: Span<UInt8>, from start: Int, to end: Int) throws(WireFault) -> String {
        do throws(UTF8.ValidationError) {
            return String(copying: try UTF8Span(validating: bytes.extracting(start..<end)))
        } catch { throw .invalidText }
    }

    /// Whether the bytes between two offsets are UTF-8, without taking memory. - Precondition: as `read`.
    static func isValid(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Bool {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.extracting(start..<end))
            return true
        } catch { return false }
    }
}
