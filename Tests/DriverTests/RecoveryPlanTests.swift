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

private let p1 = TopicPartition(topic: "t", partition: 1)

/// Offsets without a mark, as Kafka's own tools leave them.
private func moved(_ offsets: [TopicPartition: Int64]) -> [TopicPartition: RecoveryPlan.Committed] {
    offsets.mapValues { .init(offset: $0, metadata: "") }
}

/// Offsets that the job committed itself.
private func ours(_ offsets: [TopicPartition: Int64], isRecorded: Bool = true) -> [TopicPartition: RecoveryPlan.Committed] {
    offsets.mapValues { .init(offset: $0, metadata: OffsetMark(batch: 3, epoch: 1).text, isRecorded: isRecorded) }
}

private func facts(
    owner: SinkOwner = .job(jobID, 1), positions: [TopicPartition: Int64] = [p0: 10],
    committed: [TopicPartition: RecoveryPlan.Committed] = [:], open: BatchPlan? = nil,
    sealed: [Int: BatchNumber] = [:], build: String = "b1", settings: String = "s1", adopt: Bool = false,
    offsets: OffsetsFlag? = nil, isStateful: Bool = true, version: KeptVersion? = nil, replacesRows: Bool = true
) -> RecoveryPlan.Facts {
    var facts = RecoveryPlan.Facts(
        job: "j", jobID: jobID, isStateful: isStateful, group: "sluice.j", sinkOwner: owner, positions: positions,
        committed: committed, openPlan: open, sealed: sealed, buildDigest: build,
        settingsDigest: settings, planDigest: "p1", adopt: adopt, offsets: offsets)
    facts.version = version
    facts.replacesRows = replacesRows
    return facts
}

/// A jump by its ends, as `from -> to (wanted)`.
private func jump(_ steps: [RecoveryPlan.Step]) -> [String] {
    guard case .jump(let jump)? = steps.first else { return ["no jump"] }
    return jump.moves.map { "\($0.partition): \($0.from) -> \($0.to) (\($0.wanted))" }
}

@Suite struct RecoveryPlanTests {
    struct Case: Sendable, CustomStringConvertible {
        var description: String
        var facts: RecoveryPlan.Facts
        var steps: [RecoveryPlan.Step]?
        var code: Failure.Code?
    }

