// Rows into a table of PostgreSQL: copied into a private staging table, then one INSERT ... ON CONFLICT; keys whose rows go are
// copied beside them, then one DELETE.
//
// One way for every size: measured on PostgreSQL 15, the server spends about 9 microseconds of processor time on a row in
// parts of 20,000 and 100,000 rows, and 2 to 3 milliseconds on a part of 1 or 200 rows. The staging table belongs to the
// connection, is made once and emptied by each commit; a new connection makes it again, and behind a pooler, where a
// connection is ours for one transaction only, each transaction does. Parts are sealed in parallel, each on a connection of
// its own; their keys are written in order, so that two that share keys wait for each other instead of deadlocking.
//
// What the database says it stored is compared with what was sent, before COMMIT. Rows that it does not take end the
// transaction; the next one looks for them by halves between savepoints, keeps them in `sluice_refused`, and stores the rest.
//
// A connection that is lost after COMMIT was sent leaves an unknown outcome: the caller sees `databaseUnreachable`, tries
// again, and the ledger says which it was.

package final class PostgresSink: Sink {
    private let database: PostgresDatabase
    private let url: String
    private var text: SinkTableText
    private let limit: RefusalLimit
    /// The connection on which the staging table is known to be.
    private var stagedConnection = 0
    /// The connection on which the table was asked how it keeps apart keys that may be NULL.
    private var askedConnection = 0
    /// Parts whose witness was looked up, and on which connection.
    private var looked: (connection: Int, parts: Set<Int>) = (0, [])

    package init(url: String, table: SinkTable, limit: RefusalLimit = .usual) throws {
        text = try SinkTableText(table, dialect: .postgres)
        database = try PostgresDatabase(url: url)
        self.url = url
        self.limit = limit
    }

    package func owner(job: String) throws -> SinkOwner { try ledger.owner(job: job) }

    package func sight(_ identity: SinkIdentity) throws -> SinkSight? {
        try database.transaction {
            try askNullKeys()
            return try ledger.sight(identity)
        }
    }

    package func claim(_ identity: SinkIdentity, _ claim: SinkClaim) throws {
        // It may make the table.
        askedConnection = 0
        do {
            try self.claim(identity, claim, waitSeconds: nil)
        } catch let busy as Failure where busy.code == .databaseBusy {
            // An older driver that was stopped while it copied rows is not idle for the server, and not at work: it would keep
            // its locks until it wakes up.
            Log.notice("waiting for the sink", [("job", identity.job), ("why", busy.why), ("at_most_s", "\(Self.patienceSeconds)")])
            try self.claim(identity, claim, waitSeconds: Self.patienceSeconds)
        }
    }

    private static let patienceSeconds = PostgresDatabase.statementSeconds + 10

    private func claim(_ identity: SinkIdentity, _ claim: SinkClaim, waitSeconds: Int?) throws {
        try database.transaction {
            if let waitSeconds {
                try database.execute("SET LOCAL lock_timeout = '\(waitSeconds)s'")
                try database.execute("SET LOCAL statement_timeout = '\(waitSeconds)s'")
                guard case .int(let own)? = try database.execute("SELECT pg_backend_pid()::bigint").first?.first else { return }
                return try PostgresUnblocker.whileWaiting(own, at: url) { try ledger.claim(identity, claim) }
            }
            try ledger.claim(identity, claim)
        }
    }

    package func refusedRecords(_ identity: SinkIdentity) throws -> [(batch: BatchNumber, record: OffsetRange)] {
        try ledger.refusedRecords(identity)
    }

    package func closeRefused(_ identity: SinkIdentity, _ records: [OffsetRange], before batch: BatchNumber) throws {
        try database.transaction { try ledger.closeRefused(identity, records, before: batch) }
    }

    package func closeRefused(_ identity: SinkIdentity, batches: ClosedRange<BatchNumber>) throws {
        try ledger.closeRefused(identity, batches: batches)
    }

    package func forget(_ identity: SinkIdentity) throws { try database.transaction { try ledger.forget(identity) } }

    package func sealedBatches(_ identity: SinkIdentity) throws -> [Int: BatchNumber] { try ledger.sealedBatches(identity) }

    package func seal(
        _ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String, after: Predecessor, rows: [Chunk]
    ) throws -> Sealed {
        try PartRows.checkDeletes(rows, of: text.table, place: database.address.masked)
        let rows = PartRows(rows)
        let last = rows.last.flatMap { TableWitness.made(of: $0, text.table) }
        func enter() throws -> SinkLedger.Entry {
            try askNullKeys()
            let isFirst = looked.connection != database.connectionNumber || !looked.parts.contains(part)
            return try ledger.enter(
                identity, part: part, batch: batch, digest: digest, after: after, witness: last, isFirst: isFirst)
        }
        do {
            let entry = try database.transaction {
                let entry = try enter()
                if entry.outcome == .written, rows.count > 0 {
                    try makeStaging()
                    try store(0..<rows.count, of: rows, hasTriggers: entry.hasTriggers)
                    try ledger.witness.takeBack(identity, part: part, rows)
                    Failpoint.reach("sink-written")
                }
                return entry
            }
            sealed(part, hasStaged: entry.outcome == .written && rows.count > 0)
            return Sealed(entry.outcome, refused: entry.refused)
        } catch let refusal as Failure where refusal.code == .rowRefused && rows.count > 0 {
            let sealed = try database.transaction {
                let entry = try enter()
                guard entry.outcome == .written else { return Sealed(entry.outcome, refused: entry.refused) }
                // What a constraint has against a row must be said when the row is written, not at COMMIT.
                try database.execute("SET CONSTRAINTS ALL IMMEDIATE")
                var refused = RefusedRows(text.table, total: rows.count, limit: limit, batch: batch)
                try makeStaging()
                try storeByHalves(0..<rows.count, of: rows, hasTriggers: entry.hasTriggers, &refused)
                try ledger.witness.takeBack(identity, part: part, rows)
                try refused.store(identity, part: part, in: database)
                try ledger.setRefused(identity, part: part, refused, of: rows)
                return Sealed(.written, refused: Int64(refused.rows.count))
            }
            self.sealed(part, hasStaged: sealed.outcome == .written)
            return sealed
        }
    }

    package func existing(keysOf rows: Chunk) throws -> [[Value]?] {
        let columns = try keyColumns(text.table.key, of: rows)
        let fields = text.table.schema.fields
        if text.table.isSingleRow {
            let only = try database.execute(text.selectKey).first.map { row in try fields.indices.map { try value(row[$0], of: fields[$0]) } }
            return Array(repeating: only, count: rows.selectedCount)
        }
        let answers = try database.transaction {
            try askNullKeys()
            try makeStaging()
            try stage(0..<rows.selectedCount, of: PartRows([rows], columns: [columns]), names: text.table.key)
            return try nullPatterns().flatMap { try database.execute(text.selectStagedKeys($0)) }
        }
        sealed(nil, hasStaged: true)
        var found = [[Value]?](repeating: nil, count: rows.selectedCount)
        for answer in answers {
            guard case .int(let number) = answer[0], answer[1] == .int(1) else { continue }
            found[Int(number)] = try fields.indices.map { try value(answer[$0 + 2], of: fields[$0]) }
        }
        return found
    }

    package func close() { database.close() }

    private var ledger: SinkLedger { SinkLedger(database: database, text: text, place: database.address.masked) }

    /// Only a committed transaction leaves the staging table behind, and proves that the witness was found.
    private func sealed(_ part: Int?, hasStaged: Bool) {
        if hasStaged && !database.isPooled { stagedConnection = database.connectionNumber }
        if looked.connection != database.connectionNumber { looked = (database.connectionNumber, []) }
        if let part { looked.parts.insert(part) }
    }

    private func askNullKeys() throws {
        guard text.hasNullableKey, askedConnection != database.connectionNumber else { return }
        guard let table = try FoundTable(text, in: database) else { return }
        text.nullKeys = table.nullKeys
        askedConnection = database.connectionNumber
    }

    /// Of the keys that are staged.
    private func nullPatterns() throws -> [NullPattern] {
        guard let question = text.selectNullPatterns else { return [NullPattern()] }
        return try database.execute(question).map(text.nullPattern)
    }

    /// The sums of what a statement counts, over the keys that are staged.
    private func counted(_ statement: (NullPattern) -> String) throws -> [Int] {
        try nullPatterns().map { pattern in
            try database.execute(statement(pattern))[0].map { if case .int(let count) = $0 { Int(count) } else { 0 } }
        }.reduce([0, 0]) { sums, counts in zip(sums, counts + [0]).map(+) }
    }

    // MARK: rows

    private func makeStaging() throws {
        if stagedConnection != database.connectionNumber {
            try database.execute(text.createStaging(untilCommit: database.isPooled))
        }
    }

    private func stage(_ range: Range<Int>, of rows: PartRows, names: [String], deletes: Bool = false) throws {
        try database.copyIn(text.copyToStaging(names)) { send in
            var encoder = CopyEncoder(deletes: deletes)
            try rows.forEachChunk(of: range) { chunk, columns, range in
                try encoder.append(chunk, columns, range, send: send)
            }
            try encoder.finish(send: send)
        }
    }

    private func store(_ range: Range<Int>, of rows: PartRows, hasTriggers: Bool) throws {
        let (deleted, written) = (rows.deleted(in: range), rows.written(in: range))
        if text.table.isSingleRow {
            try replaceAll(written, of: rows, hasTriggers: hasTriggers)
            return
        }
        if !deleted.isEmpty { try delete(deleted, of: rows, hasTriggers: hasTriggers) }
        if !written.isEmpty { try write(written, of: rows, hasTriggers: hasTriggers) }
    }

    private func delete(_ range: Range<Int>, of rows: PartRows, hasTriggers: Bool) throws {
        try stage(range, of: rows, names: text.table.key, deletes: true)
        // What is staged is not known to the planner, and a few keys are no reason to read all of the table.
        try database.execute("SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)")
        for pattern in try nullPatterns() { try database.execute(text.deleteStaged(pattern)) }
        try database.executeScript("SET LOCAL enable_hashjoin TO DEFAULT; SET LOCAL enable_mergejoin TO DEFAULT")
        // A key that was not there is none that was kept.
        guard hasTriggers, let kept = try counted(text.countKept).first, kept > 0 else { return }
        throw SinkRefusal.kept(text.table.name, sent: range.count, kept: kept, acting: try acting(), place: database.address.masked)
    }

    /// The only row goes, and the last one that is written, if any, comes.
    private func replaceAll(_ written: Range<Int>, of rows: PartRows, hasTriggers: Bool) throws {
        try database.execute(text.deleteAll)
        if !written.isEmpty {
            try stage(written, of: rows, names: text.table.schema.names)
            try database.execute(text.insertStaged)
            guard database.changedRows == 1 else { throw try swallowed(sent: 1, stored: database.changedRows) }
        }
        guard hasTriggers else { return }
        let there = try database.execute(text.selectTwo).count
        let wanted = written.isEmpty ? 0 : 1
        if there > wanted {
            throw SinkRefusal.kept(text.table.name, sent: 1, kept: there - wanted, acting: try acting(), place: database.address.masked)
        }
        if there < wanted { throw try swallowed(sent: wanted, stored: there) }
    }

    private func write(_ range: Range<Int>, of rows: PartRows, hasTriggers: Bool) throws {
        try stage(range, of: rows, names: text.table.schema.names)
        try database.execute(text.insertStaged)
        var stored = database.changedRows
        var sent = range.count
        if (stored != sent || hasTriggers) && !text.table.key.isEmpty {
            // Several rows of a key count once.
            let counts = try counted(text.countStaged)
            sent = counts[0]
            if hasTriggers { stored = min(stored, counts[1]) }
        }
        guard stored == sent else { throw try swallowed(sent: sent, stored: stored) }
    }

    private func storeByHalves(
        _ range: Range<Int>, of rows: PartRows, hasTriggers: Bool, _ refused: inout RefusedRows
    ) throws {
        try database.execute("SAVEPOINT sluice_rows")
        do {
            try store(range, of: rows, hasTriggers: hasTriggers)
            try database.execute("DELETE FROM \(SinkTableText.stagingTable)")
            try database.execute("RELEASE SAVEPOINT sluice_rows")
        } catch let reason as Failure where reason.code == .rowRefused {
            try database.execute("ROLLBACK TO SAVEPOINT sluice_rows")
            try database.execute("RELEASE SAVEPOINT sluice_rows")
            guard range.count > 1 else {
                let number = range.lowerBound
                return try refused.add(number, rows.values(number), isDelete: number < rows.deleted, reason)
            }
            let middle = range.lowerBound + range.count / 2
            try storeByHalves(range.lowerBound..<middle, of: rows, hasTriggers: hasTriggers, &refused)
            try storeByHalves(middle..<range.upperBound, of: rows, hasTriggers: hasTriggers, &refused)
        }
    }

    /// Nothing was refused, and less is there than was sent.
    private func swallowed(sent: Int, stored: Int) throws -> Failure {
        SinkRefusal.swallowed(
            text.table.name, sent: sent, stored: stored, acting: try acting(), place: database.address.masked)
    }

    private func acting() throws -> [String] {
        try database.execute(text.selectTriggers, [.text(text.name)]).compactMap { row -> String? in
            if case .text(let name) = row[0] { name } else { nil }
        }
    }
}
