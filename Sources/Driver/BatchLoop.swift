// The life of one job: takes the lease, starts by `RecoveryPlan`, then plans, runs, commits and confirms batch after
// batch until it is asked to stop. One thread; it decides nothing that a pure value could decide.
//
//   lease -> start (facts, decision, claim the sink) -> [ plan -> run -> DONE (+ next plan) -> confirm ]* -> release
//
// What survives a crash: whatever the catalog holds. PLANNED without DONE is finished first, over the same ranges; DONE
// without confirmed offsets is confirmed by the next batch or start. The next PLANNED stands in the same transaction as
// DONE when records already wait and the interval is over, so a busy job pays one fsync a batch (protocol 4).
//
// When changing it: nothing may run before its plan is durable; offsets never go ahead of the log; a failure from
// outside runs the same plan again, it never plans another.

import Dispatch
import Engine
import Foundation
import Wire

package struct LoopOptions: Sendable {
    /// Stop when everything that was there at the start is done.
    package var untilCaughtUp = false
    package var adopt = false
    package var offsets: OffsetsFlag?
    /// Accept that retention deleted records which were not read yet.
    package var acceptLoss = false
    /// Accept a topic with another id, when its records are those that the log remembers.
    package var acceptTopic = false
    /// Settings that the job gets before it starts, if they are others than it has.
    package var settings: (values: [String: String], digest: String)?
    /// Workers that are starting beside the driver: the first batch is planned for all of them, unless they take long.
    package var expectedWorkers = 0
    /// Wait for the lease instead of refusing.
    package var waitForLease = false
    /// For a backfill: where each partition ends.
    package var targets: [TopicPartition: Int64]?
    package var starts: [TopicPartition: Int64]?
    package var backfill: BackfillBounds?
    /// Looks at the rows of a backfill's last batch before they may be sealed.
    package var checkRows: (@Sendable ([Chunk]) throws -> Void)?
    package init() {}
}

