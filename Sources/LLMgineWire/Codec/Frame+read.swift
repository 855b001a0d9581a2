package import LLMgineCore

package import struct NIOCore.ByteBuffer

extension Frame {
    /// Reads what follows the length field of a frame: type, flags, body. All of `bytes` belongs to the frame.
    /// - Throws: `malformedFrame` or `limitExceeded` for what breaks the format, `unexpectedFrame` for a type that we must know and do not.
    package static func read(_ bytes: ByteBuffer) throws(LLMgineError) -> Frame {
        var body = bytes
        guard let (rawType, flags) = body.readMultipleIntegers(as: (UInt8, UInt8).self) else {
            throw WireFault.truncated.error(in: "a frame", at: 0)
        }
        guard let type = FrameType(rawValue: rawType) else {
            guard flags & mustUnderstand == 0 else {
                throw LLMgineError(.unexpectedFrame, "frame type \(rawType) must be understood and is not")
            }
            return .unknown(rawType)
        }
        guard flags & ~mustUnderstand == 0 else { throw WireFault.reservedBits.error(in: type.name, at: 0) }
        var reader = BodyReader(body)
        do throws(WireFault) {
            let frame = try read(type, from: &reader)
            try reader.end()
            return frame
        } catch {
            throw error.error(in: type.name, at: reader.offset)
        }
    }

    private static func read(_ type: FrameType, from reader: inout BodyReader) throws(WireFault) -> Frame {
        switch type {
        case .hello: .hello(try HelloFrame(reading: &reader))
        case .reject: .reject(try RejectFrame(reading: &reader))
        case .ping: .ping(try PingFrame(reading: &reader))
        case .pong: .pong(try PongFrame(reading: &reader))
        case .leaving: .leaving(try LeavingFrame(reading: &reader))
        case .goodbye: .goodbye(try GoodbyeFrame(reading: &reader))
        case .moved: .moved(try MovedFrame(reading: &reader))
        case .renew: .renew(try RenewFrame(reading: &reader))
        case .compressed: .compressed(try CompressedFrame(reading: &reader))
        case .interest: .interest(try InterestFrame(reading: &reader))
        case .interestAck: .interestAck(try InterestAckFrame(reading: &reader))
        case .interestWanted: .interestWanted(try InterestWantedFrame(reading: &reader))
        case .intern: .intern(try InternFrame(reading: &reader))
        case .data: .data(try DataFrame(reading: &reader))
        case .grant: .grant(try GrantFrame(reading: &reader))
        case .blocked: .blocked(try BlockedFrame(reading: &reader))
        case .gap: .gap(try GapFrame(reading: &reader))
        case .fragment: .fragment(try FragmentFrame(reading: &reader))
        case .drain: .drain(try DrainFrame(reading: &reader))
        case .drained: .drained(try DrainedFrame(reading: &reader))
        case .ack: .ack(try AckFrame(reading: &reader))
        case .request: .request(try RequestFrame(reading: &reader))
        case .reply: .reply(try ReplyFrame(reading: &reader))
        case .replyError: .replyError(try ReplyErrorFrame(reading: &reader))
        case .replyCredit: .replyCredit(try ReplyCreditFrame(reading: &reader))
        case .cancel: .cancel(try CancelFrame(reading: &reader))
        case .callPart: .callPart(try CallPartFrame(reading: &reader))
        case .gossip: .gossip(try GossipFrame(reading: &reader))
        }
    }
}
