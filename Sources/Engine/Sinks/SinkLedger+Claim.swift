// Taking a sink: whose the job's name is, whose the table is, and that the table is the one that it was.
//
// A keyed table belongs to one job id: two jobs that write the same keys would overwrite each other's rows, and both would
// look right. So a claim says in `sluice_claims` which table it takes, and finds there, or in the ledger of earlier builds,
// who else has sealed rows in it; and as two jobs may claim a table before either has, the first seal of a part looks again,
// one at a time. Excepted are backfills of the same job, ids that were taken over (`--adopt`), and jobs which declare
// different shares of the keys. Tables that only get rows added may be shared.
//
// Only a table that the log begins is made. One that was there before and is missing now was lost with its rows, and so it
// stays until a person says what to do.

extension SinkLedger {
    /// Inside a transaction. Takes the job's row for `identity` with its epoch, and the table.
    func claim(_ identity: SinkIdentity, _ claim: SinkClaim) throws {
        // Two first claims at once would both try to make the tables; SQLite has one writer at a time anyway.
        if database.dialect == .postgres { try lockClaims() }
        try makeTables()
        try takeJob(identity, claim)
        if claim.anew {
            try database.execute("DELETE FROM sluice_ledger WHERE job_id = $1 AND sink = $2", key(identity))
        }
        try takeTable(identity, claim)
        if claim.adopt { try takeLedger(identity, claim) }
    }

    // MARK: our tables

    private func makeTables() throws {
        if try !hasTable("sluice_jobs") {
            try database.execute(
                "CREATE TABLE sluice_jobs (job text PRIMARY KEY, job_id text NOT NULL, epoch bigint NOT NULL)")
        }
        if try !hasTable("sluice_ledger") {
            try database.execute(
                """
                CREATE TABLE sluice_ledger (job_id text NOT NULL, sink text NOT NULL, part bigint NOT NULL,
                    batch bigint NOT NULL, epoch bigint NOT NULL, digest text NOT NULL, witness text, refused bigint,
                    PRIMARY KEY (job_id, sink, part))
                """)
        } else {
            // It may be of a build that asked for no witness.
            for (name, type) in [("witness", "text"), ("refused", "bigint")] where try !hasLedgerColumn(name) {
                try database.execute("ALTER TABLE sluice_ledger ADD COLUMN \(name) \(type)")
            }
        }
        if try !hasTable("sluice_claims") {
            try database.execute(
                """
                CREATE TABLE sluice_claims (job_id text NOT NULL, sink text NOT NULL, job text NOT NULL, identity text,
                    parent text, keys text, taken_by text, PRIMARY KEY (job_id, sink))
                """)
        }
        if try !hasTable("sluice_refused") { try database.execute(RefusedRows.create) }
    }

    private func hasLedgerColumn(_ name: String) throws -> Bool {
        let sql =
            switch database.dialect {
            case .sqlite: "SELECT 1 FROM pragma_table_info('sluice_ledger') WHERE name = $1"
            case .postgres: "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('sluice_ledger') AND attname = $1"
            }
        return try !database.execute(sql, [.text(name)]).isEmpty
    }

    // MARK: the job's name

    private func takeJob(_ identity: SinkIdentity, _ claim: SinkClaim) throws {
        let row = [SQLValue.text(identity.job), .text(identity.jobID.text), .int(identity.epoch)]
        guard let found = try jobRow(identity.job, lock: "FOR UPDATE") else {
            try database.execute("INSERT INTO sluice_jobs (job, job_id, epoch) VALUES ($1, $2, $3)", row)
            return
        }
        if found.id != identity.jobID {
            guard claim.adopt else { throw SinkRefusal.ownedByOther(identity, found: found.id, place: place) }
        } else if found.epoch > identity.epoch {
            throw SinkRefusal.stale(identity, found: found.epoch, place: place)
        }
        try database.execute("UPDATE sluice_jobs SET job_id = $2, epoch = $3 WHERE job = $1", row)
        if found.id != identity.jobID {
            try database.execute(
                "UPDATE sluice_claims SET taken_by = $2 WHERE job_id = $1", [.text(found.id.text), .text(identity.jobID.text)])
        }
    }

    // MARK: the table

