import LLMgineBus
import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Synchronization
import Testing

private func event(_ type: String? = "Tick", session: SessionID = .bus, headers: Headers = [:]) -> PublishedEvent {
    PublishedEvent(eventType: type, topic: "t", session: session, headers: headers)
}

private struct Throwing: EventFilter {
    func shouldHandle(_ event: PublishedEvent) throws -> Bool { throw Mishap() }
}

private struct Stopping: EventFilter {
    func shouldHandle(_ event: PublishedEvent) -> Bool { (event.event as? Tick)?.number.isMultiple(of: 2) ?? false }
}

@Suite struct `An event filter` {
    @Test func `by session prefers what is excluded`() {
        #expect(SessionFilter().shouldHandle(event(session: "a")))
        let filter = SessionFilter(include: ["a", "b"], exclude: ["b"])
        #expect(["a", "b", "c", "BUS"].map { filter.shouldHandle(event(session: SessionID($0))) } == [true, false, false, false])
        #expect(SessionFilter(exclude: ["b"]).shouldHandle(event(session: "a")))
    }

    @Test func `by type prefers what is excluded`() {
        let filter = EventTypeFilter(include: [Tick.self, Tock.self], exclude: [Tock.self])
        #expect(["Tick", "Tock", "Other", nil].map { filter.shouldHandle(event($0)) } == [true, false, false, false])
        #expect(EventTypeFilter(exclude: [Tock.self]).shouldHandle(event(nil)))
        #expect(!EventTypeFilter(includeNames: [], excludeNames: ["Tick"]).shouldHandle(event()))
    }

