package import struct NIOCore.ByteBuffer

/// Ends a request with an error.
package struct ReplyErrorFrame: FrameBody {
    /// The request that it ends.
    package var request: UInt64
    /// The raw value of an `LLMgineError.Code`, which a later version may have more of.
    package var code: String
    /// The particulars, for a person.
    package var detail: String

    package init(request: UInt64, code: String, detail: String) {
        self.request = request
        self.code = code
        self.detail = detail
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        request = try reader.varint()
        code = try reader.text(maximum: WireLimits.codeBytes)
        detail = try reader.text(maximum: WireLimits.detailBytes)
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(request)
        buffer.writeText(code, maximum: WireLimits.codeBytes)
        buffer.writeText(detail, maximum: WireLimits.detailBytes)
    }
}
