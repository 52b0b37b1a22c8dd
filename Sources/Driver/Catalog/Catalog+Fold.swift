// Keeping the log short: the shell around `LogKeeping`. Old batches become a row an hour, old hours become one checkpoint row
// per topic partition, and state that nothing kept names is deleted (protocol 4 `log_keep`, protocol 5 `state_keep`).
//
// A range is folded only after it was audited: folding over a gap would hide it for ever, so the log is then left as it
// is and the findings are returned.
//
// Runs in the background of the job's driver, under its lease, in slices of one short transaction each; a crash leaves
// whole slices. What a slice takes away of the state is written whole in the same transaction, because the first batch behind
// it may refer to it. Checklist when changing it: raw bytes of rejected records have an age of their own; jumps are never
// deleted; an hour that is dropped is in the checkpoint.

import Engine

package struct FoldReport: Sendable, Equatable {
    package var foldedBatches: Int64 = 0
    /// The batch up to which the log is folded now.
    package var foldedUntil: BatchNumber = 0
    package var deletedStates = 0
    /// The oldest batch whose state is kept as one of the newest.
    package var stateKeptFrom: BatchNumber = 0
    /// Names, in the state store, of every file that a kept manifest names.
    package var namedFiles: Set<String> = []
    /// Why the log was not folded further.
    package var findings: [AuditFinding] = []

    package init() {}
}

extension Catalog {
    private static let sliceBatches = 500
    /// A lookup that no plan names is kept so long; a job that runs says each hour that it may still name its own.
    private static let lookupKeepMillis: Int64 = 24 * 3_600_000

    /// Folds what is older or larger than `retention` says. Needs the lease's epoch.
    package func fold(_ jobID: JobID, epoch: Epoch, _ retention: LogRetention) throws -> FoldReport {
        var report = FoldReport()
        report.foldedUntil = try foldedTotals(jobID).untilBatch
        guard let facts = try logFacts(jobID, retention) else { return report }
        let keeping = LogKeeping(facts, retention)
        report.stateKeptFrom = keeping.stateKeptFrom
        try keepHourStates(jobID, epoch, facts, keeping)
        let named = try namedStates(jobID, keeping)
        report.namedFiles = named.files
        report.deletedStates = try deleteStates(jobID, epoch, until: keeping.stateKeptFrom, except: named.inline)
        try eraseQuarantine(jobID, epoch, before: facts.nowMillis - retention.quarantineKeepMillis)
        if report.foldedUntil < keeping.foldUntil {
            try foldBatches(jobID, epoch, until: keeping.foldUntil, &report)
        }
        try dropHours(jobID, epoch, before: keeping.dropHoursBefore)
        if report.foldedBatches > 0 {
            try write { database in
                try requireLease(jobID, epoch, in: database)
                try Self.dropLookups(before: facts.nowMillis - Self.lookupKeepMillis, in: database)
            }
        }
        return report
    }

    // MARK: facts

    private func logFacts(_ jobID: JobID, _ retention: LogRetention) throws -> LogFacts? {
        try read { database in
            func number(_ question: String, _ parameters: [SQLValue]) throws -> Int64? {
                let rows = try database.execute(question, [.text(jobID)] + parameters)
                guard let row = rows.first else { return nil }
                var cells = CellReader(row, of: "sluice_batches")
                return try cells.optionalInt()
            }
            func first(_ condition: String, _ order: String, _ parameters: [SQLValue] = []) throws -> BatchNumber? {
                try number("SELECT batch FROM sluice_batches WHERE job_id = $1 AND \(condition) ORDER BY \(order) LIMIT 1", parameters)
            }
            func firstYounger(than ageMillis: Int64) throws -> BatchNumber? {
                try first("done_at_millis >= \(clock) - $2", "done_at_millis, batch", [.int(ageMillis)])
            }
            guard let last = try first("state = 'done'", "batch DESC"), let oldest = try first("state = 'done'", "batch") else { return nil }
            // Rows of a job are alike; the oldest are the ones that go.
            let bytes = """
                SELECT CAST(coalesce(max(bytes), 0) AS BIGINT) FROM (
                    SELECT avg(length(plan) + coalesce(length(outcome), 0) + length(ranges)) AS bytes FROM (
                        SELECT plan, outcome, ranges FROM sluice_batches WHERE job_id = $1 ORDER BY batch LIMIT 50) AS old
                    UNION ALL SELECT avg(length(plan) + coalesce(length(outcome), 0) + length(ranges)) FROM (
                        SELECT plan, outcome, ranges FROM sluice_batches WHERE job_id = $1 ORDER BY batch DESC LIMIT 50) AS new
                ) AS samples
                """
            var now = CellReader(try database.execute("SELECT \(clock)").first ?? [], of: "the database's clock")
            let stored = try database.execute(
                "SELECT hour_millis, version FROM sluice_hour_states WHERE job_id = $1 ORDER BY hour_millis", [.text(jobID)]
            ).map { row in
                var cells = CellReader(row, of: "sluice_hour_states")
                return LogFacts.HourEnd(hourMillis: try cells.int(), batch: try cells.int())
            }
            return LogFacts(
                nowMillis: try now.int(), first: oldest, last: last, firstYoungInLog: try firstYounger(than: retention.logKeepMillis),
                firstYoungState: try firstYounger(than: retention.stateKeepMillis),
                // What columns and indexes hold besides.
                batchBytes: (try number(bytes, []) ?? 0) + 350,
                lastOfHours: try hourEnds(jobID, after: stored.last?.hourMillis, in: database), foldedHours: stored)
        }
    }

