// A job's batches of kind redrive: bad records once more, by their coordinates, through the same stages as ever. What passes is
// sealed and closes its entry in the quarantine, in the transaction that makes the batch DONE; what fails stays with its new
// reason.
//
// And of kind repair: planned, carried out and finished as others are, but their rows come from recorded batches
// and no position moves (protocol 15).
//
// A plan of kind repair that is open after a crash is carried out by whoever starts next. State and watermark are carried on,
// because the next start takes both from the newest batch.

import Engine

extension JobMachine {
    /// - Parameter writes: false where the batches have been written again under their own numbers: the log then only says so.
    mutating func planRepair(_ batches: ClosedRange<BatchNumber>, writes: Bool, _ moment: Moment) {
        guard let job = running else { return }
        do {
            var plan = PlanFrame(
                job: job, epoch: epoch, batch: lastBatch + 1, watermarkBeforeMillis: closedWatermark, topicIDs: topicIDs,
                stateBefore: lastState, parts: 1
            ).plan([], batchTimeMillis: try batchTime(moment), seed: moment.random)
            plan.kind = .repair
            plan.output = writes ? .changes : .nothing
            plan.repairs = [batches.lowerBound, batches.upperBound]
            plan.predecessors = job.predecessors(of: plan, seals)
            planned = plan
            phase = .append
        } catch { failed(error, moment) }
    }

    mutating func planRedrive(_ moment: Moment) {
        guard let job = running, let step = redrives.first else { return end(.stopped, nil) }
        do {
            let done = (options.redrive?.steps.count ?? 0) - redrives.count
            guard let basis = options.redrive?.basis, lastBatch == basis + BatchNumber(done) else {
                throw Failure(
                    .notPossible, "the log of job \(name) has gone on since its rejected records were looked up",
                    why: "it is at batch \(lastBatch), and some of them may have been processed by now",
                    now: "run the same command again: it looks them up anew")
            }
            let time = try batchTime(moment)
            var plan = PlanFrame(
                job: job, epoch: epoch, batch: lastBatch + 1,
                watermarkBeforeMillis: tracker(job).closing(
                    closed: closedNow, reached: reachedNow, positions: positions.values, batchTimeMillis: time),
                topicIDs: topicIDs, stateBefore: lastState, parts: fixedParts ?? max(1, members)
            ).plan(step.ranges, batchTimeMillis: time, seed: moment.random)
            plan.kind = .redrive
            plan.only = step.only
            plan.with = options.once
            plan.predecessors = job.predecessors(of: plan, seals)
            planned = plan
            phase = .append
        } catch { failed(Engine.failure(error), moment) }
    }

    /// What was asked for is done when its batch is.
    mutating func carriedOut(_ plan: BatchPlan) {
        if plan.kind == .redrive, plan.only == redrives.first?.only { redrives.removeFirst() }
        if plan.kind == .repair, let batches = repair?.batches, plan.repairs == [batches.lowerBound, batches.upperBound] { repair = nil }
    }

    mutating func repaired(_ rows: RepairedRows, _ moment: Moment) {
        guard let plan = openPlan else { return }
        var outcome = BatchOutcome()
        outcome.digest = rows.digest
        if let part = rows.part {
            outcome.parts = [part]
            outcome.rowsOut = part.rows
            outcome.refused = part.refused
        }
        outcome.watermarkAfterMillis = lastWatermark
        outcome.state = lastState
        outcome.state?.version = plan.batch
        outcome.timings.runMillis = Double(moment.steadyMillis - begunMillis)
        finished = FinishedBatch(
            plan: plan, outcome: outcome, positions: [], quarantine: [], inlineState: [], workers: [])
        phase = .finish
    }
}
