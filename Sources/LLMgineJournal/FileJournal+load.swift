public import LLMgineBus
import LLMgineCore
import Synchronization

// For people who look.
extension FileJournal {
    /// What the journal has done and holds.
    public var statistics: Statistics {
        state.withLock { state in
            var statistics = state.statistics
            statistics.open = state.table.open.count
            statistics.waiting = state.waiting.count
            statistics.bytes = state.table.bytes
            statistics.segments = state.table.segments.count
            return statistics
        }
    }

    /// The same for the metrics of the bus.
    public var load: JournalLoad? {
        let now = statistics
        return JournalLoad(open: now.open, waiting: now.waiting, bytes: now.bytes, segments: now.segments, failed: now.failed)
    }

    /// Has each wait for the disk timed.
    public func observeSyncs(_ note: @escaping @Sendable (Duration) -> Void) { state.withLock { $0.onSync = note } }

    /// Has the disk keep what was written, and tells how long it took.
    func sync(_ file: JournalFile) throws(LLMgineError) {
        guard let note = state.withLock({ $0.onSync }) else { return try file.sync() }
        let start = ContinuousClock.now
        try file.sync()
        note(.now - start)
    }
}
