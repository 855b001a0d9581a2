package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// Cuts what a socket brings, split anywhere, into frames.
///
/// A frame that lies whole in one read is a slice of it. Only the start of a frame at the end of a read is copied, once, and kept until
/// its rest has come; memory grows with what has arrived, never with what was announced.
///
/// ```swift
/// decoder.append(read)
/// while let frame = try decoder.next() { ... }
/// ```
package struct FrameDecoder: Sendable {
    /// The most bytes of one frame after its length field: what is announced as longer is refused when the announcement comes.
    package var maximumFrame: Int

    private var read = ByteBuffer()  // not yet cut
    private var run = ByteBuffer()  // came compressed, and comes before both
    private var partial = ByteBuffer()  // the start of one frame; `read` holds what comes after it
    private var failure: LLMgineError?

    /// A decoder that starts with the limit for a peer that has not said who it is.
    package init(maximumFrame: Int = WireLimits.handshakeFrame) { self.maximumFrame = maximumFrame }

    /// Bytes that came and are part of no frame yet.
    package var pendingBytes: Int { partial.readableBytes + read.readableBytes }

    /// Takes what a read brought. Draining ``next()`` before the next read keeps this free of copies.
    package mutating func append(_ bytes: ByteBuffer) {
        if read.readableBytes == 0 {
            read = bytes
        } else {
            read.writeImmutableBuffer(bytes)
        }
    }

    /// Takes the frames that a COMPRESSED frame held: they come next.
    package mutating func unpack(_ run: ByteBuffer) { self.run = run }

    /// Takes out what came and is part of no frame yet: for another decoder.
    package mutating func takePending() -> ByteBuffer {
        var pending = partial
        pending.writeImmutableBuffer(read)
        partial = ByteBuffer()
        read = ByteBuffer()
        return pending
    }

    /// The next whole frame, nil if more has to come first.
    /// - Throws: `malformedFrame`, `limitExceeded` or `unexpectedFrame`. The stream has then lost its frame boundaries for good: every
    ///   later call throws the same.
    package mutating func next() throws(LLMgineError) -> Frame? {
        if let failure { throw failure }
        do throws(LLMgineError) {
            if run.readableBytes > 0 { return try Frame.read(try cutRun()) }
            guard let bytes = partial.readableBytes > 0 ? try completePartial() : try cut() else { return nil }
            return try Frame.read(bytes)
        } catch {
            failure = error
            read = ByteBuffer()
            partial = ByteBuffer()
            run = ByteBuffer()
            throw error
        }
    }

    /// Cuts a frame off the run, which holds whole frames only, and none of those that never come compressed.
    private mutating func cutRun() throws(LLMgineError) -> ByteBuffer {
        guard let length = try announcedLength(in: run), run.readableBytes - FrameDecoder.lengthBytes >= length else {
            throw LLMgineError(.malformedFrame, "COMPRESSED: a frame runs past the end")
        }
        run.moveReaderIndex(forwardBy: FrameDecoder.lengthBytes)
        let type = run.getInteger(at: run.readerIndex, as: UInt8.self).flatMap(FrameType.init)
        if let type, !type.mayBeCompressed { throw LLMgineError(.unexpectedFrame, "\(type.name) in COMPRESSED") }
        let frame = run.readSlice(length: length) ?? ByteBuffer()
        if run.readableBytes == 0 { run = ByteBuffer() }
        return frame
    }

    /// Cuts a frame off the read; keeps the start of one as the partial and lets go of the read.
    private mutating func cut() throws(LLMgineError) -> ByteBuffer? {
        if let length = try announcedLength(in: read), read.readableBytes - FrameDecoder.lengthBytes >= length {
            read.moveReaderIndex(forwardBy: FrameDecoder.lengthBytes)
            return read.readSlice(length: length)
        }
        partial.writeImmutableBuffer(read)
        read = ByteBuffer()
        return nil
    }

    /// Brings the partial frame to its end, first of its length field, then of the frame, taking no byte that is not its own.
    private mutating func completePartial() throws(LLMgineError) -> ByteBuffer? {
        fillPartial(to: FrameDecoder.lengthBytes)
        guard let length = try announcedLength(in: partial) else { return nil }
        fillPartial(to: FrameDecoder.lengthBytes + length)
        guard partial.readableBytes == FrameDecoder.lengthBytes + length else { return nil }
        var frame = partial
        partial = ByteBuffer()
        frame.moveReaderIndex(forwardBy: FrameDecoder.lengthBytes)
        return frame
    }

    private mutating func fillPartial(to count: Int) {
        let wanted = min(count - partial.readableBytes, read.readableBytes)
        guard wanted > 0, let piece = read.readSlice(length: wanted) else { return }
        partial.writeImmutableBuffer(piece)
    }

    /// The length that the frame's first four bytes announce, nil if they are not all there.
    private func announcedLength(in bytes: ByteBuffer) throws(LLMgineError) -> Int? {
        guard let announced = bytes.getInteger(at: bytes.readerIndex, as: UInt32.self) else { return nil }
        let length = Int(announced)
        guard length >= FrameDecoder.minimumLength else {
            throw LLMgineError(.malformedFrame, "a frame of \(length) bytes has no room for its type and flags")
        }
        guard length <= maximumFrame else {
            throw LLMgineError(.limitExceeded, "a frame of \(length) bytes, where at most \(maximumFrame) are allowed")
        }
        return length
    }

    private static let lengthBytes = 4
    private static let minimumLength = 2  // type and flags
}