    private func takeTable(_ identity: SinkIdentity, _ claim: SinkClaim) throws {
        if let found = try FoundTable(text, in: database) {
            if let difference = found.difference(from: text, place: place) { throw difference }
            if text.table.isSingleRow, try database.execute(text.selectTwo).count > 1 { throw SinkRefusal.severalRows(text, place: place) }
        } else {
            guard claim.begins || claim.adopt || claim.anew else {
                throw SinkRefusal.lost(identity, "the table is not there, and the job has written to it before", place: place)
            }
            for statement in try text.createTable(try nullKeys) { try database.execute(statement) }
        }
        try refuseUnlogged(identity)
        let now = try marked()
        let own = try database.execute(
            "SELECT taken_by FROM sluice_claims WHERE job_id = $1 AND sink = $2", key(identity))
        if case .text(let heir)? = own.first?[0], !claim.adopt {
            throw SinkRefusal.taken(identity, by: JobID(text: heir), place: place)
        }
        if text.table.mode == .keyedUpsert {
            for other in try tenants(identity, parent: claim.parent, keys: claim.keys, table: now) {
                guard claim.adopt else { throw SinkRefusal.shared(identity, with: other.job, id: other.id, place: place) }
                try database.execute(
                    """
                    INSERT INTO sluice_claims (job_id, sink, job, taken_by) VALUES ($1, $2, $3, $4)
                    ON CONFLICT (job_id, sink) DO UPDATE SET taken_by = excluded.taken_by
                    """, [.text(other.id.text), .text(other.sink), .text(other.job), .text(identity.jobID.text)])
            }
        }
        // The identity stays as it was claimed until witnesses have spoken for another one: in the next seal.
        try database.execute(
            """
            INSERT INTO sluice_claims (job_id, sink, job, identity, parent, keys) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (job_id, sink) DO UPDATE SET job = excluded.job, parent = excluded.parent, keys = excluded.keys,
                taken_by = NULL, identity = \(claim.adopt || claim.anew ? "excluded.identity" : "coalesce(sluice_claims.identity, excluded.identity)")
            """,
            key(identity) + [.text(identity.job), .text(now), .text(claim.parent?.text), .text(claim.keys)])
    }

    /// How a table made here keeps apart keys that may be NULL.
    private var nullKeys: NullKeys {
        get throws {
            guard text.hasNullableKey, database.dialect == .postgres else { return .expressions }
            let answer = try database.execute("SELECT current_setting('server_version_num')::integer >= 150000")
            return answer.first?.first == .int(1) ? .columns : .expressions
        }
    }

    /// What the database knows the table by; SQLite is given a mark for that where there is none.
    private func marked() throws -> String? {
        let known = try tableIdentity()
        guard database.dialect == .sqlite, known == "" else { return known }
        let mark = "sluice_mark_" + JobID.random().text.prefix(16)
        try database.execute("CREATE INDEX \(mark) ON \(text.name) (\(text.firstColumn)) WHERE 0")
        return mark
    }

    /// Its rows would be gone with the next crash of the server, and the ledger would not.
    func refuseUnlogged(_ identity: SinkIdentity) throws {
        guard database.dialect == .postgres else { return }
        let found = try database.execute(
            """
            SELECT relname FROM pg_class WHERE relpersistence <> 'p'
                AND oid IN (to_regclass($1), to_regclass('sluice_jobs'), to_regclass('sluice_ledger'), to_regclass('sluice_claims'))
            """, [tableName])
        guard case .text(let name)? = found.first?[0] else { return }
        throw Failure(
            .sinkMismatch, "the table \(name) in \(place) is unlogged or temporary",
            why: "a crash of the server empties it, and the job's ledger would still say that its rows are there",
            now: "ALTER TABLE \(name) SET LOGGED, then start the job again")
    }

    /// Before a part's first rows: nobody else has come in since the claim.
    func refuseTenants(_ identity: SinkIdentity, table: String?) throws {
        guard text.table.mode == .keyedUpsert else { return }
        if database.dialect == .postgres { try lockClaims() }
        let own = try database.execute(
            "SELECT parent, keys FROM sluice_claims WHERE job_id = $1 AND sink = $2", key(identity))
        func cell(_ column: Int) -> String? { if case .text(let text)? = own.first?[column] { text } else { nil } }
        let others = try tenants(identity, parent: cell(0).map { JobID(text: $0) }, keys: cell(1), table: table)
        if let other = others.first { throw SinkRefusal.shared(identity, with: other.job, id: other.id, place: place) }
    }

