import Foundation
import GRDB
import LLMgineBus
import LLMgineCore
import LLMgineStore
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `The event log` {
    private let directory: Directory

    init() throws { directory = try Directory() }

    /// W24 of the predecessor: the log had no payload.
    @Test func `has every event with its payload, in the order of publishing`() async throws {
        let store = try SQLiteStore(path: directory.store)
        let bus = MessageBus(configuration: .init(name: "n", incarnation: Incarnation(1)), store: store)
        try await store.logEvents(of: bus)
        for number in 1...2500 { try await bus.publish(Tick(number: number), to: "t", options: .init(session: "s", headers: ["a": "b"])) }
        await bus.stop()
        await store.flush()
        let first = try await store.loggedEvents(limit: 1000)
        #expect(first.map(\.number) == Array(1...1000))
        #expect(try first.map { try Tick(decoding: $0.message.payload).number } == Array(1...1000))
        #expect((first[6].id, first[6].message.topic, first[6].message.eventType) == ("n/1/7", "t", "Tick"))
        #expect((first[6].message.session, first[6].message.headers["a"]) == ("s", "b"))
        #expect(try await store.loggedEvents(after: 2490).map(\.number) == Array(2491...2500))
        #expect(store.statistics.droppedFromLog == 0)
        #expect(store.statistics.batches < 2500)
        await store.close()
    }

    @Test func `keeps the newest, and not for ever`() async throws {
        let store = try SQLiteStore(path: directory.store, options: .init(logCapacity: 100))
        let bus = MessageBus(store: store)
        try await store.logEvents(of: bus)
        for number in 1...1000 { try await bus.publish(Tick(number: number), to: "t") }
        await bus.stop()
        await store.flush()
        let left = try await store.loggedEvents(limit: 1000).map(\.number)
        #expect(left.last == 1000)
        #expect(left.count < 1000, "\(left.count)")
        await store.close()
    }

    /// W25 of the predecessor: `publish` waited for the database, which made it 60 events a second.
    @Test func `holds no publisher back while the disk does nothing, and counts what it has no room for`() async throws {
        let store = try SQLiteStore(path: directory.store)
        let bus = MessageBus(store: store)
        try await store.logEvents(of: bus)
        let seen = Journal<Int>()
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true  // one that lasts as long as we like
        let other = try DatabaseQueue(path: directory.store, configuration: configuration)
        let count = 20_000
        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN EXCLUSIVE") }
        let began = ContinuousClock.now
        for number in 1...count { try await bus.publish(Tick(number: number), to: "t") }
        _ = try await seen.first(count)
        // Whoever waited for the disk would have waited for the whole of its patience, five seconds a transaction.
        #expect(ContinuousClock.now - began < .seconds(5))
        #expect(store.statistics.written == 0)
        try await other.writeWithoutTransaction { try $0.execute(sql: "COMMIT") }
        try other.close()
        await bus.stop()
        await store.flush()
        let statistics = store.statistics
        #expect(statistics.written + statistics.droppedFromLog + statistics.failed == UInt64(count), "\(statistics)")
        #expect(statistics.droppedFromLog > 0)
        await store.close()
    }

    /// W25: the default start wrote a file into the working directory.
    @Test func `is not there, nor is any file, unless somebody asks for it`() async throws {
        let bus = MessageBus()
        try await bus.schedule(Tick(number: 1), after: .seconds(60), to: "t")
        await bus.stop()
        #expect(try directory.names.isEmpty)
        let store = try SQLiteStore(path: directory.store)
        let quiet = MessageBus(store: store)
        try await quiet.publish(Tick(number: 1), to: "t")
        await quiet.stop()
        await store.flush()
        #expect(try await store.loggedEvents().isEmpty)
        await store.close()
    }
}
