package import LLMgineBus
package import NIOCore

/// The format on the disk, piece by piece: for tests and tools that make files of their own.
package enum JournalBytes {
    /// What a file of this first number is called.
    package static func name(first: UInt64) -> String { JournalFolder.name(first: first) }
    /// What it begins with.
    package static func header(first: UInt64) -> ByteBuffer { SegmentScan.header(first: first) }
    /// The record of an event.
    package static func event(_ event: JournaledEvent, number: UInt64) -> ByteBuffer { bytes(of: JournalRecord(number, .event(event))) }
    /// The record that says that an obligation is met.
    package static func settled(_ event: UInt64, _ obligation: String, number: UInt64) -> ByteBuffer {
        bytes(of: JournalRecord(number, .settled(event, obligation: obligation)))
    }

    private static func bytes(of record: JournalRecord) -> ByteBuffer {
        var buffer = ByteBuffer()
        record.write(into: &buffer)
        return buffer
    }
}
