package import struct NIOCore.ByteBuffer

/// A part of a request, or of one message of an answer, that is too long for one frame among others: between its parts there is room for
/// everything else that the link carries.
///
/// The first part says everything that a REQUEST or REPLY says besides its message, so that the responder's slot can be taken, and what nobody
/// waits for be told apart, before a byte of it is kept.
package struct CallPartFrame: FrameBody {
    /// What goes in parts. Of one call and direction there is one at a time.
    package enum Call: Sendable, Hashable {
        /// The request of this number.
        case request(UInt64)
        /// The message of the answer to the request of this number that is on its way.
        case reply(UInt64)
    }

    /// The frame that the parts make.
    package enum Whole: Sendable, Hashable {
        case request(RequestFrame)
        case reply(ReplyFrame)
    }

    /// What the first part says of the whole.
    package struct Head: Sendable, Hashable {
        /// The frame, without its message.
        package var frame: Whole
        /// Bytes of the encoded message: those of all its parts.
        package var length: UInt64

        package init(frame: Whole, length: UInt64) {
            self.frame = frame
            self.length = length
        }
    }

    /// Which part it is.
    package enum Part: Sendable, Hashable {
        case first(Head)
        case between
        /// The whole is complete with it. Never the first: what fits one frame is not cut.
        case last
        /// There is no more to come: the sender has no use for an answer, or nobody for this one.
        case givenUp
    }

    package var call: Call
    package var part: Part
    /// The part, at least one byte; none where it is given up.
    package var bytes: ByteBuffer

    package init(_ call: Call, _ part: Part, bytes: ByteBuffer = ByteBuffer()) {
        self.call = call
        self.part = part
        self.bytes = bytes
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        let kind = try reader.u8()
        let request = try reader.varint()
        let number = try reader.u8()
        switch kind {
        case 0: call = .request(request)
        case 1: call = .reply(request)
        default: throw .invalidValue
        }
        switch number {
        case 0: part = .first(try Head(of: call, reading: &reader))
        case 1: part = .between
        case 2: part = .last
        case 3: part = .givenUp
        default: throw .invalidValue
        }
        bytes = number == 3 ? ByteBuffer() : reader.remainder()
        guard number == 3 || bytes.readableBytes > 0 else { throw .truncated }
    }

    package func write(into buffer: inout ByteBuffer) {
        writeFields(into: &buffer)
        buffer.writeImmutableBuffer(bytes)
    }

    private func writeFields(into buffer: inout ByteBuffer) {
        switch call {
        case .request(let request):
            buffer.writeInteger(0, as: UInt8.self)
            buffer.writeVarint(request)
        case .reply(let request):
            buffer.writeInteger(1, as: UInt8.self)
            buffer.writeVarint(request)
        }
        switch part {
        case .first(let head):
            buffer.writeInteger(0, as: UInt8.self)
            head.write(into: &buffer)
        case .between: buffer.writeInteger(1, as: UInt8.self)
        case .last: buffer.writeInteger(2, as: UInt8.self)
        case .givenUp: buffer.writeInteger(3, as: UInt8.self)
        }
    }

    /// Appends everything of the frame but the bytes of its part, of which so many must follow.
    package static func writeHeader(_ call: Call, _ part: Part, partLength: Int, into buffer: inout ByteBuffer) {
        Frame.write(.callPart, followedBy: partLength, into: &buffer) { buffer in
            CallPartFrame(call, part).writeFields(into: &buffer)
        }
    }
}

extension CallPartFrame.Head {
    fileprivate init(of call: CallPartFrame.Call, reading reader: inout BodyReader) throws(WireFault) {
        switch call {
        case .request(let request): frame = .request(try RequestFrame(request: request, readingFields: &reader))
        case .reply(let request): frame = .reply(try ReplyFrame(request: request, readingFields: &reader))
        }
        length = try reader.varint()
        guard length > 0 else { throw .invalidValue }
    }

    fileprivate func write(into buffer: inout ByteBuffer) {
        switch frame {
        case .request(let request): request.writeFields(into: &buffer)
        case .reply(let reply): reply.writeFields(into: &buffer)
        }
        buffer.writeVarint(length)
    }

    /// The whole frame, now that its message is complete.
    package func completed(with message: ByteBuffer) -> CallPartFrame.Whole {
        switch frame {
        case .request(var request):
            request.message = message
            return .request(request)
        case .reply(var reply):
            reply.message = message
            return .reply(reply)
        }
    }
}
