import LLMgineCore
import LLMgineTestKit
import LLMgineWire
import NIOCore
import Testing

/// Frames as they go out: events with text, as a seed has them.
enum Run {
    static func event(_ number: Int, bytes: Int = 300) -> ByteBuffer {
        let text = #"{"id":\#(number),"customer":"c-\#(number % 17)","status":"placed","note":"please leave it at the door"}"#
        var payload = ByteBuffer()
        while payload.readableBytes < bytes { payload.writeString(text) }
        var messages = ByteBuffer()
        MessageWriter.write(MessageFields(topicRef: 1), payload: payload.getSlice(at: 0, length: bytes) ?? payload, into: &messages)
        return data(messages)
    }

    static func noise(_ bytes: Int, _ random: inout SeededGenerator) -> ByteBuffer {
        var messages = ByteBuffer()
        let payload = ByteBuffer(bytes: (0..<bytes).map { _ in UInt8.random(in: .min ... .max, using: &random) })
        MessageWriter.write(MessageFields(topicRef: 1), payload: payload, into: &messages)
        return data(messages)
    }

    private static func data(_ messages: ByteBuffer) -> ByteBuffer {
        var frame = ByteBuffer()
        Frame.data(DataFrame(priority: .normal, flows: [9], baseSequence: 1, count: 1, messages: messages)).write(into: &frame)
        return frame
    }

    static func grants(_ count: Int) -> ByteBuffer {
        var control = ByteBuffer()
        for number in 0..<count {
            Frame.grant(GrantFrame(flow: UInt32(number % 100), maximumMessages: UInt64(number), maximumBytes: 4 << 20)).write(
                into: &control)
        }
        return control
    }

    /// A frame with a body that zlib, called from another program, has deflated.
    static func compressed(_ length: UInt64, _ hex: String) -> CompressedFrame {
        CompressedFrame(length: length, deflated: ByteBuffer(bytes: Hex.bytes(hex)))
    }

    /// CANCEL, two INTERN and a GRANT: 55 bytes.
    static let golden = compressed(
        55, "636060603661f0656060e0556060e4cc2f4a492d2ad64b2d850830c1044a8b81025c4a0c9c8c0d0e0d0d0d2c00")
    static let goldenFrames: [Frame] = [
        .cancel(CancelFrame(request: 77)), .intern(InternFrame(id: 1, text: "orders.eu")), .intern(InternFrame(id: 2, text: "orders.us")),
        .grant(GrantFrame(flow: 9, priority: .high, maximumMessages: 8192, maximumBytes: 8_388_608)),
    ]

    static func deflated(_ run: ByteBuffer) -> ByteBuffer {
        Zip().deflate(run, maximum: run.readableBytes + 100) ?? ByteBuffer()
    }

    /// What a peer reads of what was packed.
    static func frames(in buffers: [ByteBuffer], limits: WireLimits = WireLimits()) throws -> [Frame] {
        var decoder = FrameDecoder(maximumFrame: limits.maximumFrame)
        let zip = Zip()
        var frames: [Frame] = []
        for buffer in buffers {
            decoder.append(buffer)
            while let frame = try decoder.next() {
                if case .compressed(let compressed) = frame {
                    decoder.unpack(try zip.run(of: compressed, limits: limits))
                } else {
                    frames.append(frame)
                }
            }
        }
        #expect(decoder.pendingBytes == 0)
        return frames
    }
}

/// A deflater and an inflater that tests can hand around.
final class Zip {
    private let deflater = Deflater()
    private let inflater = Inflater()

    func deflate(_ run: ByteBuffer, maximum: Int) -> ByteBuffer? {
        var output = ByteBuffer(string: "before")
        let fits = deflater.deflate([run], into: &output, maximum: maximum)
        let before = output.readString(length: 6)
        #expect(before == "before" && output.readableBytes <= (fits ? maximum : 0))
        return fits ? output.slice() : nil
    }

    func inflate(_ deflated: ByteBuffer, length: Int) throws(LLMgineError) -> ByteBuffer {
        try inflater.inflate(deflated, length: length)
    }

