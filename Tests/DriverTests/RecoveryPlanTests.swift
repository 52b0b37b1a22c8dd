import Driver
import Engine
import Testing

private let jobID = JobID(text: "11111111111111112222222222222222")
private let other = JobID(text: "99999999999999998888888888888888")
private let p0 = TopicPartition(topic: "t", partition: 0)

private func plan(batch: BatchNumber = 4, build: String = "b1", settings: String = "s1") -> BatchPlan {
    BatchPlan(
        job: "j", jobID: jobID, batch: batch, epoch: 1, batchTimeMillis: 0, seed: 0,
        ranges: [OffsetRange(topic: "t", partition: 0, from: 10, until: 20)], watermarkBeforeMillis: nil,
        taskCounts: [1], keyGroups: 8, buildDigest: build, settingsDigest: settings, planDigest: "p1",
        schemaDigest: "x", lookups: [:], topicIDs: [:], stateBefore: nil)
}

private func facts(
    owner: SinkOwner = .job(jobID, 1), positions: [TopicPartition: Int64] = [p0: 10],
    committed: [TopicPartition: Int64] = [:], recorded: Set<TopicPartition> = [], open: BatchPlan? = nil,
    sealed: [Int: BatchNumber] = [:], build: String = "b1", settings: String = "s1", adopt: Bool = false,
    offsets: OffsetsFlag? = nil
) -> RecoveryPlan.Facts {
    RecoveryPlan.Facts(
        job: "j", jobID: jobID, isStateful: true, group: "sluice.j", sinkOwner: owner, positions: positions,
        committed: committed, recordedEnds: recorded, openPlan: open, sealed: sealed, buildDigest: build,
        settingsDigest: settings, planDigest: "p1", adopt: adopt, offsets: offsets)
}

@Suite struct RecoveryPlanTests {
    struct Case: Sendable, CustomStringConvertible {
        var description: String
        var facts: RecoveryPlan.Facts
        var step: RecoveryPlan.Step?
        var code: Failure.Code?
    }

    static let cases = [
        Case(description: "a new job starts at `from`", facts: facts(owner: .nobody, positions: [:]), step: .startFromSetting),
        Case(description: "a job goes on at its log", facts: facts(), step: .resume),
        Case(description: "a sink of another id refuses", facts: facts(owner: .job(other, 3)), code: .sinkOwnedByOther),
        Case(description: "--adopt takes it over", facts: facts(owner: .job(other, 3), adopt: true), step: .resume),
        Case(
            description: "offsets in Kafka without a log refuse", facts: facts(owner: .nobody, positions: [:], committed: [p0: 7]),
            code: .offsetsWithoutLog),
        Case(
            description: "--offsets kafka resumes there",
            facts: facts(owner: .nobody, positions: [:], committed: [p0: 7], offsets: .kafka), step: .startFromKafka([p0: 7])),
        Case(
            description: "--offsets from begins anew",
            facts: facts(owner: .nobody, positions: [:], committed: [p0: 7], offsets: .from), step: .startFromSetting),
        Case(
            description: "a committed end of an older batch is not moved by hand",
            facts: facts(committed: [p0: 5], recorded: [p0]), step: .resume),
        Case(description: "the same position is not moved", facts: facts(committed: [p0: 10]), step: .resume),
        Case(description: "moved by hand refuses", facts: facts(committed: [p0: 6]), code: .offsetsMoved),
        Case(description: "--offsets log keeps the log", facts: facts(committed: [p0: 6], offsets: .log), step: .resume),
        Case(description: "--offsets kafka jumps", facts: facts(committed: [p0: 6], offsets: .kafka), step: .jump([p0: 6])),
        Case(description: "an open batch is finished first", facts: facts(open: plan()), step: .finish(plan())),
        Case(
            description: "an open batch is finished whatever Kafka says", facts: facts(committed: [p0: 6], open: plan()),
            step: .finish(plan())),
        Case(
            description: "another build plans an unsealed batch again", facts: facts(open: plan(), sealed: [0: 3], build: "b2"),
            step: .planAgain(plan())),
        Case(
            description: "other settings plan an unsealed batch again", facts: facts(open: plan(), settings: "s2"),
            step: .planAgain(plan())),
        Case(
            description: "another build refuses a batch with a sealed part",
            facts: facts(open: plan(), sealed: [0: 3, 1: 4], build: "b2"), code: .planSealedByOther),
        Case(
            description: "the same build finishes a batch with a sealed part", facts: facts(open: plan(), sealed: [1: 4]),
            step: .finish(plan())),
    ]

    @Test(arguments: cases) func `the decision table holds`(_ c: Case) {
        do throws(Failure) {
            let step = try RecoveryPlan.decide(c.facts)
            #expect(step == c.step)
        } catch {
            #expect(error.code == c.code)
        }
    }

    @Test func `a refusal names both positions and both flags`() {
        do throws(Failure) {
            _ = try RecoveryPlan.decide(facts(committed: [p0: 6]))
            Issue.record("it was not refused")
        } catch {
            #expect(error.why.contains("log 10") && error.why.contains("Kafka 6"))
            #expect(error.now.contains("--offsets log") && error.now.contains("--offsets kafka"))
        }
    }
}
