// Keeping the log short: old batches become one checkpoint row per topic partition, and state that no kept manifest
// names is deleted (protocol 4 `log_keep`, protocol 5 `state_keep`).
//
// A range is folded only after it was audited: folding over a gap would hide it for ever, so the log is then left as it
// is and the findings are returned. The last DONE batch, the open plan, and every batch whose state is kept stay.
//
// Runs in the background of the job's driver, under its lease, in slices of one short transaction each; a crash leaves
// whole slices. Checklist when changing it: raw bytes of rejected records go with their batch; jumps are never deleted.

import Engine

/// How much of the past is kept.
package struct LogRetention: Sendable, Equatable {
    /// Batches older than this are folded.
    package var logKeepMillis: Int64 = 30 * 86_400_000
    /// A version of the state is kept while it is among this many newest ones and not older than this.
    package var stateKeepBatches: Int64 = 1000
    package var stateKeepMillis: Int64 = 86_400_000

    package init() {}
    package init(logKeepMillis: Int64, stateKeepBatches: Int64, stateKeepMillis: Int64) {
        self.logKeepMillis = logKeepMillis
        self.stateKeepBatches = stateKeepBatches
        self.stateKeepMillis = stateKeepMillis
    }
}

package struct FoldReport: Sendable, Equatable {
    package var foldedBatches: Int64 = 0
    /// The batch up to which the log is folded now.
    package var foldedUntil: BatchNumber = 0
    package var deletedStates = 0
    /// The oldest batch whose state is kept; what older manifests alone name may be deleted from the state store.
    package var stateKeptFrom: BatchNumber = 0
    /// Names, in the state store, of every file that a kept manifest names.
    package var namedFiles: Set<String> = []
    /// Why the log was not folded further.
    package var findings: [AuditFinding] = []

    package init() {}
}

extension Catalog {
    private static let sliceBatches: Int64 = 500

    /// Folds what is older than `retention` says. Needs the lease's epoch.
    package func fold(_ jobID: JobID, epoch: Epoch, _ retention: LogRetention) throws -> FoldReport {
        var report = FoldReport()
        let folded = try foldedTotals(jobID).untilBatch
        report.foldedUntil = folded
        guard let bounds = try foldBounds(jobID, retention) else { return report }
        report.stateKeptFrom = bounds.stateKeptFrom
        let named = try namedStates(jobID, from: bounds.stateKeptFrom)
        report.namedFiles = named.files
        report.deletedStates = try deleteStates(jobID, epoch, until: bounds.stateKeptFrom, except: named.inline)

        let jumps = try jumps(jobID)
        while report.foldedUntil < bounds.foldUntil {
            let after = report.foldedUntil
            let until = min(after + Self.sliceBatches, bounds.foldUntil)
            var audit = Audit(checkpoints: try checkpoints(jobID), foldedUntil: after, jumps: jumps)
            try doneRanges(jobID, after: after, until: until) { audit.add($0) }
            let covered = audit.covered(before: until)
            guard audit.findings.isEmpty else {
                report.findings = audit.findings
                return report
            }
            try foldSlice(jobID, epoch, after: after, until: until, covered: covered)
            report.foldedBatches += until - after
            report.foldedUntil = until
        }
        return report
    }

    private struct FoldBounds: Sendable { var stateKeptFrom, foldUntil: BatchNumber }

    private func foldBounds(_ jobID: JobID, _ retention: LogRetention) throws -> FoldBounds? {
        try read { database in
            func first(_ condition: String, _ order: String, _ parameters: [SQLValue]) throws -> BatchNumber? {
                let rows = try database.execute(
                    "SELECT batch FROM sluice_batches WHERE job_id = $1 AND \(condition) ORDER BY \(order) LIMIT 1",
                    [.text(jobID)] + parameters)
                guard let row = rows.first else { return nil }
                var cells = CellReader(row, of: "sluice_batches")
                return try cells.int()
            }
            func firstYounger(than ageMillis: Int64) throws -> BatchNumber? {
                try first("done_at_millis >= \(clock) - $2", "done_at_millis, batch", [.int(ageMillis)])
            }
            guard let last = try first("state = 'done'", "batch DESC", []) else { return nil }
            let youngState = try firstYounger(than: retention.stateKeepMillis) ?? last
            let youngLog = try firstYounger(than: retention.logKeepMillis) ?? last
            let stateKeptFrom = min(last, max(youngState, last - max(retention.stateKeepBatches, 1) + 1))
            return FoldBounds(stateKeptFrom: stateKeptFrom, foldUntil: min(youngLog, stateKeptFrom) - 1)
        }
    }

