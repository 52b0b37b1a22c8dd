// Between two batches: when the next one is cut, of what, and what its plan names.
//
// A plan is made of ends that Kafka told, or of what has arrived at the worker that reads a small job's batches whole. Behind a
// batch that is about to be DONE the next one is cut at once, and becomes durable in the same transaction.
//
// When changing it: an end before a position is never planned around; it is a doubt about the topic.

import Engine
import Wire

extension JobMachine {
    mutating func idle(_ moment: Moment) {
        if open != nil { return phase = doubtsSource ? .source : .run }
        if case .drain(let state) = wish { return end(state, nil) }
        if options.repair != nil {
            guard let repair else { return end(.stopped, nil) }
            return planRepair(repair.batches, writes: repair.writes, moment)
        }
        if options.redrive != nil { return planRedrive(moment) }
        if needsRehash { return planRehash(moment) }
        if isCaughtUp && !isDue(moment) { return end(.finished, nil) }
        let wait =
            hasBacklog && !foundNothing
            ? 0 : clock.waitMillis(now: moment.steadyMillis, foundNothing: foundNothing)
        phase = wait > 0 ? .rest(wait) : .ends
    }

    var isCaughtUp: Bool {
        guard let targets else { return false }
        return targets.allSatisfy { (positions[$0.key]?.position ?? 0) >= $0.value }
    }

    /// A batch without records has something to give: rows that the watermark has passed since the last plan, or the row that a job has
    /// before its first record.
    func isDue(_ moment: Moment) -> Bool {
        guard let job, job.record.kind == .live, finished == nil else { return false }
        if job.graph.work.givesAtStart && lastBatch == 0 { return true }
        // No batch's time lies before both clocks, so that its plan closes what is due here.
        let leastMillis = min(moment.wallMillis, catalogClock?.now(moment) ?? moment.wallMillis)
        guard job.graph.work.givesWhenClosed, let next = closing(job, leastMillis) else { return false }
        return closedWatermark.map { next > $0 } ?? true
    }

    /// The watermark that the next plan may act upon.
    func closing(_ job: RunningJob, _ batchTimeMillis: Int64) -> Int64? {
        tracker(job).closing(closed: closedNow, reached: reachedNow, positions: positionsAfterFinished.values, batchTimeMillis: batchTimeMillis)
    }

    /// The state is kept in another number of key groups than the job has now.
    var needsRehash: Bool {
        guard let job, job.isStateful, let kept = (finished?.outcome.state ?? lastState)?.keyGroups else { return false }
        return kept != job.settings.keyGroups
    }

