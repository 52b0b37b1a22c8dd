// Who may write to a sink database, and how far each part has come: the small tables beside the rows.
//
// Decides owner, epoch and "already there" (protocol 1 and 3), always inside a transaction that the sink began; writes no
// row of the job.
//   sluice_jobs     one row a job name: its id and epoch. A seal holds it shared, a claim alone, so a claim waits for the
//                   seals under way and every seal after it sees the new epoch.
//   sluice_claims   one row per (job id, sink): by what the database knows the table, whose backfill the job is, which keys
//                   it declares, and who has taken the table over. See `SinkLedger+Claim.swift`.
//   sluice_ledger   one row per (job id, sink, part): the last batch, its digest, a witness of its rows. The batch only
//                   grows: two attempts at one part meet at that row, and the second finds the batch already there. It is
//                   swapped only for what the log knows to be its predecessor, so a ledger that was put back or emptied is
//                   found by the next seal.
//   sluice_refused  rows that the database did not take. See `RefusedRows.swift`.
//
// The ledger must die with its rows. So a seal first takes a lock that holds off who would do so, and asks what table it is; if it is
// not the one that was claimed (TRUNCATE, dropped and made again, rewritten), the witnesses of all parts decide.
//
// What survives a crash: whatever was committed; a ledger row and its rows are committed together or not at all.
// Checklist when changing this: the job's row is locked and compared before anything is written; no path leads from
// "another digest" to success; a missing row is a refusal; no path makes or accepts an empty table silently.

struct SinkLedger {
    let database: any SQLDatabase
    let text: SinkTableText
    /// The sink for people: its address without secrets.
    let place: String

    var witness: TableWitness { TableWitness(text: text, database: database) }

    // MARK: looking

    func owner(job: String) throws -> SinkOwner {
        guard try hasTable("sluice_jobs") else { return .nobody }
        return try jobRow(job, lock: "").map { .job($0.id, $0.epoch) } ?? .nobody
    }

    func sealedBatches(_ identity: SinkIdentity) throws -> [Int: BatchNumber] {
        guard try hasTable("sluice_ledger") else { return [:] }
        return try ledgerRows(identity, hasWitness: false).reduce(into: [:]) { $0[$1.part] = $1.batch }
    }

    /// Inside a transaction, so that all of it is of one moment.
    func sight(_ identity: SinkIdentity) throws -> SinkSight {
        var sight = SinkSight(owner: try owner(job: identity.job), table: try tableIdentity())
        guard try hasTable("sluice_ledger") else { return sight }
        // Claims and witnesses came together; before them nobody asked.
        let hasClaims = try hasTable("sluice_claims")
        if hasClaims {
            let claimed = try database.execute(
                "SELECT identity FROM sluice_claims WHERE job_id = $1 AND sink = $2", key(identity))
            if case .text(let known)? = claimed.first?[0] { sight.isSameTable = known == sight.table }
        }
        for row in try ledgerRows(identity, hasWitness: hasClaims) {
            let found =
                sight.table == nil ? .gone : try witness.look(row.witness, isOther: sight.isSameTable == false)
            sight.parts[row.part] = SinkSight.Part(batch: row.batch, digest: row.digest, witness: found)
        }
        return sight
    }

    // MARK: sealing

    /// What the first statements of a seal came to.
    struct Entry {
        /// `written` means: the ledger has moved to the batch, now write the rows; `alreadySealed`: the same content is
        /// there, write nothing.
        var outcome: SealOutcome
        /// Rows of it that were refused then.
        var refused: Int64 = 0
        /// Something else in the database may do what it likes with the rows.
        var hasTriggers = false
    }

    /// - Parameter isFirst: of this part on this connection; its witness is looked up then.
    func enter(
        _ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String, after: Predecessor, witness new: String?,
        isFirst: Bool
    ) throws -> Entry {
        let found: [SQLValue]?
        do {
            // From here to the end nobody can empty, drop or rewrite the table.
            if database.dialect == .postgres { try database.execute("LOCK TABLE \(text.name) IN ACCESS SHARE MODE") }
            found = try database.execute(standing, [.text(identity.job)] + key(identity) + [tableName]).first
        } catch let missing as Failure where missing.code == .sinkMismatch {
            throw SinkRefusal.lost(identity, "a table is not there: \(missing.why)", place: place)
        }
        guard let found else { throw unclaimed(identity) }
        guard case .text(let id) = found[0], case .int(let epoch) = found[1] else { throw unreadable() }
        guard id == identity.jobID.text else {
            throw SinkRefusal.ownedByOther(identity, found: JobID(text: id), place: place)
        }
        guard epoch == identity.epoch else { throw SinkRefusal.stale(identity, found: epoch, place: place) }
        if case .text(let heir) = found[3] {
            throw SinkRefusal.taken(identity, by: JobID(text: heir), place: place)
        }
        guard found[4] != .null else {
            throw SinkRefusal.lost(identity, "the table is not there, or was made anew", place: place)
        }
        let isRewritten = found[2] != found[4]
        if isRewritten { try acceptRewritten(identity, now: found[4]) }
        if isFirst {
            let old = try database.execute(
                "SELECT witness FROM sluice_ledger WHERE job_id = $1 AND sink = $2 AND part = $3", key(identity, part))
            if old.isEmpty {
                if case .text(let table) = found[4] { try refuseTenants(identity, table: table) }
            } else if case .text(let text) = old[0][0], !isRewritten, try witness.look(text, isOther: false) == .gone {
                throw SinkRefusal.lost(identity, "the rows that part \(part) wrote last are gone", place: place)
            }
        }
        var entry = try swap(identity, part: part, batch: batch, digest: digest, after: after, witness: new)
        entry.hasTriggers = found[5] == .int(1)
        return entry
    }

