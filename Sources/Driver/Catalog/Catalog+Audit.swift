// Asks the log for everything that an audit needs, and runs it. An audit needs no lease and may run beside the driver:
// when a fold or a commit moved the log meanwhile it starts again.

import Engine

extension Catalog {
    /// Whether the DONE batches of a job are contiguous per topic partition.
    package func audit(_ jobID: JobID) throws -> AuditReport {
        // A busy log commits every few milliseconds. One statement says how far to look: the last batch, the number of
        // jumps and the positions that belong to it; what is added later is not looked at. Only a fold can disturb.
        var attempt = 1
        while true {
            let before = try foldedTotals(jobID)
            let folded = before.untilBatch
            let checkpoints = try checkpoints(jobID)
            let standing = try standing(jobID)
            let jumps = Array(try jumps(jobID).prefix(standing.jumps))
            let hours = try hours(jobID)
            var audit = Audit(checkpoints: checkpoints, foldedUntil: standing.checkpointUntil, jumps: jumps)
            for hour in hours { audit.add(hour) }
            try doneRanges(jobID, after: folded, until: standing.done?.last ?? folded) { audit.add($0) }
            let foldedMeanwhile = try foldedTotals(jobID) != before
            if foldedMeanwhile || standing.foldedUntil != folded || standing.checkpointUntil != before.checkpointUntil {
                guard attempt < 5 else {
                    throw Failure(
                        .notPossible, "the log was folded while it was audited", why: "\(attempt) times in a row",
                        now: "run the audit again")
                }
                attempt += 1
                continue
            }
            let inHours = hours.reduce(0) { $0 + $1.batches }
            var report = audit.report(done: standing.done, foldedUntil: folded, positions: standing.positions)
            if inHours != folded - standing.checkpointUntil {
                report.findings.append(
                    AuditFinding(kind: .batchMissing, topicPartition: nil, from: standing.checkpointUntil + 1, until: folded + 1))
            }
            report.again = try batchesThatReadAgain(jobID, hours)
            return report
        }
    }

    private func batchesThatReadAgain(_ jobID: JobID, _ hours: [LogHour]) throws -> [String: Int64]? {
        var again: [String: Int64] = [:]
        for hour in hours where !hour.kind.movesPositions { again[hour.kind.rawValue, default: 0] += hour.batches }
        let rows = try read { database in
            try database.execute(
                """
                SELECT kind, count(*) FROM sluice_batches WHERE job_id = $1 AND state = 'done' AND kind NOT IN (\(Self.moving))
                GROUP BY kind
                """, [.text(jobID)])
        }
        for row in rows {
            var cells = CellReader(row, of: "sluice_batches")
            again[try cells.text(), default: 0] += try cells.int()
        }
        return again.isEmpty ? nil : again
    }

    private struct LogStanding: Sendable {
        var foldedUntil: BatchNumber
        /// The batch up to which hours were folded in turn.
        var checkpointUntil: BatchNumber
        var done: DoneBatches?
        var jumps = 0
        var positions: [PartitionPosition]
    }

    /// Batch numbers, jumps and positions as one statement sees them, so that they belong together. Counting needs the
    /// keys alone, not the wide rows.
    private func standing(_ jobID: JobID) throws -> LogStanding {
        let rows = try read { database in
            try database.execute(
                """
                SELECT b.first, b.last, b.batches, j.jumps, coalesce(f.until_batch, 0), coalesce(h.last, f.until_batch, 0), p.topic, p.partition, p.position
                FROM (SELECT min(batch) AS first, max(batch) AS last, count(*) AS batches FROM sluice_batches
                      WHERE job_id = $1 AND batch < coalesce(
                          (SELECT batch FROM sluice_batches WHERE job_id = $1 AND state = 'planned'),
                          9223372036854775807)) b
                CROSS JOIN (SELECT max(last_batch) AS last FROM sluice_hours WHERE job_id = $1) h
                CROSS JOIN (SELECT count(*) AS jumps FROM sluice_jumps WHERE job_id = $1) j
                LEFT JOIN sluice_folded f ON f.job_id = $1
                LEFT JOIN sluice_positions p ON p.job_id = $1
                """, [.text(jobID)])
        }
        var standing = LogStanding(foldedUntil: 0, checkpointUntil: 0, done: nil, positions: [])
        for row in rows {
            var cells = CellReader(row, of: "sluice_batches")
            let (first, last, count) = (try cells.optionalInt(), try cells.optionalInt(), try cells.int())
            if let first, let last { standing.done = DoneBatches(first: first, last: last, count: count) }
            standing.jumps = Int(try cells.int())
            standing.checkpointUntil = try cells.int()
            standing.foldedUntil = try cells.int()
            guard let topic = try cells.optionalText() else { continue }
            standing.positions.append(
                PartitionPosition(
                    topic: topic, partition: Int32(truncatingIfNeeded: try cells.int()), position: try cells.int()))
        }
        return standing
    }
}
