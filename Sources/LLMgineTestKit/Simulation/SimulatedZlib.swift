import LLMgineWire
import NIOCore

/// zlib's working memory, one for all links of a simulation, as one serves all links of a thread.
final class SimulatedZlib {
    let deflater = Deflater()
    let inflater = Inflater()

    /// A COMPRESSED frame that inflates to far more than a hundred times its bytes.
    private(set) lazy var bomb: ByteBuffer = {
        var run = ByteBuffer()
        run.writeRepeatingByte(0, count: 64 << 10)
        var deflated = ByteBuffer()
        precondition(deflater.deflate([run], into: &deflated, maximum: 1024), "zeros deflate to next to nothing")
        var frame = ByteBuffer()
        Frame.compressed(CompressedFrame(length: UInt64(run.readableBytes), deflated: deflated)).write(into: &frame)
        return frame
    }()
}
