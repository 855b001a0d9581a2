package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// Asks the publisher to give back the credit of one class of a flow that it does not use: the answer is DRAINED.
package struct DrainFrame: FrameBody {
    /// The flow that is idle.
    package var flow: UInt32
    /// The class in which it is.
    package var priority: Priority

    package init(flow: UInt32, priority: Priority) {
        self.flow = flow
        self.priority = priority
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        flow = try reader.varint32()
        priority = try reader.priority()
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(flow)
        buffer.writeInteger(priority.rawValue)
    }
}
