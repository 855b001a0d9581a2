import Foundation
import GRDB
import LLMgineBus
import LLMgineCore
import LLMgineResilience
import LLMgineStore
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A store` {
    private let directory: Directory

    init() throws { directory = try Directory() }

    /// W24 of the predecessor: only the base fields came back.
    @Test func `gives back what it was given, field by field`() async throws {
        let event = ScheduledEvent(id: .init("n/1/s1"), due: Date(timeIntervalSince1970: 2_000_000_000.25), message: .full("one"))
        let approval = Approval(
            id: ApprovalID("n/1/a1"), approver: "ann", summary: "ship it", request: .full("two"),
            requested: Date(timeIntervalSince1970: 1_900_000_000.5), expires: Date(timeIntervalSince1970: 1_900_000_001),
            callbacks: [.approved: .full("three"), .expired: .full("")])
        var decided = Approval(
            id: ApprovalID("n/1/a2"), approver: "bob", summary: "", request: .full("\u{0}\u{7}"),
            requested: Date(timeIntervalSince1970: 1), expires: nil, callbacks: [:])
        decided.outcome = ApprovalResult(id: decided.id, status: .denied, decidedBy: "bob", note: "no")
        let letters = [
            DeadLetter(1, .full("four")), DeadLetter(2, .full("five"), command: CommandID("n/1/c1")),
            DeadLetter(9, .full("six"), encodingError: LLMgineError(.badPayload, "the event does not encode")),
        ]
        let store = try SQLiteStore(path: directory.store)
        #expect(store.setAside == nil)
        try await store.keep(.scheduled(event))
        try await store.keep(.approval(approval))
        try await store.keep(.approval(decided))
        for letter in letters { store.note(.deadLetter(letter)) }
        await store.flush()
        #expect((store.statistics.written, store.statistics.waiting, store.statistics.failed) == (6, 0, 0))
        await store.close()

        let again = try SQLiteStore(path: directory.store)
        let contents = again.takeContents()
        #expect(contents.scheduled.map(\.id) == [event.id])
        #expect(contents.scheduled.map(\.due) == [event.due])
        #expect(contents.scheduled.map(\.message.everything) == [event.message.everything])
        #expect(contents.deadLetters.map(\.everything) == letters.map(\.everything))
        let approvals = contents.approvals.sorted { $0.id.text < $1.id.text }
        #expect(approvals.map(\.id) == [approval.id, decided.id])
        #expect(approvals.map(\.request.everything) == [approval, decided].map(\.request.everything))
        #expect(approvals.map(\.approver) == ["ann", "bob"])
        #expect(approvals.map(\.requested) == [approval.requested, decided.requested])
        #expect(approvals.map(\.expires) == [approval.expires, nil])
        #expect(approvals.map(\.outcome) == [nil, decided.outcome])
        #expect(approvals[0].callbacks.mapValues(\.everything) == approval.callbacks.mapValues(\.everything))
        #expect(again.takeContents().scheduled.isEmpty)

        for change in [StoreChange.unscheduled(event.id), .approvalGone(approval.id), .approvalGone(decided.id)] { again.note(change) }
        for letter in letters { again.note(.deadLetterGone(letter.id)) }
        await again.close()
        let third = try SQLiteStore(path: directory.store)
        let empty = third.takeContents()
        #expect(empty.scheduled.isEmpty && empty.approvals.isEmpty && empty.deadLetters.isEmpty)
        await third.close()
    }

    @Test func `writes what comes together in one transaction`() async throws {
        let store = try SQLiteStore(path: directory.store)
        await withTaskGroup { tasks in
            for number in 1...2000 {
                tasks.addTask {
                    let message = Message.full("\(number)")
                    let event = ScheduledEvent(id: .init("n/1/s\(number)"), due: Date.distantFuture, message: message)
                    do { try await store.keep(.scheduled(event)) } catch { Issue.record("\(error)") }
                }
            }
        }
        #expect(store.statistics.written == 2000)
        #expect(store.statistics.batches < 2000, "\(store.statistics.batches) transactions")
        await store.close()
    }

    @Test func `belongs to one process: a second one is refused`() async throws {
        let store = try SQLiteStore(path: directory.store)
        do {
            _ = try SQLiteStore(path: directory.store)
            Issue.record("it was opened twice")
        } catch {
            #expect(error.code == .storageFailed)
            #expect(error.detail == "\(directory.store): is in use by another process, number \(getpid())")
        }
        await store.close()
        await #expect(throws: LLMgineError(.storageFailed, "")) { try await store.keep(.unscheduled(.init("x"))) }
        let next = try SQLiteStore(path: directory.store)
        await next.close()
    }

    /// Whoever closes a file takes the locks of the process off it, those of the store that is open too: https://sqlite.org/howtocorrupt.html, 2.2.
    @Test func `keeps its write-ahead log when a second one was refused and another tool has looked into the file`() async throws {
        let path = sharedStore(of: getpid(), "looked")
        defer { for suffix in ["", "-wal", "-shm", ".lock"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
        let store = try SQLiteStore(path: path)
        try await store.keep(.deadLetter(DeadLetter(1, .full("one"))))
        #expect(throws: LLMgineError(.storageFailed, "")) { try SQLiteStore(path: path) }
        await #expect(processExitsWith: .success) {
            let tool = try DatabaseQueue(path: sharedStore(of: getppid(), "looked"))
            let letters = try await tool.read { try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM dead_letters") }
            try tool.close()
            #expect(letters == 1)
        }
        #expect(FileManager.default.fileExists(atPath: path + "-wal"))
        await store.close()
    }

    @Test(arguments: [
        ("-----BEGIN PRIVATE KEY-----\n", 5000), ("x", 0), ("", 4096), ("SQLite format 3", 0), ("sqlite format 3\0", 4080),
    ])
    func `refuses a file that is none, and leaves it as it is`(beginning: String, rest: Int) throws {
        let nonsense = Data(beginning.utf8) + Data(repeating: 7, count: rest)
        try nonsense.write(to: URL(filePath: directory.store))
        do {
            _ = try SQLiteStore(path: directory.store)
            Issue.record("it was opened")
        } catch {
            #expect(error.code == .storageFailed)
            #expect(error.detail.hasPrefix("\(directory.store): is not a store; nothing was changed"), "\(error.detail)")
        }
        #expect(try directory.names == ["store.db"])
        #expect(try Data(contentsOf: URL(filePath: directory.store)) == nonsense)
    }

    @Test func `refuses a file that is none where a store was, and leaves it as it is`() async throws {
        let store = try SQLiteStore(path: directory.store)
        await store.close()
        let nonsense = Data("-----BEGIN PRIVATE KEY-----".utf8)
        try nonsense.write(to: URL(filePath: directory.store))
        for _ in 1...2 {
            #expect(throws: LLMgineError(.storageFailed, "")) { try SQLiteStore(path: directory.store) }
        }
        #expect(try Data(contentsOf: URL(filePath: directory.store)) == nonsense)
    }

    @Test func `begins in an empty file`() async throws {
        try Data().write(to: URL(filePath: directory.store))
        let store = try SQLiteStore(path: directory.store)
        #expect(store.setAside == nil)
        try await store.keep(.deadLetter(DeadLetter(1, .full("one"))))
        await store.close()
    }

    @Test func `sets aside a store that makes no sense behind its header, whole, and begins anew`() async throws {
        let nonsense = Data("SQLite format 3\0".utf8) + Data(repeating: 7, count: 5000)
        for number in 1...2 {
            try nonsense.write(to: URL(filePath: directory.store))
            let store = try SQLiteStore(path: directory.store)
            #expect(store.setAside == directory.store + ".damaged-\(number)")
            #expect(try Data(contentsOf: URL(filePath: directory.store + ".damaged-\(number)")) == nonsense)
            try await store.keep(.deadLetter(DeadLetter(1, .full("one"))))
            await store.close()
        }
        let sound = try SQLiteStore(path: directory.store)
        #expect(sound.setAside == nil)
        #expect(sound.takeContents().deadLetters.count == 1)
        await sound.close()
    }

    @Test func `sets aside a file with a damaged page`() async throws {
        let store = try SQLiteStore(path: directory.store)
        for number in 1...200 { store.note(.deadLetter(DeadLetter(UInt64(number), .full(String(repeating: "x", count: 1000))))) }
        await store.close()
        var bytes = try Data(contentsOf: URL(filePath: directory.store))
        for index in 8192..<min(bytes.count, 60_000) { bytes[index] = 0xA5 }
        try bytes.write(to: URL(filePath: directory.store))
        let next = try SQLiteStore(path: directory.store)
        let kept = try Data(contentsOf: URL(filePath: try #require(next.setAside)))
        #expect(kept.count == bytes.count)
        #expect(zip(kept, bytes).enumerated().filter { $1.0 != $1.1 }.map(\.offset) == [])
        try await next.keep(.deadLetter(DeadLetter(1, .full("one"))))
        await next.close()
    }

    /// W24 of the predecessor: what it did not know was deleted when it was loaded.
    @Test func `leaves rows alone that make no sense`() async throws {
        let store = try SQLiteStore(path: directory.store)
        try await store.keep(.scheduled(ScheduledEvent(id: .init("good"), due: Date.distantFuture, message: .full("one"))))
        await store.close()
        let file = try DatabaseQueue(path: directory.store)
        try await file.write { database in
            try database.execute(
                sql: """
                    INSERT INTO scheduled_events (id, due_us, topic, session, priority, payload) VALUES
                      ('bad topic', 1, 'a..b', 's', 1, x''), ('bad priority', 1, 'a', 's', 77, x'');
                    INSERT INTO approvals (id, status, approver, body) VALUES ('bad body', 'pending', 'ann', x'7b');
                    """)
        }
        try file.close()
        for _ in 1...2 {
            let next = try SQLiteStore(path: directory.store)
            #expect(next.unreadableRows == 3)
            #expect(next.takeContents().scheduled.map(\.id.text) == ["good"])
            await next.close()
        }
    }

    @Test func `refuses a file of a later version and does not touch it`() async throws {
        let store = try SQLiteStore(path: directory.store)
        await store.close()
        let file = try DatabaseQueue(path: directory.store)
        try await file.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('2')") }
        try file.close()
        do {
            _ = try SQLiteStore(path: directory.store)
            Issue.record("it was opened")
        } catch {
            #expect(error.detail == "\(directory.store): was written by a later version of llmgine")
        }
        #expect(try directory.names.contains { $0.contains("damaged") } == false)
    }

    @Test(arguments: ["/proc/llmgine.db", "/nowhere/llmgine.db", ""])
    func `says why a file cannot be made`(path: String) {
        do {
            _ = try SQLiteStore(path: path)
            Issue.record("it was opened")
        } catch {
            #expect(error.code == .storageFailed)
            #expect(error.detail.hasPrefix("\(path): "), "\(error.detail)")
        }
    }

    @Test func `says so when its path is a directory, and leaves that alone`() throws {
        try FileManager.default.createDirectory(atPath: directory.store, withIntermediateDirectories: false)
        #expect(throws: LLMgineError(.storageFailed, "")) { try SQLiteStore(path: directory.store) }
        #expect(try directory.names == ["store.db", "store.db.lock"])
    }

    @Test func `can be read by its owner alone`() async throws {
        let store = try SQLiteStore(path: directory.store)
        try await store.keep(.deadLetter(DeadLetter(1, .full("one"))))
        #expect(try directory.names.count == 4)
        for name in try directory.names {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(directory.path)/\(name)")
            #expect((attributes[.posixPermissions] as? Int) == 0o600, "\(name)")
        }
        await store.close()
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A bus with a store` {
    private let directory: Directory

    init() throws { directory = try Directory() }

    private func bus(_ store: SQLiteStore, incarnation: UInt64) -> MessageBus {
        MessageBus(
            configuration: BusConfiguration(
                name: "n", incarnation: Incarnation(incarnation), resilience: BusResilience(retry: nil, circuitBreaker: nil)),
            store: store)
    }

    @Test func `takes up in its next life what it left: events, letters and approvals`() async throws {
        let store = try SQLiteStore(path: directory.store)
        let first = bus(store, incarnation: 1)
        try await first.subscribe("bad", options: .init(name: "bad")) { (_: Tick, _) in throw Mishap() }
        try await first.publish(Tick(number: 1), to: "bad")
        try await first.schedule(Tick(number: 2), after: .milliseconds(300), to: "later")
        let asked = try await first.submitApproval(of: Deploy(version: "3"), from: "ann", options: .init(onApproval: Tick(number: 4)))
        try await until { first.deadLetters.count == 1 }
        #expect(await first.stop() == [:])
        await store.close()

        let reopened = try SQLiteStore(path: directory.store)
        let second = bus(reopened, incarnation: 2)
        let seen = Journal<Int>()
        for topic in ["bad", "later", "events.Tick"] as [TopicFilter] {
            try await second.subscribe(topic, options: .init(name: topic.text)) { (tick: Tick, _) in seen.add(tick.number) }
        }
        await second.resume()
        #expect(try await seen.first(1) == [2])
        #expect(try second.pendingApprovals.first?.command(as: Deploy.self) == Deploy(version: "3"))
        try await second.approve(asked.id)
        #expect(second.deadLetters.retryAll() == 1)
        #expect(try await Set(seen.first(3)) == [1, 2, 4])
        await second.stop()
        await reopened.close()

        let third = try SQLiteStore(path: directory.store)
        let left = third.takeContents()
        #expect(left.scheduled.isEmpty && left.approvals.isEmpty && left.deadLetters.isEmpty)
        await third.close()
    }

    @Test func `goes on when the disk is full, and says what could not be kept`() async throws {
        let store = try SQLiteStore(path: directory.store, options: .init(maximumBytes: 128 << 10))
        let bus = bus(store, incarnation: 1)
        let seen = Journal<Int>()
        try await bus.subscribe("t", options: .init(name: "t")) { message, _ in
            seen.add(message.payload.readableBytes)
            if message.payload.readableBytes > 100 { throw Mishap() }
        }
        let large = Message(topic: "t", payload: ByteBuffer(repeating: 7, count: 256 << 10))
        do {
            try await bus.schedule(large, at: Date.distantPast)
            Issue.record("it was kept")
        } catch {
            #expect(error.code == .storageFailed)
            #expect(error.detail == "\(directory.store): the disk is full, or the file as large as it may get")
        }
        // A dead letter that the disk does not take is there all the same, for this life.
        try await bus.publish(large)
        try await until { bus.deadLetters.count == 1 }
        await store.flush()
        #expect(store.statistics.failed == 2)
        #expect(store.statistics.lastError?.contains("the disk is full") == true)
        // What is small enough still has room.
        try await bus.schedule(Message(topic: "t", payload: ByteBuffer(string: "small")), at: Date.distantPast)
        #expect(try await seen.first(2) == [256 << 10, 5])
        #expect(await bus.stop() == [:])
        #expect(store.statistics.dropped == 0)
        await store.close()
    }

    /// W8 and W24 of the predecessor: what was scheduled was saved at a clean stop only.
    @Test func `has what it scheduled after it was killed`() async throws {
        await #expect(processExitsWith: .signal(SIGKILL)) {
            let store = try SQLiteStore(path: sharedStore(of: getppid(), "killed"))
            let bus = MessageBus(configuration: .init(name: "n", resilience: .init(retry: nil, circuitBreaker: nil)), store: store)
            try await bus.subscribe("bad") { (_: Tick, _) in throw Mishap() }
            for number in 1...100 { try await bus.schedule(Tick(number: number), after: .seconds(3600 + number), to: "t") }
            try await bus.submitApproval(of: Deploy(version: "3"), from: "ann")
            for number in 1...50 { try await bus.publish(Tick(number: number), to: "bad") }
            while bus.deadLetters.count < 50 { await Task.yield() }
            await store.flush()
            // Killed in the middle of writing.
            for number in 1...1000 {
                store.note(.deadLetter(DeadLetter(UInt64(1000 + number), .full(String(repeating: "x", count: number)))))
            }
            kill(getpid(), SIGKILL)
        }
        let path = sharedStore(of: getpid(), "killed")
        defer { for suffix in ["", "-wal", "-shm", ".lock"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
        let store = try SQLiteStore(path: path)
        #expect(store.setAside == nil)
        let contents = store.takeContents()
        #expect(try contents.scheduled.map { try Tick(decoding: $0.message.payload).number } == Array(1...100))
        #expect(try contents.approvals.map { try $0.command(as: Deploy.self) } == [Deploy(version: "3")])
        #expect(contents.deadLetters.map(\.id).prefix(50) == Array(1...50)[...])
        // Of what was under way, a beginning, and nothing in part.
        let late = contents.deadLetters.dropFirst(50)
        #expect(late.map(\.id) == (0..<late.count).map { UInt64(1001 + $0) })
        #expect(late.allSatisfy { $0.content.payload.readableBytes == Int($0.id) - 1000 })
        await store.close()
    }
}

/// A store that a child of this process and its parent both look at.
func sharedStore(of parent: pid_t, _ name: String) -> String { NSTemporaryDirectory() + "llmgine-\(name)-\(parent).db" }
