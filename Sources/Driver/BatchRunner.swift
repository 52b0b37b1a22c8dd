// Runs one planned batch on the workers that are there: the shell around `StageTracker` and `OutcomeBuilder`.
//
// One thread, one inbox. Every call to a worker is made on a thread of its own and its answer comes back as an event, so
// the decisions are made one at a time and in one place. A broken call means that the worker is gone: its running
// attempts failed, what it held is lost. A worker that falls silent (paused, half-open connection) is found by the
// pool's heartbeats and treated the same; its late answers carry an old attempt and are ignored.
//
// Between `allReported` and the seal the limits are checked and the failpoints of the crash tests stand.

import Dispatch
import Engine
import Foundation
import Synchronization
import Wire

final class BatchRunner {
    private enum Event: Sendable {
        case ran(worker: String, [StageTracker.Attempt], Result<RunTasksReply, Failure>)
        case sealed(worker: String, [StageTracker.Attempt], Result<SealTasksReply, Failure>)
        case tick
    }

    private let plan: BatchPlan
    private let spec: JobSpec
    private let settings: EngineSettings
    private let pool: WorkerPool
    private let epoch: Epoch
    private let mode: Mode
    /// All tasks go to one worker, because the batch is too small to be shared out.
    private let isGathered: Bool
    /// Records come all the time, so the next cut will ask the worker what has arrived.
    private let isSteady: Bool
    /// The records of the batch have arrived at the worker, so its tasks wait for nobody.
    private let recordsAreThere: Bool
    /// By the clock that never goes back, so that a later try is always a higher number.
    private let runNumber = Int64(DispatchTime.now().uptimeNanoseconds)
    private let shouldStop: () -> Failure?
    private let beforeSeal: () throws -> Void
    private var tracker: StageTracker
    private(set) var builder: OutcomeBuilder
    private let inbox = Inbox<Event>()
    private let callers = DispatchQueue(label: "sluice.calls", attributes: .concurrent)
    /// Which worker each running or sealing attempt was given to.
    private var assigned: [StageTracker.Attempt: WorkerPool.Worker] = [:]
    private var usedWorkers = Set<String>()
    private var sealStart: ContinuousClock.Instant?
    /// Sink parts that may hold rows of this batch from an earlier try.
    private let sealedBefore: Set<Int>
    /// The result of the stage after the exchange that came with those of stage 0, until the tracker wants that stage.
    private var ahead: (worker: String, result: TaskResult)?
    /// By sink part the digest that was sent to be sealed, empty for no rows.
    private var sealTried: [Int: String] = [:]

    /// What happens when every task has reported.
    enum Mode {
        /// The limits are checked, then rows are sealed.
        case seal
        /// The rows come back with the reports and are looked at before they may be sealed.
        case checkRows((OutcomeBuilder) throws -> Void)
        /// Nothing is sealed: the run only says what would be written.
        case replay(returnRows: Bool)

        var isReplay: Bool { if case .replay = self { true } else { false } }
        var returnsRows: Bool {
            switch self {
            case .seal: false
            case .checkRows: true
            case .replay(let returnRows): returnRows
            }
        }
    }

    struct Finished {
        var builder: OutcomeBuilder
        var retries: Int
        var workers: Set<String>
        var runMillis: Double
        var sealMillis: Double
    }

    /// - Parameter beforeSeal: throws the reason why nothing of the batch may leave the workers.
    /// - Parameter shouldStop: a reason to give the batch up now (lease lost, job killed), asked while it runs.
    init(
        plan: BatchPlan, epoch: Epoch, spec: JobSpec, settings: EngineSettings, pool: WorkerPool, mode: Mode = .seal,
        sealedBefore: Set<Int> = [], isGathered: Bool = false, isSteady: Bool = false, recordsAreThere: Bool = false,
        beforeSeal: @escaping () throws -> Void = {}, shouldStop: @escaping () -> Failure?
    ) {
        self.beforeSeal = beforeSeal
        self.mode = mode
        self.sealedBefore = sealedBefore
        self.isGathered = isGathered
        self.isSteady = isSteady
        self.recordsAreThere = recordsAreThere
        self.plan = plan
        self.epoch = epoch
        self.spec = spec
        self.settings = settings
        self.pool = pool
        self.shouldStop = shouldStop
        tracker = StageTracker(taskCounts: plan.taskCounts, maxAttempts: DriverLimits.maxAttempts)
        builder = OutcomeBuilder(plan: plan)
    }

