// A connection to one SQLite file: the sole owner of a `sqlite3`.
//
// Always WAL with `synchronous=FULL` (protocol 12): a committed transaction survives a power cut, readers never wait for
// the writer. A transaction begins IMMEDIATE, so it waits for the write lock at its beginning and never fails halfway
// for want of it. Waiting is bounded by `busyTimeoutMillis` and asks every millisecond; SQLite's own handler backs off
// to 100 ms, and with several writers most of the time would go into sleeping.
//
// What survives a crash: exactly the committed transactions; the `-wal` file beside the database belongs to it.
// Checklist when changing this: no statement may stay stepped after a call (it would pin the WAL); a failed COMMIT is
// rolled back; what a result code means to a person is decided in `SQLiteFailure.swift`.

import CSQLite
import Foundation

/// One connection to a SQLite file. Belongs to one thread at a time.
package final class SQLiteDatabase: SQLDatabase {
    package let dialect = SQLDialect.sqlite
    package let path: String
    package private(set) var changedRows = 0

    private var handle: OpaquePointer?
    private var statements: [String: SQLiteStatement] = [:]
    private let readOnly: Bool
    private let busyTimeoutMillis: Int
    /// Statement texts are few and fixed; past this many the caller spells values into them, and the cache starts anew.
    private static let maxStatements = 256

    /// Opens or creates the file, and its directory; `readOnly` creates nothing and changes nothing.
    package init(path: String, readOnly: Bool = false, busyTimeoutMillis: Int = 0) throws {
        self.path = path
        self.readOnly = readOnly
        self.busyTimeoutMillis = busyTimeoutMillis
        if readOnly {
            guard FileManager.default.fileExists(atPath: path) else {
                throw Failure(
                    .fileMissing, "cannot read the database \(path)", why: "there is no such file",
                    now: "check the path, or run the command that creates it first")
            }
        } else {
            try Self.makeDirectory(of: path)
        }
        let mode = readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        let code = sqlite3_open_v2(path, &handle, mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        do {
            guard code == SQLITE_OK else { throw failure(code, "open") }
            try configure(busyTimeoutMillis: busyTimeoutMillis)
        } catch {
            // A failed open still leaves a handle to release.
            close()
            throw error
        }
    }

    deinit { close() }

    package func close() {
        statements.removeAll()
        if let handle { sqlite3_close_v2(handle) }
        handle = nil
    }

    @discardableResult
    package func execute(_ sql: String, _ parameters: [SQLValue]) throws -> [[SQLValue]] {
        let statement = try prepared(sql)
        guard statement.parameterCount == parameters.count else {
            throw Failure(
                .internal, "a statement was given \(parameters.count) values",
                why: "its text asks for \(statement.parameterCount)", now: "report this with the command that was run")
        }
        defer { statement.clear() }
        for index in parameters.indices {
            let position = statement.parameter(index + 1)
            if position == 0 { continue }
            try check(statement.bind(parameters[index], to: position), "bind a value")
        }
        // `sqlite3_changes` keeps the last statement's count where a statement changes nothing; the total does not.
        let before = sqlite3_total_changes64(try opened())
        var rows: [[SQLValue]] = []
        while true {
            let code = statement.step()
            if code == SQLITE_DONE { break }
            guard code == SQLITE_ROW else { throw failure(code, "run a statement") }
            rows.append((0..<statement.columnCount).map(statement.value))
        }
        let changed = sqlite3_total_changes64(handle) != before && !statement.isReadOnly
        changedRows = changed ? Int(sqlite3_changes64(handle)) : 0
        return rows
    }

    package func executeScript(_ sql: String) throws {
        try check(sqlite3_exec(try opened(), sql, nil, nil, nil), "run a script")
    }

    package func transaction<Result>(_ body: () throws -> Result) throws -> Result {
        // A reader may not ask for the write lock; it still gets one consistent view.
        try transaction(readOnly ? "BEGIN" : "BEGIN IMMEDIATE", body)
    }

    /// One consistent view, without asking for the write lock.
    package func reading<Result>(_ body: () throws -> Result) throws -> Result { try transaction("BEGIN", body) }

    /// Rows that the last step of a statement wrote, those of triggers not counted.
    package var rowsOfLastStep: Int { handle.map { Int(sqlite3_changes64($0)) } ?? 0 }

    /// False also when an error has ended the transaction by itself.
    package var isInTransaction: Bool { handle.map { sqlite3_get_autocommit($0) == 0 } ?? false }

    private func transaction<Result>(_ begin: String, _ body: () throws -> Result) throws -> Result {
        try execute(begin)
        do {
            let result = try body()
            try execute("COMMIT")
            return result
        } catch {
            // Some errors (full disk) have rolled back already; then there is nothing to end.
            if let handle, sqlite3_get_autocommit(handle) == 0 {
                let code = sqlite3_exec(handle, "ROLLBACK", nil, nil, nil)
                // Nobody knows what such a connection would commit next, so it is not used again.
                if code != SQLITE_OK { close() }
            }
            throw error
        }
    }

    /// The statement for `sql`, prepared at most once; the caller binds, steps, and clears it.
    package func prepared(_ sql: String) throws -> SQLiteStatement {
        if let statement = statements[sql] { return statement }
        let (statement, code) = SQLiteStatement.prepare(sql, on: try opened())
        guard let statement else { throw failure(code, "prepare a statement") }
        if statements.count >= Self.maxStatements { statements.removeAll() }
        statements[sql] = statement
        return statement
    }

    /// Throws for a code that is an error; `SQLITE_OK`, `SQLITE_ROW` and `SQLITE_DONE` pass.
    package func check(_ code: Int32, _ action: String) throws {
        guard code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE else { throw failure(code, action) }
    }

    private func opened() throws -> OpaquePointer {
        if let handle { return handle }
        throw Failure(
            .catalogFailed, "the database \(path) is closed", why: "it was closed, or could not end a transaction",
            now: "start the command again")
    }

    private func failure(_ code: Int32, _ action: String) -> Failure {
        let detail = handle.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(code))
        var failure = SQLiteFailure.failure(code: code, detail: detail, action: action, path: path)
        // Whoever waits by itself asks for the holder when its own time is over.
        if failure.code == .databaseBusy, busyTimeoutMillis > 0, let lock = SQLiteLock.holder(of: path) {
            failure.why = "\(detail) for \(busyTimeoutMillis) ms: \(lock.why)"
            failure.now = lock.now
        }
        return failure
    }

    private static func makeDirectory(of path: String) throws {
        let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw Failure(
                .catalogReadOnly, "cannot create the directory \(directory) for a database",
                why: "the system refused it", now: "create it by hand, or name a place where this user may write")
        }
    }

    private func configure(busyTimeoutMillis: Int) throws {
        let database = try opened()
        installBusyHandler(on: database, timeoutMillis: busyTimeoutMillis)
        if !readOnly { try enterWAL() }
        try executeScript("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY")
    }

    /// The context that SQLite hands back is the number of milliseconds itself, so nothing has to be kept alive.
    private func installBusyHandler(on database: OpaquePointer, timeoutMillis: Int) {
        guard timeoutMillis > 0 else { return }
        sqlite3_busy_handler(
            database,
            { context, tries in
                guard Int(tries) < Int(bitPattern: context) else { return 0 }
                usleep(1000)
                return 1
            }, UnsafeMutableRawPointer(bitPattern: timeoutMillis))
    }

    /// Changing to WAL needs the file alone for a moment and does not ask the busy handler, so that two processes which
    /// open a new file together would fail at random. The state is kept in the file: usually one look is enough.
    private func enterWAL() throws {
        let deadline = ContinuousClock.now + .seconds(2)
        while true {
            do {
                if try execute("PRAGMA journal_mode").first?.first == .text("wal") { return }
                if try execute("PRAGMA journal_mode=WAL").first?.first == .text("wal") { return }
                throw Failure(
                    .catalogFailed, "the database \(path) cannot keep a write-ahead log",
                    why: "its file system has no shared memory, or the database lives in memory",
                    now: "put the file on a local disk")
            } catch let failure as Failure where failure.code == .databaseBusy && ContinuousClock.now < deadline {
                usleep(2000)
            }
        }
    }
}
