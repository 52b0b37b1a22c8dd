// Rows into a table of a SQLite file: one prepared insert, bound straight from the columns.
//
// Values are stored as they are; a time as text with milliseconds, a boolean as 0 or 1. SQLite has no NaN: it becomes
// NULL. All writers of a file are on one host (protocol 12), and the parts of one process wait for each other in
// `WriterQueue`. A file that was deleted or replaced behind an open connection would swallow rows without an error, so
// each use compares the file's identity first. A row that the table refuses costs only its own statement: it is kept in
// `sluice_refused`, and the next one follows. Every row must change exactly one, or something swallows them.

import Foundation

package final class SQLiteSink: Sink {
    private let path: String
    private let text: SinkTableText
    private let queue: WriterQueue
    private let limit: RefusalLimit
    private var connection: (database: SQLiteDatabase, file: FileIdentity)?
    /// Parts whose witness was looked up on this connection.
    private var looked: Set<Int> = []

    /// How long a seal waits for writers of other processes before it is tried again.
    private static let busyTimeoutMillis = 30_000

    package init(path: String, table: SinkTable, limit: RefusalLimit = .usual) throws {
        self.path = path
        self.limit = limit
        text = try SinkTableText(table, dialect: .sqlite)
        queue = WriterQueue.of(path)
    }

    package func owner(job: String) throws -> SinkOwner {
        guard FileManager.default.fileExists(atPath: path) else { return .nobody }
        return try ledger(opened()).owner(job: job)
    }

    package func sight(_ identity: SinkIdentity) throws -> SinkSight? {
        guard FileManager.default.fileExists(atPath: path) else { return SinkSight(owner: .nobody, table: nil) }
        let database = try opened()
        return try database.reading { try ledger(database).sight(identity) }
    }

    package func claim(_ identity: SinkIdentity, _ claim: SinkClaim) throws {
        let database = try opened(orCreate: claim.begins || claim.adopt || claim.anew)
        try queue.takeTurn {
            try database.transaction { try ledger(database).claim(identity, claim) }
        }
    }

    package func refusedRecords(_ identity: SinkIdentity) throws -> [(batch: BatchNumber, record: OffsetRange)] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        return try ledger(opened()).refusedRecords(identity)
    }

    package func closeRefused(_ identity: SinkIdentity, _ records: [OffsetRange], before batch: BatchNumber) throws {
        let database = try opened()
        try queue.takeTurn {
            try database.transaction { try ledger(database).closeRefused(identity, records, before: batch) }
        }
    }

    package func closeRefused(_ identity: SinkIdentity, batches: ClosedRange<BatchNumber>) throws {
        let database = try opened()
        try queue.takeTurn { try database.transaction { try ledger(database).closeRefused(identity, batches: batches) } }
    }

    package func forget(_ identity: SinkIdentity) throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        let database = try opened()
        try queue.takeTurn { try database.transaction { try ledger(database).forget(identity) } }
    }

    package func sealedBatches(_ identity: SinkIdentity) throws -> [Int: BatchNumber] {
        guard FileManager.default.fileExists(atPath: path) else { return [:] }
        return try ledger(opened()).sealedBatches(identity)
    }

    package func seal(
        _ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String, after: Predecessor, rows: [Chunk]
    ) throws -> Sealed {
        let database = try opened()
        let ledger = ledger(database)
        let rows = PartRows(rows)
        let last = rows.last.flatMap { TableWitness.made(of: $0, text.table) }
        let sealed = try queue.takeTurn {
            try database.transaction {
                let entry = try ledger.enter(
                    identity, part: part, batch: batch, digest: digest, after: after, witness: last,
                    isFirst: !looked.contains(part))
                guard entry.outcome == .written else { return Sealed(entry.outcome, refused: entry.refused) }
                var refused = RefusedRows(text.table, total: rows.count, limit: limit, batch: batch)
                try write(rows, to: database, &refused)
                if entry.hasTriggers { try readBack(rows, refused, from: database) }
                Failpoint.reach("sink-written")
                guard !refused.rows.isEmpty else { return .written }
                try refused.store(identity, part: part, in: database)
                let good = refused.lastGood(of: rows).flatMap { TableWitness.made(of: $0, text.table) }
                try ledger.setRefused(identity, part: part, refused: refused.rows.count, witness: good)
                return Sealed(.written, refused: Int64(refused.rows.count))
            }
        }
        looked.insert(part)
        return sealed
    }

    package func existing(keysOf rows: Chunk) throws -> [[Value]?] {
        let database = try opened()
        let statement = try database.prepared(text.selectKey)
        let names = text.table.key
        let columns = try keyColumns(names, of: rows)
        var found: [[Value]?] = []
        try database.transaction {
            try bindEach(rows, columns, 0..<rows.selectedCount, statement, database) { _ in
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
        looked = []
    }

    private func ledger(_ database: SQLiteDatabase) -> SinkLedger {
        SinkLedger(database: database, text: text, place: "sqlite:\(path)")
    }

    private func write(_ rows: PartRows, to database: SQLiteDatabase, _ refused: inout RefusedRows) throws {
        let statement = try database.prepared(text.insertRow)
        var number = 0
        var stored = 0
        try rows.forEachChunk(of: 0..<rows.count) { chunk, columns, range in
            try bindEach(chunk, columns, range, statement, database) { row in
                do {
                    try database.check(statement.step(), "write a row")
                    stored += database.rowsOfLastStep
                } catch let reason as Failure where reason.code == .rowRefused && database.isInTransaction {
                    try refused.add(number, chunk.values(row), reason)
                }
                number += 1
            }
        }
        guard stored + refused.rows.count == rows.count else {
            throw try swallowed(sent: rows.count, stored: stored, database)
        }
    }

    /// What triggers left of the rows that were stored.
    private func readBack(_ rows: PartRows, _ refused: RefusedRows, from database: SQLiteDatabase) throws {
        guard !text.table.key.isEmpty else { return }
        let statement = try database.prepared(text.selectKey)
        let skipped = Set(refused.rows.map(\.number))
        let indexes = try text.table.key.map { name in try keyIndex(name, in: text.table.schema) }
        var number = 0
        var there = 0
        try rows.forEachChunk(of: 0..<rows.count) { chunk, columns, range in
            try bindEach(chunk, indexes.map { columns[$0] }, range, statement, database) { _ in
                let code = statement.step()
                try database.check(code, "look up a key")
                // 100 is SQLITE_ROW.
                if code == 100 || skipped.contains(number) { there += 1 }
                number += 1
            }
        }
        guard there == rows.count else { throw try swallowed(sent: rows.count, stored: there, database) }
    }

    private func swallowed(sent: Int, stored: Int, _ database: SQLiteDatabase) throws -> Failure {
        let acting = try database.execute(
            "SELECT 'trigger ' || name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = $1 COLLATE NOCASE",
            [.text(text.table.name)]
        ).compactMap { row -> String? in if case .text(let name) = row[0] { name } else { nil } }
        return SinkRefusal.swallowed(text.table.name, sent: sent, stored: stored, acting: acting, place: "sqlite:\(path)")
    }

    /// Binds each of the selected rows that `range` counts in turn and calls `step` with its number in the chunk; times are
    /// spelled into a scratch of their column.
    private func bindEach(
        _ chunk: Chunk, _ columns: [Column], _ range: Range<Int>, _ statement: SQLiteStatement, _ database: SQLiteDatabase,
        _ step: (Int) throws -> Void
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
            for index in range {
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
                try step(row)
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
    try names.map { name in rows.columns[try keyIndex(name, in: rows.schema)] }
}

private func keyIndex(_ name: String, in schema: Schema) throws -> Int {
    if let index = schema.index(of: name) { return index }
    throw Failure(
        .internal, "rows cannot be looked up in a sink", why: "they have no column \(name)",
        now: "report this with the command that was run")
}
