import LLMgineCore

package import struct NIOCore.ByteBuffer

extension ByteBuffer {
    /// Appends a number as a varint.
    package mutating func writeVarint(_ value: UInt64) {
        writeWithOutputRawSpan(minimumWritableBytes: Varint.maximumLength) { output in Varint.append(value, to: &output) }
    }

    mutating func writeVarint(_ value: some BinaryInteger) { writeVarint(UInt64(clamping: value)) }

    /// Appends a time as whole milliseconds: a negative one as 0, a very long one as the longest there is.
    mutating func writeMilliseconds(_ duration: Duration) { writeVarint(duration.wireMilliseconds) }

    /// Appends a text with its length in bytes, cut at a character if it is longer than the limit.
    mutating func writeText(_ text: String, maximum: Int) {
        let fits = text.utf8.count <= maximum ? text : text.cut(toBytes: maximum)
        writeVarint(fits.utf8.count)
        writeString(fits)
    }

    mutating func writeTexts(_ texts: [String], maximum: Int) {
        writeVarint(texts.count)
        for text in texts { writeText(text, maximum: maximum) }
    }
}

extension Duration {
    /// Whole milliseconds, rounded up so that a time that is left does not become none, within what the wire allows.
    var wireMilliseconds: UInt64 {
        guard self > .zero else { return 0 }
        guard self < .milliseconds(WireLimits.maximumMilliseconds) else { return WireLimits.maximumMilliseconds }
        let (seconds, attoseconds) = components
        return UInt64(seconds) * 1000 + UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}

extension String {
    /// The longest start of the text, in whole Unicode scalars, that takes at most so many bytes.
    func cut(toBytes maximum: Int) -> String {
        var result = String.UnicodeScalarView()
        var left = maximum
        for scalar in unicodeScalars {
            left -= UTF8.width(scalar)
            if left < 0 { break }
            result.append(scalar)
        }
        return String(result)
    }
}
