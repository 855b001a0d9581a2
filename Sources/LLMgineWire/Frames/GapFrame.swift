package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// Owns up to a loss: messages that did not go out, in their place before what comes next of the flow and class.
package struct GapFrame: FrameBody {
    /// Why they did not.
    package enum Cause: UInt8, Sendable, Hashable {
        /// There was no room for them at the sender.
        case evicted = 0
        /// Their time to live was over before there was credit for them.
        case expired = 1
    }

    /// The flow that missed them.
    package var flow: UInt32
    /// The class that they were in.
    package var priority: Priority
    /// Why they are missing.
    package var cause: Cause
    /// How many.
    package var count: UInt64

    package init(flow: UInt32, priority: Priority, cause: Cause = .evicted, count: UInt64) {
        self.flow = flow
        self.priority = priority
        self.cause = cause
        self.count = count
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        flow = try reader.varint32()
        priority = try reader.priority()
        guard let cause = Cause(rawValue: try reader.u8()) else { throw .invalidValue }
        self.cause = cause
        count = try reader.varint()
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(flow)
        buffer.writeInteger(priority.rawValue)
        buffer.writeInteger(cause.rawValue)
        buffer.writeVarint(count)
    }
}

extension BodyReader {
    mutating func priority() throws(WireFault) -> Priority {
        guard let priority = Priority(rawValue: try u8()) else { throw .invalidValue }
        return priority
    }
}