    /// A batch that reads nothing and leaves the state in the job's key groups; nothing else is planned before it.
    mutating func planRehash(_ moment: Moment) {
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

    func discovers(_ moment: Moment) -> Bool {
        guard let job, job.record.kind == .live else { return false }
        if moment.steadyMillis - partitionsSeenMillis >= Self.discoverMillis { return true }
        // Before a plan closes windows, partitions are looked for.
        return WatermarkTracker.needsLook(closed: closedNow, reached: reachedNow, windowMillis: job.graph.closingMillis)
    }

    /// The watermark in the last plan, and the one that its batch reached.
    var closedNow: Int64? { finished.map(\.plan.watermarkBeforeMillis) ?? closedWatermark }
    var reachedNow: Int64? { finished.map(\.outcome.watermarkAfterMillis) ?? lastWatermark }

    func tracker(_ job: RunningJob) -> WatermarkTracker {
        WatermarkTracker(
            latenessMillis: job.settings.latenessMillis, byTopic: job.settings.topics.count > 1 ? job.settings.lateness : nil, partitionWaitMillis: job.settings.partitionWaitMillis
        )
    }

    mutating func looked(_ ends: [TopicPartition: Int64], _ found: [TopicPartition: Int64], _ moment: Moment) {
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

    func addedPositions(_ moment: Moment) -> [PartitionPosition] {
        found.sorted { $0.key < $1.key }.map {
            PartitionPosition(
                topic: $0.key.topic, partition: $0.key.partition, position: $0.value,
                foundMillis: (finished?.plan ?? lastDone?.plan)?.batchTimeMillis ?? moment.wallMillis)
        }
    }

    mutating func partitionsAdded(_ moment: Moment) {
        for position in addedPositions(moment) where positions[position.topicPartition] == nil {
            positions[position.topicPartition] = position
        }
        say(.notice, "partitions added", [("partitions", found.keys.sorted().map(\.description).joined(separator: ","))])
        found = [:]
        arrivedEnds = nil
        if let fixedParts, let job, !job.isStateful { lacksParts = positions.keys.contains { Int($0.partition) >= fixedParts } }
        if finished != nil { return phase = lacksParts ? .finish : .nextEnds }
        if lacksParts { claimParts() } else { phase = .ends }
    }

    /// Where part p of a sink is partition p of the topic, the sink's parts grow with the topic, or the start refuses by name.
    mutating func claimParts() {
        lacksParts = false
        takeLeaseAgain("the topic has more partitions than the sink had parts: it is claimed anew")
    }

    /// Cuts the next batch of `ends`: behind a batch that is about to be DONE, or between two.
    mutating func plan(_ ends: [TopicPartition: Int64], isArrived: Bool, _ moment: Moment) {
        guard let job else { return end(.failed, defect("a batch was cut without a job")) }
        let isBehindBatch = finished != nil
        let after = positionsAfterFinished
        do {
            let cut = BatchCut(
                positions: after, ends: ends, targets: targets,
                maxRecords: backlog.records(most: job.settings.maxBatchRecords, millis: job.settings.batchTimeMillis, always: job.graph.work.alwaysRecords))
            if cut.isShortened {
                // An end before a position is a doubt about the topic: it is asked for again, and decided apart.
                phase = isBehindBatch ? .finish : .source
                return
            }
            unread = cut.unread
            hasBacklog = cut.hasBacklog
            let isDue = cut.ranges.isEmpty && isDue(moment)
            guard !cut.ranges.isEmpty || isDue else {
                foundNothing = true
                if !isBehindBatch { passed(moment) }
                phase = isBehindBatch ? .finish : .idle
                return
            }
            let time = try batchTime(moment)
            clock.cut(now: moment.steadyMillis)
            planned = makePlan(cut, time, isArrived: isArrived, job, moment)
            if isDue { planned?.kind = .due }
            if isBehindBatch && !hasBacklog { _ = clock.waitMillis(now: moment.steadyMillis, foundNothing: false) }
            isPlanMeasured = false
            phase = isBehindBatch ? .finish : .append
        } catch {
            // This batch is complete whatever stands against the next one; the tick asks again and reports.
            if isBehindBatch { phase = .finish } else { failed(Engine.failure(error), moment) }
        }
    }

    /// The only "now" that the next batch's rows may see.
    mutating func batchTime(_ moment: Moment) throws(Failure) -> Int64 {
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

    mutating func makePlan(_ cut: BatchCut, _ batchTimeMillis: Int64, isArrived: Bool, _ job: RunningJob, _ moment: Moment) -> BatchPlan {
        // A part of a topic stays where its producer is: another one's first transaction is dear.
        let isGathered = fixedParts == nil && job.record.kind == .live && spread.isGathered(records: cut.recordCount)
        pace.cut(isGathered: isGathered, ofArrived: isArrived)
        let outcome = finished?.outcome
        let isBackfill = job.record.kind == .backfill
        let frame = PlanFrame(
            job: job, epoch: epoch, batch: (finished?.plan.batch ?? lastBatch) + 1,
            watermarkBeforeMillis: isBackfill ? nil : closing(job, batchTimeMillis),
            topicIDs: topicIDs, stateBefore: outcome?.state ?? lastState,
            parts: fixedParts ?? (isGathered ? 1 : max(1, members)))
        var plan = frame.plan(cut.ranges, batchTimeMillis: batchTimeMillis, seed: moment.random)
        if isBackfill {
            // A backfill writes once, at its end, when every window has its whole total (protocol 9).
            let isLast = targets.map { cut.reaches($0, from: positionsAfterFinished) } ?? false
            plan.kind = .backfill
            plan.output = job.graph.work.givesComplete ? (isLast ? .complete : .nothing) : .changes
        }
        plan.predecessors = job.predecessors(of: plan, sealsAfterFinished)
        // A later piece of a split range begins behind batches of which nothing is known yet.
        let epochs = plan.ranges.enumerated().compactMap { index, range in
            positionsAfterFinished[range.topicPartition].flatMap { $0.position == range.from ? $0.leaderEpoch : nil }
                .map { (index, RangeMark(leaderEpoch: $0)) }
        }
        plan.marks = epochs.isEmpty ? nil : Dictionary(uniqueKeysWithValues: epochs)
        return plan
    }

    var positionsAfterFinished: [TopicPartition: PartitionPosition] {
        guard let finished else { return positions }
        var after = positions
        for position in finished.positions { after[position.topicPartition] = position }
        return after
    }

    var sealsAfterFinished: [SealMark] {
        guard let finished else { return seals }
        return SealMark.after(seals, batch: finished.plan.batch, parts: finished.outcome.parts)
    }
}
