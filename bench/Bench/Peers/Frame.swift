import struct NIOCore.ByteBuffer

/// The frame of the bare stream: as long as ours with a 128-byte payload, 145 bytes, of which the receiver reads length, kind and number.
///
/// `u32 length of what follows, u8 kind, u64 sequence, 132 bytes`.
enum Frame {
    static let bytes = 145
    /// What fits in one TLS record.
    static let perRecord = 16_384 / bytes

    enum Kind: UInt8 {
        case data = 0
        case end = 1
    }

    static let filler = [UInt8](repeating: 0x5A, count: bytes - 13)

    static func write(_ kind: Kind, _ sequence: UInt64, into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(UInt32(bytes - 4), kind.rawValue, sequence)
        buffer.writeBytes(filler)
    }

    /// Takes the next frame, nil while it is incomplete.
    static func read(from buffer: inout ByteBuffer) -> (kind: UInt8, sequence: UInt64)? {
        let start = buffer.readerIndex
        guard let length = buffer.getInteger(at: start, as: UInt32.self), buffer.readableBytes >= Int(length) + 4,
            let kind = buffer.getInteger(at: start + 4, as: UInt8.self), let sequence = buffer.getInteger(at: start + 5, as: UInt64.self)
        else { return nil }
        buffer.moveReaderIndex(forwardBy: Int(length) + 4)
        return (kind, sequence)
    }
}
