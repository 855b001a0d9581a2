import Dispatch
public import LLMgineBus
public import LLMgineCore
public import Logging
import NIOCore
import Synchronization

/// A journal in a directory of append-only files.
///
/// One process at a time has the directory. Appends that come while the disk is at work on others go to it together, up to 256 KiB at a time, so
/// the price of one `fdatasync` is shared by all who wait for it; nobody waits for others to come. What cannot be written is an error to who
/// wanted it, and leaves no trace.
///
/// A file whose end was torn by a crash is cut off behind its last sound record, and what was cut is kept beside it if there is room. A file that is damaged in its
/// middle is set aside as `.quarantined` and never deleted; what is sound in it is carried over, and ``Statistics/quarantined`` counts it.
///
/// ```swift
/// let journal = try FileJournal(path: "journal")
/// let bus = MessageBus(journal: journal)
/// ```
public final class FileJournal: EventJournal {
    /// Where the files are.
    public var path: String { folder.path }
    /// How long events wait for a subscription that is not there, after a start or after it has ended.
    public var retention: Duration { options.retention }

    private let options: Options
    private let logger: Logger?
    private let folder: JournalFolder
    let state: Mutex<State>
    /// All that touches the disk runs here: on a thread of its own, never on an event loop or a thread of the concurrency pool.
    private let queue = DispatchQueue(label: "llmgine.journal")

    /// The most bytes that go to the disk at a time.
    static let batchBytes = 256 << 10

    struct State {
        var table: JournalTable
        var next: UInt64
        var active: (file: JournalFile, bytes: Int)?
        var waiting: [Waiting] = []
        var waitingBytes = 0
        var isWriting = false
        var isClosed = false
        /// The disk did not keep what it was given: nothing can be trusted to it before the process starts anew.
        var broken: LLMgineError?
        var left: [(number: UInt64, event: JournaledEvent)]
        var statistics = Statistics()
        var closers: [CheckedContinuation<Void, Never>] = []
        /// Hears how long each sync took.
        var onSync: (@Sendable (Duration) -> Void)?
    }

    struct Waiting {
        let content: JournalRecord.Content
        let continuation: CheckedContinuation<Result<UInt64, LLMgineError>, Never>?
    }

    /// Opens the directory, or makes one. Blocks until what is in it has been read.
    /// - Parameter logger: hears of damage and of a disk that fails.
    /// - Throws: `storageFailed`, naming the directory: it is in use by another process, or cannot be written.
    public convenience init(path: String, options: Options = Options(), logger: Logger? = nil) throws(LLMgineError) {
        try self.init(path: path, options: options, logger: logger, faults: DiskFaults())
    }

    /// The same over a disk that fails when it is told to.
    package init(path: String, options: Options, logger: Logger?, faults: DiskFaults) throws(LLMgineError) {
        self.options = options
        self.logger = logger
        folder = try JournalFolder(path, faults: faults)
        let recovery = try JournalRecovery(folder)
        var state = State(table: recovery.table, next: recovery.last + 1, left: recovery.open)
        state.statistics.quarantined = recovery.damaged.count
        for (name, bytes, isKept) in recovery.cut {
            logger?.warning(
                "the end of a file of the journal was torn",
                metadata: ["file": "\(path)/\(name)", "bytes": "\(bytes)", "kept": "\(isKept)"])
        }
        for missing in recovery.missing {
            logger?.critical(
                "a file of the journal is missing", metadata: ["path": "\(path)", "records": "\(missing.lowerBound)-\(missing.upperBound)"])
        }
        if !recovery.carried.isEmpty { try FileJournal.carry(recovery.carried, into: &state, folder) }
        for name in recovery.damaged {
            let place = try folder.setAside(name)
            logger?.critical("a file of the journal is damaged and was set aside", metadata: ["file": "\(path)/\(place)"])
        }
        for name in state.table.takeSettled(keepsLast: state.active != nil) { folder.remove(name) }
        self.state = Mutex(state)
    }

    /// Writes what is sound in damaged files anew, before those are set aside.
    private static func carry(_ events: [JournaledEvent], into state: inout State, _ folder: JournalFolder) throws(LLMgineError) {
        var buffer = SegmentScan.header(first: state.next)
        let name = JournalFolder.name(first: state.next)
        let file = try folder.make(name)
        state.table.begin(name)
        state.left = []
        for event in events {
            JournalRecord(state.next, .event(event)).write(into: &buffer)
            state.table.wrote(state.next, event)
            state.left.append((state.next, event))
            state.next += 1
        }
        do throws(LLMgineError) {
            try file.append(buffer)
            try file.sync()
        } catch {
            folder.remove(name)
            throw error
        }
        state.table.grew(by: buffer.readableBytes)
        state.active = (file, buffer.readableBytes)
    }

    // MARK: EventJournal

