import Foundation
import LLMgineCore
import LLMgineLink
import LLMgineTestKit
import LLMgineWire
import NIOCore
import Testing

/// Guarantee G13: no frame before the handshake is taken for anything, and no order of frames brings a link out of step.
@Suite struct `A link that is fed anything` {
    private static let samples = FrameSamples.all.map { ($0, FuzzedLink.bytes(of: $0)) }

    @Test func `is fed every type of frame`() {
        #expect(Set(FrameSamples.all.compactMap(\.type)) == Set(FrameType.allCases))
    }

    @Test(arguments: FuzzedLink.Start.allCases)
    func `takes every frame, and every frame twice, in every state`(start: FuzzedLink.Start) {
        for (frame, bytes) in Self.samples {
            for times in 1...2 {
                var link = FuzzedLink(at: start)
                for _ in 0..<times { link.read(bytes) }
                #expect(link.complaints == [], "\(frame) in \(start), \(times) times")
                if start == .awaitingHello, frame.type != .hello {
                    #expect(link.closure != nil && !link.isEstablished && link.delivered == 0, "\(frame) before HELLO")
                }
                if start != .awaitingHello, start != .closed, frame.type == .hello {
                    #expect(link.closure?.reason == .unexpectedFrame, "a second HELLO in \(start)")
                }
            }
        }
    }

    @Test func `takes every pair of frames in either order`() {
        for (first, firstBytes) in Self.samples {
            for (second, secondBytes) in Self.samples {
                for start in FuzzedLink.Start.allCases {
                    var link = FuzzedLink(at: start)
                    link.read(firstBytes)
                    link.read(secondBytes)
                    if !link.complaints.isEmpty { Issue.record("\(first), \(second) in \(start): \(link.complaints)") }
                }
            }
        }
    }

    @Test func `comes to the same wherever a stream is split`() {
        let stream = Self.samples.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1.1) }
        var whole = FuzzedLink(at: .awaitingHello)
        whole.read(stream)
        let (delivered, closure) = (whole.delivered, whole.closure)
        #expect(delivered > 10 && closure?.origin == .peer)
        for split in 1..<stream.readableBytes {
            var link = FuzzedLink(at: .awaitingHello)
            link.read(stream.getSlice(at: 0, length: split) ?? ByteBuffer())
            link.read(stream.getSlice(at: split, length: stream.readableBytes - split) ?? ByteBuffer())
            if link.delivered != delivered || link.closure != closure || !link.complaints.isEmpty {
                Issue.record("split at \(split): \(link.delivered) frames, \(String(describing: link.closure)), \(link.complaints)")
            }
        }
    }

    @Test func `survives twenty thousand seeded streams`() {
        for seed in 0..<20_000 as Range<UInt64> {
            let bytes = Self.stream(seed)
            let complaints = Fuzz.link(bytes)
            if !complaints.isEmpty { Issue.record("seed \(seed): \(complaints)") }
        }
    }

    @Test func `survives the corpus`() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Corpus/links")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path()).filter { $0.hasSuffix(".hex") }
        #expect(!files.isEmpty)
        for file in files.sorted() {
            let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
            let digits = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.joined().filter(\.isHexDigit)
            let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap { offset -> UInt8? in
                let start = digits.index(digits.startIndex, offsetBy: offset)
                return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16)
            }
            #expect(Fuzz.link(bytes) == [], "\(file)")
        }
    }

    /// Frames in any order, some of them changed, after a byte that says in which state they come and how they are cut.
    private static func stream(_ seed: UInt64) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        var bytes = [UInt8(below(256))]
        for _ in 0..<1 + below(5) {
            var frame = Array(samples[below(samples.count)].1.readableBytesView)
            if below(2) == 0 {
                for _ in 0..<1 + below(3) {
                    let place = below(frame.count)
                    switch below(4) {
                    case 0: frame[place] ^= 1 << UInt8(below(8))
                    case 1: frame[place] = [0x00, 0x01, 0x7F, 0x80, 0xFF][below(5)]
                    case 2: frame.insert(UInt8(below(256)), at: place)
                    default: if frame.count > 1 { frame.remove(at: place) }
                    }
                }
                // Half of them with a length that fits, so that the body is reached.
                if frame.count >= 6, below(2) == 0 {
                    let length = UInt32(frame.count - 4)
                    for index in 0..<4 { frame[index] = UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * index)) }
                }
            }
            bytes += frame
        }
        return bytes
    }
}