    func run(of frame: CompressedFrame, limits: WireLimits = WireLimits()) throws(LLMgineError) -> ByteBuffer {
        try frame.run(with: inflater, limits: limits)
    }

    func pack(_ buffers: [ByteBuffer], hasControl: Bool, with packer: inout FramePacker) -> [ByteBuffer] {
        packer.pack(buffers, hasControl: hasControl, with: deflater)
    }
}

@Suite struct `A run of frames` {
    private let limits = WireLimits()
    private let zip = Zip()

    @Test(arguments: [6, 255, 256, 4096, 65_536, 1 << 20])
    func `is the same when it was deflated and inflated`(bytes: Int) throws {
        for number in 1...3 {
            let run = ByteBuffer(repeating: 0x20, count: bytes / 2).merging(Run.event(number, bytes: bytes - bytes / 2))
            let deflated = try #require(zip.deflate(run, maximum: 2 * bytes + 100))
            #expect(try zip.inflate(deflated, length: run.readableBytes) == run)
            #expect(zip.deflate(run, maximum: deflated.readableBytes + 1) == deflated)
            #expect(zip.deflate(run, maximum: deflated.readableBytes - 1) == nil)
        }
        #expect(zip.deflate(Run.event(1), maximum: 0) == nil)
    }

    @Test func `is read from bytes that another program has deflated`() throws {
        #expect(try Run.frames(in: [.of(.compressed(Run.golden))]) == Run.goldenFrames)
        #expect(Run.golden.wireBytes == ByteBuffer.of(.compressed(Run.golden)).readableBytes)
    }

    @Test func `cut short is refused`() {
        for run in [Run.golden, CompressedFrame(length: 307, deflated: Run.deflated(ByteBuffer(repeating: 7, count: 307)))] {
            for length in 0..<run.deflated.readableBytes {
                let cut = run.deflated.getSlice(at: 0, length: length)!
                #expect(throws: LLMgineError(.malformedFrame, "")) { try zip.inflate(cut, length: Int(run.length)) }
            }
        }
    }

    @Test func `with any bit or byte changed is refused or read, never trusted`() {
        for run in [Run.golden, CompressedFrame(length: 3000, deflated: Run.deflated(Run.event(1, bytes: 3000)))] {
            for index in run.deflated.readableBytesView.indices {
                let original: UInt8 = run.deflated.getInteger(at: index)!
                for value in (0..<8).map({ original ^ (1 << $0) }) + [0x00, 0x7F, 0x80, 0xFF] {
                    var changed = run
                    changed.deflated.setInteger(value, at: index)
                    if let bytes = try? zip.run(of: changed) {
                        #expect(UInt64(bytes.readableBytes) == run.length)
                        _ = try? Run.frames(in: [.of(.compressed(changed))])
                    }
                }
            }
        }
        // And the next one is none the worse for it.
        #expect((try? zip.run(of: Run.golden))?.readableBytes == 55)
    }

    @Test func `is not inflated past what it announces, nor taken for shorter`() throws {
        for length in [6, 54, 56, 4096] as [UInt64] {
            var lie = Run.golden
            lie.length = length
            #expect(throws: LLMgineError(.malformedFrame, "")) { try zip.run(of: lie) }
        }
        var more = Run.golden
        more.deflated.writeInteger(0, as: UInt8.self)
        #expect(throws: LLMgineError(.malformedFrame, "")) { try zip.run(of: more) }
    }

