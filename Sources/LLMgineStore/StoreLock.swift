import LLMgineCore
import Synchronization
import SystemPackage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The right to a store, held through an advisory lock on a file beside it. The system takes it back however the process ends.
final class StoreLock: Sendable {
    private let descriptor: Mutex<Int32?>
    private static let oneAtATime = Mutex(())

    /// Takes the lock for a file that is a store, or may become one. The file is looked at only while the lock is held: "close()" on any descriptor of it
    /// would take this process's locks off it, those of a store that is open here as well (https://sqlite.org/howtocorrupt.html, 2.2). Where no lock file
    /// is there, no store is open, and the look comes first, so that none is made beside what is somebody's.
    /// - Throws: `storageFailed`: the file is no store, another process has the lock, or the directory cannot be written.
    static func take(for file: StoreFile) throws(LLMgineError) -> StoreLock {
        // Of two that find no lock file, the second would look when the first has opened the store.
        try oneAtATime.withLock { _ throws(LLMgineError) in
            if !isThere(beside: file.path) { try file.refuseForeign() }
            let lock = try StoreLock(beside: file.path)
            try file.refuseForeign()
            return lock
        }
    }

    private static func isThere(beside path: String) -> Bool {
        // The call copies the name.
        unsafe access(path + ".lock", F_OK) == 0
    }

    /// - Throws: `storageFailed`: another process has it, or the directory cannot be written.
    private init(beside path: String) throws(LLMgineError) {
        guard !path.isEmpty else { throw LLMgineError(.storageFailed, ": a store needs a path") }
        let name = path + ".lock"
        // The call copies the name.
        let file = unsafe open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw LLMgineError(.storageFailed, "\(path): the file cannot be made: \(Errno(rawValue: errno))") }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let error = errno
            let owner = StoreLock.text(of: file)
            _ = close(file)
            guard error == EWOULDBLOCK else { throw LLMgineError(.storageFailed, "\(name): cannot be locked: \(Errno(rawValue: error))") }
            throw LLMgineError(.storageFailed, "\(path): is in use by another process\(owner.isEmpty ? "" : ", number \(owner)")")
        }
        // For people who look: the lock is what counts, not the text.
        _ = ftruncate(file, 0)
        let text = Array("\(getpid())".utf8)
        // The buffer lives for the call, which keeps no pointer.
        _ = unsafe text.withUnsafeBytes { unsafe pwrite(file, $0.baseAddress, $0.count, 0) }
        descriptor = Mutex(file)
    }

    /// Lets others have it.
    func release() {
        descriptor.withLock { descriptor in
            if let file = descriptor.take() { _ = close(file) }
        }
    }

    deinit { release() }

    private static func text(of file: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 20)
        // The array is as long as the call is told, and the call keeps no pointer to it.
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe pread(file, $0.baseAddress, $0.count, 0) }
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).printable
    }
}
