import LLMgineBus
import LLMgineCore
import LLMgineJournal
import LLMgineTestKit
import NIOCore
import Testing

/// What a journal ought to know: who is owed which event.
private struct Model {
    var owed: [UInt64: (event: JournaledEvent, rest: Set<String>)] = [:]

    var open: [Essence] {
        owed.sorted { $0.key < $1.key }.map { _, owed in
            var event = owed.event
            event.obligations = event.obligations.filter(owed.rest.contains)
            return Essence(event)
        }
    }

    mutating func settle(_ number: UInt64, _ obligation: String) {
        owed[number]?.rest.remove(obligation)
        if owed[number]?.rest.isEmpty ?? false { owed[number] = nil }
    }
}

@Suite struct `A journal through many lives` {
    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func `has open what its model has, after each end, orderly or not`(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        var places = [try Place()]
        defer { for place in places { place.remove() } }
        var model = Model()
        var count = 0
        let options = FileJournal.Options(segmentBytes: 4 << 10)
        let names = ["name:b/s", "name:b/t", "group:g"]
        for life in 1...6 {
            let place = try #require(places.last)
            let journal = try FileJournal(path: place.path, options: options)
            #expect(journal.takeEssences() == model.open, "seed \(seed), life \(life)")
            #expect(journal.statistics.quarantined == 0)
            for _ in 0..<Int.random(in: 0...40, using: &random) {
                if Bool.random(using: &random), let number = model.owed.keys.sorted().randomElement(using: &random) {
                    let name = try #require(names.randomElement(using: &random))
                    journal.settled(number, obligation: name)
                    model.settle(number, name)
                } else {
                    count += 1
                    var new = event(count, bytes: Int.random(in: 0...900, using: &random))
                    new.obligations = names.filter { _ in Bool.random(using: &random) }
                    if new.obligations.isEmpty { new.obligations = ["name:b/s"] }
                    model.owed[try await journal.append(new)] = (new, Set(new.obligations))
                }
            }
            if Bool.random(using: &random) {
                await journal.close()
            } else {
                // What was settled before an append is in the file when that returns.
                count += 1
                let last = event(count)
                model.owed[try await journal.append(last)] = (last, ["name:b/s"])
                places.append(try place.killed())
                await journal.close()
            }
        }
        let place = try #require(places.last)
        let report = try JournalReport(reading: place.path)
        #expect(report.defects.isEmpty)
        #expect(report.open.map(\.record) == model.owed.keys.sorted(), "seed \(seed)")
    }
}
