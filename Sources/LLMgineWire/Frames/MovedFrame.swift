package import struct NIOCore.ByteBuffer

/// The last frame of one direction on a connection: what follows comes on the one that continues the link.
package struct MovedFrame: FrameBody {
    package init() {}
    init(reading reader: inout BodyReader) throws(WireFault) {}
    package func write(into buffer: inout ByteBuffer) {}
}

/// Asks the end that dialled to continue the link on a new connection, because the sender has new certificates.
package struct RenewFrame: FrameBody {
    package init() {}
    init(reading reader: inout BodyReader) throws(WireFault) {}
    package func write(into buffer: inout ByteBuffer) {}
}
