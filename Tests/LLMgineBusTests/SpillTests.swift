import LLMgineBus
import LLMgineCore
import LLMgineResilience
import Logging
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A full queue that goes on over the disk` {
    private func bus(in scratch: Scratch) -> MessageBus {
        MessageBus(
            configuration: BusConfiguration(
                name: "n", incarnation: Incarnation(1), resilience: .swift, spillDirectory: scratch.path))
    }

    @Test func `keeps every event and its order, from memory to disk to memory`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let bus = bus(in: scratch)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 4, whenFull: .spill))
        for number in 1...1000 {
            let receipt = try await bus.publish(Tick(number: number), to: "t")
            #expect((receipt.matched, receipt.accepted, receipt.spilled) == (1, 1, number < 4 ? 0 : 1))
        }
        #expect(held.subscription.statistics.spilled == 997)
        #expect(held.subscription.statistics.queued == 1001)
        held.gate.open()
        #expect(await held.seen.first(1001).map(\.0.number) == Array(0...1000))
        // Back in memory.
        while held.subscription.statistics.queued > 0 { await Task.yield() }
        while try await bus.publish(Tick(number: 0), to: "t").spilled > 0 { await Task.yield() }
        #expect(scratch.files.isEmpty)
        await bus.stop()
    }

    @Test func `keeps the order while events come and go`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let bus = bus(in: scratch)
        let seen = Journal<Int>()
        let subscription = try await bus.subscribe("t", options: .init(capacity: 3, whenFull: .spill)) { (tick: Tick, _) in
            seen.add(tick.number)
            if tick.number % 7 == 0 { for _ in 0..<20 { await Task.yield() } }
        }
        var spilled = 0
        for number in 1...5000 {
            spilled += try await bus.publish(Tick(number: number), to: "t").spilled
            if number % 100 == 0 { while subscription.statistics.queued > 1 { await Task.yield() } }
        }
        #expect(await seen.first(5000) == Array(1...5000))
        #expect(spilled > 0 && spilled < 5000, "\(spilled)")
        await bus.stop()
    }

    @Test func `refuses what the limit does not take, and says so`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let bus = bus(in: scratch)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 1, whenFull: .spill(maximumBytes: 1000)))
        var (spilled, rejected) = (0, 0)
        for number in 1...100 {
            let receipt = try await bus.publish(Tick(number: number), to: "t")
            #expect(receipt.accepted == receipt.spilled && receipt.accepted + receipt.rejected == 1)
            spilled += receipt.spilled
            rejected += receipt.rejected
        }
        #expect(spilled > 3 && rejected > 3)
        #expect(held.subscription.statistics.rejected == UInt64(rejected))
        held.gate.open()
        #expect(await held.seen.first(spilled + 1).map(\.0.number) == Array(0...spilled))
        await bus.stop()
    }

    @Test func `refuses what the disk does not take`() async throws {
        let scratch = try Scratch()
        scratch.remove()
        let bus = bus(in: scratch)
        let held = try await HeldSubscription(
            on: bus, options: .init(queue: BoundedEventQueue(capacity: 1, strategy: .spill, keepsDropped: true)))
        let receipt = try await bus.publish(Tick(number: 1), to: "t")
        #expect((receipt.matched, receipt.accepted, receipt.rejected, receipt.spilled) == (1, 0, 1, 0))
        #expect(bus.deadLetters.list(limit: 10).count == 1)
        held.gate.open()
        while held.subscription.statistics.queued > 0 { await Task.yield() }
        while try await bus.publish(Tick(number: 2), to: "t").accepted == 0 { await Task.yield() }
        await bus.stop()
        #expect(held.numbers.prefix(2) == [0, 2])
    }

    @Test func `says once why the disk does not take events`() async throws {
        let scratch = try Scratch()
        scratch.remove()
        let lines = Journal<String>()
        let line = SpillLine(
            in: scratch.path, maximumBytes: 1000,
            logger: Logger(label: "t") { _ in LineHandler { lines.add("\($0.level) \($0.message): \($0.metadata?["error"] ?? "")") } },
            target: .init(hold: { _ in true }, enter: { _, _ in true }, room: {}, lose: { _ in }))
        for number in 1...3 as ClosedRange<UInt64> {
            guard case .refused(let error) = await line.spill(SpillRecord(Message("t", "x"), sequence: number, at: .zero)) else {
                Issue.record("it was taken")
                continue
            }
            #expect(error.code == .storageFailed)
        }
        #expect(
            lines.entries == [
                "error the disk does not take events; they are rejected: cannot make a file in \(scratch.path): No such file or directory"
            ])
        await line.end()
    }

    @Test func `says nothing of a limit that is reached`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let lines = Journal<String>()
        let line = SpillLine(
            in: scratch.path, maximumBytes: 1,
            logger: Logger(label: "t") { _ in LineHandler { lines.add("\($0.level) \($0.message): \($0.metadata?["error"] ?? "")") } },
            target: .init(hold: { _ in true }, enter: { _, _ in true }, room: {}, lose: { _ in }))
        guard case .refused(let error) = await line.spill(SpillRecord(Message("t", "x"), sequence: 1, at: .zero)) else {
            Issue.record("it was taken")
            return
        }
        #expect(error.code == .limitExceeded)
        #expect(lines.entries == [])
        await line.end()
    }

    @Test func `is handled to its end when the bus stops`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let bus = bus(in: scratch)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 4, whenFull: .spill))
        for number in 1...500 { _ = try await bus.publish(Tick(number: number), to: "t") }
        async let left = bus.stop(deadline: .seconds(30))
        held.gate.open()
        #expect(await left.isEmpty)
        #expect(held.numbers == Array(0...500))
    }

    @Test func `goes to the dead letters where the subscription ends before`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let bus = bus(in: scratch)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 4, whenFull: .spill))
        for number in 1...50 { _ = try await bus.publish(Tick(number: number), to: "t") }
        let left = await bus.stop(deadline: .zero)
        #expect(left["t"] == 51)
        let letters = bus.deadLetters.list(limit: 100).compactMap { try? Tick(decoding: $0.content.payload).number }
        #expect(letters.sorted() == Array(1...50))
        #expect(held.subscription.statistics.stopped == 50)
        held.gate.open()
    }

    @Test func `is waited for by a publisher who asks for that, and forgets what is out of time`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let bus = bus(in: scratch)
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 1, whenFull: .spill))
        async let receipt = bus.publish(Tick(number: 1), to: "t", until: .processed)
        while held.subscription.statistics.spilled == 0 { await Task.yield() }
        _ = try await bus.publish(Tick(number: 2), to: "t", options: .init(timeToLive: .zero))
        held.gate.open()
        #expect(try await receipt.slow.isEmpty)
        while held.subscription.statistics.expired == 0 { await Task.yield() }
        await bus.stop()
        #expect(held.numbers == [0, 1])
    }
}
