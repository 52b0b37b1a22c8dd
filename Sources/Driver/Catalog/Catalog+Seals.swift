// What the log knows of the sinks: each part's last seal with rows, and the tables that the job has begun.
//
// A seal compares the ledger with the first (protocol 1), so it is kept apart from the batches, which are folded; it moves in
// the transaction that makes the batch DONE, so log and mark cannot differ. The second is written before the sink is told to
// make a table: a sink without a table that stands here has lost it, and nothing may make it anew.
//
// Survives a crash: all of a call or nothing of it.

import Engine

extension Catalog {
    /// The last seal with rows of each sink part, by sink and part.
    package func seals(_ jobID: JobID) throws -> [SealMark] {
        let found = try read { database in
            try database.execute(
                "SELECT sink, part, batch, digest FROM sluice_seals WHERE job_id = $1", [.text(jobID)]
            ).map { row in
                var cells = CellReader(row, of: "sluice_seals")
                return SealMark(
                    sink: Int(try cells.int()), part: Int(try cells.int()), batch: try cells.int(), digest: try cells.text())
            }
        }
        return found.sorted { ($0.sink, $0.part) < ($1.sink, $1.part) }
    }

    /// The same, also out of a log of an earlier build that no start of this one has seen.
    package func sealsSoFar(_ jobID: JobID) throws -> [SealMark] {
        let kept = try seals(jobID)
        guard kept.isEmpty, let last = try lastDone(jobID)?.plan.batch else { return kept }
        return try batches(jobID, last: Int(clamping: last)).reduce([]) {
            SealMark.after($0, batch: $1.plan.batch, parts: $1.outcome?.parts ?? [])
        }
    }

    /// A table that the job has begun in a sink: where it is, and by what its database knows it.
    package struct BegunTable: Sendable, Codable, Equatable {
        package var sink: Int
        /// The sink's address without secrets, and the table.
        package var place: String
        /// What the database knows the table by (oid and file, or the file's own mark); nil when it was not asked yet.
        package var identity: String?

        package init(sink: Int = 0, place: String, identity: String? = nil) {
            self.sink = sink
            self.place = place
            self.identity = identity
        }
    }

    package func begunTables(_ jobID: JobID) throws -> [BegunTable] {
        try read { database in
            try database.execute(
                "SELECT sink, place, identity FROM sluice_tables WHERE job_id = $1 ORDER BY sink", [.text(jobID)]
            ).map { row in
                var cells = CellReader(row, of: "sluice_tables")
                return BegunTable(sink: Int(try cells.int()), place: try cells.text(), identity: try cells.optionalText())
            }
        }
    }

    /// Writes a table down as begun, or what its database knows it by. Needs the lease's epoch.
    package func begin(_ table: BegunTable, of jobID: JobID, epoch: Epoch) throws {
        try write { database in
            try requireLease(jobID, epoch, in: database)
            try database.execute(
                """
                INSERT INTO sluice_tables (job_id, sink, place, identity, begun_at_millis) VALUES ($1, $2, $3, $4, \(clock))
                ON CONFLICT (job_id, sink) DO UPDATE SET place = excluded.place, identity = excluded.identity
                """,
                [.text(jobID), .int(Int64(table.sink)), .text(table.place), .text(table.identity)])
        }
    }

    /// A log that was begun by a build without marks: they are read out of its batches, once.
    package func completeSeals(_ jobID: JobID, epoch: Epoch) throws {
        guard try seals(jobID).isEmpty, let last = try lastDone(jobID)?.plan.batch else { return }
        let done = try batches(jobID, last: Int(clamping: last)).filter { $0.outcome != nil }
        guard done.contains(where: { $0.outcome?.parts.contains { $0.rows > 0 } ?? false }) else { return }
        try write { database in
            try requireLease(jobID, epoch, in: database)
            for batch in done { try storeSeals(jobID, batch.plan.batch, batch.outcome?.parts ?? [], in: database) }
        }
    }

    /// Inside the transaction that makes `batch` DONE.
    func storeSeals(
        _ jobID: JobID, _ batch: BatchNumber, _ parts: [SealedPart], in database: any SQLDatabase
    ) throws {
        let statement = """
            INSERT INTO sluice_seals (job_id, sink, part, batch, digest) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (job_id, sink, part) DO UPDATE SET batch = excluded.batch, digest = excluded.digest
            """
        for part in parts where part.rows > 0 {
            try database.execute(
                statement,
                [.text(jobID), .int(Int64(part.sink ?? 0)), .int(Int64(part.part)), .int(batch), .text(part.digest)])
        }
    }
}
