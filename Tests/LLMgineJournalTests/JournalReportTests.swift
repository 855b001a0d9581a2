import LLMgineBus
import LLMgineCore
import LLMgineJournal
import Testing

@Suite struct `A report on a journal` {
    /// Two files: four events in the first, of which the second settles two.
    private func sample() throws -> (place: Place, first: SegmentBytes, second: SegmentBytes) {
        let place = try Place()
        try place.make()
        var first = SegmentBytes(first: 1)
        for number in 1...4 { first.add(event(number, "name:b/s", "group:g")) }
        var second = SegmentBytes(first: 5)
        second.settle(1)
        second.settle(1, "group:g")
        second.settle(3)
        second.add(event(5))
        try place.write(first.bytes, to: first.name)
        try place.write(second.bytes, to: second.name)
        return (place, first, second)
    }

    @Test func `says what each file holds and who is owed what`() throws {
        let (place, first, second) = try sample()
        defer { place.remove() }
        try place.write([1, 2], to: "00000000000000000001.journal.tail")
        let before = try place.names.map { try place.bytes($0) }
        let report = try JournalReport(reading: place.path)
        #expect(try place.names.map { try place.bytes($0) } == before)
        #expect(report.defects == [])
        #expect(report.setAside == ["00000000000000000001.journal.tail"])
        #expect(
            report.segments == [
                .init(name: first.name, bytes: first.bytes.count, records: 4, first: 1, last: 4, events: 4, open: 3),
                .init(name: second.name, bytes: second.bytes.count, records: 4, first: 5, last: 8, events: 1, open: 1),
            ])
        #expect(report.open.map(\.record) == [2, 3, 4, 8])
        #expect(report.open.map(\.owed) == [["name:b/s", "group:g"], ["group:g"], ["name:b/s", "group:g"], ["name:b/s"]])
        let fields = try #require(report.open.first)
        #expect((fields.segment, fields.event, fields.topic) == (first.name, "\(event(2).id)", "orders.eu"))
        #expect((fields.type, fields.bytes) == ("Order", 20))
        #expect(report.open.allSatisfy { $0.offset >= 20 })
    }

    @Test func `finds every flipped byte, and says where`() throws {
        let (place, first, second) = try sample()
        defer { place.remove() }
        for (index, file) in [first, second].enumerated() {
            for position in file.bytes.indices {
                var damaged = file.bytes
                damaged[position] ^= 0x10
                try place.write(damaged, to: file.name)
                let report = try JournalReport(reading: place.path)
                let defect = try #require(report.defects.first, "byte \(position) of \(file.name)")
                #expect(report.defects.count == 1)
                #expect(defect.segment == file.name)
                #expect((defect.offset..<defect.offset + defect.bytes).contains(position))
                let isLast = index == 1 && report.segments[1].last == 7
                #expect(defect.kind == (isLast ? .torn : .damaged))
            }
            try place.write(file.bytes, to: file.name)
        }
        #expect(try JournalReport(reading: place.path).defects == [])
    }

    @Test func `finds every torn end, and a file that is missing`() throws {
        let (place, first, second) = try sample()
        defer { place.remove() }
        let whole = try JournalReport(reading: place.path)
        var ends = Set([0, 20])
        for length in 0..<second.bytes.count {
            try place.write(Array(second.bytes[..<length]), to: second.name)
            let report = try JournalReport(reading: place.path)
            if report.defects.isEmpty { ends.insert(length) } else { #expect(report.defects.map(\.kind) == [.torn], "at \(length)") }
            #expect(report.segments[0] == whole.segments[0] || report.segments[0].open > whole.segments[0].open)
        }
        #expect(ends.count == 5)  // nothing, the header, and three records of four
        try place.write(second.bytes, to: second.name)
        var third = SegmentBytes(first: 9)
        third.add(event(9))
        try place.write(third.bytes, to: third.name)
        place.delete(second.name)
        let report = try JournalReport(reading: place.path)
        #expect(report.defects == [.init(kind: .missing, segment: third.name, offset: 0, bytes: 0, records: "5 to 8")])
        #expect(report.segments.map(\.name) == [first.name, third.name])
        #expect(throws: LLMgineError(.storageFailed, "")) { try JournalReport(reading: place.path + "/nowhere") }
    }

    @Test func `is none of a directory that holds no journal`() throws {
        let place = try Place.with([1, 2], called: "notes.txt")
        defer { place.remove() }
        #expect(throws: LLMgineError(.storageFailed, "")) { try JournalReport(reading: place.path) }
        try place.write([], to: "lock")
        #expect(try JournalReport(reading: place.path).segments == [])
        place.delete("lock")
        try place.write([1, 2], to: "00000000000000000001.journal.quarantined")
        #expect(try JournalReport(reading: place.path).setAside == ["00000000000000000001.journal.quarantined"])
    }
}
