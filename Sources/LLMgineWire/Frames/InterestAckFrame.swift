package import struct NIOCore.ByteBuffer

/// Says up to which version the receiver's interest is known and in force: what is published from here on obeys it.
package struct InterestAckFrame: FrameBody {
    /// The version that is in force.
    package var version: UInt64

    package init(version: UInt64) { self.version = version }

    init(reading reader: inout BodyReader) throws(WireFault) { version = try reader.varint() }

    package func write(into buffer: inout ByteBuffer) { buffer.writeVarint(version) }
}
