package import struct NIOCore.ByteBuffer

/// Asks for no new work: the sender finishes what it has and then says goodbye.
package struct LeavingFrame: FrameBody {
    /// How long it will wait for what is in flight.
    package var deadline: Duration

    package init(deadline: Duration) { self.deadline = deadline }

    init(reading reader: inout BodyReader) throws(WireFault) { deadline = try reader.milliseconds() }

    package func write(into buffer: inout ByteBuffer) { buffer.writeMilliseconds(deadline) }
}
