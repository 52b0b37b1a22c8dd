// Writing the batch log: plan, replace, finish, jump. Each is one transaction that begins with the lease.
//
//   appendPlan ─▶ PLANNED ──finishBatch──▶ DONE (and, in the same transaction, the next PLANNED)
//                   │ ▲
//                   └─┘ replacePlan: same ranges, higher epoch        recordJump: positions move, said in the log
//
// The guards here hold whatever the driver believes: batch numbers have no holes, one plan is open at most, DONE is
// never written twice, a plan starts where its partitions stand, a finished range ends where they stand afterwards, and
// a state manifest names no delta of this batch that was not handed over. A breach is a defect of ours and stops the
// job, because going on would lose or double records.
//
// Survives a crash: all of a call or nothing of it. Checklist when changing a write: is the JSON made before the
// transaction (others wait for it)? Is it still one round trip to a server however many partitions there are?

import Engine

/// What a plan's row holds as text, made before the transaction.
private struct PlanTexts: Sendable {
    let plan: String
    let ranges: String

    init(_ plan: BatchPlan, past: LogPast) {
        self.plan = planText(plan, past: past)
        ranges = RangeText.text(plan.ranges)
    }
}

extension Catalog {
    /// Adds the plan of the next batch. Nothing is ever overwritten.
    package func appendPlan(_ plan: BatchPlan) throws {
        let before = memory(plan.jobID, epoch: plan.epoch)
        let text = PlanTexts(plan, past: before.past)
        remember(
            try write { database in
                var memory = before
                try requireLease(plan.jobID, plan.epoch, in: database)
                try insertPlan(plan, text, &memory, in: database)
                return memory
            }, of: plan.jobID)
    }

    /// Plans an open batch again, over the same ranges, under a higher epoch (protocol 2).
    package func replacePlan(_ plan: BatchPlan) throws {
        let before = memory(plan.jobID, epoch: plan.epoch)
        let text = PlanTexts(plan, past: before.past)
        remember(
            try write { database in
                var memory = before
                try requireLease(plan.jobID, plan.epoch, in: database)
                let open = try openBatch(plan, in: database)
                guard open.ranges == plan.ranges else {
                    throw Self.broken("batch \(plan.batch) was planned over other ranges", "a plan's ranges never change")
                }
                try overwriteOpenPlan(open.epoch, with: plan, text, &memory, in: database)
                return memory
            }, of: plan.jobID)
    }

