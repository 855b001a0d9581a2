package import struct NIOCore.ByteBuffer

/// Says that messages wait for credit, so that the receiver grants what it can without waiting for half a window.
package struct BlockedFrame: FrameBody {
    /// The flow that is held up.
    package var flow: UInt32
    /// Messages sent to it since the link started.
    package var atMessages: UInt64
    /// Payload bytes sent to it since the link started.
    package var atBytes: UInt64

    package init(flow: UInt32, atMessages: UInt64, atBytes: UInt64) {
        self.flow = flow
        self.atMessages = atMessages
        self.atBytes = atBytes
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        flow = try reader.varint32()
        atMessages = try reader.varint()
        atBytes = try reader.varint()
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(flow)
        buffer.writeVarint(atMessages)
        buffer.writeVarint(atBytes)
    }
}
