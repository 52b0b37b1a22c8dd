// What bad records do to a job: go on, say so, or stop before anything is written; and what is kept of them, and for how many.

import Driver
import Engine
import Testing
import Wire

private typealias Batch = RejectWatch.Batch

private func limits(share: Double = 0.5, minimum: Int64 = 100, inARow: Int64 = 3, format: RecordFormat = .avro) -> RejectWatch.Limits {
    RejectWatch.Limits(share: share, minimum: minimum, batchesInARow: inARow, format: format)
}

private let now: Int64 = 1_772_366_400_000

@Suite struct RejectWatchTests {
    @Test(arguments: [
        // The symptom: 99 of 99 unreadable, exit 0.
        (Batch(number: 1, records: 99, rejected: 99), true), (Batch(number: 1, records: 1, rejected: 1), true),
        (Batch(number: 2, records: 99, rejected: 99), false), (Batch(number: 2, records: 100, rejected: 100), true),
        (Batch(number: 1, records: 99, rejected: 49), false), (Batch(number: 2, records: 1000, rejected: 501), true),
        (Batch(number: 2, records: 1000, rejected: 500), false), (Batch(number: 1, records: 0, rejected: 0), false),
        // 600 of 1,000 are tombstones: what is judged are the other 400.
        (Batch(number: 1, records: 1000, rejected: 0, tombstones: 600), false),
        (Batch(number: 1, records: 1000, rejected: 201, tombstones: 600), true),
        (Batch(number: 1, records: 600, rejected: 0, tombstones: 600), false),
        (Batch(number: 9, records: .max, rejected: .max), true),
    ])
    private func `the share stops a job, in its first batch however few there are`(batch: Batch, stops: Bool) {
        let verdict = RejectWatch().verdict(batch, limits(), nowMillis: now)
        #expect((verdict.failure?.code == .tooManyRejected) == stops)
    }

    @Test func `a batch of which nothing could be read is said at once, and a few in a row stop the job`() {
        var watch = RejectWatch()
        for number: Int64 in 5...6 {
            let batch = Batch(number: number, records: 2, rejected: 2)
            let verdict = watch.verdict(batch, limits(), nowMillis: now)
            #expect(verdict.failure == nil && verdict.warning?.contains("batch \(number)") == true)
            // Tried again, it does not count twice.
            #expect(watch.verdict(batch, limits(), nowMillis: now) == verdict)
            watch.done(batch)
            // Nothing was read, so nothing has changed.
            watch.done(Batch(number: number, records: 3, rejected: 0, tombstones: 3))
        }
        #expect(watch.verdict(Batch(number: 7, records: 1, rejected: 1), limits(), nowMillis: now).failure?.code == .tooManyRejected)
        // All allowed is all allowed.
        #expect(watch.verdict(Batch(number: 7, records: 1, rejected: 1), limits(share: 1), nowMillis: now).failure == nil)
        watch.done(Batch(number: 7, records: 2, rejected: 1))
        #expect(watch.verdict(Batch(number: 8, records: 1, rejected: 1), limits(), nowMillis: now).failure == nil)
    }

    @Test(arguments: [
        (
            RejectExample(partition: 3, offset: 17, reason: .timeOutOfRange, timeMillis: now * 1000, head: []), RecordFormat.avro,
            ["3 at 17", "timeOutOfRange", "5813", "microseconds"]
        ),
        (RejectExample(partition: 0, offset: 1, reason: .timeOutOfRange, timeMillis: now * 1_000_000, head: []), .json, ["nanoseconds"]),
        (RejectExample(partition: 0, offset: 1, reason: .futureTime, timeMillis: now + 7_200_000, head: []), .avro, ["2026-03-01T14:00:00.000Z"]),
        (RejectExample(partition: 0, offset: 1, reason: .unknownSchema, timeMillis: nil, head: [0, 0, 0, 1, 2]), .avro, ["schema id is 258"]),
        (RejectExample(partition: 0, offset: 1, reason: .framing, timeMillis: nil, head: Array("{\"use".utf8)), .avro, ["7b 22", "JSON"]),
        (RejectExample(partition: 0, offset: 1, reason: .invalidValue, timeMillis: nil, head: [0, 0, 0, 0, 1]), .json, ["looks like Avro"]),
        (RejectExample(partition: 0, offset: 1, reason: .empty, timeMillis: nil, head: []), .json, ["empty"]),
    ])
    func `what is said of a rejected record names its time or how its bytes begin, and guesses what was taken for what`(
        example: RejectExample, format: RecordFormat, words: [String]
    ) {
        let batch = Batch(number: 4, records: 1, rejected: 1, topic: "ad-events", example: example)
        let warning = RejectWatch().verdict(batch, limits(format: format), nowMillis: now).warning ?? ""
        for word in words + ["ad-events/"] { #expect(warning.contains(word), "\(warning) lacks \(word)") }
    }

    @Test func `a time of today or far off names no unit`() {
        #expect(likelyUnit(ofMillis: now, nowMillis: now) == nil && likelyUnit(ofMillis: .max, nowMillis: now) == nil)
        #expect(likelyUnit(ofMillis: .min, nowMillis: now) == nil && likelyUnit(ofMillis: now / 1000, nowMillis: now) == "seconds")
    }

    @Test func `records of two writer schemas under one file stop the job, in one batch or in two`() {
        var watch = RejectWatch()
        let both = watch.verdict(Batch(number: 1, records: 9, rejected: 0, schemaIDs: [1, 2]), limits(), nowMillis: now)
        #expect(both.failure?.code == .schemaMismatch && both.failure?.now.contains("1=FILE,2=FILE") == true)
        watch.done(Batch(number: 1, records: 9, rejected: 0, schemaIDs: [1]))
        #expect(watch.verdict(Batch(number: 2, records: 9, rejected: 0, schemaIDs: [1]), limits(), nowMillis: now).failure == nil)
        #expect(watch.verdict(Batch(number: 2, records: 9, rejected: 0, schemaIDs: [2]), limits(), nowMillis: now).failure != nil)
    }
}

@Suite struct OutcomeBoundTests {
    private func plan(_ partitions: Int) -> BatchPlan {
        BatchPlan(
            job: "j", jobID: JobID(text: "1"), batch: 3, epoch: 1, batchTimeMillis: now, seed: 1,
            ranges: (0..<Int32(partitions)).map { OffsetRange(topic: "t", partition: $0, from: 0, until: 1000) },
            watermarkBeforeMillis: nil, taskCounts: [partitions], keyGroups: 1, buildDigest: "", settingsDigest: "", planDigest: "",
            schemaDigest: "", lookups: [:], topicIDs: [:], stateBefore: nil)
    }

