package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// How much the receiver may have sent to a flow in one class since the link started. Only ever grows, so a repeated or late one does no harm.
package struct GrantFrame: FrameBody {
    /// The flow that gets room.
    package var flow: UInt32
    /// The class that it is for. The requests of a responder's flow are of one class, normal, whatever their own.
    package var priority: Priority
    /// Messages since the link started.
    package var maximumMessages: UInt64
    /// Payload bytes since the link started.
    package var maximumBytes: UInt64

    package init(flow: UInt32, priority: Priority = .normal, maximumMessages: UInt64, maximumBytes: UInt64) {
        self.flow = flow
        self.priority = priority
        self.maximumMessages = maximumMessages
        self.maximumBytes = maximumBytes
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        flow = try reader.varint32()
        priority = try reader.priority()
        maximumMessages = try reader.varint()
        maximumBytes = try reader.varint()
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(flow)
        buffer.writeInteger(priority.rawValue)
        buffer.writeVarint(maximumMessages)
        buffer.writeVarint(maximumBytes)
    }
}
