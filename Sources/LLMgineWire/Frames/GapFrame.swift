package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// Owns up to a loss: messages that the sender evicted since the last DATA of this flow.
package struct GapFrame: FrameBody {
    /// The flow that missed them.
    package var flow: UInt32
    /// The class that they were in.
    package var priority: Priority
    /// How many.
    package var count: UInt64

    package init(flow: UInt32, priority: Priority, count: UInt64) {
        self.flow = flow
        self.priority = priority
        self.count = count
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        flow = try reader.varint32()
        priority = try reader.priority()
        count = try reader.varint()
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(flow)
        buffer.writeInteger(priority.rawValue)
        buffer.writeVarint(count)
    }
}

extension BodyReader {
    mutating func priority() throws(WireFault) -> Priority {
        guard let priority = Priority(rawValue: try u8()) else { throw .invalidValue }
        return priority
    }
}
