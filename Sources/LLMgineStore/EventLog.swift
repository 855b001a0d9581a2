public import FoundationEssentials
import GRDB
public import LLMgineBus
public import LLMgineCore

/// An event in the log.
public struct LoggedEvent: Sendable {
    /// Its place in the log; 0 before it has one.
    public let number: Int64
    /// The identity of the event.
    public let id: String
    /// When it was logged.
    public let time: Date
    /// The event itself, encoded.
    public let message: Message

    func insert(into database: Database) throws {
        try database.run(
            "INSERT INTO event_log (event_id, logged_us, \(MessageColumns.names)) VALUES (?, ?, \(MessageColumns.places))",
            [id, time.microseconds] + (try MessageColumns.values(message)))
    }
}

extension SQLiteStore {
    /// Writes every event that is published on this node into the log, with its payload, until the subscription is cancelled.
    ///
    /// The log is a subscriber like others, with a queue of its own: it never holds a publisher back. What it has no room for is counted in
    /// ``Statistics/droppedFromLog``. Its price is that every event is encoded.
    /// - Throws: `stopped`.
    @discardableResult
    public func logEvents(of bus: MessageBus) async throws(LLMgineError) -> Subscription {
        try await bus.subscribe(
            ">", options: SubscriptionOptions(name: "event log", whenFull: .dropOldest, handlerPriority: .lowest, isRemote: false)
        ) { [weak self] message, context in
            guard let self else { return }
            if context.missed > 0 { countMissing(context.missed) }
            log(LoggedEvent(number: 0, id: context.id.description, time: Date.now, message: message))
        }
    }

    /// The oldest logged events after a place in the log, in order. - Throws: `storageFailed`.
    public func loggedEvents(after number: Int64 = 0, limit: Int = 100) async throws(LLMgineError) -> [LoggedEvent] {
        do {
            return try await database.read { database in
                try Row.fetchAll(
                    database, sql: "SELECT * FROM event_log WHERE number > ? ORDER BY number LIMIT ?", arguments: [number, max(0, limit)]
                ).compactMap { row in
                    guard let number = row.number("number"), let id = row.text("event_id"), let time = row.date("logged_us"),
                        let message = MessageColumns.message(row)
                    else { return nil }
                    return LoggedEvent(number: number, id: id, time: time, message: message)
                }
            }
        } catch {
            throw StoreFile.fault(error, path: path)
        }
    }
}
