package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// Gives back the credit that a publisher does not use: it counts as sent from now on, so that no grant ever has to shrink.
package struct DrainedFrame: FrameBody {
    /// The flow.
    package var flow: UInt32
    /// The class in which it has given back its credit.
    package var priority: Priority
    /// Messages since the link started that count as sent: as many as were granted.
    package var atMessages: UInt64
    /// The same for payload bytes.
    package var atBytes: UInt64

    package init(flow: UInt32, priority: Priority, atMessages: UInt64, atBytes: UInt64) {
        self.flow = flow
        self.priority = priority
        self.atMessages = atMessages
        self.atBytes = atBytes
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        flow = try reader.varint32()
        priority = try reader.priority()
        atMessages = try reader.varint()
        atBytes = try reader.varint()
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(flow)
        buffer.writeInteger(priority.rawValue)
        buffer.writeVarint(atMessages)
        buffer.writeVarint(atBytes)
    }
}
