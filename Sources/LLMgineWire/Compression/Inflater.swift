import CZlib
package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// Brings back what a ``Deflater`` made shorter, and believes nothing that it is told.
///
/// One serves all links of a thread: it takes 40 KiB, and nothing of one run is left when the next begins.
@safe package struct Inflater: ~Copyable {
    // As in `Deflater`: an address that nobody else has, from `init` to `deinit`.
    private let stream: UnsafeMutablePointer<z_stream>

    package init() {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let result = unsafe czlib_inflate_init(stream)
        precondition(result == Z_OK, "zlib has no memory to inflate with")
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deinitialize(count: 1)
        unsafe stream.deallocate()
    }

    /// Inflates what must come to exactly so many bytes. Memory grows with what has come out, never with what was announced.
    /// - Throws: `malformedFrame` for what deflate does not make, and for more or fewer bytes.
    package borrowing func inflate(_ deflated: ByteBuffer, length: Int) throws(LLMgineError) -> ByteBuffer {
        var output = ByteBuffer()
        var result = Z_OK
        // The pointers that zlib is given are used only inside the closures that lend them; the next run sets both anew.
        let unread = unsafe deflated.withUnsafeReadableBytes { input in
            // zlib reads through this pointer and never writes.
            unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: Bytef.self).baseAddress)
            unsafe stream.pointee.avail_in = uInt(clamping: input.count)
            while result == Z_OK, output.readableBytes < length {
                let step = max(4 * input.count, output.readableBytes, Inflater.leastStep)
                result = extend(&output, by: min(step, length - output.readableBytes))
            }
            return unsafe stream.pointee.avail_in
        }
        unsafe inflateReset(stream)
        guard result == Z_STREAM_END || result == Z_OK else {
            throw LLMgineError(.malformedFrame, "COMPRESSED: the bytes are not deflated, or not all of them are there")
        }
        guard result == Z_STREAM_END, unread == 0, output.readableBytes == length else {
            throw LLMgineError(.malformedFrame, "COMPRESSED: there are not just the \(length) bytes that it announces")
        }
        return output
    }

    private static let leastStep = 4096

    /// One call of zlib that may write so many bytes.
    private borrowing func extend(_ output: inout ByteBuffer, by room: Int) -> Int32 {
        var result = Z_OK
        unsafe output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { space in
            unsafe stream.pointee.next_out = space.bindMemory(to: Bytef.self).baseAddress
            unsafe stream.pointee.avail_out = uInt(clamping: min(room, space.count))
            result = unsafe CZlib.inflate(stream, Z_NO_FLUSH)
            return unsafe min(room, space.count) - Int(stream.pointee.avail_out)
        }
        return result
    }
}
