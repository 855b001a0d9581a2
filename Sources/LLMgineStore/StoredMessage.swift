import FoundationEssentials
import GRDB
import LLMgineCore
import NIOCore

/// The columns of a message, the same in every table.
enum MessageColumns {
    static let names = "topic, event_type, session, priority, extras, payload"
    static let places = "?, ?, ?, ?, ?, ?"

    static func values(_ message: Message) throws -> [(any DatabaseValueConvertible)?] {
        let extras = StoredExtras(message)
        return [
            message.topic.text, message.eventType, message.session.name, Int(message.priority.rawValue),
            extras.isEmpty ? nil : String(decoding: try JSONEncoder().encode(extras), as: UTF8.self),
            Data(message.payload.readableBytesView),
        ]
    }

    /// Nil for a row that makes no sense: a file may have been in anybody's hands.
    static func message(_ row: Row) -> Message? {
        guard let topic = row.text("topic").flatMap({ try? Topic($0) }), let session = row.text("session"),
            let priority = row.number("priority").flatMap({ UInt8(exactly: $0) }).flatMap(Priority.init(rawValue:)),
            let payload = Data.fromDatabaseValue(row["payload"])
        else { return nil }
        var message = Message(
            topic: topic, payload: ByteBuffer(bytes: payload), eventType: row.text("event_type"), priority: priority,
            session: SessionID(session))
        if let text = row.text("extras") {
            guard let extras = try? JSONDecoder().decode(StoredExtras.self, from: Data(text.utf8)) else { return nil }
            extras.apply(to: &message)
        }
        return message
    }
}

/// What few messages have.
struct StoredExtras: Codable {
    private var headers: [[String]]?
    private var trace: [UInt64]?
    private var timeToLiveMicroseconds: Int64?

    init(_ message: Message) {
        if !message.headers.isEmpty { headers = message.headers.pairs.map { [$0.name, $0.value] } }
        trace = message.trace.map { [$0.traceHigh, $0.traceLow, $0.span, UInt64($0.flags)] }
        timeToLiveMicroseconds = message.timeToLive.map(\.wholeMicroseconds)
    }

    var isEmpty: Bool { headers == nil && trace == nil && timeToLiveMicroseconds == nil }

    func apply(to message: inout Message) {
        for pair in headers ?? [] where pair.count == 2 { message.headers.add(pair[0], pair[1]) }
        if let trace, trace.count == 4 {
            message.trace = TraceContext(
                traceHigh: trace[0], traceLow: trace[1], span: trace[2], flags: UInt8(truncatingIfNeeded: trace[3]))
        }
        message.timeToLive = timeToLiveMicroseconds.map { .microseconds($0) }
    }
}

/// A message inside of another value.
struct StoredMessage: Codable {
    let topic: Topic
    let payload: Data
    let eventType: String?
    let priority: Priority
    let session: SessionID
    let extras: StoredExtras?

    init(_ message: Message) {
        topic = message.topic
        payload = Data(message.payload.readableBytesView)
        eventType = message.eventType
        priority = message.priority
        session = message.session
        let extras = StoredExtras(message)
        self.extras = extras.isEmpty ? nil : extras
    }

    var message: Message {
        var message = Message(
            topic: topic, payload: ByteBuffer(bytes: payload), eventType: eventType, priority: priority, session: session)
        extras?.apply(to: &message)
        return message
    }
}

extension Row {
    /// The text of a column; nil if it has none. GRDB's own subscript would trap on a value of another type.
    func text(_ name: String) -> String? { String.fromDatabaseValue(self[name]) }
    /// The number in a column.
    func number(_ name: String) -> Int64? { Int64.fromDatabaseValue(self[name]) }
    /// The time in a column, in microseconds.
    func time(_ name: String) -> Duration? { number(name).map { .microseconds($0) } }
    /// The moment in a column.
    func date(_ name: String) -> Date? { number(name).map { Date(microseconds: $0) } }
}

extension Duration {
    /// Microseconds, cut to what fits.
    var wholeMicroseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        return product.addingReportingOverflow(attoseconds / 1_000_000_000_000).partialValue
    }
}

extension Date {
    /// Microseconds since 1970, cut to what fits.
    var microseconds: Int64 { Int64(exactly: (timeIntervalSince1970 * 1_000_000).rounded()) ?? (timeIntervalSince1970 < 0 ? .min : .max) }
    init(microseconds: Int64) { self.init(timeIntervalSince1970: Double(microseconds) / 1_000_000) }
}
