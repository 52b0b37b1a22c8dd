// Questions to the log. They change nothing, take no lock that a writer waits for, and need no lease.
//
// Long answers are read in pages, so that neither memory nor the connection's lock grows with the log.

import Engine

extension Catalog {
    /// The kinds whose ranges cover the input, for a condition.
    static let moving = BatchKind.allCases.filter(\.movesPositions).map { "'\($0.rawValue)'" }.joined(separator: ", ")
    /// With 10,000 partitions a page is 15 MB.
    private static let pageBatches = 64

    /// The batch that is planned and not done; there is one at most.
    package func openPlan(_ jobID: JobID) throws -> BatchRecord? {
        try batches(where: "b.job_id = $1 AND b.state = 'planned'", [.text(jobID)]).first
    }

    package func lastDone(_ jobID: JobID) throws -> BatchRecord? {
        try batches(where: "b.job_id = $1 AND b.state = 'done' ORDER BY b.batch DESC LIMIT 1", [.text(jobID)]).first
    }

    package func batch(_ jobID: JobID, _ batch: BatchNumber) throws -> BatchRecord? {
        try batches(where: "b.job_id = $1 AND b.batch = $2", [.text(jobID), .int(batch)]).first
    }

    /// The newest `last` batches that the log still has, oldest first; each with its commit time, when the batch after
    /// it has told that.
    package func batches(_ jobID: JobID, last: Int) throws -> [BatchRecord] {
        var records: [BatchRecord] = try batches(
            where: "b.job_id = $1 ORDER BY b.batch DESC LIMIT $2", [.text(jobID), .int(Int64(last))]
        ).reversed()
        for index in records.indices.dropLast() where records[index + 1].plan.batch == records[index].plan.batch + 1 {
            let commitMillis = records[index + 1].outcome?.timings.previousCommitMillis
            records[index].outcome?.timings.commitMillis = commitMillis
        }
        return records
    }

    /// Totals of the batches that `fold` took away, into hours and further; zero when it took none.
    package func foldedTotals(_ jobID: JobID) throws -> FoldedTotals {
        try read { database in
            var totals = FoldedTotals()
            let rows = try database.execute(
                """
                SELECT coalesce((SELECT until_batch FROM sluice_folded WHERE job_id = $1), 0),
                    coalesce(max(until_batch), 0), CAST(coalesce(sum(rows_in), 0) AS BIGINT),
                    CAST(coalesce(sum(rows_out), 0) AS BIGINT), CAST(coalesce(sum(late), 0) AS BIGINT),
                    CAST(coalesce(sum(rejected), 0) AS BIGINT), CAST(coalesce(sum(unmatched), 0) AS BIGINT)
                FROM (SELECT until_batch, rows_in, rows_out, late, rejected, unmatched FROM sluice_folded WHERE job_id = $1
                    UNION ALL SELECT last_batch, rows_in, rows_out, late, rejected, unmatched FROM sluice_hours
                    WHERE job_id = $1) AS folded
                """, [.text(jobID)])
            guard let row = rows.first else { return totals }
            var cells = CellReader(row, of: "sluice_folded")
            totals.checkpointUntil = try cells.int()
            totals.untilBatch = try cells.int()
            totals.rowsIn = try cells.int()
            totals.rowsOut = try cells.int()
            totals.late = try cells.int()
            totals.rejected = try cells.int()
            totals.unmatched = try cells.int()
            return totals
        }
    }

    /// The hours that batches were folded into, by the batches that they hold.
    package func hours(_ jobID: JobID) throws -> [LogHour] {
        try read { database in
            try database.execute(
                """
                SELECT hour_millis, kind, first_batch, last_batch, batches, rows_in, rows_out, late, rejected, unmatched, ranges
                FROM sluice_hours WHERE job_id = $1 ORDER BY first_batch
                """, [.text(jobID)]
            ).map(LogHour.init(row:))
        }
    }

    /// Where every topic partition stands, by topic and partition.
    package func positions(_ jobID: JobID) throws -> [PartitionPosition] {
        let found = try read { database in
            try database.execute(
                """
                SELECT topic, partition, position, tail_offset, tail_hash, max_event_time_millis, leader_epoch,
                    found_millis
                FROM sluice_positions WHERE job_id = $1
                """, [.text(jobID)]
            ).map { row in
                var cells = CellReader(row, of: "sluice_positions")
                return PartitionPosition(
                    topic: try cells.text(), partition: Int32(truncatingIfNeeded: try cells.int()),
                    position: try cells.int(), tailOffset: try cells.optionalInt(), tailHash: try cells.optionalText(),
                    maxEventTimeMillis: try cells.optionalInt(),
                    leaderEpoch: try cells.optionalInt().map(Int32.init(truncatingIfNeeded:)),
                    foundMillis: try cells.optionalInt())
            }
        }
        // Sorted here: databases differ in how they order text.
        return found.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
    }

