import LLMgineBus
import LLMgineCore
import LLMgineJournal
import LLMgineTestKit
import NIOCore

import struct Foundation.Data
import class Foundation.FileHandle
import class Foundation.FileManager
import struct Foundation.URL
import struct Foundation.UUID

/// A directory that goes with the test.
struct Place {
    let path: String

    init() throws {
        // In memory where the system has such a place: these tests make thousands of files, and it is not the disk that they test.
        let memory = "/dev/shm"
        let place = FileManager.default.isWritableFile(atPath: memory) ? memory : FileManager.default.temporaryDirectory.path
        path = "\(place)/journal-\(UUID().uuidString)"
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }

    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
    var segments: [String] { names.filter { $0.hasSuffix(".journal") } }

    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: "\(path)/\(name)"))) }
    func write(_ bytes: [UInt8], to name: String) throws { try Data(bytes).write(to: URL(filePath: "\(path)/\(name)")) }

    func delete(_ name: String) { try? FileManager.default.removeItem(atPath: "\(path)/\(name)") }
    func cut(_ name: String, at length: Int) {
        guard let file = FileHandle(forWritingAtPath: "\(path)/\(name)") else { return }
        try? file.truncate(atOffset: UInt64(length))
        try? file.close()
    }

    func make() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    /// What a process that is killed at this moment leaves.
    func killed() throws -> Place {
        let copy = try Place()
        do { try FileManager.default.copyItem(atPath: path, toPath: copy.path) } catch {
            copy.remove()
            throw error
        }
        return copy
    }

    /// A directory of its own with one file.
    static func with(_ bytes: [UInt8], called name: String) throws -> Place {
        let place = try Place()
        try FileManager.default.createDirectory(atPath: place.path, withIntermediateDirectories: true)
        try place.write(bytes, to: name)
        return place
    }
}

func event(_ number: Int, _ obligations: String..., bytes: Int = 20) -> JournaledEvent {
    var headers = Headers()
    headers.add("n", "\(number)")
    let message = Message(
        topic: "orders.eu", payload: ByteBuffer(repeating: UInt8(truncatingIfNeeded: number), count: bytes), eventType: "Order",
        priority: number % 2 == 0 ? .high : .normal, session: "s", headers: headers,
        trace: TraceContext(traceHigh: 1, traceLow: 2, span: UInt64(number), flags: 1), timeToLive: .seconds(number))
    return JournaledEvent(
        id: MessageID(node: "a", incarnation: Incarnation(7), sequence: UInt64(number)), message: message,
        obligations: obligations.isEmpty ? ["name:b/s"] : obligations)
}

/// A segment that a test puts together.
struct SegmentBytes {
    let name: String
    var bytes: [UInt8]
    private var next: UInt64

    init(first: UInt64) {
        bytes = Array(JournalBytes.header(first: first).readableBytesView)
        name = JournalBytes.name(first: first)
        next = first
    }

    mutating func add(_ event: JournaledEvent) {
        bytes += Array(JournalBytes.event(event, number: next).readableBytesView)
        next &+= 1
    }

    mutating func settle(_ number: UInt64, _ obligation: String = "name:b/s") {
        bytes += Array(JournalBytes.settled(number, obligation, number: next).readableBytesView)
        next &+= 1
    }
}

/// What can be compared of an event.
struct Essence: Equatable {
    let id: MessageID
    let obligations: [String]
    let payload: ByteBuffer
    let headers: Headers

    init(_ event: JournaledEvent) {
        id = event.id
        obligations = event.obligations
        payload = event.message.payload
        headers = event.message.headers
    }
}

extension FileJournal {
    func takeEssences() -> [Essence] { takeOpen().map { Essence($0.event) } }
}
