package import struct NIOCore.ByteBuffer

/// Says that nobody waits for the answer any more. The responder may stop; replies that cross it are dropped.
package struct CancelFrame: FrameBody {
    /// The request that was given up.
    package var request: UInt64

    package init(request: UInt64) { self.request = request }

    init(reading reader: inout BodyReader) throws(WireFault) { request = try reader.varint() }

    package func write(into buffer: inout ByteBuffer) { buffer.writeVarint(request) }
}
