import NIOCore

/// What is in the bytes of one segment, sound or not: every record whose checksum holds, and where others must have been.
///
/// A segment starts with its magic, the number of its first record and a CRC-32 of both. A place that makes no sense is searched byte by byte for
/// the next record: if there is one, something in the middle is damaged; if there is none, the end is torn, as a crash leaves it.
struct SegmentScan: Sendable {
    static let magic: UInt64 = 0x4C4C_4D47_4A52_4E31  // LLMGJRN1
    static let headerBytes = 20

    /// The number that its first record has, as its header says; nil if that makes no sense.
    private(set) var first: UInt64?
    /// Sound records, ascending, and where they begin.
    private(set) var records: [(record: JournalRecord, offset: Int)] = []
    /// Up to where everything is sound.
    private(set) var soundBytes = 0
    /// Stretches that make no sense, with sound records behind each.
    private(set) var damage: [Range<Int>] = []
    /// What makes no sense at the end.
    private(set) var tail: Range<Int>

    /// How far numbers may jump over what is damaged: keeps chance from looking like a record.
    private static let longestJump: UInt64 = 1 << 24

    /// - Parameters:
    ///   - name: that of the file, which tells the number of the first record where the header does not.
    ///   - last: the number of the last record of the segments before it.
    init(_ bytes: ByteBuffer, called name: String, after last: UInt64) {
        var rest = bytes
        let start = bytes.readerIndex
        tail = bytes.readableBytes..<bytes.readableBytes
        var expected = SegmentScan.readHeader(&rest)
        first = expected
        var previous = max(last, max(1, JournalFolder.first(of: name) ?? 1) - 1)
        var isSound = expected != nil
        if isSound { soundBytes = SegmentScan.headerBytes } else { rest.moveReaderIndex(to: start) }
        var lost: Int? = isSound ? nil : 0
        while rest.readableBytes > 0 {
            var attempt = rest
            if let record = SegmentScan.read(&attempt, expecting: expected, after: previous) {
                if let from = lost { damage.append(from..<rest.readerIndex - start) }
                lost = nil
                records.append((record, rest.readerIndex - start))
                previous = record.number
                expected = previous + 1
                rest = attempt
                if isSound { soundBytes = rest.readerIndex - start }
            } else {
                if lost == nil { lost = rest.readerIndex - start }
                isSound = false
                expected = nil
                rest.moveReaderIndex(forwardBy: 1)
            }
        }
        if let lost { tail = lost..<bytes.readableBytes }
    }

    /// The numbers of the events among the records.
    var events: [UInt64] {
        records.compactMap { if case .event = $0.record.content { $0.record.number } else { nil } }
    }

    private static func readHeader(_ bytes: inout ByteBuffer) -> UInt64? {
        guard let header = bytes.readSlice(length: headerBytes), header.getInteger(at: header.readerIndex, as: UInt64.self) == magic,
            let first = header.getInteger(at: header.readerIndex + 8, as: UInt64.self),
            header.getInteger(at: header.readerIndex + 16, as: UInt32.self) == CRC32.of(header.readableBytesUInt8Span.extracting(0..<16)),
            first <= JournalRecord.maximumNumber
        else { return nil }
        return first
    }

    static func header(first: UInt64) -> ByteBuffer {
        var header = ByteBuffer()
        header.writeInteger(magic)
        header.writeInteger(first)
        header.writeInteger(CRC32.of(header.readableBytesUInt8Span))
        return header
    }

    /// One record that may stand here. What is cheap to see is looked at before the checksum is, so that the search costs little a byte.
    private static func read(_ bytes: inout ByteBuffer, expecting expected: UInt64?, after last: UInt64) -> JournalRecord? {
        guard let number = bytes.getInteger(at: bytes.readerIndex + JournalRecord.headerBytes, as: UInt64.self),
            number <= JournalRecord.maximumNumber
        else { return nil }
        if let expected {
            guard number == expected else { return nil }
        } else {
            guard number > last, number - last <= longestJump else { return nil }
        }
        return JournalRecord.read(from: &bytes)
    }
}
