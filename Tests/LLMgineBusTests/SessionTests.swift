import LLMgineBus
import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A session` {
    private let bus = MessageBus(.swift)

    @Test func `sees its own events and no others, and the bus sees all`() async throws {
        let all = Journal<(SessionID, Int)>()
        let own = Journal<(SessionID, Int)>()
        try await bus.subscribe(to: Tick.self) { tick, context in all.add((context.session, tick.number)) }
        let one = try await bus.createSession("one")
        let two = try await bus.createSession("two")
        try await one.subscribe(to: Tick.self) { tick, context in own.add((context.session, tick.number)) }
        #expect(try await one.publish(Tick(number: 1)).matched == 2)
        #expect(try await two.publish(Tick(number: 2)).matched == 1)
        #expect(try await bus.publish(Tick(number: 3)).matched == 1)
        #expect(try await one.publish(Tick(number: 4)).matched == 2)
        #expect(await all.first(4).map(\.1) == [1, 2, 3, 4])
        #expect(all.entries.map(\.0) == ["one", "two", .bus, "one"])
        #expect(await own.first(2).map(\.1) == [1, 4])
        await bus.stop()
        #expect(own.entries.map(\.0) == ["one", "one"])
    }

    @Test func `sees what is published as bytes, by filter, and in a group`() async throws {
        let seen = Journal<String>()
        let session = try await bus.createSession("s")
        try await session.subscribe("a.*") { (tick: Tick, _) in seen.add("typed \(tick.number)") }
        try await session.subscribe("a.b", "b") { (message: Message, _) in seen.add("raw \(message.text.utf8.count)") }
        try await session.subscribe("a.>", options: .init(group: "g")) { (tick: Tick, _) in seen.add("member \(tick.number)") }
        try await bus.subscribe("a.b", options: .init(group: "g")) { (_: Message, context) in seen.add("bus \(context.session)") }
        var message = Message("a.b", #"{"number":7,"publisher":0}"#)
        #expect(try await bus.publish(message).matched == 1)
        #expect(await seen.first(1) == ["bus BUS"])
        message.session = "s"
        #expect(try await bus.publish(message).matched == 3)
        #expect(try await bus.publish(message).matched == 3)
        await bus.stop()
        #expect(seen.entries.dropFirst().sorted() == ["bus s", "member 7", "raw 26", "raw 26", "typed 7", "typed 7"])
    }

    @Test func `says when it begins and ends, to its own handlers too`() async throws {
        let all = Journal<String>()
        let own = Journal<SessionEndEvent>()
        try await bus.subscribe(to: SessionStartEvent.self) { event, context in all.add("start \(event.session) in \(context.session)") }
        try await bus.subscribe(to: SessionEndEvent.self) { event, _ in all.add("end \(event.session): \(event.error ?? "-")") }
        let session = try await bus.createSession("s")
        try await session.subscribe(to: SessionEndEvent.self) { event, _ in own.add(event) }
        await session.end()
        await session.end()
        #expect(own.entries == [SessionEndEvent(session: "s")])
        let other = try await bus.createSession("t")
        await other.end(error: LLMgineError(.cancelled, "enough"))
        await bus.stop()
        #expect(all.entries.filter { $0.hasPrefix("start") } == ["start s in s", "start t in t"])
        #expect(all.entries.filter { $0.hasPrefix("end") } == ["end s: -", "end t: cancelled: enough"])
    }

    @Test func `lets its handlers finish what is queued, and takes them along`() async throws {
        let seen = Journal<Int>()
        let session = try await bus.createSession()
        try await session.subscribe(to: Tick.self) { tick, _ in seen.add(tick.number) }
        try session.handle(Add.self) { _, _ in 1 }
        for number in 0..<100 { try await session.publish(Tick(number: number)) }
        await session.end()
        #expect(seen.entries == Array(0..<100))
        #expect((bus.subscriptionCount, bus.sessionCount) == (0, 0))
        #expect(try await bus.publish(Tick(number: 9), options: .init(session: session.id)).matched == 0)
        #expect(await bus.execute(Add(left: 1, right: 1), options: .init(session: session.id)).error?.code == .noHandler)
        await bus.stop()
    }

    @Test func `refuses what comes after its end`() async throws {
        let session = try await bus.createSession("s")
        let handler = try session.handle(Add.self) { _, _ in 1 }
        await session.end()
        #expect(!session.isActive)
        await #expect(throws: LLMgineError(.stopped, "")) { try await session.publish(Tick(number: 1)) }
        await #expect(throws: LLMgineError(.stopped, "")) { try await session.subscribe(to: Tick.self) { _, _ in } }
        #expect(throws: LLMgineError(.stopped, "")) { try session.handle(Silent.self) { _, _ in } }
        let result = await session.execute(Add(left: 1, right: 2))
        #expect((result.error?.code, result.attempts, result.session) == (.stopped, 0, "s"))
        await handler.cancel()
        await bus.stop()
    }

    @Test func `has a name that is allowed and that no open session has`() async throws {
        let session = try await bus.createSession("s")
        await #expect(throws: LLMgineError(.invalidArgument, "")) { try await bus.createSession("s") }
        for name in ["", "BUS", String(repeating: "x", count: 129)] {
            await #expect(throws: LLMgineError(.invalidArgument, "")) { try await bus.createSession(SessionID(name)) }
        }
        await session.end()
        _ = try await bus.createSession("s")
        let one = try await bus.createSession()
        let two = try await bus.createSession()
        #expect(one.id != two.id && one.id.name.hasPrefix("n/1/s"))
        await bus.stop()
        await #expect(throws: LLMgineError(.stopped, "")) { try await bus.createSession() }
    }

    @Test func `has its commands executed by its own handler, else by the bus's`() async throws {
        try await bus.registerCommandHandler(Add.self) { command, _ in command.left + command.right }
        let session = try await bus.createSession("s")
        #expect(try await session.execute(Add(left: 1, right: 2)).value(as: Int.self) == 3)
        let handler = try session.handle(Add.self) { command, context in
            #expect(context.session == "s")
            return command.left * 100
        }
        #expect(throws: LLMgineError(.duplicateHandler, "")) { try session.handle(Add.self) { _, _ in 0 } }
        let result = await session.execute(Add(left: 1, right: 2))
        #expect(try (result.value(as: Int.self), result.session) == (100, "s"))
        #expect(try await bus.execute(Add(left: 1, right: 2)).value(as: Int.self) == 3)
        // What a node without a handler sends.
        var message = Message(Add.topic, #"{"left":1,"right":2}"#)
        message.session = "s"
        let answer = try await bus.request(message).first()
        #expect(try CommandResult(decoding: answer.payload).value(as: Int.self) == 100)
        await handler.cancel()
        #expect(try await session.execute(Add(left: 1, right: 2)).value(as: Int.self) == 3)
        await bus.stop()
    }

    @Test func `as a scope ends with its body, however that ends`() async throws {
        let ends = Journal<SessionEndEvent>()
        try await bus.subscribe(to: SessionEndEvent.self) { event, _ in ends.add(event) }
        let number = try await bus.session("a") { session in
            try await session.publish(Tick(number: 1))
            return 7
        }
        #expect(number == 7)
        await #expect(throws: Mishap.self) { try await bus.session("b") { _ in throw Mishap() } }
        await bus.stop()
        #expect(ends.entries == [SessionEndEvent(session: "a"), SessionEndEvent(session: "b", error: "Mishap")])
    }

    @Test(arguments: [1, 4])
    func `can be ended by its own handler`(concurrency: Int) async throws {
        let session = try await bus.createSession("s")
        let seen = Journal<Int>()
        let ended = Gate()
        try await session.subscribe(to: Tick.self, options: .init(concurrency: concurrency)) { tick, _ in
            seen.add(tick.number)
            if tick.number == 0 {
                await session.end()
                ended.open()
            }
        }
        for number in 0..<3 where session.isActive { _ = try? await session.publish(Tick(number: number)) }
        await ended.pass()
        try await until { bus.subscriptionCount == 0 }
        #expect(bus.deadLetters.count == 0)
        await bus.stop()
    }

    @Test func `does not wait longer than it may for a handler that does not return`() async throws {
        let session = try await bus.createSession("s")
        let gate = Gate()
        let started = Gate()
        try await session.subscribe(to: Tick.self, options: .init(name: "deaf")) { _, _ in
            started.open()
            await gate.pass()
        }
        try await session.publish(Tick(number: 0))
        await started.pass()
        try await session.publish(Tick(number: 1))
        await session.end(within: .zero)
        #expect(bus.subscriptionCount == 0)
        #expect(bus.deadLetters.list().map(\.subscription) == ["deaf"])
        gate.open()
        await bus.stop()
    }

    @Test func `ends when the bus stops, and its handlers are told`() async throws {
        let ends = Journal<SessionEndEvent>()
        let session = try await bus.createSession("s")
        try await session.subscribe(to: SessionEndEvent.self) { event, _ in ends.add(event) }
        #expect(await bus.stop() == [:])
        #expect(ends.entries == [SessionEndEvent(session: "s", error: "the bus stops")])
        #expect(!session.isActive)
        await session.end()
    }

    @Test func `is counted while it is open`() async throws {
        func gauge(_ instrument: Instrument) -> MetricsSnapshot.Value? { bus.observability.metrics.snapshot()[instrument, []] }
        let sessions = [try await bus.createSession(), try await bus.createSession()]
        try sessions[0].handle(Add.self) { _, _ in 1 }
        #expect((gauge(.activeSessions), gauge(.registeredHandlers)) == (.number(2), .number(1)))
        for session in sessions { await session.end() }
        #expect((gauge(.activeSessions), gauge(.registeredHandlers)) == (.number(0), .number(0)))
        await bus.stop()
    }
}

