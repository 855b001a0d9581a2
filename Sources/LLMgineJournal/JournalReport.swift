import LLMgineBus
package import LLMgineCore
import NIOCore

/// What the files of a journal hold, read without a change to them and without the lock: a node may be writing.
package struct JournalReport: Sendable, Hashable, Encodable {
    /// One file.
    package struct Segment: Sendable, Hashable, Encodable {
        package var name: String
        package var bytes: Int
        /// Sound records, and the numbers of the first and the last of them; 0 without any.
        package var records = 0
        package var first: UInt64 = 0
        package var last: UInt64 = 0
        /// How many of the records are events, and of how many something is owed still.
        package var events = 0
        package var open = 0

        package init(name: String, bytes: Int, records: Int = 0, first: UInt64 = 0, last: UInt64 = 0, events: Int = 0, open: Int = 0) {
            self.name = name
            self.bytes = bytes
            self.records = records
            self.first = first
            self.last = last
            self.events = events
            self.open = open
        }
    }

    /// A place that does not hold what it should.
    package struct Defect: Sendable, Hashable, Encodable {
        package enum Kind: String, Sendable, Hashable, Encodable {
            /// Bytes that make no sense, with sound records behind them.
            case damaged
            /// The end of the last file makes no sense, as a crash leaves it. The next start cuts it off.
            case torn
            /// Records between two files that are in neither.
            case missing
        }

        package var kind: Kind
        package var segment: String
        package var offset: Int
        /// How many bytes make no sense.
        package var bytes: Int
        /// Which records are missing.
        package var records: String?

        package init(kind: Kind, segment: String, offset: Int, bytes: Int, records: String? = nil) {
            self.kind = kind
            self.segment = segment
            self.offset = offset
            self.bytes = bytes
            self.records = records
        }

        /// In words.
        package var text: String {
            switch kind {
            case .damaged: "\(segment): \(bytes) bytes from byte \(offset) on are damaged"
            case .torn: "\(segment): the end is torn: \(bytes) bytes from byte \(offset) on"
            case .missing: "\(segment): the records \(records ?? "") before it are missing"
            }
        }
    }

    /// An event that somebody is still owed.
    package struct Open: Sendable, Hashable, Encodable {
        package var record: UInt64
        package var segment: String
        package var offset: Int
        /// The identity of the event.
        package var event: String
        package var topic: String
        package var type: String?
        /// Of the payload.
        package var bytes: Int
        /// Who is owed it.
        package var owed: [String]
    }

    package var path: String
    package var segments: [Segment] = []
    /// In the order of publishing.
    package var open: [Open] = []
    package var defects: [Defect] = []
    /// Files that an earlier start found damaged, and ends that it cut off.
    package var setAside: [String] = []

    /// Reads the directory. Blocks.
    /// - Throws: `storageFailed`: it cannot be read, or holds nothing that a journal leaves there.
    package init(reading path: String) throws(LLMgineError) {
        self.path = path
        // Files that go while they are read take along what they said about others: then all is read again.
        for _ in 0..<JournalReport.maximumTries { if try read() { return } }
        throw LLMgineError(.storageFailed, "\(path): changes faster than it can be read")
    }

    private static let maximumTries = 100

    private mutating func read() throws(LLMgineError) -> Bool {
        (segments, open, defects) = ([], [], [])
        let names = try JournalFolder.names(in: path)
        setAside = names.filter { $0.contains(JournalFolder.suffix + ".") }
        let files = names.filter { $0.hasSuffix(JournalFolder.suffix) }
        // A journal that nothing was written to has its lock already.
        guard !files.isEmpty || !setAside.isEmpty || names.contains(JournalFolder.lockFile) else {
            throw LLMgineError(.storageFailed, "\(path): holds no journal")
        }
        var replay = JournalReplay()
        var places: [UInt64: (segment: Int, offset: Int)] = [:]
        var last: UInt64 = 0
        for (index, name) in files.enumerated() {
            let contents: ByteBuffer
            do throws(LLMgineError) { contents = try JournalFolder.contents(of: "\(path)/\(name)") } catch {
                if try !JournalFolder.names(in: path).contains(name) { return false }
                throw error
            }
            let scan = SegmentScan(contents, called: name, after: last)
            note(defectsOf: scan, in: name, isLast: index == files.count - 1, after: last)
            var segment = Segment(name: name, bytes: contents.readableBytes, records: scan.records.count, events: scan.events.count)
            segment.first = scan.records.first?.record.number ?? 0
            segment.last = scan.records.last?.record.number ?? 0
            segments.append(segment)
            last = max(last, segment.last)
            for (record, offset) in scan.records {
                if case .event = record.content { places[record.number] = (index, offset) }
                replay.read(record)
            }
        }
        for (number, event) in replay.open {
            guard let place = places[number] else { continue }
            segments[place.segment].open += 1
            open.append(
                Open(
                    record: number, segment: segments[place.segment].name, offset: place.offset, event: "\(event.id)",
                    topic: event.message.topic.text, type: event.message.eventType, bytes: event.message.payload.readableBytes,
                    owed: event.obligations))
        }
        return true
    }

    private mutating func note(defectsOf scan: SegmentScan, in name: String, isLast: Bool, after last: UInt64) {
        // What a damaged end held is not missing as well.
        let isKnown = segments.isEmpty || (defects.last?.segment == segments.last?.name && defects.last?.kind == .damaged)
        if !isKnown, let first = scan.first, first > last + 1 {
            let records = first == last + 2 ? "\(last + 1)" : "\(last + 1) to \(first - 1)"
            defects.append(Defect(kind: .missing, segment: name, offset: 0, bytes: 0, records: records))
        }
        for range in scan.damage {
            defects.append(Defect(kind: .damaged, segment: name, offset: range.lowerBound, bytes: range.count))
        }
        guard !scan.tail.isEmpty else { return }
        defects.append(
            Defect(kind: isLast ? .torn : .damaged, segment: name, offset: scan.tail.lowerBound, bytes: scan.tail.count))
    }
}
