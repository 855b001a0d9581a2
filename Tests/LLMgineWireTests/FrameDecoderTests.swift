import LLMgineCore
import LLMgineTestKit
import LLMgineWire
import NIOCore
import Testing

@Suite struct `A decoder` {
    private static let stream = Golden.all.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1.bytes) }
    private static let frames = Golden.all.map(\.frame)

    private func drain(_ decoder: inout FrameDecoder) throws -> [Frame] {
        var frames: [Frame] = []
        while let frame = try decoder.next() { frames.append(frame) }
        return frames
    }

    @Test func `gives the same frames wherever the stream is split in two`() throws {
        let stream = Self.stream
        for split in 0...stream.readableBytes {
            var decoder = FrameDecoder()
            decoder.append(stream.getSlice(at: 0, length: split)!)
            let before = try drain(&decoder)
            decoder.append(stream.getSlice(at: split, length: stream.readableBytes - split)!)
            #expect(try before + drain(&decoder) == Self.frames, "split at \(split)")
            #expect(decoder.pendingBytes == 0)
        }
    }

    @Test(arguments: [1, 2, 3, 5, 7, 64])
    func `gives the same frames from small pieces`(size: Int) throws {
        var decoder = FrameDecoder()
        var frames: [Frame] = []
        var stream = Self.stream
        while let piece = stream.readSlice(length: min(size, max(stream.readableBytes, 1))) {
            decoder.append(piece)
            frames += try drain(&decoder)
        }
        #expect(frames == Self.frames)
    }

    @Test func `gives the same frames when reads come before it is drained`() throws {
        var decoder = FrameDecoder()
        var stream = Self.stream
        while let piece = stream.readSlice(length: min(100, max(stream.readableBytes, 1))) { decoder.append(piece) }
        #expect(try drain(&decoder) == Self.frames)
    }

    @Test(arguments: [0, 1] as [UInt32])
    func `refuses a length without room for type and flags`(length: UInt32) {
        expectRefusal(of: length, as: .malformedFrame)
    }

    @Test(arguments: [16 << 10 + 1, 1 << 20, UInt32(Int32.max), UInt32(Int32.max) + 1, .max])
    func `refuses a length past its limit as soon as it is announced`(length: UInt32) {
        expectRefusal(of: length, as: .limitExceeded)
    }

    private func expectRefusal(of length: UInt32, as code: LLMgineError.Code) {
        var decoder = FrameDecoder()
        decoder.append(ByteBuffer(integer: length))
        #expect(throws: LLMgineError(code, "")) { try decoder.next() }
    }

    @Test func `takes a frame of exactly its limit`() throws {
        var frame = ByteBuffer(integer: UInt32(WireLimits.handshakeFrame))
        frame.writeBytes([0x7F, 0x00])
        frame.writeRepeatingByte(0, count: WireLimits.handshakeFrame - 2)
        var decoder = FrameDecoder()
        decoder.append(frame)
        #expect(try decoder.next() == .unknown(0x7F))
    }

    @Test func `takes longer frames once its limit is raised`() throws {
        let payload = ByteBuffer(repeating: 7, count: 1 << 20)
        let frame = Frame.data(
            DataFrame(priority: .low, flows: [1], baseSequence: 0, count: 1, messages: Golden.run((MessageFields(topicRef: 1), payload))))
        var bytes = ByteBuffer()
        frame.write(into: &bytes)
        var decoder = FrameDecoder()
        decoder.maximumFrame = WireLimits().maximumFrame
        decoder.append(bytes)
        #expect(try decoder.next() == frame)
    }

    @Test func `keeps throwing after the stream lost its boundaries`() {
        var decoder = FrameDecoder()
        decoder.append(ByteBuffer(integer: 0 as UInt32))
        #expect(throws: LLMgineError(.malformedFrame, "")) { try decoder.next() }
        decoder.append(Self.stream)
        #expect(throws: LLMgineError(.malformedFrame, "")) { try decoder.next() }
    }

    @Test func `keeps no more than has come of a frame that was announced as large`() throws {
        var decoder = FrameDecoder(maximumFrame: 16 << 20)
        decoder.append(ByteBuffer(integer: 16 << 20 as UInt32))
        #expect(try decoder.next() == nil)
        for _ in 0..<10 {
            decoder.append(ByteBuffer(bytes: [0x7F]))
            #expect(try decoder.next() == nil)
        }
        #expect(decoder.pendingBytes == 14)
    }

    @Test func `slices a whole frame out of the read, without a copy`() throws {
        let read = Golden.all.first { $0.frame.type == .data }!.bytes
        var decoder = FrameDecoder()
        decoder.append(read)
        guard case .data(let data) = try decoder.next() else {
            Issue.record("no DATA frame")
            return
        }
        #expect(data.messages.readableBytes > 0)
        #expect(end(of: data.messages) == end(of: read))
    }

    /// Where the readable bytes end in memory.
    private func end(of buffer: ByteBuffer) -> UInt? {
        unsafe buffer.withUnsafeReadableBytes { unsafe $0.baseAddress.map { UInt(bitPattern: $0) + UInt(buffer.readableBytes) } }
    }

    @Test func `survives twenty thousand structured mutations`() {
        for seed in 0..<20_000 as Range<UInt64> {
            var mutation = FrameMutation(random: SeededGenerator(seed: seed))
            Exercise.survives(mutation.next(), origin: "seed \(seed)")
        }
    }
}

/// Makes frames that are nearly right.
struct FrameMutation {
    var random: SeededGenerator

    /// One or two golden frames with up to four changes, half the time with the length put right so that the body is reached.
    mutating func next() -> ByteBuffer {
        var bytes = [UInt8](pick(Golden.all).bytes.readableBytesView)
        for _ in 0..<Int.random(in: 1...4, using: &random) { change(&bytes) }
        let buffer = ByteBuffer(bytes: bytes)
        return Bool.random(using: &random) ? buffer.withFixedLength : buffer
    }

    private mutating func change(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        let index = Int.random(in: 0..<bytes.count, using: &random)
        let end = Int.random(in: index...min(bytes.count, index + 16), using: &random)
        switch Int.random(in: 0..<8, using: &random) {
        case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[index] = pick([0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF])
        case 2: bytes[index] = UInt8.random(in: 0...255, using: &random)
        case 3: bytes.insert(contentsOf: bytes[index..<end], at: index)
        case 4: bytes.removeSubrange(index..<end)
        case 5: bytes.removeSubrange(index...)
        case 6: bytes.insert(contentsOf: pick(FrameMutation.numbers), at: index)
        default: bytes.append(contentsOf: pick(Golden.all).bytes.readableBytesView)
        }
    }

    private mutating func pick<T>(_ choices: [T]) -> T { choices[Int.random(in: 0..<choices.count, using: &random)] }

    /// Varints at the edges: too long, too large, the largest of each width.
    private static let numbers = ["8000", "ffffffff07", "ffffffff0f", "8080808010", "ffffffffffffffffff01", "ffffffffffffffffff7f"].map(
        Hex.bytes)
}
