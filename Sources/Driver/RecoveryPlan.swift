// What a driver does first with a job: the decision table of a start, as one pure function.
//
//   IF   the sink's row for this name has another id            -> refuse, or take over with --adopt
//   IF   the job has no log and its Kafka group has offsets      -> refuse, or --offsets kafka | from
//   IF   the job has no log                                      -> start at `from`
//   IF   the log and a committed position differ, and that position is the recorded end of no batch
//                                                               -> moved by hand: refuse, or --offsets log | kafka
//   IF   a batch is PLANNED, build and settings are the same     -> finish it, over the same ranges
//   IF   a batch is PLANNED, they changed, no part is sealed     -> plan it again under a higher epoch
//   IF   a batch is PLANNED, they changed, a part is sealed      -> refuse, name the build that must finish it
//   ELSE                                                         -> go on at the log's positions
//
// The log is the truth; committed offsets are advice (protocol 4). Facts are gathered by `JobStart`; nothing here
// reads or writes anything, and nothing here survives or needs to.

import Engine

package enum OffsetsFlag: String, Sendable, Codable { case log, kafka, from }

package struct RecoveryPlan: Sendable {
    package struct Facts: Sendable {
        package var job: String
        package var jobID: JobID
        package var isStateful: Bool
        package var group: String
        package var sinkOwner: SinkOwner
        /// Empty when the job has no log yet.
        package var positions: [TopicPartition: Int64]
        package var committed: [TopicPartition: Int64]
        /// Committed positions that are the recorded end of a batch of ours.
        package var recordedEnds: Set<TopicPartition>
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
            positions: [TopicPartition: Int64], committed: [TopicPartition: Int64],
            recordedEnds: Set<TopicPartition>, openPlan: BatchPlan?, sealed: [Int: BatchNumber], buildDigest: String,
            settingsDigest: String, planDigest: String, adopt: Bool, offsets: OffsetsFlag?
        ) {
            self.job = job
            self.jobID = jobID
            self.isStateful = isStateful
            self.group = group
            self.sinkOwner = sinkOwner
            self.positions = positions
            self.committed = committed
            self.recordedEnds = recordedEnds
            self.openPlan = openPlan
            self.sealed = sealed
            self.buildDigest = buildDigest
            self.settingsDigest = settingsDigest
            self.planDigest = planDigest
            self.adopt = adopt
            self.offsets = offsets
        }
    }

    package enum Step: Sendable, Equatable {
        /// No log: begin at the setting `from`.
        case startFromSetting
        /// No log: begin where the Kafka group stands.
        case startFromKafka([TopicPartition: Int64])
        /// The log stands; these partitions move to the committed position, as a jump.
        case jump([TopicPartition: Int64])
        case resume
        case finish(BatchPlan)
        /// The same ranges again under our build and settings.
        case planAgain(BatchPlan)
    }

    /// The step to take, or the reason to refuse.
    package static func decide(_ facts: Facts) throws(Failure) -> Step {
        if case .job(let owner, _) = facts.sinkOwner, owner != facts.jobID, !facts.adopt {
            throw Failure(
                .sinkOwnedByOther, "the sink already holds rows of another job named \(facts.job)",
                why: "job id \(owner) wrote there, this catalog knows \(facts.jobID): the catalog was lost, or a second directory runs the same job",
                now: facts.isStateful
                    ? "use the catalog of job id \(owner), or take the sink over with --adopt: state starts empty, so open windows are counted again from the positions you choose"
                    : "use the catalog of job id \(owner), or take the sink over with --adopt: rows read again are written again under their own keys")
        }
        if facts.positions.isEmpty && facts.openPlan == nil { return try withoutLog(facts) }
        if let plan = facts.openPlan { return try withOpenPlan(facts, plan) }
        return try withLog(facts)
    }

    private static func withoutLog(_ facts: Facts) throws(Failure) -> Step {
        guard !facts.committed.isEmpty else { return .startFromSetting }
        switch facts.offsets {
        case .from: return .startFromSetting
        case .kafka: return .startFromKafka(facts.committed)
        case .log, nil:
            throw Failure(
                .offsetsWithoutLog, "group \(facts.group) has offsets in Kafka, but this catalog has no log of job \(facts.job)",
                why: "committed: \(list(facts.committed)); the catalog was lost, or another directory ran the job",
                now: facts.isStateful
                    ? "--offsets kafka resumes there with empty state (windows that are open there will count only what is read from now on), --offsets from starts at `from`"
                    : "--offsets kafka resumes there, --offsets from starts at `from`")
        }
    }

    private static func withOpenPlan(_ facts: Facts, _ plan: BatchPlan) throws(Failure) -> Step {
        let same = plan.buildDigest == facts.buildDigest && plan.settingsDigest == facts.settingsDigest
            && plan.planDigest == facts.planDigest
        if same { return .finish(plan) }
        guard facts.sealed.values.allSatisfy({ $0 < plan.batch }) else {
            throw Failure(
                .planSealedByOther, "batch \(plan.batch) of job \(facts.job) must be finished by build \(plan.buildDigest)",
                why: "it is planned, some of its rows are already in the sink, and this is build \(facts.buildDigest) with settings \(facts.settingsDigest) (planned with \(plan.settingsDigest))",
                now: "start that build with those settings once (`sluice run ... --until-caught-up`), then this one")
        }
        return .planAgain(plan)
    }

    private static func withLog(_ facts: Facts) throws(Failure) -> Step {
        let moved = facts.committed.filter { partition, offset in
            guard let position = facts.positions[partition] else { return false }
            return offset != position && !facts.recordedEnds.contains(partition)
        }
        guard !moved.isEmpty else { return .resume }
        switch facts.offsets {
        case .log: return .resume
        case .kafka: return .jump(moved)
        case .from, nil:
            let details = moved.sorted { $0.key < $1.key }.map {
                "\($0.key): log \(facts.positions[$0.key]!), Kafka \($0.value)"
            }.joined(separator: "; ")
            throw Failure(
                .offsetsMoved, "the offsets of group \(facts.group) were moved by hand",
                why: details,
                now: "--offsets log goes on where the log stands, --offsets kafka goes where Kafka stands")
        }
    }

    private static func list(_ offsets: [TopicPartition: Int64]) -> String {
        offsets.sorted { $0.key < $1.key }.map { "\($0.key) at \($0.value)" }.joined(separator: ", ")
    }
}