    private func report(_ part: Int, records: Int, bytes: Int) -> TaskReport {
        var report = TaskReport()
        report.records = 1000
        report.rejected = Int64(records)
        report.tombstones = 2
        report.quarantine = (0..<records).map {
            QuarantinedRecord(topic: "t", partition: Int32(part), offset: Int64($0), reason: .framing, raw: Array(repeating: 0, count: bytes))
        }
        report.rejectedRanges = (0..<Int64(records)).map { OffsetRange(topic: "t", partition: Int32(part), from: $0 * 2, until: $0 * 2 + 1) }
        report.rejectedUnlisted = 7
        return report
    }

    private func outcome(_ order: [Int], records: Int, bytes: Int, bound: Int) -> (BatchOutcome, [QuarantinedRecord]) {
        var builder = OutcomeBuilder(plan: plan(order.count), quarantineBytes: bound)
        for part in order {
            builder.accept(report(part, records: records, bytes: bytes), of: StageTracker.Attempt(stage: 0, part: part, attempt: 1))
        }
        let result = builder.outcome(watermark: WatermarkTracker(latenessMillis: 0), positions: [], unread: [])
        return (result.outcome, result.quarantine)
    }

    @Test func `bad records of a thousand partitions are kept within the bound of one batch, the same in any order`() {
        let parts = Array(0..<1000)
        let (_, kept) = outcome(parts, records: 4, bytes: 4096, bound: 100_000)
        #expect(kept.reduce(0) { $0 + $1.raw.count } <= 100_000 && kept.count == 24)
        #expect(outcome(parts.reversed(), records: 4, bytes: 4096, bound: 100_000).1 == kept)
        #expect(outcome(parts.shuffled(), records: 4, bytes: 4096, bound: 100_000).1 == kept)
    }

    @Test func `a row of the log names a bounded number of ranges, and counts the offsets of the others`() {
        let (outcome, _) = outcome(Array(0..<30), records: 100, bytes: 1, bound: 1000)
        #expect(outcome.rejected == 3000 && outcome.rejectedRanges.count == Limits.listedRanges)
        let beyond: Int64? = 3000 - 1000 + 30 * 7
        #expect(outcome.rejectedUnlisted == beyond)
        #expect(outcome.lateUnlisted == nil && outcome.tombstones == 60)
    }

    @Test func `each of more partitions than a row of the log has ranges may name one`() {
        let (outcome, _) = outcome(Array(0..<1500), records: 1, bytes: 1, bound: 1000)
        #expect(outcome.rejectedRanges.count == 1500 && outcome.rejectedUnlisted == 1500 * 7)
    }

    @Test func `hostile offsets and times neither trap nor wrap`() {
        let tracker = WatermarkTracker(latenessMillis: 60_000)
        func partition(_ number: Int32) -> TopicPartition { TopicPartition(topic: "t", partition: number) }
        let hostile = [PartitionPosition(topic: "t", partition: 0, position: 1, maxEventTimeMillis: .min)]
        #expect(tracker.watermark(before: nil, positions: hostile, unread: [], batchTimeMillis: .min) == .min)
        #expect(tracker.watermark(before: 5, positions: hostile, unread: [], batchTimeMillis: .max) == 5)
        #expect(WatermarkTracker.needsLook(closed: .min, reached: .max, windowMillis: 10_000))
        let found = PartitionPosition(topic: "t", partition: 1, position: 1, foundMillis: .max)
        #expect(tracker.isHolding(found, batchTimeMillis: .min))
        #expect(OffsetRange(topic: "t", partition: 0, from: .min, until: .max).count == .max)
        #expect(OffsetRange.covering([.max, .max - 1], of: OffsetRange(topic: "t", partition: 0, from: 0, until: .max)).count == 1)
        for bound: Int64? in [nil, 1, .max - 1, .max] {
            let ranges = OffsetPlanner(maxRecords: bound).ranges(
                positions: [partition(0): .min, partition(1): 0], ends: [partition(0): .max, partition(1): .max])
            #expect(!ranges.isEmpty && ranges.allSatisfy { $0.count > 0 })
        }
    }
}
