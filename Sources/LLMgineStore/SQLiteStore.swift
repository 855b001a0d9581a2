import FoundationEssentials
import GRDB
public import LLMgineBus
public import LLMgineCore
public import Logging
import Synchronization

/// What a bus must not forget, in one SQLite file that any tool can read.
///
/// One process at a time has the file, by a lock on `<path>.lock`: a second one is refused. Nobody but the owner may read it. A store that is
/// damaged is set aside under another name, never deleted; a file that does not begin like one is refused and stays as it is. Writing is the work
/// of one queue that puts everything which waits into one transaction, so neither a publisher nor a handler ever waits for the disk.
///
/// ```swift
/// let store = try SQLiteStore(path: "llmgine.db")
/// let bus = MessageBus(store: store)
/// // subscribe, then
/// await bus.resume()
/// ```
public final class SQLiteStore: BusStore {
    /// How a store is kept.
    public struct Options: Sendable, Hashable {
        /// The most bytes that the file may have; what does not fit is refused and counted. Default 4 GiB.
        public var maximumBytes: Int
        /// How many events the log keeps; the oldest go. Default 1,000,000.
        public var logCapacity: Int

        /// Options with the documented defaults.
        public init(maximumBytes: Int = 4 << 30, logCapacity: Int = 1_000_000) {
            self.maximumBytes = max(64 << 10, maximumBytes)
            self.logCapacity = max(1, logCapacity)
        }
    }

    /// Where the file is.
    public let path: String
    /// Where the file went that was found damaged; nil if it was sound, or new.
    public let setAside: String?
    let database: DatabaseQueue
    private let writer: StoreWriter
    private let earlier: EarlierContents
    private let lock: StoreLock

    /// Opens the file, or makes one. Blocks until what is in it has been read.
    /// - Parameter logger: hears when writing begins to fail and when it works again.
    /// - Throws: `storageFailed`, naming the file: it is no store, in use by another process, of a later version, or cannot be written.
    public init(path: String, options: Options = Options(), logger: Logger? = nil) throws(LLMgineError) {
        self.path = path
        let file = StoreFile(path: path, maximumBytes: options.maximumBytes)
        lock = try StoreLock.take(for: file)
        let opened = try file.open()
        database = opened.database
        setAside = opened.setAside
        earlier = EarlierContents(opened.contents)
        writer = StoreWriter(opened.database, path: path, logCapacity: options.logCapacity, logger: logger)
        if let setAside { logger?.error("the store was damaged and begins anew", metadata: ["kept": "\(setAside)"]) }
        if earlier.unreadable > 0 {
            logger?.error("rows of the store make no sense and stay there", metadata: ["rows": "\(earlier.unreadable)"])
        }
    }

    /// How many rows made no sense when the file was opened. They stay where they are.
    public var unreadableRows: Int { earlier.unreadable }

    /// What became of the changes so far.
    public var statistics: Statistics { writer.statistics }

    /// Counts since the store was opened.
    public struct Statistics: Sendable, Hashable {
        /// Changes and logged events that are in the file.
        public var written: UInt64 = 0
        /// Changes that found no room in the queue, because the disk is too slow for them.
        public var dropped: UInt64 = 0
        /// Events that found no room in the queue of the log.
        public var droppedFromLog: UInt64 = 0
        /// What the disk did not take.
        public var failed: UInt64 = 0
        /// Changes and events that wait for the disk.
        public var waiting = 0
        /// Transactions.
        public var batches: UInt64 = 0
        /// Why the disk did not take something, the last time.
        public var lastError: String?
    }

    // MARK: BusStore

    /// What earlier lives of the process left. The first who asks gets it.
    public func takeContents() -> StoreContents { earlier.take() }

    /// Takes note of a change without waiting.
    public func note(_ change: StoreChange) { writer.note(change) }

    /// Takes note of a change and returns once it is on the disk. - Throws: `storageFailed`.
    public func keep(_ change: StoreChange) async throws(LLMgineError) { try await writer.keep(change) }

    /// Returns once everything that was noted so far has been written or given up.
    public func flush() async { await writer.flush() }

    /// What found no room or was not taken by the disk, the event log's included.
    public var lost: UInt64 {
        let statistics = statistics
        return statistics.dropped + statistics.droppedFromLog + statistics.failed
    }

    /// Writes what waits and gives the file free for others. Nothing is kept after that.
    public func close() async {
        await writer.close()
        try? database.close()
        lock.release()
    }

    func log(_ event: LoggedEvent) { writer.log(event) }
    func countMissing(_ count: UInt64) { writer.countMissing(count) }
}

/// What was in the file when it was opened, until a bus takes it.
private final class EarlierContents: Sendable {
    let unreadable: Int
    private let contents: Mutex<StoreContents>

    init(_ stored: StoredContents) {
        unreadable = stored.unreadable
        contents = Mutex(stored.contents)
    }

    func take() -> StoreContents {
        contents.withLock { contents in
            defer { contents = StoreContents() }
            return contents
        }
    }
}
