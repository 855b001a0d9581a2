import FoundationEssentials
import GRDB
import LLMgineCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The file of a store: opening it, and what to do about one that is damaged.
struct StoreFile {
    let path: String
    let maximumBytes: Int
    /// The largest file that is read from end to end before it is used; damage in a larger one shows when it is met.
    private static let checkedBytes = 256 << 20
    /// What a file begins with that is one: "The header string: SQLite format 3\000" (https://sqlite.org/fileformat.html).
    private static let header = Array("SQLite format 3\0".utf8)

    /// A path may be mistyped, and what does not begin like a store is somebody's: it stays where it is, whatever it is. An empty file may become
    /// a store; what cannot be read is for SQLite to complain about. Not while the file is open in this process: see ``StoreLock/take(for:)``.
    func refuseForeign() throws(LLMgineError) {
        var status = stat()
        // The call copies the name and fills what it is given.
        guard unsafe stat(path, &status) == 0, status.st_size > 0 else { return }
        let file = Platform.open(path, O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return }
        defer { _ = close(file) }
        var bytes = [UInt8](repeating: 0, count: StoreFile.header.count)
        // The array is as long as the call is told, and the call keeps no pointer to it.
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe pread(file, $0.baseAddress, $0.count, 0) }
        guard count > 0, count < StoreFile.header.count || bytes != StoreFile.header else { return }
        throw LLMgineError(.storageFailed, "\(path): is not a store; nothing was changed (move it away if one is to begin there)")
    }

    /// Opens it in WAL mode, with the tables of this version. Only after ``refuseForeign()``, because it makes room where it finds damage.
    /// - Returns: with it, what is in there, and the new name of a damaged file that had to make room.
    func open() throws(LLMgineError) -> (database: DatabaseQueue, contents: StoredContents, setAside: String?) {
        do {
            let (database, contents) = try prepared()
            return (database, contents, nil)
        } catch  where StoreFile.isDamage(error) {
            let name = try setAside()
            do {
                let (database, contents) = try prepared()
                return (database, contents, name)
            } catch {
                throw fault(error)
            }
        } catch {
            throw fault(error)
        }
    }

    private func prepared() throws -> (DatabaseQueue, StoredContents) {
        try check()
        makeForOwner()
        var configuration = Configuration()
        configuration.journalMode = .wal
        // Somebody may look into the file with another tool.
        configuration.busyMode = .timeout(5)
        configuration.label = "llmgine.store"
        let database = try DatabaseQueue(path: path, configuration: configuration)
        do {
            try StoreSchema.migrate(database)
            try database.writeWithoutTransaction { database in
                // A change that was kept survives the loss of power, not only of the process.
                try database.execute(sql: "PRAGMA synchronous = FULL")
                let pageSize = try Int.fetchOne(database, sql: "PRAGMA page_size") ?? 4096
                try database.execute(sql: "PRAGMA max_page_count = \(max(16, maximumBytes / max(512, pageSize)))")
            }
            return (database, try database.read(StoredContents.init))
        } catch {
            try? database.close()
            throw error
        }
    }

    /// What is published may be nobody else's business, and SQLite would let others read a file that it makes. What goes wrong here, it says.
    private func makeForOwner() {
        let file = Platform.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if file >= 0 { _ = close(file) }
    }

    /// Looks for damage without touching the file, so that what is set aside is what was found.
    private func check() throws {
        var status = stat()
        // The call copies the name and fills what it is given.
        guard unsafe stat(path, &status) == 0, (1...StoreFile.checkedBytes).contains(Int(status.st_size)) else { return }
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(5)
        let database = try DatabaseQueue(path: path, configuration: configuration)
        defer { try? database.close() }
        let verdict = try database.read { try String.fetchOne($0, sql: "PRAGMA quick_check(1)") }
        if verdict != "ok" { throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: verdict) }
    }

    /// Gives a damaged file another name, with what belongs to it. - Returns: the name.
    private func setAside() throws(LLMgineError) -> String {
        let files = FileManager.default
        var name = ""
        for number in 1... {
            name = "\(path).damaged-\(number)"
            if !files.fileExists(atPath: name) { break }
        }
        do {
            try files.moveItem(atPath: path, toPath: name)
            for suffix in ["-wal", "-shm"] where files.fileExists(atPath: path + suffix) {
                try files.moveItem(atPath: path + suffix, toPath: name + suffix)
            }
        } catch {
            throw LLMgineError(.storageFailed, "\(path): is damaged and cannot be set aside", cause: error)
        }
        return name
    }

    private static func isDamage(_ error: any Error) -> Bool {
        guard let error = error as? DatabaseError else { return false }
        return error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB
    }

    func fault(_ error: any Error) -> LLMgineError { StoreFile.fault(error, path: path) }

    /// What an error of SQLite means for whoever runs the program.
    static func fault(_ error: any Error, path: String) -> LLMgineError {
        if let error = error as? LLMgineError { return error }
        guard let database = error as? DatabaseError else {
            return LLMgineError(.storageFailed, "\(path): cannot be used", cause: error)
        }
        let reason =
            switch database.resultCode {
            case .SQLITE_FULL: "the disk is full, or the file as large as it may get"
            case .SQLITE_READONLY: "the file or its directory cannot be written"
            case .SQLITE_CANTOPEN: "the file cannot be opened"
            case .SQLITE_BUSY, .SQLITE_LOCKED: "another program has locked the file"
            case .SQLITE_CORRUPT, .SQLITE_NOTADB: "the file is damaged"
            case .SQLITE_IOERR: "the disk failed"
            default: "SQLite says \(database.message ?? "\(database.resultCode)")"
            }
        return LLMgineError(.storageFailed, "\(path): \(reason)", cause: error)
    }
}

/// The system call that has the name of a method.
private enum Platform {
    static func open(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 {
        // The call copies the name.
        #if canImport(Glibc)
            unsafe Glibc.open(path, flags, mode)
        #elseif canImport(Musl)
            unsafe Musl.open(path, flags, mode)
        #else
            unsafe Darwin.open(path, flags, mode)
        #endif
    }
}
