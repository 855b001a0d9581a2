import GRDB
import LLMgineCore

/// The tables, version by version.
enum StoreSchema {
    private static let message = """
        topic TEXT NOT NULL, event_type TEXT, session TEXT NOT NULL, priority INTEGER NOT NULL, extras TEXT, payload BLOB NOT NULL
        """

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            try database.execute(
                sql: """
                    CREATE TABLE scheduled_events (id TEXT NOT NULL PRIMARY KEY, due_us INTEGER NOT NULL, \(message)) STRICT;
                    CREATE TABLE approvals (id TEXT NOT NULL PRIMARY KEY, status TEXT NOT NULL, approver TEXT NOT NULL, body BLOB NOT NULL) STRICT;
                    CREATE TABLE dead_letters (
                        id INTEGER NOT NULL PRIMARY KEY, node TEXT NOT NULL, incarnation INTEGER NOT NULL, sequence INTEGER NOT NULL,
                        command TEXT, subscription TEXT NOT NULL, error TEXT NOT NULL, detail TEXT NOT NULL, encoding_error TEXT,
                        attempts INTEGER NOT NULL, first_us INTEGER NOT NULL, last_us INTEGER NOT NULL, \(message)) STRICT;
                    CREATE TABLE event_log (
                        number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, logged_us INTEGER NOT NULL, \(message)) STRICT;
                    """)
        }
        return migrator
    }

    /// Brings a file to this version. - Throws: `storageFailed` for a file of a later one.
    static func migrate(_ database: DatabaseQueue) throws {
        let migrator = migrator
        if try database.read(migrator.hasBeenSuperseded) {
            throw LLMgineError(.storageFailed, "\(database.path): was written by a later version of llmgine")
        }
        try migrator.migrate(database)
    }
}
