// Rows into a table of a SQLite file: one prepared insert, bound straight from the columns.
//
// Values are stored as they are; a time as text with milliseconds, a boolean as 0 or 1. SQLite has no NaN: it becomes
// NULL. All writers of a file are on one host (protocol 12), and the parts of one process wait for each other in
// `WriterQueue`. A file that was deleted or replaced behind an open connection would swallow rows without an error, so
// each use compares the file's identity first.

import Foundation

package final class SQLiteSink: Sink {
    private let path: String
    private let text: SinkTableText
    private let queue: WriterQueue
    private var connection: (database: SQLiteDatabase, file: FileIdentity)?

    /// How long a seal waits for writers of other processes before it is tried again.
    private static let busyTimeoutMillis = 30_000

    package init(path: String, table: SinkTable) throws {
        self.path = path
        text = try SinkTableText(table, dialect: .sqlite)
        queue = WriterQueue.of(path)
    }

    package func owner(job: String) throws -> SinkOwner {
        guard FileManager.default.fileExists(atPath: path) else { return .nobody }
        return try ledger(opened()).owner(job: job)
    }

    package func claim(_ identity: SinkIdentity, adopt: Bool, after last: BatchNumber) throws {
        let database = try opened(orCreate: true)
        try queue.takeTurn {
            try database.transaction {
                try ledger(database).claim(identity, adopt: adopt)
                if let found = try FoundTable(text, in: database) {
                    if let difference = found.difference(from: text, place: path) { throw difference }
                } else {
                    try database.execute(text.createTable)
                }
            }
        }
    }

    package func sealedBatches(_ identity: SinkIdentity) throws -> [Int: BatchNumber] {
        guard FileManager.default.fileExists(atPath: path) else { return [:] }
        return try ledger(opened()).sealedBatches(identity)
    }

    package func seal(
        _ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String, rows: [Chunk]
    ) throws -> SealOutcome {
        let database = try opened()
        return try queue.takeTurn {
            try database.transaction {
                let outcome = try ledger(database).enter(identity, part: part, batch: batch, digest: digest)
                if outcome == .written {
                    for chunk in rows { try write(chunk, to: database) }
                }
                return outcome
            }
        }
    }

    package func existing(keysOf rows: Chunk) throws -> [[Value]?] {
        let database = try opened()
        let statement = try database.prepared(text.selectKey)
        let names = text.table.key
        let columns = try keyColumns(names, of: rows)
        var found: [[Value]?] = []
        try database.transaction {
            try bindEach(rows, columns, statement, database) {
                let code = statement.step()
                try database.check(code, "look up a key")
                // 100 is SQLITE_ROW: the key is unique, there is at most one.
                found.append(
                    code == 100
                        ? try text.table.schema.fields.enumerated().map { try value(statement.value(Int32($0)), of: $1) } : nil)
            }
        }
        return found
    }

    /// Bounds the file to `count` pages (4 KiB) on this sink's connection, so that a full disk can be shown without one.
    package func limitPages(_ count: Int) throws {
        try opened().execute("PRAGMA max_page_count = \(count)")
    }

    package func close() {
        connection?.database.close()
        connection = nil
    }

    private func ledger(_ database: SQLiteDatabase) -> SinkLedger { SinkLedger(database: database, place: "sqlite:\(path)") }

    private func write(_ chunk: Chunk, to database: SQLiteDatabase) throws {
        let statement = try database.prepared(text.insertRow)
        try bindEach(chunk, chunk.columns, statement, database) { try database.check(statement.step(), "write a row") }
    }

    /// Binds each selected row in turn and calls `step`; times are spelled into a scratch of their column.
    private func bindEach(
        _ chunk: Chunk, _ columns: [Column], _ statement: SQLiteStatement, _ database: SQLiteDatabase, _ step: () throws -> Void
    ) throws {
        let cells = columns.map(RowCells.init)
        let positions = cells.indices.map { statement.parameter($0 + 1) }
        let timeBytes = 32
        let scratch = UnsafeMutablePointer<UInt8>.allocate(capacity: timeBytes * max(cells.count, 1))
        defer { scratch.deallocate() }
        let selected = chunk.selection.map { UnsafePointer($0.rows) }
        // The bound addresses point into the chunk and the scratch.
        defer { statement.clear() }
        try withExtendedLifetime(chunk) {
            for index in 0..<chunk.selectedCount {
                let row = Chunk.row(index, selected)
                var code: Int32 = 0
                for column in 0..<cells.count {
                    let position = positions[column]
                    if cells[column].isNull(row) {
                        code |= statement.bindNull(position)
                        continue
                    }
                    switch cells[column].type {
                    case .int64: code |= statement.bind(cells[column].int64(row), to: position)
                    case .float64: code |= statement.bind(cells[column].float64(row), to: position)
                    case .bool: code |= statement.bind(cells[column].bool(row) ? 1 : 0 as Int64, to: position)
                    case .timestamp:
                        let start = scratch + column * timeBytes
                        let count = writeTime(cells[column].int64(row), to: start)
                        code |= statement.bindBorrowed(start, count, to: position)
                    case .text:
                        let (start, count) = cells[column].text(row)
                        code |= statement.bindBorrowed(start, count, to: position)
                    }
                }
                try database.check(code, "bind a row")
                try step()
                statement.reset()
            }
        }
    }

    private func opened(orCreate: Bool = false) throws -> SQLiteDatabase {
        if let connection {
            if FileIdentity(path) == connection.file { return connection.database }
            close()
        }
        guard orCreate || FileManager.default.fileExists(atPath: path) else {
            throw Failure(
                .fileMissing, "the sink \(path) is gone", why: "the file was there when the job claimed it",
                now: "put it back; starting the job on an empty file would leave out what was written before")
        }
        let database = try SQLiteDatabase(path: path, busyTimeoutMillis: Self.busyTimeoutMillis)
        guard let file = FileIdentity(path) else {
            throw Failure(
                .fileMissing, "the sink \(path) is gone", why: "it vanished while it was opened",
                now: "find out what removes it, then start again")
        }
        connection = (database, file)
        return database
    }
}

/// Which file a path leads to.
private struct FileIdentity: Equatable {
    let device: UInt64
    let inode: UInt64

    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }
}

/// The key's columns out of rows that may have more.
func keyColumns(_ names: [String], of rows: Chunk) throws -> [Column] {
    try names.map { name in
        if let index = rows.schema.index(of: name) { return rows.columns[index] }
        throw Failure(
            .internal, "rows cannot be looked up in a sink", why: "they have no column \(name)",
            now: "report this with the command that was run")
    }
}
