/// Sizes and times as people write them in a configuration file.
package enum Quantity {
    private static let sizes: [(unit: String, bytes: Int)] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)]
    private static let times: [(unit: String, milliseconds: Int)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]

    /// Bytes from `65536`, `64KiB`, `1MiB`; nil for anything else, and for what does not fit.
    static func size(_ text: String) -> Int? {
        for (unit, bytes) in sizes where text.hasSuffix(unit) { return product(text.dropLast(unit.count), bytes) }
        return product(text[...], 1)
    }

    /// The shortest way to write a number of bytes.
    static func size(_ bytes: Int) -> String {
        for (unit, size) in sizes where bytes >= size && bytes % size == 0 && size > 1 { return "\(bytes / size)\(unit)" }
        return "\(bytes)"
    }

    /// A time from `500ms`, `10s`, `2m`, `1h`; nil for anything else: a number without a unit is a guess.
    package static func duration(_ text: String) -> Duration? {
        for (unit, milliseconds) in times where text.hasSuffix(unit) {
            guard let total = product(text.dropLast(unit.count), milliseconds) else { continue }  // "5ms" ends in "s" too
            return .milliseconds(total)
        }
        return nil
    }

    /// The shortest way to write a time.
    package static func duration(_ duration: Duration) -> String {
        let milliseconds = Int(duration / .milliseconds(1))
        for (unit, size) in times.reversed() where milliseconds >= size && milliseconds % size == 0 {
            return "\(milliseconds / size)\(unit)"
        }
        return "\(milliseconds)ms"
    }

    private static func product(_ digits: Substring, _ factor: Int) -> Int? {
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let number = Int(digits)
        else {
            return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }
}
