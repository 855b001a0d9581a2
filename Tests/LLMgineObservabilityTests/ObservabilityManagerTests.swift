import Dispatch
import LLMgineCore
import LLMgineObservability
import Synchronization
import Testing

import class Foundation.FileManager
import struct Foundation.UUID

private func event(_ number: Int) -> ObservedEvent {
    ObservedEvent(
        eventID: "a/1/\(number)", eventType: "OrderPlaced", timestamp: 1_795_363_509_000_123_456, session: "s1", topic: "orders.eu",
        metadata: [.init("source", "test \"1\"\n")])
}

/// Remembers what it saw; blocks in its first event until it is let go, if it was asked to.
private final class Witness: ObservabilityHandler {
    let seen = Mutex<[String]>([])
    let flushes = Atomic(0)
    private let gate: DispatchSemaphore?
    init(gate: DispatchSemaphore? = nil) { self.gate = gate }
    func handle(_ event: ObservedEvent) {
        if event.eventID.hasSuffix("/0") { gate?.wait() }
        seen.withLock { $0.append(event.eventID) }
    }
    func flush() { flushes.add(1, ordering: .relaxed) }
}

@Suite struct `The observability manager` {
    private let manager = ObservabilityManager(queueSize: 10)

    @Test func `does not even build an event while nobody listens`() async {
        manager.observe(
            {
                Issue.record("built")
                return event(1)
            }())
        let witness = Witness()
        manager.registerHandler(witness)
        manager.setEnabled(false)
        #expect(!manager.isObserving)
        manager.observe(event(1))
        await manager.drained()
        #expect(witness.seen.withLock { $0 } == [])
    }

    @Test func `tells every handler everything in order, then lets it flush`() async {
        let (one, two) = (Witness(), Witness())
        manager.registerHandler(one)
        manager.registerHandler(two)
        manager.registerHandler(one)
        #expect(manager.handlerCount == 2)
        for number in 1...8 { manager.observe(event(number)) }
        await manager.drained()
        #expect(one.seen.withLock { $0 } == (1...8).map { "a/1/\($0)" })
        #expect(two.seen.withLock { $0 } == one.seen.withLock { $0 })
        #expect(one.flushes.load(ordering: .relaxed) > 0)
        manager.unregisterHandler(one)
        manager.observe(event(9))
        await manager.drained()
        #expect(one.seen.withLock { $0.count } == 8 && two.seen.withLock { $0.count } == 9)
        manager.clearHandlers()
        #expect(manager.handlerCount == 0 && !manager.isObserving)
    }

    @Test func `drops the oldest events of a slow handler, and counts them`() async {
        let gate = DispatchSemaphore(value: 0)
        let witness = Witness(gate: gate)
        manager.registerHandler(witness)
        for number in 0..<40 { manager.observe(event(number)) }
        gate.signal()
        await manager.drained()
        let seen = witness.seen.withLock { $0 }
        guard case .integer(let dropped)? = manager.metrics.snapshot()[.observabilityDropped, []] else {
            Issue.record("no counter")
            return
        }
        #expect(seen.count + Int(dropped) == 40 && dropped > 0)
        #expect(seen.suffix(10) == (30..<40).map { "a/1/\($0)" })
        #expect(manager.metrics.snapshot()[.observabilityEvents, []] == .integer(40))
    }

    @Test func `writes events to a file as JSON lines`() throws {
        let directory = "\(FileManager.default.temporaryDirectory.path)/llmgine-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let file = try FileHandler(directory: directory, filename: "events.jsonl")
        file.handle(event(1))
        file.handle(ObservedEvent(eventID: "2", eventType: "SessionStarted", timestamp: 0))
        #expect(FileManager.default.contents(atPath: file.path) == .init(), "gathered, not written yet")
        file.flush()
        let text = try String(contentsOfFile: file.path, encoding: .utf8)
        #expect(
            text == """
                {"event_id":"a/1/1","timestamp":"2026-11-22T16:05:09.000123Z","metadata":{"source":"test \\"1\\"\\u000a"},"session_id":"s1","event_type":"OrderPlaced","topic":"orders.eu"}
                {"event_id":"2","timestamp":"1970-01-01T00:00:00.000000Z","metadata":{},"session_id":"BUS","event_type":"SessionStarted"}

                """)
        #expect(file.lostBytes == 0)
    }

    @Test func `says which file it cannot open`() {
        #expect(throws: LLMgineError(.invalidConfiguration, "")) { try FileHandler(directory: "/proc/no-such-place") }
    }

    @Test func `prints one line per event`() {
        let lines = Lines()
        ConsoleHandler { line in lines.all.withLock { $0.append(line) } }.handle(event(7))
        #expect(lines.all.withLock { $0 } == ["2026-11-22T16:05:09.000123Z OrderPlaced orders.eu id=a/1/7 session=s1 source=test \"1\"\n"])
    }

    private final class Lines: Sendable { let all = Mutex<[String]>([]) }
}

@Suite struct `Calendar time` {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000Z"), (951_782_400, "2000-02-29T00:00:00.000000Z"), (951_868_799, "2000-02-29T23:59:59.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"), (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000Z"),
        ] as [(UInt64, String)])
    func `is Gregorian`(seconds: UInt64, text: String) { #expect(CalendarTime(seconds * 1_000_000_000).iso8601 == text) }

    @Test func `names files`() { #expect(CalendarTime(1_795_363_509_000_000_000).fileStamp == "20261122_160509") }
}
