// One planned batch on the workers that are there, as a value: messages in, calls out. Knows no thread, clock or socket.
//
//   begin -> call(run, stage 0) -> ran ... -> call(run, stage 1) -> ran ... -> beforeSeal -> maySeal -> call(seal) -> sealed ... -> finished
//
// `StageTracker` says which attempts run next; this says on whom (`TaskPlacement`) and with which words, adds up what they
// report (`OutcomeBuilder`), checks the limits between the last report and the first seal, and holds every part's digest
// against what was sent to be sealed before. A broken call means that the worker is gone: its running attempts failed, what
// it held is lost. A worker that falls silent is told by the members of a tick; its late answers carry an old attempt and
// change nothing.
//
// The shell is `BatchRunner`; the simulator drives the same value. Nothing of it survives a crash: the plan does.
//
// When changing it: nothing is sealed before `sealAllowed`; a part is never sealed with other rows than were tried before;
// every call is answered by exactly one event, also when the worker died.

import Engine
import Wire

package struct BatchRun: Sendable {
    package typealias Attempt = StageTracker.Attempt

    /// A worker as a batch sees it.
    package struct Member: Hashable, Sendable {
        package var id: String
        package var url: String
        package var slots: Int
        /// It gets no new tasks for now; what it holds is fetched and sealed there.
        package var isAvoided: Bool
        package init(id: String, url: String, slots: Int, isAvoided: Bool = false) {
            self.id = id
            self.url = url
            self.slots = slots
            self.isAvoided = isAvoided
        }
    }

    package enum Event: Sendable {
        case ran(worker: String, [Attempt], Result<RunTasksReply, Failure>)
        case sealed(worker: String, [Attempt], Result<SealTasksReply, Failure>)
        case probed(number: Int, Result<ProbeReply, Failure>)
        /// The pause that `rest` asked for is over.
        case rested
        /// Time passed; the members are who is there now.
        case tick
        /// Rows may leave the workers, or not.
        case maySeal(Failure?)
        /// The batch is given up where it is.
        case stop(Failure)
    }

    package enum Action: Sendable {
        case run(worker: String, [Attempt], RunTasks, afterMillis: Int)
        case seal(worker: String, [Attempt], SealTasks, afterMillis: Int)
        /// Tasks in a process of their own, to see whether it survives them.
        case probe(worker: String, number: Int, RunTasks, afterMillis: Int)
        /// The sink is away: `rested` after a pause, or `stop`. What was computed waits with its workers.
        case rest(Failure)
        /// Nobody is there; a tick with members goes on.
        case waitForWorkers
        /// The worker's call broke: nobody shall count on it.
        case lost(worker: String, Failure)
        /// A task failed for a reason of its worker's own: others may do better.
        case trouble(worker: String, Failure)
        /// All that could be asked of the batch itself holds: look at what else must, and answer with `maySeal`.
        case beforeSeal
        /// Nothing of the batch could be read: what to say of it.
        case unreadable(String)
        /// A failed attempt, for the log.
        case note(Attempt, worker: String, Failure)
        /// All workers that were used shall drop the batch.
        case giveUp
        case finished
        case failed(Failure)
    }

    /// What happens when every task has reported.
    package enum Mode: Sendable, Equatable {
        /// The limits are checked, then rows are sealed.
        case seal
        /// The rows come back with the reports and are looked at before they may be sealed.
        case checkRows
        /// Nothing is sealed: the run only says what would be written.
        case replay(returnRows: Bool)

        package var isReplay: Bool { if case .replay = self { true } else { false } }
        var returnsRows: Bool {
            switch self {
            case .seal: false
            case .checkRows: true
            case .replay(let returnRows): returnRows
            }
        }
    }

    /// How a batch is given to workers.
    package struct Manner: Sendable, Equatable {
        /// All tasks go to one worker, because the batch is too small to be shared out.
        package var isGathered = false
        /// Records come all the time, so the next cut will ask the worker what has arrived.
        package var isSteady = false
        /// The records of the batch have arrived at the worker, so its tasks wait for nobody.
        package var recordsAreThere = false
        package init() {}
    }

    package let plan: BatchPlan
    package let spec: JobSpec
    package let epoch: Epoch
    package let mode: Mode
    package let manner: Manner
    let settings: EngineSettings
    let rejectWatch: RejectWatch
    /// Rises with every try at the batch.
    let runNumber: Int64
    var tracker: StageTracker
    var builder: OutcomeBuilder
    var placement: TaskPlacement
    /// Which worker each running or sealing attempt was given to.
    var assigned: [Attempt: String] = [:]
    package internal(set) var usedWorkers = Set<String>()
    /// Sink parts that may hold rows of this batch from an earlier try.
    let sealedBefore: Set<Int>
    let predecessors: Predecessors
    /// The result of the stage after the exchange that came with those of stage 0, until the tracker wants that stage.
    var ahead: (worker: String, result: TaskResult)?
    /// By sink part the digest that was sent to be sealed, empty for no rows.
    var sealTried: [Int: String] = [:]
    /// Attempts that the tracker wants run and nobody is there for.
    var unplaced: [Attempt] = []
    /// Where tasks have failed; their next attempts go elsewhere, if there is elsewhere.
    var failedOn: [Place: Set<String>] = [:]
    struct Place: Hashable {
        var stage: Int
        var part: Int
    }
    /// Workers that died while they ran a task.
    var deaths: [Place: Int] = [:]
    var hunt: Hunt?
    /// Records that end the process that reads them, as far as they were found.
    package internal(set) var crashing: [OffsetRange] = []
    package internal(set) var isOver = false

    /// - Parameters:
    ///   - runNumber: by a clock that never goes back, so that a later try is always a higher number.
    ///   - sealedBefore: sink parts that may hold rows of this batch from an earlier try.
    ///   - rejectWatch: what it knows of the batches before.
    package init(
        plan: BatchPlan, epoch: Epoch, spec: JobSpec, settings: EngineSettings, mode: Mode = .seal, manner: Manner = Manner(),
        sealedBefore: Set<Int> = [], placement: TaskPlacement = TaskPlacement(), rejectWatch: RejectWatch = RejectWatch(),
        runNumber: Int64
    ) {
        self.plan = plan
        self.epoch = epoch
        self.spec = spec
        self.settings = settings
        self.mode = mode
        self.manner = manner
        self.sealedBefore = sealedBefore
        self.placement = placement
        self.rejectWatch = rejectWatch
        self.runNumber = runNumber
        predecessors = Predecessors(plan.predecessors)
        tracker = StageTracker(taskCounts: plan.taskCounts, maxAttempts: DriverLimits.maxAttempts)
        builder = OutcomeBuilder(plan: plan, quarantineBytes: settings.quarantine.bytesPerBatch)
    }

    /// Sink parts that may hold rows of this batch by now.
    package var partsWithRows: Set<Int> { sealedBefore.union(sealTried.filter { !$0.value.isEmpty }.keys) }
    package var retries: Int { tracker.retries }
    /// Where partitions and parts are at home now, for the next batch.
    package var homes: TaskPlacement { placement }
    package func rows() throws -> [Chunk] { try builder.rows() }
    package func parts() throws -> [SealPart] { try builder.parts() }
    /// What workers are told that shall drop the batch.
    package var cancel: CancelJob { CancelJob(jobID: spec.jobID, epoch: epoch, run: runNumber, isReplay: mode.isReplay) }

    /// A number for a try, rising with time.
    package static func number() -> Int64 { ProcessClocks.steadyNanos() }

    // MARK: events

    package mutating func begin(_ members: [Member]) -> [Action] {
        if let kept = plan.stateBefore?.keyGroups, kept != plan.keyGroups, plan.kind != .rehash {
            return end(
                Failure(
                    .internal, "batch \(plan.batch) was planned in \(plan.keyGroups) key groups, its state is in \(kept)",
                    why: "a batch that rehashes must stand between them", now: "report this defect; nothing was written"))
        }
        beginHunt()
        return carryOut(tracker.start(), members) + probe(members)
    }

    package mutating func handle(_ event: Event, _ members: [Member]) -> [Action] {
        guard !isOver else { return [] }
        switch event {
        case .stop(let reason): return end(reason)
        case .maySeal(let failure):
            if let failure { return end(failure) }
            return carryOut(tracker.handle(.sealAllowed), members)
        case .rested: return carryOut(tracker.handle(.rested), members)
        case .ran(let worker, let attempts, let result):
            var actions: [Action] = []
            let events = ran(worker, attempts, result, &actions)
            beginHunt()
            let members = members.without(worker, after: result)
            return actions + carryOut(tracker.handle(events), members) + probe(members)
        case .probed(let number, let result): return probed(number, result, members)
        case .sealed(let worker, let attempts, let result):
            var actions: [Action] = []
            let events = sealed(worker, attempts, result, &actions)
            return actions + carryOut(tracker.handle(events), members.without(worker, after: result))
        case .tick:
            var actions: [Action] = []
            let events = silent(members, &actions)
            beginHunt()
            actions += carryOut(tracker.handle(events), members)
            if let number = hunt?.number, let prober = hunt?.worker, !members.contains(where: { $0.id == prober }) {
                actions += probed(number, .failure(Self.silent(prober)), members)
            } else {
                actions += probe(members)
            }
            return actions + place(members)
        }
    }

    /// Gives what waited to the workers that are there.
    mutating func place(_ members: [Member]) -> [Action] {
        guard !unplaced.isEmpty, members.contains(where: { !$0.isAvoided }), hunt == nil, !isOver else { return [] }
        let waiting = unplaced.filter(tracker.isCurrent)
        unplaced = []
        return carryOut([.launch(waiting)], members)
    }

    // MARK: actions

    mutating func carryOut(_ decided: [StageTracker.Action], _ members: [Member]) -> [Action] {
        var actions: [Action] = []
        var decided = decided[...]
        while let next = decided.popFirst(), !isOver {
            switch next {
            case .launch(let attempts):
                do { decided += try launch(attempts, members, &actions)[...] } catch { actions += end(failure(error)) }
            case .allReported:
                if mode.isReplay {
                    isOver = true
                    actions.append(.finished)
                } else {
                    // Whoever redrives bad records expects that some stay bad.
                    let verdict = plan.kind == .redrive ? RejectWatch.Verdict() : builder.verdict(rejectWatch, settings)
                    if let warning = verdict.warning { actions.append(.unreadable(warning)) }
                    if let reason = verdict.failure { actions += end(reason) } else { actions.append(.beforeSeal) }
                }
            case .seal(let attempts):
                do { decided += try seal(attempts, members, &actions)[...] } catch { actions += end(failure(error)) }
            case .rest(let reason): actions.append(.rest(reason))
            case .fail(let reason): actions += end(reason)
            case .finished:
                isOver = true
                actions.append(.finished)
            }
        }
        return actions
    }

    mutating func end(_ reason: Failure) -> [Action] {
        isOver = true
        return [.giveUp, .failed(reason)]
    }
}