    /// Sink parts that may hold rows of this batch by now.
    var partsWithRows: Set<Int> { sealedBefore.union(sealTried.filter { !$0.value.isEmpty }.keys) }

    func run(placement: inout TaskPlacement) throws -> Finished {
        let start = ContinuousClock.now
        var actions = tracker.start()
        while true {
            while !actions.isEmpty {
                switch actions.removeFirst() {
                case .launch(let attempts): try launch(attempts, placement: &placement)
                case .allReported:
                    if mode.isReplay { return finished(start: start, sealed: .now) }
                    do {
                        if let failure = builder.limitFailure(settings) { throw failure }
                        if case .checkRows(let check) = mode { try check(builder) }
                        try beforeSeal()
                    } catch {
                        giveUp()
                        throw error
                    }
                    Failpoint.reach("before-seal")
                    sealStart = .now
                    actions += tracker.handle(.sealAllowed)
                case .seal(let attempts): try seal(attempts)
                case .fail(let failure):
                    giveUp()
                    throw failure
                case .finished:
                    return finished(start: start, sealed: sealStart ?? .now)
                }
            }
            actions = try handle(inbox.next(timeoutMillis: 200) ?? .tick)
        }
    }

    private func finished(start: ContinuousClock.Instant, sealed: ContinuousClock.Instant) -> Finished {
        Finished(
            builder: builder, retries: tracker.retries, workers: usedWorkers,
            runMillis: (sealed - start) / .milliseconds(1), sealMillis: (ContinuousClock.now - sealed) / .milliseconds(1))
    }

    // MARK: events

    private func handle(_ event: Event) throws -> [StageTracker.Action] {
        if let reason = shouldStop() {
            giveUp()
            throw reason
        }
        switch event {
        case .ran(let worker, let attempts, .success(let reply)):
            var events: [StageTracker.Event] = []
            let byPart = Dictionary(grouping: attempts, by: \.part)
            for result in reply.results {
                guard let attempt = byPart[result.part]?.first(where: { $0.attempt == result.attempt }) else { continue }
                assigned[attempt] = nil
                if let report = result.report {
                    if tracker.isCurrent(attempt) { builder.accept(report, of: attempt) }
                    events.append(.taskSucceeded(attempt, worker: worker))
                } else {
                    let reason = result.failure ?? missingAnswer(worker)
                    logRetry(attempt, worker, reason)
                    events.append(.taskFailed(attempt, reason, lostParent: result.lost.map { ($0.sourcePart, $0.attempt) }))
                }
            }
            if let onward = reply.onward, attempts.allSatisfy(tracker.isCurrent) { ahead = (worker, onward) }
            return tracker.handle(events)
        case .ran(let worker, let attempts, .failure(let reason)):
            return callFailed(worker, attempts, reason) { .taskFailed($0, reason) }
        case .sealed(_, let attempts, .success(let reply)):
            var events: [StageTracker.Event] = []
            for attempt in attempts {
                assigned[attempt] = nil
                let part = builder.report(stage: attempt.stage, part: attempt.part)?.sinkPart ?? attempt.part
                let result = reply.results.first { $0.part == part }
                if let reason = result.map({ $0.failure }) ?? missingAnswer("?") {
                    logRetry(attempt, "seal", reason)
                    events.append(.sealFailed(attempt, reason))
                } else {
                    events.append(.partSealed(attempt))
                    Failpoint.reach("part-sealed")
                }
            }
            return tracker.handle(events)
        case .sealed(let worker, let attempts, .failure(let reason)):
            return callFailed(worker, attempts, reason) { .sealFailed($0, reason) }
        case .tick:
            var events: [StageTracker.Event] = []
            let gone = Set(assigned.values.map(\.id)).filter { !pool.contains($0) }.sorted()
            for worker in gone {
                let reason = Failure(
                    .workerUnreachable, "worker \(worker) fell silent", why: "no heartbeat", now: "nothing; its tasks run elsewhere")
                let attempts = assigned.filter { $0.value.id == worker }.keys
                for attempt in attempts {
                    assigned[attempt] = nil
                    events += [.taskFailed(attempt, reason), .sealFailed(attempt, reason)]
                }
                events.append(.workerLost(worker))
            }
            return tracker.handle(events)
        }
    }

