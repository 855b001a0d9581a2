package import struct NIOCore.ByteBuffer

/// Refuses the peer's HELLO; the connection closes behind it. As with HELLO, a later version may append fields.
package struct RejectFrame: FrameBody {
    /// Why, from the closed set of the link's close reasons.
    package var code: UInt64
    /// The same for a person.
    package var detail: String

    package init(code: UInt64, detail: String) {
        self.code = code
        self.detail = detail
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        code = try reader.varint()
        detail = try reader.text(maximum: WireLimits.detailBytes)
        _ = reader.remainder()
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(code)
        buffer.writeText(detail, maximum: WireLimits.detailBytes)
    }
}
