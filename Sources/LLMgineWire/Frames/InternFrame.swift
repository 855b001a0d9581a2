package import struct NIOCore.ByteBuffer

/// Gives a topic or the name of an event type a number, for this direction of this link.
package struct InternFrame: FrameBody {
    /// The number: 1, then one more each time, up to 65,536. A 1 after others starts over and forgets them all.
    package var id: UInt32
    /// The text.
    package var text: String

    package init(id: UInt32, text: String) {
        self.id = id
        self.text = text
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        id = try reader.varint32()
        guard id > 0 else { throw .invalidValue }
        guard id <= WireLimits.internedTexts else { throw .tooMany }
        text = try reader.text(maximum: WireLimits.textBytes)
        guard !text.isEmpty else { throw .invalidValue }
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(id)
        buffer.writeText(text, maximum: WireLimits.textBytes)
    }
}
