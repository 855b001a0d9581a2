package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// Says that messages wait for credit, so that the receiver grants at once what it can, without waiting for half a window.
package struct BlockedFrame: FrameBody {
    /// The flow that is held up.
    package var flow: UInt32
    /// The class in which it is.
    package var priority: Priority
    /// Messages of the class sent to it since the link started.
    package var atMessages: UInt64
    /// Payload bytes of the class sent to it since the link started.
    package var atBytes: UInt64
    /// Payload bytes of the message that comes next: with less room than that the flow stays where it is.
    package var nextBytes: UInt64
    /// Messages that wait.
    package var waitingMessages: UInt64
    /// About how many bytes they are.
    package var waitingBytes: UInt64

    package init(
        flow: UInt32, priority: Priority = .normal, atMessages: UInt64, atBytes: UInt64, nextBytes: UInt64, waitingMessages: UInt64,
        waitingBytes: UInt64
    ) {
        self.flow = flow
        self.priority = priority
        self.atMessages = atMessages
        self.atBytes = atBytes
        self.nextBytes = nextBytes
        self.waitingMessages = waitingMessages
        self.waitingBytes = waitingBytes
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        flow = try reader.varint32()
        priority = try reader.priority()
        atMessages = try reader.varint()
        atBytes = try reader.varint()
        nextBytes = try reader.varint()
        waitingMessages = try reader.varint()
        waitingBytes = try reader.varint()
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(flow)
        buffer.writeInteger(priority.rawValue)
        buffer.writeVarint(atMessages)
        buffer.writeVarint(atBytes)
        buffer.writeVarint(nextBytes)
        buffer.writeVarint(waitingMessages)
        buffer.writeVarint(waitingBytes)
    }
}
