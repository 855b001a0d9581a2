/// FNV-1a, 64 bits: the same for the same content in every process and every build, which `Hasher` is not.
package struct StableHash: Sendable {
    package private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    package init() {}

    package mutating func combine(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }

    /// Adds a number, least significant byte first.
    package mutating func combine(_ number: UInt64) {
        for shift in stride(from: 0 as UInt64, to: 64, by: 8) { combine(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    /// Adds a text with its length before it, so that ("ab", "c") and ("a", "bc") differ.
    package mutating func combine(_ text: String) {
        let bytes = text.utf8.span
        combine(UInt64(bytes.count))
        for index in bytes.indices { combine(bytes[index]) }
    }
}
