import FoundationEssentials
import LLMgineCore
import NIOCore
import Synchronization
import SystemPackage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A directory of segments, held by one process at a time through a lock on a file in it. All calls block.
final class JournalFolder: Sendable {
    let path: String
    private let faults: DiskFaults
    private let lock: Mutex<Int32?>

    /// - Throws: `storageFailed`: it cannot be made or written, or another process has it.
    init(_ path: String, faults: DiskFaults) throws(LLMgineError) {
        self.path = path
        self.faults = faults
        // The calls copy the names.
        let isNew = unsafe mkdir(path, 0o700) == 0
        guard isNew || errno == EEXIST else { throw JournalFolder.failure(path, "cannot be made") }
        if isNew { try JournalFolder.sync("\(path)/..") }
        let file = unsafe open("\(path)/\(JournalFolder.lockFile)", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw JournalFolder.failure(path, "cannot be written") }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let error = errno
            let owner = JournalFolder.text(of: file)
            _ = shut(file)
            guard error == EWOULDBLOCK else { throw JournalFolder.failure(path, "cannot be locked", error) }
            throw LLMgineError(.storageFailed, "\(path): is in use by another process\(owner.isEmpty ? "" : ", number \(owner)")")
        }
        // For people who look: the lock is what counts, not the text.
        _ = ftruncate(file, 0)
        let text = Array("\(getpid())".utf8)
        // The array lives for the call, which keeps no pointer.
        _ = unsafe text.withUnsafeBytes { unsafe pwrite(file, $0.baseAddress, $0.count, 0) }
        lock = Mutex(file)
        // A limit on the size of files must be an error of the write and not the end of the process.
        _ = signal(SIGXFSZ, SIG_IGN)
    }

    deinit { release() }

    /// Lets other processes have it.
    func release() {
        lock.withLock { lock in
            if let file = lock.take() { _ = shut(file) }
        }
    }

    /// The segments, oldest first.
    func segments() throws(LLMgineError) -> [String] { try JournalFolder.names(in: path).filter { $0.hasSuffix(JournalFolder.suffix) } }

    /// All that is in a directory, sorted.
    static func names(in path: String) throws(LLMgineError) -> [String] {
        do { return try FileManager.default.contentsOfDirectory(atPath: path).sorted() } catch {
            throw LLMgineError(.storageFailed, "\(path): cannot be read", cause: error)
        }
    }

    static let suffix = ".journal"
    /// The file whose lock says that the directory is in use. It stays when nobody has it.
    static let lockFile = "lock"

    static func name(first: UInt64) -> String {
        let digits = String(first)
        return String(repeating: "0", count: 20 - digits.count) + digits + suffix
    }

    /// The number in the name of a segment.
    static func first(of name: String) -> UInt64? {
        UInt64(name.prefix { $0.isASCII && $0.isNumber }).flatMap { $0 <= JournalRecord.maximumNumber ? $0 : nil }
    }

    func contents(of name: String) throws(LLMgineError) -> ByteBuffer { try JournalFolder.contents(of: "\(path)/\(name)") }

    static func contents(of file: String) throws(LLMgineError) -> ByteBuffer {
        do { return ByteBuffer(bytes: try Data(contentsOf: URL(filePath: file))) } catch {
            throw LLMgineError(.storageFailed, "\(file): cannot be read", cause: error)
        }
    }

    /// Makes a file that was not there.
    func make(_ name: String) throws(LLMgineError) -> JournalFile {
        let file = unsafe open("\(path)/\(name)", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw JournalFolder.failure("\(path)/\(name)", "cannot be made") }
        let made = JournalFile(file, path: "\(path)/\(name)", faults: faults)
        do throws(LLMgineError) { try sync() } catch {
            remove(name)
            throw error
        }
        return made
    }

    /// Gives a damaged segment a name under which nobody reads it. - Returns: that name.
    func setAside(_ name: String) throws(LLMgineError) -> String {
        let place = try free("\(name).quarantined")
        guard move("\(path)/\(name)", "\(path)/\(place)") == 0 else {
            throw JournalFolder.failure("\(path)/\(name)", "cannot be renamed")
        }
        try sync()
        return place
    }

    /// The name, or one like it that no file has: what was set aside before stays.
    private func free(_ name: String) throws(LLMgineError) -> String {
        let taken = Set(try JournalFolder.names(in: path))
        guard taken.contains(name) else { return name }
        return (2...).lazy.map { "\(name)-\($0)" }.first { !taken.contains($0) } ?? name
    }

    func remove(_ name: String) { _ = unsafe unlink("\(path)/\(name)") }

    /// Cuts a file off. What is cut is kept beside it under the name of the segment and `.tail`, if there is room for it on the disk, at the latest once it
    /// is cut off. A disk that is full must not keep a node from starting, and no publish ever returned for what was torn.
    /// - Returns: whether it is kept.
    func cut(_ name: String, at length: Int, keeping tail: ByteBuffer) throws(LLMgineError) -> Bool {
        let isKept = keeps(tail, of: name)
        guard unsafe truncate("\(path)/\(name)", off_t(length)) == 0 else {
            throw JournalFolder.failure("\(path)/\(name)", "cannot be cut off")
        }
        try sync(name)
        return isKept || keeps(tail, of: name)
    }

    private func keeps(_ tail: ByteBuffer, of name: String) -> Bool {
        guard let place = try? free("\(name).tail"), let file = try? make(place) else { return false }
        do throws(LLMgineError) {
            try file.append(tail)
            try file.sync()
            return true
        } catch {
            remove(place)
            return false
        }
    }

    /// Has what an earlier process wrote to a file on the disk.
    func sync(_ name: String) throws(LLMgineError) {
        let file = unsafe open("\(path)/\(name)", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { throw JournalFolder.failure("\(path)/\(name)", "cannot be opened") }
        try JournalFile(file, path: "\(path)/\(name)", faults: faults).sync()
    }

    /// Has the disk know which files there are.
    func sync() throws(LLMgineError) { try JournalFolder.sync(path) }

    private static func sync(_ path: String) throws(LLMgineError) {
        let folder = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw JournalFolder.failure(path, "cannot be opened") }
        defer { _ = shut(folder) }
        guard fsync(folder) == 0 else { throw JournalFolder.failure(path, "cannot be brought to the disk") }
    }

    /// What a short file says.
    private static func text(of file: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 20)
        // The array is as long as the call is told, and the call keeps no pointer to it.
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe pread(file, $0.baseAddress, $0.count, 0) }
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).printable
    }

    static func failure(_ path: String, _ what: String, _ code: Int32 = errno) -> LLMgineError {
        LLMgineError(.storageFailed, "\(path): \(what): \(Errno(rawValue: code))")
    }
}

