import Foundation
import LLMgineBus
import LLMgineCore
import LLMgineResilience
import LLMgineStore
import NIOCore
import Synchronization

struct Tick: Event, Hashable {
    var number: Int
}

struct Deploy: Command, Hashable {
    var version: String
}

struct Mishap: Error {}

/// A directory of a test's own, which goes with it.
final class Directory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "llmgine-store-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var store: String { "\(path)/store.db" }
    var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }
}

/// What handlers saw, in order.
final class Journal<Entry: Sendable>: Sendable {
    private let state = Mutex<[Entry]>([])
    func add(_ entry: Entry) { state.withLock { $0.append(entry) } }
    var entries: [Entry] { state.withLock { $0 } }

    /// Waits until there are so many.
    func first(_ count: Int) async throws -> [Entry] {
        try await until { self.entries.count >= count }
        return Array(entries.prefix(count))
    }
}

func until(_ condition: () -> Bool) async throws {
    while !condition() {
        try Task.checkCancellation()
        await Task.yield()
    }
}

extension Message {
    /// A message with something in every field.
    static func full(_ text: String) -> Message {
        Message(
            topic: "a.b", payload: ByteBuffer(string: text), eventType: "Tick", priority: .low, session: "s",
            headers: ["a": "b", "a": "c", "ü": "\u{1F916}"], trace: TraceContext(traceHigh: .max, traceLow: 2, span: 3, flags: 1),
            timeToLive: .milliseconds(1500))
    }

    /// Every field as text, to compare by.
    var everything: String {
        "\(topic) \(payload.readableBytesView.map { $0 }) \(eventType ?? "-") \(priority) \(session) \(headers.pairs) "
            + "\(String(describing: trace)) \(String(describing: timeToLive))"
    }
}

extension DeadLetter {
    init(_ id: UInt64, _ content: Message, command: CommandID? = nil, encodingError: LLMgineError? = nil) {
        self.init(
            id: id, message: MessageID(node: "n", incarnation: Incarnation(.max), sequence: id), command: command, content: content,
            subscription: "s", error: LLMgineError(.handlerFailed, "the handler threw Mishap"), encodingError: encodingError, attempts: 4,
            firstAttempt: .milliseconds(1_700_000_000_001), lastAttempt: .milliseconds(1_700_000_000_002))
    }

    var everything: String {
        "\(id) \(message) \(command?.text ?? "-") \(content.everything) \(subscription) \(error) \(encodingError?.description ?? "-") "
            + "\(attempts) \(firstAttempt) \(lastAttempt)"
    }
}
