// What a driver does first with a job: the decision table of a start, as one pure function from facts to steps.
//
//   IF   the sink's row for this name has another id            -> refuse, or take over with --adopt
//   IF   the job has no log and its Kafka group has offsets      -> refuse, or --offsets kafka | from
//   IF   the job has no log                                      -> start at `from`
//   IF   a committed position is not the log's and has no mark   -> moved by hand: refuse, or --offsets log | kafka
//   IF   a batch is PLANNED, build and settings are the same     -> finish it, over the same ranges
//   IF   a batch is PLANNED, they changed, no part is sealed     -> plan it again under a higher epoch
//   IF   a batch is PLANNED, they changed, a part is sealed      -> refuse, name the build that must finish it
//   ELSE                                                         -> go on at the log's positions, or jump (`OffsetJump`)
//
// The log is the truth; committed offsets are advice (protocol 4). A flag that accepts positions acts once: the steps end
// with `confirmAll`, which writes the accepted positions into the group, and the shell drops the flag there. A plan that is open is
// finished before a jump, and not confirmed, because that would write over what the person asked for: the steps then
// end with `decideAgain`, with fresh facts and the flag still there.
//
// Facts are gathered by `JobFacts`; nothing here reads or writes anything, and nothing here survives or needs to.

import Engine

package enum OffsetsFlag: String, Sendable, Codable { case log, kafka, from }

