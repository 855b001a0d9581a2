import Foundation
import LLMgineBus
import LLMgineCore
import LLMgineResilience
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A scheduled event` {
    @Test func `is published at its time, to 10 ms`() async throws {
        let bus = MessageBus(.swift)
        let late = Journal<Double>()
        let control = Journal<Double>()
        try await bus.subscribe("t") { (tick: Moment, _) in late.add(Date().timeIntervalSince1970 - tick.due) }
        for number in 1...41 {
            let delay = Double(number) * 0.01 + 0.1
            let due = Date().addingTimeInterval(delay)
            // A plain sleep to the same moment shows how late the machine itself is, which others may keep busy.
            Task {
                try await Task.sleep(for: .seconds(delay), tolerance: .zero)
                control.add(Date().timeIntervalSince1970 - due.timeIntervalSince1970)
            }
            try await bus.schedule(Moment(due: due.timeIntervalSince1970), at: due, to: "t")
        }
        let all = await late.first(41).sorted()
        let machine = await control.first(41).sorted()
        #expect(all[0] > -0.002, "never early")
        #expect(all[20] - machine[20] < 0.010, "the median of \(all), against \(machine)")
        #expect(bus.scheduledEvents.isEmpty)
        await bus.stop()
    }

    @Test func `comes in the order of the times, whatever the order of asking`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        for number in [3, 1, 2] { try await bus.schedule(Tick(number: number), after: .milliseconds(100 * number), to: "t") }
        #expect(bus.scheduledEvents.map { try? Tick(decoding: $0.message.payload).number } == [1, 2, 3])
        #expect(await seen.first(3) == [1, 2, 3])
        await bus.stop()
    }

    /// W7 of the predecessor: one pending event held up every publisher until it was due.
    @Test func `that is far off holds up no publisher and no other event`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        try await bus.schedule(Tick(number: -1), after: .seconds(3600), to: "t")
        let began = ContinuousClock.now
        for number in 0..<1000 { try await bus.publish(Tick(number: number), to: "t") }
        try await bus.schedule(Tick(number: 1000), after: .zero, to: "t")
        #expect(await seen.first(1001) == Array(0...1000))
        #expect(ContinuousClock.now - began < .seconds(10))
        #expect(bus.scheduledEvents.count == 1)
        #expect(await bus.stop() == ["scheduled events": 1])
    }

    @Test func `comes with a thousand others of the same moment`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        let due = Date().addingTimeInterval(0.1)
        for number in 0..<1000 { try await bus.schedule(Tick(number: number), at: due, to: "t") }
        #expect(Set(await seen.first(1000)) == Set(0..<1000))
        await bus.stop()
    }

    @Test func `that a full subscription holds back holds back no other`() async throws {
        let bus = MessageBus(.swift)
        let held = try await HeldSubscription(on: bus, "full", options: .init(capacity: 2, whenFull: .block(deadline: .seconds(600))))
        try await bus.publish(Tick(number: 1), to: "full")
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        let first = try await bus.schedule(Tick(number: 2), at: Date(), to: "full")
        let second = try await bus.schedule(Tick(number: 3), after: .milliseconds(20), to: "t")
        #expect(await seen.first(1) == [3])
        // It is on its way, so it cannot be called off any more.
        #expect(try await bus.cancelScheduled(first.id) == nil)
        #expect(try await bus.cancelScheduled(second.id) == nil)
        held.gate.open()
        try await until { held.numbers == [0, 1, 2] }
        await bus.stop()
    }

    @Test func `of the past is published at once`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        try await bus.schedule(Tick(number: 1), at: Date(timeIntervalSince1970: 0), to: "t")
        try await bus.schedule(Tick(number: 2), after: .seconds(-5), to: "t")
        #expect(Set(await seen.first(2)) == [1, 2])
        await bus.stop()
    }

    @Test func `carries everything that it was given`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<(Tick, EventContext)>()
        try await bus.subscribe("t") { (tick: Tick, context) in seen.add((tick, context)) }
        let options = PublishOptions(priority: .urgent, session: "s", headers: ["a": "b"], timeToLive: .seconds(5))
        let event = try await bus.schedule(Tick(number: 7, publisher: 8), after: .milliseconds(1), to: "t", options: options)
        #expect((event.message.eventType, event.message.timeToLive, event.id.text) == ("Tick", .seconds(5), "n/1/s1"))
        let (tick, context) = await seen.first(1)[0]
        #expect(tick == Tick(number: 7, publisher: 8))
        #expect((context.topic, context.priority, context.session, context.headers["a"]) == ("t", .urgent, "s", "b"))
        await bus.stop()
    }

    @Test func `that is called off is not published`() async throws {
        let store = MemoryStore()
        let bus = MessageBus(configuration: .init(name: "n"), store: store)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        let first = try await bus.schedule(Tick(number: 1), after: .milliseconds(100), to: "t")
        try await bus.schedule(Tick(number: 2), after: .milliseconds(200), to: "t")
        #expect(try await bus.cancelScheduled(first.id)?.id == first.id)
        #expect(try await bus.cancelScheduled(first.id) == nil)
        #expect(await seen.first(1) == [2])
        try await until { store.told.count == 4 }
        #expect(store.told == ["scheduled", "scheduled", "unscheduled", "unscheduled"])
        await bus.stop()
    }

    @Test func `that cannot be published goes to the dead letters, and from there once more`() async throws {
        let bus = MessageBus(.swift)
        let event = try await bus.schedule(Tick(number: 1), after: .seconds(3600), to: "t")
        bus.bury(event, LLMgineError(.limitExceeded, "too large for the link"))
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        #expect(bus.deadLetters.list().map(\.error.code) == [.limitExceeded])
        #expect(bus.deadLetters.retryAll() == 1)
        #expect(await seen.first(1) == [1])
        await bus.stop()
    }

    @Test func `that finds no room when it is tried again is a dead letter once more`() async throws {
        let store = MemoryStore()
        let bus = MessageBus(configuration: .init(scheduleCapacity: 1), store: store)
        let event = try await bus.schedule(Tick(number: 1), after: .seconds(3600), to: "t")
        bus.bury(event, LLMgineError(.badPayload, "too large for the link"))
        let first = try #require(bus.deadLetters.list().first)
        #expect(bus.deadLetters.retry(first.id))
        try await until { bus.deadLetters.added == 2 }
        let second = try #require(bus.deadLetters.list().first)
        #expect((second.id, second.attempts, second.message, second.error.code) == (2, 2, first.message, .limitExceeded))
        try await until { store.told == ["scheduled", "letter 1", "letter 2", "gone 1"] }
        await bus.stop()
    }

    @Test func `is refused when it makes no sense, or there are too many`() async throws {
        let bus = MessageBus(configuration: .init(scheduleCapacity: 1))
        for moment in [Double.nan, .infinity, 1e15] {
            await #expect(throws: LLMgineError(.invalidArgument, "")) {
                try await bus.schedule(Tick(number: 1), at: Date(timeIntervalSince1970: moment), to: "t")
            }
        }
        await #expect(throws: LLMgineError(.invalidArgument, "")) {
            try await bus.schedule(Tick(number: 1), after: .seconds(Int64.max), to: "t")
        }
        await #expect(throws: LLMgineError(.badPayload, "")) { try await bus.schedule(Unwritable(), after: .seconds(1), to: "t") }
        try await bus.schedule(Tick(number: 1), after: .seconds(60), to: "t")
        await #expect(throws: LLMgineError(.limitExceeded, "")) { try await bus.schedule(Tick(number: 1), after: .seconds(1), to: "t") }
        await bus.stop()
        await #expect(throws: LLMgineError(.stopped, "")) { try await bus.schedule(Tick(number: 1), after: .seconds(1), to: "t") }
    }
}

/// W8 and W24 of the predecessor: a crash lost what was scheduled, and what came back had lost its own fields.
@Suite(.timeLimit(.minutes(1))) struct `A scheduled event with a store` {
    private func bus(_ store: MemoryStore, incarnation: UInt64 = 1) -> MessageBus {
        MessageBus(configuration: .init(name: "n", incarnation: Incarnation(incarnation)), store: store)
    }

    @Test func `is kept before the call returns and forgotten once it is published`() async throws {
        let store = MemoryStore()
        let bus = bus(store)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in
            #expect(store.told.contains("scheduled"))
            seen.add(tick.number)
        }
        try await bus.schedule(Tick(number: 1), after: .seconds(3600), to: "t")
        #expect(store.told == ["scheduled"])
        try await bus.schedule(Tick(number: 2), after: .zero, to: "t")
        await seen.first(1)
        try await until { store.contents.scheduled.count == 1 }
        #expect(await bus.stop() == [:])
        #expect(store.contents.scheduled.map(\.id.text) == ["n/1/s1"])
    }

    @Test func `stays kept until publish has returned`() async throws {
        let store = MemoryStore()
        let bus = bus(store)
        let held = try await HeldSubscription(on: bus, "full", options: .init(capacity: 2, whenFull: .block(deadline: .seconds(600))))
        try await bus.publish(Tick(number: 1), to: "full")
        try await bus.schedule(Tick(number: 2), after: .zero, to: "full")
        try await until { bus.isHoldingPublishersBack }
        #expect(store.told == ["scheduled"])
        held.gate.open()
        try await until { store.told == ["scheduled", "unscheduled"] }
        await bus.stop()
        #expect(held.numbers == [0, 1, 2])
    }

    @Test func `does not keep a stop waiting for a disk that never answers`() async throws {
        let store = MemoryStore()
        store.flushes.close()
        let bus = bus(store)
        try await bus.schedule(Tick(number: 1), after: .seconds(3600), to: "t")
        let began = ContinuousClock.now
        await bus.stop(deadline: .zero)
        #expect(ContinuousClock.now - began < .seconds(10))
        store.flushes.open()
    }

    @Test func `comes in the next life: at once if it is due, whole, when the handlers are there`() async throws {
        let store = MemoryStore()
        let first = bus(store)
        let options = PublishOptions(priority: .high, session: "s", headers: ["a": "b"])
        try await first.schedule(Tick(number: 1, publisher: 5), after: .milliseconds(1), to: "nobody")
        let event = try await first.schedule(Tick(number: 2, publisher: 6), after: .milliseconds(150), to: "t", options: options)
        try await until { store.contents.scheduled.count == 1 }
        // Here it ends, and leaves what the store has.
        await first.stop()
        let next = store.nextLife
        let second = bus(next, incarnation: 2)
        #expect(second.scheduledEvents.map(\.id.text) == ["n/1/s2"])
        try await until { Date() > event.due }
        let seen = Journal<(Tick, EventContext)>()
        try await second.subscribe("t") { (tick: Tick, context) in seen.add((tick, context)) }
        #expect(seen.entries.isEmpty)
        await second.resume()
        let (tick, context) = await seen.first(1)[0]
        #expect(tick == Tick(number: 2, publisher: 6))
        #expect((context.session, context.priority, context.headers["a"]) == ("s", .high, "b"))
        try await until { next.contents.scheduled.isEmpty }
        await second.resume()
        #expect(second.scheduledEvents.isEmpty)
        await second.stop()
    }

    @Test func `is refused when it cannot be kept, and the bus goes on`() async throws {
        let store = MemoryStore()
        let bus = bus(store)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        store.fails = true
        await #expect(throws: LLMgineError(.storageFailed, "")) { try await bus.schedule(Tick(number: 1), after: .zero, to: "t") }
        #expect(bus.scheduledEvents.isEmpty)
        try await bus.publish(Tick(number: 2), to: "t")
        store.fails = false
        try await bus.schedule(Tick(number: 3), after: .zero, to: "t")
        #expect(await seen.first(2) == [2, 3])
        await bus.stop()
    }
}

/// An event that knows when it is due, in seconds since 1970.
struct Moment: Event {
    var due: Double
}
