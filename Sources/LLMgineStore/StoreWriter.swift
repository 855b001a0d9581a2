import GRDB
import LLMgineBus
import LLMgineCore
import Logging
import NIOCore
import Synchronization

/// The one who writes: whatever waits goes into one transaction, while the next gathers. Nobody waits for it but who asked to.
final class StoreWriter: Sendable {
    fileprivate struct Item {
        let change: StoreChange
        let size: Int
        var waiter: CheckedContinuation<LLMgineError?, Never>?
    }

    private struct Batch {
        var changes: [Item] = []
        var events: [LoggedEvent] = []
    }

    fileprivate struct State {
        var changes: [Item] = []
        var bytes = 0
        var events: [LoggedEvent] = []
        var eventBytes = 0
        var isWriting = false
        var isClosed = false
        var isFailing = false
        var flushers: [CheckedContinuation<Void, Never>] = []
        var statistics = SQLiteStore.Statistics()
        var eventsSincePruning = 0
    }

    /// Changes, and logged events, that may wait: so many, or so many bytes.
    private static let capacity = 10_000
    private static let byteCapacity = 64 << 20
    /// What one transaction takes of each.
    private static let batchSize = 1_000

    private let state = Mutex(State())
    private let database: DatabaseQueue
    private let path: String
    private let logCapacity: Int
    private let logger: Logger?

    init(_ database: DatabaseQueue, path: String, logCapacity: Int, logger: Logger?) {
        self.database = database
        self.path = path
        self.logCapacity = logCapacity
        self.logger = logger
    }

    var statistics: SQLiteStore.Statistics {
        state.withLock { state in
            var statistics = state.statistics
            statistics.waiting = state.changes.count + state.events.count
            return statistics
        }
    }

    // MARK: What comes

    func note(_ change: StoreChange) { _ = add(Item(change: change, size: change.size)) }

    /// Whoever waits is room enough: there are no more changes of this kind than callers.
    func keep(_ change: StoreChange) async throws(LLMgineError) {
        let error = await withCheckedContinuation { continuation in
            let isTaken = add(Item(change: change, size: change.size, waiter: continuation))
            if !isTaken { continuation.resume(returning: LLMgineError(.storageFailed, "\(path): the store is closed")) }
        }
        if let error { throw error }
    }

    private func add(_ item: Item) -> Bool {
        let (isTaken, starts) = state.withLock { state in
            let hasRoom = state.changes.count < StoreWriter.capacity && state.bytes + item.size <= StoreWriter.byteCapacity
            guard !state.isClosed, hasRoom || item.waiter != nil || item.change.isRemoval else {
                state.statistics.dropped += 1
                return (false, false)
            }
            state.changes.append(item)
            state.bytes += item.size
            return (true, state.start())
        }
        if starts { writeSoon() }
        return isTaken
    }

    func log(_ event: LoggedEvent) {
        let starts = state.withLock { state in
            let size = event.message.payload.readableBytes + 200
            guard !state.isClosed, state.events.count < StoreWriter.capacity, state.eventBytes + size <= StoreWriter.byteCapacity else {
                state.statistics.droppedFromLog += 1
                return false
            }
            state.events.append(event)
            state.eventBytes += size
            return state.start()
        }
        if starts { writeSoon() }
    }

    /// Events that were lost on their way to the log.
    func countMissing(_ count: UInt64) { state.withLock { $0.statistics.droppedFromLog += count } }

