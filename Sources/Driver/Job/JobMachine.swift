// The life of one job as a value: what to ask of the outside next, and what the answer means. No clock, chance, thread or I/O:
// `JobLoop` carries out against the real outside, the simulator against a made one.
//
//   lease -> load -> facts -> (refuse) -> claim the sink -> facts' seals again -> write -> state place
//     -> [ rest -> ends -> append plan -> run -> (arrived | ends) -> finish: DONE with the next plan -> confirm ]* -> end
//
// What the machine holds of the log (positions, watermark, state, last batch) changes only when the log has answered. A write
// without an answer may have been made: then the log is asked what it holds, and the machine goes on from that.
//
// Trouble from outside is waited out with growing pauses (protocol 14); only a refusal that a person must decide, a lost lease
// and a wish end a job. A job whose catalog fell silent for longer than the lease drops its batch, takes the lease again under
// a new epoch and starts as after a crash.
//
// What survives a crash: whatever the log holds. PLANNED without DONE is finished first, over the same ranges; DONE without
// confirmed offsets is confirmed by the next batch or start. The next PLANNED stands in the same transaction as DONE when
// records already wait and the interval is over, so a busy job pays one fsync a batch (protocol 4).
//
// State that is kept in another number of key groups is written anew by a batch of its own, before anything else is planned and
// behind an open plan (protocol 5).
//
// When changing it: nothing may run before its plan is durable; offsets never go ahead of the log; a failure from outside
// runs the same plan again, it never plans another.

import Engine
import Wire

