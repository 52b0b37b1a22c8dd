// Rows into a table of PostgreSQL: copied into a private staging table, then one INSERT ... ON CONFLICT.
//
// One way for every size: measured on PostgreSQL 15, the server spends about 9 microseconds of processor time on a row in
// parts of 20,000 and 100,000 rows, and 2 to 3 milliseconds on a part of 1 or 200 rows. The staging table belongs to the
// connection, is made once and emptied by each commit; a new connection makes it again. Parts are sealed in parallel, each
// on a connection of its own; their keys are written in order, so that two that share keys wait for each other instead of
// deadlocking.
//
// A connection that is lost after COMMIT was sent leaves an unknown outcome: the caller sees `databaseUnreachable`, tries
// again, and the ledger says which it was.

package final class PostgresSink: Sink {
    private let database: PostgresDatabase
    private let text: SinkTableText
    /// The connection on which the staging table is known to be.
    private var stagedConnection = 0

    package init(url: String, table: SinkTable) throws {
        text = try SinkTableText(table, dialect: .postgres)
        database = try PostgresDatabase(url: url)
    }

    package func owner(job: String) throws -> SinkOwner { try ledger.owner(job: job) }

    package func claim(_ identity: SinkIdentity, adopt: Bool, after last: BatchNumber) throws {
        do {
            try claim(identity, adopt: adopt)
        } catch let busy as Failure where busy.code == .databaseBusy {
            // An older driver that was stopped while it copied rows is not idle for the server: it keeps its locks until the
            // time limit of its statement.
            Log.notice("waiting for the sink", [("job", identity.job), ("why", busy.why), ("at_most_s", "\(Self.patienceSeconds)")])
            try claim(identity, adopt: adopt, waitSeconds: Self.patienceSeconds)
        }
    }

    private static let patienceSeconds = PostgresDatabase.statementSeconds + 10

    private func claim(_ identity: SinkIdentity, adopt: Bool, waitSeconds: Int? = nil) throws {
        try database.transaction {
            if let waitSeconds {
                try database.execute("SET LOCAL lock_timeout = '\(waitSeconds)s'")
                try database.execute("SET LOCAL statement_timeout = '\(waitSeconds)s'")
            }
            try ledger.claim(identity, adopt: adopt)
            if let found = try FoundTable(text, in: database) {
                if let difference = found.difference(from: text, place: database.address.masked) { throw difference }
            } else {
                try database.execute(text.createTable)
            }
        }
    }

    package func sealedBatches(_ identity: SinkIdentity) throws -> [Int: BatchNumber] { try ledger.sealedBatches(identity) }

    package func seal(
        _ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String, rows: [Chunk]
    ) throws -> SealOutcome {
        let outcome = try database.transaction {
            let outcome = try ledger.enter(identity, part: part, batch: batch, digest: digest)
            if outcome == .written, rows.contains(where: { $0.selectedCount > 0 }) {
                try stage(rows.map { ($0, $0.columns) }, names: text.table.schema.names)
                try database.execute(text.insertStaged)
                return (outcome: outcome, staged: true)
            }
            return (outcome: outcome, staged: false)
        }
        // Only a committed transaction leaves the staging table behind.
        if outcome.staged { stagedConnection = database.connectionNumber }
        return outcome.outcome
    }

    package func existing(keysOf rows: Chunk) throws -> [[Value]?] {
        let columns = try keyColumns(text.table.key, of: rows)
        let answers = try database.transaction {
            try stage([(rows, columns)], names: text.table.key)
            return try database.execute(text.selectStagedKeys)
        }
        stagedConnection = database.connectionNumber
        let fields = text.table.schema.fields
        return try answers.map { answer in
            answer[0] == .int(1) ? try fields.indices.map { try value(answer[$0 + 1], of: fields[$0]) } : nil
        }
    }

    package func close() { database.close() }

    private var ledger: SinkLedger { SinkLedger(database: database, place: database.address.masked) }

    private func stage(_ rows: [(chunk: Chunk, columns: [Column])], names: [String]) throws {
        if stagedConnection != database.connectionNumber { try database.execute(text.createStaging) }
        try database.copyIn(text.copyToStaging(names)) { send in
            var encoder = CopyEncoder()
            for (chunk, columns) in rows { try encoder.append(chunk, columns, send: send) }
            try encoder.finish(send: send)
        }
    }
}
