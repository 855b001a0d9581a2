import LLMgineCore
import LLMgineWire
import NIOCore
import Testing

/// Reads bytes that may be anything as a node would: frame by frame, and every message to its last field.
enum Exercise {
    static let limits = WireLimits()

    /// The frames that the bytes hold up to the first fault.
    /// - Throws: what the decoder or the index throws.
    static func frames(in bytes: ByteBuffer, interned: UInt32 = 3) throws -> [Frame] {
        var decoder = FrameDecoder(maximumFrame: limits.maximumFrame)
        decoder.append(bytes)
        var frames: [Frame] = []
        while let frame = try decoder.next() {
            frames.append(frame)
            for message in try messages(of: frame, interned: interned) where try rewritten(message) != message {
                Issue.record("a message is not what it was after it was written again: \(Hex.text(bytes))")
            }
        }
        return frames
    }

    static func messages(of frame: Frame, interned: UInt32) throws(LLMgineError) -> [WireMessage] {
        switch frame {
        case .data(let data): Array(try data.index(highestIntern: interned, maximumPayload: limits.maximumPayload))
        case .request(let request): Array(try request.index(highestIntern: interned, maximumPayload: limits.maximumPayload))
        case .reply(let reply): Array(try reply.index(highestIntern: interned, maximumPayload: limits.maximumPayload))
        default: []
        }
    }

    /// Bytes from anywhere are read or refused; what is read has one form, so writing it gives the same bytes again.
    static func survives(_ bytes: ByteBuffer, origin: @autoclosure () -> String = "") {
        guard let frames = try? frames(in: bytes) else { return }
        var rest = bytes
        for frame in frames {
            guard let length = rest.readInteger(as: UInt32.self), let original = rest.readSlice(length: Int(length)) else {
                Issue.record("more frames came out than went in")
                return
            }
            if case .unknown = frame { continue }
            var written = ByteBuffer()
            frame.write(into: &written)
            // `#expect` costs more than what it checks here, and this runs a hundred thousand times.
            let isKept = (try? Frame.read(written.dropping(4))) == frame
            // What later versions append to these two is not kept.
            let isOpen = frame.type == .hello || frame.type == .reject
            if !isKept || !isOpen && written.dropping(6) != original.dropping(2) {
                Issue.record("a frame is not what it was after it was written again: \(origin()) \(Hex.text(bytes))")
            }
        }
    }

    private static func rewritten(_ message: WireMessage) throws -> WireMessage? {
        let fields = MessageFields(
            topicRef: message.topicRef, typeRef: message.typeRef, trace: message.trace, headers: message.headers,
            timeToLive: message.timeToLive, session: message.session)
        var run = ByteBuffer()
        MessageWriter.write(fields, payload: message.payload, into: &run)
        var reader = MessageReader(run, baseSequence: message.sequence, highestIntern: .max, maximumPayload: limits.maximumPayload)
        return try reader.next()
    }
}

extension ByteBuffer {
    /// The buffer without its first bytes.
    func dropping(_ count: Int) -> ByteBuffer {
        var rest = self
        rest.moveReaderIndex(forwardBy: min(count, readableBytes))
        return rest
    }

    /// The frame with its length field brought in agreement with what follows.
    var withFixedLength: ByteBuffer {
        var fixed = ByteBuffer(bytes: readableBytesView)
        if fixed.readableBytes >= 4 { fixed.setInteger(UInt32(fixed.readableBytes - 4), at: 0) }
        return fixed
    }
}
