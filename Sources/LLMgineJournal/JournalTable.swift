import LLMgineBus
import LLMgineCore
import NIOCore

/// Which events of a journal are open, and which segments may go. A machine: what it says is done by the writer.
///
/// A segment goes when it is the oldest and none of its events is open: what a later one says about it need not be kept then, and only then.
struct JournalTable: Sendable {
    struct Open: Sendable {
        var rest: Set<String>
        var segment: Int
        /// Its number on the disk: another than at first if it was moved.
        var record: UInt64
    }

    struct Segment: Sendable {
        let name: String
        var bytes: Int
        /// Events that were written to it, and those of them that are open.
        var events = 0
        var open = 0
    }

    /// Open events by number.
    private(set) var open: [UInt64: Open] = [:]
    /// The segments, oldest first. The last is the one that is written, while there is one.
    private(set) var segments: [Segment] = []
    /// How many segments have gone: the index of the first in ``segments``.
    private var gone = 0

    var bytes: Int { segments.reduce(0) { $0 + $1.bytes } }

    mutating func begin(_ name: String, bytes: Int = 0, events: Int = 0) {
        segments.append(Segment(name: name, bytes: bytes, events: events))
    }

    /// Bytes were appended to the last segment.
    mutating func grew(by bytes: Int) {
        guard !segments.isEmpty else { return }
        segments[segments.count - 1].bytes += bytes
    }

    /// An event was written to the last segment.
    mutating func wrote(_ number: UInt64, _ event: JournaledEvent) {
        guard !segments.isEmpty else { return }
        segments[segments.count - 1].events += 1
        opened(number, event)
    }

    /// An event that is in the last segment is open.
    mutating func opened(_ number: UInt64, _ event: JournaledEvent) {
        guard !segments.isEmpty, !event.obligations.isEmpty else { return }
        open[number] = Open(rest: Set(event.obligations), segment: gone + segments.count - 1, record: number)
        segments[segments.count - 1].open += 1
    }

    /// Whether the event waits for the obligation.
    func waits(_ number: UInt64, for obligation: String) -> Bool { open[number]?.rest.contains(obligation) ?? false }

    mutating func settled(_ number: UInt64, obligation: String) {
        guard open[number]?.rest.remove(obligation) != nil, let known = open[number], known.rest.isEmpty else { return }
        open[number] = nil
        segments[known.segment - gone].open -= 1
    }

    // MARK: Moving

    /// A few open events hold much: the oldest segment, and the events in it by their numbers on the disk, to be moved to the end.
    ///
    /// Events that are a quarter of all at most are moved, so what is written for that is a third of what is written anyway, at most.
    var oldestWorthMoving: (name: String, events: [UInt64: UInt64])? {
        guard segments.count > 1, let first = segments.first else { return nil }
        guard open.count * 4 <= segments.reduce(0, { $0 + $1.events }) else { return nil }
        let events = open.filter { $0.value.segment == gone }.map { ($0.value.record, $0.key) }
        return (first.name, Dictionary(uniqueKeysWithValues: events))
    }

    /// An open event was written once more, to the last segment.
    mutating func moved(_ number: UInt64, to record: UInt64) {
        guard let known = open[number], !segments.isEmpty else { return }
        segments[known.segment - gone].open -= 1
        segments[segments.count - 1].events += 1
        segments[segments.count - 1].open += 1
        open[number]?.segment = gone + segments.count - 1
        open[number]?.record = record
    }

    /// Takes the segments out that may go. - Parameter keepsLast: whether the last one is written still.
    mutating func takeSettled(keepsLast: Bool) -> [String] {
        var names: [String] = []
        while let first = segments.first, first.open == 0, segments.count > (keepsLast ? 1 : 0) {
            names.append(first.name)
            segments.removeFirst()
            gone += 1
        }
        return names
    }
}
