package import struct NIOCore.ByteBuffer

extension Frame {
    /// Bit 7 of a frame's flags: a receiver that does not know the type must close the link. All others are reserved and zero.
    package static let mustUnderstand: UInt8 = 0x80

    /// Appends the frame: length, type, flags, body. A frame of protocol 1 carries no flags, since every peer knows it.
    /// - Precondition: the frame is within ``WireLimits`` and not ``unknown``.
    package func write(into buffer: inout ByteBuffer) {
        guard let type else { preconditionFailure("an unknown frame cannot be written") }
        Frame.write(type, followedBy: 0, into: &buffer) { writeBody(into: &$0) }
    }

    /// Appends a frame of which the last so many bytes will follow from elsewhere.
    static func write(
        _ type: FrameType, followedBy following: Int, into buffer: inout ByteBuffer, fields: (inout ByteBuffer) -> Void
    ) {
        let start = buffer.writerIndex
        buffer.writeInteger(0, as: UInt32.self)
        buffer.writeInteger(type.rawValue)
        buffer.writeInteger(0, as: UInt8.self)
        fields(&buffer)
        buffer.setInteger(UInt32(buffer.writerIndex - start - 4 + following), at: start)
    }

    private func writeBody(into buffer: inout ByteBuffer) {
        switch self {
        case .hello(let body): body.write(into: &buffer)
        case .reject(let body): body.write(into: &buffer)
        case .ping(let body): body.write(into: &buffer)
        case .pong(let body): body.write(into: &buffer)
        case .leaving(let body): body.write(into: &buffer)
        case .goodbye(let body): body.write(into: &buffer)
        case .moved(let body): body.write(into: &buffer)
        case .renew(let body): body.write(into: &buffer)
        case .compressed(let body): body.write(into: &buffer)
        case .interest(let body): body.write(into: &buffer)
        case .interestAck(let body): body.write(into: &buffer)
        case .interestWanted(let body): body.write(into: &buffer)
        case .intern(let body): body.write(into: &buffer)
        case .data(let body): body.write(into: &buffer)
        case .grant(let body): body.write(into: &buffer)
        case .blocked(let body): body.write(into: &buffer)
        case .gap(let body): body.write(into: &buffer)
        case .fragment(let body): body.write(into: &buffer)
        case .drain(let body): body.write(into: &buffer)
        case .drained(let body): body.write(into: &buffer)
        case .ack(let body): body.write(into: &buffer)
        case .request(let body): body.write(into: &buffer)
        case .reply(let body): body.write(into: &buffer)
        case .replyError(let body): body.write(into: &buffer)
        case .replyCredit(let body): body.write(into: &buffer)
        case .cancel(let body): body.write(into: &buffer)
        case .callPart(let body): body.write(into: &buffer)
        case .gossip(let body): body.write(into: &buffer)
        case .unknown: break  // refused above
        }
    }
}
