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

    private let starts = [TopicPartition(topic: "t", partition: 0): Int64(0), TopicPartition(topic: "t", partition: 1): 0]

    @Test func `what a redrive passed is closed, what it rejected again is open`() {
        let log = [
            batch(1, rejected: [range(0, 3, 5), range(1, 7, 8)]), batch(2, rejected: [range(0, 20, 21)]),
            batch(3, kind: .redrive, only: [range(0, 3, 5), range(1, 7, 8)], rejected: [range(0, 4, 5)]),
        ]
        #expect(RedrivePlan.open(log) == [range(0, 4, 5), range(0, 20, 21)])
        #expect(RedrivePlan.open(log, only: 2) == [range(0, 20, 21)])
        // Of what batch 1 rejected nothing is open by its own word; the redrive's rejection is of batch 3.
        #expect(RedrivePlan.open(log, only: 1) == [])
        #expect(RedrivePlan.open(log, only: 3) == [range(0, 4, 5)])
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