    static let cases = [
        Case(description: "a new job starts at `from`", facts: facts(owner: .nobody, positions: [:]), steps: [.startFromSetting]),
        Case(description: "a job goes on at its log", facts: facts(), steps: [.resume]),
        Case(description: "a sink of another id refuses", facts: facts(owner: .job(other, 3)), code: .sinkOwnedByOther),
        Case(description: "--adopt takes it over", facts: facts(owner: .job(other, 3), adopt: true), steps: [.resume]),
        Case(
            description: "offsets in Kafka without a log refuse",
            facts: facts(owner: .nobody, positions: [:], committed: ours([p0: 7])), code: .offsetsWithoutLog),
        Case(
            description: "--offsets kafka resumes there",
            facts: facts(owner: .nobody, positions: [:], committed: ours([p0: 7]), offsets: .kafka),
            steps: [.startFromKafka([p0: 7]), .confirmAll]),
        Case(
            description: "--offsets from begins anew, and the group follows",
            facts: facts(owner: .nobody, positions: [:], committed: moved([p0: 7]), offsets: .from),
            steps: [.startFromSetting, .confirmAll]),
        Case(
            description: "a commit of ours is not moved by hand, however old",
            facts: facts(committed: ours([p0: 5])), steps: [.resume]),
        Case(
            description: "a commit of ours of a batch that the log has folded is not moved by hand",
            facts: facts(committed: ours([p0: 5], isRecorded: false)), steps: [.resume]),
        Case(description: "the same position is not moved", facts: facts(committed: moved([p0: 10])), steps: [.resume]),
        Case(description: "moved by hand refuses", facts: facts(committed: moved([p0: 6])), code: .offsetsMoved),
        Case(
            description: "moved by hand to the end of an earlier batch refuses",
            facts: facts(committed: [p0: .init(offset: 5, metadata: nil, isRecorded: true)]), code: .offsetsMoved),
        Case(
            description: "moved by hand refuses before an open batch is finished",
            facts: facts(committed: moved([p0: 6]), open: plan()), code: .offsetsMoved),
        Case(
            description: "--offsets from does not accept what was moved",
            facts: facts(committed: moved([p0: 6]), offsets: .from), code: .offsetsMoved),
        Case(
            description: "--offsets log keeps the log and is used up: the group follows",
            facts: facts(committed: moved([p0: 6]), offsets: .log), steps: [.resume, .confirmAll]),
        Case(
            description: "--offsets log without anything moved does nothing", facts: facts(committed: ours([p0: 5]), offsets: .log),
            steps: [.resume]),
        Case(
            description: "--offsets kafka does not go back to a commit of ours that only lags",
            facts: facts(committed: ours([p0: 5]), offsets: .kafka), steps: [.resume]),
        Case(
            description: "a stateful job without a kept version does not go back",
            facts: facts(committed: moved([p0: 6]), offsets: .kafka), code: .notPossible),
        Case(
            description: "an append sink without a key does not go back",
            facts: facts(committed: moved([p0: 6]), offsets: .kafka, isStateful: false, replacesRows: false), code: .notPossible),
        Case(description: "an open batch is finished first", facts: facts(open: plan()), steps: [.finish(plan())]),
        Case(
            description: "an open batch is finished, unconfirmed, before a jump",
            facts: facts(committed: moved([p0: 6]), open: plan(), offsets: .kafka), steps: [.finish(plan()), .decideAgain]),
        Case(
            description: "an open batch is finished, unconfirmed, before the log is accepted",
            facts: facts(committed: moved([p0: 6]), open: plan(), offsets: .log), steps: [.finish(plan()), .decideAgain]),
        Case(
            description: "another build plans an unsealed batch again", facts: facts(open: plan(), sealed: [0: 3], build: "b2"),
            steps: [.planAgain(plan())]),
        Case(
            description: "other settings plan an unsealed batch again", facts: facts(open: plan(), settings: "s2"),
            steps: [.planAgain(plan())]),
        Case(
            description: "another build refuses a batch with a sealed part",
            facts: facts(open: plan(), sealed: [0: 3, 1: 4], build: "b2"), code: .planSealedByOther),
        Case(
            description: "the same build finishes a batch with a sealed part", facts: facts(open: plan(), sealed: [1: 4]),
            steps: [.finish(plan())]),
    ]

    @Test(arguments: cases) func `the decision table holds`(_ c: Case) {
        do throws(Failure) {
            let steps = try RecoveryPlan.decide(c.facts)
            #expect(steps == c.steps)
        } catch {
            #expect(error.code == c.code)
        }
    }

    @Test func `a refusal names both positions and both flags`() {
        do throws(Failure) {
            _ = try RecoveryPlan.decide(facts(committed: moved([p0: 6])))
            Issue.record("it was not refused")
        } catch {
            #expect(error.why.contains("log 10") && error.why.contains("Kafka 6"))
            #expect(error.now.contains("--offsets log") && error.now.contains("--offsets kafka"))
        }
    }

    @Test func `a stateless job goes exactly where Kafka stands, also to the end of an earlier batch`() throws {
        let committed = moved([p0: 5, p1: 30])
        let steps = try RecoveryPlan.decide(
            facts(positions: [p0: 10, p1: 20], committed: committed, offsets: .kafka, isStateful: false))
        #expect(jump(steps) == ["t/0: 10 -> 5 (5)", "t/1: 20 -> 30 (30)"])
        #expect(steps.last == .confirmAll)
    }