    /// Every state that the manifests of kept batches, and the open plan, name.
    private func namedStates(
        _ jobID: JobID, from first: BatchNumber
    ) throws -> (inline: Set<String>, files: Set<String>) {
        var inline: Set<String> = []
        var files: Set<String> = []
        func note(_ manifest: StateManifest?) {
            for entry in manifest?.entries ?? [] {
                for file in entry.files {
                    if file.inline { inline.insert(file.name) } else { files.insert(file.name) }
                }
            }
        }
        note(try openPlan(jobID)?.plan.stateBefore)
        var next = first
        while true {
            let page = try read { database in
                try database.execute(
                    """
                    SELECT batch, outcome FROM sluice_batches
                    WHERE job_id = $1 AND batch >= $2 AND state = 'done' ORDER BY batch LIMIT 100
                    """, [.text(jobID), .int(next)])
            }
            for row in page {
                var cells = CellReader(row, of: "sluice_batches")
                next = try cells.int() + 1
                note(try cells.json(BatchOutcome.self).state)
            }
            if page.count < 100 { return (inline, files) }
        }
    }

    private func deleteStates(
        _ jobID: JobID, _ epoch: Epoch, until batch: BatchNumber, except named: Set<String>
    ) throws -> Int {
        let names = try read { database in
            try database.execute(
                "SELECT name FROM sluice_state WHERE job_id = $1 AND batch <= $2", [.text(jobID), .int(batch)]
            ).map { row in
                var cells = CellReader(row, of: "sluice_state")
                return try cells.text()
            }
        }.filter { !named.contains($0) }
        for start in stride(from: 0, to: names.count, by: 500) {
            let slice = Array(names[start..<min(start + 500, names.count)])
            try write { database in
                try requireLease(jobID, epoch, in: database)
                for name in slice {
                    // The batch again: the same content may have been stored anew since the names were read.
                    try database.execute(
                        "DELETE FROM sluice_state WHERE job_id = $1 AND name = $2 AND batch <= $3",
                        [.text(jobID), .text(name), .int(batch)])
                }
            }
        }
        return names.count
    }

    private func foldSlice(
        _ jobID: JobID, _ epoch: Epoch, after: BatchNumber, until: BatchNumber, covered: [OffsetRange]
    ) throws {
        let coveredText = try jsonText(covered)
        let ranges = unpacked(
            "$2", [("topic", "TEXT"), ("partition", "INTEGER"), ("from", "BIGINT"), ("until", "BIGINT")],
            dialect: dialect)
        try write { database in
            try requireLease(jobID, epoch, in: database)
            try database.execute(
                """
                INSERT INTO sluice_checkpoints (job_id, topic, partition, from_offset, until_offset)
                SELECT $1, topic, partition, "from", "until" FROM \(ranges) WHERE true
                ON CONFLICT (job_id, topic, partition) DO UPDATE SET until_offset = excluded.until_offset
                """, [.text(jobID), .text(coveredText)])
            let slice: [SQLValue] = [.text(jobID), .int(after), .int(until)]
            try database.execute(
                """
                INSERT INTO sluice_folded
                    (job_id, until_batch, rows_in, rows_out, late, rejected, unmatched, folded_at_millis)
                SELECT $1, $3, CAST(coalesce(sum(rows_in), 0) AS BIGINT), CAST(coalesce(sum(rows_out), 0) AS BIGINT),
                    CAST(coalesce(sum(late), 0) AS BIGINT), CAST(coalesce(sum(rejected), 0) AS BIGINT),
                    CAST(coalesce(sum(unmatched), 0) AS BIGINT), \(clock)
                FROM sluice_batches WHERE job_id = $1 AND batch > $2 AND batch <= $3
                ON CONFLICT (job_id) DO UPDATE SET until_batch = excluded.until_batch,
                    rows_in = sluice_folded.rows_in + excluded.rows_in,
                    rows_out = sluice_folded.rows_out + excluded.rows_out, late = sluice_folded.late + excluded.late,
                    rejected = sluice_folded.rejected + excluded.rejected,
                    unmatched = sluice_folded.unmatched + excluded.unmatched,
                    folded_at_millis = excluded.folded_at_millis
                """, slice)
            for table in ["sluice_quarantine", "sluice_batches"] {
                try database.execute(
                    "DELETE FROM \(table) WHERE job_id = $1 AND batch > $2 AND batch <= $3", slice)
            }
        }
    }
}
