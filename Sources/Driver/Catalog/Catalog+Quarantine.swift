// Erasing what is kept of bad records. Their bytes may be personal (protocol 11), so a person can have them erased before
// their time; the entry stays with its coordinates and its reason, so that what was rejected can still be listed and counted.
//
// Needs no lease: no batch reads these rows, and a driver only adds to them.

import Engine

extension Catalog {
    /// Where the job's bad records stand, without their bytes.
    /// - Parameters:
    ///   - batch: that rejected them; nil for any.
    ///   - reason: for which they were rejected; nil for any.
    package func quarantinedPlaces(_ jobID: JobID, batch: BatchNumber? = nil, reason: RejectReason? = nil) throws -> [OffsetRange] {
        var (condition, parameters) = ("job_id = $1", [SQLValue.text(jobID)])
        if let batch {
            parameters.append(.int(batch))
            condition += " AND batch = $\(parameters.count)"
        }
        if let reason {
            parameters.append(.text(reason.rawValue))
            condition += " AND reason = $\(parameters.count)"
        }
        return try read { [condition, parameters] database in
            try database.execute(
                "SELECT topic, partition, record_offset FROM sluice_quarantine WHERE \(condition)", parameters
            ).map { row in
                var cells = CellReader(row, of: "sluice_quarantine")
                let (topic, partition, offset) = (try cells.text(), Int32(truncatingIfNeeded: try cells.int()), try cells.int())
                return OffsetRange(topic: topic, partition: partition, from: offset, until: offset.plus(1))
            }
        }
    }

    /// How many records of the job still have bytes, and how many bytes; of one batch when it is given.
    package func quarantinedBytes(_ jobID: JobID, batch: BatchNumber? = nil) throws -> (records: Int64, bytes: Int64) {
        try read { database in
            let rows = try database.execute(
                """
                SELECT count(*), CAST(coalesce(sum(length(raw)), 0) AS BIGINT) FROM sluice_quarantine
                WHERE job_id = $1 AND erased_at_millis IS NULL\(batch == nil ? "" : " AND batch = $2")
                """, [.text(jobID)] + (batch.map { [.int($0)] } ?? []))
            var cells = CellReader(rows.first ?? [], of: "sluice_quarantine")
            return (try cells.int(), try cells.int())
        }
    }

    /// Erases the bytes of the job's bad records; of one batch when it is given.
    /// - Returns: how many records lost theirs.
    @discardableResult
    package func forgetQuarantine(_ jobID: JobID, batch: BatchNumber? = nil) throws -> Int {
        let erased = try write { database in
            // Freed pages would keep what stood in them.
            if database.dialect == .sqlite { try database.execute("PRAGMA secure_delete = ON") }
            try database.execute(
                """
                UPDATE sluice_quarantine SET raw = $2, erased_at_millis = \(clock)
                WHERE job_id = $1 AND erased_at_millis IS NULL\(batch == nil ? "" : " AND batch = $3")
                """, [.text(jobID), .blob([])] + (batch.map { [.int($0)] } ?? []))
            return database.changedRows
        }
        // Until then the write-ahead log holds what stood there; a reader that is at work puts it off.
        if dialect == .sqlite { try read { _ = try $0.execute("PRAGMA wal_checkpoint(TRUNCATE)") } }
        return erased
    }
}
