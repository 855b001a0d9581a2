package import struct NIOCore.ByteBuffer

/// Asks for the changes of the peer's interest since a version, or for all of it.
package struct InterestWantedFrame: FrameBody {
    /// The version that is known; 0 asks for a snapshot.
    package var sinceVersion: UInt64

    package init(sinceVersion: UInt64) { self.sinceVersion = sinceVersion }

    init(reading reader: inout BodyReader) throws(WireFault) { sinceVersion = try reader.varint() }

    package func write(into buffer: inout ByteBuffer) { buffer.writeVarint(sinceVersion) }
}
