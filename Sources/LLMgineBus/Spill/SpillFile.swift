package import LLMgineCore
package import NIOCore
import Synchronization
import SystemPackage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Records in the order in which they were written, on the disk, as long as they take no more than so many bytes there.
///
/// They lie in segments of a few megabytes, each a file of its own, which is given back once it has been read. A file has no name: it is taken out of its
/// directory as soon as it is open, so nothing is left behind, however the process ends. For one thread at a time.
package struct SpillFile: ~Copyable {
    private struct Segment {
        let descriptor: Int32
        /// In bytes.
        var written = 0
        var read = 0
        /// How many are still to be read.
        var records = 0
    }

    private let directory: String
    private let maximumBytes: Int
    private let segmentBytes: Int
    private var segments: [Segment] = []
    /// What the segments take on the disk.
    package private(set) var size = 0

    private static let readBytes = 256 << 10
    private static let numbers = Atomic<UInt64>(0)

    /// Makes no file yet.
    package init(in directory: String, maximumBytes: Int) {
        self.directory = directory
        self.maximumBytes = maximumBytes
        segmentBytes = min(max(maximumBytes / 8, 64 << 10), 8 << 20)
    }

    deinit {
        for segment in segments { _ = close(segment.descriptor) }
    }

    /// Whether everything was read.
    package var isEmpty: Bool { segments.isEmpty }

    /// Writes a record behind the others, or nothing of it.
    /// - Throws: `limitExceeded` if there is no room for it by the limit, `storageFailed` if the disk does not take it.
    package mutating func append(_ record: ByteBuffer) throws(LLMgineError) {
        guard record.readableBytes <= maximumBytes - size else {
            throw LLMgineError(.limitExceeded, "events on the disk take the \(maximumBytes) bytes that they may")
        }
        if segments.isEmpty || segments[segments.count - 1].written >= segmentBytes { segments.append(try makeSegment()) }
        let last = segments.count - 1
        let (descriptor, start) = (segments[last].descriptor, segments[last].written)
        var done = 0
        while done < record.readableBytes {
            let view = record.readableBytesView[(record.readerIndex + done)...]
            // The view lives for the call, which keeps no pointer and writes no more than it is told.
            let count = unsafe view.withUnsafeBytes {
                unsafe pwrite(descriptor, $0.baseAddress, $0.count, off_t(start + done))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let error = errno
                _ = ftruncate(descriptor, off_t(start))
                if start == 0 { drop(last) }
                throw SpillFile.failed("write", in: directory, error)
            }
            done += count
        }
        segments[last].written += done
        segments[last].records += 1
        size += done
    }

    /// What was read at a time.
    package struct Batch: Sendable {
        /// The records, without the number of bytes before each.
        package var records: [ByteBuffer] = []
        /// How many the disk did not give back.
        package var lost = 0

        package init(records: [ByteBuffer] = [], lost: Int = 0) {
            self.records = records
            self.lost = lost
        }
    }

    /// Takes the oldest records out, about as many as a quarter of a megabyte holds. Nothing if there are none. When a segment cannot be read, all that is
    /// left in it is lost.
    package mutating func next() -> Batch {
        guard let first = segments.first else { return Batch() }
        var wanted = min(SpillFile.readBytes, first.written - first.read)
        if let length = bytes(4)?.getInteger(at: 0, as: UInt32.self) {
            wanted = max(wanted, 4 + Int(length))  // a record may be longer than a read
        }
        guard first.read + wanted <= first.written, var buffer = bytes(wanted) else { return giveUp() }
        var batch = Batch()
        while let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self),
            let record = buffer.getSlice(at: buffer.readerIndex + 4, length: Int(length))
        {
            buffer.moveReaderIndex(forwardBy: 4 + Int(length))
            batch.records.append(record)
        }
        guard !batch.records.isEmpty else { return giveUp() }
        segments[0].read += buffer.readerIndex
        segments[0].records -= batch.records.count
        if segments[0].read == segments[0].written { drop(0) }
        return batch
    }

    private mutating func giveUp() -> Batch {
        let lost = segments[0].records
        drop(0)
        return Batch(lost: lost)
    }

    // MARK: The system

    /// Where files go that need not be kept.
    package static var temporaryDirectory: String {
        // The text belongs to the environment and is copied at once.
        guard let text = unsafe getenv("TMPDIR"), case let directory = unsafe String(cString: text), !directory.isEmpty else {
            return "/tmp"
        }
        return directory
    }

    /// Makes a file in the directory and gives it back, to see whether events could lie there. - Throws: `storageFailed`, with the system's reason.
    package static func check(_ directory: String) throws(LLMgineError) {
        let descriptor = try makeFile(in: directory)
        _ = close(descriptor)
    }

    private func makeSegment() throws(LLMgineError) -> Segment { Segment(descriptor: try SpillFile.makeFile(in: directory)) }

    private static func makeFile(in directory: String) throws(LLMgineError) -> Int32 {
        let number = SpillFile.numbers.add(1, ordering: .relaxed).newValue
        let name = "\(directory)/llmgine-spill-\(getpid())-\(number)"
        // The calls copy the name.
        let descriptor = unsafe open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SpillFile.failed("make a file", in: directory, errno) }
        _ = unsafe unlink(name)
        return descriptor
    }

    /// So many bytes of the oldest segment, from where it was read up to; nil if the disk does not give them.
    private func bytes(_ count: Int) -> ByteBuffer? {
        let (descriptor, start) = (segments[0].descriptor, segments[0].read)
        var content = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            // The array is as long as the call is told, and the call keeps no pointer to it.
            let got = unsafe content.withUnsafeMutableBytes { buffer in
                unsafe pread(descriptor, buffer.baseAddress.map { unsafe $0 + done }, count - done, off_t(start + done))
            }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { return nil }
            done += got
        }
        return ByteBuffer(bytes: content)
    }

    private mutating func drop(_ index: Int) {
        let segment = segments.remove(at: index)
        size -= segment.written
        _ = close(segment.descriptor)
    }

    private static func failed(_ what: String, in directory: String, _ error: Int32) -> LLMgineError {
        LLMgineError(.storageFailed, "cannot \(what) in \(directory): \(Errno(rawValue: error))")
    }
}