@Suite(.timeLimit(.minutes(2))) struct `A thousand sessions` {
    @Test func `cost the others nothing: no route is worked out anew, and no event meets their handlers`() async throws {
        let bus = MessageBus(.off)
        let seen = Journal<Int>()
        try await bus.subscribe(to: Tick.self) { tick, _ in seen.add(tick.number) }
        try await bus.publish(Tick(number: 0))
        let first = try await bus.createSession()
        await first.end()
        let routes = bus.routesMade
        var sessions: [BusSession] = []
        let heard = Journal<SessionID>()
        for number in 1...1000 {
            let session = try await bus.createSession(SessionID("\(number)"))
            try await session.subscribe(to: Tick.self) { _, context in heard.add(context.session) }
            sessions.append(session)
        }
        for number in 1...1000 { #expect(try await bus.publish(Tick(number: number)).matched == 1) }
        #expect(try await sessions[499].publish(Tick(number: 1001)).matched == 2)
        #expect(await heard.first(1) == ["500"])
        await seen.first(1002)
        #expect(bus.routesMade == routes)
        for session in sessions { await session.end() }
        #expect((bus.routesMade, bus.subscriptionCount, bus.sessionCount) == (routes, 1, 0))
        await bus.stop()
        #expect(heard.entries.count == 1)
    }

    @Test func `make room for one more in less than a millisecond`() async throws {
        let bus = MessageBus(.off)
        var sessions: [BusSession] = []
        for _ in 0..<1000 {
            let session = try await bus.createSession()
            try await session.subscribe(to: Tick.self) { _, _ in }
            sessions.append(session)
        }
        var durations: [Duration] = []
        for _ in 0..<200 {
            let began = ContinuousClock.now
            let session = try await bus.createSession()
            try await session.subscribe(to: Tick.self) { _, _ in }
            await session.end()
            durations.append(ContinuousClock.now - began)
        }
        let median = durations.sorted()[100]
        #expect(median < .milliseconds(1), "a session took \(median)")
        await bus.stop()
    }

    @Test func `do not wait for one whose handler is stuck`() async throws {
        let bus = MessageBus(.swift)
        let gate = Gate()
        let stuck = try await bus.createSession("stuck")
        try await stuck.subscribe(to: Tick.self, options: .init(capacity: 1, whenFull: .dropOldest)) { _, _ in await gate.pass() }
        for number in 0..<3 { try await stuck.publish(Tick(number: number)) }
        let seen = Journal<Int>()
        let free = try await bus.createSession("free")
        try await free.subscribe(to: Tick.self) { tick, _ in seen.add(tick.number) }
        for number in 0..<100 { #expect(try await free.publish(Tick(number: number)).waited == .zero) }
        #expect(await seen.first(100) == Array(0..<100))
        gate.open()
        await bus.stop()
    }
}
