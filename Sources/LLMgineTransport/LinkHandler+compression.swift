import LLMgineCore
import LLMgineLink
import LLMgineWire
import NIOCore
import NIOPosix
import Synchronization

/// What a compressed link has saved, since it was established.
package struct CompressionTally: Sendable, Hashable {
    /// Bytes of frames that were sent.
    package var sent: UInt64 = 0
    /// Bytes that went over the wire for them.
    package var sentOnWire: UInt64 = 0
    /// Bytes of frames that came.
    package var received: UInt64 = 0
    /// Bytes that came over the wire for them.
    package var receivedOnWire: UInt64 = 0
}

/// zlib's working memory, 300 KiB. One for each thread of the links, however many there are, since nothing of a run outlives the call.
private final class LinkZlib: Sendable {
    /// Never contended: each belongs to one thread.
    let deflater = Mutex(Deflater())
    let inflater = Mutex(Inflater())

    private static let ofThread = ThreadSpecificVariable<LinkZlib>()

    static var current: LinkZlib {
        if let known = ofThread.currentValue { return known }
        let made = LinkZlib()
        ofThread.currentValue = made
        return made
    }
}

extension LinkHandler {
    /// Both ends have offered compression.
    func beginCompression(_ limits: WireLimits) {
        packer = FramePacker(limits: limits)
        connection.measured(compressed)
    }

    /// What is to be written for what the outbox gave.
    func packed(_ drained: Outbox.Drained) -> [ByteBuffer] {
        guard !drained.buffers.isEmpty else { return [] }
        let buffers = LinkZlib.current.deflater.withLock { deflater in
            packer?.pack(drained.buffers, hasControl: drained.hasControl, with: deflater)
        }
        if let packer { (compressed.sent, compressed.sentOnWire) = (packer.plainBytes, packer.wireBytes) }
        connection.measured(compressed)
        return buffers ?? drained.buffers
    }

    /// The decoder goes on with what the frame holds.
    func inflate(_ frame: CompressedFrame) throws(LLMgineError) {
        let limits = self.limits
        let result = LinkZlib.current.inflater.withLock { inflater -> Result<ByteBuffer, LLMgineError> in
            do throws(LLMgineError) { return .success(try frame.run(with: inflater, limits: limits)) } catch { return .failure(error) }
        }
        let run = try result.get()
        compressed.received &+= UInt64(run.readableBytes)
        compressed.receivedOnWire &+= UInt64(frame.wireBytes)
        connection.measured(compressed)
        decoder.unpack(run)
    }
}