    /// Marks a batch DONE: its outcome, where its partitions stand now, what it rejected, its small state deltas, and
    /// the plan of the next batch when records already wait. One transaction, one fsync.
    package func finishBatch(
        _ jobID: JobID, batch: BatchNumber, epoch: Epoch, outcome: BatchOutcome, positions: [PartitionPosition],
        quarantine: [QuarantinedRecord] = [], inlineState: [InlineState] = [], closes: [OffsetRange] = [],
        next: BatchPlan? = nil
    ) throws {
        let before = memory(jobID, epoch: epoch)
        let outcomeText = outcomeText(outcome, past: before.past)
        let handedOver = Dictionary(
            positions.map { (TopicPartition(topic: $0.topic, partition: $0.partition), $0.position) }
        ) { $1 }
        let past = before.past.after(batch, outcome)
        let nextText = next.map { PlanTexts($0, past: past) }
        try Self.requireHandedOver(outcome.state, batch: batch, inlineState)
        let after = try write { database in
            var memory = before
            memory.past = past
            try requireLease(jobID, epoch, in: database)
            try database.execute(
                """
                UPDATE sluice_batches SET state = 'done', done_epoch = $3, done_at_millis = \(clock),
                    watermark_after_millis = $4, rows_in = $5, rows_out = $6, late = $7, rejected = $8, unmatched = $9,
                    bytes_in = $10, digest = $11, outcome = $12
                WHERE job_id = $1 AND batch = $2 AND state = 'planned'
                """,
                [
                    .text(jobID), .int(batch), .int(epoch), .int(outcome.watermarkAfterMillis), .int(outcome.rowsIn),
                    .int(outcome.rowsOut), .int(outcome.late), .int(outcome.rejected), .int(outcome.unmatched),
                    .int(outcome.bytesIn), .text(outcome.digest), .text(outcomeText),
                ])
            guard database.changedRows == 1 else {
                throw Self.broken("batch \(batch) is not open", "it is done already, or was never planned")
            }
            try storePositions(jobID, positions, in: database)
            try requireEndsReached(jobID, batch, handedOver, in: database)
            try storeSeals(jobID, batch, outcome.parts, in: database)
            for range in closes {
                try database.execute(
                    """
                    DELETE FROM sluice_quarantine WHERE job_id = $1 AND batch < $2 AND topic = $3 AND partition = $4
                        AND record_offset >= $5 AND record_offset < $6
                    """,
                    [
                        .text(jobID), .int(batch), .text(range.topic), .int(Int64(range.partition)), .int(range.from),
                        .int(range.until),
                    ])
            }
            for record in quarantine {
                try database.execute(
                    """
                    INSERT INTO sluice_quarantine
                        (job_id, batch, topic, partition, record_offset, reason, raw, kept_at_millis)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, \(clock))
                    """,
                    [
                        .text(jobID), .int(batch), .text(record.topic), .int(Int64(record.partition)),
                        .int(record.offset), .text(record.reason.rawValue), .blob(record.raw),
                    ])
            }
            for delta in inlineState { try storeState(jobID, batch, delta, in: database) }
            if let next, let nextText {
                guard next.epoch == epoch, next.jobID == jobID else {
                    throw Self.broken(
                        "the next plan is of another epoch or job", "batch \(batch) is done under \(epoch)")
                }
                try insertPlan(next, nextText, &memory, in: database)
            }
            return memory
        }
        remember(after, of: jobID)
    }

    /// Records accepted losses or moves and sets the partitions to where they go on. While a plan is open it must be
    /// replaced along with them by `plan`, whose ranges then start at the new positions.
    package func recordJump(
        _ jumps: [Jump], epoch: Epoch, newPositions: [PartitionPosition], replacing plan: BatchPlan? = nil
    ) throws {
        guard let jobID = jumps.first?.jobID, jumps.allSatisfy({ $0.jobID == jobID }),
            Set(jumps.map(\.topicPartition)).count == jumps.count
        else { throw Self.broken("the jumps are not of one job's different partitions", "each moves one partition") }
        let before = memory(jobID, epoch: epoch)
        let planText = plan.map { PlanTexts($0, past: before.past) }
        let after = try write { database in
            var memory = before
            try requireLease(jobID, epoch, in: database)
            let latest = try latestBatch(jobID, in: database)
            guard (latest?.state == .planned) == (plan != nil) else {
                throw Self.broken(
                    "a jump of job \(jobID) does not fit its open plan",
                    plan == nil ? "batch \(latest?.batch ?? 0) is planned over the old positions" : "no plan is open")
            }
            let afterBatch = (latest?.batch ?? 0) - (latest?.state == .planned ? 1 : 0)
            for jump in jumps {
                try insertJump(jump, after: afterBatch, epoch, in: database)
            }
            try storePositions(jobID, newPositions, in: database)
            for jump in jumps {
                let position = try position(jobID, jump.topicPartition, in: database)
                guard position == jump.newPosition else {
                    throw Self.broken(
                        "a jump of \(jump.topicPartition) leads to \(jump.newPosition)",
                        "the position handed over with it is \(position.map { "\($0)" } ?? "missing")")
                }
            }
            if let plan, let planText {
                guard plan.epoch == epoch, plan.jobID == jobID else {
                    throw Self.broken("the replacing plan is of another epoch or job", "the jump is under \(epoch)")
                }
                let open = try openBatch(plan, in: database)
                try overwriteOpenPlan(open.epoch, with: plan, planText, &memory, in: database)
                try requireStartsFit(plan, in: database)
            }
            return memory
        }
        remember(after, of: jobID)
    }

