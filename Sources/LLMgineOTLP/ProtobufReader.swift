/// Reads protobuf fields from bytes that may hold anything.
///
/// Every length is checked against what is left before it is used, so nothing traps and nothing is allocated on the word of a length field.
package struct ProtobufReader {
    private let source: [UInt8]
    private var at: Int
    private let end: Int

    /// One field: its number with what it holds.
    package struct Field {
        package let number: UInt64
        package let content: Content
    }

    /// What a field holds, by wire type.
    package enum Content {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        case bytes(ProtobufReader)
    }

    package init(_ source: [UInt8]) {
        self.source = source
        self.at = 0
        self.end = source.count
    }

    private init(_ source: [UInt8], from: Int, to: Int) {
        self.source = source
        self.at = from
        self.end = to
    }

    /// How many bytes are left.
    package var count: Int { end - at }

    /// The next field, or nil at the end of the message.
    package mutating func next() throws(OTLP.Malformed) -> Field? {
        guard at < end else { return nil }
        let tag = try varint()
        let number = tag >> 3
        guard number > 0, number < 1 << 29 else { throw OTLP.Malformed("field number \(number)") }
        switch tag & 7 {
        case 0: return Field(number: number, content: .varint(try varint()))
        case 1: return Field(number: number, content: .fixed64(try fixed64()))
        case 2:
            let length = try varint()
            guard length <= UInt64(end - at) else { throw OTLP.Malformed("a field of \(length) bytes in \(end - at)") }
            let start = at
            at += Int(length)
            return Field(number: number, content: .bytes(ProtobufReader(source, from: start, to: at)))
        case 5:
            guard end - at >= 4 else { throw OTLP.Malformed("a cut fixed32") }
            return Field(number: number, content: .fixed32(UInt32(truncatingIfNeeded: little(4))))
        default: throw OTLP.Malformed("wire type \(tag & 7)")
        }
    }

    /// The bytes that are left.
    package func remaining() -> [UInt8] { [UInt8](source[at..<end]) }

    /// The bytes that are left, as text.
    package func text() throws(OTLP.Malformed) -> String {
        guard let text = String(validating: source[at..<end], as: UTF8.self) else { throw OTLP.Malformed("a string that is not UTF-8") }
        return text
    }

    /// The bytes that are left, as an id of exactly that many bytes; an empty field is 0.
    package func id(bytes: Int) throws(OTLP.Malformed) -> (high: UInt64, low: UInt64) {
        if count == 0 { return (0, 0) }
        guard count == bytes else { throw OTLP.Malformed("an id of \(count) bytes instead of \(bytes)") }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for byte in source[at..<end] {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(byte)
        }
        return (high, low)
    }

    /// The next element of a packed list of 8-byte numbers.
    package mutating func packed() throws(OTLP.Malformed) -> UInt64? { at < end ? try fixed64() : nil }

    private mutating func fixed64() throws(OTLP.Malformed) -> UInt64 {
        guard end - at >= 8 else { throw OTLP.Malformed("a cut fixed64") }
        return little(8)
    }

    private mutating func little(_ bytes: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<bytes { value |= UInt64(source[at + index]) << UInt64(8 * index) }
        at += bytes
        return value
    }

    private mutating func varint() throws(OTLP.Malformed) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while at < end {
            let byte = source[at]
            at += 1
            // The tenth byte holds one bit; smart shifts drop what is past it, as protobuf decoders do.
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
            guard shift < 70 else { throw OTLP.Malformed("a varint longer than 10 bytes") }
        }
        throw OTLP.Malformed("a cut varint")
    }
}
