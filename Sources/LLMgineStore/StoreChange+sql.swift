import FoundationEssentials
import GRDB
import LLMgineBus
import LLMgineCore
import LLMgineResilience
import NIOCore

extension StoreChange {
    /// Makes the change in the file.
    func apply(to database: Database) throws {
        switch self {
        case .scheduled(let event):
            try database.run(
                "INSERT OR REPLACE INTO scheduled_events (id, due_us, \(MessageColumns.names)) VALUES (?, ?, \(MessageColumns.places))",
                [event.id.text, event.due.microseconds] + (try MessageColumns.values(event.message)))
        case .unscheduled(let id): try database.run("DELETE FROM scheduled_events WHERE id = ?", [id.text])
        case .approval(let approval):
            let body = try JSONEncoder().encode(StoredApproval(approval))
            let status = approval.outcome?.status ?? .pending
            try database.run(
                "INSERT OR REPLACE INTO approvals (id, status, approver, body) VALUES (?, ?, ?, ?)",
                [approval.id.text, status.rawValue, approval.approver, body])
        case .approvalGone(let id): try database.run("DELETE FROM approvals WHERE id = ?", [id.text])
        case .deadLetter(let letter): try letter.insert(into: database)
        case .deadLetterGone(let id): try database.run("DELETE FROM dead_letters WHERE id = ?", [Int64(bitPattern: id)])
        }
    }

    /// Whether it frees room. Such a change is never refused: there are no more of them than there were others before.
    var isRemoval: Bool {
        switch self {
        case .unscheduled, .approvalGone, .deadLetterGone: true
        case .scheduled, .approval, .deadLetter: false
        }
    }

    /// About how many bytes it holds while it waits.
    var size: Int {
        switch self {
        case .scheduled(let event): 200 + event.message.payload.readableBytes
        case .approval(let approval):
            300 + approval.request.payload.readableBytes + approval.callbacks.values.reduce(0) { $0 + $1.payload.readableBytes }
        case .deadLetter(let letter): 300 + letter.content.payload.readableBytes
        case .unscheduled, .approvalGone, .deadLetterGone: 100
        }
    }
}

extension DeadLetter {
    fileprivate func insert(into database: Database) throws {
        let own: [(any DatabaseValueConvertible)?] = [
            Int64(bitPattern: id), message.node.name, Int64(bitPattern: message.incarnation.value), Int64(bitPattern: message.sequence),
            command?.text, subscription, error.code.rawValue, error.detail, encodingError?.detail, attempts,
            firstAttempt.wholeMicroseconds, lastAttempt.wholeMicroseconds,
        ]
        try database.run(
            """
            INSERT OR REPLACE INTO dead_letters (id, node, incarnation, sequence, command, subscription, error, detail, encoding_error, \
            attempts, first_us, last_us, \(MessageColumns.names)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, \(MessageColumns.places))
            """, own + (try MessageColumns.values(content)))
    }

    fileprivate init?(_ row: Row) {
        guard let id = row.number("id"), let node = row.text("node").flatMap({ try? NodeID($0) }),
            let incarnation = row.number("incarnation"), let sequence = row.number("sequence"), let subscription = row.text("subscription"),
            let code = row.text("error"), let detail = row.text("detail"), let attempts = row.number("attempts"),
            let first = row.time("first_us"), let last = row.time("last_us"), let content = MessageColumns.message(row)
        else { return nil }
        self.init(
            id: UInt64(bitPattern: id),
            message: MessageID(
                node: node, incarnation: Incarnation(UInt64(bitPattern: incarnation)), sequence: UInt64(bitPattern: sequence)),
            command: row.text("command").map { CommandID($0) }, content: content, subscription: subscription,
            // A code of a later version is read as an error from elsewhere.
            error: LLMgineError(LLMgineError.Code(rawValue: code) ?? .remoteError, detail),
            encodingError: row.text("encoding_error").map { LLMgineError(.badPayload, $0) }, attempts: Int(clamping: attempts),
            firstAttempt: first, lastAttempt: last)
    }
}

/// An approval as it stands in its row.
private struct StoredApproval: Codable {
    let summary: String
    let request: StoredMessage
    let requestedMicroseconds: Int64
    let expiresMicroseconds: Int64?
    let callbacks: [String: StoredMessage]
    let outcome: ApprovalResult?

    init(_ approval: Approval) {
        summary = approval.summary
        request = StoredMessage(approval.request)
        requestedMicroseconds = approval.requested.microseconds
        expiresMicroseconds = approval.expires.map(\.microseconds)
        callbacks = Dictionary(uniqueKeysWithValues: approval.callbacks.map { ($0.key.rawValue, StoredMessage($0.value)) })
        outcome = approval.outcome
    }

    func approval(_ id: String, approver: String) -> Approval {
        var known: [ApprovalStatus: Message] = [:]
        for (name, message) in callbacks {
            if let status = ApprovalStatus(rawValue: name) { known[status] = message.message }
        }
        return Approval(
            id: ApprovalID(id), approver: approver, summary: summary, request: request.message,
            requested: Date(microseconds: requestedMicroseconds), expires: expiresMicroseconds.map { Date(microseconds: $0) },
            callbacks: known, outcome: outcome)
    }
}

/// What is in a file, as far as it makes sense.
struct StoredContents {
    var contents = StoreContents()
    var unreadable = 0

    init(_ database: Database) throws {
        contents.scheduled = try read("SELECT * FROM scheduled_events ORDER BY due_us", database) { row in
            guard let id = row.text("id"), let due = row.date("due_us"), let message = MessageColumns.message(row) else { return nil }
            return ScheduledEvent(id: ScheduledEvent.ID(id), due: due, message: message)
        }
        contents.approvals = try read("SELECT * FROM approvals", database) { row in
            guard let id = row.text("id"), let approver = row.text("approver"), let body = Data.fromDatabaseValue(row["body"]) else {
                return nil
            }
            return try? JSONDecoder().decode(StoredApproval.self, from: body).approval(id, approver: approver)
        }
        contents.deadLetters = try read("SELECT * FROM dead_letters ORDER BY id", database, DeadLetter.init)
    }

    private mutating func read<Value>(_ query: String, _ database: Database, _ value: (Row) -> Value?) throws -> [Value] {
        var values: [Value] = []
        let rows = try Row.fetchCursor(database, sql: query)
        while let row = try rows.next() {
            if let value = value(row) { values.append(value) } else { unreadable += 1 }
        }
        return values
    }
}

extension Database {
    /// Runs a statement that is made once.
    func run(_ statement: String, _ values: [(any DatabaseValueConvertible)?]) throws {
        try cachedStatement(sql: statement).execute(arguments: StatementArguments(values))
    }
}
