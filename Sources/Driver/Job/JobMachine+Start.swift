// A job's start: from the lease to the first plan. What it comes to is decided by `StartDecision`, twice: before the sink is
// claimed, when a refusal changes nothing, and behind the claim, with what the sink holds now that older drivers are fenced.
//
// Batches that the sink lacks are written again here, before anything new is planned. What survives a crash is the log and the
// sink's ledger; the next start decides from both.
//
// When changing it: the machine believes nothing that the log has not answered.

import Engine

extension JobMachine {
    mutating func leased(_ answer: LeaseAnswer, _ moment: Moment) {
        // The catalog has answered, whoever holds the lease.
        passed(moment)
        switch answer {
        case .acquired(let epoch):
            self.epoch = epoch
            silence = nil
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

    mutating func loaded(_ job: RunningJob, _ desired: DesiredState) {
        if options.waitForLease, desired != .run, !hasStarted {
            // While this one waited, somebody asked the job to rest. One that takes its lease again has a batch to finish.
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
    var sinkClaim: SinkClaim {
        SinkClaim(
            adopt: options.adopt, begins: facts?.sink.map { SinkVerdict.decide($0) == .begin } ?? true, anew: claimsAnew,
            after: facts?.log.lastDone?.plan.batch ?? 0, open: facts?.log.openPlan?.batch, seals: facts?.log.seals ?? [],
            parent: job?.record.parentJobID, keys: job?.settings.sinkKeys)
    }

    /// How long a batch's sink is waited for: as for anything outside.
    package var freshPatience: Patience {
        Patience(options.untilCaughtUp ? .bounded(job?.settings.patienceMillis ?? DriverLimits.patienceMillis) : .standing)
    }

    /// The first decision: it only has to refuse what must be refused.
    mutating func decide(_ facts: StartFacts) {
        guard let job else { return end(.failed, defect("facts came before the job")) }
        do {
            let decision = try StartDecision.decide(facts, of: job, epoch: epoch, options: options)
            claimsAnew = decision.claimsAnew
            repair = decision.repair
            self.facts = facts
            phase = .claimSink
        } catch { end(.failed, error) }
    }

    /// The second: with what the sink holds now that older drivers are fenced.
    mutating func sinkClaimed(_ claimed: SinkClaimed) {
        guard var facts, let job else { return end(.failed, defect("a sink was claimed without facts")) }
        fixedParts = claimed.fixedParts
        facts.fixedParts = claimed.fixedParts
        facts.sealed = facts.log.openPlan == nil ? [:] : claimed.sealed
        facts.sinkOwner = .job(job.record.jobID, epoch)
        facts.sink?.claimed(claimed.sight)
        do {
            var decision = try StartDecision.decide(facts, of: job, epoch: epoch, options: options)
            if options.once == nil, let settings = options.settings, settings.values != job.record.settings || job.isChanged {
                decision.writes.insert(.settings(settings.values, digest: settings.digest), at: 0)
            }
            notes += decision.notes
            self.decision = decision
            // Settings are not stored before the place that they name is there.
            phase = .checkState
        } catch { end(.failed, error) }
    }

    mutating func written(_ moment: Moment) {
        guard let decision, let facts, let job else { return end(.failed, defect("a start was written without a decision")) }
        adopt(facts.log)
        positions = decision.positions
        open = decision.openPlan
        isTriedOften = open.map { epoch - $0.epoch >= Epoch(DriverLimits.deathsBeforeHunt) } ?? false
        sealedBefore = decision.sealedParts
        topicIDs = facts.topicIDs
        decidesAgain = decision.decidesAgain
        writesAgain = decision.writesAgain
        if decision.usesUpFlags {
            options.offsets = nil
            options.acceptTopic = false
        }
        // A job that takes its lease again must not accept once more what a person accepted once.
        options.adopt = false
        options.acceptLoss = false
        options.excluded = []
        comparesSink = false
        lacksParts = false
        doubtsSource = false
        // The decision has compared the topic with the log, which proves something where the brokers tell its id.
        if !facts.topicIDs.isEmpty { sourceCheck.forget() }
        // A jump back that no batch followed yet: state and watermark are those of the version that it led to.
        if open == nil, job.isStateful, let version = decision.version ?? facts.log.restored { restore(version) }
        if job.record.kind == .backfill { lastWatermark = nil }
        if options.untilCaughtUp, targets == nil { targets = options.targets ?? facts.ends }
        if open == nil {
            isTimeReset = options.resetTime
            options.resetTime = false
        }
        partitionsSeenMillis = moment.steadyMillis
        renewedMillis = moment.steadyMillis
        sinkSeenMillis = moment.steadyMillis
        notes.append(.positions(sortedPositions))
        notes.append(.ends(facts.ends, areArrived: false))
        self.decision = nil
        self.facts = nil
        phase = .expectWorkers
    }

    mutating func restore(_ version: KeptVersion) {
        lastState = version.state
        lastWatermark = version.watermarkMillis
        closedWatermark = version.watermarkMillis
    }

    mutating func started(_ moment: Moment) {
        hasStarted = true
        passed(moment)
        notes.append(.state(.running, nil))
        if let batches = writesAgain {
            say(
                .warning, "the sink lacks batches, they are written again",
                [("from", "\(batches.lowerBound)"), ("to", "\(batches.upperBound)")])
            phase = .writeAgain(batches.lowerBound)
        } else {
            phase = open == nil ? .idle : .run
        }
    }

    mutating func wroteAgain(_ batch: BatchNumber, _ moment: Moment) {
        passed(moment)
        // Behind what the sink still lacks an open batch cannot be finished: the next start goes on here.
        if case .drain(let state) = wish, batch != writesAgain?.upperBound { return end(state, nil) }
        guard let batches = writesAgain, batch < batches.upperBound else {
            if let batches = writesAgain {
                say(.notice, "the sink has its batches again", [("from", "\(batches.lowerBound)"), ("to", "\(batches.upperBound)")])
            }
            writesAgain = nil
            phase = open == nil ? .idle : .run
            return
        }
        phase = .writeAgain(batch + 1)
    }

    /// Takes what the log says as what the machine holds.
    mutating func adopt(_ log: LogStand) {
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

    mutating func logRead(_ log: LogStand, _ moment: Moment) {
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
        phase = open == nil || doubtsSource ? .idle : .run
    }
}