    /// The last batch with a state of each whole hour after `known`, one seek in the index an hour.
    private func hourEnds(
        _ jobID: JobID, after known: Int64?, in database: any SQLDatabase
    ) throws -> [LogFacts.HourEnd] {
        func one(_ condition: String, _ order: String, _ time: Int64) throws -> (batch: BatchNumber, doneAtMillis: Int64)? {
            try database.execute(
                """
                SELECT batch, done_at_millis FROM sluice_batches
                WHERE job_id = $1 AND \(condition) AND kind NOT IN ('repair', 'redrive') ORDER BY \(order) LIMIT 1
                """, [.text(jobID), .int(time)]
            ).first.map { row in
                var cells = CellReader(row, of: "sluice_batches")
                return (try cells.int(), try cells.int())
            }
        }
        var ends: [LogFacts.HourEnd] = []
        var from = known.map { $0 + LogHours.lengthMillis } ?? 0
        while let first = try one("done_at_millis >= $2", "done_at_millis, batch", from) {
            let hour = LogHours.hour(of: first.doneAtMillis)
            from = hour + LogHours.lengthMillis
            // The newest batch's hour is not over; its state is kept anyway.
            guard try one("done_at_millis >= $2", "done_at_millis, batch", from) != nil,
                let end = try one("done_at_millis < $2", "done_at_millis DESC, batch DESC", from)
            else { return ends }
            ends.append(LogFacts.HourEnd(hourMillis: hour, batch: end.batch))
        }
        return ends
    }

    // MARK: state

    private func outcome(_ jobID: JobID, _ batch: BatchNumber) throws -> BatchOutcome? {
        try self.batch(jobID, batch)?.outcome
    }

    /// Writes down whole, and for `log_keep`, the state at the end of each hour that is over.
    private func keepHourStates(_ jobID: JobID, _ epoch: Epoch, _ facts: LogFacts, _ keeping: LogKeeping) throws {
        guard try hasState(jobID) else { return }
        for end in facts.lastOfHours where keeping.hourEnds.contains(end.batch) {
            guard let state = try outcome(jobID, end.batch)?.state else { continue }
            let text = manifestText(state)
            try write { database in
                try requireLease(jobID, epoch, in: database)
                try database.execute(
                    """
                    INSERT INTO sluice_hour_states (job_id, hour_millis, version, state) VALUES ($1, $2, $3, $4)
                    ON CONFLICT (job_id, hour_millis) DO UPDATE SET version = excluded.version, state = excluded.state
                    """, [.text(jobID), .int(end.hourMillis), .int(state.version), .text(text)])
            }
        }
        let dropped = facts.foldedHours.map(\.hourMillis).filter { !keeping.keptHours.contains($0) }
        guard let newest = dropped.max() else { return }
        try write { database in
            try requireLease(jobID, epoch, in: database)
            try database.execute(
                "DELETE FROM sluice_hour_states WHERE job_id = $1 AND hour_millis <= $2", [.text(jobID), .int(newest)])
        }
    }