    private func callFailed(
        _ worker: String, _ attempts: [StageTracker.Attempt], _ reason: Failure,
        _ event: (StageTracker.Attempt) -> StageTracker.Event
    ) -> [StageTracker.Action] {
        for attempt in attempts { assigned[attempt] = nil }
        var events = attempts.map(event)
        if reason.code == .workerUnreachable {
            pool.lost(worker, reason)
            events.append(.workerLost(worker))
        }
        return tracker.handle(events)
    }

    private func missingAnswer(_ worker: String) -> Failure {
        Failure(
            .workerUnreachable, "worker \(worker) left out a task in its answer", why: "the answer has no entry for it",
            now: "nothing; the task is run again")
    }

    private func logRetry(_ attempt: StageTracker.Attempt, _ worker: String, _ reason: Failure) {
        Log.warning(
            "attempt failed",
            [
                ("job", spec.name), ("batch.id", "\(plan.batch)"), ("stage.id", "\(attempt.stage)"),
                ("part", "\(attempt.part)"), ("task.attempt", "\(attempt.attempt)"), ("worker.id", worker),
                ("code", reason.code.rawValue), ("what", reason.what), ("why", reason.why),
            ])
    }

    // MARK: calls

    private func waitForWorkers() throws -> [WorkerPool.Worker] {
        let deadline = ContinuousClock.now + .milliseconds(DriverLimits.workerWaitMillis)
        var said = false
        while true {
            let workers = pool.available
            if !workers.isEmpty { return workers }
            if let reason = shouldStop() { throw reason }
            guard ContinuousClock.now < deadline else {
                throw Failure(
                    .workerUnreachable, "no worker is there for job \(spec.name)",
                    why: "none registered within \(DriverLimits.workerWaitMillis / 1000) s",
                    now: "start workers with `sluice worker --driver URL --slots 2`; batch \(plan.batch) waits in the log")
            }
            if !said {
                Log.notice("waiting for workers", [("job", spec.name), ("batch.id", "\(plan.batch)")])
                said = true
            }
            // Registrations come in on other threads; there is no event to wait for here.
            usleep(2000)
        }
    }

    private func launch(_ attempts: [StageTracker.Attempt], placement: inout TaskPlacement) throws {
        let workers = try waitForWorkers()
        let members = workers.map { TaskPlacement.Member(id: $0.id, slots: $0.slots) }
        let byID = Dictionary(uniqueKeysWithValues: workers.map { ($0.id, $0) })
        let urls = Dictionary(uniqueKeysWithValues: workers.map { ($0.id, $0.url) })
        for (stage, attempts) in Dictionary(grouping: attempts, by: \.stage).sorted(by: { $0.key < $1.key }) {
            if let known = ahead, stage > 0, attempts == [onwardAttempt] {
                ahead = nil
                usedWorkers.insert(known.worker)
                inbox.put(.ran(worker: known.worker, attempts, .success(RunTasksReply(of: asked(stage), results: [known.result]))))
                continue
            }
            let keys: [TaskPlacement.Key] = attempts.map {
                stage == 0 ? .partition(plan.ranges[$0.part].topicPartition) : .part($0.part)
            }
            let places = isGathered
                ? placement.gather(keys, on: members, salt: spec.jobID.text) : placement.place(keys, on: members)
            let blocks = try stage == 0 ? nil : stageBlocks(urls: urls)
            let state = stage == 0 ? [:] : stateFiles(parts: attempts.map(\.part))
            var byWorker: [String: [StageTracker.Attempt]] = [:]
            for (attempt, place) in zip(attempts, places) { byWorker[place, default: []].append(attempt) }
            for (id, attempts) in byWorker.sorted(by: { $0.key < $1.key }) {
                let worker = byID[id]!
                usedWorkers.insert(id)
                for attempt in attempts { assigned[attempt] = worker }
                let request = RunTasks(
                    job: spec, context: context, stage: stage,
                    tasks: attempts.map { attempt in
                        guard let blocks else {
                            return TaskSpec(
                                part: attempt.part, attempt: attempt.attempt, range: plan.ranges[attempt.part])
                        }
                        return TaskSpec(
                            part: attempt.part, attempt: attempt.attempt, sources: blocks.sources[attempt.part],
                            state: state[attempt.part] ?? [])
                    },
                    holders: blocks?.holders, replay: mode.isReplay, returnRows: mode.returnsRows,
                    onward: stage == 0 ? onward(behind: attempts) : nil, isWhole: stage == 0 && isWhole(attempts), isSteady: isSteady)
                let delayMillis = attempts.map(\.attempt).max().map { $0 > 1 ? min(50 << ($0 - 2), 2000) : 0 } ?? 0
                let run: @Sendable () -> Void = { [inbox] in
                    let result = Result { try worker.link.run(request) }.mapError(failure)
                    inbox.put(.ran(worker: id, attempts, result))
                }
                // A millisecond of work in this process: another thread would take longer to wake up.
                if worker.isHere && recordsAreThere && delayMillis == 0 { run() } else { call(afterMillis: delayMillis, run) }
            }
        }
    }

