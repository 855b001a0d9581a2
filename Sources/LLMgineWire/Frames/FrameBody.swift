import struct NIOCore.ByteBuffer

/// What every frame's body can do: be read from bytes that may be anything, and be written.
protocol FrameBody: Sendable, Hashable {
    init(reading reader: inout BodyReader) throws(WireFault)
    func write(into buffer: inout ByteBuffer)
}
