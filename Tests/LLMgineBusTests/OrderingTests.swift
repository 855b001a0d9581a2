import LLMgineBus
import LLMgineCore
import LLMgineTestKit
import Testing

@Suite(.timeLimit(.minutes(2))) struct `A handler that treats sessions side by side` {
    private let bus = MessageBus(.swift)

    @Test func `does not let one wait for another's slow handler`() async throws {
        let gate = Gate()
        let seen = Journal<String>()
        try await bus.subscribe(to: Tick.self, options: .init(concurrency: 2, ordering: .session)) { tick, context in
            if context.session == "slow" { await gate.pass() }
            seen.add("\(context.session) \(tick.number)")
        }
        for number in 0..<4 { try await bus.publish(Tick(number: number), options: .init(session: "slow")) }
        for number in 0..<100 { try await bus.publish(Tick(number: number), options: .init(session: "fast")) }
        #expect(await seen.first(100) == (0..<100).map { "fast \($0)" })
        gate.open()
        #expect(await bus.stop() == [:])
        #expect(Array(seen.entries[100...]) == (0..<4).map { "slow \($0)" })
    }

    @Test func `with one at a time keeps the order of all`() async throws {
        let seen = Journal<Int>()
        try await bus.subscribe(to: Tick.self, options: .init(ordering: .session)) { tick, _ in seen.add(tick.number) }
        for number in 0..<100 { try await bus.publish(Tick(number: number), options: .init(session: SessionID("\(number % 7)"))) }
        await bus.stop()
        #expect(seen.entries == Array(0..<100))
    }

    @Test func `prefers what is urgent within a session`() async throws {
        let gate = Gate()
        let seen = Journal<Int>()
        let started = Gate()
        let other = Gate()
        try await bus.subscribe(to: Tick.self, options: .init(concurrency: 2, ordering: .session)) { tick, context in
            if context.session == "o" { return other.open() }
            seen.add(tick.number)
            started.open()
            if tick.number == 0 { await gate.pass() }
        }
        try await bus.publish(Tick(number: 0), options: .init(session: "s"))
        await started.pass()
        for (number, priority) in [(1, Priority.low), (2, .normal), (3, .urgent), (4, .normal), (5, .urgent)] {
            try await bus.publish(Tick(number: number), options: .init(priority: priority, session: "s"))
        }
        // Handled last of all, so that everything before has been looked at.
        try await bus.publish(Tick(number: 9), options: .init(priority: .low, session: "o"))
        await other.pass()
        gate.open()
        await bus.stop()
        #expect(seen.entries == [0, 3, 5, 2, 4, 1])
    }

    @Test func `does not give all places to sessions with a backlog`() async throws {
        let started = Journal<SessionID>()
        let permits = Journal<Void>()
        let gate = Gate()
        try await bus.subscribe(to: Tick.self, options: .init(concurrency: 2, ordering: .session)) { tick, context in
            started.add(context.session)
            if context.session == "stuck" { return await gate.pass() }
            await permits.first(tick.number)
        }
        for number in 1...2000 { try await bus.publish(Tick(number: number), options: .init(session: "long")) }
        for _ in 1...10 { try await bus.publish(Tick(number: 0), options: .init(session: "stuck")) }
        try await bus.publish(Tick(number: 0), options: .init(session: "late"))
        for step in 1...2000 {
            await started.first(step + 1)
            permits.add(())
            await Task.yield()
        }
        gate.open()
        await bus.stop()
        #expect(started.entries.count == 2011)
        let turn = try #require(started.entries.firstIndex(of: "late"))
        // Without its turn it would come after all of the long one. How soon depends on when the machine lets the dispatcher run.
        #expect(turn < 2000, "its turn was \(turn)")
    }

    @Test func `looks no further ahead than half of its queue`() async throws {
        let gate = Gate()
        let started = Gate()
        let subscription = try await bus.subscribe(
            to: Tick.self, options: .init(capacity: 8, whenFull: .rejectNew, concurrency: 2, ordering: .session)
        ) { _, _ in
            started.open()
            await gate.pass()
        }
        for number in 0..<20 { try await bus.publish(Tick(number: number), options: .init(session: "s")) }
        await started.pass()
        #expect((subscription.statistics.queued, subscription.statistics.rejected) == (8, 12))
        gate.open()
        #expect(await bus.stop() == [:])
        #expect(subscription.statistics.processed == 8)
    }

    @Test func `loses nothing when it ends`() async throws {
        let started = Journal<Int>()
        let subscription = try await bus.subscribe(to: Tick.self, options: .init(name: "s", concurrency: 2, ordering: .session)) {
            tick, _ in
            started.add(tick.number)
            try await cancellation()
        }
        for number in 0..<20 { try await bus.publish(Tick(number: number), options: .init(session: SessionID("\(number % 2)"))) }
        await started.first(2)
        await subscription.cancel()
        #expect((subscription.statistics.queued, subscription.statistics.stopped, bus.deadLetters.count) == (0, 20, 20))
        await bus.stop()
    }

    @Test func `can cancel its own subscription`() async throws {
        let handle = Journal<Subscription>()
        let ended = Gate()
        handle.add(
            try await bus.subscribe(to: Tick.self, options: .init(concurrency: 3)) { _, _ in
                await handle.first(1)[0].cancel()
                ended.open()
            })
        try await bus.publish(Tick(number: 1))
        await ended.pass()
        await bus.stop()
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func `keeps the order of every session, whatever the load`(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let sessions = Int.random(in: 1...20, using: &random)
        let seen = Journal<(SessionID, Int)>()
        let running = Journal<SessionID>()
        let subscription = try await bus.subscribe(
            to: Tick.self,
            options: .init(
                capacity: [4, 32, 10_000].randomElement(using: &random) ?? 4, whenFull: .block(deadline: .seconds(600)),
                concurrency: Int.random(in: 2...8, using: &random), ordering: .session)
        ) { tick, context in
            for _ in 0..<(tick.number % 3) { await Task.yield() }
            running.add(context.session)
            seen.add((context.session, tick.number))
        }
        var next = Array(repeating: 0, count: sessions)
        for _ in 0..<1000 {
            let session = Int.random(in: 0..<sessions, using: &random)
            try await bus.publish(Tick(number: next[session]), options: .init(session: SessionID("\(session)")))
            next[session] += 1
        }
        #expect(await bus.stop(deadline: .seconds(60)) == [:], "seed \(seed)")
        for session in 0..<sessions {
            let numbers = seen.entries.filter { $0.0.name == "\(session)" }.map(\.1)
            #expect(numbers == Array(0..<next[session]), "seed \(seed), session \(session)")
        }
        #expect(subscription.statistics.processed == 1000, "seed \(seed)")
    }
}
