// One batch from its durable plan to DONE, and what is due between two batches when nobody seals.
//
// What the machine holds of the log (positions, watermark, state, seals) moves in `committed`, when the log has answered, and
// nowhere else.

import Engine
import Wire

extension JobMachine {
    mutating func run(_ moment: Moment) -> JobAsk? {
        guard let open, let job else { return nil }
        begunMillis = moment.steadyMillis
        if open.kind == .repair { return .repair(open) }
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

    mutating func batchRan(_ ran: RanBatch, _ moment: Moment) {
        placement = ran.homes
        isTriedOften = false
        if ran.sinkWasSilent { comparesSink = true }
        // A batch that is tried again must find what this try may have sealed.
        sealedBefore = ran.partsWithRows
        switch ran.result {
        case .failure(let reason) where reason.code == .recordCrash && !ran.crashing.isEmpty: leaveOut(ran.crashing, reason)
        case .failure(let reason) where ran.isOutwaited && stopReason == nil: outwaited(reason)
        case .failure(let reason): failed(reason, moment)
        case .success(let run): batchSealed(run, moment)
        }
    }

    /// What the batch leaves out is in the log before it runs again: the plan is replaced under a higher epoch, which the next
    /// lease brings. The start that follows does it (`StartDecision`).
    private mutating func leaveOut(_ crashing: [OffsetRange], _ reason: Failure) {
        guard let job, job.settings.excludesCrashing else { return giveUp(reason) }
        // Who shall stop ends for that reason; the next start finds the record anew.
        if let stop = stopReason { return giveUp(stop) }
        options.excluded = crashing
        for range in crashing {
            say(.error, "record left out", [("at", "\(range.topicPartition) offset \(range.from)"), ("why", reason.why)])
        }
        open = nil
        phase = .lease
    }

    mutating func batchSealed(_ done: BatchRunner.Finished, _ moment: Moment) {
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
        if plan.kind == .redrive { finished?.closes = plan.only ?? plan.ranges }
        readings = plan.movesPositions ? done.run.builder.readings : nil
        planned = nil
        pace.ran(by: done.run.usedWorkers)
        backlog.took(records: plan.ranges.reduce(0) { $0.plus($1.count) }, millis: done.runMillis + done.sealMillis)
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
    var allHaveTimes: Bool {
        job?.graph.source.eventTimeColumn == nil || positionsAfterFinished.values.allSatisfy { $0.maxEventTimeMillis != nil }
    }

    var canPlanTogether: Bool {
        guard wish == .run, silence == nil, !decidesAgain, options.redrive == nil, options.repair == nil, !comparesSink, !lacksParts, !needsRehash else { return false }
        guard let targets else { return true }
        let after = positionsAfterFinished
        return !targets.allSatisfy { (after[$0.key]?.position ?? 0) >= $0.value }
    }

    mutating func arrived(_ ends: [TopicPartition: Int64]?, _ moment: Moment) {
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

    mutating func committed(_ moment: Moment) {
        guard let finished else { return end(.failed, defect("a batch was done that nobody finished")) }
        let commitMillis = Double(moment.steadyNanos - askedNanos) / 1e6
        for position in finished.positions { positions[position.topicPartition] = position }
        seals = sealsAfterFinished
        let plan = finished.plan
        carriedOut(plan)
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
        sinkSeenMillis = moment.steadyMillis
        foundNothing = false
        hasCompared = false
        passed(moment)
        if comparesSink, wish == .run {
            comparesSink = false
            return takeLeaseAgain("the sink was away: it is compared with the log, under a new epoch")
        }
        if lacksParts, wish == .run { return claimParts() }
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
        if !job.graph.lookups.isEmpty, moment.steadyMillis - lookedUpMillis >= max(job.settings.lookupRefreshMillis, Self.leastLookupMillis) {
            lookedUpMillis = moment.steadyMillis
            chores.append(.lookAtLookups)
        }
        // Who seals compares; a job that rests would not hear that its sink was put back or lost.
        if mayLookAtSink, moment.steadyMillis - sinkSeenMillis >= job.settings.sinkLookMillis {
            sinkSeenMillis = moment.steadyMillis
            chores.append(.lookAtSink(seals: seals, last: lastBatch))
        }
        // A fold reads the batches that are still in the log one by one; fifty batches a second must not pay for that often.
        if lastBatch > 0, (lastBatch % 2000 == 0 && keptMillis != moment.steadyMillis) || moment.steadyMillis - keptMillis > Self.keepMillis {
            keptMillis = moment.steadyMillis
            chores.append(.housekeep(last: lastBatch, state: lastState))
        }
        return chores
    }
}