package final class BatchLoop {
    let catalog: Catalog
    let pool: WorkerPool
    let jobs: JobDefinitions
    let buildDigest: String
    let name: String
    let options: LoopOptions
    let address: String
    package let control: JobControl
    private let onBatch: @Sendable (BatchRecord) -> Void

    private(set) var epoch: Epoch = 0
    var job: RunningJob!
    var queries: OffsetQueries!
    private var ends: SourceEnds!
    var positions: [TopicPartition: PartitionPosition] = [:]
    private var targets: [TopicPartition: Int64]?
    private var lastWatermark: Int64?
    /// The watermark in the last plan: what is closed.
    private var closedWatermark: Int64?
    /// The open plan is finished without being confirmed, then the start is made once more.
    private var decidesAgain = false
    private var lastState: StateManifest?
    private var lastBatch: BatchNumber = 0
    /// Sink parts that may hold rows of the open plan already.
    private var sealedBefore: Set<Int> = []
    private var placement = TaskPlacement()
    private var clock = BatchClock(intervalMillis: 0, pollMillis: 5)
    private var confirmer: OffsetConfirmer!
    private var watch: SourceWatch!
    private var partitionsSeenMillis: Int64 = 0
    private var unread: Set<TopicPartition> = []
    private var topicIDs: [String: String] = [:]
    private var identity: SourceIdentity!
    private var foldedMillis: Int64 = steadyMillis()
    /// Parts of the last stage that the sink prescribes; set by `JobStart`.
    var fixedParts: Int?
    private var renewedMillis: Int64 = steadyMillis()

    package init(
        name: String, catalog: Catalog, pool: WorkerPool, jobs: JobDefinitions, buildDigest: String, address: String,
        options: LoopOptions, control: JobControl, onBatch: @escaping @Sendable (BatchRecord) -> Void
    ) {
        self.name = name
        self.catalog = catalog
        self.pool = pool
        self.jobs = jobs
        self.buildDigest = buildDigest
        self.address = address
        self.options = options
        self.control = control
        self.onBatch = onBatch
    }

    /// Runs the job until it is stopped, caught up or failed. Throws the failure that stopped it, after writing it down.
    package func run() throws {
        let holder = LeaseHolder.thisProcess(id: UUID().uuidString, address: address)
        let claim = LeaseClaim(catalog: catalog, job: name, waits: options.waitForLease, control: control)
        epoch = try claim.acquire(holder)
        control.show { $0.epoch = epoch }
        let keeper = LeaseKeeper(catalog: catalog, job: name, holder: holder, epoch: epoch, control: control)
        keeper.start()
        defer {
            keeper.stop()
            claim.release(holder, epoch: epoch)
        }
        guard var record = try catalog.job(named: name) else {
            throw Failure(
                .unknownJob, "there is no job named \(name)", why: "the catalog has no such row",
                now: "`sluice jobs` lists the ones there are")
        }
        control.show { $0.jobID = record.jobID }
        // However it ends: what workers keep for the job under this epoch is nobody's then.
        defer { pool.release(.all(of: record.jobID, epoch: epoch)) }
        if options.waitForLease, record.desired != .run {
            // While this one waited, somebody asked the job to rest.
            Log.notice("job not started", [("job", name), ("why", "it is meant to \(record.desired.rawValue)")])
            control.show { $0.state = record.state }
            return
        }
        do {
            if let settings = options.settings { try replaceSettings(of: &record, settings.values, settings.digest) }
            job = try RunningJob(
                record: record, jobs: jobs, buildDigest: buildDigest, catalog: catalog, backfill: options.backfill)
            // Catching up means working off what is there: the interval paces a standing job only.
            clock = BatchClock(
                intervalMillis: options.untilCaughtUp ? 0 : job.settings.intervalMillis,
                pollMillis: options.untilCaughtUp ? 5 : job.settings.pollMillis,
                paceMillis: options.untilCaughtUp ? 0 : BatchClock.usualPaceMillis)
            queries = try OffsetQueries(job.settings.kafka)
            ends = SourceEnds(queries: queries, job: job)
            confirmer = OffsetConfirmer(queries: queries, group: job.group)
            watch = SourceWatch(queries: queries, job: name, topic: job.settings.topic, control: control)
            let open = try start()
            try catalog.setJobState(record.jobID, epoch: epoch, state: .running)
            control.show { $0.state = .running }
            try batches(startingWith: open)
            confirmer.drain()
            let state: JobState = if case .drain(let state) = control.wish { state } else { .finished }
            try catalog.setJobState(record.jobID, epoch: epoch, state: state)
            control.show { $0.state = state }
        } catch {
            confirmer?.drain()
            let reason = failure(error)
            control.show {
                $0.state = reason.code == .taskCancelled ? .stopped : .failed
                $0.reason = reason
            }
            if reason.code != .leaseLost {
                let state: JobState = reason.code == .taskCancelled ? .stopped : .failed
                do {
                    try catalog.setJobState(record.jobID, epoch: epoch, state: state, reason: reason)
                } catch {
                    Log.error("job state not written", [("job", name), ("why", failure(error).why)])
                }
            }
            if reason.code == .taskCancelled { return }
            throw reason
        }
    }

    /// New settings and digests in the same log, if the state fits them.
    private func replaceSettings(of record: inout JobRecord, _ values: [String: String], _ digest: String) throws {
        guard record.settings != values || record.settingsDigest != digest || record.buildDigest != buildDigest else {
            return
        }
        if try catalog.lastDone(record.jobID) != nil {
            try DriverProcess.checkStateFits(
                old: jobs.graph(definition: record.definition, settings: record.settings),
                new: jobs.graph(definition: record.definition, settings: values), job: name)
        }
        try catalog.replaceJobSettings(
            record.jobID, epoch: epoch, settings: values, buildDigest: buildDigest, settingsDigest: digest)
        record.settings = values
        record.settingsDigest = digest
        record.buildDigest = buildDigest
    }

    // MARK: start

    /// Gathers the facts, decides, claims the sink. Returns the plan to finish first, if there is one.
    private func start() throws -> BatchPlan? {
        let starting = JobStart(loop: self)
        let begun = try starting.begin()
        sealedBefore = begun.sealedParts
        positions = begun.positions
        isGathered = false
        topicIDs = begun.topicIDs
        partitionsSeenMillis = steadyMillis()
        if let last = try catalog.lastDone(job.record.jobID) {
            lastBatch = last.plan.batch
            lastWatermark = last.outcome?.watermarkAfterMillis
            closedWatermark = last.plan.watermarkBeforeMillis
            lastState = last.outcome?.state
        }
        decidesAgain = begun.decidesAgain
        identity = SourceIdentity(
            topic: job.settings.topic, topicID: topicIDs[job.settings.topic], lastDone: lastBatch)
        // A jump back that no batch followed yet: state and watermark are those of the batch that ended there.
        if job.isStateful, begun.openPlan == nil,
            let target = OffsetJump.restored(
                try catalog.jumps(job.record.jobID), after: lastBatch, positions: positions.mapValues(\.position)),
            let restored = try begun.version ?? catalog.version(
                job.record.jobID, atOrBefore: target, starts: [:], isKept: { _ in true })
        {
            lastState = restored.state
            lastWatermark = restored.watermarkMillis
            closedWatermark = restored.watermarkMillis
        }
        if job.record.kind == .backfill { lastWatermark = nil }
        if options.untilCaughtUp { targets = options.targets ?? begun.ends }
        control.show {
            $0.positions = positions.values.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
            $0.ends = begun.ends
        }
        try StateCheck.run(job: job, pool: pool)
        return begun.openPlan
    }

    /// Replaces the epoch of a plan that is planned again; used by `JobStart`.
    func planAgain(_ plan: BatchPlan) -> BatchPlan {
        var again = plan
        again.epoch = epoch
        again.buildDigest = buildDigest
        again.settingsDigest = job.settingsDigest
        again.planDigest = job.graph.digest
        again.schemaDigest = job.schemaDigest
        again.lookups = job.lookups
        let parts = min(fixedParts ?? plan.taskCounts.last ?? 1, job.settings.keyGroups)
        again.taskCounts = job.graph.hasExchange ? [plan.ranges.count, parts] : [plan.ranges.count]
        return again
    }

    // MARK: the loop

    private func batches(startingWith open: BatchPlan?) throws {
        waitForExpectedWorkers()
        var next = open
        var foundNothing = false
        var outsideSinceMillis: Int64?
        while true {
            if let reason = stopReason() { throw reason }
            renewSink()
            if next == nil {
                if case .drain = control.wish { return }
                if isCaughtUp { return }
                let wait = hasBacklog && !foundNothing ? 0 : clock.waitMillis(now: steadyMillis(), foundNothing: foundNothing)
                if wait > 0 {
                    sleepMillis(wait)
                    foundNothing = false
                    continue
                }
            }
            do {
                if outsideSinceMillis != nil { next = try openPlanNow(triedLast: next) }
                let plan: BatchPlan
                if let open = next {
                    plan = open
                } else {
                    guard let cut = try planNext() else {
                        foundNothing = true
                        outsideSinceMillis = nil
                        continue
                    }
                    try catalog.appendPlan(cut)
                    try Failpoint.loseAnswer("plan-unanswered")
                    plan = cut
                    next = plan
                }
                next = try runBatch(plan)
                if decidesAgain { next = try start() }
                foundNothing = false
                outsideSinceMillis = nil
            } catch {
                let reason = failure(error)
                guard reason.blame == .external, reason.remedy != .stopJob, reason.code != .taskCancelled else { throw reason }
                let now = steadyMillis()
                let since = outsideSinceMillis ?? now
                outsideSinceMillis = since
                // Who asks to stop does not wait for the outside: the batch stays in the log.
                let patience = control.wish == .run ? DriverLimits.outsideRetryMillis : DriverLimits.drainRetryMillis
                guard now - since < patience else { throw reason }
                let pause = min(30_000, max(200, (now - since) / 2))
                Log.error(
                    "batch waits for the outside",
                    [("job", name), ("what", reason.what), ("why", reason.why), ("again_in_ms", "\(pause)")])
                control.show { $0.retries += 1 }
                sleepMillis(pause)
            }
        }
    }

    /// The plan to go on with behind a failure from outside. The answer to a commit may be lost although it was made, so
    /// only the log knows which plan is open, and whether one is.
    private func openPlanNow(triedLast: BatchPlan?) throws -> BatchPlan? {
        let open = try catalog.openPlan(job.record.jobID)?.plan
        if open?.batch != triedLast?.batch {
            sealedBefore = []
            Log.notice(
                "the log had taken what it did not answer",
                [("job", name), ("batch.id", "\(lastBatch)"), ("open", open.map { "\($0.batch)" } ?? "none")])
        }
        return open
    }

    /// Without this the first batch goes to whoever registered first, and the others watch it.
    private func waitForExpectedWorkers() {
        let deadline = steadyMillis() + DriverLimits.expectedWorkersMillis
        while pool.available.count < options.expectedWorkers, steadyMillis() < deadline, case .run = control.wish {
            // Registrations come in on other threads; there is no event to wait for here.
            usleep(1000)
        }
    }

    /// Sleeps in small steps, so that a wish is heard within 20 ms.
    private func sleepMillis(_ millis: Int64) {
        let until = steadyMillis() + millis
        while true {
            let left = until - steadyMillis()
            if left <= 0 { return }
            if case .run = control.wish {} else { return }
            usleep(UInt32(min(left, 20) * 1000))
        }
    }

    private func stopReason() -> Failure? {
        switch control.wish {
        case .run, .drain: return nil
        case .kill:
            return Failure(.taskCancelled, "job \(name) was killed", why: "asked to", now: "start it again to finish its open batch")
        case .lost(let reason): return reason
        }
    }

    private var isCaughtUp: Bool {
        guard let targets else { return false }
        return targets.allSatisfy { (positions[$0.key]?.position ?? 0) >= $0.value }
    }

    // MARK: one batch

    /// - Parameter arrived: where the partitions end as far as the worker has their records that reads the next batch, too.
    private func planNext(arrived: [TopicPartition: Int64]? = nil) throws -> BatchPlan? {
        let start = ContinuousClock.now
        let tracker = WatermarkTracker(
            latenessMillis: job.settings.latenessMillis, partitionWaitMillis: job.settings.partitionWaitMillis)
        let batchTime = wallMillis()
        try discoverPartitions(
            batchTimeMillis: batchTime,
            isDue: WatermarkTracker.needsLook(
                closed: closedWatermark, reached: lastWatermark, windowMillis: job.graph.window?.lengthMillis))
        let watermark = tracker.closing(
            closed: closedWatermark, reached: lastWatermark, positions: positions.values, batchTimeMillis: batchTime)
        let ends = try ends.ends(of: positions, arrived: arrived)
        control.show { $0.ends.merge(ends) { arrived == nil ? $1 : max($0, $1) } }
        watch.tick(positions.mapValues(\.position), bytesPerOffset: bytesPerOffset)
        let cut = BatchCut(
            positions: positions, ends: ends, targets: targets, maxRecords: job.settings.maxBatchRecords)
        if cut.isShortened {
            try checkIdentity(reached: [:], isDoubtful: true)
            return nil
        }
        unread = cut.unread
        hasBacklog = cut.hasBacklog
        guard !cut.ranges.isEmpty else { return nil }
        clock.cut(now: steadyMillis())
        // A part of a topic stays where its producer is: another one's first transaction is dear.
        isCutOfArrived = arrived?.count == positions.count
        isGathered = fixedParts == nil && job.record.kind == .live && spread.isGathered(records: cut.recordCount)
        let frame = PlanFrame(
            job: job, epoch: epoch, batch: lastBatch + 1, watermarkBeforeMillis: watermark, topicIDs: topicIDs,
            stateBefore: lastState, parts: fixedParts ?? (isGathered ? 1 : max(1, pool.available.reduce(0) { $0 + $1.slots })))
        var plan = frame.plan(cut.ranges, batchTimeMillis: batchTime, seed: .random(in: 0...UInt64.max))
        if job.record.kind == .backfill {
            // A backfill writes once, at its end, when every window has its whole total (protocol 9).
            let isLast = targets.map { cut.reaches($0, from: positions) } ?? false
            plan.output = job.graph.hasExchange ? (isLast ? .complete : .nothing) : .changes
        }
        planMillis = (ContinuousClock.now - start) / .milliseconds(1)
        return plan
    }

    private var planMillis = 0.0
    /// Of the last batch.
    private var bytesPerOffset: Double?
    private var previousCommitMillis: Double?
    private var spread = BatchSpread()
    /// The last plan is for one worker.
    private var isGathered = false
    /// The last plan took what had arrived at a worker.
    private var isCutOfArrived = false
    /// The last batch that ended was done by one worker.
    private var wasWhole = false
    /// The worker that did it, which follows the partitions.
    private var wholeWorker: String?
    /// The last plan was made together with a DONE: records come all the time.
    private var isSteady = false
    private var steadyInARow = 0
    /// A record that comes alone must not wait for a fetch that gathers; changing the manner of fetching costs a connection.
    private static let steadyForGathering = 8
    /// The last plan left records behind because of `max_batch_records`: the next one does not wait for a tick.
    private var hasBacklog = false

    /// Partitions that were added since the last look start at their earliest offset, through the log.
    private func discoverPartitions(batchTimeMillis: Int64, isDue: Bool) throws {
        let now = steadyMillis()
        guard job.record.kind == .live, isDue || now - partitionsSeenMillis >= 5000 else { return }
        partitionsSeenMillis = now
        let there = try queries.partitions(of: job.settings.topic).map {
            TopicPartition(topic: job.settings.topic, partition: $0)
        }
        let new = there.filter { positions[$0] == nil }
        guard !new.isEmpty else { return }
        let starts = try queries.starts(new)
        let added = new.map {
            PartitionPosition(
                topic: $0.topic, partition: $0.partition, position: starts[$0] ?? 0, foundMillis: batchTimeMillis)
        }
        try catalog.startAt(job.record.jobID, epoch: epoch, positions: added)
        for position in added { positions[TopicPartition(topic: position.topic, partition: position.partition)] = position }
        Log.notice("partitions added", [("job", name), ("partitions", new.map(\.description).joined(separator: ","))])
    }

    /// Runs a durable plan to DONE. Returns the next plan when it was made durable together with DONE.
    private func runBatch(_ plan: BatchPlan) throws -> BatchPlan? {
        Failpoint.reach("planned")
        let begun = ContinuousClock.now
        let isWhole = isGathered
        let runner = BatchRunner(
            plan: plan, epoch: epoch, spec: job.spec, settings: job.settings, pool: pool, mode: mode(of: plan),
            sealedBefore: sealedBefore, isGathered: isWhole,
            isSteady: steadyInARow >= Self.steadyForGathering, recordsAreThere: isWhole && isCutOfArrived,
            beforeSeal: { [unowned self] in
                try checkIdentity(
                    reached: Dictionary(uniqueKeysWithValues: plan.ranges.map { ($0.topicPartition, $0.until) }))
            },
            shouldStop: { [control, name] in
                switch control.wish {
                case .run, .drain: nil
                case .kill:
                    Failure(.taskCancelled, "job \(name) was killed", why: "asked to", now: "start it again to finish its open batch")
                case .lost(let reason): reason
                }
            })
        // A batch that is tried again must find what this try may have sealed.
        var isDone = false
        defer { sealedBefore = isDone ? [] : runner.partsWithRows }
        let finished = try runner.run(placement: &placement)
        let tracker = WatermarkTracker(
            latenessMillis: job.settings.latenessMillis, partitionWaitMillis: job.settings.partitionWaitMillis)
        let result = finished.builder.outcome(
            watermark: tracker, positions: Array(positions.values), unread: unread)
        var outcome = result.outcome
        outcome.retries = finished.retries
        outcome.workers = finished.workers.count
        outcome.timings.planMillis = planMillis
        outcome.timings.runMillis = finished.runMillis
        outcome.timings.sealMillis = finished.sealMillis
        outcome.timings.previousCommitMillis = previousCommitMillis

        for position in result.positions {
            positions[TopicPartition(topic: position.topic, partition: position.partition)] = position
        }
        lastBatch = plan.batch
        lastWatermark = job.record.kind == .backfill ? nil : outcome.watermarkAfterMillis
        closedWatermark = plan.watermarkBeforeMillis
        lastState = outcome.state ?? lastState
        planMillis = 0

        wholeWorker = isWhole && finished.workers.count == 1 ? finished.workers.first : nil
        let next = decidesAgain ? nil : try nextTogether()
        isSteady = next != nil
        steadyInARow = isSteady && clock.intervalMillis == 0 && clock.paceMillis > 0 ? steadyInARow + 1 : 0
        let commitStart = ContinuousClock.now
        try catalog.finishBatch(
            job.record.jobID, batch: plan.batch, epoch: epoch, outcome: outcome, positions: result.positions,
            quarantine: result.quarantine, inlineState: result.inlineState, next: next)
        try Failpoint.loseAnswer("commit-unanswered")
        identity.batchDone(plan.batch)
        isDone = true
        let commitMillis = (ContinuousClock.now - commitStart) / .milliseconds(1)
        outcome.timings.commitMillis = commitMillis
        previousCommitMillis = commitMillis
        let offsets = plan.ranges.reduce(0) { $0 + $1.count }
        if offsets > 0 { bytesPerOffset = Double(outcome.bytesIn) / Double(offsets) }
        Failpoint.reach("done")

        if !decidesAgain { confirmer.confirm(positions.mapValues(\.position), batch: plan.batch, epoch: epoch) }
        report(plan, outcome, tookMillis: (ContinuousClock.now - begun) / .milliseconds(1))
        if isWhole && !wasWhole { release(workersBut: finished.workers, upTo: plan.batch) }
        wasWhole = isWhole
        housekeeping()
        return next
    }

    /// Returns when the topic is known to be the one that was read.
    /// - Parameter reached: the ends of what was read and is not sealed.
    private func checkIdentity(reached: [TopicPartition: Int64], isDoubtful: Bool = false) throws {
        var mustAsk = isDoubtful
        while mustAsk || identity.isDue(nowMillis: steadyMillis()) {
            mustAsk = false
            let answer = try queries.identity(of: job.settings.topic, positions.keys.sorted())
            switch identity.answered(
                answer, positions: Array(positions.values), reached: reached, nowMillis: steadyMillis())
            {
            case .same, .unknown: return
            case .askAgain(let millis): sleepMillis(millis)
            case .other(let failure): throw failure
            }
        }
    }

    /// Small batches go to one worker from here on: the others would go on fetching what they do not read.
    private func release(workersBut used: Set<String>, upTo batch: BatchNumber) {
        pool.release(ReleaseBatch(jobID: job.record.jobID, batch: batch, epoch: epoch), but: used)
    }

    private func mode(of plan: BatchPlan) -> BatchRunner.Mode {
        guard let check = options.checkRows, plan.output != .nothing else { return .seal }
        return .checkRows { try check($0.rows()) }
    }

    /// The next plan, when records already wait and the interval is over; nil leaves planning to the tick.
    ///
    /// At interval 0 the pace may not allow it yet. The batch's rows are in the sink by now, so while records keep coming
    /// its DONE waits the few milliseconds for them and takes the next plan along: one transaction a batch, not two.
    private func nextTogether() throws -> BatchPlan? {
        guard case .run = control.wish, !isCaughtUp, hasBacklog || clock.isDue(now: steadyMillis()) else { return nil }
        do {
            let restMillis = hasBacklog ? 0 : clock.restMillis(now: steadyMillis())
            if let ends = arrived(restMillis: restMillis) {
                guard case .run = control.wish else { return nil }
                return try planNext(arrived: ends)
            }
            if restMillis > 0 {
                guard try isSteady || hasNew() else { return nil }
                sleepMillis(restMillis)
                guard case .run = control.wish else { return nil }
            }
            let plan = try planNext()
            if plan != nil && !hasBacklog { _ = clock.waitMillis(now: steadyMillis(), foundNothing: false) }
            return plan
        } catch {
            // This batch is complete whatever the broker says about the next one; the tick asks again and reports.
            Log.debug("next batch not planned together", [("job", name), ("why", failure(error).why)])
            return nil
        }
    }

    /// What has come behind the batch that ends now, told by the worker that read it: its fetches gather as long as the pace,
    /// so records are waited for where they arrive and cut when they are there. Nil when Kafka has to be asked.
    private func arrived(restMillis: Int64) -> [TopicPartition: Int64]? {
        guard isSteady, !hasBacklog, clock.paceMillis > 0, let id = wholeWorker,
            let worker = pool.available.first(where: { $0.id == id })
        else { return nil }
        return ends.arrived(at: worker, behind: positions, restMillis: restMillis, paceMillis: clock.paceMillis)
    }

    private func hasNew() throws -> Bool {
        try queries.ends(Array(positions.keys)).contains { $0.value > positions[$0.key]?.position ?? $0.value }
    }

    private func report(_ plan: BatchPlan, _ outcome: BatchOutcome, tookMillis: Double) {
        let now = wallMillis()
        let record = BatchRecord(
            plan: plan, state: .done, outcome: outcome, plannedAtMillis: plan.batchTimeMillis, doneAtMillis: now)
        control.show { status in
            status.lastBatch = record
            status.batchesDone += 1
            status.recordsDone += outcome.rowsIn
            status.rejectedDone += outcome.rejected
            status.retries += Int64(outcome.retries)
            status.positions = positions.values.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
        }
        if clock.isOverrun(tookMillis: tookMillis) {
            Log.warning(
                "batch outlasted its interval",
                [
                    ("job", name), ("batch.id", "\(plan.batch)"), ("took_ms", "\(Int(tookMillis))"),
                    ("interval_ms", "\(job.settings.intervalMillis)"), ("then", "the ticks that passed are skipped"),
                ])
        }
        onBatch(record)
    }

    /// Between two batches, so that nobody seals meanwhile. A sink that cannot be renewed now can be later.
    private func renewSink() {
        guard fixedParts != nil, steadyMillis() - renewedMillis >= job.settings.sinkRenewMillis else { return }
        renewedMillis = steadyMillis()
        do {
            let sink = try openSink(job.settings, table: job.graph.sink)
            defer { sink.close() }
            try sink.renew(
                SinkIdentity(job: job.record.name, jobID: job.record.jobID, epoch: epoch, sink: job.graph.sink.name))
            Log.info("sink renewed", [("job", name), ("sink", job.settings.sink)])
        } catch {
            Log.error("sink not renewed", [("job", name), ("why", failure(error).description)])
        }
    }

    /// Folding and sweeping, now and then; a failure costs space, not correctness.
    private func housekeeping() {
        // A fold reads the batches that are still in the log one by one; fifty batches a second must not pay for that often.
        guard lastBatch % 2000 == 0 || steadyMillis() - foldedMillis > 30_000 else { return }
        foldedMillis = steadyMillis()
        do {
            let report = try catalog.fold(
                job.record.jobID, epoch: epoch,
                LogRetention(
                    logKeepMillis: job.settings.logKeepMillis, stateKeepBatches: job.settings.stateKeepBatches,
                    stateKeepMillis: job.settings.stateKeepMillis))
            for finding in report.findings { Log.error("log not folded", [("job", name), ("finding", "\(finding)")]) }
            guard job.isStateful else { return }
            let kept = report.namedFiles.union(lastState?.fileNames ?? [])
            try StateStore(address: job.settings.state).sweep(job.record.jobID, upTo: lastBatch - 1, kept: kept)
        } catch {
            Log.warning("housekeeping failed", [("job", name), ("why", failure(error).why)])
        }
    }
}
