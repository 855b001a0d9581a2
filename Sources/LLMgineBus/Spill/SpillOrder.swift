/// The order of one subscription that goes on over the disk: which events go there, and which comes back next. What ``SpillLine`` decides by,
/// without the disk and the waiting.
///
/// ```
/// past the disk ─ departed ─► over the disk ─ finished, when nothing waits any more ─► past the disk
/// ```
package struct SpillOrder: Sendable {
    /// Whether events must go over the disk, because others do.
    package private(set) var isSpilling = false
    /// Whether nothing goes there any more and nothing comes back.
    package private(set) var isEnded = false
    /// Events that are on the disk, on their way there or on their way back.
    package private(set) var waiting = 0
    /// How many ever went there.
    package private(set) var written: UInt64 = 0
    /// Read and not yet entered, the newest first.
    private var batch: [SpillRecord] = []

    /// What was read at a time.
    package struct Arrivals: Sendable {
        fileprivate let records: [SpillRecord]
        /// How many events the disk did not give back.
        package let lost: Int

        package init(_ batch: SpillFile.Batch) {
            records = batch.records.compactMap { SpillRecord($0) }
            lost = batch.lost + batch.records.count - records.count
        }

        package var isEmpty: Bool { records.isEmpty && lost == 0 }
    }

    package init() {}

    /// An event is about to be written behind the others. - Returns: whether it is the first, so that somebody has to begin to read.
    package mutating func departed() -> Bool {
        waiting += 1
        defer { isSpilling = true }
        return !isSpilling
    }

    /// It is on the disk, or the disk did not take it.
    package mutating func wrote(_ isWritten: Bool) {
        if isWritten { written += 1 } else { waiting -= 1 }
    }

    /// Events were read; those before have been entered.
    package mutating func arrived(_ arrivals: Arrivals) {
        batch = arrivals.records.reversed()
        waiting -= arrivals.lost
    }

    /// The event that is to be put in line next; nil if none has been read, or it is over.
    package var next: SpillRecord? { isEnded ? nil : batch.last }

    /// It is in line.
    package mutating func entered() {
        batch.removeLast()
        waiting -= 1
    }

    /// Nothing more could be read. - Returns: whether everything is back, so that events may go past the disk again.
    package mutating func finished() -> Bool {
        guard waiting == 0 || isEnded else { return false }
        isSpilling = false
        return true
    }

    /// - Returns: false if it had ended before.
    package mutating func ended() -> Bool {
        defer { isEnded = true }
        return !isEnded
    }

    /// What was read and will not be entered, the oldest first.
    package mutating func takeRest() -> [SpillRecord] {
        defer {
            waiting -= batch.count
            batch = []
        }
        return batch.reversed()
    }
}