/// Errors that a disk is to give, for tests. By default it gives its own.
package struct DiskFaults: Sendable {
    /// Asked at each write with its length: how many bytes of it are written all the same, and the error number.
    package var write: @Sendable (_ bytes: Int) -> (taken: Int, error: Int32)?
    /// Asked before each sync of a file, whose path it is told: the error number. May block.
    package var sync: @Sendable (_ path: String) -> Int32?

    package init(
        write: @escaping @Sendable (_ bytes: Int) -> (taken: Int, error: Int32)? = { _ in nil },
        sync: @escaping @Sendable (_ path: String) -> Int32? = { _ in nil }
    ) {
        self.write = write
        self.sync = sync
    }
}

/// A file that is appended to. All calls block.
final class JournalFile: Sendable {
    let path: String
    private let descriptor: Int32
    private let faults: DiskFaults

    init(_ descriptor: Int32, path: String, faults: DiskFaults) {
        self.descriptor = descriptor
        self.path = path
        self.faults = faults
    }

    deinit { _ = shut(descriptor) }

    /// - Throws: `storageFailed`; some of the bytes may be there.
    func append(_ bytes: ByteBuffer) throws(LLMgineError) {
        if let fault = faults.write(bytes.readableBytes) {
            try write(bytes.getSlice(at: bytes.readerIndex, length: min(fault.taken, bytes.readableBytes)) ?? ByteBuffer())
            throw JournalFolder.failure(path, "cannot be written", fault.error)
        }
        try write(bytes)
    }

    private func write(_ bytes: ByteBuffer) throws(LLMgineError) {
        var rest = bytes
        while rest.readableBytes > 0 {
            let count = unsafe rest.withUnsafeReadableBytes { bytes in
                // As many bytes as there are, and the call keeps no pointer to them.
                unsafe put(descriptor, bytes.baseAddress, bytes.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw JournalFolder.failure(path, "cannot be written") }
            rest.moveReaderIndex(forwardBy: count)
        }
    }

    /// Has what was appended on the disk.
    func sync() throws(LLMgineError) {
        if let error = faults.sync(path) { throw JournalFolder.failure(path, "cannot be brought to the disk", error) }
        guard fdatasync(descriptor) == 0 else { throw JournalFolder.failure(path, "cannot be brought to the disk") }
    }

    /// Takes back what was appended beyond a length.
    func cut(to length: Int) throws(LLMgineError) {
        guard ftruncate(descriptor, off_t(length)) == 0, lseek(descriptor, off_t(length), SEEK_SET) >= 0 else {
            throw JournalFolder.failure(path, "cannot be cut off")
        }
    }
}

// Under other names, because the types above have methods of the same.
private func shut(_ file: Int32) -> Int32 { close(file) }
private func put(_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int { unsafe write(file, bytes, count) }
private func move(_ name: String, _ other: String) -> Int32 { unsafe rename(name, other) }
