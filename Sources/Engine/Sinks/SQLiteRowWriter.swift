// The rows of one part into a table of SQLite, and keys whose rows go out of it: one prepared statement each, bound straight from
// the columns, inside the transaction of a seal.
//
// Values are stored as they are; a time as text with milliseconds, a boolean as 0 or 1. SQLite has no NaN: it becomes NULL. A row
// that the table refuses costs only its own statement: it is kept in `sluice_refused`, and the next one follows. Every row that is
// written must change exactly one, or something swallows them; a key whose row was not there is no matter. Where triggers act, what
// they left is looked up.

struct SQLiteRowWriter {
    let text: SinkTableText
    let database: SQLiteDatabase
    let path: String

    func delete(_ rows: PartRows, _ refused: inout RefusedRows) throws {
        guard rows.deleted > 0 else { return }
        let statement = try database.prepared(text.deleteKey)
        var number = 0
        try rows.forEachChunk(of: 0..<rows.deleted) { chunk, columns, range in
            try bindEach(chunk, columns, range, statement) { row in
                do {
                    try database.check(statement.step(), "delete a row")
                } catch let reason as Failure where reason.code == .rowRefused && database.isInTransaction {
                    try refused.add(number, chunk.values(row), isDelete: true, reason)
                }
                number += 1
            }
        }
    }

    func write(_ rows: PartRows, _ refused: inout RefusedRows) throws {
        guard rows.count > rows.deleted else { return }
        let statement = try database.prepared(text.insertRow)
        let before = refused.rows.count
        var number = rows.deleted
        var stored = 0
        try rows.forEachChunk(of: rows.deleted..<rows.count) { chunk, columns, range in
            try bindEach(chunk, columns, range, statement) { row in
                // The row before it comes back where the new one is refused.
                if text.table.isSingleRow { try database.execute("SAVEPOINT sluice_row") }
                do {
                    if text.table.isSingleRow { try database.execute(text.deleteAll) }
                    try database.check(statement.step(), "write a row")
                    stored += database.rowsOfLastStep
                } catch let reason as Failure where reason.code == .rowRefused && database.isInTransaction {
                    statement.reset()
                    if text.table.isSingleRow { try database.execute("ROLLBACK TO SAVEPOINT sluice_row") }
                    try refused.add(number, chunk.values(row), isDelete: false, reason)
                }
                if text.table.isSingleRow {
                    statement.reset()
                    try database.execute("RELEASE SAVEPOINT sluice_row")
                }
                number += 1
            }
        }
        let sent = rows.count - rows.deleted
        guard stored + refused.rows.count - before == sent else { throw try swallowed(sent: sent, stored: stored) }
    }

    /// What triggers left of the rows that were stored.
    func readBack(_ rows: PartRows, _ refused: RefusedRows) throws {
        if text.table.isSingleRow {
            let there = try database.execute(text.selectTwo).count
            let most = rows.count > rows.deleted ? 1 : 0
            if there > most {
                throw SinkRefusal.kept(text.table.name, sent: 1, kept: there - most, acting: try acting(), place: "sqlite:\(path)")
            }
            if there < most && refused.rows.isEmpty { throw try swallowed(sent: most, stored: there) }
            return
        }
        guard !text.table.key.isEmpty else { return }
        let statement = try database.prepared(text.selectKey)
        let skipped = Set(refused.rows.map(\.number))
        var number = 0
        var there = 0
        var kept = 0
        try rows.forEachChunk(of: 0..<rows.count) { chunk, _, range in
            try bindEach(chunk, keyColumns(text.table.key, of: chunk), range, statement) { _ in
                let code = statement.step()
                try database.check(code, "look up a key")
                // 100 is SQLITE_ROW.
                let isThere = code == 100
                switch (number < rows.deleted, skipped.contains(number)) {
                case (true, false): if isThere { kept += 1 }
                case (false, let isSkipped): if isThere || isSkipped { there += 1 }
                case (true, true): break
                }
                number += 1
            }
        }
        guard kept == 0 else {
            throw SinkRefusal.kept(
                text.table.name, sent: rows.deleted, kept: kept, acting: try acting(), place: "sqlite:\(path)")
        }
        let sent = rows.count - rows.deleted
        guard there == sent else { throw try swallowed(sent: sent, stored: there) }
    }

    private func swallowed(sent: Int, stored: Int) throws -> Failure {
        SinkRefusal.swallowed(
            text.table.name, sent: sent, stored: stored, acting: try acting(), place: "sqlite:\(path)")
    }

    private func acting() throws -> [String] {
        try database.execute(
            "SELECT 'trigger ' || name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = $1 COLLATE NOCASE",
            [.text(text.table.name)]
        ).compactMap { row -> String? in if case .text(let name) = row[0] { name } else { nil } }
    }

    /// Binds each of the selected rows that `range` counts in turn and calls `step` with its number in the chunk; times are
    /// spelled into a scratch of their column.
    func bindEach(
        _ chunk: Chunk, _ columns: [Column], _ range: Range<Int>, _ statement: SQLiteStatement,
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