    /// Keeps the bytes of a lookup under their digest, so that a replay sees what the batch saw. Putting them again makes them new.
    package func putLookup(digest: String, bytes: [UInt8]) throws {
        try write { database in
            try database.execute(
                """
                INSERT INTO sluice_lookups (digest, stored_at_millis, bytes) VALUES ($1, \(clock), $2)
                ON CONFLICT (digest) DO UPDATE SET stored_at_millis = excluded.stored_at_millis
                """,
                [.text(digest), .blob(bytes)])
        }
    }

    /// Says that plans may still come to name them.
    package func keepLookups(_ digests: [String]) throws {
        try write { database in
            for digest in digests {
                try database.execute("UPDATE sluice_lookups SET stored_at_millis = \(clock) WHERE digest = $1", [.text(digest)])
            }
        }
    }

    // MARK: - Inside a transaction

    private func insertPlan(
        _ plan: BatchPlan, _ texts: PlanTexts, _ memory: inout LogMemory, in database: any SQLDatabase
    ) throws {
        let latest = try latestBatch(plan.jobID, in: database)
        if let latest, latest.state == .planned {
            throw Self.broken(
                "batch \(plan.batch) cannot be planned", "batch \(latest.batch) is open and must be finished first")
        }
        let following = (latest?.batch ?? 0) + 1
        guard plan.batch == following else {
            throw Self.broken("batch \(plan.batch) cannot be planned", "the log goes on with batch \(following)")
        }
        try database.execute(
            """
            INSERT INTO sluice_batches (job_id, batch, state, epoch, planned_at_millis, batch_time_millis,
                watermark_before_millis, frame, plan, ranges, kind)
            VALUES ($1, $2, 'planned', $3, \(clock), $4, $5, $6, $7, $8, $9)
            """,
            [
                .text(plan.jobID), .int(plan.batch), .int(plan.epoch), .int(plan.batchTimeMillis),
                .int(plan.watermarkBeforeMillis), .int(try frameNumber(plan, &memory, in: database)), .text(texts.plan),
                .text(texts.ranges), .text((plan.kind ?? .live).rawValue),
            ])
        if plan.movesPositions { try requireStartsFit(plan, in: database) }
    }

    /// A plan goes on where its partitions stand; one that the log does not know yet may start anywhere.
    private func requireStartsFit(_ plan: BatchPlan, in database: any SQLDatabase) throws {
        let standing = try standing(plan.jobID, plan.ranges.map(\.topicPartition), in: database)
        for range in plan.ranges {
            guard let position = standing[range.topicPartition], position != range.from else { continue }
            throw Self.broken(
                "batch \(plan.batch) does not go on where \(range.topicPartition) stands",
                "it begins at offset \(range.from), the log stands at \(position)")
        }
    }

    /// Where these partitions stand: asked one by one while they are few.
    private func standing(
        _ jobID: JobID, _ partitions: [TopicPartition], in database: any SQLDatabase
    ) throws -> [TopicPartition: Int64] {
        var standing: [TopicPartition: Int64] = [:]
        if partitions.count <= 16 {
            for partition in partitions { standing[partition] = try position(jobID, partition, in: database) }
            return standing
        }
        standing.reserveCapacity(partitions.count)
        for row in try database.execute(
            "SELECT topic, partition, position FROM sluice_positions WHERE job_id = $1", [.text(jobID)])
        {
            var cells = CellReader(row, of: "sluice_positions")
            let place = TopicPartition(topic: try cells.text(), partition: Int32(truncatingIfNeeded: try cells.int()))
            standing[place] = try cells.int()
        }
        return standing
    }

