import LLMgineCore
import LLMgineTestKit
import LLMgineWire
import NIOCore
import Testing

@Suite struct `A packer of frames` {
    private let zip = Zip()

    private func pack(_ buffers: [ByteBuffer], hasControl: Bool = false, with packer: inout FramePacker) -> [ByteBuffer] {
        zip.pack(buffers, hasControl: hasControl, with: &packer)
    }

    private func types(of buffers: [ByteBuffer]) -> [FrameType?] {
        buffers.map { $0.getInteger(at: $0.readerIndex + 4, as: UInt8.self).flatMap(FrameType.init) }
    }

    @Test func `makes one frame of many, which is shorter, and counts what it saved`() throws {
        var packer = FramePacker(limits: WireLimits())
        let events = (0..<100).map { Run.event($0) }
        let packed = pack(events, with: &packer)
        #expect(types(of: packed) == [.compressed])
        #expect(try Run.frames(in: packed) == Run.frames(in: events))
        #expect(packer.plainBytes == UInt64(events.reduce(0) { $0 + $1.readableBytes }))
        #expect(packer.wireBytes == UInt64(packed[0].readableBytes))
        #expect(packer.wireBytes * 5 < packer.plainBytes)
    }

    @Test func `leaves alone what is short and what gets no shorter`() {
        var packer = FramePacker(limits: WireLimits())
        var random = SeededGenerator(seed: 1)
        for buffers in [[], [Run.event(1, bytes: 100)], [Run.noise(40_000, &random)]] {
            let packed = pack(buffers, with: &packer)
            #expect(packed == buffers)
        }
        #expect(packer.plainBytes == packer.wireBytes)
    }

    @Test func `puts control in a run of its own, ahead of the data`() throws {
        var packer = FramePacker(limits: WireLimits())
        let buffers = [Run.grants(100)] + (0..<10).map { Run.event($0) }
        let packed = pack(buffers, hasControl: true, with: &packer)
        #expect(types(of: packed) == [.compressed, .compressed])
        #expect(try Run.frames(in: [packed[0]]).count == 100)
        let few = [Run.grants(2)] + (0..<10).map { Run.event($0) }
        let mixed = pack(few, hasControl: true, with: &packer)
        #expect(types(of: mixed) == [.grant, .compressed])
    }

    @Test func `cuts long control at its frames`() throws {
        var packer = FramePacker(limits: WireLimits())
        var control = Run.grants(10_000)
        control.writeImmutableBuffer(Run.event(1, bytes: 1 << 20))  // one frame that is longer than a run, a REQUEST say
        control.writeImmutableBuffer(Run.grants(3))
        let packed = pack([control], hasControl: true, with: &packer)
        #expect(packed.count == 5 && types(of: packed).prefix(4).allSatisfy { $0 == .compressed })
        #expect(try Run.frames(in: packed) == Run.frames(in: [control]))
    }

    @Test func `fills up what would be denser than a receiver takes`() throws {
        var packer = FramePacker(limits: WireLimits())
        var messages = ByteBuffer()
        MessageWriter.write(MessageFields(topicRef: 1), payload: ByteBuffer(repeating: 0, count: 60_000), into: &messages)
        let zeros = ByteBuffer.of(.data(DataFrame(priority: .low, flows: [1], baseSequence: 0, count: 1, messages: messages)))
        let packed = pack([zeros], with: &packer)
        #expect(types(of: packed) == [.compressed])
        #expect((600..<700).contains(packed[0].readableBytes))
        #expect(try Run.frames(in: packed) == Run.frames(in: [zeros]))
    }

    @Test func `keeps to what the receiver takes of a frame`() throws {
        let limits = WireLimits(maximumPayload: 1 << 10)
        var packer = FramePacker(limits: limits)
        let events = (0..<500).map { Run.event($0, bytes: 1000) }
        let packed = pack(events, with: &packer)
        #expect(types(of: packed).allSatisfy { $0 == .compressed })
        #expect(try Run.frames(in: packed, limits: limits).count == 500)
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func `gives the same frames in the same order, whatever they are`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var packer = FramePacker(limits: WireLimits())
        var (plain, packed): ([ByteBuffer], [ByteBuffer]) = ([], [])
        for _ in 0..<4 {
            let hasControl = Bool.random(using: &random)
            var buffers = hasControl ? [Run.grants(Int.random(in: 1...6000, using: &random))] : []
            for _ in 0..<Int.random(in: 0...20, using: &random) {
                let bytes = [10, 300, 3000, 16_000, 70_000].randomElement(using: &random) ?? 1
                buffers.append(Bool.random(using: &random) ? Run.event(bytes, bytes: bytes) : Run.noise(min(bytes, 3000), &random))
            }
            plain += buffers
            packed += pack(buffers, hasControl: hasControl, with: &packer)
        }
        #expect(try Run.frames(in: packed) == Run.frames(in: plain), "seed \(seed)")
        #expect(packer.wireBytes == UInt64(packed.reduce(0) { $0 + $1.readableBytes }))
        #expect(packer.plainBytes == UInt64(plain.reduce(0) { $0 + $1.readableBytes }))
    }
}

@Suite struct `The effort to pack` {
    @Test func `is saved for longer and longer where it does not pay, and comes back when it does`() {
        var effort = PackingEffort()
        var tries: [Int] = []
        for run in 0..<300 where effort.isWorthATry() {
            tries.append(run)
            effort.tried(hasPaid: false)
        }
        #expect(tries == [0, 2, 6, 14, 30, 62, 126, 190, 254])
        while !effort.isWorthATry() {}
        effort.tried(hasPaid: true)
        #expect(effort.isWorthATry() == true)
        effort.tried(hasPaid: false)
        #expect(effort.isWorthATry() == false)
        #expect(effort.isWorthATry() == true)
    }
}
