// Who may write to a sink database, and how far each part has come: the two small tables beside the rows.
//
// Decides owner, epoch and "already there" (protocol 1 and 3), always inside a transaction that the sink began; writes no
// row of the job. `sluice_jobs` has one row a job name; a seal holds it shared, a claim alone, so a claim waits for the
// seals under way and every seal after it sees the new epoch. `sluice_ledger` has one row per (job id, sink, part), whose
// batch only grows: two attempts at one part meet at that row, and the second finds the batch already there.
//
// What survives a crash: whatever was committed; a ledger row and its rows are committed together or not at all.
// Checklist when changing this: the job's row is locked and compared before anything is written; no path leads from
// "another digest" to success; a missing row is a refusal.

struct SinkLedger {
    let database: any SQLDatabase
    /// The sink for people: its address without secrets.
    let place: String

    // MARK: owner

    func owner(job: String) throws -> SinkOwner {
        guard try hasTable("sluice_jobs") else { return .nobody }
        return try jobRow(job, lock: "").map { .job($0.id, $0.epoch) } ?? .nobody
    }

    /// Takes the job's row for `identity` with its epoch. Makes the two tables where they are missing.
    func claim(_ identity: SinkIdentity, adopt: Bool) throws {
        // Two first claims at once would both try to make the tables; SQLite has one writer at a time anyway.
        if database.dialect == .postgres {
            try database.execute("SELECT pg_advisory_xact_lock(hashtextextended('sluice claim', 0))")
        }
        if try !hasTable("sluice_jobs") {
            try database.execute(
                "CREATE TABLE sluice_jobs (job text PRIMARY KEY, job_id text NOT NULL, epoch bigint NOT NULL)")
        }
        if try !hasTable("sluice_ledger") {
            try database.execute(
                """
                CREATE TABLE sluice_ledger (job_id text NOT NULL, sink text NOT NULL, part bigint NOT NULL,
                    batch bigint NOT NULL, epoch bigint NOT NULL, digest text NOT NULL, PRIMARY KEY (job_id, sink, part))
                """)
        }
        let row = [SQLValue.text(identity.job), .text(identity.jobID.text), .int(identity.epoch)]
        guard let found = try jobRow(identity.job, lock: "FOR UPDATE") else {
            try database.execute("INSERT INTO sluice_jobs (job, job_id, epoch) VALUES ($1, $2, $3)", row)
            return
        }
        if found.id != identity.jobID {
            guard adopt else { throw SinkRefusal.ownedByOther(identity, found: found.id, place: place) }
        } else if found.epoch > identity.epoch {
            throw SinkRefusal.stale(identity, found: found.epoch, place: place)
        }
        try database.execute("UPDATE sluice_jobs SET job_id = $2, epoch = $3 WHERE job = $1", row)
    }

    // MARK: parts

    func sealedBatches(_ identity: SinkIdentity) throws -> [Int: BatchNumber] {
        guard try hasTable("sluice_ledger") else { return [:] }
        let rows = try database.execute(
            "SELECT part, batch FROM sluice_ledger WHERE job_id = $1 AND sink = $2",
            [.text(identity.jobID.text), .text(identity.sink)])
        var batches: [Int: BatchNumber] = [:]
        for row in rows {
            guard case .int(let part) = row[0], case .int(let batch) = row[1] else { throw unreadable() }
            batches[Int(part)] = batch
        }
        return batches
    }

    /// The first statements of a seal. `written` means: the ledger has moved to `batch`, now write the rows;
    /// `alreadySealed` means: the same content is there, write nothing.
    func enter(_ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String) throws -> SealOutcome {
        guard let owner = try jobRow(identity.job, lock: "FOR SHARE") else { throw unclaimed(identity) }
        guard owner.id == identity.jobID else { throw SinkRefusal.ownedByOther(identity, found: owner.id, place: place) }
        guard owner.epoch == identity.epoch else { throw SinkRefusal.stale(identity, found: owner.epoch, place: place) }
        let key = [SQLValue.text(identity.jobID.text), .text(identity.sink), .int(Int64(part))]
        try database.execute(
            """
            INSERT INTO sluice_ledger (job_id, sink, part, batch, epoch, digest) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (job_id, sink, part) DO UPDATE
            SET batch = excluded.batch, epoch = excluded.epoch, digest = excluded.digest
            WHERE sluice_ledger.batch < excluded.batch
            """, key + [.int(batch), .int(identity.epoch), .text(digest)])
        if database.changedRows == 1 { return .written }
        let rows = try database.execute(
            "SELECT batch, digest FROM sluice_ledger WHERE job_id = $1 AND sink = $2 AND part = $3", key)
        guard let row = rows.first, case .int(let found) = row[0], case .text(let sealed) = row[1] else {
            throw unreadable()
        }
        if found == batch && sealed == digest { return .alreadySealed }
        throw SinkRefusal.conflict(identity, part: part, batch: batch, found: found, place: place)
    }

    // MARK: reading

    private func hasTable(_ name: String) throws -> Bool {
        switch database.dialect {
        case .sqlite: try !database.execute("SELECT 1 FROM pragma_table_info($1)", [.text(name)]).isEmpty
        case .postgres: try database.execute("SELECT to_regclass($1) IS NOT NULL", [.text(name)]) == [[.int(1)]]
        }
    }

    private func jobRow(_ job: String, lock: String) throws -> (id: JobID, epoch: Epoch)? {
        // SQLite has no row locks and needs none: its transaction holds the whole file.
        let lock = database.dialect == .postgres ? lock : ""
        let rows = try database.execute("SELECT job_id, epoch FROM sluice_jobs WHERE job = $1 \(lock)", [.text(job)])
        guard let row = rows.first else { return nil }
        guard case .text(let id) = row[0], case .int(let epoch) = row[1] else { throw unreadable() }
        return (JobID(text: id), epoch)
    }

    // MARK: refusals

    private func unclaimed(_ identity: SinkIdentity) -> Failure {
        Failure(
            .sinkOwnedByOther, "\(place) does not know the job \(identity.job)",
            why: "its row in sluice_jobs is missing: somebody removed it, or the database is another one than before",
            now: "restore the sink, or start the job again so that it claims the sink anew")
    }

    private func unreadable() -> Failure {
        Failure(
            .sinkMismatch, "cannot read sluice_jobs or sluice_ledger in \(place)", why: "their columns are not ours",
            now: "rename those tables so that the job can make its own, or name another database")
    }
}