    private func overwriteOpenPlan(
        _ openEpoch: Epoch, with plan: BatchPlan, _ texts: PlanTexts, _ memory: inout LogMemory,
        in database: any SQLDatabase
    ) throws {
        guard plan.epoch > openEpoch else {
            throw Self.broken(
                "batch \(plan.batch) is planned again under epoch \(plan.epoch)",
                "it must be higher than \(openEpoch), the open plan's")
        }
        try database.execute(
            """
            UPDATE sluice_batches SET epoch = $3, planned_at_millis = \(clock), batch_time_millis = $4,
                watermark_before_millis = $5, frame = $6, plan = $7, ranges = $8, kind = $9
            WHERE job_id = $1 AND batch = $2 AND state = 'planned'
            """,
            [
                .text(plan.jobID), .int(plan.batch), .int(plan.epoch), .int(plan.batchTimeMillis),
                .int(plan.watermarkBeforeMillis), .int(try frameNumber(plan, &memory, in: database)), .text(texts.plan),
                .text(texts.ranges), .text((plan.kind ?? .live).rawValue),
            ])
    }

    /// In SQLite a statement for each; a server gets all of them in one.
    private func storePositions(
        _ jobID: JobID, _ positions: [PartitionPosition], in database: any SQLDatabase
    ) throws {
        let insert = """
            INSERT INTO sluice_positions
                (job_id, topic, partition, position, tail_offset, tail_hash, max_event_time_millis, leader_epoch,
                found_millis)
            """
        let update = """
            ON CONFLICT (job_id, topic, partition) DO UPDATE SET position = excluded.position,
                tail_offset = excluded.tail_offset, tail_hash = excluded.tail_hash,
                max_event_time_millis = excluded.max_event_time_millis, leader_epoch = excluded.leader_epoch,
                found_millis = excluded.found_millis
            """
        if database.dialect == .sqlite {
            let statement = "\(insert) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \(update)"
            for position in positions {
                try database.execute(
                    statement,
                    [
                        .text(jobID), .text(position.topic), .int(Int64(position.partition)), .int(position.position),
                        .int(position.tailOffset), .text(position.tailHash), .int(position.maxEventTimeMillis),
                        .int(position.leaderEpoch.map(Int64.init)), .int(position.foundMillis),
                    ])
            }
            return
        }
        let rows = unpacked(
            "$2",
            [
                ("topic", "TEXT"), ("partition", "INTEGER"), ("position", "BIGINT"), ("tailOffset", "BIGINT"),
                ("tailHash", "TEXT"), ("maxEventTimeMillis", "BIGINT"), ("leaderEpoch", "INTEGER"), ("foundMillis", "BIGINT"),
            ], dialect: dialect)
        try database.execute(
            """
            \(insert) SELECT $1, topic, partition, "position", "tailOffset", "tailHash", "maxEventTimeMillis",
                "leaderEpoch", "foundMillis"
            FROM \(rows) WHERE true \(update)
            """,
            [.text(jobID), .text(positionsText(positions))])
    }

    private func requireEndsReached(
        _ jobID: JobID, _ batch: BatchNumber, _ handedOver: [TopicPartition: Int64], in database: any SQLDatabase
    ) throws {
        let rows = try database.execute(
            "SELECT kind, ranges FROM sluice_batches WHERE job_id = $1 AND batch = $2", [.text(jobID), .int(batch)])
        guard let row = rows.first else { throw Self.broken("batch \(batch) is gone", "its row was there a moment ago") }
        var cells = CellReader(row, of: "sluice_batches")
        guard try cells.named(BatchKind.self).movesPositions else {
            guard handedOver.isEmpty else {
                throw Self.broken("batch \(batch) moves positions", "its kind reads what was read before, and goes nowhere")
            }
            return
        }
        for range in try cells.ranges() {
            let place = range.topicPartition
            let position = try handedOver[place] ?? position(jobID, place, in: database)
            guard position != range.until else { continue }
            throw Self.broken(
                "batch \(batch) does not leave \(place) at the end of its range",
                "the range ends at \(range.until), the position handed over is \(position.map { "\($0)" } ?? "missing")")
        }
    }

