// Taking a job out of the catalog, and giving it another name.
//
// Both need that nobody runs the job, and take its lease so that nobody begins meanwhile. What lies outside the catalog
// (state files, the sink's row) is changed between, by the command: before the rows here, so that a crash leaves a job that is
// still listed and the same command finishes.
//
// Checklist when a table is added: it stands in `tablesOfJob`, or its rows outlive their job.

import Engine
import Synchronization

extension Catalog {
    /// Every table whose rows belong to one job.
    static let tablesOfJob = [
        "sluice_batches", "sluice_frames", "sluice_positions", "sluice_jumps", "sluice_hours", "sluice_hour_states",
        "sluice_folded", "sluice_checkpoints", "sluice_quarantine", "sluice_state", "sluice_seals", "sluice_tables",
    ]

    /// What a catalog holds of a job: rows by table.
    package func rowCounts(_ jobID: JobID) throws -> [String: Int64] {
        try read { database in
            var counts: [String: Int64] = [:]
            for table in Self.tablesOfJob {
                let rows = try database.execute("SELECT count(*) FROM \(table) WHERE job_id = $1", [.text(jobID)])
                var cells = CellReader(rows.first ?? [], of: table)
                counts[table] = try cells.int()
            }
            return counts
        }
    }

    /// Removes every row of the job, its lease included, and lookups that no other job names. Needs the lease's epoch.
    package func forgetJob(_ jobID: JobID, epoch: Epoch) throws {
        try write { database in
            try requireLease(jobID, epoch, in: database)
            if database.dialect == .sqlite { try database.execute("PRAGMA secure_delete = ON") }
            for table in Self.tablesOfJob {
                try database.execute("DELETE FROM \(table) WHERE job_id = $1", [.text(jobID)])
            }
            try database.execute(
                "DELETE FROM sluice_leases WHERE name = (SELECT name FROM sluice_registry WHERE job_id = $1)",
                [.text(jobID)])
            try database.execute("DELETE FROM sluice_registry WHERE job_id = $1", [.text(jobID)])
            try Self.dropLookups(in: database)
        }
        memories.withLock { $0[jobID] = nil }
    }

    /// Removes lookups that no plan of the log names.
    /// - Parameter before: only what was stored before then; a plan that names a newer one may be on its way.
    static func dropLookups(before millis: Int64 = .max, in database: any SQLDatabase) throws {
        try database.execute(
            """
            DELETE FROM sluice_lookups WHERE stored_at_millis < $1
                AND NOT EXISTS (
                    SELECT 1 FROM sluice_frames WHERE plan LIKE '%' || sluice_lookups.digest || '%')
                AND NOT EXISTS (
                    SELECT 1 FROM sluice_batches WHERE frame IS NULL AND plan LIKE '%' || sluice_lookups.digest || '%')
            """, [.int(millis)])
    }

    /// Gives the job another name, and its lease with it. Needs the lease's epoch; it is held under the new name afterwards.
    package func renameJob(_ jobID: JobID, to name: String, epoch: Epoch) throws {
        try JobName.require(name)
        try write { database in
            try requireLease(jobID, epoch, in: database)
            var record = try Self.requiredRecord(jobID, in: database)
            guard try database.execute("SELECT 1 FROM sluice_registry WHERE name = $1", [.text(name)]).isEmpty else {
                throw Failure(
                    .jobExists, "a job called \(name) is already there", why: "a name belongs to one log",
                    now: "choose another name, or take that one away with `sluice jobs forget \(name)`")
            }
            if record.settings["name"] != nil { record.settings["name"] = name }
            // What is left of a job that had the name: nobody can hold it, since no job has it.
            try database.execute("DELETE FROM sluice_leases WHERE name = $1", [.text(name)])
            try database.execute("UPDATE sluice_leases SET name = $2 WHERE name = $1", [.text(record.name), .text(name)])
            try database.execute(
                "UPDATE sluice_registry SET name = $2, settings = $3, updated_at_millis = \(clock) WHERE job_id = $1",
                [.text(jobID), .text(name), .text(jsonText(record.settings))])
        }
    }
}