    /// The newest batch that could leave a state left one.
    private func hasState(_ jobID: JobID) throws -> Bool {
        try read { database in
            try database.execute(
                """
                SELECT outcome FROM sluice_batches WHERE job_id = $1 AND state = 'done' AND kind NOT IN ('repair', 'redrive')
                ORDER BY batch DESC LIMIT 1
                """, [.text(jobID)]
            ).contains { row in
                var cells = CellReader(row, of: "sluice_batches")
                return try cells.json(OutcomeText.self).state != nil
            }
        }
    }

    /// Every state that the manifests of kept batches and hours, and the open plan, name.
    private func namedStates(
        _ jobID: JobID, _ keeping: LogKeeping
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
        var past = pastReader(jobID)
        for text in try hourStates(jobID) { note(try past.whole(text)) }
        var next = keeping.stateKeptFrom
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
                if let text = try cells.json(OutcomeText.self).state { note(try past.whole(text)) }
            }
            if page.count < 100 { return (inline, files) }
        }
    }

    /// The states at the ends of hours, oldest first.
    private func hourStates(_ jobID: JobID) throws -> [StateText] {
        try read { database in
            try database.execute(
                "SELECT state FROM sluice_hour_states WHERE job_id = $1 ORDER BY hour_millis", [.text(jobID)]
            ).map { row in
                var cells = CellReader(row, of: "sluice_hour_states")
                return try cells.json(StateText.self)
            }
        }
    }

    /// The states of folded hours that are kept: where a repair, a diff or a replay of then can start.
    package func keptHourStates(_ jobID: JobID) throws -> [(hourMillis: Int64, state: StateManifest)] {
        var past = pastReader(jobID)
        let rows = try read { database in
            try database.execute(
                "SELECT hour_millis, state FROM sluice_hour_states WHERE job_id = $1 ORDER BY hour_millis", [.text(jobID)]
            ).map { row in
                var cells = CellReader(row, of: "sluice_hour_states")
                return (try cells.int(), try cells.json(StateText.self))
            }
        }
        return try rows.map { ($0.0, try past.whole($0.1)) }
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

    private func eraseQuarantine(_ jobID: JobID, _ epoch: Epoch, before millis: Int64) throws {
        let isOld = "job_id = $1 AND kept_at_millis < $2"
        let parameters: [SQLValue] = [.text(jobID), .int(millis)]
        let hasOld = try read { database in
            try !database.execute("SELECT 1 FROM sluice_quarantine WHERE \(isOld) LIMIT 1", parameters).isEmpty
        }
        guard hasOld else { return }
        try write { database in
            try requireLease(jobID, epoch, in: database)
            try database.execute("DELETE FROM sluice_quarantine WHERE \(isOld)", parameters)
        }
    }

    // MARK: batches into hours

    private func foldBatches(
        _ jobID: JobID, _ epoch: Epoch, until last: BatchNumber, _ report: inout FoldReport
    ) throws {
        let hours = try hours(jobID)
        let checkpointUntil = report.foldedUntil - hours.reduce(0) { $0 + $1.batches }
        var audit = Audit(
            checkpoints: try checkpoints(jobID), foldedUntil: checkpointUntil, jumps: try jumps(jobID))
        for hour in hours { audit.add(hour) }
        // Time may go back, hours never do.
        var hourMillis = hours.map(\.hourMillis).max() ?? 0
        while report.foldedUntil < last {
            let slice = try LogSlice(
                rows: sliceRows(jobID, after: report.foldedUntil, until: last), after: report.foldedUntil, notBefore: hourMillis)
            guard let until = slice.last else { return }
            for logged in slice.moved { audit.add(logged) }
            let covered = audit.takeCovered(before: until)
            guard audit.findings.isEmpty else {
                report.findings = audit.findings
                return
            }
            try fold(slice, covered: covered, jobID, epoch, after: report.foldedUntil)
            report.foldedBatches += until - report.foldedUntil
            report.foldedUntil = until
            hourMillis = slice.hourMillis
        }
    }

    private func sliceRows(
        _ jobID: JobID, after: BatchNumber, until: BatchNumber
    ) throws -> [[SQLValue]] {
        try read { database in
            try database.execute(
                """
                SELECT batch, kind, done_at_millis, ranges, rows_in, rows_out, late, rejected, unmatched FROM sluice_batches
                WHERE job_id = $1 AND batch > $2 AND batch <= $3 AND state = 'done' ORDER BY batch LIMIT \(Self.sliceBatches)
                """, [.text(jobID), .int(after), .int(until)])
        }
    }

    private func fold(
        _ slice: LogSlice, covered: [OffsetRange], _ jobID: JobID, _ epoch: Epoch, after: BatchNumber
    ) throws {
        guard let until = slice.last else { return }
        let state = try newestState(jobID, after: after, until: until)
        try write { database in
            try requireLease(jobID, epoch, in: database)
            for var hour in slice.hours(covering: covered) {
                let there = try database.execute(
                    """
                    SELECT hour_millis, kind, first_batch, last_batch, batches, rows_in, rows_out, late, rejected, unmatched,
                        ranges FROM sluice_hours WHERE job_id = $1 AND hour_millis = $2 AND kind = $3
                    """, [.text(jobID), .int(hour.hourMillis), .text(hour.kind.rawValue)])
                if let row = there.first {
                    var known = try LogHour(row: row)
                    known.add(hour)
                    hour = known
                }
                try database.execute(
                    """
                    INSERT INTO sluice_hours (job_id, hour_millis, kind, first_batch, last_batch, batches, rows_in, rows_out,
                        late, rejected, unmatched, ranges)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                    ON CONFLICT (job_id, hour_millis, kind) DO UPDATE SET last_batch = excluded.last_batch,
                        batches = excluded.batches, rows_in = excluded.rows_in, rows_out = excluded.rows_out,
                        late = excluded.late, rejected = excluded.rejected, unmatched = excluded.unmatched,
                        ranges = excluded.ranges
                    """,
                    [
                        .text(jobID), .int(hour.hourMillis), .text(hour.kind.rawValue), .int(hour.firstBatch),
                        .int(hour.lastBatch), .int(hour.batches), .int(hour.rowsIn), .int(hour.rowsOut), .int(hour.late),
                        .int(hour.rejected), .int(hour.unmatched), .text(RangeText.text(hour.ranges)),
                    ])
            }
            if let state {
                try database.execute(
                    """
                    INSERT INTO sluice_folded (job_id, until_batch, rows_in, rows_out, late, rejected, unmatched,
                        folded_at_millis, state_version, state)
                    VALUES ($1, 0, 0, 0, 0, 0, 0, \(clock), $2, $3) ON CONFLICT (job_id) DO UPDATE SET
                        state_version = excluded.state_version, state = excluded.state
                    """, [.text(jobID), .int(state.version), .text(manifestText(state))])
            }
            try database.execute(
                "DELETE FROM sluice_batches WHERE job_id = $1 AND batch > $2 AND batch <= $3",
                [.text(jobID), .int(after), .int(until)])
        }
    }

    /// The state that the newest of these batches left that left one.
    private func newestState(_ jobID: JobID, after: BatchNumber, until: BatchNumber) throws -> StateManifest? {
        var batch: BatchNumber? = until
        while let number = batch {
            if let state = try outcome(jobID, number)?.state { return state }
            // A stateless job has none in any; asking for the next older one of another kind ends it.
            batch = try read { database in
                try database.execute(
                    """
                    SELECT batch FROM sluice_batches WHERE job_id = $1 AND batch > $2 AND batch < $3
                        AND outcome LIKE '%"state":%' ORDER BY batch DESC LIMIT 1
                    """, [.text(jobID), .int(after), .int(number)]
                ).first.map { row in
                    var cells = CellReader(row, of: "sluice_batches")
                    return try cells.int()
                }
            }
        }
        return nil
    }

    // MARK: hours into the checkpoint

    private func dropHours(_ jobID: JobID, _ epoch: Epoch, before millis: Int64) throws {
        let old = try hours(jobID).filter { $0.hourMillis < millis }
        guard !old.isEmpty else { return }
        try write { database in
            try requireLease(jobID, epoch, in: database)
            for hour in old {
                if hour.kind.movesPositions {
                    for range in hour.ranges {
                        try database.execute(
                            """
                            INSERT INTO sluice_checkpoints (job_id, topic, partition, from_offset, until_offset)
                            VALUES ($1, $2, $3, $4, $5)
                            ON CONFLICT (job_id, topic, partition) DO UPDATE SET until_offset = excluded.until_offset
                            """,
                            [
                                .text(jobID), .text(range.topic), .int(Int64(range.partition)), .int(range.from),
                                .int(range.until),
                            ])
                    }
                }
                try database.execute(
                    """
                    INSERT INTO sluice_folded
                        (job_id, until_batch, rows_in, rows_out, late, rejected, unmatched, folded_at_millis)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, \(clock)) ON CONFLICT (job_id) DO UPDATE SET
                        until_batch = CASE WHEN sluice_folded.until_batch > excluded.until_batch
                            THEN sluice_folded.until_batch ELSE excluded.until_batch END,
                        rows_in = sluice_folded.rows_in + excluded.rows_in,
                        rows_out = sluice_folded.rows_out + excluded.rows_out, late = sluice_folded.late + excluded.late,
                        rejected = sluice_folded.rejected + excluded.rejected,
                        unmatched = sluice_folded.unmatched + excluded.unmatched,
                        folded_at_millis = excluded.folded_at_millis
                    """,
                    [
                        .text(jobID), .int(hour.lastBatch), .int(hour.rowsIn), .int(hour.rowsOut), .int(hour.late),
                        .int(hour.rejected), .int(hour.unmatched),
                    ])
            }
            try database.execute(
                "DELETE FROM sluice_hours WHERE job_id = $1 AND hour_millis < $2", [.text(jobID), .int(millis)])
            try database.execute(
                """
                DELETE FROM sluice_frames WHERE job_id = $1
                    AND frame NOT IN (SELECT frame FROM sluice_batches WHERE job_id = $1 AND frame IS NOT NULL)
                    AND frame < (SELECT max(frame) FROM sluice_frames WHERE job_id = $1)
                """, [.text(jobID)])
        }
    }
}

