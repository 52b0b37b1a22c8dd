// Questions to the log.

import Driver
import Engine
import Testing

struct CatalogReadingTests {
    @Test(arguments: CatalogPlace.available)
    func `an empty log answers with nothing`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, _) = try fixture.job()
        let catalog = fixture.catalog
        #expect(try catalog.openPlan(jobID) == nil && catalog.lastDone(jobID) == nil && catalog.batch(jobID, 1) == nil)
        #expect(try catalog.batches(jobID, last: 5).isEmpty && catalog.positions(jobID).isEmpty)
        #expect(try catalog.jumps(jobID).isEmpty && catalog.quarantined(jobID, limit: 5).isEmpty)
        #expect(try catalog.inlineState(jobID, name: "x") == nil && catalog.lookup("x") == nil)
        #expect(try catalog.audit(jobID).passes(strict: true))
    }

    /// Offsets of partition 0 after batches [0, 10), [10, 20), a jump to 50 and batch [50, 60).
    @Test(arguments: CatalogPlace.available)
    func `starts and ends of batches are recorded, and nothing between them`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        let catalog = fixture.catalog
        try fixture.run(jobID, epoch, batches: 1...2, partitions: 1)
        try catalog.recordJump(
            [Jump(jobID: jobID, flag: "f", topic: "events", partition: 0, oldPosition: 20, newPosition: 50)],
            epoch: epoch, newPositions: [PartitionPosition(topic: "events", partition: 0, position: 50)])
        let place = TopicPartition(topic: "events", partition: 0)
        func recorded() throws -> [Int64] {
            try (-1...70).filter { try catalog.isRecordedEnd(jobID, place, offset: $0) }
        }
        #expect(try recorded() == [0, 10, 20, 50])
        let plan = BatchPlan.sample(
            jobID, 3, epoch: epoch, ranges: [OffsetRange(topic: "events", partition: 0, from: 50, until: 60)])
        try catalog.appendPlan(plan)
        try catalog.finishBatch(plan, epoch: epoch)
        #expect(try recorded() == [0, 10, 20, 50, 60])
        #expect(try !catalog.isRecordedEnd(jobID, TopicPartition(topic: "events", partition: 1), offset: 10))
        #expect(try !catalog.isRecordedEnd(jobID, TopicPartition(topic: "other", partition: 0), offset: 10))
        #expect(try !catalog.isRecordedEnd(.random(), place, offset: 10))
    }

    @Test(arguments: CatalogPlace.available)
    func `ten thousand ranges are planned, listed in order and audited`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...2, partitions: 10_000)
        let open = BatchPlan.sample(jobID, 3, epoch: epoch, partitions: 3)
        try fixture.catalog.appendPlan(open)
        var seen: [LoggedRange] = []
        try fixture.catalog.doneRanges(jobID) { seen.append($0) }
        let expected = (1...2).flatMap { batch in
            BatchPlan.sample(jobID, BatchNumber(batch), epoch: epoch, partitions: 10_000).ranges.map {
                LoggedRange(batch: BatchNumber(batch), range: $0)
            }
        }
        #expect(seen == expected)
        var second: [LoggedRange] = []
        try fixture.catalog.doneRanges(jobID, after: 1, until: 2) { second.append($0) }
        #expect(second == Array(expected[10_000...]))
        let report = try fixture.catalog.audit(jobID)
        #expect(report.findings.isEmpty && report.partitions.count == 10_000 && report.batches == 2)
    }

    /// Kafka allows none of these topics, but a hash or a topic must never reach the database as syntax.
    @Test(arguments: CatalogPlace.available)
    func `positions come back as they were, whatever their texts hold`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        let texts = ["plain", "quo\"te", "back\\slash", "new\nline\u{1}\u{1f}", "it's; --", "größe 日本 🜁", ""]
        let plan = BatchPlan.sample(
            jobID, 1, epoch: epoch,
            ranges: texts.enumerated().map {
                OffsetRange(topic: $1, partition: Int32($0), from: .max - 9, until: .max - Int64($0))
            })
        let positions = plan.ranges.map {
            PartitionPosition(
                topic: $0.topic, partition: $0.partition, position: $0.until, tailOffset: $0.until - 1,
                tailHash: $0.topic, maxEventTimeMillis: -Int64($0.partition))
        }
        try fixture.catalog.appendPlan(plan)
        try fixture.catalog.finishBatch(
            jobID, batch: 1, epoch: epoch, outcome: BatchOutcome(), positions: positions)
        let sorted = positions.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
        #expect(try fixture.catalog.positions(jobID) == sorted)
        #expect(try fixture.catalog.audit(jobID).findings.isEmpty)
    }

    @Test(arguments: CatalogPlace.available)
    func `rejected records are kept with their bytes`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        let records = RejectReason.allCases.enumerated().map { index, reason in
            QuarantinedRecord(
                topic: "events", partition: 1, offset: Int64(index), reason: reason,
                raw: index == 0 ? [] : [0, 255, 39, 34])
        }
        for batch in [1, 2] as [BatchNumber] {
            let plan = BatchPlan.sample(jobID, batch, epoch: epoch)
            try fixture.catalog.appendPlan(plan)
            try fixture.catalog.finishBatch(
                jobID, batch: batch, epoch: epoch, outcome: BatchOutcome(), positions: plan.positionsAfter,
                quarantine: batch == 1 ? records : [records[3]])
        }
        #expect(try fixture.catalog.quarantined(jobID, batch: 1, limit: 100).map(\.record) == records)
        #expect(try fixture.catalog.quarantined(jobID, limit: 2).map(\.batch) == [2, 1])
        #expect(try fixture.catalog.quarantined(jobID, batch: 2, limit: 9).map(\.record) == [records[3]])
    }

    @Test(arguments: CatalogPlace.available)
    func `a lookup is kept by its digest`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try fixture.catalog.putLookup(digest: "d1", bytes: bytes)
        try fixture.catalog.putLookup(digest: "d1", bytes: bytes)
        try fixture.catalog.putLookup(digest: "d2", bytes: [])
        #expect(try fixture.another().lookup("d1") == bytes)
        #expect(try fixture.catalog.lookup("d2") == [])
        #expect(try fixture.catalog.lookup("d3") == nil)
    }

    @Test(arguments: CatalogPlace.available)
    func `a row that cannot be read is a damaged catalog, not an empty one`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...1)
        let database = try fixture.database()
        defer { database.close() }
        for text in ["", "{}x", "[]", "{\"t\":[[0,1]]}", "{\"t\":[[0,1,99999999999999999999]]}", "{\"t\":[[0,1,2]"] {
            try database.execute("UPDATE sluice_batches SET ranges = $1", [.text(text)])
            #expect(failureCode { _ = try fixture.catalog.lastDone(jobID) } == .catalogFailed, "\(text)")
        }
        try database.execute("UPDATE sluice_batches SET ranges = ' { \"t\" : [ [ 0 , 1 , 2 ] ] } '")
        #expect(
            try fixture.catalog.lastDone(jobID)?.plan.ranges == [OffsetRange(topic: "t", partition: 0, from: 1, until: 2)])
        try database.execute("UPDATE sluice_batches SET plan = '{\"job\": 1}'")
        #expect(failureCode { _ = try fixture.catalog.lastDone(jobID) } == .catalogFailed)
        try database.execute("DROP TABLE sluice_positions")
        #expect(failureCode { _ = try fixture.catalog.positions(jobID) } == .catalogFailed)
    }

    @Test(arguments: CatalogPlace.available)
    func `an audit of tampered tables names the exact range`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...5)
        #expect(try fixture.catalog.audit(jobID).passes(strict: true))
        let database = try fixture.database()
        defer { database.close() }
        try database.execute("UPDATE sluice_batches SET ranges = replace(ranges, '[1,10,20]', '[1,10,18]') WHERE batch = 2")
        try database.execute("UPDATE sluice_batches SET ranges = replace(ranges, '[0,30,40]', '[0,27,40]') WHERE batch = 4")
        try database.execute("UPDATE sluice_positions SET position = 51 WHERE partition = 0")
        let report = try fixture.catalog.audit(jobID)
        #expect(
            report.findings.map(\.description) == [
                "gap in events/1: offsets [18, 20) were read by no batch (between batch 2 and batch 3)",
                "overlap in events/0: offsets [27, 30) were read again by batch 4",
                "position of events/0 is 51, its last range ended at 50",
            ])
        try database.execute("DELETE FROM sluice_batches WHERE batch = 3")
        let later = try fixture.catalog.audit(jobID).findings
        #expect(later.contains { $0.kind == .batchMissing })
        #expect(
            later.contains(
                AuditFinding(
                    kind: .gap, topicPartition: TopicPartition(topic: "events", partition: 1), from: 18, until: 30,
                    afterBatch: 2, atBatch: 4)))
    }
}