    @Test func `that is a bomb is refused by what it announces, or at what it announced`() {
        let bomb = Run.deflated(ByteBuffer(repeating: 0, count: 8 << 20))
        #expect(bomb.readableBytes < 64 << 10)
        for (length, code) in [
            (8 << 20, .limitExceeded), (UInt64.max, .limitExceeded), (UInt64(limits.maximumFrame) + 1, .limitExceeded),
            (UInt64(limits.maximumFrame), .malformedFrame), (1000, .malformedFrame),
        ] as [(UInt64, LLMgineError.Code)] {
            #expect(throws: LLMgineError(code, "")) {
                try zip.run(of: CompressedFrame(length: length, deflated: bomb))
            }
        }
        // Within the limit of the link, but a thousand times what it takes on the wire.
        let dense = Run.deflated(ByteBuffer(repeating: 0, count: 1 << 20))
        let refusal = #expect(throws: LLMgineError(.limitExceeded, "")) {
            try zip.run(of: CompressedFrame(length: 1 << 20, deflated: dense))
        }
        #expect(refusal?.detail.hasSuffix("more than 100 times as many") == true)
    }

    @Test func `takes no memory for what is only announced`() {
        let start = ByteBuffer(bytes: Hex.bytes("636060"))
        // What is written is at most four times what was read, and a page: a length of a gigabyte makes no difference.
        #expect(throws: LLMgineError(.malformedFrame, "")) { try zip.inflate(start, length: 1 << 40) }
    }
}

@Suite struct `A decoder with a run` {
    private func unpacked(_ frames: Frame...) throws -> [Frame] {
        var decoder = FrameDecoder()
        decoder.append(.of(.cancel(CancelFrame(request: 1))))
        decoder.unpack(frames.reduce(into: ByteBuffer()) { $1.write(into: &$0) })
        var read: [Frame] = []
        while let frame = try decoder.next() { read.append(frame) }
        return read
    }

    @Test func `cuts it before what came after it`() throws {
        #expect(try unpacked(.cancel(CancelFrame(request: 3)), .cancel(CancelFrame(request: 2))).map(\.request) == [3, 2, 1])
    }

    @Test(arguments: FrameType.allCases)
    func `takes what nodes say, and nothing that links say`(type: FrameType) throws {
        let frame = try #require(Golden.frame(type))
        if type.mayBeCompressed {
            #expect(try unpacked(frame).first == frame)
        } else {
            let refusal = #expect(throws: LLMgineError(.unexpectedFrame, "")) { try unpacked(frame) }
            #expect(refusal?.detail == "\(type.name) in COMPRESSED")
        }
        let isOfLink = [.hello, .reject, .ping, .pong, .leaving, .goodbye, .moved, .compressed].contains(type)
        #expect(type.mayBeCompressed == !isOfLink)
    }

    @Test func `refuses a frame that runs past its end, and one that is longer than was agreed`() {
        for (hex, code) in [
            ("0000000334004d 00", .malformedFrame), ("0000000334004d 00000003 34 00", .malformedFrame), ("00000001 34 00", .malformedFrame),
            ("00100000 34 00", .limitExceeded),
        ] as [(String, LLMgineError.Code)] {
            var decoder = FrameDecoder()
            decoder.unpack(ByteBuffer(bytes: Hex.bytes(hex)))
            #expect(throws: LLMgineError(code, "")) { while try decoder.next() != nil {} }
            #expect(throws: LLMgineError(code, "")) { try decoder.next() }
        }
    }

    @Test func `goes on with a frame that was half there`() throws {
        var decoder = FrameDecoder(maximumFrame: 1 << 20)
        let second = ByteBuffer.of(.cancel(CancelFrame(request: 300)))
        decoder.append(second.getSlice(at: 0, length: 5)!)
        #expect(try decoder.next() == nil)
        decoder.unpack(.of(.cancel(CancelFrame(request: 200))))
        #expect(try decoder.next()?.request == 200)
        decoder.append(second.dropping(5))
        #expect(try decoder.next()?.request == 300)
    }
}

extension ByteBuffer {
    static func of(_ frame: Frame) -> ByteBuffer {
        var buffer = ByteBuffer()
        frame.write(into: &buffer)
        return buffer
    }

    fileprivate func merging(_ other: ByteBuffer) -> ByteBuffer {
        var all = self
        all.writeImmutableBuffer(other)
        return all
    }
}

extension Frame {
    fileprivate var request: UInt64? {
        if case .cancel(let cancel) = self { cancel.request } else { nil }
    }
}
