package import struct NIOCore.ByteBuffer

/// Asks a quiet peer for a sign of life and says which interest it should know by now.
package struct PingFrame: FrameBody {
    /// Comes back in the PONG.
    package var nonce: UInt64
    /// The version of the sender's own interest.
    package var interestVersion: UInt64
    /// The hash of the sender's own interest at that version.
    package var interestHash: UInt64

    package init(nonce: UInt64, interestVersion: UInt64, interestHash: UInt64) {
        self.nonce = nonce
        self.interestVersion = interestVersion
        self.interestHash = interestHash
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        nonce = try reader.varint()
        interestVersion = try reader.varint()
        interestHash = try reader.u64()
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(nonce)
        buffer.writeVarint(interestVersion)
        buffer.writeInteger(interestHash)
    }
}
