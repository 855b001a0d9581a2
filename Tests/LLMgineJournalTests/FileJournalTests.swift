import Dispatch
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

/// Stops a disk in the middle of a sync.
private final class Gate: Sendable {
    private struct State {
        var isClosed = false
        var held = 0
    }

    private let state = Mutex(State())
    private let opening = DispatchSemaphore(value: 0)

    func close() { state.withLock { $0.isClosed = true } }

    func open() {
        let held = state.withLock { state in
            state.isClosed = false
            return state.held
        }
        for _ in 0..<held { opening.signal() }
    }

    /// Called on the thread of the journal.
    func pass(_: String) -> Int32? {
        let isHeld = state.withLock { state in
            if state.isClosed { state.held += 1 }
            return state.isClosed
        }
        if isHeld { opening.wait() }
        return nil
    }

    func waiting() async { while state.withLock({ $0.held }) == 0 { await Task.yield() } }
}

@Suite(.timeLimit(.minutes(1))) struct `A journal in files` {
    @Test func `keeps what is open with all its fields, and forgets what is settled`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        var numbers: [UInt64] = []
        for number in 1...5 { numbers.append(try await journal.append(event(number, "name:b/s", "group:g"))) }
        #expect(numbers == [1, 2, 3, 4, 5])
        for number in numbers { journal.settled(number, obligation: "name:b/s") }
        journal.settled(2, obligation: "group:g")
        journal.settled(2, obligation: "group:g")
        journal.settled(77, obligation: "group:g")
        await journal.close()

        let again = try FileJournal(path: place.path)
        let open = again.takeOpen()
        #expect(open.map { Essence($0.event) } == [1, 3, 4, 5].map { Essence(event($0, "group:g")) })
        let message = try #require(open.first?.event.message)
        #expect(message.topic == "orders.eu")
        #expect((message.eventType, message.priority, message.session) == ("Order", .normal, "s"))
        #expect(message.trace == TraceContext(traceHigh: 1, traceLow: 2, span: 1, flags: 1))
        #expect(message.timeToLive == .seconds(1))
        #expect(again.takeOpen().isEmpty)
        await again.close()
    }

    @Test func `begins a new file when one is full, and removes the oldest of which nothing is open`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path, options: .init(segmentBytes: 4096))
        for number in 1...40 { _ = try await journal.append(event(number, bytes: 400)) }
        let full = place.segments.count
        #expect(full >= 4)
        for number: UInt64 in 2...40 { journal.settled(number, obligation: "name:b/s") }
        let last = try await journal.append(event(41))
        #expect(place.segments.count >= full)  // the first event is open still
        journal.settled(1, obligation: "name:b/s")
        journal.settled(last, obligation: "name:b/s")
        _ = try await journal.append(event(42))
        _ = try await journal.append(event(43))
        #expect(place.segments.count <= 2)
        #expect(journal.statistics.open == 2)
        await journal.close()
        let again = try FileJournal(path: place.path)
        #expect(again.takeEssences() == [Essence(event(42)), Essence(event(43))])
        await again.close()
    }

    @Test func `shares the price of the disk among those who write at once`() async throws {
        let place = try Place()
        defer { place.remove() }
        let gate = Gate()
        let journal = try FileJournal(path: place.path, options: .init(), logger: nil, faults: DiskFaults(sync: gate.pass))
        let numbers = try await withThrowingTaskGroup(of: UInt64.self) { group -> [UInt64] in
            gate.close()
            group.addTask { try await journal.append(event(1)) }
            await gate.waiting()  // the disk is at work on the first
            for number in 2...500 { group.addTask { try await journal.append(event(number)) } }
            while journal.statistics.waiting < 499 { await Task.yield() }
            #expect(journal.statistics.appended == 0)
            gate.open()
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(numbers.sorted() == Array(1...500))
        #expect(journal.statistics.appended == 500)
        #expect(journal.statistics.syncs == 2)
        await journal.close()
        let again = try FileJournal(path: place.path)
        #expect(again.takeOpen().count == 500)
        await again.close()
    }

    @Test func `returns no append before the disk has it`() async throws {
        let place = try Place()
        defer { place.remove() }
        let gate = Gate()
        let journal = try FileJournal(path: place.path, options: .init(), logger: nil, faults: DiskFaults(sync: gate.pass))
        gate.close()
        let returned = Mutex(false)
        async let number = {
            let number = try await journal.append(event(1))
            returned.withLock { $0 = true }
            return number
        }()
        await gate.waiting()
        #expect(!returned.withLock { $0 })
        gate.open()
        #expect(try await number == 1)
        await journal.close()
    }

    @Test func `leaves no trace of what a full disk did not take, and goes on when there is room`() async throws {
        let place = try Place()
        defer { place.remove() }
        let room = Mutex(Int.max)
        let faults = DiskFaults(write: { bytes in
            room.withLock { room in
                defer { room -= bytes }
                return bytes <= room ? nil : (max(0, room), ENOSPC)
            }
        })
        let journal = try FileJournal(path: place.path, options: .init(segmentBytes: 4 << 10), logger: nil, faults: faults)
        var kept: [Int] = []
        // Full at another byte each time, in the middle of a record and of the header of a new file.
        for (number, space) in (1...60).map({ ($0, ($0 * 37) % 300) }) {
            room.withLock { $0 = space }
            do throws(LLMgineError) {
                _ = try await journal.append(event(number, bytes: 100))
                kept.append(number)
            } catch {
                #expect(error.code == .storageFailed)
                #expect(error.detail.contains("cannot be written: No space left on device"))
            }
            if number % 3 == 0 {
                room.withLock { $0 = .max }
                _ = try await journal.append(event(1000 + number, bytes: 100))
                kept.append(1000 + number)
            }
        }
        #expect((20..<60).contains(kept.count))
        #expect(Int(journal.statistics.failed) == 80 - kept.count)
        let copy = try place.killed()
        defer { copy.remove() }
        let again = try FileJournal(path: copy.path)
        #expect(again.takeEssences() == kept.sorted().map { Essence(event($0, bytes: 100)) })
        #expect(again.statistics.quarantined == 0)
        await again.close()
        await journal.close()
    }

    @Test func `takes nothing any more when the disk did not keep what it was given`() async throws {
        let place = try Place()
        defer { place.remove() }
        let isBroken = Mutex(false)
        let faults = DiskFaults(sync: { _ in isBroken.withLock { $0 } ? EIO : nil })
        let journal = try FileJournal(path: place.path, options: .init(), logger: nil, faults: faults)
        _ = try await journal.append(event(1))
        isBroken.withLock { $0 = true }
        await #expect(throws: LLMgineError(.storageFailed, "")) { try await journal.append(event(2)) }
        isBroken.withLock { $0 = false }
        await #expect(throws: LLMgineError(.storageFailed, "")) { try await journal.append(event(3)) }
        #expect(journal.statistics.lastError?.contains("cannot be brought to the disk") == true)
        await journal.close()
        let again = try FileJournal(path: place.path)
        #expect(again.takeEssences().first == Essence(event(1)))
        await again.close()
    }

    @Test func `belongs to one process at a time`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        let refusal = #expect(throws: LLMgineError.self) { try FileJournal(path: place.path) }
        #expect(refusal?.code == .storageFailed)
        #expect(refusal?.detail == "\(place.path): is in use by another process, number \(getpid())")
        await journal.close()
        await (try FileJournal(path: place.path)).close()
    }

    @Test func `says that it is full, and goes on when something is settled`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path, options: .init(maximumBytes: 64 << 10, segmentBytes: 16 << 10))
        var written: [UInt64] = []
        var failure: LLMgineError?
        do throws(LLMgineError) {
            for number in 1...100 { written.append(try await journal.append(event(number, bytes: 4000))) }
        } catch {
            failure = error
        }
        #expect(failure == LLMgineError(.storageFailed, ""))
        #expect((10...16).contains(written.count))
        #expect(journal.statistics.lastError?.contains("limit") == true)
        for number in written { journal.settled(number, obligation: "name:b/s") }
        while journal.statistics.open > 0 { await Task.yield() }
        _ = try await journal.append(event(200, bytes: 4000))
        await journal.close()
    }

    @Test func `never fills up with what is settled, however small it is`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path, options: .init(maximumBytes: 64 << 10))
        for number in 1...200 { journal.settled(try await journal.append(event(number, bytes: 4000)), obligation: "name:b/s") }
        #expect(journal.statistics.appended == 200)
        await journal.close()
    }

    @Test func `is not held by one event that nobody settles, whatever is written after it`() async throws {
        let place = try Place()
        defer { place.remove() }
        let options = FileJournal.Options(maximumBytes: 64 << 10, segmentBytes: 4 << 10)
        let journal = try FileJournal(path: place.path, options: options)
        let stuck = [try await journal.append(event(1, "name:b/s", "group:g")), try await journal.append(event(2))]
        journal.settled(stuck[0], obligation: "name:b/s")
        for number in 3...1000 {
            journal.settled(try await journal.append(event(number, bytes: 400)), obligation: "name:b/s")
        }
        #expect(journal.statistics.bytes <= 64 << 10)
        #expect(journal.statistics.appended == 1000)
        while journal.statistics.open > 2 { await Task.yield() }
        var report = try JournalReport(reading: place.path)
        while !report.defects.isEmpty || report.open.count > 2 {  // it may be at work still
            await Task.yield()
            report = try JournalReport(reading: place.path)
        }
        #expect(report.open.map(\.event) == [event(1), event(2)].map { $0.id.description })
        #expect(report.open.map(\.owed) == [["group:g"], ["name:b/s"]])
        // The numbers that were told hold, wherever the events are now.
        journal.settled(stuck[0], obligation: "group:g")
        journal.settled(stuck[1], obligation: "name:b/s")
        await journal.close()
        #expect(journal.statistics.open == 0)
        let again = try FileJournal(path: place.path, options: options)
        #expect(again.takeEssences().isEmpty)
        await again.close()
    }

    @Test func `takes nothing any more when it is closed`() async throws {
        let place = try Place()
        defer { place.remove() }
        let journal = try FileJournal(path: place.path)
        await journal.close()
        await #expect(throws: LLMgineError(.stopped, "")) { try await journal.append(event(1)) }
    }
}