    private func storeState(
        _ jobID: JobID, _ batch: BatchNumber, _ delta: InlineState, in database: any SQLDatabase
    ) throws {
        try database.execute(
            """
            INSERT INTO sluice_state (job_id, name, batch, bytes) VALUES ($1, $2, $3, $4)
            ON CONFLICT (job_id, name) DO UPDATE SET batch = excluded.batch
                WHERE sluice_state.bytes = excluded.bytes
            """,
            [.text(jobID), .text(delta.name), .int(batch), .blob(delta.bytes)])
        guard database.changedRows == 1 else {
            throw Self.broken("state \(delta.name) is stored with other content", "a name stands for its content")
        }
    }

    private func insertJump(
        _ jump: Jump, after batch: BatchNumber, _ epoch: Epoch, in database: any SQLDatabase
    ) throws {
        let position = try position(jump.jobID, jump.topicPartition, in: database)
        guard position == nil || position == jump.oldPosition else {
            throw Self.broken(
                "a jump of \(jump.topicPartition) starts at \(jump.oldPosition)",
                "the log stands at \(position.map { "\($0)" } ?? "nothing")")
        }
        try database.execute(
            """
            INSERT INTO sluice_jumps (job_id, jump, at_millis, flag, topic, partition, old_position, new_position,
                topic_id, after_batch, epoch)
            SELECT $1, coalesce(max(jump), 0) + 1, \(clock), $2, $3, $4, $5, $6, $7, $8, $9
            FROM sluice_jumps WHERE job_id = $1
            """,
            [
                .text(jump.jobID), .text(jump.flag), .text(jump.topic), .int(Int64(jump.partition)),
                .int(jump.oldPosition), .int(jump.newPosition), .text(jump.topicID), .int(batch), .int(epoch),
            ])
    }

    private func position(
        _ jobID: JobID, _ topicPartition: TopicPartition, in database: any SQLDatabase
    ) throws -> Int64? {
        let rows = try database.execute(
            "SELECT position FROM sluice_positions WHERE job_id = $1 AND topic = $2 AND partition = $3",
            [.text(jobID), .text(topicPartition.topic), .int(Int64(topicPartition.partition))])
        guard let row = rows.first else { return nil }
        var cells = CellReader(row, of: "sluice_positions")
        return try cells.int()
    }

    private func latestBatch(
        _ jobID: JobID, in database: any SQLDatabase
    ) throws -> (batch: BatchNumber, state: BatchState)? {
        let rows = try database.execute(
            "SELECT batch, state FROM sluice_batches WHERE job_id = $1 ORDER BY batch DESC LIMIT 1", [.text(jobID)])
        guard let row = rows.first else { return nil }
        var cells = CellReader(row, of: "sluice_batches")
        return (try cells.int(), try cells.named(BatchState.self))
    }

    private func openBatch(
        _ plan: BatchPlan, in database: any SQLDatabase
    ) throws -> (epoch: Epoch, ranges: [OffsetRange]) {
        let rows = try database.execute(
            "SELECT epoch, ranges FROM sluice_batches WHERE job_id = $1 AND batch = $2 AND state = 'planned'",
            [.text(plan.jobID), .int(plan.batch)])
        guard let row = rows.first else {
            throw Self.broken("batch \(plan.batch) is not open", "only an open plan can be replaced")
        }
        var cells = CellReader(row, of: "sluice_batches")
        return (try cells.int(), try cells.ranges())
    }

    private static func requireHandedOver(
        _ manifest: StateManifest?, batch: BatchNumber, _ inlineState: [InlineState]
    ) throws {
        guard let manifest else { return }
        let given = Set(inlineState.map(\.name))
        for entry in manifest.entries {
            for file in entry.files where file.inline && file.version == batch && !given.contains(file.name) {
                throw broken("the state that batch \(batch) leaves is incomplete", "\(file.name) was not handed over")
            }
        }
    }

    /// A guard of the log was hit: whoever calls has a defect.
    private static func broken(_ what: String, _ why: String) -> Failure {
        Failure(
            .internal, "\(what); nothing was written", why: why,
            now: "please report this with the output of `sluice batches`; starting the job again is safe")
    }
}
