import Driver
import Engine
import Testing

@Suite struct SinkRerunTests {
    private func plan(_ batch: BatchNumber, from: Int64, state: BatchNumber? = nil) -> BatchPlan {
        BatchPlan(
            job: "j", jobID: JobID(text: "a"), batch: batch, epoch: 1, batchTimeMillis: 0, seed: 0,
            ranges: [OffsetRange(topic: "t", partition: 0, from: from, until: from + 10)], watermarkBeforeMillis: nil,
            taskCounts: [1], keyGroups: 1, buildDigest: "", settingsDigest: "", planDigest: "", schemaDigest: "", lookups: [:],
            topicIDs: [:], stateBefore: state.map { StateManifest(version: $0, entries: []) })
    }

    private let partition = TopicPartition(topic: "t", partition: 0)

    @Test func `batches run again back to where the log is folded, records are deleted, or the state is gone`() {
        let plans = (3...6).map { plan($0, from: $0 * 10, state: $0 - 1) }
        func rerun(start: Int64?, keptFrom: BatchNumber, last: BatchNumber = 6) -> SinkRerun {
            SinkRerun(plans: plans, last: last, starts: start.map { [partition: $0] } ?? [:]) { $0.version >= keptFrom }
        }
        #expect(rerun(start: 0, keptFrom: 0) == SinkRerun(from: 3, lacks: "batch 2 is not in the log one by one any more"))
        #expect(rerun(start: 41, keptFrom: 0).from == 5)
        #expect(rerun(start: 41, keptFrom: 0).lacks?.contains("batch 4 read") == true)
        #expect(rerun(start: 40, keptFrom: 0).from == 4)
        #expect(rerun(start: 0, keptFrom: 5) == SinkRerun(from: 6, lacks: "the state before batch 5 is not kept any more"))
        #expect(rerun(start: 0, keptFrom: 9).from == nil)
        // A partition that Kafka does not know any more has nothing.
        #expect(rerun(start: nil, keptFrom: 0).from == nil)
        #expect(rerun(start: 0, keptFrom: 0, last: 7) == SinkRerun(from: nil, lacks: "batch 7 is not in the log one by one any more"))
    }

    @Test func `a repair runs again only with the batches that it was made of`() {
        var plans = (3...6).map { plan($0, from: $0 * 10) }
        plans[2].kind = .repair
        plans[2].ranges = []
        plans[2].repairs = [2, 4]
        func rerun() -> SinkRerun { SinkRerun(plans: plans, last: 6, starts: [partition: 0]) { _ in true } }
        #expect(rerun() == SinkRerun(from: 6, lacks: "batch 2, which batch 5 repaired, cannot run again"))
        plans[2].repairs = [3, 4]
        #expect(rerun().from == 3)
        // One that only says what was written again needs nothing.
        plans[2].repairs = [1, 4]
        plans[2].output = .nothing
        #expect(rerun().from == 3)
    }

    @Test func `a log that is whole runs again from its first batch, and a new one lacks nothing`() {
        let plans = (1...2).map { plan($0, from: $0 * 10) }
        #expect(SinkRerun(plans: plans, last: 2, starts: [partition: 0]) { _ in false } == SinkRerun(from: 1, lacks: nil))
        #expect(SinkRerun(plans: [], last: 0, starts: [:]) { _ in false } == SinkRerun(from: nil, lacks: nil))
    }
}