    private func lockClaims() throws {
        try database.execute("SELECT pg_advisory_xact_lock(hashtextextended('sluice claim', 0))")
    }

    /// Who else has sealed rows of a keyed table that may be of our keys.
    private func tenants(_ identity: SinkIdentity, parent: JobID?, keys: String?, table: String?) throws
        -> [(id: JobID, job: String, sink: String)]
    {
        var found: [(id: JobID, job: String, sink: String)] = []
        var known: Set<[SQLValue]> = []
        func oid(_ identity: String) -> Substring { identity.prefix { $0 != ":" } }
        let claims = try database.execute(
            """
            SELECT c.job_id, c.sink, c.job, c.identity, c.parent, c.keys, c.taken_by FROM sluice_claims c
            WHERE EXISTS (SELECT 1 FROM sluice_ledger l WHERE l.job_id = c.job_id AND l.sink = c.sink)
            """)
        for row in claims {
            guard case .text(let id) = row[0], case .text(let sink) = row[1], case .text(let job) = row[2] else { continue }
            known.insert([row[0], row[1]])
            let isSameTable: Bool =
                if case .text(let other) = row[3], let table { oid(other) == oid(table) } else { sink == identity.sink }
            let isFamily =
                row[4] == .text(identity.jobID.text) || (parent.map { id == $0.text || row[4] == .text($0.text) } ?? false)
            let isApart: Bool = if case .text(let other) = row[5], let keys, !text.table.isSingleRow { other != keys } else { false }
            if id != identity.jobID.text && isSameTable && row[6] == .null && !isFamily && !isApart {
                found.append((JobID(text: id), job, sink))
            }
        }
        // Earlier builds claimed no tables. An id that no job has any more was taken over then.
        let ledger = try database.execute(
            """
            SELECT DISTINCT l.job_id, l.sink, j.job FROM sluice_ledger l JOIN sluice_jobs j ON j.job_id = l.job_id
            WHERE l.sink = $1 AND l.job_id <> $2
            """, [.text(identity.sink), .text(identity.jobID.text)])
        for row in ledger where !known.contains([row[0], row[1]]) {
            guard case .text(let id) = row[0], case .text(let sink) = row[1], case .text(let job) = row[2] else { continue }
            // Their backfills are known by their names alone.
            let family = [job, identity.job].map { $0.prefix { $0 != "~" } }
            if family[0] != family[1] { found.append((JobID(text: id), job, sink)) }
        }
        return found
    }

    // MARK: the ledger

    /// `--adopt`: the ledger says what the log knows, except of the batch that is planned, which is compared when it is run.
    private func takeLedger(_ identity: SinkIdentity, _ claim: SinkClaim) throws {
        let known = Dictionary(claim.seals.map { ($0.part, $0) }) { $1 }
        for row in try ledgerRows(identity, hasWitness: false) where row.batch != claim.open {
            if let mark = known[row.part], mark.batch == row.batch, mark.digest == row.digest { continue }
            try database.execute(
                "DELETE FROM sluice_ledger WHERE job_id = $1 AND sink = $2 AND part = $3", key(identity, row.part))
        }
        for mark in claim.seals {
            try database.execute(
                """
                INSERT INTO sluice_ledger (job_id, sink, part, batch, epoch, digest) VALUES ($1, $2, $3, $4, $5, $6)
                ON CONFLICT (job_id, sink, part) DO NOTHING
                """, key(identity, mark.part) + [.int(mark.batch), .int(identity.epoch), .text(mark.digest)])
        }
        try database.execute("UPDATE sluice_ledger SET witness = NULL WHERE job_id = $1 AND sink = $2", key(identity))
    }
}

extension SinkLedger {
    /// The job's claim and ledger go; whoever of it still writes finds no row, and is refused.
    func forget(_ identity: SinkIdentity) throws {
        guard try owner(job: identity.job).isOf(identity.jobID) else { return }
        for name in ["sluice_ledger", "sluice_claims", "sluice_jobs"] where try hasTable(name) {
            try database.execute("DELETE FROM \(name) WHERE job_id = $1", [.text(identity.jobID.text)])
        }
    }
}

extension SinkOwner {
    fileprivate func isOf(_ id: JobID) -> Bool { if case .job(id, _) = self { true } else { false } }
}
