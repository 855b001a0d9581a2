package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// A part of one message that is too long for one frame among others: between its parts there is room for what is more urgent, and for the
/// other flows.
///
/// The parts of a message come in order, those of several messages mixed. The first says everything that a DATA frame says of the message, so that its
/// credit can be counted before a byte of it is kept.
package struct FragmentFrame: FrameBody {
    /// What the first part says of the whole.
    package struct Head: Sendable, Hashable {
        /// The class of the message.
        package var priority: Priority
        /// The flows that get it, 1 to 256.
        package var flows: [UInt32]
        /// What the message's sequence counts from.
        package var baseSequence: UInt64
        /// Payload bytes of the message: what it takes of the flows' credit.
        package var payloadBytes: UInt64
        /// Bytes of the encoded message: those of all its parts.
        package var length: UInt64

        package init(priority: Priority, flows: [UInt32], baseSequence: UInt64, payloadBytes: UInt64, length: UInt64) {
            self.priority = priority
            self.flows = flows
            self.baseSequence = baseSequence
            self.payloadBytes = payloadBytes
            self.length = length
        }
    }

    /// The number of the message among all that went in parts since the link started: 1 for the first.
    package var number: UInt64
    /// Of the first part, what it is the first part of.
    package var head: Head?
    /// Whether the message is complete with it. Never true of the first part: what fits one frame is DATA.
    package var isLast: Bool
    /// The part, at least one byte.
    package var bytes: ByteBuffer

    package init(number: UInt64, head: Head? = nil, isLast: Bool = false, bytes: ByteBuffer) {
        self.number = number
        self.head = head
        self.isLast = isLast
        self.bytes = bytes
    }

    /// Which part of the message it is, as written.
    private enum Part: UInt8 {
        case first = 0
        case between = 1
        case last = 2
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        number = try reader.varint()
        guard let part = Part(rawValue: try reader.u8()) else { throw .invalidValue }
        isLast = part == .last
        head = part == .first ? try Head(reading: &reader) : nil
        bytes = reader.remainder()
        guard bytes.readableBytes > 0 else { throw .truncated }
    }

    package func write(into buffer: inout ByteBuffer) {
        writeFields(into: &buffer)
        buffer.writeImmutableBuffer(bytes)
    }

    private func writeFields(into buffer: inout ByteBuffer) {
        buffer.writeVarint(number)
        buffer.writeInteger((head != nil ? Part.first : isLast ? .last : .between).rawValue)
        head?.write(into: &buffer)
    }

    /// Appends everything of a FRAGMENT but its part, of which so many bytes must follow.
    package static func writeHeader(number: UInt64, head: Head?, isLast: Bool, partLength: Int, into buffer: inout ByteBuffer) {
        Frame.write(.fragment, followedBy: partLength, into: &buffer) { buffer in
            FragmentFrame(number: number, head: head, isLast: isLast, bytes: ByteBuffer()).writeFields(into: &buffer)
        }
    }
}

extension FragmentFrame.Head {
    init(reading reader: inout BodyReader) throws(WireFault) {
        priority = try reader.priority()
        flows = try reader.flows()
        baseSequence = try reader.baseSequence()
        payloadBytes = try reader.varint()
        length = try reader.varint()
        guard payloadBytes < length else { throw .invalidValue }
    }

    func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(priority.rawValue)
        buffer.writeVarint(flows.count)
        for flow in flows { buffer.writeVarint(flow) }
        buffer.writeInteger(baseSequence)
        buffer.writeVarint(payloadBytes)
        buffer.writeVarint(length)
    }
}

extension BodyReader {
    /// The flows that get what follows, at least one.
    mutating func flows() throws(WireFault) -> [UInt32] {
        var flows: [UInt32] = []
        let count = try count(maximum: WireLimits.flowsPerData, bytesEach: 1)
        guard count > 0 else { throw .wrongCount }
        flows.reserveCapacity(count)
        for _ in 0..<count { flows.append(try varint32()) }
        return flows
    }

    /// What sequences count from, low enough that no delta overflows it.
    mutating func baseSequence() throws(WireFault) -> UInt64 {
        let base = try u64()
        guard base <= UInt64.max - UInt64(UInt32.max) else { throw .varintOverflow }
        return base
    }
}
