// The guards of the batch log: what is written, and what is refused without a trace.

import Driver
import Engine
import Testing

struct CatalogLogTests {
    @Test(arguments: CatalogPlace.available)
    func `plan and outcome come back as they were written`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        let plan = BatchPlan.sample(jobID, 1, epoch: epoch)
        try fixture.catalog.appendPlan(plan)
        let open = try #require(try fixture.another().openPlan(jobID))
        #expect(open.plan == plan)
        #expect(open.state == .planned && open.outcome == nil && open.doneAtMillis == nil)
        try fixture.catalog.finishBatch(plan, epoch: epoch)
        #expect(try fixture.catalog.openPlan(jobID) == nil)
        let done = try #require(try fixture.catalog.lastDone(jobID))
        #expect(done.plan == plan && done.outcome == .sample(1) && done.state == .done)
        #expect(try fixture.catalog.batch(jobID, 1) == done)
        let doneAt = try #require(done.doneAtMillis)
        #expect(doneAt >= done.plannedAtMillis && done.plannedAtMillis > 1_700_000_000_000)
        #expect(try fixture.catalog.positions(jobID) == plan.positionsAfter)
    }

    @Test(arguments: CatalogPlace.available)
    func `what people query stands in plain columns`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...1)
        let database = try fixture.database()
        defer { database.close() }
        let rows = try database.execute(
            """
            SELECT state, epoch, done_epoch, rows_in, rows_out, late, rejected, unmatched, bytes_in, digest,
                watermark_before_millis, watermark_after_millis, build_digest, settings_digest, plan_digest, job FROM sluice_log
            """)
        #expect(
            rows == [
                [
                    .text("done"), .int(epoch), .int(epoch), .int(20), .int(5), .int(1), .int(2), .int(3), .int(4096),
                    .text("o1"), .int(1000), .int(2000), .text("b1"), .text("s1"), .text("p1"), .text("views"),
                ]
            ])
        let ranges = try database.execute(
            "SELECT topic, partition, from_offset, until_offset FROM sluice_ranges ORDER BY partition")
        #expect(
            ranges == [
                [.text("events"), .int(0), .int(0), .int(10)], [.text("events"), .int(1), .int(0), .int(10)],
            ])
    }

    @Test(arguments: CatalogPlace.available)
    func `finishing plans the next batch in the same transaction`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        let first = BatchPlan.sample(jobID, 1, epoch: epoch)
        let second = BatchPlan.sample(jobID, 2, epoch: epoch)
        try fixture.catalog.appendPlan(first)
        let counted = CommitCount()
        let counting = try Catalog { CountingDatabase(try fixture.database(), counted) }
        defer { counting.close() }
        let before = counted.commits
        try counting.finishBatch(first, epoch: epoch, next: second)
        #expect(counted.commits == before + 1)
        #expect(try fixture.catalog.openPlan(jobID)?.plan == second)
        #expect(try fixture.catalog.lastDone(jobID)?.plan.batch == 1)
    }

    @Test(arguments: CatalogPlace.available)
    func `a next plan that is refused leaves the batch open`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        let first = BatchPlan.sample(jobID, 1, epoch: epoch)
        try fixture.catalog.appendPlan(first)
        let hole = BatchPlan.sample(jobID, 3, epoch: epoch)
        #expect(failureCode { try fixture.catalog.finishBatch(first, epoch: epoch, next: hole) } == .internal)
        #expect(try fixture.catalog.openPlan(jobID)?.plan == first)
        #expect(try fixture.catalog.positions(jobID).isEmpty)
        #expect(try fixture.catalog.inlineState(jobID, name: "delta-1") == nil)
        try fixture.catalog.finishBatch(first, epoch: epoch)
    }

    /// Batch numbers, as planned after batches 1 and 2 are DONE.
    @Test(arguments: CatalogPlace.available)
    func `plan numbers have no holes and no repeats`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        #expect(failureCode { try fixture.catalog.appendPlan(.sample(jobID, 2, epoch: epoch)) } == .internal)
        try fixture.run(jobID, epoch, batches: 1...2)
        for batch in [0, 1, 2, 4, 9] as [BatchNumber] {
            #expect(
                failureCode { try fixture.catalog.appendPlan(.sample(jobID, batch, epoch: epoch)) } == .internal,
                "batch \(batch)")
        }
        try fixture.catalog.appendPlan(.sample(jobID, 3, epoch: epoch))
        for batch in [3, 4] as [BatchNumber] {
            #expect(
                failureCode { try fixture.catalog.appendPlan(.sample(jobID, batch, epoch: epoch)) } == .internal,
                "batch \(batch) while 3 is open")
        }
        #expect(try fixture.catalog.batches(jobID, last: 9).map(\.plan.batch) == [1, 2, 3])
        #expect(try fixture.catalog.batches(jobID, last: 2).map(\.plan.batch) == [2, 3])
    }

    @Test(arguments: CatalogPlace.available)
    func `a batch is finished once`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        let plan = BatchPlan.sample(jobID, 1, epoch: epoch)
        #expect(failureCode { try fixture.catalog.finishBatch(plan, epoch: epoch) } == .internal)
        try fixture.catalog.appendPlan(plan)
        try fixture.catalog.finishBatch(plan, epoch: epoch)
        let done = try fixture.catalog.lastDone(jobID)
        #expect(failureCode { try fixture.catalog.finishBatch(plan, epoch: epoch) } == .internal)
        #expect(try fixture.catalog.lastDone(jobID) == done)
    }

    @Test(arguments: CatalogPlace.available)
    func `a plan goes on where its partitions stand`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...1)
        for from in [9, 11] as [Int64] {
            let plan = BatchPlan.sample(
                jobID, 2, epoch: epoch,
                ranges: [OffsetRange(topic: "events", partition: 1, from: from, until: 20)])
            #expect(failureCode { try fixture.catalog.appendPlan(plan) } == .internal, "from \(from)")
        }
        // A partition that the log does not know starts where the plan says.
        let plan = BatchPlan.sample(
            jobID, 2, epoch: epoch, ranges: [OffsetRange(topic: "events", partition: 7, from: 500, until: 600)])
        try fixture.catalog.appendPlan(plan)
    }

    @Test(arguments: CatalogPlace.available)
    func `a batch leaves its partitions at the ends of its ranges`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        let plan = BatchPlan.sample(jobID, 1, epoch: epoch)
        try fixture.catalog.appendPlan(plan)
        var short = plan.positionsAfter
        short[1].position -= 1
        for positions in [[], Array(plan.positionsAfter.dropLast()), short] {
            #expect(
                failureCode {
                    try fixture.catalog.finishBatch(
                        jobID, batch: 1, epoch: epoch, outcome: BatchOutcome(), positions: positions)
                } == .internal)
        }
        #expect(try fixture.catalog.positions(jobID).isEmpty)
    }

    @Test(arguments: CatalogPlace.available)
    func `a manifest names no inline delta that was not handed over`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        let plan = BatchPlan.sample(jobID, 1, epoch: epoch)
        try fixture.catalog.appendPlan(plan)
        #expect(
            failureCode {
                try fixture.catalog.finishBatch(
                    jobID, batch: 1, epoch: epoch, outcome: .sample(1), positions: plan.positionsAfter)
            } == .internal)
        try fixture.catalog.finishBatch(plan, epoch: epoch)
        #expect(try fixture.catalog.inlineState(jobID, name: "delta-1") == [1, 2, 1])
        #expect(try fixture.catalog.inlineState(jobID, name: "delta-2") == nil)
    }

    @Test(arguments: CatalogPlace.available)
    func `an open batch is planned again over the same ranges under a higher epoch`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        var plan = BatchPlan.sample(jobID, 1, epoch: epoch)
        try fixture.catalog.appendPlan(plan)
        #expect(failureCode { try fixture.catalog.replacePlan(plan) } == .internal, "same epoch")
        let higher = try fixture.acquire("views", .elsewhere("first"))
        plan.epoch = higher
        var elsewhere = plan
        elsewhere.ranges[0].until += 1
        #expect(failureCode { try fixture.catalog.replacePlan(elsewhere) } == .internal, "other ranges")
        plan.buildDigest = "b2"
        try fixture.catalog.replacePlan(plan)
        #expect(try fixture.catalog.openPlan(jobID)?.plan == plan)
        try fixture.catalog.finishBatch(plan, epoch: higher)
        let highest = try fixture.acquire("views", .elsewhere("first"))
        plan.epoch = highest
        #expect(failureCode { try fixture.catalog.replacePlan(plan) } == .internal, "done")
    }

    @Test(arguments: CatalogPlace.available)
    func `a driver with an older epoch writes nothing`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let zombie = try fixture.another()
        defer { zombie.close() }
        let (jobID, old) = try fixture.job()
        try fixture.run(jobID, old, batches: 1...1)
        let open = BatchPlan.sample(jobID, 2, epoch: old)
        try fixture.catalog.appendPlan(open)
        try fixture.catalog.releaseLease("views", holderID: "first", epoch: old)
        #expect(failureCode { try zombie.finishBatch(open, epoch: old) } == .leaseLost, "released")
        let new = try fixture.acquire("views", .elsewhere("second"))
        #expect(new > old)
        let before = try fixture.catalog.batches(jobID, last: 9)

        #expect(failureCode { try zombie.finishBatch(open, epoch: old) } == .leaseLost)
        #expect(failureCode { try zombie.replacePlan(open) } == .leaseLost)
        #expect(failureCode { try zombie.appendPlan(.sample(jobID, 3, epoch: old)) } == .leaseLost)
        #expect(failureCode { try zombie.setJobState(jobID, epoch: old, state: .failed) } == .leaseLost)
        #expect(
            failureCode {
                try zombie.replaceJobSettings(jobID, epoch: old, settings: [:], buildDigest: "", settingsDigest: "")
            } == .leaseLost)
        let jump = Jump(jobID: jobID, flag: "f", topic: "events", partition: 0, oldPosition: 10, newPosition: 30)
        #expect(
            failureCode {
                try zombie.recordJump(
                    [jump], epoch: old, newPositions: [PartitionPosition(topic: "events", partition: 0, position: 30)])
            } == .leaseLost)
        #expect(failureCode { _ = try zombie.fold(jobID, epoch: old, LogRetention()) } == nil, "nothing to fold")
        #expect(try fixture.catalog.batches(jobID, last: 9) == before)
        #expect(try fixture.catalog.jumps(jobID).isEmpty)
        #expect(try fixture.catalog.job(id: jobID)?.state == .starting)

        // The new driver finishes what the old one planned, under its own epoch.
        try fixture.catalog.finishBatch(open, epoch: new, next: .sample(jobID, 3, epoch: new))
        #expect(try fixture.catalog.openPlan(jobID)?.plan.epoch == new)
    }

    @Test(arguments: CatalogPlace.available)
    func `a jump moves the position and is said in the log`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...1)
        let jump = Jump(
            jobID: jobID, flag: "--accept-loss", topic: "events", partition: 1, oldPosition: 10, newPosition: 35,
            topicID: "t2")
        let target = PartitionPosition(topic: "events", partition: 1, position: 35)
        var wrong = jump
        wrong.oldPosition = 11
        func record(_ jumps: [Jump], _ positions: [PartitionPosition]) -> Failure.Code? {
            failureCode { try fixture.catalog.recordJump(jumps, epoch: epoch, newPositions: positions) }
        }
        #expect(record([wrong], [target]) == .internal)
        #expect(record([jump], []) == .internal)
        #expect(record([jump, jump], [target]) == .internal)
        #expect(try fixture.catalog.jumps(jobID).isEmpty)

        try fixture.catalog.recordJump([jump], epoch: epoch, newPositions: [target])
        let recorded = try #require(try fixture.catalog.jumps(jobID).first)
        var expected = jump
        expected.afterBatch = 1
        expected.atMillis = recorded.atMillis
        #expect(recorded == expected && recorded.atMillis > 1_700_000_000_000)
        #expect(try fixture.catalog.positions(jobID)[1] == target)
        let plan = BatchPlan.sample(
            jobID, 2, epoch: epoch, ranges: [OffsetRange(topic: "events", partition: 1, from: 35, until: 40)])
        try fixture.catalog.appendPlan(plan)
        let report = try fixture.catalog.audit(jobID)
        #expect(report.findings.isEmpty && report.jumps == [recorded])
        #expect(report.passes(strict: false) && !report.passes(strict: true))
    }

    @Test(arguments: CatalogPlace.available)
    func `a jump under an open plan replaces the plan with it`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...1)
        try fixture.catalog.appendPlan(.sample(jobID, 2, epoch: epoch))
        let jump = Jump(
            jobID: jobID, flag: "--accept-loss", topic: "events", partition: 0, oldPosition: 10, newPosition: 15)
        let target = [PartitionPosition(topic: "events", partition: 0, position: 15)]
        #expect(failureCode { try fixture.catalog.recordJump([jump], epoch: epoch, newPositions: target) } == .internal)
        let higher = try fixture.acquire("views", .elsewhere("first"))
        let plan = BatchPlan.sample(
            jobID, 2, epoch: higher,
            ranges: [
                OffsetRange(topic: "events", partition: 0, from: 15, until: 20),
                OffsetRange(topic: "events", partition: 1, from: 10, until: 20),
            ])
        try fixture.catalog.recordJump([jump], epoch: higher, newPositions: target, replacing: plan)
        #expect(try fixture.catalog.openPlan(jobID)?.plan == plan)
        try fixture.catalog.finishBatch(plan, epoch: higher)
        let report = try fixture.catalog.audit(jobID)
        #expect(report.findings.isEmpty && report.jumps.map(\.afterBatch) == [1])
    }
}
