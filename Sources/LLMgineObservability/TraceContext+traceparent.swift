public import LLMgineCore

extension TraceContext {
    /// W3C trace flags, bit 0: the span is recorded.
    package static let sampledFlag: UInt8 = 1
    /// W3C trace flags, bit 1: the low 56 bits of the trace id are random.
    package static let randomFlag: UInt8 = 2
    package static let knownFlags: UInt8 = 3

    /// Reads a W3C `traceparent` header: `00-<32 hex>-<16 hex>-<2 hex>`.
    ///
    /// Strict, as the standard asks: hex digits are lower-case, ids are not all zero, version 00 has exactly 55 bytes. A higher version may go on after
    /// another `-` and is read as far as it is known. Returns nil for anything else; the header is then to be ignored.
    public init?(traceparent: String) {
        let bytes = traceparent.utf8.span
        guard bytes.count >= 55, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
            let version = bytes.hex(from: 0, digits: 2), version != 0xFF,
            let high = bytes.hex(from: 3, digits: 16), let low = bytes.hex(from: 19, digits: 16),
            let span = bytes.hex(from: 36, digits: 16), let flags = bytes.hex(from: 53, digits: 2)
        else { return nil }
        guard bytes.count == 55 || (version > 0 && bytes[55] == dash) else { return nil }
        self.init(traceHigh: high, traceLow: low, span: span, flags: UInt8(truncatingIfNeeded: flags) & Self.knownFlags)
        guard isValid else { return nil }
    }

    /// The context as a W3C `traceparent` header, version 00.
    public var traceparent: String {
        unsafe String(unsafeUninitializedCapacity: 55) { buffer in
            var at = 0
            func put(_ byte: UInt8) {
                unsafe buffer[at] = byte  // 55 bytes are put in all: 2 + 1 + 32 + 1 + 16 + 1 + 2
                at += 1
            }
            func put(_ value: UInt64, digits: Int) {
                for digit in stride(from: digits - 1, through: 0, by: -1) {
                    let nibble = UInt8(truncatingIfNeeded: value >> UInt64(4 * digit) & 0xF)
                    put(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10)
                }
            }
            put(0, digits: 2)
            put(dash)
            put(traceHigh, digits: 16)
            put(traceLow, digits: 16)
            put(dash)
            put(span, digits: 16)
            put(dash)
            put(UInt64(flags & Self.knownFlags), digits: 2)
            return at
        }
    }
}

private let dash = UInt8(ascii: "-")

extension Span<UInt8> {
    /// The value of that many lower-case hex digits, or nil if there is anything else among them.
    fileprivate func hex(from start: Int, digits: Int) -> UInt64? {
        var value: UInt64 = 0
        for index in start..<start + digits {
            let byte = self[index]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(byte - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value
    }
}