    @Test func `a stateful job goes to the newest kept version at or before all positions and says how much earlier`() throws {
        let positions = [p0: Int64(10), p1: Int64(20)]
        var asked = facts(positions: positions, committed: moved([p0: 7, p1: 25]), offsets: .kafka)
        #expect(OffsetJump.needsVersion(asked) == [p0: 7, p1: 20])
        asked.version = KeptVersion(batch: 2, positions: [p0: 5, p1: 20], watermarkMillis: 1000)
        let steps = try RecoveryPlan.decide(asked)
        #expect(jump(steps) == ["t/0: 10 -> 5 (7)"])
        guard case .jump(let jump)? = steps.first else { return }
        #expect(jump.says == ["t/0 goes to 5, 2 before 7: the newest kept state before it is that of batch 2"])
        let before = [
            PartitionPosition(
                topic: "t", partition: 0, position: 10, tailOffset: 9, tailHash: "x", maxEventTimeMillis: 5000, leaderEpoch: 4),
            PartitionPosition(topic: "t", partition: 1, position: 20, tailOffset: 19, tailHash: "y", maxEventTimeMillis: 9000),
        ]
        let after = jump.after(before, latenessMillis: 10)
        #expect(
            after == [
                PartitionPosition(topic: "t", partition: 0, position: 5, maxEventTimeMillis: 1010),
                PartitionPosition(topic: "t", partition: 1, position: 20, tailOffset: 19, tailHash: "y", maxEventTimeMillis: 1010),
            ])
    }

    @Test func `a stateful job goes forward as a declared loss and keeps its state`() throws {
        let asked = facts(committed: moved([p0: 17]), offsets: .kafka)
        #expect(OffsetJump.needsVersion(asked) == nil)
        let steps = try RecoveryPlan.decide(asked)
        #expect(jump(steps) == ["t/0: 10 -> 17 (17)"])
        guard case .jump(let jump)? = steps.first else { return }
        #expect(jump.version == nil)
        #expect(jump.says == ["t/0 goes to 17: 7 offsets are left unread"])
    }

    @Test func `a position with a mark of ours that the log does not know is meant when Kafka is to decide`() throws {
        let steps = try RecoveryPlan.decide(
            facts(committed: ours([p0: 6], isRecorded: false), offsets: .kafka, isStateful: false))
        #expect(jump(steps) == ["t/0: 10 -> 6 (6)"])
    }

    @Test func `a jump back that no batch followed is found again, without the loss accepted since`() {
        func jump(_ place: TopicPartition, _ old: Int64, _ new: Int64, after batch: BatchNumber) -> Jump {
            Jump(
                jobID: jobID, flag: "f", topic: place.topic, partition: place.partition, oldPosition: old, newPosition: new,
                afterBatch: batch)
        }
        let back = [jump(p0, 10, 5, after: 4), jump(p1, 20, 18, after: 4)]
        let loss = jump(p0, 5, 7, after: 4)
        #expect(OffsetJump.restored(back, after: 4, positions: [p0: 5, p1: 18]) == [p0: 5, p1: 18])
        #expect(OffsetJump.restored(back + [loss], after: 4, positions: [p0: 7, p1: 18]) == [p0: 5, p1: 18])
        #expect(OffsetJump.restored(back, after: 5, positions: [p0: 7, p1: 19]) == nil)
        #expect(OffsetJump.restored([loss], after: 4, positions: [p0: 7]) == nil)
    }

    @Test func `a mark is read back, and nothing else is taken for one`() {
        #expect(OffsetMark("batch=12 epoch=3") == OffsetMark(batch: 12, epoch: 3))
        #expect(OffsetMark(OffsetMark(batch: 1, epoch: 2).text + " job=x") == OffsetMark(batch: 1, epoch: 2))
        for text in [nil, "", "batch=12", "epoch=3", "batch=x epoch=1", "checkpoint 7"] { #expect(OffsetMark(text) == nil) }
    }
}
