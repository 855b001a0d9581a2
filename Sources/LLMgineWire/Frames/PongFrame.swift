package import struct NIOCore.ByteBuffer

/// Answers a PING at once.
package struct PongFrame: FrameBody {
    /// The nonce of the PING.
    package var nonce: UInt64

    package init(nonce: UInt64) { self.nonce = nonce }

    init(reading reader: inout BodyReader) throws(WireFault) { nonce = try reader.varint() }

    package func write(into buffer: inout ByteBuffer) { buffer.writeVarint(nonce) }
}