    @Test func `by pattern looks anywhere in the name of the type, without regard to case`() throws {
        let filter = try PatternFilter(include: ["^ti", "tock$"], exclude: ["secret"])
        let verdicts = try ["Tick", "ATick", "MyTock", "TickSecret", nil].map { try filter.shouldHandle(event($0)) }
        #expect(verdicts == [true, false, true, false, false])
        #expect(try filter.shouldHandle(event("Tick")))
        #expect(try !PatternFilter(include: ["^ti"], isCaseSensitive: true).shouldHandle(event("Tick")))
        #expect(try PatternFilter().shouldHandle(event(nil)))
        for number in 0..<3000 { #expect(try filter.shouldHandle(event("Tick\(number)"))) }
    }

    @Test(arguments: ["(", "[a", "*", "a{2,1}"])
    func `with a pattern that is none is refused, and named`(pattern: String) throws {
        let error = #expect(throws: LLMgineError.self) { try PatternFilter(exclude: ["fine", pattern]) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.detail.contains("\"\(pattern)\"") == true)
    }

    @Test func `by metadata looks at headers`() {
        let filter = MetadataFilter(requiredKeys: ["a"], requiredValues: ["b": "1"])
        #expect(filter.shouldHandle(event(headers: ["a": "x", "b": "1"])))
        #expect(!filter.shouldHandle(event(headers: ["a": "x", "b": "2"])))
        #expect(!filter.shouldHandle(event(headers: ["b": "1"])))
        #expect(MetadataFilter().shouldHandle(event()))
    }

    @Test func `of several needs all of them, or one`() throws {
        let filters: [any EventFilter] = [SessionFilter(include: ["a"]), EventTypeFilter(include: [Tick.self])]
        let both = CompositeFilter(filters)
        let one = CompositeFilter(filters, requiresAll: false)
        #expect(try both.shouldHandle(event(session: "a")) && one.shouldHandle(event(session: "a")))
        #expect(try !both.shouldHandle(event(session: "b")) && one.shouldHandle(event(session: "b")))
        #expect(try !one.shouldHandle(event("Tock", session: "b")))
        #expect(try CompositeFilter([], requiresAll: false).shouldHandle(event()))
        #expect(throws: Mishap.self) { try CompositeFilter([Throwing()]).shouldHandle(event()) }
    }

    @Test func `by rate has a bucket of a second's worth for each session`() {
        let now = Mutex(Duration.zero)
        let filter = RateLimitFilter(maximumPerSecond: 3) { now.withLock { $0 } }
        func let_(_ session: SessionID, _ times: Int) -> Int { (0..<times).count { _ in filter.shouldHandle(event(session: session)) } }
        #expect((let_("a", 5), let_("b", 2)) == (3, 2))
        now.withLock { $0 += .milliseconds(700) }
        #expect((let_("a", 5), let_("b", 5)) == (2, 3))
        now.withLock { $0 += .seconds(100) }
        #expect(let_("a", 5) == 3)
    }

    @Test func `by rate can tell types apart, or nothing at all`() {
        let types = RateLimitFilter(maximumPerSecond: 1, perSession: false, perType: true) { .zero }
        #expect([event("A"), event("A"), event("B", session: "x"), event("B")].map(types.shouldHandle) == [true, false, true, false])
        let all = RateLimitFilter(maximumPerSecond: 1, perSession: false) { .zero }
        #expect([event("A", session: "x"), event("B", session: "y")].map(all.shouldHandle) == [true, false])
        #expect(!RateLimitFilter(maximumPerSecond: 0).shouldHandle(event()))
        #expect(!RateLimitFilter(maximumPerSecond: .nan).shouldHandle(event()))
    }

    @Test func `by rate keeps a bounded number of buckets, and those that are used`() {
        let filter = RateLimitFilter(maximumPerSecond: 1, maximumBuckets: 10) { .zero }
        #expect(filter.shouldHandle(event(session: "used")))
        for number in 0..<1000 {
            #expect(filter.shouldHandle(event(session: SessionID("\(number)"))))
            #expect(!filter.shouldHandle(event(session: "used")))
            #expect(filter.bucketCount <= 10)
        }
    }

    @Test func `for debugging stops nothing and tells no content`() {
        let lines = Journal<String>()
        let filter = DebugFilter { lines.add($0) }
        #expect(filter.shouldHandle(event(headers: ["k": "secret"])) && filter.shouldHandle(event(nil, session: "s")))
        #expect(lines.entries == ["Tick on t, session BUS, priority normal", "bytes on t, session s, priority normal"])
        #expect(DebugFilter(isEnabled: false) { lines.add($0) }.shouldHandle(event()))
        #expect(DebugFilter().shouldHandle(event()))
        #expect(lines.entries.count == 2)
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Filters of a bus` {
    private let bus = MessageBus(.swift)

    private func counter(_ instrument: Instrument) -> MetricsSnapshot.Value? { bus.observability.metrics.snapshot()[instrument, []] }

    @Test func `stop an event before any queue, until they are removed`() async throws {
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        try await bus.publish(Tick(number: 1), to: "t")
        let filter = bus.addEventFilter(Stopping())
        for number in 2...5 {
            #expect(try await bus.publish(Tick(number: number), to: "t").matched == (number.isMultiple(of: 2) ? 1 : 0))
        }
        #expect(try await bus.publish(Tick(number: 7), to: "t", until: .processed).matched == 0)
        filter.remove()
        filter.remove()
        try await bus.publish(Tick(number: 9), to: "t")
        await bus.stop()
        #expect(seen.entries == [1, 2, 4, 9])
        #expect(counter(.eventsFiltered) == .integer(3))
    }

    @Test func `judge events of sessions, several subscriptions and bytes as well`() async throws {
        let session = try await bus.createSession("s")
        try await session.subscribe("t") { (_: Tick, _) in }
        try await bus.subscribe("t") { (_: Message, _) in }
        bus.addEventFilter(EventTypeFilter(exclude: [Tick.self]))
        bus.addEventFilter(SessionFilter(exclude: ["x"]))
        #expect(try await session.publish(Tick(number: 1), to: "t").matched == 0)
        #expect(try await bus.publish(Message("t", "bytes")).matched == 1)
        #expect(try await bus.publish(Tock(text: ""), to: "t").matched == 1)
        #expect(try await bus.publish(Tock(text: ""), to: "t", options: .init(session: "x")).matched == 0)
        await bus.stop()
    }

    @Test func `that throw have no say, and the publisher does not notice`() async throws {
        let observer = Observer()
        bus.observability.registerHandler(observer)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        bus.addEventFilter(Throwing())
        bus.addEventFilter(Stopping())
        for number in 1...2 { try await bus.publish(Tick(number: number), to: "t") }
        await bus.stop()
        await bus.observability.drained()
        #expect(seen.entries == [2])
        #expect(counter(.filterFaults) == .integer(2))
        #expect(
            observer.events("FilterFailed").map(\.metadata)
                == Array(repeating: [.init("filter", "Throwing"), .init("error", "Mishap")], count: 2))
    }
}

/// Collects what a bus tells its observers.
final class Observer: ObservabilityHandler {
    private let seen = Mutex<[ObservedEvent]>([])
    func handle(_ event: ObservedEvent) { seen.withLock { $0.append(event) } }
    func events(_ type: String) -> [ObservedEvent] { seen.withLock { $0.filter { $0.eventType == type } } }
}
