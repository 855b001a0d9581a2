/// Unsigned LEB128: seven bits a byte, low bits first, at most ten bytes, and never longer than needed, so that a number has one form.
package enum Varint {
    /// The most bytes that a number takes.
    package static let maximumLength = 10

    /// How many bytes the number takes: `ceil(bits / 7)` without a division, exact for 1 to 64 bits.
    @inline(__always)
    package static func length(_ value: UInt64) -> Int {
        let bits = 64 - (value | 1).leadingZeroBitCount
        return (bits * 9 + 64) >> 6
    }

    /// Reads a number at `offset`, which moves past it.
    /// - Precondition: `0 <= offset <= end <= bytes.count`, which this keeps.
    @inline(__always)
    static func read(_ bytes: Span<UInt8>, at offset: inout Int, end: Int) throws(WireFault) -> UInt64 {
        guard offset < end else { throw .truncated }
        let first = bytes[offset]
        if first < 0x80 {
            offset &+= 1
            return UInt64(first)
        }
        if offset &+ 1 < end {  // most lengths and references that are not below 128 are below 16,384
            let second = bytes[offset &+ 1]
            if second < 0x80, second > 0 {
                offset &+= 2
                return UInt64(first & 0x7F) | UInt64(second) &<< 7
            }
        }
        return try readLong(bytes, at: &offset, end: end)
    }

    private static func readLong(_ bytes: Span<UInt8>, at offset: inout Int, end: Int) throws(WireFault) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while offset < end {
            let byte = bytes[offset]
            offset &+= 1
            if shift == 63, byte > 1 { throw .varintOverflow }  // the tenth byte has room for one bit
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 {
                if byte == 0 { throw .overlongVarint }  // never the first byte, which took the fast path
                return value
            }
            shift &+= 7
        }
        throw .truncated
    }

    /// Appends a number. - Precondition: there is room for it.
    @inline(__always)
    static func append(_ value: UInt64, to output: inout OutputRawSpan) {
        var rest = value
        while rest >= 0x80 {
            output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        output.append(UInt8(truncatingIfNeeded: rest))
    }
}
