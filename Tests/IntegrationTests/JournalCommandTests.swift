import Foundation
import LLMgineBus
import LLMgineCore
import LLMgineJournal
import LLMgineLLM
import LLMgineTestKit
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(2))) struct `llmgine journal` {
    /// A journal of three events, the second of which is handled, in two files.
    private final class Sample: Sendable {
        let path = NSTemporaryDirectory() + "journal-\(UUID().uuidString)"
        let names = [JournalBytes.name(first: 1), JournalBytes.name(first: 3)]

        init() throws {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try write(Sample.file(first: 1, Sample.event(1), Sample.event(2)), to: names[0])
            let settled = JournalBytes.settled(2, "name:a/billing", number: 3)
            try write(Sample.file(first: 3, settled, JournalBytes.event(Sample.content(3), number: 4)), to: names[1])
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        static func content(_ number: Int) -> JournaledEvent {
            JournaledEvent(
                id: MessageID(node: "a", incarnation: Incarnation(7), sequence: UInt64(number)),
                message: Message(topic: "orders.placed", payload: ByteBuffer(string: #"{"id":\#(number)}"#), eventType: "OrderPlaced"),
                obligations: ["name:a/billing"])
        }

        static func event(_ number: Int) -> ByteBuffer { JournalBytes.event(content(number), number: UInt64(number)) }

        static func file(first: UInt64, _ records: ByteBuffer...) -> ByteBuffer {
            records.reduce(into: JournalBytes.header(first: first)) { $0.writeImmutableBuffer($1) }
        }

        func write(_ bytes: ByteBuffer, to name: String) throws {
            try Data(bytes.readableBytesView).write(to: URL(filePath: "\(path)/\(name)"))
        }

        func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: "\(path)/\(name)"))) }
        func size(_ name: String) throws -> Int { try bytes(name).count }
    }

    private func llmgine(_ arguments: String...) async throws -> Finished { try await llmgine(arguments) }

    private func llmgine(_ arguments: [String]) async throws -> Finished {
        let child = try ChildProcess(
            "llmgine journal", executable: Machine.program("llmgine"), arguments: ["journal"] + arguments)
        child.endInput()
        return await Finished(child)
    }

    @Test func `prints the files and who is owed what`() async throws {
        let sample = try Sample()
        let report = try await llmgine("inspect", sample.path)
        #expect(report.ending == .code(0))
        #expect(report.errors == [])
        let rows = report.output.map { $0.split(separator: " ").map(String.init) }
        let sizes = try sample.names.map { try sample.size($0) }
        #expect(
            rows == [
                ["SEGMENT", "BYTES", "RECORDS", "FIRST", "LAST", "EVENTS", "OPEN"],
                [sample.names[0], "\(sizes[0])", "2", "1", "2", "2", "1"],
                [sample.names[1], "\(sizes[1])", "2", "3", "4", "1", "1"],
                ["RECORD", "SEGMENT", "OFFSET", "EVENT", "TOPIC", "TYPE", "BYTES", "OWED", "TO"],
                ["1", sample.names[0], "20", "a/7/1", "orders.placed", "OrderPlaced", "8", "name:a/billing"],
                [
                    "4", sample.names[1], "\(sizes[1] - Sample.event(3).readableBytes)", "a/7/3", "orders.placed", "OrderPlaced", "8",
                    "name:a/billing",
                ],
            ])
        let short = try await llmgine("inspect", sample.path, "--limit", "1")
        #expect(short.output.count == 5)
        #expect(short.errors == ["llmgine: 1 of 2 open events"])
    }

    @Test func `says the same as JSON`() async throws {
        let sample = try Sample()
        let report = try await llmgine("inspect", sample.path, "--json")
        #expect(report.output.count == 1)
        let json = try JSONValue(parsing: try #require(report.output.first))
        #expect(json["path"]?.string == sample.path)
        #expect(json["segments"]?.array?.map { $0["name"]?.string } == sample.names)
        #expect(json["segments"]?.array?.map { $0["open"]?.double } == [1, 1])
        #expect(json["open"]?.array?.map { $0["record"]?.double } == [1, 4])
        #expect(json["open"]?.array?.first?["owed"] == ["name:a/billing"])
        #expect(json["defects"]?.array?.isEmpty == true)
    }

    @Test func `finds a flipped bit and a torn end, says where, and fails`() async throws {
        let sample = try Sample()
        let sound = try await llmgine("verify", sample.path)
        let (first, second) = (try sample.bytes(sample.names[0]), try sample.bytes(sample.names[1]))
        #expect(sound.ending == .code(0))
        #expect(sound.output == ["2 segments, 4 records, \(first.count + second.count) bytes: sound"])

        var flipped = first
        flipped[30] ^= 1
        try sample.write(ByteBuffer(bytes: flipped), to: sample.names[0])
        try sample.write(ByteBuffer(bytes: second.dropLast()), to: sample.names[1])
        let length = Sample.event(1).readableBytes
        let broken = try await llmgine("verify", sample.path)
        #expect(broken.ending == .code(1))
        #expect(
            broken.output == [
                "\(sample.names[0]): \(length) bytes from byte 20 on are damaged",
                "\(sample.names[1]): the end is torn: \(length - 1) bytes from byte \(second.count - length) on",
                "2 segments, 2 records, \(first.count + second.count - 1) bytes: 2 defects",
            ])
        let json = try await llmgine("verify", sample.path, "--json")
        #expect(json.ending == .code(1))
        let verdict = try JSONValue(parsing: try #require(json.output.first))
        #expect(verdict["defects"]?.array?.map { $0["kind"]?.string } == ["damaged", "torn"])
        #expect(verdict["defects"]?.array?.map { $0["offset"]?.double } == [20, Double(second.count - length)])
        // Nothing was touched.
        #expect(try sample.bytes(sample.names[0]) == flipped)
        #expect(try FileManager.default.contentsOfDirectory(atPath: sample.path).sorted() == sample.names)
    }

    @Test func `reads a journal that a process writes at the same time`() async throws {
        let path = NSTemporaryDirectory() + "journal-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let writer = try ChildProcess("journal", executable: Machine.program("ClusterDemo"), arguments: ["journal", "--path", path])
        try await writer.line(.output, containing: "durable 1")
        for _ in 1...5 {
            #expect(try await llmgine("verify", path).ending == .code(0))
            #expect(try await llmgine("inspect", path).ending == .code(0))
        }
        #expect(writer.isRunning)
        writer.signal(SIGKILL)
        _ = await writer.exit()
    }

    @Test func `needs a directory that it can read`() async throws {
        #expect(try await llmgine("verify").ending == .code(64))
        let nowhere = try await llmgine("verify", "/nowhere/journal")
        #expect(nowhere.ending == .code(78))
        #expect(nowhere.errors.last == "llmgine: /nowhere/journal: cannot be read")

        let path = NSTemporaryDirectory() + "journal-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        for arguments in [["verify", path], ["verify", path, "--json"], ["inspect", path]] {
            let other = try await llmgine(arguments)
            #expect(other.ending == .code(78))
            #expect(other.output == [])
            #expect(other.errors == ["llmgine: \(path): holds no journal"])
        }
    }

    @Test func `is what a node keeps that was told to, and only then`() async throws {
        let machine = try await Machine(nodes: "a")
        let path = machine.path("journal")
        let a = try await machine.node("a", "journal.path=\(path)")
        #expect(try await llmgine("verify", path).output == ["0 segments, 0 records, 0 bytes: sound"])
        let second = try await machine.run(
            "node", "--set", "certificates.directory=\(machine.path("a"))", "--set", "node.listen=127.0.0.1:0", "--set",
            "journal.path=\(path)")
        #expect(second.ending == .code(78))
        #expect(second.errors.last == "llmgine: journal.path: \(path): is in use by another process, number \(a.child.pid)")
        a.child.signal(SIGTERM)
        #expect(await a.child.exit() == .code(0))
    }
}
