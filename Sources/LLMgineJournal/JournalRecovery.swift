import LLMgineBus
import LLMgineCore
import NIOCore

/// What a journal's directory holds when it is opened, and what had to be done about it.
struct JournalRecovery {
    var table = JournalTable()
    /// The number of the last record.
    var last: UInt64 = 0
    /// Events that are open, oldest first.
    var open: [(number: UInt64, event: JournaledEvent)] = []
    /// Files that are damaged: to be set aside once what is sound in them is carried over.
    var damaged: [String] = []
    /// All open events, if some of them are in damaged files: to be written anew. Otherwise empty.
    var carried: [JournaledEvent] = []
    /// Files whose end was torn, how many bytes that were, and whether they are kept.
    var cut: [(name: String, bytes: Int, isKept: Bool)] = []
    /// Records between two files that are in neither.
    var missing: [ClosedRange<UInt64>] = []

    private var replay = JournalReplay()

    init(_ folder: JournalFolder) throws(LLMgineError) {
        let names = try folder.segments()
        var holders: [(name: String, bytes: Int, events: [UInt64])] = []
        for (index, name) in names.enumerated() {
            let contents = try folder.contents(of: name)
            let scan = SegmentScan(contents, called: name, after: last)
            let isLast = index == names.count - 1
            if last > 0, damaged.last != names[max(0, index - 1)], let first = scan.first, first > last + 1 {
                missing.append(last + 1...first - 1)
            }
            for found in scan.records { replay.read(found.record) }
            last = max(last, scan.records.last?.record.number ?? 0)
            // Only the last file can have been torn by a crash: the one before it was on the disk when the next was begun.
            if !scan.damage.isEmpty || (!scan.tail.isEmpty && !isLast) {
                damaged.append(name)
                // No other file is to have its name.
                last = max(last, JournalFolder.first(of: name) ?? 0)
                continue
            }
            if !scan.tail.isEmpty {
                let tail = contents.getSlice(at: contents.readerIndex + scan.tail.lowerBound, length: scan.tail.count) ?? ByteBuffer()
                cut.append((name, scan.tail.count, try folder.cut(name, at: scan.soundBytes, keeping: tail)))
            } else if isLast {
                // The next file is begun only when this one is on the disk as a whole, whoever wrote it.
                try folder.sync(name)
            }
            // A file that was begun and not written to gives its name back.
            if scan.records.isEmpty { folder.remove(name) } else { holders.append((name, scan.soundBytes, scan.events)) }
        }
        open = replay.open
        // Carried over together, so that they keep their order; the files that they were in go, as others do of which nothing is open.
        if !damaged.isEmpty { carried = open.map(\.event) }
        for holder in holders {
            table.begin(holder.name, bytes: holder.bytes, events: holder.events.count)
            guard damaged.isEmpty else { continue }
            for number in holder.events { if let event = replay.event(number) { table.opened(number, event) } }
        }
    }
}

/// Which events are open after a row of records.
struct JournalReplay {
    private var events: [UInt64: JournaledEvent] = [:]
    private var numbers: [MessageID: UInt64] = [:]

    mutating func read(_ record: JournalRecord) {
        switch record.content {
        case .event(let event):
            // One that was moved, or carried over, stands twice if the process ended before the file that it had been in was gone.
            if let earlier = numbers.updateValue(record.number, forKey: event.id) { events[earlier] = nil }
            events[record.number] = event.onItsOwn
        case .settled(let number, let obligation):
            events[number]?.obligations.removeAll { $0 == obligation }
            guard let event = events[number], event.obligations.isEmpty else { return }
            events[number] = nil
            numbers[event.id] = nil
        }
    }

    func event(_ number: UInt64) -> JournaledEvent? { events[number] }

    /// In the order of publishing, which is not that of the records if some were moved.
    var open: [(number: UInt64, event: JournaledEvent)] { events.sorted { $0.value.id < $1.value.id }.map { ($0.key, $0.value) } }
}

extension JournaledEvent {
    /// With its payload in memory of its own, so that one open event does not keep a whole file there.
    fileprivate var onItsOwn: JournaledEvent {
        var event = self
        event.message.payload = ByteBuffer(bytes: message.payload.readableBytesView)
        return event
    }
}