    private func swap(
        _ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String, after: Predecessor, witness: String?
    ) throws -> Entry {
        let key = key(identity, part)
        let new = [SQLValue.int(batch), .int(identity.epoch), .text(digest), .text(witness)]
        switch after {
        case .unknown: try database.execute(Self.insert + Self.orGrow, key + new)
        case .nothing: try database.execute(Self.insert + " ON CONFLICT (job_id, sink, part) DO NOTHING", key + new)
        case .seal(let last, let known): try database.execute(Self.swap, key + new + [.int(last), .text(known)])
        }
        if database.changedRows == 1 { return Entry(outcome: .written) }
        let rows = try database.execute(
            "SELECT batch, digest, refused FROM sluice_ledger WHERE job_id = $1 AND sink = $2 AND part = $3", key)
        let found = try rows.first.map { row in
            guard case .int(let batch) = row[0], case .text(let digest) = row[1] else { throw unreadable() }
            return (batch: batch, digest: digest)
        }
        if after.step(found, batch: batch, digest: digest) == .alreadySealed {
            if case .int(let refused)? = rows.first?[2] { return Entry(outcome: .alreadySealed, refused: refused) }
            return Entry(outcome: .alreadySealed)
        }
        throw SinkRefusal.conflict(identity, part: part, batch: batch, after: after, found: found, place: place)
    }

    private static let insert = """
        INSERT INTO sluice_ledger (job_id, sink, part, batch, epoch, digest, witness) VALUES ($1, $2, $3, $4, $5, $6, $7)
        """
    /// A batch whose rows were all refused has no witness of its own, and the one before it still stands.
    private static let orGrow = """
         ON CONFLICT (job_id, sink, part) DO UPDATE
        SET batch = excluded.batch, epoch = excluded.epoch, digest = excluded.digest, refused = NULL,
            witness = coalesce(excluded.witness, sluice_ledger.witness)
        WHERE sluice_ledger.batch < excluded.batch
        """
    private static let swap = """
        UPDATE sluice_ledger SET batch = $4, epoch = $5, digest = $6, witness = coalesce($7, witness), refused = NULL
        WHERE job_id = $1 AND sink = $2 AND part = $3 AND batch = $8 AND digest = $9 AND batch < $4
        """

    /// Says in the ledger, once the rows are written, how many were refused and which row was not. Where only deleted keys came, the
    /// witness of an earlier batch stands.
    func setRefused(_ identity: SinkIdentity, part: Int, _ refused: RefusedRows, of rows: PartRows) throws {
        let refusedCount = SQLValue.int(Int64(refused.rows.count))
        guard rows.count > rows.deleted else {
            try database.execute(
                "UPDATE sluice_ledger SET refused = $4 WHERE job_id = $1 AND sink = $2 AND part = $3", key(identity, part) + [refusedCount])
            return
        }
        let witness = refused.lastGood(of: rows).flatMap { TableWitness.made(of: $0, text.table) }
        try database.execute(
            """
            UPDATE sluice_ledger SET refused = $4, witness = $5 WHERE job_id = $1 AND sink = $2 AND part = $3
            """, key(identity, part) + [refusedCount, .text(witness)])
    }

    /// The table is not the one that was claimed. Rewritten by VACUUM FULL or moved with all its rows it is as good; emptied
    /// or put back it is not.
    private func acceptRewritten(_ identity: SinkIdentity, now: SQLValue) throws {
        for row in try ledgerRows(identity, hasWitness: true) {
            switch try witness.look(row.witness, isOther: true) {
            case .unknown, .found: break
            case .changed, .gone:
                throw SinkRefusal.lost(
                    identity, "the table is another than before, and the rows that part \(row.part) wrote last are not in it",
                    place: place)
            }
        }
        try refuseUnlogged(identity)
        try database.execute(
            "UPDATE sluice_claims SET identity = $3 WHERE job_id = $1 AND sink = $2", key(identity) + [now])
    }

