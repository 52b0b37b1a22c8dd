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
    private enum Phase {
        case lease, load, facts, claimSink, write, checkState, expectWorkers
        case idle, rest(Int64), ends, source, startAt, append, run
        case arrived, paceRest(Int64), nextEnds, finish
        case log, outside(Int64)
        case ending(JobState, Failure?), over
    }

    package let name: String
    /// Where to go on when a pause is over.
    private enum Resume { case lease, load, facts, idle, log }

    private var options: LoopOptions
    private var phase = Phase.lease
    private var wish = JobWish.run
    /// Why the lease must be taken again before anything else is written.
    private var silence: Failure?
    /// The failure that ended the job, for whoever waits for it.
    package private(set) var failure: Failure?
    private var notes: [JobNote] = []

    package private(set) var epoch: Epoch = 0
    private var job: RunningJob?
    private var hasStarted = false
    private var facts: StartFacts?
    private var decision: StartDecision?
    private var saidHolder = false

    // What the log holds, as last answered.
    package private(set) var positions: [TopicPartition: PartitionPosition] = [:]
    package private(set) var lastBatch: BatchNumber = 0
    private var lastWatermark: Int64?
    private var lastState: StateManifest?
    private var seals: [SealMark] = []
    private var lastDone: BatchRecord?

    private var fixedParts: Int?
    private var topicIDs: [String: String] = [:]
    private var targets: [TopicPartition: Int64]?
    /// The plan that is durable and not done.
    private var open: BatchPlan?
    /// The plan that is being made durable.
    private var planned: BatchPlan?
    private var finished: FinishedBatch?
    private var begunMillis: Int64 = 0
    /// Sink parts that may hold rows of the open plan already.
    private var sealedBefore: Set<Int> = []

    private var placement = TaskPlacement()
    /// What could be read of the batches that are done.
    private var rejectWatch = RejectWatch()
    private var readings: RejectWatch.Batch?
    private var clock = BatchClock(intervalMillis: 0, pollMillis: 5)
    private var spread = BatchSpread()
    private var pace = BatchPace()
    private var patience: Patience
    private var resume = Resume.idle
    private var decidesAgain = false
    /// The watermark in the last plan: what is closed.
    private var closedWatermark: Int64?
    private var found: [TopicPartition: Int64] = [:]
    /// What a worker has told, until Kafka has told its own.
    private var arrivedEnds: [TopicPartition: Int64]?
    private var kafkaAskedMillis: Int64 = 0
    private var catalogClock: CatalogClock?
    /// When this process cut its last batch, by the clock that never jumps.
    private var cutMillis: Int64?
    private var isTimeReset = false
    private var saidOfTime: Set<BatchTime.Notice> = []
    private var unread: Set<TopicPartition> = []
    private var partitionsSeenMillis: Int64 = 0
    private var renewedMillis: Int64 = 0
    private var keptMillis: Int64 = 0
    private var hasBacklog = false
    private var foundNothing = false
    private var lookedNanos: Int64 = 0
    private var planMillis = 0.0
    private var isPlanMeasured = true
    private var previousCommitMillis: Double?
    private var askedNanos: Int64 = 0
    private var members: Int = 1

    /// The pause between two looks for partitions that were added.
    private static let discoverMillis: Int64 = 5000
    private static let keepMillis: Int64 = 30_000
    /// Kafka is asked this often while a worker tells what arrives.
    private static let askAgainMillis: Int64 = 1000

    package init(name: String, options: LoopOptions) {
        self.name = name
        self.options = options
        patience = Patience(options.untilCaughtUp ? .bounded(DriverLimits.patienceMillis) : .standing)
    }

    package var isOver: Bool { if case .over = phase { true } else { false } }
    /// The plan that is durable and not done, while the machine knows of one.
    package var openPlan: BatchPlan? { open }
    package var running: RunningJob? { job }
    package var topicID: String? { job.flatMap { topicIDs[$0.settings.topic] } }

    package mutating func takeNotes() -> [JobNote] {
        defer { notes = [] }
        return notes
    }

    // MARK: from outside

    package mutating func hear(_ clock: CatalogClock) { catalogClock = clock }

    /// What a person asked for. A stronger wish replaces a weaker one: run < drain < kill < lost.
    package mutating func hear(_ wish: JobWish) { if wish.rank > self.wish.rank { self.wish = wish } }

    /// The catalog has not answered for the lease's length: somebody else may have the job by now.
    package mutating func leaseFellSilent(_ reason: Failure) { silence = reason }

    /// A reason to give up what is running.
    package var stopReason: Failure? {
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

    private mutating func take(_ answer: JobAnswer, _ moment: Moment) {
        let before = phase
        switch (phase, answer) {
        case (.lease, .lease(let lease)): leased(lease, moment)
        case (.load, .loaded(let job, let desired)): loaded(job, desired)
        case (.facts, .facts(let facts)): decide(facts)
        case (.claimSink, .claimed(let claimed)): sinkClaimed(claimed)
        case (.write, .done): written(moment)
        case (.checkState, .done): phase = .expectWorkers
        case (.expectWorkers, .done): started(moment)
        case (.ends, .ends(let ends, let found)), (.nextEnds, .ends(let ends, let found)): looked(ends, found, moment)
        case (.arrived, .arrived(let ends)): arrived(ends, moment)
        case (.source, .done):
            foundNothing = true
            phase = .idle
        case (.startAt, .done): partitionsAdded(moment)
        case (.append, .done):
            open = planned
            planned = nil
            phase = .run
        case (.run, .ran(let ran)): batchRan(ran, moment)
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
    private mutating func passed(_ moment: Moment) {
        if let millis = patience.answered(nowMillis: moment.steadyMillis) { notes.append(.isBack(afterMillis: millis)) }
    }

    private func defect(_ why: String) -> Failure {
        Failure(.internal, "job \(name) lost its way", why: why, now: "report this defect; starting the job again is safe")
    }

    private mutating func leased(_ answer: LeaseAnswer, _ moment: Moment) {
        switch answer {
        case .acquired(let epoch):
            self.epoch = epoch
            silence = nil
            passed(moment)
            notes.append(.epoch(epoch))
            phase = .load
        case .held(let other, let remainingMillis):
            guard options.waitForLease || hasStarted else {
                return end(
                    nil,
                    Failure(
                        .leaseHeld, "job \(name) is already run by another driver",
                        why: "process \(other.pid) on \(other.host) holds its lease (\(other.address))",
                        now: "stop that one with `sluice jobs stop \(name)`, or start this one with --wait"))
            }
            guard wish == .run else {
                return end(
                    nil, Failure(.taskCancelled, "job \(name) was stopped while it waited", why: "asked to", now: "nothing"))
            }
            if !saidHolder { say(.notice, "waiting for the lease", [("holder", "\(other.pid)@\(other.host)")]) }
            saidHolder = true
            resume = .lease
            phase = .outside(min(max(remainingMillis, 10), 200))
        }
    }

    private mutating func loaded(_ job: RunningJob, _ desired: DesiredState) {
        if options.waitForLease, desired != .run {
            // While this one waited, somebody asked the job to rest.
            say(.notice, "job not started", [("why", "it is meant to \(desired.rawValue)")])
            notes.append(.state(job.record.state, nil))
            phase = .over
            return
        }
        self.job = job
        if options.untilCaughtUp { patience = Patience(.bounded(job.settings.patienceMillis)) }
        // Catching up means working off what is there: the interval paces a standing job only.
        clock = BatchClock(
            intervalMillis: options.untilCaughtUp ? 0 : job.settings.intervalMillis,
            pollMillis: options.untilCaughtUp ? 5 : job.settings.pollMillis,
            paceMillis: options.untilCaughtUp ? 0 : BatchClock.usualPaceMillis)
        phase = .facts
    }

    /// What the sink is told when it is taken over.
    private var sinkClaim: SinkClaim {
        SinkClaim(
            adopt: options.adopt, begins: facts?.sink.map { SinkVerdict.decide($0) == .begin } ?? true,
            after: facts?.log.lastDone?.plan.batch ?? 0, open: facts?.log.openPlan?.batch, seals: facts?.log.seals ?? [],
            parent: job?.record.parentJobID, keys: job?.settings.sinkKeys)
    }

    /// How long a batch's sink is waited for: as for anything outside.
    package var freshPatience: Patience {
        Patience(options.untilCaughtUp ? .bounded(job?.settings.patienceMillis ?? DriverLimits.patienceMillis) : .standing)
    }

    /// The first decision: it only has to refuse what must be refused.
    private mutating func decide(_ facts: StartFacts) {
        guard let job else { return end(.failed, defect("facts came before the job")) }
        do {
            _ = try StartDecision.decide(facts, of: job, epoch: epoch, options: options)
            self.facts = facts
            phase = .claimSink
        } catch { end(.failed, error) }
    }

    /// The second: with what the sink holds now that older drivers are fenced.
    private mutating func sinkClaimed(_ claimed: SinkClaimed) {
        guard var facts, let job else { return end(.failed, defect("a sink was claimed without facts")) }
        fixedParts = claimed.fixedParts
        facts.fixedParts = claimed.fixedParts
        facts.sealed = facts.log.openPlan == nil ? [:] : claimed.sealed
        facts.sinkOwner = .job(job.record.jobID, epoch)
        facts.sink?.claimed(claimed.sight)
        do {
            var decision = try StartDecision.decide(facts, of: job, epoch: epoch, options: options)
            if let settings = options.settings, settings.values != job.record.settings || job.isChanged {
                decision.writes.insert(.settings(settings.values, digest: settings.digest), at: 0)
            }
            notes += decision.notes
            self.decision = decision
            phase = .write
        } catch { end(.failed, error) }
    }

    private mutating func written(_ moment: Moment) {
        guard let decision, let facts, let job else { return end(.failed, defect("a start was written without a decision")) }
        adopt(facts.log)
        positions = decision.positions
        open = decision.openPlan
        sealedBefore = decision.sealedParts
        topicIDs = facts.topicIDs
        decidesAgain = decision.decidesAgain
        if decision.usesUpFlags {
            options.offsets = nil
            options.acceptTopic = false
        }
        // A jump back that no batch followed yet: state and watermark are those of the version that it led to.
        if open == nil, job.isStateful, let version = decision.version ?? facts.log.restored { restore(version) }
        if job.record.kind == .backfill { lastWatermark = nil }
        if options.untilCaughtUp, targets == nil { targets = options.targets ?? facts.ends }
        isTimeReset = options.resetTime
        partitionsSeenMillis = moment.steadyMillis
        renewedMillis = moment.steadyMillis
        notes.append(.positions(sortedPositions))
        notes.append(.ends(facts.ends, areArrived: false))
        self.decision = nil
        self.facts = nil
        phase = .checkState
    }

    private mutating func restore(_ version: KeptVersion) {
        lastState = version.state
        lastWatermark = version.watermarkMillis
        closedWatermark = version.watermarkMillis
    }

    private mutating func started(_ moment: Moment) {
        hasStarted = true
        passed(moment)
        notes.append(.state(.running, nil))
        phase = open == nil ? .idle : .run
    }

    /// Takes what the log says as what the machine holds.
    private mutating func adopt(_ log: LogStand) {
        positions = log.positions
        seals = log.seals
        lastDone = log.lastDone
        lastBatch = log.lastDone?.plan.batch ?? 0
        lastWatermark = job?.record.kind == .backfill ? nil : log.lastDone?.outcome?.watermarkAfterMillis
        lastState = log.lastDone?.outcome?.state
        // Earlier builds wrote it into the plan alone.
        if lastState != nil, lastState?.keyGroups == nil { lastState?.keyGroups = log.lastDone?.plan.keyGroups }
        closedWatermark = log.lastDone?.plan.watermarkBeforeMillis
    }

    private mutating func logRead(_ log: LogStand, _ moment: Moment) {
        let known = open
        adopt(log)
        if let version = log.restored { restore(version) }
        if log.openPlan?.batch != known?.batch {
            sealedBefore = []
            say(
                .notice, "the log had taken what it did not answer",
                [("batch.id", "\(lastBatch)"), ("open", log.openPlan.map { "\($0.batch)" } ?? "none")])
        }
        open = log.openPlan
        planned = nil
        finished = nil
        phase = open == nil ? .idle : .run
    }

    // MARK: between batches

    private mutating func idle(_ moment: Moment) {
        if open != nil { return phase = .run }
        if case .drain(let state) = wish { return end(state, nil) }
        if needsRehash { return planRehash(moment) }
        if isCaughtUp { return end(.finished, nil) }
        let wait =
            hasBacklog && !foundNothing
            ? 0 : clock.waitMillis(now: moment.steadyMillis, foundNothing: foundNothing)
        phase = wait > 0 ? .rest(wait) : .ends
    }

    private var isCaughtUp: Bool {
        guard let targets else { return false }
        return targets.allSatisfy { (positions[$0.key]?.position ?? 0) >= $0.value }
    }

    /// The state is kept in another number of key groups than the job has now.
    private var needsRehash: Bool {
        guard let job, job.isStateful, let kept = (finished?.outcome.state ?? lastState)?.keyGroups else { return false }
        return kept != job.settings.keyGroups
    }

    /// A batch that reads nothing and leaves the state in the job's key groups; nothing else is planned before it.
    private mutating func planRehash(_ moment: Moment) {
        guard let job, let state = lastState else { return end(.failed, defect("there is no state to rehash")) }
        do {
            let time = try batchTime(moment)
            let frame = PlanFrame(
                job: job, epoch: epoch, batch: lastBatch + 1, watermarkBeforeMillis: closedWatermark, topicIDs: topicIDs,
                stateBefore: state, parts: max(1, members))
            var plan = frame.plan([], batchTimeMillis: time, seed: moment.random)
            plan.kind = .rehash
            plan.output = .nothing
            plan.predecessors = job.predecessors(of: plan, seals)
            say(
                .notice, "state rehashed",
                [("batch.id", "\(plan.batch)"), ("from", "\(state.keyGroups ?? 0)"), ("to", "\(plan.keyGroups)")])
            planned = plan
            phase = .append
        } catch { failed(Engine.failure(error), moment) }
    }

    private func discovers(_ moment: Moment) -> Bool {
        guard let job, job.record.kind == .live else { return false }
        if moment.steadyMillis - partitionsSeenMillis >= Self.discoverMillis { return true }
        // Before a plan closes windows, partitions are looked for.
        return WatermarkTracker.needsLook(closed: closedNow, reached: reachedNow, windowMillis: job.graph.window?.lengthMillis)
    }

    /// The watermark in the last plan, and the one that its batch reached.
    private var closedNow: Int64? { finished.map(\.plan.watermarkBeforeMillis) ?? closedWatermark }
    private var reachedNow: Int64? { finished.map(\.outcome.watermarkAfterMillis) ?? lastWatermark }

    private func tracker(_ job: RunningJob) -> WatermarkTracker {
        WatermarkTracker(
            latenessMillis: job.settings.latenessMillis, partitionWaitMillis: job.settings.partitionWaitMillis)
    }

    private mutating func looked(_ ends: [TopicPartition: Int64], _ found: [TopicPartition: Int64], _ moment: Moment) {
        if discovers(moment) { partitionsSeenMillis = moment.steadyMillis }
        kafkaAskedMillis = moment.steadyMillis
        let new = found.filter { positions[$0.key] == nil }
        if !new.isEmpty {
            self.found = new
            phase = .startAt
            return
        }
        notes.append(.ends(ends, areArrived: false))
        lookedNanos = askedNanos
        // An end before what has arrived, and so before a position perhaps, is what must be seen.
        let arrived = arrivedEnds
        arrivedEnds = nil
        plan(arrived.map { ends.merging($0, uniquingKeysWith: min) } ?? ends, isArrived: arrived != nil, moment)
    }

    private func addedPositions(_ moment: Moment) -> [PartitionPosition] {
        found.sorted { $0.key < $1.key }.map {
            PartitionPosition(
                topic: $0.key.topic, partition: $0.key.partition, position: $0.value,
                foundMillis: (finished?.plan ?? lastDone?.plan)?.batchTimeMillis ?? moment.wallMillis)
        }
    }

    private mutating func partitionsAdded(_ moment: Moment) {
        for position in addedPositions(moment) where positions[position.topicPartition] == nil {
            positions[position.topicPartition] = position
        }
        say(.notice, "partitions added", [("partitions", found.keys.sorted().map(\.description).joined(separator: ","))])
        found = [:]
        arrivedEnds = nil
        phase = finished == nil ? .ends : .nextEnds
    }

    /// Cuts the next batch of `ends`: behind a batch that is about to be DONE, or between two.
    private mutating func plan(_ ends: [TopicPartition: Int64], isArrived: Bool, _ moment: Moment) {
        guard let job else { return end(.failed, defect("a batch was cut without a job")) }
        let isBehindBatch = finished != nil
        let after = positionsAfterFinished
        do {
            let cut = BatchCut(positions: after, ends: ends, targets: targets, maxRecords: job.settings.maxBatchRecords)
            if cut.isShortened {
                // An end before a position is a doubt about the topic: it is asked for again, and decided apart.
                phase = isBehindBatch ? .finish : .source
                return
            }
            unread = cut.unread
            hasBacklog = cut.hasBacklog
            guard !cut.ranges.isEmpty else {
                foundNothing = true
                if !isBehindBatch { passed(moment) }
                phase = isBehindBatch ? .finish : .idle
                return
            }
            let time = try batchTime(moment)
            clock.cut(now: moment.steadyMillis)
            planned = makePlan(cut, time, isArrived: isArrived, job, moment)
            if isBehindBatch && !hasBacklog { _ = clock.waitMillis(now: moment.steadyMillis, foundNothing: false) }
            isPlanMeasured = false
            phase = isBehindBatch ? .finish : .append
        } catch {
            // This batch is complete whatever stands against the next one; the tick asks again and reports.
            if isBehindBatch { phase = .finish } else { failed(Engine.failure(error), moment) }
        }
    }

    /// The only "now" that the next batch's rows may see.
    private mutating func batchTime(_ moment: Moment) throws(Failure) -> Int64 {
        let lastMillis = isTimeReset ? nil : (finished?.plan ?? lastDone?.plan)?.batchTimeMillis
        let time = try BatchTime.next(
            job: name, lastMillis: lastMillis, ownMillis: moment.wallMillis,
            catalogMillis: catalogClock?.now(moment) ?? moment.wallMillis,
            passedMillis: cutMillis.map { moment.steadyMillis - $0 })
        isTimeReset = false
        cutMillis = moment.steadyMillis
        for notice in time.notices where saidOfTime.insert(notice.kind).inserted {
            switch notice {
            case .leap(let from, let to):
                say(.notice, "time leapt", [("from", formatTime(from)), ("to", formatTime(to))])
            case .ownClockOff(let millis):
                say(.warning, "this clock is off", [("ahead_of_the_catalogs_ms", "\(millis)"), ("then", "the catalog's is followed")])
            }
        }
        return time.millis
    }

    private mutating func makePlan(_ cut: BatchCut, _ batchTimeMillis: Int64, isArrived: Bool, _ job: RunningJob, _ moment: Moment) -> BatchPlan {
        // A part of a topic stays where its producer is: another one's first transaction is dear.
        let isGathered = fixedParts == nil && job.record.kind == .live && spread.isGathered(records: cut.recordCount)
        pace.cut(isGathered: isGathered, ofArrived: isArrived)
        let outcome = finished?.outcome
        let isBackfill = job.record.kind == .backfill
        let frame = PlanFrame(
            job: job, epoch: epoch, batch: (finished?.plan.batch ?? lastBatch) + 1,
            watermarkBeforeMillis: isBackfill
                ? nil
                : tracker(job).closing(
                    closed: closedNow, reached: reachedNow, positions: positionsAfterFinished.values,
                    batchTimeMillis: batchTimeMillis),
            topicIDs: topicIDs, stateBefore: outcome?.state ?? lastState,
            parts: fixedParts ?? (isGathered ? 1 : max(1, members)))
        var plan = frame.plan(cut.ranges, batchTimeMillis: batchTimeMillis, seed: moment.random)
        if isBackfill {
            // A backfill writes once, at its end, when every window has its whole total (protocol 9).
            let isLast = targets.map { cut.reaches($0, from: positionsAfterFinished) } ?? false
            plan.kind = .backfill
            plan.output = job.graph.hasExchange ? (isLast ? .complete : .nothing) : .changes
        }
        plan.predecessors = job.predecessors(of: plan, sealsAfterFinished)
        let epochs = plan.ranges.enumerated().compactMap { index, range in
            positionsAfterFinished[range.topicPartition]?.leaderEpoch.map { (index, RangeMark(leaderEpoch: $0)) }
        }
        plan.marks = epochs.isEmpty ? nil : Dictionary(uniqueKeysWithValues: epochs)
        return plan
    }

    private var positionsAfterFinished: [TopicPartition: PartitionPosition] {
        guard let finished else { return positions }
        var after = positions
        for position in finished.positions { after[position.topicPartition] = position }
        return after
    }

    private var sealsAfterFinished: [SealMark] {
        guard let finished else { return seals }
        return SealMark.after(seals, batch: finished.plan.batch, parts: finished.outcome.parts)
    }

    // MARK: one batch

    private mutating func run(_ moment: Moment) -> JobAsk? {
        guard let open, let job else { return nil }
        begunMillis = moment.steadyMillis
        var manner = BatchRun.Manner()
        manner.isGathered = pace.isGathered
        manner.isSteady = pace.isSteadyForGathering
        manner.recordsAreThere = pace.isGathered && pace.isCutOfArrived
        let mode: BatchRun.Mode = options.checkRows != nil && open.output != .nothing ? .checkRows : .seal
        return .run(
            BatchRun(
                plan: open, epoch: epoch, spec: job.spec, settings: job.settings, mode: mode, manner: manner,
                sealedBefore: sealedBefore, placement: placement, rejectWatch: rejectWatch, runNumber: moment.steadyNanos))
    }

    private mutating func batchRan(_ ran: RanBatch, _ moment: Moment) {
        placement = ran.homes
        // A batch that is tried again must find what this try may have sealed.
        sealedBefore = ran.partsWithRows
        switch ran.result {
        case .failure(let reason): failed(reason, moment)
        case .success(let run): batchSealed(run, moment)
        }
    }

    private mutating func batchSealed(_ done: BatchRunner.Finished, _ moment: Moment) {
        guard let plan = open, let job else { return end(.failed, defect("a batch ended that nobody ran")) }
        let result = done.run.builder.outcome(
            watermark: tracker(job), positions: Array(positions.values), unread: unread)
        var outcome = result.outcome
        outcome.retries = done.run.retries
        // No record was read, so nothing was learned about time.
        if plan.kind == .rehash { outcome.watermarkAfterMillis = lastWatermark }
        outcome.workers = done.run.usedWorkers.count
        outcome.timings.planMillis = planMillis
        outcome.timings.runMillis = done.runMillis
        outcome.timings.sealMillis = done.sealMillis
        outcome.timings.previousCommitMillis = previousCommitMillis
        finished = FinishedBatch(
            plan: plan, outcome: outcome, positions: result.positions, quarantine: result.quarantine,
            inlineState: result.inlineState, workers: done.run.usedWorkers)
        readings = done.run.builder.readings
        planned = nil
        pace.ran(by: done.run.usedWorkers)
        phase = .finish
        guard canPlanTogether, hasBacklog || clock.isDue(now: moment.steadyMillis) else { return }
        let restMillis = hasBacklog ? 0 : clock.restMillis(now: moment.steadyMillis)
        if pace.isSteady, !hasBacklog, clock.paceMillis > 0, pace.worker != nil, allHaveTimes {
            phase = .arrived
        } else if restMillis > 0 {
            // At interval 0 the pace may not allow it yet. The rows are in the sink by now, so while records keep coming this
            // batch's DONE waits the few milliseconds for them and takes the next plan along: one transaction, not two.
            phase = pace.isSteady ? .paceRest(restMillis) : .nextEnds
        } else {
            phase = .nextEnds
        }
    }

    /// While a partition has told no event time Kafka has to be asked: what lies there unread holds the watermark.
    private var allHaveTimes: Bool {
        job?.graph.source.eventTimeColumn == nil || positionsAfterFinished.values.allSatisfy { $0.maxEventTimeMillis != nil }
    }

    private var canPlanTogether: Bool {
        guard wish == .run, silence == nil, !decidesAgain, !needsRehash else { return false }
        guard let targets else { return true }
        let after = positionsAfterFinished
        return !targets.allSatisfy { (after[$0.key]?.position ?? 0) >= $0.value }
    }

    private mutating func arrived(_ ends: [TopicPartition: Int64]?, _ moment: Moment) {
        guard canPlanTogether else { return phase = .finish }
        guard let ends, ends.count == positionsAfterFinished.count else {
            let restMillis = clock.restMillis(now: moment.steadyMillis)
            return phase = restMillis > 0 ? .paceRest(restMillis) : .nextEnds
        }
        notes.append(.ends(ends, areArrived: true))
        // The worker knows only what was fetched: an end before a position is how a topic shows that it was recreated.
        if discovers(moment) || moment.steadyMillis - kafkaAskedMillis >= Self.askAgainMillis {
            arrivedEnds = ends
            return phase = .nextEnds
        }
        lookedNanos = moment.steadyNanos
        plan(ends, isArrived: true, moment)
    }

    private mutating func committed(_ moment: Moment) {
        guard let finished else { return end(.failed, defect("a batch was done that nobody finished")) }
        let commitMillis = Double(moment.steadyNanos - askedNanos) / 1e6
        for position in finished.positions { positions[position.topicPartition] = position }
        seals = sealsAfterFinished
        let plan = finished.plan
        if let readings, readings.number == plan.batch { rejectWatch.done(readings) }
        readings = nil
        lastBatch = plan.batch
        lastWatermark = job?.record.kind == .backfill ? nil : finished.outcome.watermarkAfterMillis
        lastState = finished.outcome.state ?? lastState
        closedWatermark = plan.watermarkBeforeMillis
        var outcome = finished.outcome
        outcome.timings.commitMillis = commitMillis
        previousCommitMillis = commitMillis
        let record = BatchRecord(
            plan: plan, state: .done, outcome: outcome, plannedAtMillis: plan.batchTimeMillis, doneAtMillis: moment.wallMillis)
        lastDone = record
        let tookMillis = moment.steadyMillis - begunMillis
        notes.append(.positions(sortedPositions))
        // What a person moved in the group is not written over before it was acted upon.
        if plan.movesPositions, !decidesAgain {
            notes.append(.confirm(positions.mapValues(\.position), batch: plan.batch, epoch: epoch))
        }
        notes.append(.done(record, tookMillis: tookMillis, isOverrun: clock.isOverrun(tookMillis: Double(tookMillis))))
        if pace.isNewlyGathered { notes.append(.release(but: finished.workers, upTo: plan.batch)) }
        pace.isPlannedTogether(planned != nil, isPaced: clock.intervalMillis == 0 && clock.paceMillis > 0)
        open = planned
        planned = nil
        self.finished = nil
        sealedBefore = []
        foundNothing = false
        passed(moment)
        phase = decidesAgain ? .facts : open == nil ? .idle : .run
    }

    /// What is due between two batches, when nobody seals.
    package mutating func chores(_ moment: Moment) -> [JobAsk] {
        guard let job, hasStarted, finished == nil else { return [] }
        var chores: [JobAsk] = []
        if fixedParts != nil, moment.steadyMillis - renewedMillis >= job.settings.sinkRenewMillis {
            renewedMillis = moment.steadyMillis
            chores.append(.renewSink)
        }
        // A fold reads the batches that are still in the log one by one; fifty batches a second must not pay for that often.
        if lastBatch > 0, (lastBatch % 2000 == 0 && keptMillis != moment.steadyMillis) || moment.steadyMillis - keptMillis > Self.keepMillis {
            keptMillis = moment.steadyMillis
            chores.append(.housekeep(last: lastBatch, state: lastState))
        }
        return chores
    }

    // MARK: trouble

    private mutating func failed(_ reason: Failure, _ moment: Moment) {
        if case .ending = phase {
            say(.error, "job state not written", [("why", reason.why)])
            return phase = .over
        }
        if case .startAt = phase { found = [:] }
        // This batch is complete whatever the broker says about the next one; the tick asks again and reports.
        switch phase {
        case .nextEnds, .arrived:
            arrivedEnds = nil
            return phase = .finish
        default: break
        }
        guard reason.isWeather else { return giveUp(reason) }
        let verdict = patience.failed(
            reason, nowMillis: moment.steadyMillis, isDraining: wish != .run,
            spread: Double(moment.random >> 11) / 9_007_199_254_740_992)
        switch verdict {
        case .giveUp(let reason): giveUp(reason)
        case .tryAgain(let pause, let says):
            if let waiting = patience.waiting { notes.append(.waits(waiting, says: says)) }
            resume = Self.resume(phase)
            phase = .outside(pause)
        }
    }

    private static func resume(_ phase: Phase) -> Resume {
        switch phase {
        case .lease: .lease
        case .load: .load
        case .facts, .claimSink, .write, .checkState, .expectWorkers: .facts
        case .ends, .source, .idle, .rest, .nextEnds, .arrived, .paceRest: .idle
        case .startAt, .append, .run, .finish, .log: .log
        case .outside, .ending, .over: .idle
        }
    }

    private var again: Phase {
        switch resume {
        case .lease: .lease
        case .load: .load
        case .facts: .facts
        case .idle: .idle
        case .log: .log
        }
    }

    /// The end for a reason, unless the job takes its lease again.
    private mutating func giveUp(_ reason: Failure) {
        if silence != nil, wish.rank < JobWish.kill.rank {
            silence = nil
            say(.warning, "the lease is taken again", [("why", reason.why)])
            resume = .lease
            finished = nil
            planned = nil
            open = nil
            phase = .lease
            return
        }
        // Who lost the lease writes nothing any more; the state is the other driver's.
        if reason.code == .leaseLost { return end(nil, reason) }
        end(reason.code == .taskCancelled ? .stopped : .failed, reason)
    }

    private var isEnding: Bool {
        switch phase {
        case .ending, .over: true
        default: false
        }
    }

    /// - Parameter state: nil leaves the job's row alone.
    private mutating func end(_ state: JobState?, _ reason: Failure?) {
        failure = reason?.code == .taskCancelled ? nil : reason
        notes.append(.state(state ?? .failed, reason))
        if let state, epoch > 0 { phase = .ending(state, reason) } else { phase = .over }
    }

    private var sortedPositions: [PartitionPosition] { positions.values.sorted { $0.topicPartition < $1.topicPartition } }

    private mutating func say(_ level: Log.Level, _ what: StaticString, _ details: [(String, String)]) {
        notes.append(.say(level, what, [("job", name)] + details))
    }
}