/// Batches of one hour that follow each other, on their way into a row.
private struct LogSlice {
    private(set) var hourMillis: Int64
    /// The last batch of it; nil when there is none.
    private(set) var last: BatchNumber?
    /// What the batches that cover the input read.
    private(set) var moved: [LoggedRange] = []
    private var hours: [BatchKind: LogHour] = [:]

    /// - Parameter rows: ascending; only those of the first one's hour are taken, and none behind a missing batch.
    init(rows: [[SQLValue]], after: BatchNumber, notBefore: Int64) throws {
        hourMillis = notBefore
        for row in rows {
            var cells = CellReader(row, of: "sluice_batches")
            let batch = try cells.int()
            let kind = try cells.named(BatchKind.self)
            let hour = max(LogHours.hour(of: try cells.int()), notBefore)
            guard batch == (last ?? after) + 1, last == nil || hour <= hourMillis else { return }
            hourMillis = max(hour, hourMillis)
            last = batch
            let ranges = try cells.ranges()
            var one = LogHour(
                hourMillis: hourMillis, kind: kind.ofHour, firstBatch: batch, lastBatch: batch, batches: 1,
                ranges: kind.movesPositions ? [] : ranges)
            one.rowsIn = try cells.optionalInt() ?? 0
            one.rowsOut = try cells.optionalInt() ?? 0
            one.late = try cells.optionalInt() ?? 0
            one.rejected = try cells.optionalInt() ?? 0
            one.unmatched = try cells.optionalInt() ?? 0
            if kind.movesPositions { moved += ranges.map { LoggedRange(batch: batch, range: $0) } }
            if hours[one.kind] == nil { hours[one.kind] = one } else { hours[one.kind]?.add(one) }
        }
    }

    /// A row for each kind; what was covered goes to the one that covers.
    func hours(covering covered: [OffsetRange]) -> [LogHour] {
        var hours = hours
        let moving = hours.keys.first(where: \.movesPositions) ?? .live
        if let last, !covered.isEmpty || hours[moving] != nil {
            // Jumps may lie between batches that cover nothing; the row holds all that lie before the slice's end.
            var hour =
                hours[moving]
                ?? LogHour(hourMillis: hourMillis, kind: moving, firstBatch: last, lastBatch: last, batches: 0, ranges: [])
            hour.ranges = covered
            hour.lastBatch = last
            hours[moving] = hour
        }
        return hours.values.sorted { ($0.firstBatch, $0.kind.rawValue) < ($1.firstBatch, $1.kind.rawValue) }
    }
}
