import LLMgineBus
import LLMgineCore
import LLMgineJournal
import LLMgineTestKit
import NIOCore
import Synchronization
import Testing

import class Foundation.FileManager

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

    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func `has what it said it had when the power fails, at whatever moment`(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let place = try Place()
        defer { place.remove() }
        let disk = Disk()
        // Small enough that events are moved, too.
        let options = FileJournal.Options(maximumBytes: 64 << 10, segmentBytes: 4 << 10)
        let journal = try FileJournal(path: place.path, options: options, logger: nil, faults: DiskFaults(sync: disk.sync))
        var model = Model()
        for round in 1...6 {
            for count in 1...Int.random(in: 1...60, using: &random) {
                let new = event(round * 100 + count, bytes: Int.random(in: 0...400, using: &random))
                let number = try await journal.append(new)
                model.owed[number] = (new, ["name:b/s"])
                if model.owed.count > 5, let settled = model.owed.keys.sorted().randomElement(using: &random) {
                    journal.settled(settled, obligation: "name:b/s")
                    model.settle(settled, "name:b/s")
                }
            }
            while journal.statistics.waiting > 0 { await Task.yield() }
            let image = try disk.image(of: place)
            defer { image.remove() }
            let again = try FileJournal(path: image.path, options: options)
            let ids = again.takeOpen().map(\.event.id)
            // What is settled may come once more.
            #expect(Set(model.owed.values.map(\.event.id)).isSubset(of: ids), "seed \(seed), round \(round)")
            #expect(ids == ids.sorted() && Set(ids).count == ids.count)
            #expect(again.statistics.quarantined == 0, "seed \(seed), round \(round)")
            await again.close()
        }
        await journal.close()
    }
}

/// A disk that has of each file only what it was asked to keep.
private final class Disk: Sendable {
    private let kept = Mutex<[String: Int]>([:])

    func sync(_ path: String) -> Int32? {
        kept.withLock { $0[name(path)] = size(path) }
        return nil
    }

    /// What the directory holds after the power has failed.
    func image(of place: Place) throws -> Place {
        // The writer removes files and moves events when it has said that it is done: until nothing changes under the copy.
        while true {
            let (before, names) = (kept.withLock { $0 }, place.names)
            let image = try? place.killed()
            if let image, image.names == names, place.names == names, kept.withLock({ $0 }) == before {
                for segment in image.segments { image.cut(segment, at: before[segment] ?? 0) }
                return image
            }
            image?.remove()
        }
    }

    private func name(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

    private func size(_ path: String) -> Int { FileManager.default.contents(atPath: path)?.count ?? 0 }
}