package struct JobMachine: Sendable {
    enum Phase {
        case lease, load, facts, claimSink, write, checkState, expectWorkers
        case writeAgain(BatchNumber)
        case idle, rest(Int64), ends, source, startAt, append, run
        case arrived, paceRest(Int64), nextEnds, finish
        case log, outside(Int64)
        case ending(JobState, Failure?), over
    }

    package let name: String
    /// Where to go on when a pause is over.
    enum Resume { case lease, load, facts, writeAgain(BatchNumber), idle, log }

    var options: LoopOptions
    var phase = Phase.lease
    var wish = JobWish.run
    /// Why the lease must be taken again before anything else is written.
    var silence: Failure?
    /// The failure that ended the job, for whoever waits for it.
    package internal(set) var failure: Failure?
    var notes: [JobNote] = []

    package internal(set) var epoch: Epoch = 0
    var job: RunningJob?
    var hasStarted = false
    var facts: StartFacts?
    var decision: StartDecision?
    var saidHolder = false
    /// Recorded batches that the sink lacks.
    var writesAgain: ClosedRange<BatchNumber>?
    var claimsAnew = false
    /// Batches of kind redrive that are still to be planned.
    var redrives: [RedrivePlan.Step]
    /// The sink fell silent in the last batch: what it holds is compared with the log before anything is planned.
    var comparesSink = false
    /// It was compared since the last batch that was done.
    var hasCompared = false
    /// The topic has partitions that the sink has no part for yet: a claim makes them.
    var lacksParts = false
    /// Reading stood still, and nobody has asked since whether the topic is the same.
    var doubtsSource = false
    var sourceCheck = SourceCheck()
    var repair: (batches: ClosedRange<BatchNumber>, writes: Bool)?

    // What the log holds, as last answered.
    package internal(set) var positions: [TopicPartition: PartitionPosition] = [:]
    package internal(set) var lastBatch: BatchNumber = 0
    var lastWatermark: Int64?
    var lastState: StateManifest?
    var seals: [SealMark] = []
    var lastDone: BatchRecord?

    var fixedParts: Int?
    var topicIDs: [String: String] = [:]
    var targets: [TopicPartition: Int64]?
    /// The plan that is durable and not done.
    var open: BatchPlan?
    /// The plan that is being made durable.
    var planned: BatchPlan?
    var finished: FinishedBatch?
    var begunMillis: Int64 = 0
    /// Sink parts that may hold rows of the open plan already.
    var sealedBefore: Set<Int> = []

    var placement = TaskPlacement()
    /// What could be read of the batches that are done.
    var rejectWatch = RejectWatch()
    var readings: RejectWatch.Batch?
    var clock = BatchClock(intervalMillis: 0, pollMillis: 5)
    var spread = BatchSpread()
    var backlog = BacklogLimit()
    var pace = BatchPace()
    var patience: Patience
    var resume = Resume.idle
    var decidesAgain = false
    /// The watermark in the last plan: what is closed.
    var closedWatermark: Int64?
    var found: [TopicPartition: Int64] = [:]
    /// What a worker has told, until Kafka has told its own.
    var arrivedEnds: [TopicPartition: Int64]?
    var kafkaAskedMillis: Int64 = 0
    var catalogClock: CatalogClock?
    /// When this process cut its last batch, by the clock that never jumps.
    var cutMillis: Int64?
    var isTimeReset = false
    var saidOfTime: Set<BatchTime.Notice> = []
    var unread: Set<TopicPartition> = []
    var partitionsSeenMillis: Int64 = 0
    var renewedMillis: Int64 = 0
    var keptMillis: Int64 = 0
    var lookedUpMillis: Int64 = 0
    var sinkSeenMillis: Int64 = 0
    /// The open plan was left under two leases before this one: by processes that died with it, or that lost their lease.
    package var isTriedOften = false
    var hasBacklog = false
    var foundNothing = false
    var lookedNanos: Int64 = 0
    var planMillis = 0.0
    var isPlanMeasured = true
    var previousCommitMillis: Double?
    var askedNanos: Int64 = 0
    var members: Int = 1

    /// The pause between two looks for partitions that were added.
    static let discoverMillis: Int64 = 5000
    static let keepMillis: Int64 = 30_000
    /// Between two looks at lookup files, at least.
    static let leastLookupMillis: Int64 = 1000
    /// Kafka is asked this often while a worker tells what arrives.
    static let askAgainMillis: Int64 = 1000

    package init(name: String, options: LoopOptions) {
        self.name = name
        self.options = options
        redrives = options.redrive?.steps ?? []
        patience = Patience(options.untilCaughtUp ? .bounded(DriverLimits.patienceMillis) : .standing)
    }

    package var isOver: Bool { if case .over = phase { true } else { false } }
    /// The plan that is durable and not done, while the machine knows of one.
    package var openPlan: BatchPlan? { open }
    package var running: RunningJob? { job }
    /// The sink lacks batches that it is given again.
    package var isWritingAgain: Bool { writesAgain != nil }
    package var topicID: String? { job.flatMap { SourceAnswer.id(of: $0.settings.topics, topicIDs) } }

    package mutating func takeNotes() -> [JobNote] {
        defer { notes = [] }
        return notes
    }

    // MARK: from outside

    package mutating func hear(_ clock: CatalogClock) { catalogClock = clock }

    /// The sink is not as the log says: a start decides what can be written again. Heard between two batches only.
    package mutating func hear(sinkDiffers why: String) {
        guard mayLookAtSink else { return }
        takeLeaseAgain(why)
    }

    /// It rests: nothing is on its way into the sink, nothing is written again, nothing ends.
    var mayLookAtSink: Bool {
        guard hasStarted, open == nil, finished == nil, planned == nil, writesAgain == nil, wish == .run else { return false }
        switch phase {
        case .idle, .rest, .ends: return true
        default: return false
        }
    }

    /// Later plans join with these.
    package mutating func hear(lookups: [String: String]) { job?.lookups = lookups }

    /// What a person asked for. A stronger wish replaces a weaker one: run < drain < kill < lost.
    package mutating func hear(_ wish: JobWish) { if wish.rank > self.wish.rank { self.wish = wish } }

    /// The catalog has not answered for the lease's length: somebody else may have the job by now.
    package mutating func leaseFellSilent(_ reason: Failure) { silence = reason }

    /// A reason to give up what is running.
    package var stopReason: Failure? { Self.stopReason(of: name, wish, silence: silence) }

    package static func stopReason(of name: String, _ wish: JobWish, silence: Failure?) -> Failure? {
        switch wish {
        case .kill:
            Failure(.taskCancelled, "job \(name) was killed", why: "asked to", now: "start it again to finish its open batch")
        case .lost(let reason): reason
        case .run, .drain: silence
        }
    }

    /// - Parameter members: slots of the workers that are there.
    package mutating func next(_ moment: Moment, slots members: Int) -> JobAsk? {
        self.members = members
        askedNanos = moment.steadyNanos
        if !isPlanMeasured, planned != nil {
            planMillis = Double(moment.steadyNanos - lookedNanos) / 1e6
            isPlanMeasured = true
        }
        if let reason = stopReason, !isEnding { giveUp(reason) }
        if case .idle = phase { idle(moment) }
        switch phase {
        case .lease: return .lease
        case .load: return .load
        case .facts: return .facts
        case .claimSink: return .claimSink(sinkClaim, table: facts?.sink?.table)
        case .write: return .write(decision?.writes ?? [])
        case .checkState: return .checkState
        case .expectWorkers: return .expectWorkers(count: options.expectedWorkers, millis: DriverLimits.expectedWorkersMillis)
        case .idle: preconditionFailure("an idle machine has decided")
        case .rest(let millis), .outside(let millis), .paceRest(let millis): return .rest(millis: millis)
        case .ends, .nextEnds: return .ends(positions.keys.sorted(), discovers: discovers(moment))
        case .source: return .checkSource
        case .startAt: return .startAt(addedPositions(moment))
        case .append: return planned.map { .append($0) }
        case .run: return run(moment)
        case .writeAgain(let batch): return .writeAgain(batch)
        case .arrived:
            return pace.worker.map {
                .arrived(
                    worker: $0, positionsAfterFinished.values.sorted { $0.topicPartition < $1.topicPartition },
                    restMillis: hasBacklog ? 0 : clock.restMillis(now: moment.steadyMillis), paceMillis: clock.paceMillis)
            }
        case .finish: return finished.map { .finish($0, next: planned) }
        case .log: return .log
        case .ending(let state, let reason): return .setState(state, reason)
        case .over: return nil
        }
    }

    package mutating func answer(_ result: Result<JobAnswer, Failure>, _ moment: Moment) {
        switch result {
        case .success(let answer): take(answer, moment)
        case .failure(let reason): failed(reason, moment)
        }
    }

    // MARK: answers

    mutating func take(_ answer: JobAnswer, _ moment: Moment) {
        let before = phase
        switch (phase, answer) {
        case (.lease, .lease(let lease)): leased(lease, moment)
        case (.load, .loaded(let job, let desired)): loaded(job, desired)
        case (.facts, .facts(let facts)): decide(facts)
        case (.claimSink, .claimed(let claimed)): sinkClaimed(claimed)
        case (.write, .done): written(moment)
        case (.checkState, .done): phase = .write
        case (.expectWorkers, .done): started(moment)
        case (.ends, .ends(let ends, let found)), (.nextEnds, .ends(let ends, let found)): looked(ends, found, moment)
        case (.arrived, .arrived(let ends)): arrived(ends, moment)
        case (.source, .done):
            foundNothing = true
            doubtsSource = false
            phase = .idle
        case (.startAt, .done): partitionsAdded(moment)
        case (.append, .done):
            open = planned
            planned = nil
            phase = .run
        case (.run, .ran(let ran)): batchRan(ran, moment)
        case (.run, .repaired(let rows)): repaired(rows, moment)
        case (.writeAgain(let batch), .done): wroteAgain(batch, moment)
        case (.finish, .done): committed(moment)
        case (.log, .log(let log)): logRead(log, moment)
        case (.rest, _):
            foundNothing = false
            phase = .idle
        case (.paceRest, _): phase = canPlanTogether ? .nextEnds : .finish
        case (.outside, _): phase = again
        case (.ending, _): phase = .over
        case (_, .done): break
        default: end(.failed, defect("an answer came that nobody asked for"))
        }
        if case .append = before { passed(moment) }
    }

    /// The outside answered: what was waited for is there again.
    mutating func passed(_ moment: Moment) {
        if let millis = patience.answered(nowMillis: moment.steadyMillis) { notes.append(.isBack(afterMillis: millis)) }
    }

    func defect(_ why: String) -> Failure {
        Failure(.internal, "job \(name) lost its way", why: why, now: "report this defect; starting the job again is safe")
    }
}
