package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// A run of whole frames, deflated as RFC 1951 has it, without header or checksum, since TLS has verified every byte.
///
/// Each run is deflated by itself. A history over the whole link would save 5 to 15 % of what a busy one sends (`bench/README.md`), and cost 300 KiB
/// for every link and the secrecy of what was said earlier, at which an observer could guess by the lengths of what comes later.
package struct CompressedFrame: FrameBody {
    /// How many bytes the run has.
    package var length: UInt64
    /// The run, deflated. Not verified: ask ``run(with:limits:)``.
    package var deflated: ByteBuffer

    package init(length: UInt64, deflated: ByteBuffer) {
        self.length = length
        self.deflated = deflated
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        length = try reader.varint()
        guard length >= CompressedFrame.leastRun else { throw .wrongCount }
        deflated = reader.remainder()
        guard deflated.readableBytes > 0 else { throw .truncated }
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(length)
        buffer.writeImmutableBuffer(deflated)
    }

    /// What the frame takes on the wire, from its length field to its end.
    package var wireBytes: Int { 6 + Varint.length(length) + deflated.readableBytes }

    /// A run is one frame at least, and that has a length, a type and flags.
    private static let leastRun: UInt64 = 6

    /// The run: whole frames, which ``FrameDecoder/unpack(_:)`` cuts.
    /// - Throws: `limitExceeded` for what is, or would become, too long; `malformedFrame` for what deflate does not make or another length.
    package func run(with inflater: borrowing Inflater, limits: WireLimits) throws(LLMgineError) -> ByteBuffer {
        guard length <= UInt64(limits.maximumFrame) else {
            throw LLMgineError(.limitExceeded, "COMPRESSED: \(length) bytes inflated, where at most \(limits.maximumFrame) are allowed")
        }
        guard length <= UInt64(deflated.readableBytes * WireLimits.inflation) else {
            throw LLMgineError(
                .limitExceeded,
                "COMPRESSED: \(length) bytes out of \(deflated.readableBytes), more than \(WireLimits.inflation) times as many")
        }
        return try inflater.inflate(deflated, length: Int(length))
    }
}

extension CompressedFrame {
    /// The frame that holds a run, as it goes over the wire.
    /// - Parameters:
    ///   - length: how many bytes the run has.
    ///   - maximum: how many bytes the frame may have, its length field included. - Returns: nil if it would have more.
    static func written(_ run: ArraySlice<ByteBuffer>, length: Int, maximum: Int, with deflater: borrowing Deflater) -> ByteBuffer? {
        var frame = ByteBuffer()
        frame.reserveCapacity(maximum)
        Frame.write(.compressed, followedBy: 0, into: &frame) { $0.writeVarint(length) }
        let start = frame.writerIndex
        guard deflater.deflate(run, into: &frame, maximum: maximum - start) else { return nil }
        let missing = (length + WireLimits.inflation - 1) / WireLimits.inflation - (frame.writerIndex - start)
        if missing > 0 { fill(&frame, from: start, with: missing) }
        frame.setInteger(UInt32(clamping: frame.readableBytes - 4), at: 0)
        return frame
    }

    /// What shrinks to less than a hundredth gets empty blocks before it, which deflate allows, so that the receiver's limit can be a hard one.
    private static func fill(_ frame: inout ByteBuffer, from start: Int, with missing: Int) {
        let deflated = frame.getSlice(at: start, length: frame.writerIndex - start) ?? ByteBuffer()
        frame.moveWriterIndex(to: start)
        for _ in 0..<(missing + emptyBlock.count - 1) / emptyBlock.count { frame.writeBytes(emptyBlock) }
        frame.writeImmutableBuffer(deflated)
    }

    /// A stored block of no bytes, not the last one.
    private static let emptyBlock: [UInt8] = [0x00, 0x00, 0x00, 0xFF, 0xFF]
}
