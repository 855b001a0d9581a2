import LLMgineBroker
import LLMgineCore

/// What one life of a publisher has sent to one subscription over one link, or within its own process: every message, and what became of it.
final class Passage {
    private struct Entry {
        let number: UInt64
        let topic: UInt32
        let lane: UInt8
        var isSettled = false
    }

    unowned let publisher: SimulatedNode
    private var entries: [Entry] = []
    private var places: [UInt64: Int] = [:]
    /// Messages that were taken in and of which nothing is known yet.
    private(set) var pending = 0
    private(set) var delivered = 0
    /// What gap markers have told, by class.
    var gaps = [0, 0, 0, 0]
    /// Messages that a disk did not give back. The next one that is sent tells of them.
    var lostOnDisk = 0

    init(publisher: SimulatedNode) { self.publisher = publisher }

    func accepted(_ message: SimulatedMessage) {
        places[message.number] = entries.count
        entries.append(Entry(number: message.number, topic: message.topicNumber, lane: message.priority.rawValue))
        pending += 1
    }

    /// What is wrong with handing the message over now; nil if nothing is.
    func deliver(_ number: UInt64) -> String? {
        guard let place = places[number] else { return "was never sent to it" }
        guard !entries[place].isSettled else { return "came twice" }
        entries[place].isSettled = true
        pending -= 1
        delivered += 1
        return nil
    }

    /// It went to make room, and whoever counts has been told.
    func evicted(_ number: UInt64) {
        guard let place = places[number], !entries[place].isSettled else { return }
        entries[place].isSettled = true
        pending -= 1
    }

    /// Messages that are missing although later ones of their topic and class have come, beyond those that markers spoke of.
    var holes: Int {
        var missing: [UInt64: Int] = [:]
        var found = [0, 0, 0, 0]
        for entry in entries {
            let key = UInt64(entry.topic) << 8 | UInt64(entry.lane)
            if entry.isSettled {
                if let count = missing.removeValue(forKey: key) { found[Int(entry.lane)] += count }
            } else {
                missing[key, default: 0] += 1
            }
        }
        // What the disk has lost is told in one number for all classes, and perhaps not yet.
        if lostOnDisk > 0 { return max(0, found.reduce(0, +) - max(lostOnDisk, gaps.reduce(0, +))) }
        return zip(found, gaps).reduce(0) { $0 + max(0, $1.0 - $1.1) }
    }
}