    /// A batch that one worker does as a whole needs no second question: its merge is told with its sources. A later
    /// attempt of either is asked for by itself.
    private func onward(behind attempts: [StageTracker.Attempt]) -> TaskSpec? {
        guard isWhole(attempts), plan.taskCounts.count == 2, plan.taskCounts[1] == 1, attempts.allSatisfy({ $0.attempt == 1 })
        else { return nil }
        return TaskSpec(
            part: onwardAttempt.part, attempt: onwardAttempt.attempt, sources: PartRuns(), state: stateFiles(parts: [0])[0] ?? [])
    }

    private func isWhole(_ attempts: [StageTracker.Attempt]) -> Bool {
        isGathered && attempts.count == plan.taskCounts[0]
    }

    private func asked(_ stage: Int) -> RunTasksReply.Asked {
        RunTasksReply.Asked(jobID: spec.jobID, batch: plan.batch, epoch: epoch, stage: stage)
    }

    private let onwardAttempt = StageTracker.Attempt(stage: 1, part: 0, attempt: 1)

    private var context: BatchContext {
        var context = BatchContext(plan: plan, run: runNumber)
        // A plan that is finished after a takeover runs under the epoch that finishes it.
        context.epoch = epoch
        return context
    }

    /// Where the blocks of every source task lie now. A merge without one of its sources would lose rows.
    private func stageBlocks(urls: [String: String]) throws -> StageBlocks {
        try StageBlocks(sources: plan.taskCounts[0], parts: plan.taskCounts[1]) { source in
            guard let holder = tracker.holder(stage: 0, part: source), let made = builder.destinations(ofSource: source)
            else {
                throw Failure(
                    .internal, "batch \(plan.batch) was to be merged without the rows of \(plan.ranges[source])",
                    why: "the task that reads them has no result at this moment", now: "report this defect; nothing was written")
            }
            // A holder that is gone by now has an address that nobody answers: the fetch fails and names the block.
            return (urls[holder.worker] ?? "gone:", holder.attempt, made)
        }
    }

    private func stateFiles(parts: [Int]) -> [Int: [StateFile]] {
        guard let manifest = plan.stateBefore else { return [:] }
        let bounds = BatchPlan.keyGroupBounds(parts: plan.taskCounts[1], keyGroups: plan.keyGroups)
        return Dictionary(
            uniqueKeysWithValues: parts.map { ($0, manifest.files(for: bounds[$0]..<bounds[$0 + 1])) })
    }

    /// A part that may have been sealed is sealed again with the same rows or not at all: a batch is deterministic, so
    /// others mean that something of its input was lost. The ledger says so too, but of a part without rows it hears nothing.
    private func checkSameRows(_ report: TaskReport) throws {
        let digest = report.rowsOut > 0 ? report.digest ?? "" : ""
        let isOther = sealTried[report.sinkPart].map { $0 != digest } ?? (digest.isEmpty && sealedBefore.contains(report.sinkPart))
        guard !isOther else {
            throw Failure(
                .ledgerConflict, "part \(report.sinkPart) of batch \(plan.batch) gave other rows when it was computed again",
                why: "the rows that may stand in the sink and those of this attempt have different digests",
                now: "keep the catalog and the sink as they are and compare with `sluice replay`; the job writes nothing more")
        }
        sealTried[report.sinkPart] = digest
    }

