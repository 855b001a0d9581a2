public import LLMgineCore
import Synchronization
import SystemPackage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Writes events to a file, one JSON object a line, with the keys `event_id`, `timestamp`, `metadata`, `session_id`, `event_type`.
///
/// Lines are gathered and written together: when 64 KiB are full, or when no further event waits. Payloads are never written.
public final class FileHandler: ObservabilityHandler {
    /// Where the events go.
    public let path: String
    private let file: Int32
    private let pending = Mutex<[UInt8]>([])
    private let lost = Atomic(0)

    private static let writeSize = 64 * 1024

    /// Opens the file to append to, and makes the directory if there is none.
    /// - Parameters:
    ///   - directory: where the file is; by default `logs`.
    ///   - filename: its name; by default `events_YYYYmmdd_HHMMSS.jsonl` with the time of now in UTC.
    /// - Throws: `invalidConfiguration` if the directory or file cannot be made.
    public init(directory: String = "logs", filename: String? = nil) throws(LLMgineError) {
        path = "\(directory)/\(filename ?? "events_\(CalendarTime(UnixClock().now()).fileStamp).jsonl")"
        // The texts live for the calls, which keep no pointer.
        guard unsafe mkdir(directory, 0o755) == 0 || errno == EEXIST else {
            throw LLMgineError(.invalidConfiguration, "cannot make the directory \(directory): \(Errno(rawValue: errno))")
        }
        file = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard file >= 0 else { throw LLMgineError(.invalidConfiguration, "cannot open \(path): \(Errno(rawValue: errno))") }
    }

    deinit {
        flush()
        _ = close(file)
    }

    /// Gathers the event.
    public func handle(_ event: ObservedEvent) {
        let isFull = pending.withLock { pending in
            event.appendJSON(to: &pending)
            pending.append(UInt8(ascii: "\n"))
            return pending.count >= Self.writeSize
        }
        if isFull { flush() }
    }

    /// Writes what was gathered. What the disk does not take is dropped and counted in ``lostBytes``.
    public func flush() {
        pending.withLock { pending in
            let written = Descriptor.write(pending, to: file)
            if written < pending.count { lost.add(pending.count - written, ordering: .relaxed) }
            pending.removeAll(keepingCapacity: true)
        }
    }

    /// Bytes that could not be written, because the disk is full or gone.
    public var lostBytes: Int { lost.load(ordering: .relaxed) }
}