    /// Writes an event. Returns its number once it is on the disk.
    /// - Throws: `storageFailed`, `limitExceeded` for an event that is larger than any link may carry.
    public func append(_ event: JournaledEvent) async throws(LLMgineError) -> UInt64 {
        let bytes = event.journaledBytes
        guard bytes <= JournalRecord.maximumBody else {
            throw LLMgineError(.limitExceeded, "a durable event of \(bytes) bytes, where at most \(JournalRecord.maximumBody) are allowed")
        }
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<UInt64, LLMgineError>, Never>) in
            let refusal = state.withLock { state -> LLMgineError? in
                if let refusal = reason(against: bytes, state) {
                    state.statistics.failed += 1
                    state.statistics.lastError = refusal.detail
                    return refusal
                }
                state.waiting.append(Waiting(content: .event(event), continuation: continuation))
                state.waitingBytes += bytes
                wake(&state)
                return nil
            }
            if let refusal { continuation.resume(returning: .failure(refusal)) }
        }
        return try result.get()
    }

    private func reason(against bytes: Int, _ state: State) -> LLMgineError? {
        if state.isClosed { return LLMgineError(.stopped, "the journal is closed") }
        if let broken = state.broken { return broken }
        guard state.table.bytes + state.waitingBytes + bytes <= options.maximumBytes else {
            return LLMgineError(
                .storageFailed,
                "\(path): the journal has reached its limit of \(options.maximumBytes) bytes; \(state.table.open.count) events are open")
        }
        return nil
    }

    /// One obligation of an event is met.
    public func settled(_ number: UInt64, obligation: String) {
        state.withLock { state in
            guard !state.isClosed else { return }
            state.waiting.append(Waiting(content: .settled(number, obligation: obligation), continuation: nil))
            wake(&state)
        }
    }

    /// What earlier lives of the process left open, oldest first. The first who asks gets it.
    public func takeOpen() -> [(number: UInt64, event: JournaledEvent)] {
        state.withLock { state in
            defer { state.left = [] }
            return state.left
        }
    }

    /// Writes what waits and lets go of the files. Nothing is kept after that.
    public func close() async {
        await withCheckedContinuation { continuation in
            state.withLock { state in
                state.isClosed = true
                state.closers.append(continuation)
                wake(&state)
            }
        }
    }

    // MARK: Writing

    private func wake(_ state: inout State) {
        guard !state.isWriting else { return }
        state.isWriting = true
        queue.async { [self] in write() }
    }

    /// Writes batch after batch until nothing waits.
    private func write() {
        while let batch = takeBatch() {
            let outcome = write(batch)
            let done = state.withLock { state in finish(batch, outcome, &state) }
            for name in done.gone { folder.remove(name) }
            for (continuation, result) in done.resumed { continuation.resume(returning: result) }
            if batch.segment != nil { moveOldest() }
        }
    }

    /// Keeps a few events that nobody settles from holding all that was written after them: moves those of the oldest file to the end, once half of
    /// the space is taken. If that cannot be done, everything stays as it was.
    private func moveOldest() {
        let (oldest, table, first, active) = state.withLock { state in
            let isTight = state.broken == nil && state.table.bytes > options.maximumBytes / 2
            return (isTight ? state.table.oldestWorthMoving : nil, state.table, state.next, state.active)
        }
        // What is read here changes on this thread only.
        guard let oldest, let active, let contents = try? folder.contents(of: oldest.name) else { return }
        var buffer = ByteBuffer()
        var moved: [(number: UInt64, record: UInt64)] = []
        for (record, _) in SegmentScan(contents, called: oldest.name, after: 0).records {
            guard case .event(var event) = record.content, let number = oldest.events[record.number], let open = table.open[number]
            else { continue }
            event.obligations.removeAll { !open.rest.contains($0) }
            let copy = JournalRecord(first + UInt64(moved.count), .event(event))
            copy.write(into: &buffer)
            moved.append((number, copy.number))
        }
        guard moved.count == oldest.events.count else { return }
        var failure: LLMgineError?
        do throws(LLMgineError) { try active.file.append(buffer) } catch {
            do throws(LLMgineError) { return try active.file.cut(to: active.bytes) } catch { failure = error }
        }
        // The old file goes only when the new one has all of it.
        if failure == nil { do throws(LLMgineError) { try active.file.sync() } catch { failure = error } }
        let gone = state.withLock { state -> [String] in
            if let failure {
                note(broken: failure, &state)
                return []
            }
            state.active?.bytes += buffer.readableBytes
            state.next += UInt64(moved.count)
            state.table.grew(by: buffer.readableBytes)
            for (number, record) in moved { state.table.moved(number, to: record) }
            return state.table.takeSettled(keepsLast: true)
        }
        for name in gone { folder.remove(name) }
    }

    /// Some records on their way to one file.
    private struct Batch {
        var buffer = ByteBuffer()
        var records: [JournalRecord] = []
        var waiting: [Waiting] = []
        var file: JournalFile?
        /// The length of the file before.
        var length = 0
        /// The name of the file that they begin, and the one before it.
        var segment: String?
        var previous: JournalFile?
        /// Whether somebody waits for the disk.
        var isDurable = false
    }

    private func takeBatch() -> Batch? {
        let (batch, file, closers) = state.withLock { state -> (Batch?, JournalFile?, [CheckedContinuation<Void, Never>]) in
            if !state.waiting.isEmpty { return (takeWaiting(&state), nil, []) }
            state.isWriting = false
            guard state.isClosed else { return (nil, nil, []) }
            defer { (state.closers, state.active) = ([], nil) }
            return (nil, state.active?.file, state.closers)
        }
        if batch != nil { return batch }
        if !closers.isEmpty {
            // What was settled is on the disk already, or else delivered once more after a power failure: no reason to fail.
            try? file?.sync()
            folder.release()
        }
        for closer in closers { closer.resume() }
        return nil
    }

    private func takeWaiting(_ state: inout State) -> Batch {
        var batch = Batch()
        if let active = state.active, active.bytes < options.segmentBytes {
            (batch.file, batch.length) = (active.file, active.bytes)
        } else {
            batch.previous = state.active?.file
            batch.segment = JournalFolder.name(first: state.next)
            batch.buffer = SegmentScan.header(first: state.next)
        }
        var taken = 0
        while taken < state.waiting.count, batch.buffer.readableBytes < FileJournal.batchBytes {
            let waiting = state.waiting[taken]
            taken += 1
            var content = waiting.content
            switch content {
            case .settled(let number, let obligation):
                guard let open = state.table.open[number], open.rest.contains(obligation) else { continue }
                content = .settled(open.record, obligation: obligation)
            case .event(let event): state.waitingBytes -= event.journaledBytes
            }
            let record = JournalRecord(state.next + UInt64(batch.records.count), content)
            record.write(into: &batch.buffer)
            batch.records.append(record)
            batch.waiting.append(waiting)
            if waiting.continuation != nil { batch.isDurable = true }
        }
        state.waiting.removeFirst(taken)
        return batch
    }

    private enum Outcome {
        case written(JournalFile)
        /// All that waited was settled already.
        case empty
        /// Nothing of it is in the file.
        case refused(LLMgineError)
        /// Nobody knows what is in the file.
        case broken(LLMgineError)
    }

    private func write(_ batch: Batch) -> Outcome {
        if let broken = state.withLock({ $0.broken }) { return .refused(broken) }
        guard !batch.records.isEmpty else { return .empty }
        let file: JournalFile
        // Only the last file may have a torn end, so the one before is on the disk as a whole before the next is begun.
        do throws(LLMgineError) { try batch.previous?.sync() } catch { return .broken(error) }
        do throws(LLMgineError) {
            if let known = batch.file { file = known } else { file = try folder.make(batch.segment ?? "") }
        } catch {
            return .refused(error)
        }
        do throws(LLMgineError) { try file.append(batch.buffer) } catch {
            return takeBack(batch, file, error)
        }
        guard batch.isDurable else { return .written(file) }
        // After a failed sync the system may have forgotten what it could not write: what is asked of it then may be answered with a lie.
        do throws(LLMgineError) { try sync(file) } catch { return .broken(error) }
        return .written(file)
    }

    private func takeBack(_ batch: Batch, _ file: JournalFile, _ error: LLMgineError) -> Outcome {
        if let segment = batch.segment {
            folder.remove(segment)
            return .refused(error)
        }
        do throws(LLMgineError) { try file.cut(to: batch.length) } catch { return .broken(error) }
        return .refused(error)
    }

    private func note(broken error: LLMgineError, _ state: inout State) {
        state.broken = error
        logger?.critical("the journal is broken", metadata: ["error": "\(error)"])
    }

    private struct Done {
        var gone: [String] = []
        var resumed: [(CheckedContinuation<Result<UInt64, LLMgineError>, Never>, Result<UInt64, LLMgineError>)] = []
    }

    private func finish(_ batch: Batch, _ outcome: Outcome, _ state: inout State) -> Done {
        var done = Done()
        let failure: LLMgineError?
        switch outcome {
        case .written(let file):
            failure = nil
            if let segment = batch.segment { state.table.begin(segment) }
            state.table.grew(by: batch.buffer.readableBytes)
            state.active = (file, batch.length + batch.buffer.readableBytes)
            state.next += UInt64(batch.records.count)
            if batch.isDurable { state.statistics.syncs += 1 }
        case .empty: failure = nil
        case .refused(let error): failure = error
        case .broken(let error):
            failure = error
            note(broken: error, &state)
        }
        for (record, waiting) in zip(batch.records, batch.waiting) {
            switch waiting.content {
            case .event(let event):
                if failure == nil {
                    state.table.wrote(record.number, event)
                    state.statistics.appended += 1
                } else {
                    state.statistics.failed += 1
                    state.statistics.lastError = failure?.detail
                }
            // In force even if the disk did not take it: at worst the event is delivered once more after a crash.
            case .settled(let number, let obligation): state.table.settled(number, obligation: obligation)
            }
            if let continuation = waiting.continuation {
                let result: Result<UInt64, LLMgineError> = if let failure { .failure(failure) } else { .success(record.number) }
                done.resumed.append((continuation, result))
            }
        }
        done.gone = state.table.takeSettled(keepsLast: state.active != nil)
        return done
    }
}
