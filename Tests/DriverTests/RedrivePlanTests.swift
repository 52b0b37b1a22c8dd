import Driver
import Engine
import Testing

@Suite struct RedrivePlanTests {
    private func range(_ partition: Int32, _ from: Int64, _ until: Int64) -> OffsetRange {
        OffsetRange(topic: "t", partition: partition, from: from, until: until)
    }

    private func batch(
        _ number: BatchNumber, kind: BatchKind? = nil, only: [OffsetRange]? = nil, rejected: [OffsetRange]
    ) -> BatchRecord {
        var plan = BatchPlan(
            job: "j", jobID: JobID(text: "a"), batch: number, epoch: 1, batchTimeMillis: 0, seed: 0, ranges: [],
            watermarkBeforeMillis: nil, taskCounts: [1], keyGroups: 1, buildDigest: "", settingsDigest: "", planDigest: "",
            schemaDigest: "", lookups: [:], topicIDs: [:], stateBefore: nil)
        plan.kind = kind
        plan.only = only
        var outcome = BatchOutcome()
        outcome.rejectedRanges = rejected
        return BatchRecord(plan: plan, state: .done, outcome: outcome, plannedAtMillis: 0, doneAtMillis: 0)
    }

    private func open(_ log: [BatchRecord], only batch: BatchNumber? = nil, files: [String: [OffsetRange]] = [:]) -> [OffsetRange] {
        RedrivePlan.open(log, only: batch) { files[$0.name] ?? [] }
    }

    private let starts = [TopicPartition(topic: "t", partition: 0): Int64(0), TopicPartition(topic: "t", partition: 1): 0]

    @Test func `what a redrive passed is closed, what it rejected again is open`() {
        let log = [
            batch(1, rejected: [range(0, 3, 5), range(1, 7, 8)]), batch(2, rejected: [range(0, 20, 21)]),
            batch(3, kind: .redrive, only: [range(0, 3, 5), range(1, 7, 8)], rejected: [range(0, 4, 5)]),
        ]
        #expect(open(log) == [range(0, 4, 5), range(0, 20, 21)])
        #expect(open(log, only: 2) == [range(0, 20, 21)])
        // What a redrive rejects again is of the batch that met it first, and of the redrive.
        #expect(open(log, only: 1) == [range(0, 4, 5)])
        #expect(open(log, only: 3) == [range(0, 4, 5)])
    }

    @Test func `offsets that stand in a file are open like the others, those of late records are not`() {
        var log = [batch(1, rejected: [range(0, 3, 5)]), batch(2, kind: .redrive, only: [range(0, 9, 10)], rejected: [])]
        log[0].outcome?.offsetFiles = [.rejected, .late].map {
            OffsetFile(content: $0, topic: "t", partition: 0, name: $0.rawValue, offsets: 3, ranges: 2, digest: "")
        }
        let files = ["rejected": [range(0, 7, 8), range(0, 9, 11)], "late": [range(0, 100, 101)]]
        #expect(open(log, files: files) == [range(0, 3, 5), range(0, 7, 8), range(0, 10, 11)])
    }

    @Test func `records that are far apart are not read in one range, and no batch has two ranges of a partition`() {
        let plan = RedrivePlan(
            open: [range(0, 5, 6), range(0, 90, 92), range(0, 500_000, 500_001), range(1, 10, 11)], starts: starts)
        #expect(plan.steps.map(\.ranges) == [[range(0, 5, 92), range(1, 10, 11)], [range(0, 500_000, 500_001)]])
        #expect(plan.steps.map(\.only) == [[range(0, 5, 6), range(0, 90, 92), range(1, 10, 11)], [range(0, 500_000, 500_001)]])
        #expect(plan.records == 5 && plan.gone == [])
    }

    @Test func `a thousand scattered records make no row of the log that names them all`() {
        let plan = RedrivePlan(open: (0..<1000).map { range(0, $0 * 7, $0 * 7 + 1) }, starts: starts)
        #expect(plan.steps.count == 5 && plan.records == 1000)
        #expect(plan.steps.allSatisfy { $0.only.count <= 200 && $0.ranges.count == 1 })
    }

    @Test func `a batch looks at no more records than its row can name when all are rejected again`() {
        let plan = RedrivePlan(open: [range(0, 0, 2100), range(1, 10, 11)], starts: starts)
        #expect(
            plan.steps.map(\.only) == [
                [range(0, 0, 500), range(1, 10, 11)], [range(0, 500, 1000)], [range(0, 1000, 1500)], [range(0, 1500, 2000)], [range(0, 2000, 2100)],
            ])
        #expect(plan.steps.allSatisfy { $0.records <= 1000 } && plan.records == 2101)
        let deleted = RedrivePlan(open: [range(0, 0, 1_000_000_000_000)], starts: [TopicPartition(topic: "t", partition: 0): 999_999_999_999])
        #expect(deleted.gone == [range(0, 0, 999_999_999_999)] && deleted.steps.map(\.only) == [[range(0, 999_999_999_999, 1_000_000_000_000)]])
    }

    @Test func `what Kafka has deleted is named and not asked for`() {
        let plan = RedrivePlan(
            open: [range(0, 5, 10), range(1, 3, 4)], starts: [TopicPartition(topic: "t", partition: 0): 8])
        #expect(plan.gone == [range(0, 5, 8), range(1, 3, 4)] && plan.goneRecords == 4)
        #expect(plan.steps.map(\.only) == [[range(0, 8, 10)]])
    }

    @Test func `ranges are subtracted exactly`() {
        #expect(
            OffsetRange.subtracting([range(0, 2, 4), range(0, 6, 9), range(1, 0, 9)], from: [range(0, 0, 10), range(2, 0, 1)])
                == [range(0, 0, 2), range(0, 4, 6), range(0, 9, 10), range(2, 0, 1)])
        #expect(OffsetRange.common([range(0, 0, 10)], [range(0, 3, 4), range(0, 8, 20), range(1, 0, 5)]) == [range(0, 3, 4), range(0, 8, 10)])
    }
}