    /// Whether `offset` is a start or an end that the log knows of: of a batch, a checkpoint or a jump (protocol 4).
    ///
    /// Where the partition stands is asked first, because that is what a clean stop leaves in Kafka. Batches are looked
    /// at from the newest; offsets only fall that way, so unless the partition ever jumped it ends where they pass.
    package func isRecordedEnd(_ jobID: JobID, _ topicPartition: TopicPartition, offset: Int64) throws -> Bool {
        let place = "job_id = $1 AND topic = $2 AND partition = $3"
        let parameters: [SQLValue] = [
            .text(jobID), .text(topicPartition.topic), .int(Int64(topicPartition.partition)), .int(offset),
        ]
        let isKnown = try read { database in
            try !database.execute(
                """
                SELECT 1 WHERE EXISTS (SELECT 1 FROM sluice_positions WHERE \(place) AND position = $4)
                OR EXISTS (SELECT 1 FROM sluice_checkpoints WHERE \(place) AND $4 IN (from_offset, until_offset))
                OR EXISTS (SELECT 1 FROM sluice_jumps WHERE \(place) AND $4 IN (old_position, new_position))
                """, parameters
            ).isEmpty
        }
        if isKnown { return true }
        let hasJumped = try jumps(jobID).contains { $0.topicPartition == topicPartition }
        var below = BatchNumber.max
        while true {
            let page = try read { database in
                try database.execute(
                    """
                    SELECT batch, ranges FROM sluice_batches
                    WHERE job_id = $1 AND batch < $2 AND kind IN (\(Self.moving))
                    ORDER BY batch DESC LIMIT \(Self.pageBatches)
                    """, [.text(jobID), .int(below)])
            }
            for row in page {
                var cells = CellReader(row, of: "sluice_batches")
                below = try cells.int()
                guard let range = try cells.ranges().first(where: { $0.topicPartition == topicPartition }) else { continue }
                if range.until == offset || range.from == offset { return true }
                if range.until < offset && !hasJumped { return false }
            }
            if page.count < Self.pageBatches { break }
        }
        return try hours(jobID).contains { hour in
            hour.kind.movesPositions
                && hour.ranges.contains { $0.topicPartition == topicPartition && ($0.from == offset || $0.until == offset) }
        }
    }

    /// Every accepted loss or move, oldest first.
    package func jumps(_ jobID: JobID) throws -> [Jump] {
        try read { database in
            try database.execute(
                """
                SELECT flag, topic, partition, old_position, new_position, topic_id, at_millis, after_batch
                FROM sluice_jumps WHERE job_id = $1 ORDER BY jump
                """, [.text(jobID)]
            ).map { row in
                var cells = CellReader(row, of: "sluice_jumps")
                return Jump(
                    jobID: jobID, flag: try cells.text(), topic: try cells.text(),
                    partition: Int32(truncatingIfNeeded: try cells.int()), oldPosition: try cells.int(),
                    newPosition: try cells.int(), topicID: try cells.optionalText(), atMillis: try cells.int(),
                    afterBatch: try cells.int())
            }
        }
    }

    /// What the folded batches covered, per topic partition.
    package func checkpoints(_ jobID: JobID) throws -> [OffsetRange] {
        try read { database in
            try database.execute(
                "SELECT topic, partition, from_offset, until_offset FROM sluice_checkpoints WHERE job_id = $1",
                [.text(jobID)]
            ).map { row in
                var cells = CellReader(row, of: "sluice_checkpoints")
                return OffsetRange(
                    topic: try cells.text(), partition: Int32(truncatingIfNeeded: try cells.int()),
                    from: try cells.int(), until: try cells.int())
            }
        }
    }

    /// Hands the ranges of DONE batches to `body`, ascending by batch, then topic and partition; of the batches in
    /// `after + 1 ... until` that read on where their partitions stood. What a repair or a redrive read again is not theirs.
    package func doneRanges(
        _ jobID: JobID, after: BatchNumber = 0, until: BatchNumber = .max, _ body: (LoggedRange) throws -> Void
    ) throws {
        var after = after
        while true {
            let behind = after
            let page = try read { database in
                try database.execute(
                    """
                    SELECT batch, ranges FROM sluice_batches
                    WHERE job_id = $1 AND batch > $2 AND batch <= $3 AND state = 'done' AND kind IN (\(Self.moving))
                    ORDER BY batch LIMIT \(Self.pageBatches)
                    """, [.text(jobID), .int(behind), .int(until)])
            }
            for row in page {
                var cells = CellReader(row, of: "sluice_batches")
                after = try cells.int()
                for range in try cells.ranges() { try body(LoggedRange(batch: after, range: range)) }
            }
            if page.count < Self.pageBatches { return }
        }
    }

