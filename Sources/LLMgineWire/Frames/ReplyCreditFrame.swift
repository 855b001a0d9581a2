package import struct NIOCore.ByteBuffer

/// How much the responder may have sent in reply to a request in all. Only ever grows.
package struct ReplyCreditFrame: FrameBody {
    /// The request whose replies get room.
    package var request: UInt64
    /// Reply messages since the request.
    package var maximumMessages: UInt64
    /// Reply payload bytes since the request.
    package var maximumBytes: UInt64

    package init(request: UInt64, maximumMessages: UInt64, maximumBytes: UInt64) {
        self.request = request
        self.maximumMessages = maximumMessages
        self.maximumBytes = maximumBytes
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        request = try reader.varint()
        maximumMessages = try reader.varint()
        maximumBytes = try reader.varint()
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(request)
        buffer.writeVarint(maximumMessages)
        buffer.writeVarint(maximumBytes)
    }
}
