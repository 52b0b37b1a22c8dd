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
        let hours = try fixture.catalog.hours(jobID)
        #expect(hours.count == 1 && hours.first?.kind == .live && hours.first?.batches == 5)
        #expect(hours.first?.ranges == (0..<2).map { OffsetRange(topic: "events", partition: $0, from: 0, until: 50) })
        // Batch 6 refers to the state that batch 5 left.
        #expect(try fixture.catalog.batch(jobID, 6)?.plan == .sample(jobID, 6, epoch: epoch))
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
    func `lookups that no plan names go with a fold, but for new ones`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        for digest in ["named", "forgotten", "new"] { try fixture.catalog.putLookup(digest: digest, bytes: Array(digest.utf8)) }
        let database = try fixture.database()
        try database.execute("UPDATE sluice_lookups SET stored_at_millis = 1 WHERE digest <> 'new'")
        database.close()
        for batch: BatchNumber in 1...3 {
            var plan = BatchPlan.sample(jobID, batch, epoch: epoch)
            plan.lookups = ["ads": "named"]
            try fixture.catalog.appendPlan(plan)
            try fixture.catalog.finishBatch(plan, epoch: epoch)
        }
        #expect(try fixture.catalog.fold(jobID, epoch: epoch, Self.nothingKept).foldedBatches == 2)
        try fixture.run(jobID, epoch, batches: 4...5)
        // Said to be needed still, or put again: no plan has to name them for a day.
        for digest in ["kept", "again"] { try fixture.catalog.putLookup(digest: digest, bytes: [1]) }
        let later = try fixture.database()
        try later.execute("UPDATE sluice_lookups SET stored_at_millis = 1 WHERE digest IN ('kept', 'again')")
        later.close()
        try fixture.catalog.keepLookups(["kept"])
        try fixture.catalog.putLookup(digest: "again", bytes: [1])
        #expect(try fixture.catalog.fold(jobID, epoch: epoch, Self.nothingKept).foldedBatches == 2)
        #expect(try ["kept", "again"].allSatisfy { try fixture.catalog.lookup($0) != nil })
        #expect(try ["named", "forgotten", "new"].map { try fixture.catalog.lookup($0) != nil } == [true, false, true])
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

    /// Puts `batches` batches into each hour, long ago.
    private func spread(_ fixture: CatalogFixture, batches: Int64) throws {
        let database = try fixture.database()
        defer { database.close() }
        try database.execute(
            "UPDATE sluice_batches SET done_at_millis = 1772366400000 + (batch - 1) / $1 * 3600000 + batch WHERE state = 'done'",
            [.int(batches)])
    }

    @Test(arguments: CatalogPlace.available)
    func `a log beyond its size becomes a row an hour and audit still proves every offset`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...20)
        let before = try fixture.catalog.audit(jobID)
        try spread(fixture, batches: 4)
        // Nothing is old: size alone folds. Two of the newest fit in.
        var retention = LogRetention(logKeepMillis: .max / 4, logBytes: 1700, stateKeepBatches: 1, stateKeepMillis: .max / 4)
        let report = try fixture.catalog.fold(jobID, epoch: epoch, retention)
        #expect(report.findings == [] && report.foldedUntil >= 17 && report.foldedUntil < 20)
        var hours = try fixture.catalog.hours(jobID)
        #expect(hours.map(\.batches) == [4, 4, 4, 4, report.foldedUntil - 16])
        #expect(hours.map(\.firstBatch) == [1, 5, 9, 13, 17] && hours[1].rowsIn == 80)
        #expect(hours[1].ranges == (0..<2).map { OffsetRange(topic: "events", partition: $0, from: 40, until: 80) })
        let after = try fixture.catalog.audit(jobID)
        #expect(after.passes(strict: true) && after.batches == 20 && after.partitions.map(\.range) == before.partitions.map(\.range))

        // The hour goes on where the fold stopped in it.
        try fixture.run(jobID, epoch, batches: 21...23)
        try spread(fixture, batches: 4)
        _ = try fixture.catalog.fold(jobID, epoch: epoch, retention)
        hours = try fixture.catalog.hours(jobID)
        #expect(hours[4].batches == 4 && hours[4].ranges.first?.until == 200)
        #expect(try fixture.catalog.audit(jobID).passes(strict: true))

        // Hours that are old become the checkpoint.
        retention.logKeepMillis = 60_000
        retention.stateKeepMillis = 60_000
        _ = try fixture.catalog.fold(jobID, epoch: epoch, retention)
        #expect(try fixture.catalog.hours(jobID) == [])
        #expect(try fixture.catalog.checkpoints(jobID).map(\.until).allSatisfy { $0 >= 200 })
        let last = try fixture.catalog.audit(jobID)
        #expect(last.passes(strict: true) && last.batches == 23)
        #expect(last.partitions.map(\.range).allSatisfy { $0.from == 0 && $0.until == 230 })
    }

    @Test(arguments: CatalogPlace.available)
    func `the state at the end of an hour is kept for log_keep and the others are not`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...10)
        try spread(fixture, batches: 4)
        var retention = LogRetention(logKeepMillis: .max / 4, logBytes: 1, stateKeepBatches: 1, stateKeepMillis: .max / 4)
        let report = try fixture.catalog.fold(jobID, epoch: epoch, retention)
        func kept() throws -> [Int] {
            try (1...10).filter { try fixture.catalog.inlineState(jobID, name: "delta-\($0)") != nil }
        }
        #expect(report.deletedStates == 7 && report.namedFiles == ["snapshot-0"])
        #expect(try kept() == [4, 8, 10])
        #expect(try fixture.catalog.keptHourStates(jobID).map(\.state) == [.sample(version: 4), .sample(version: 8)])
        // The batch behind a folded one still knows the state that it starts from.
        #expect(try fixture.catalog.batches(jobID, last: 9).first?.plan.stateBefore == .sample(version: 9))
        retention.logKeepMillis = 60_000
        _ = try fixture.catalog.fold(jobID, epoch: epoch, retention)
        #expect(try kept() == [10])
        #expect(try fixture.catalog.keptHourStates(jobID).isEmpty)
    }

    @Test(arguments: CatalogPlace.available)
    func `a redrive overlaps what was read by right and is counted apart, folded or not`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...2)
        var redrive = BatchPlan.sample(
            jobID, 3, epoch: epoch, ranges: [OffsetRange(topic: "events", partition: 0, from: 3, until: 4)])
        redrive.kind = .redrive
        try fixture.catalog.appendPlan(redrive)
        var outcome = BatchOutcome.sample(3)
        outcome.state = nil
        try fixture.catalog.finishBatch(jobID, batch: 3, epoch: epoch, outcome: outcome, positions: [])
        for batch in 4...5 as ClosedRange<BatchNumber> {
            let plan = BatchPlan.sample(
                jobID, batch, epoch: epoch,
                ranges: [OffsetRange(topic: "events", partition: 0, from: (batch - 2) * 10, until: (batch - 1) * 10)])
            try fixture.catalog.appendPlan(plan)
            try fixture.catalog.finishBatch(plan, epoch: epoch)
        }
        for isFolded in [false, true] {
            if isFolded {
                #expect(try fixture.catalog.fold(jobID, epoch: epoch, Self.nothingKept).foldedUntil == 4)
                #expect(try fixture.catalog.hours(jobID).map(\.kind) == [.live, .redrive])
            }
            let report = try fixture.catalog.audit(jobID)
            #expect(report.findings == [] && report.again == ["redrive": 1] && report.batches == 5)
            #expect(report.partitions.map(\.range.until) == [40, 20])
        }
    }

    @Test(arguments: CatalogPlace.available)
    func `an hour that was tampered with is found`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...12)
        try spread(fixture, batches: 4)
        _ = try fixture.catalog.fold(
            jobID, epoch: epoch, LogRetention(logKeepMillis: .max / 4, logBytes: 1, stateKeepBatches: 1, stateKeepMillis: .max / 4))
        let database = try fixture.database()
        defer { database.close() }
        try database.execute("UPDATE sluice_hours SET ranges = replace(ranges, '[1,40,80]', '[1,45,80]')")
        #expect(try fixture.catalog.audit(jobID).findings.map(\.kind) == [.gap])
        try database.execute("DELETE FROM sluice_hours WHERE first_batch = 5")
        #expect(try fixture.catalog.audit(jobID).findings.map(\.kind).contains(.batchMissing))
    }
}
