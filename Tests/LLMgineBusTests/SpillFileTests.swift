import Foundation
import LLMgineBus
import LLMgineCore
import LLMgineTestKit
import NIOCore
import Testing

/// A directory for one test.
struct Scratch {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "llmgine-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    var files: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }
    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

@Suite struct `Records on the disk` {
    private final class File {
        var file: SpillFile
        init(in directory: String, maximumBytes: Int = 64 << 20) { file = SpillFile(in: directory, maximumBytes: maximumBytes) }

        func append(_ number: UInt64, bytes: Int = 20) throws(LLMgineError) {
            let message = Message(topic: "t", payload: ByteBuffer(repeating: 7, count: bytes))
            try file.append(SpillRecord(message, sequence: number, at: .zero).bytes)
        }

        func next() -> [UInt64] { file.next().records.compactMap { SpillRecord($0)?.sequence } }
        var bytes: Int { file.size }
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func `come back in the order in which they were written`(seed: UInt64) throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        var random = SeededGenerator(seed: seed)
        let file = File(in: scratch.path, maximumBytes: 1 << 20)
        var (written, read): (UInt64, UInt64) = (0, 0)
        for _ in 0..<400 {
            if Int.random(in: 0..<4, using: &random) > 0 {
                for _ in 0..<Int.random(in: 1...8, using: &random) where file.bytes < 500_000 {
                    written += 1
                    try file.append(written, bytes: Int.random(in: 0...30, using: &random) == 0 ? 300_000 : 40)
                }
            } else {
                for number in file.next() {
                    read += 1
                    #expect(number == read, "seed \(seed)")
                }
            }
        }
        while read < written {
            let numbers = file.next()
            try #require(!numbers.isEmpty, "seed \(seed)")
            for number in numbers {
                read += 1
                #expect(number == read, "seed \(seed)")
            }
        }
        #expect(file.bytes == 0 && file.next().isEmpty)
        #expect(written > 500)
    }

    @Test func `take no more than they may, and room again when they were read`() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let file = File(in: scratch.path, maximumBytes: 1000)
        #expect(throws: LLMgineError(.limitExceeded, "")) { for number in 1...1000 { try file.append(UInt64(number), bytes: 100) } }
        let count = file.next().count
        #expect(count > 3 && count < 10)
        try file.append(1)
    }

    @Test func `leave no name in their directory`() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let file = File(in: scratch.path)
        try file.append(1)
        #expect(scratch.files.isEmpty && file.bytes > 0)
        #expect(file.next() == [1])
    }

    @Test func `are refused where there is no directory`() throws {
        let scratch = try Scratch()
        scratch.remove()
        let file = File(in: scratch.path)
        #expect(throws: LLMgineError(.storageFailed, "")) { try file.append(1) }
        #expect(file.bytes == 0 && file.next().isEmpty)
    }

    @Test func `hold all that a message has`() throws {
        let origin = MessageID(node: "leaf", incarnation: Incarnation(7), sequence: 8)
        let message = Message(
            topic: "a.b", payload: ByteBuffer(string: "payload"), eventType: "Order", priority: .urgent, session: "chat-1",
            headers: ["k": "v", "ü": ""], trace: TraceContext(traceHigh: 1, traceLow: 2, span: 3, flags: 1),
            timeToLive: .milliseconds(1500))
        let record = SpillRecord(message, sequence: 99, origin: origin, at: .seconds(10))
        var bytes = record.bytes
        let length = bytes.readInteger(as: UInt32.self)
        #expect(length == UInt32(bytes.readableBytes))
        let read = try #require(SpillRecord(bytes))
        #expect((read.sequence, read.origin, read.expires) == (99, origin, .milliseconds(11_500)))
        #expect((read.message.topic, read.message.eventType, read.message.priority) == ("a.b", "Order", .urgent))
        #expect((read.message.session, read.message.headers, read.message.trace) == ("chat-1", message.headers, message.trace))
        #expect(read.message.payload == message.payload)
        #expect(read.message(at: .seconds(11)).timeToLive == .milliseconds(500))
        #expect(read.message(at: .seconds(12)).timeToLive == .zero)
        // No end is too early to be noticed or to be survived.
        for length in 0..<bytes.readableBytes - 7 {
            #expect(SpillRecord(bytes.getSlice(at: bytes.readerIndex, length: length) ?? bytes) == nil)
        }
    }
}
