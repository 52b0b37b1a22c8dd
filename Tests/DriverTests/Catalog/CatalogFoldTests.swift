// Keeping the log short without losing what it proves.

import Driver
import Engine
import Testing

struct CatalogFoldTests {
    /// Everything is old: only what must stay for other reasons stays.
    static let nothingKept = LogRetention(logKeepMillis: -1000, stateKeepBatches: 1, stateKeepMillis: -1000)

    @Test(arguments: CatalogPlace.available)
    func `old batches become a checkpoint and the audit goes on from it`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...8)
        try fixture.catalog.appendPlan(.sample(jobID, 9, epoch: epoch))
        let before = try fixture.catalog.audit(jobID)

        var retention = Self.nothingKept
        retention.stateKeepBatches = 3
        retention.stateKeepMillis = 60_000_000
        let report = try fixture.catalog.fold(jobID, epoch: epoch, retention)
        #expect(report.foldedBatches == 5 && report.foldedUntil == 5 && report.stateKeptFrom == 6)
        #expect(report.findings.isEmpty && report.namedFiles == ["snapshot-0"])
        #expect(try fixture.catalog.batches(jobID, last: 99).map(\.plan.batch) == [6, 7, 8, 9])
        #expect(
            try fixture.catalog.checkpoints(jobID).sorted { $0.partition < $1.partition }
                == (0..<2).map { OffsetRange(topic: "events", partition: $0, from: 0, until: 50) })
        let totals = try fixture.catalog.foldedTotals(jobID)
        #expect(totals.rowsIn == 100 && totals.rowsOut == 25 && totals.late == 5)
        #expect(totals.rejected == 10 && totals.unmatched == 15 && totals.untilBatch == 5)

        let after = try fixture.catalog.audit(jobID)
        #expect(after.passes(strict: true) && after.batches == before.batches)
        #expect(after.partitions.map(\.range) == before.partitions.map(\.range))
        #expect(try fixture.catalog.fold(jobID, epoch: epoch, retention).foldedBatches == 0)

        // The last DONE batch and the open plan stay, however old; a second fold adds to the first.
        let rest = try fixture.catalog.fold(jobID, epoch: epoch, Self.nothingKept)
        #expect(rest.foldedBatches == 2 && rest.foldedUntil == 7)
        #expect(try fixture.catalog.foldedTotals(jobID).rowsIn == 140)
        #expect(try fixture.catalog.lastDone(jobID)?.plan.batch == 8)
        try fixture.catalog.finishBatch(.sample(jobID, 9, epoch: epoch), epoch: epoch)
        #expect(try fixture.catalog.audit(jobID).passes(strict: true))
    }

    @Test(arguments: CatalogPlace.available)
    func `young batches are not folded`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        #expect(try fixture.catalog.fold(jobID, epoch: epoch, Self.nothingKept) == FoldReport())
        try fixture.run(jobID, epoch, batches: 1...5)
        var retention = Self.nothingKept
        retention.logKeepMillis = 60_000_000
        let report = try fixture.catalog.fold(jobID, epoch: epoch, retention)
        #expect(report.foldedBatches == 0)
        #expect(try fixture.catalog.batches(jobID, last: 99).count == 5)
    }

    @Test(arguments: CatalogPlace.available)
    func `inline state stays while a kept manifest or the open plan names it`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        // Batch 5 still builds on the delta of batch 2.
        for batch in 1...5 as ClosedRange<BatchNumber> {
            let plan = BatchPlan.sample(jobID, batch, epoch: epoch)
            try fixture.catalog.appendPlan(plan)
            var outcome = BatchOutcome.sample(batch)
            if batch == 5 { outcome.state?.entries += StateManifest.sample(version: 2).entries }
            try fixture.catalog.finishBatch(
                jobID, batch: batch, epoch: epoch, outcome: outcome, positions: plan.positionsAfter,
                inlineState: [InlineState(name: "delta-\(batch)", bytes: [UInt8(batch)])])
        }
        func kept() throws -> [Int] {
            try (1...6).filter { try fixture.catalog.inlineState(jobID, name: "delta-\($0)") != nil }
        }
        var retention = LogRetention(logKeepMillis: 60_000_000, stateKeepBatches: 2, stateKeepMillis: 60_000_000)
        var report = try fixture.catalog.fold(jobID, epoch: epoch, retention)
        #expect(report.deletedStates == 2 && report.stateKeptFrom == 4)
        #expect(try kept() == [2, 4, 5])

        // The open plan starts from version 4 again: a restored one.
        var plan = BatchPlan.sample(jobID, 6, epoch: epoch)
        plan.stateBefore = .sample(version: 4)
        try fixture.catalog.appendPlan(plan)
        retention.stateKeepBatches = 1
        report = try fixture.catalog.fold(jobID, epoch: epoch, retention)
        #expect(report.deletedStates == 0)
        #expect(try kept() == [2, 4, 5])
        try fixture.catalog.finishBatch(plan, epoch: epoch)
        _ = try fixture.catalog.fold(jobID, epoch: epoch, retention)
        #expect(try kept() == [6])
    }

    @Test(arguments: CatalogPlace.available)
    func `nothing is folded over a gap`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...4)
        let database = try fixture.database()
        defer { database.close() }
        try database.execute("UPDATE sluice_batches SET ranges = replace(ranges, '[1,10,20]', '[1,10,18]') WHERE batch = 2")
        let report = try fixture.catalog.fold(jobID, epoch: epoch, Self.nothingKept)
        #expect(report.foldedBatches == 0 && report.findings.map(\.kind) == [.gap])
        #expect(try fixture.catalog.audit(jobID).findings.map(\.kind) == [.gap])
    }

    @Test(arguments: CatalogPlace.available)
    func `a jump is followed through a fold`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...1, partitions: 1)
        var position: Int64 = 10
        for batch in 2...5 as ClosedRange<BatchNumber> {
            let jump = Jump(
                jobID: jobID, flag: "f", topic: "events", partition: 0, oldPosition: position,
                newPosition: position + 100)
            try fixture.catalog.recordJump(
                [jump], epoch: epoch,
                newPositions: [PartitionPosition(topic: "events", partition: 0, position: position + 100)])
            let plan = BatchPlan.sample(
                jobID, batch, epoch: epoch,
                ranges: [OffsetRange(topic: "events", partition: 0, from: position + 100, until: position + 110)])
            try fixture.catalog.appendPlan(plan)
            try fixture.catalog.finishBatch(plan, epoch: epoch)
            position += 110
        }
        for keep in [3, 2, 1] as [Int64] {
            var retention = Self.nothingKept
            retention.stateKeepBatches = keep
            retention.stateKeepMillis = 60_000_000
            #expect(try fixture.catalog.fold(jobID, epoch: epoch, retention).foldedUntil == 5 - keep)
            let report = try fixture.catalog.audit(jobID)
            #expect(report.findings.isEmpty && report.jumps.count == 4)
            #expect(report.partitions.map(\.range.until) == [450])
        }
    }

    @Test(arguments: CatalogPlace.available)
    func `a driver with an older epoch folds nothing and deletes no state`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, old) = try fixture.job()
        try fixture.run(jobID, old, batches: 1...4)
        _ = try fixture.acquire("views", .elsewhere("first"))
        #expect(failureCode { _ = try fixture.catalog.fold(jobID, epoch: old, Self.nothingKept) } == .leaseLost)
        #expect(try fixture.catalog.batches(jobID, last: 9).count == 4)
        #expect(try fixture.catalog.inlineState(jobID, name: "delta-1") != nil)
    }
}