    func flush() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.isWriting { state.flushers.append(continuation) }
                return !state.isWriting
            }
            if isIdle { continuation.resume() }
        }
    }

    /// Takes nothing more and writes what is there.
    func close() async {
        state.withLock { $0.isClosed = true }
        await flush()
    }

    // MARK: What goes

    private func writeSoon() { database.asyncWriteWithoutTransaction { [self] database in writeBatch(database) } }

    private func writeBatch(_ database: Database) {
        guard let batch = take() else { return }
        var results = [LLMgineError?](repeating: nil, count: batch.changes.count)
        var lostEvents = 0
        do {
            try database.inTransaction(.immediate) {
                for item in batch.changes { try item.change.apply(to: database) }
                for event in batch.events { try event.insert(into: database) }
                return .commit
            }
        } catch {
            (results, lostEvents) = writeOneByOne(batch, database, after: error)
        }
        prune(database, after: batch.events.count)
        settle(batch, results, lostEvents: lostEvents)
        writeSoon()
    }

    /// The next batch; nil when nothing waits.
    private func take() -> Batch? {
        let (batch, flushers) = state.withLock { state -> (Batch?, [CheckedContinuation<Void, Never>]) in
            guard !state.changes.isEmpty || !state.events.isEmpty else {
                state.isWriting = false
                defer { state.flushers = [] }
                return (nil, state.flushers)
            }
            let batch = Batch(
                changes: Array(state.changes.prefix(StoreWriter.batchSize)), events: Array(state.events.prefix(StoreWriter.batchSize)))
            state.changes.removeFirst(batch.changes.count)
            state.events.removeFirst(batch.events.count)
            state.bytes -= batch.changes.reduce(0) { $0 + $1.size }
            state.eventBytes -= batch.events.reduce(0) { $0 + $1.message.payload.readableBytes + 200 }
            return (batch, [])
        }
        for flusher in flushers { flusher.resume() }
        return batch
    }

    /// One change that cannot be written must not take the others with it.
    private func writeOneByOne(_ batch: Batch, _ database: Database, after error: any Error) -> ([LLMgineError?], lostEvents: Int) {
        let results = batch.changes.map { item -> LLMgineError? in
            do {
                try database.inTransaction(.immediate) {
                    try item.change.apply(to: database)
                    return .commit
                }
                return nil
            } catch {
                return StoreFile.fault(error, path: path)
            }
        }
        guard !batch.events.isEmpty else { return (results, 0) }
        do {
            try database.inTransaction(.immediate) {
                for event in batch.events { try event.insert(into: database) }
                return .commit
            }
            return (results, 0)
        } catch {
            report(StoreFile.fault(error, path: path))
            return (results, batch.events.count)
        }
    }

    private func settle(_ batch: Batch, _ results: [LLMgineError?], lostEvents: Int) {
        let failure = results.compactMap { $0 }.last
        let failed = results.count { $0 != nil } + lostEvents
        state.withLock { state in
            state.statistics.batches += 1
            state.statistics.failed += UInt64(failed)
            state.statistics.written += UInt64(batch.changes.count + batch.events.count - failed)
        }
        if let failure { report(failure) } else if failed == 0 { recovered() }
        for (item, error) in zip(batch.changes, results) { item.waiter?.resume(returning: error) }
    }

    /// The log keeps the newest. Looked at once in a while, because counting costs more than writing.
    private func prune(_ database: Database, after count: Int) {
        guard count > 0 else { return }
        let isDue = state.withLock { state in
            state.eventsSincePruning += count
            guard state.eventsSincePruning >= min(StoreWriter.batchSize, logCapacity) else { return false }
            state.eventsSincePruning = 0
            return true
        }
        guard isDue else { return }
        do {
            try database.run("DELETE FROM event_log WHERE number <= (SELECT max(number) FROM event_log) - ?", [logCapacity])
        } catch {
            report(StoreFile.fault(error, path: path))
        }
    }

    /// Said once, until it works again.
    private func report(_ error: LLMgineError) {
        let isNew = state.withLock { state in
            defer { state.isFailing = true }
            state.statistics.lastError = error.detail
            return !state.isFailing
        }
        if isNew { logger?.error("the store cannot write; what is lost is counted", metadata: ["error": "\(error)"]) }
    }

    private func recovered() {
        let (wasFailing, failed) = state.withLock { state in
            defer { state.isFailing = false }
            return (state.isFailing, state.statistics.failed)
        }
        if wasFailing { logger?.notice("the store can write again", metadata: ["lost": "\(failed)"]) }
    }
}

extension StoreWriter.State {
    /// Whether the caller has to start the writing.
    fileprivate mutating func start() -> Bool {
        defer { isWriting = true }
        return !isWriting
    }
}