package struct RecoveryPlan: Sendable {
    /// A position in the job's Kafka group.
    package struct Committed: Sendable, Equatable {
        package var offset: Int64
        /// What was written beside it; our own commits say batch and epoch there.
        package var metadata: String?
        /// It is the start or the end of a batch of the log, or a jump led there.
        package var isRecorded: Bool

        package init(offset: Int64, metadata: String?, isRecorded: Bool = false) {
            self.offset = offset
            self.metadata = metadata
            self.isRecorded = isRecorded
        }

        package var isOurs: Bool { OffsetMark(metadata) != nil }
    }

    package struct Facts: Sendable {
        package var job: String
        package var jobID: JobID
        package var isStateful: Bool
        /// The sink has a key by which a row that is written again replaces itself.
        package var replacesRows = true
        package var group: String
        package var sinkOwner: SinkOwner
        /// Empty when the job has no log yet.
        package var positions: [TopicPartition: Int64]
        package var committed: [TopicPartition: Committed]
        /// For a jump back of a stateful job: `OffsetJump.needsVersion` says where to, the log which version is kept.
        package var version: KeptVersion?
        package var openPlan: BatchPlan?
        /// Highest batch sealed by each sink part of ours.
        package var sealed: [Int: BatchNumber]
        package var buildDigest: String
        package var settingsDigest: String
        package var planDigest: String
        package var adopt: Bool
        package var offsets: OffsetsFlag?

        package init(
            job: String, jobID: JobID, isStateful: Bool, group: String, sinkOwner: SinkOwner,
            positions: [TopicPartition: Int64], committed: [TopicPartition: Committed], openPlan: BatchPlan?,
            sealed: [Int: BatchNumber], buildDigest: String, settingsDigest: String, planDigest: String, adopt: Bool,
            offsets: OffsetsFlag?
        ) {
            self.job = job
            self.jobID = jobID
            self.isStateful = isStateful
            self.group = group
            self.sinkOwner = sinkOwner
            self.positions = positions
            self.committed = committed
            self.openPlan = openPlan
            self.sealed = sealed
            self.buildDigest = buildDigest
            self.settingsDigest = settingsDigest
            self.planDigest = planDigest
            self.adopt = adopt
            self.offsets = offsets
        }

        /// Moved by hand: elsewhere than the log, and without a mark of ours.
        var moved: [TopicPartition: Int64] {
            committed.filter { partition, entry in
                guard let position = positions[partition] else { return false }
                return entry.offset != position && !entry.isOurs
            }.mapValues(\.offset)
        }

        /// Where `--offsets kafka` wants to go: wherever Kafka stands, but for commits of ours that only lag behind.
        package var wanted: [TopicPartition: Int64] {
            guard offsets == .kafka else { return [:] }
            return committed.filter { partition, entry in
                guard let position = positions[partition] else { return false }
                return entry.offset != position && !(entry.isOurs && entry.isRecorded && entry.offset < position)
            }.mapValues(\.offset)
        }
    }

    package enum Step: Sendable, Equatable {
        /// No log: begin at the setting `from`.
        case startFromSetting
        /// No log: begin where the Kafka group stands.
        case startFromKafka([TopicPartition: Int64])
        case resume
        /// Record the jump, take the state and the watermark of its version.
        case jump(OffsetJump)
        case finish(BatchPlan)
        /// The same ranges again under our build and settings.
        case planAgain(BatchPlan)
        /// Without confirming the batch that was just finished: gather the facts again and decide again, under the same flags.
        case decideAgain
        /// Write every position into the group; the flag that accepted them is used up.
        case confirmAll
    }

    /// The steps to take, in this order, or the reason to refuse.
    package static func decide(_ facts: Facts) throws(Failure) -> [Step] {
        if case .job(let owner, _) = facts.sinkOwner, owner != facts.jobID, !facts.adopt {
            throw Failure(
                .sinkOwnedByOther, "the sink already holds rows of another job named \(facts.job)",
                why: "job id \(owner) wrote there, this catalog knows \(facts.jobID): the catalog was lost, or a second directory runs the same job",
                now: facts.isStateful
                    ? "use the catalog of job id \(owner), or take the sink over with --adopt: state starts empty, so open windows are counted again from the positions you choose"
                    : "use the catalog of job id \(owner), or take the sink over with --adopt: rows read again are written again under their own keys")
        }
        if facts.positions.isEmpty && facts.openPlan == nil { return try withoutLog(facts) }
        let moved = facts.moved
        if !moved.isEmpty && facts.offsets != .log && facts.offsets != .kafka { throw refusal(facts, moved) }
        if let plan = facts.openPlan {
            let first = try withOpenPlan(facts, plan)
            return moved.isEmpty && facts.wanted.isEmpty ? [first] : [first, .decideAgain]
        }
        if !facts.wanted.isEmpty { return [.jump(try OffsetJump(facts)), .confirmAll] }
        return moved.isEmpty ? [.resume] : [.resume, .confirmAll]
    }

    private static func withoutLog(_ facts: Facts) throws(Failure) -> [Step] {
        guard !facts.committed.isEmpty else { return [.startFromSetting] }
        let committed = facts.committed.mapValues(\.offset)
        switch facts.offsets {
        case .from: return [.startFromSetting, .confirmAll]
        case .kafka: return [.startFromKafka(committed), .confirmAll]
        case .log, nil:
            let list = committed.sorted { $0.key < $1.key }.map { "\($0.key) at \($0.value)" }.joined(separator: ", ")
            throw Failure(
                .offsetsWithoutLog, "group \(facts.group) has offsets in Kafka, but this catalog has no log of job \(facts.job)",
                why: "committed: \(list); the catalog was lost, or another directory ran the job",
                now: facts.isStateful
                    ? "--offsets kafka resumes there with empty state (windows that are open there will count only what is read from now on), --offsets from starts at `from`"
                    : "--offsets kafka resumes there, --offsets from starts at `from`")
        }
    }

    private static func withOpenPlan(_ facts: Facts, _ plan: BatchPlan) throws(Failure) -> Step {
        let same =
            plan.buildDigest == facts.buildDigest && plan.settingsDigest == facts.settingsDigest
            && plan.planDigest == facts.planDigest
        if same { return .finish(plan) }
        guard facts.sealed.values.allSatisfy({ $0 < plan.batch }) else {
            throw Failure(
                .planSealedByOther, "batch \(plan.batch) of job \(facts.job) must be finished by build \(plan.buildDigest)",
                why:
                    "it is planned, some of its rows are already in the sink, and this is build \(facts.buildDigest) with settings \(facts.settingsDigest) (planned with \(plan.settingsDigest))",
                now: plan.with.map { with in
                    let settings = with.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
                    return "finish it by `sluice redrive \(facts.job) --with \(settings)`, then start this one"
                } ?? "start that build with those settings once (`sluice run ... --until-caught-up`), then this one")
        }
        return .planAgain(plan)
    }

    private static func refusal(_ facts: Facts, _ moved: [TopicPartition: Int64]) -> Failure {
        let details = moved.sorted { $0.key < $1.key }.map {
            "\($0.key): log \(facts.positions[$0.key]!), Kafka \($0.value)"
        }.joined(separator: "; ")
        return Failure(
            .offsetsMoved, "the offsets of group \(facts.group) were moved by hand", why: details,
            now: "--offsets log goes on where the log stands, --offsets kafka goes where Kafka stands")
    }
}