    // MARK: reading

    var tableName: SQLValue { .text(database.dialect == .postgres ? text.name : text.table.name) }

    /// One answer to all that a seal must know: id, epoch, the table that was claimed, who took it, the table that is there,
    /// and whether triggers or rules act on it.
    private var standing: String {
        switch database.dialect {
        case .postgres:
            """
            SELECT j.job_id, j.epoch, c.identity, c.taken_by, \(Self.postgresIdentity), t.relhastriggers OR t.relhasrules
            FROM sluice_jobs j LEFT JOIN sluice_claims c ON c.job_id = $2 AND c.sink = $3
            LEFT JOIN pg_class t ON t.oid = to_regclass($4) WHERE j.job = $1 FOR SHARE OF j
            """
        case .sqlite:
            """
            SELECT j.job_id, j.epoch, c.identity, c.taken_by, \(Self.sqliteMark("$4")),
                EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND tbl_name = $4 COLLATE NOCASE)
            FROM sluice_jobs j LEFT JOIN sluice_claims c ON c.job_id = $2 AND c.sink = $3 WHERE j.job = $1
            """
        }
    }

    private static let postgresIdentity = "t.oid::text || ':' || coalesce(pg_relation_filenode(t.oid)::text, '')"

    /// The index that marks a table: it is empty, costs nothing, and is lost when the table is dropped or copied.
    private static func sqliteMark(_ parameter: String) -> String {
        "(SELECT min(name) FROM sqlite_master WHERE type = 'index' AND tbl_name = \(parameter) COLLATE NOCASE "
            + "AND substr(name, 1, 12) = 'sluice_mark_')"
    }

    /// By what the database knows the table; nil when there is none.
    func tableIdentity() throws -> String? {
        let sql =
            switch database.dialect {
            case .postgres: "SELECT \(Self.postgresIdentity) FROM pg_class t WHERE t.oid = to_regclass($1)"
            case .sqlite:
                "SELECT coalesce(\(Self.sqliteMark("$1")), '') WHERE EXISTS (SELECT 1 FROM pragma_table_info($1))"
            }
        guard let row = try database.execute(sql, [tableName]).first, case .text(let identity) = row[0] else { return nil }
        return identity
    }

    func hasTable(_ name: String) throws -> Bool {
        switch database.dialect {
        case .sqlite: try !database.execute("SELECT 1 FROM pragma_table_info($1)", [.text(name)]).isEmpty
        case .postgres: try database.execute("SELECT to_regclass($1) IS NOT NULL", [.text(name)]) == [[.int(1)]]
        }
    }

    func jobRow(_ job: String, lock: String) throws -> (id: JobID, epoch: Epoch)? {
        // SQLite has no row locks and needs none: its transaction holds the whole file.
        let lock = database.dialect == .postgres ? lock : ""
        let rows = try database.execute("SELECT job_id, epoch FROM sluice_jobs WHERE job = $1 \(lock)", [.text(job)])
        guard let row = rows.first else { return nil }
        guard case .text(let id) = row[0], case .int(let epoch) = row[1] else { throw unreadable() }
        return (JobID(text: id), epoch)
    }

    func ledgerRows(_ identity: SinkIdentity, hasWitness: Bool) throws
        -> [(part: Int, batch: BatchNumber, digest: String, witness: String?)]
    {
        let rows = try database.execute(
            """
            SELECT part, batch, digest, \(hasWitness ? "witness" : "NULL") FROM sluice_ledger
            WHERE job_id = $1 AND sink = $2 ORDER BY part
            """, key(identity))
        return try rows.map { row in
            guard case .int(let part) = row[0], case .int(let batch) = row[1], case .text(let digest) = row[2] else {
                throw unreadable()
            }
            if case .text(let witness) = row[3] { return (Int(part), batch, digest, witness) }
            return (Int(part), batch, digest, nil)
        }
    }

    func key(_ identity: SinkIdentity) -> [SQLValue] { [.text(identity.jobID.text), .text(identity.sink)] }

    func key(_ identity: SinkIdentity, _ part: Int) -> [SQLValue] { key(identity) + [.int(Int64(part))] }

    // MARK: refusals

    private func unclaimed(_ identity: SinkIdentity) -> Failure {
        Failure(
            .sinkOwnedByOther, "\(place) does not know the job \(identity.job)",
            why: "its row in sluice_jobs is missing: somebody removed it, or the database is another one than before",
            now: "restore the sink, or start the job again so that it claims the sink anew")
    }

    func unreadable() -> Failure {
        Failure(
            .sinkMismatch, "cannot read sluice_jobs or sluice_ledger in \(place)", why: "their columns are not ours",
            now: "rename those tables so that the job can make its own, or name another database")
    }
}

extension SQLValue {
    static func text(_ text: String?) -> SQLValue { text.map { .text($0) } ?? .null }
}
