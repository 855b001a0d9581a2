import LLMgineBus
import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import NIOCore
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct `Handlers of different priorities` {
    private let bus = MessageBus(.swift)
    private let seen = Journal<String>()

    private func note(_ name: String, _ priority: HandlerPriority, on filter: TopicFilter = "t") async throws {
        try await bus.subscribe(filter, options: .init(name: name, handlerPriority: priority)) { [seen] (tick: Tick, _) in
            seen.add("\(name)\(tick.number)")
        }
    }

    @Test func `get each event in stages, the lower number first`() async throws {
        try await note("e", .lowest)
        try await note("c", .normal)
        try await note("a", .highest)
        try await note("d", .low)
        try await note("b", .high)
        for number in 1...50 { try await bus.publish(Tick(number: number), to: "t") }
        let entries = await seen.first(250)
        for number in 1...50 {
            #expect(entries.filter { $0.dropFirst() == "\(number)" } == ["a", "b", "c", "d", "e"].map { "\($0)\(number)" })
        }
        await bus.stop()
    }

    @Test func `run side by side where the number is the same, and the next stage waits for all of them and for their retries`()
        async throws
    {
        let gates = [Gate(), Gate()]
        for index in 0..<2 {
            try await bus.subscribe("t", options: .init(handlerPriority: .high)) { [seen] (_: Tick, context) in
                seen.add("begun")
                await gates[index].pass()
                if context.attempt < 3 { throw Mishap() }
                seen.add("early")
            }
        }
        try await note("late", .normal)
        try await bus.publish(Tick(number: 1), to: "t")
        #expect(await seen.first(2) == ["begun", "begun"])
        gates[0].open()
        await seen.first(5)
        #expect(seen.entries.filter { $0 == "early" }.count == 1)
        #expect(!seen.entries.contains("late1"))
        gates[1].open()
        #expect(await seen.first(9).last == "late1")
        await bus.stop()
    }

    @Test func `wait for the handlers of the same event, not for those of another`() async throws {
        let gate = Gate()
        try await bus.subscribe("t", options: .init(handlerPriority: .highest)) { (tick: Tick, _) in
            if tick.number == 2 { await gate.pass() }
        }
        try await note("late", .normal)
        for number in 1...2 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(await seen.first(1) == ["late1"])
        #expect(seen.entries.count == 1)
        gate.open()
        #expect(await seen.first(2) == ["late1", "late2"])
        await bus.stop()
    }

    @Test func `keep to it in every form: of the type, of bytes, of a family, of a session, and for bytes that are published`() async throws
    {
        let family = EventFamily<Tick>().including(Tick.self) { $0 }
        let session = try await bus.createSession()
        try await session.subscribe("t", options: .init(handlerPriority: .lowest)) { [seen] (_: Tick, _) in seen.add("session") }
        try await bus.subscribe(to: family, on: ["t"], options: .init(handlerPriority: .low)) { [seen] _, _ in seen.add("family") }
        try await bus.subscribe("t", options: .init(concurrency: 2, handlerPriority: .high)) { [seen] (_: Message, _) in seen.add("bytes") }
        try await bus.subscribe("t", options: .init(handlerPriority: .highest)) { [seen] (_: Tick, _) in seen.add("typed") }
        let order = ["typed", "bytes", "family", "session"]
        try await session.publish(Tick(number: 1), to: "t")
        #expect(await seen.first(4) == order)
        try await session.publish(Tick(number: 2), to: "t", until: .processed)
        #expect(seen.entries == order + order)
        var message = Message(topic: "t", payload: .init(string: #"{"number":3,"publisher":0}"#), eventType: Tick.eventType)
        message.session = session.id
        try await bus.publish(message)
        #expect(await seen.first(12) == order + order + order)
        await bus.stop()
    }

    @Test func `go on when an earlier handler gives the event up, cannot read it, loses it, or ends`() async throws {
        try await note("late", .low)
        try await bus.subscribe("t", options: .init(handlerPriority: .highest)) { (_: Tick, _) in throw Mishap() }
        try await bus.subscribe("t", options: .init(handlerPriority: .high)) { (_: OtherTick, _) in }
        try await bus.publish(Message(topic: "t", payload: .init(string: #"{"number":1,"publisher":0}"#)))
        #expect(await seen.first(1) == ["late1"])
        let gate = Gate()
        let begun = Gate()
        let lossy = try await bus.subscribe(
            "t", options: .init(capacity: 1, whenFull: .dropOldest, handlerPriority: HandlerPriority(rawValue: 20))
        ) { (_: Tick, _) in
            begun.open()
            await gate.pass()
        }
        try await bus.publish(Tick(number: 2), to: "t")
        await begun.pass()
        for number in 3...4 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(seen.entries == ["late1"])
        async let ending: Void = lossy.cancel()
        gate.open()
        await ending
        #expect(await seen.first(4) == ["late1", "late2", "late3", "late4"])
        await bus.stop()
    }

    @Test func `stop waiting for one that takes too long, until it has handled something`() async throws {
        let late = Journal<String>()
        let bus = MessageBus(configuration: BusConfiguration(name: "n", resilience: .swift, handlerPatience: .milliseconds(20)))
        let overtakings = Overtakings(late)
        bus.observability.registerHandler(overtakings)
        let gate = Gate()
        let begun = Journal<Int>()
        try await bus.subscribe("t", options: .init(handlerPriority: .highest)) { (tick: Tick, _) in
            begun.add(tick.number)
            if tick.number == 1 { await gate.pass() }
        }
        try await bus.subscribe("t", options: .init(name: "second", handlerPriority: .normal)) { [seen] (tick: Tick, _) in
            seen.add("\(tick.number)")
        }
        for number in 1...3 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(await seen.first(3) == ["1", "2", "3"])
        #expect(await late.first(1) == ["second"])
        #expect(begun.entries == [1])
        gate.open()
        await begun.first(3)
        try await bus.publish(Tick(number: 4), to: "t", until: .processed)
        #expect(begun.entries == [1, 2, 3, 4])
        #expect(late.entries == ["second"])
        await bus.stop()
    }

    @Test func `do not wait in a circle when an earlier handler waits for a later one`() async throws {
        let waited = Journal<Duration>()
        try await bus.subscribe("t", options: .init(name: "first", handlerPriority: .highest)) { [bus] (tick: Tick, _) in
            guard tick.number < 10 else { return }
            let started = ContinuousClock.now
            try await bus.publish(Tick(number: tick.number + 10), to: "u", until: .processed)
            waited.add(.now - started)
        }
        try await bus.subscribe("*", options: .init(name: "second", capacity: 1, handlerPriority: .normal)) { [seen] (tick: Tick, _) in
            seen.add("\(tick.number)")
        }
        for number in 1...3 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(Set(await seen.first(6)) == ["1", "2", "3", "11", "12", "13"])
        #expect(await waited.first(3).allSatisfy { $0 < .seconds(4) })
        await bus.stop()
    }

    /// A subscription whose handler has begun with the event and waits for the gate.
    private func hold(_ gate: Gate) async throws {
        let begun = Gate()
        try await bus.subscribe("t", options: .init(handlerPriority: .high)) { [seen] (tick: Tick, _) in
            begun.open()
            await gate.pass()
            seen.add("early\(tick.number)")
        }
        try await bus.publish(Tick(number: 1), to: "t")
        await begun.pass()
    }

    @Test func `keep to it when one of them is the reader of a sequence`() async throws {
        let gate = Gate()
        let events = try await bus.events(Tick.self, on: "t", options: .init(handlerPriority: .low))
        let reader = Task { [seen] in
            for await (tick, _) in events {
                seen.add("read\(tick.number)")
                break
            }
        }
        try await hold(gate)
        for _ in 0..<1000 { await Task.yield() }  // time enough for a reader that does not wait
        #expect(seen.entries.isEmpty)
        gate.open()
        await reader.value
        #expect(seen.entries == ["early1", "read1"])
        await bus.stop()
    }

    @Test func `lose nothing when a sequence ends while its reader waits for its turn`() async throws {
        let gate = Gate()
        let events = try await bus.events(Tick.self, on: "t", options: .init(name: "read", handlerPriority: .low))
        let reader = Task { await events.reduce(0) { count, _ in count + 1 } }
        try await hold(gate)
        for _ in 0..<1000 { await Task.yield() }
        await events.subscription.cancel()
        #expect(await reader.value == 0)
        #expect(bus.deadLetters.list().map(\.subscription) == ["read"])
        #expect((events.subscription.statistics.processed, events.subscription.statistics.stopped) == (0, 1))
        gate.open()
        await bus.stop()
    }

    @Test func `have their queue saved when the bus stops while they wait`() async throws {
        let gate = Gate()
        let begun = Gate()
        try await bus.subscribe("t", options: .init(name: "first", handlerPriority: .highest)) { (_: Tick, _) in
            begun.open()
            await gate.pass()
        }
        try await note("second", .normal)
        for number in 1...2 { try await bus.publish(Tick(number: number), to: "t") }
        await begun.pass()
        let left = await bus.stop(deadline: .zero)
        gate.open()
        #expect(left == ["first": 2, "second": 2])
        #expect(bus.deadLetters.list().map(\.subscription).sorted() == ["first", "second", "second"])
    }
}

private final class Overtakings: ObservabilityHandler {
    let journal: Journal<String>
    init(_ journal: Journal<String>) { self.journal = journal }

    func handle(_ event: ObservedEvent) {
        guard event.eventType == "HandlerOvertook" else { return }
        journal.add(event.metadata.first { $0.key == "handler" }?.value ?? "")
    }
}