    package func inlineState(_ jobID: JobID, name: String) throws -> [UInt8]? {
        try read { database in
            try database.execute(
                "SELECT bytes FROM sluice_state WHERE job_id = $1 AND name = $2", [.text(jobID), .text(name)]
            ).first.map { row in
                var cells = CellReader(row, of: "sluice_state")
                return try cells.bytes()
            }
        }
    }

    /// Records that did not become rows, newest batch first; of one batch when it is given.
    package func quarantined(_ jobID: JobID, batch: BatchNumber? = nil, limit: Int) throws -> [QuarantineEntry] {
        try read { database in
            try database.execute(
                """
                SELECT batch, topic, partition, record_offset, reason, raw, erased_at_millis FROM sluice_quarantine
                WHERE job_id = $1 \(batch == nil ? "" : "AND batch = $3")
                ORDER BY batch DESC, topic, partition, record_offset LIMIT $2
                """, [.text(jobID), .int(Int64(limit))] + (batch.map { [.int($0)] } ?? [])
            ).map { row in
                var cells = CellReader(row, of: "sluice_quarantine")
                let batch = try cells.int()
                return QuarantineEntry(
                    batch: batch,
                    record: QuarantinedRecord(
                        topic: try cells.text(), partition: Int32(truncatingIfNeeded: try cells.int()),
                        offset: try cells.int(), reason: try cells.named(RejectReason.self), raw: try cells.bytes()),
                    erasedAtMillis: try cells.optionalInt())
            }
        }
    }

    package func lookup(_ digest: String) throws -> [UInt8]? {
        try read { database in
            try database.execute("SELECT bytes FROM sluice_lookups WHERE digest = $1", [.text(digest)]).first.map {
                row in
                var cells = CellReader(row, of: "sluice_lookups")
                return try cells.bytes()
            }
        }
    }

    /// The batches that rejected records or processed such again, ascending.
    package func rejecting(_ jobID: JobID) throws -> [BatchRecord] {
        try batches(
            where: "b.job_id = $1 AND b.state = 'done' AND (b.rejected > 0 OR b.kind = 'redrive') ORDER BY b.batch", [.text(jobID)])
    }

    /// The batches of which records were late, ascending.
    package func late(_ jobID: JobID) throws -> [BatchRecord] {
        try batches(where: "b.job_id = $1 AND b.state = 'done' AND b.late > 0 ORDER BY b.batch", [.text(jobID)])
    }

    private func batches(where condition: String, _ parameters: [SQLValue]) throws -> [BatchRecord] {
        guard case .text(let id)? = parameters.first else { preconditionFailure("the first parameter is the job") }
        let jobID = JobID(text: id)
        var attempt = 1
        while true {
            let rows = try read { database in
                try database.execute("SELECT \(LogRow.columns) FROM \(LogRow.tables) WHERE \(condition)", parameters)
            }
            do {
                // Ascending, so that each finds what it refers to among those that were read already.
                let parsed = try rows.map { try LogRow($0, jobID: jobID) }
                let isAscending = (parsed.first?.record.plan.batch ?? 0) <= (parsed.last?.record.plan.batch ?? 0)
                var past = pastReader(jobID)
                let whole = try (isAscending ? parsed : parsed.reversed()).map { try $0.completed(by: &past) }
                return isAscending ? whole : whole.reversed()
            } catch let failure as Failure where failure.code == .catalogFailed && attempt < 3 {
                // A fold may have taken what a row refers to since the row was read: then the row is gone, too.
                attempt += 1
            }
        }
    }

    /// Completes rows of a job from others of its log.
    func pastReader(_ jobID: JobID) -> LogPast.Reader {
        func outcome(_ batch: BatchNumber) throws -> OutcomeText? {
            try read { database in
                try database.execute(
                    "SELECT outcome FROM sluice_batches WHERE job_id = $1 AND batch = $2 AND state = 'done'",
                    [.text(jobID), .int(batch)]
                ).first.map { row in
                    var cells = CellReader(row, of: "sluice_batches")
                    return try cells.json(OutcomeText.self)
                }
            }
        }
        return LogPast.Reader(
            stored: { batch in
                if let state = try outcome(batch)?.state, state.version == batch { return state }
                return try self.read { database in
                    try database.execute(
                        """
                        SELECT state FROM sluice_folded WHERE job_id = $1 AND state_version = $2
                        UNION ALL SELECT state FROM sluice_hour_states WHERE job_id = $1 AND version = $2
                        """, [.text(jobID), .int(batch)]
                    ).first.map { row in
                        var cells = CellReader(row, of: "sluice_folded")
                        return try cells.json(StateText.self)
                    }
                }
            }, parts: { try outcome($0)?.parts })
    }
}