    private func seal(_ attempts: [StageTracker.Attempt]) throws {
        let workers = Dictionary(uniqueKeysWithValues: pool.available.map { ($0.id, $0) })
        var byWorker: [String: [StageTracker.Attempt]] = [:]
        for attempt in attempts {
            if let report = builder.report(stage: attempt.stage, part: attempt.part) { try checkSameRows(report) }
            // A part without rows has nothing to write: its ledger row would only cost a transaction.
            guard let report = builder.report(stage: attempt.stage, part: attempt.part), report.rowsOut > 0 else {
                inbox.put(.sealed(worker: "", [attempt], .success(emptySeal(attempt))))
                continue
            }
            let holder = tracker.holder(stage: attempt.stage, part: attempt.part)?.worker ?? ""
            byWorker[holder, default: []].append(attempt)
        }
        for (id, attempts) in byWorker.sorted(by: { $0.key < $1.key }) {
            guard let worker = workers[id] else {
                let reason = Failure(
                    .workerUnreachable, "worker \(id) is gone", why: "it left before its rows were sealed",
                    now: "nothing; its tasks run elsewhere")
                inbox.put(.sealed(worker: id, attempts, .failure(reason)))
                continue
            }
            for attempt in attempts { assigned[attempt] = worker }
            let request = SealTasks(
                job: spec, batch: plan.batch, epoch: epoch,
                parts: attempts.map {
                    let report = builder.report(stage: $0.stage, part: $0.part)!
                    return SealTasks.Part(part: report.sinkPart, attempt: $0.attempt, digest: report.digest ?? "")
                })
            let seal: @Sendable () -> Void = { [inbox] in
                let result = Result { try worker.link.seal(request) }.mapError(failure)
                inbox.put(.sealed(worker: id, attempts, result))
            }
            // A server may hang, and a job that is to be killed then must hear it; a file's locks have an end.
            if worker.isHere && recordsAreThere && settings.sink.hasPrefix("sqlite:") { seal() } else { call(afterMillis: 0, seal) }
        }
    }

    private func emptySeal(_ attempt: StageTracker.Attempt) -> SealTasksReply {
        let part = builder.report(stage: attempt.stage, part: attempt.part)?.sinkPart ?? attempt.part
        return SealTasksReply(results: [SealResult(part: part, outcome: .alreadySealed)])
    }

    private func call(afterMillis: Int, _ body: @escaping @Sendable () -> Void) {
        if afterMillis == 0 {
            callers.async(execute: body)
        } else {
            callers.asyncAfter(deadline: .now() + .milliseconds(afterMillis), execute: body)
        }
    }

    /// Tells every worker that was used to drop the batch.
    private func giveUp() {
        let request = CancelJob(jobID: spec.jobID, epoch: epoch, run: runNumber, isReplay: mode.isReplay)
        for worker in pool.available where usedWorkers.contains(worker.id) {
            // Best effort: a worker that does not hear it finds out by the next epoch.
            callers.async {
                do { try worker.link.cancel(request) } catch {
                    Log.debug("cancel not delivered", [("worker.id", worker.id), ("why", failure(error).why)])
                }
            }
        }
    }
}

/// Bounds of the driver, each with what happens there.
enum DriverLimits {
    /// Attempts of one task, or of sealing one part, before the batch is given up.
    static let maxAttempts = 5
    /// A batch waits this long for a first worker, then the job says so and tries again later.
    static let workerWaitMillis = 30_000
    /// The first batch waits this long for all of the workers that were started with the driver, then takes who is there.
    static let expectedWorkersMillis: Int64 = 1000
    /// Failures from outside are tried again, with growing pauses, for this long before the job stops.
    static let outsideRetryMillis: Int64 = 600_000
    /// The same for a job that was asked to stop.
    static let drainRetryMillis: Int64 = 10_000
}
