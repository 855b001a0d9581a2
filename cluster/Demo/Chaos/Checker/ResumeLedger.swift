/// Measures for each restoration of a link how long it took until an event crossed it, each way.
struct ResumeLedger {
    private struct Way: Hashable {
        let publisher: Int
        let subscriber: Int
    }

    /// When events were handled that came over a link: the first of each 20 ms.
    private var arrivals: [Way: [Int]] = [:]

    /// One line of the history of a node.
    mutating func note(_ kind: Character, _ numbers: [Int], at node: Int) {
        guard kind == "a", numbers.count == 2 else { return }
        arrivals[Way(publisher: numbers[0], subscriber: node), default: []].append(numbers[1])
    }

    /// Once all histories are read.
    func judge(_ times: ChaosTimes, into verdict: inout ChaosVerdict) {
        for (way, arrivals) in arrivals {
            let troubles = times.troubles.filter { $0.concerns(way.publisher, way.subscriber) }.map(\.time).sorted()
            let arrivals = arrivals.sorted()
            for end in times.restorations where end.concerns(way.publisher, way.subscriber) {
                // What strikes next would be measured along, so nothing can be said if it comes before the first event.
                let limit = ResumeLedger.first(of: troubles, after: end.time) ?? Int.max
                guard let arrival = ResumeLedger.first(of: arrivals, after: end.time), arrival < limit else {
                    verdict.resumesInterrupted += 1
                    continue
                }
                verdict.resumes += 1
                verdict.longestResume = max(verdict.longestResume, arrival - end.time)
            }
        }
    }

    private static func first(of times: [Int], after time: Int) -> Int? {
        var range = times.indices
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            range = times[middle] > time ? range.lowerBound..<middle : middle + 1..<range.upperBound
        }
        return range.lowerBound < times.count ? times[range.lowerBound] : nil
    }
}
