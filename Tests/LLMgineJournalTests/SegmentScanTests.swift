import LLMgineBus
import LLMgineCore
import LLMgineJournal
import LLMgineTestKit
import NIOCore
import Synchronization
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

@Suite struct `A journal whose file was damaged` {
    /// The bytes of a file with four events, and where each record ends.
    private func sample() async throws -> (bytes: [UInt8], name: String, ends: [Int]) {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        var ends = [20]
        for number in 1...4 {
            _ = try await journal.append(event(number))
            ends.append(journal.statistics.bytes)
        }
        await journal.close()
        let name = try #require(place.segments.first)
        return (try place.bytes(name), name, ends)
    }

    @Test func `starts on a full disk too when the end was torn, and keeps what was torn if there is room once it is cut off`() async throws
    {
        let (bytes, name, ends) = try await sample()
        let torn = Array(bytes[..<(ends[4] - 7)])
        for isFull in [true, false] {
            let place = try Place.with(torn, called: name)
            defer { place.remove() }
            let tries = Mutex(0)
            let faults = DiskFaults(write: { _ in
                tries.withLock { tries in
                    tries += 1
                    return isFull || tries == 1 ? (3, ENOSPC) : nil
                }
            })
            let journal = try FileJournal(path: place.path, options: .init(), logger: nil, faults: faults)
            #expect(journal.takeEssences() == (1...3).map { Essence(event($0)) })
            #expect(try place.bytes(name).count == ends[3])
            #expect(place.names.contains("\(name).tail") != isFull)
            if !isFull { #expect(try place.bytes("\(name).tail") == Array(torn[ends[3]...])) }
            await journal.close()
        }
    }

    @Test func `serves what was whole when the end was torn, at whatever byte`() async throws {
        let (bytes, name, ends) = try await sample()
        for length in 0..<bytes.count {
            let place = try Place.with(Array(bytes[..<length]), called: name)
            defer { place.remove() }
            let journal = try FileJournal(path: place.path)
            let whole = ends.dropFirst().count { $0 <= length }
            #expect(journal.takeEssences() == (0..<whole).map { Essence(event($0 + 1)) }, "torn at \(length)")
            #expect(journal.statistics.quarantined == 0)
            let torn = length - (ends.last { $0 <= length } ?? 0)
            if torn > 0 { #expect(try place.bytes("\(name).tail").count == torn, "torn at \(length)") }
            // It goes on as if nothing had been.
            _ = try await journal.append(event(9))
            await journal.close()
            let again = try FileJournal(path: place.path)
            #expect(again.takeEssences().last == Essence(event(9)))
            await again.close()
        }
    }

    @Test func `never serves a flipped bit, nor loses what is sound for it`() async throws {
        let (bytes, name, ends) = try await sample()
        for position in 0..<bytes.count {
            var damaged = bytes
            damaged[position] ^= 1 << UInt8(position % 8)
            let place = try Place.with(damaged, called: name)
            defer { place.remove() }
            let journal = try FileJournal(path: place.path)
            let hit = ends.firstIndex { position < $0 } ?? 0  // 0 is the header
            let sound = (1...4).filter { $0 != hit }
            #expect(journal.takeEssences() == sound.map { Essence(event($0)) }, "flipped at \(position)")
            // The last record cannot be told from one that a crash has torn: it is cut off and kept. All others show damage.
            if hit == 4 {
                #expect(try place.bytes("\(name).tail") == Array(damaged[ends[3]...]))
            } else {
                #expect(journal.statistics.quarantined == 1, "flipped at \(position)")
                #expect(try place.bytes("\(name).quarantined") == damaged)
            }
            await journal.close()
            let again = try FileJournal(path: place.path)
            #expect(again.takeEssences() == sound.map { Essence(event($0)) }, "flipped at \(position), opened again")
            await again.close()
        }
    }

    @Test func `keeps what it set aside before when it sets aside again`() async throws {
        let (bytes, name, ends) = try await sample()
        var damaged = bytes
        damaged[ends[1] + 12] ^= 1
        let place = try Place.with(damaged, called: name)
        defer { place.remove() }
        await (try FileJournal(path: place.path)).close()
        #expect(try place.bytes("\(name).quarantined") == damaged)
        for segment in place.segments { place.delete(segment) }
        try place.write(damaged, to: name)
        await (try FileJournal(path: place.path)).close()
        #expect(place.names.filter { $0.contains("quarantined") } == ["\(name).quarantined", "\(name).quarantined-2"])
    }

    @Test func `serves nothing twice if it was killed before it had set the file aside`() async throws {
        let (bytes, name, ends) = try await sample()
        var damaged = bytes
        damaged[ends[1] + 12] ^= 1
        let place = try Place.with(damaged, called: name)
        defer { place.remove() }
        await (try FileJournal(path: place.path)).close()
        place.delete("\(name).quarantined")
        try place.write(damaged, to: name)
        let again = try FileJournal(path: place.path)
        #expect(again.takeEssences() == [1, 3, 4].map { Essence(event($0)) })
        await again.close()
    }

    @Test func `finds what is sound behind a damaged header, however many files were before it`() async throws {
        let place = try Place()
        defer { place.remove() }
        var segment = SegmentBytes(first: 1 << 40)
        segment.add(event(1))
        segment.add(event(2))
        segment.bytes[3] ^= 1
        try place.make()
        try place.write(segment.bytes, to: segment.name)
        let journal = try FileJournal(path: place.path)
        #expect(journal.takeEssences() == [Essence(event(1)), Essence(event(2))])
        #expect(journal.statistics.quarantined == 1)
        await journal.close()
    }

    @Test func `goes on behind a file that was begun and not written to, while an older one is needed`() async throws {
        let place = try Place()
        defer { place.remove() }
        var older = SegmentBytes(first: 1)
        older.add(event(1))
        let begun = SegmentBytes(first: 2)
        try place.make()
        try place.write(older.bytes, to: older.name)
        for length in [0, 7, begun.bytes.count] {
            try place.write(Array(begun.bytes[..<length]), to: begun.name)
            let journal = try FileJournal(path: place.path)
            #expect(journal.takeEssences() == [Essence(event(1))])
            let number = try await journal.append(event(2))
            #expect(number == 2)
            journal.settled(number, obligation: "name:b/s")
            await journal.close()
            for segment in place.segments where segment != older.name { place.delete(segment) }
        }
    }

    @Test func `makes nothing of numbers at the end of what can be counted`() async throws {
        for first: UInt64 in [.max, 1 << 63, (1 << 62) + 1] {
            let place = try Place()
            defer { place.remove() }
            var segment = SegmentBytes(first: first)
            segment.add(event(1))
            try place.make()
            try place.write(segment.bytes, to: segment.name)
            let journal = try FileJournal(path: place.path)
            #expect(journal.takeEssences().isEmpty)
            #expect(try await journal.append(event(2)) > 0)
            await journal.close()
        }
    }
}
