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
    private let settings: EngineSettings
    private let rejectWatch: RejectWatch
    /// Rises with every try at the batch.
    private let runNumber: Int64
    private(set) var tracker: StageTracker
    private(set) var builder: OutcomeBuilder
    private var placement: TaskPlacement
    /// Which worker each running or sealing attempt was given to.
    private var assigned: [Attempt: String] = [:]
    package private(set) var usedWorkers = Set<String>()
    /// Sink parts that may hold rows of this batch from an earlier try.
    private let sealedBefore: Set<Int>
    private let predecessors: Predecessors
    /// The result of the stage after the exchange that came with those of stage 0, until the tracker wants that stage.
    private var ahead: (worker: String, result: TaskResult)?
    /// By sink part the digest that was sent to be sealed, empty for no rows.
    private var sealTried: [Int: String] = [:]
    /// Attempts that the tracker wants run and nobody is there for.
    private var unplaced: [Attempt] = []
    /// Where tasks have failed; their next attempts go elsewhere, if there is elsewhere.
    private var failedOn: [Place: Set<String>] = [:]
    private struct Place: Hashable {
        var stage: Int
        var part: Int
    }
    /// Workers that died while they ran a task of stage 0, by its part.
    var deaths: [Int: Int] = [:]
    var hunt: Hunt?
    /// Records that end the process that reads them, as far as they were found.
    package internal(set) var crashing: [OffsetRange] = []
    package private(set) var isOver = false

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
        return carryOut(tracker.start(), members)
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

    private mutating func ran(
        _ worker: String, _ attempts: [Attempt], _ result: Result<RunTasksReply, Failure>, _ actions: inout [Action]
    ) -> [StageTracker.Event] {
        guard case .success(let reply) = result else {
            return callFailed(worker, attempts, result, &actions) { .taskFailed($0, $1) }
        }
        var events: [StageTracker.Event] = []
        // An answer to another question counts as none.
        let isOurs = attempts.allSatisfy { reply.of == asked($0.stage) }
        for attempt in attempts {
            assigned[attempt] = nil
            guard isOurs, let result = reply.results.first(where: { $0.part == attempt.part && $0.attempt == attempt.attempt })
            else {
                events.append(.taskFailed(attempt, missingAnswer(worker)))
                continue
            }
            if let report = result.report {
                if tracker.isCurrent(attempt) { builder.accept(report, of: attempt) }
                events.append(.taskSucceeded(attempt, worker: worker))
            } else {
                let reason = result.failure ?? missingAnswer(worker)
                actions.append(.note(attempt, worker: worker, reason))
                if result.failure != nil, reason.code != .blockLost {
                    failedOn[Place(stage: attempt.stage, part: attempt.part), default: []].insert(worker)
                }
                if reason.code == .workerTrouble { actions.append(.trouble(worker: worker, reason)) }
                events.append(.taskFailed(attempt, reason, lostParent: result.lost.map { ($0.sourcePart, $0.attempt) }))
            }
        }
        if let onward = reply.onward, attempts.allSatisfy(tracker.isCurrent) { ahead = (worker, onward) }
        return events
    }

    private mutating func sealed(
        _ worker: String, _ attempts: [Attempt], _ result: Result<SealTasksReply, Failure>, _ actions: inout [Action]
    ) -> [StageTracker.Event] {
        guard case .success(let reply) = result else {
            return callFailed(worker, attempts, result, &actions) { .sealFailed($0, $1) }
        }
        var events: [StageTracker.Event] = []
        for attempt in attempts {
            assigned[attempt] = nil
            let result = reply.results.first { $0.part == sinkPart(attempt) }
            if let reason = result.map({ $0.failure }) ?? missingAnswer(worker) {
                actions.append(.note(attempt, worker: "seal", reason))
                if reason.isOutage { failedOn[Place(stage: attempt.stage, part: attempt.part), default: []].insert(worker) }
                events.append(.sealFailed(attempt, reason))
            } else {
                if let refused = result?.refused { builder.refused(refused, by: attempt) }
                events.append(.partSealed(attempt))
            }
        }
        return events
    }

    private mutating func silent(_ members: [Member], _ actions: inout [Action]) -> [StageTracker.Event] {
        let there = Set(members.map(\.id))
        var events: [StageTracker.Event] = []
        for worker in Set(assigned.values).subtracting(there).sorted() {
            let reason = Self.silent(worker)
            for attempt in assigned.filter({ $0.value == worker }).keys.sorted(by: Self.inOrder) {
                countDeath(attempt)
                assigned[attempt] = nil
                events += [.taskFailed(attempt, reason), .sealFailed(attempt, reason)]
            }
            events.append(.workerLost(worker))
        }
        return events
    }

    private static func silent(_ worker: String) -> Failure {
        Failure(
            .workerUnreachable, "worker \(worker) fell silent", why: "no heartbeat", now: "nothing; its tasks run elsewhere")
    }

    private mutating func callFailed<Reply>(
        _ worker: String, _ attempts: [Attempt], _ result: Result<Reply, Failure>, _ actions: inout [Action],
        _ event: (Attempt, Failure) -> StageTracker.Event
    ) -> [StageTracker.Event] {
        guard case .failure(let reason) = result else { return [] }
        for attempt in attempts { assigned[attempt] = nil }
        var events = attempts.map { event($0, reason) }
        if reason.code == .workerUnreachable {
            for attempt in attempts { countDeath(attempt) }
            actions.append(.lost(worker: worker, reason))
            events.append(.workerLost(worker))
        }
        return events
    }

    private func missingAnswer(_ worker: String) -> Failure {
        Failure(
            .workerUnreachable, "worker \(worker) left out a task in its answer", why: "the answer has no entry for it",
            now: "nothing; the task is run again")
    }

    // MARK: actions

    private mutating func carryOut(_ decided: [StageTracker.Action], _ members: [Member]) -> [Action] {
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

    private mutating func launch(
        _ attempts: [Attempt], _ members: [Member], _ actions: inout [Action]
    ) throws -> [StageTracker.Action] {
        // While a fatal record is looked for nobody else is to die of it.
        let usable = members.filter { !$0.isAvoided }
        guard !usable.isEmpty, hunt == nil else {
            unplaced += attempts
            if usable.isEmpty { actions.append(.waitForWorkers) }
            return []
        }
        var decided: [StageTracker.Action] = []
        let places = usable.map { TaskPlacement.Member(id: $0.id, slots: $0.slots) }
        for stage in Set(attempts.map(\.stage)).sorted() {
            let attempts = attempts.filter { $0.stage == stage }
            if let known = ahead, stage > 0, attempts == [Self.onwardAttempt] {
                ahead = nil
                usedWorkers.insert(known.worker)
                let events = ran(known.worker, attempts, .success(RunTasksReply(of: asked(stage), results: [known.result])), &actions)
                decided += tracker.handle(events)
                continue
            }
            let keys: [TaskPlacement.Key] = attempts.map {
                stage == 0 ? .partition(plan.ranges[$0.part].topicPartition) : .part($0.part)
            }
            let chosen =
                manner.isGathered
                ? placement.gather(keys, on: places, salt: spec.jobID.text) : placement.place(keys, on: places)
            let blocks = try stage == 0 ? nil : stageBlocks(members)
            var byWorker: [String: [Attempt]] = [:]
            for (index, attempt) in attempts.enumerated() {
                var place = chosen[index]
                if let failed = failedOn[Place(stage: stage, part: attempt.part)], failed.contains(place) {
                    let others = places.map(\.id).filter { !failed.contains($0) }.sorted()
                    if !others.isEmpty {
                        place = others[(attempt.part + attempt.attempt) % others.count]
                        placement.move(keys[index], to: place)
                    }
                }
                byWorker[place, default: []].append(attempt)
            }
            for (id, attempts) in byWorker.sorted(by: { $0.key < $1.key }) {
                usedWorkers.insert(id)
                for attempt in attempts { assigned[attempt] = id }
                let most = attempts.map(\.attempt).max() ?? 1
                actions.append(
                    .run(worker: id, attempts, request(stage, attempts, blocks), afterMillis: most > 1 ? min(50 << (most - 2), 2000) : 0))
            }
        }
        return decided
    }

    private func request(_ stage: Int, _ attempts: [Attempt], _ blocks: StageBlocks?) -> RunTasks {
        let state = stage == 0 ? [:] : stateEntries(parts: attempts.map(\.part))
        let isWhole = stage == 0 && manner.isGathered && attempts.count == plan.taskCounts[0]
        return RunTasks(
            job: spec, context: context, stage: stage,
            tasks: attempts.map { attempt in
                guard let blocks else { return source(attempt.part, attempt.attempt, plan.ranges[attempt.part]) }
                return TaskSpec(
                    part: attempt.part, attempt: attempt.attempt, sources: blocks.sources[attempt.part],
                    state: state[attempt.part] ?? [])
            },
            holders: blocks?.holders, replay: mode.isReplay, returnRows: mode.returnsRows,
            onward: isWhole ? onward(behind: attempts) : nil, isWhole: isWhole, isSteady: manner.isSteady)
    }

    func source(_ part: Int, _ attempt: Int, _ range: OffsetRange) -> TaskSpec {
        var task = TaskSpec(part: part, attempt: attempt, range: range)
        let excluded = ((plan.excluded ?? []) + crashing).filter { $0.topicPartition == range.topicPartition }
        task.excluded = excluded.isEmpty ? nil : excluded
        task.only = plan.only?.filter { $0.topicPartition == range.topicPartition }
        task.mark = plan.marks?[part]
        return task
    }

    private static let onwardAttempt = Attempt(stage: 1, part: 0, attempt: 1)

    /// A batch that one worker does as a whole needs no second question: its merge is told with its sources. A later
    /// attempt of either is asked for by itself.
    private func onward(behind attempts: [Attempt]) -> TaskSpec? {
        guard plan.taskCounts.count == 2, plan.taskCounts[1] == 1, attempts.allSatisfy({ $0.attempt == 1 }) else { return nil }
        return TaskSpec(
            part: Self.onwardAttempt.part, attempt: Self.onwardAttempt.attempt, sources: PartRuns(),
            state: stateEntries(parts: [0])[0] ?? [])
    }

    var context: BatchContext {
        var context = BatchContext(plan: plan, run: runNumber)
        // A plan that is finished after a takeover runs under the epoch that finishes it.
        context.epoch = epoch
        return context
    }

    /// Where the blocks of every source task lie now. A merge without one of its sources would lose rows.
    private func stageBlocks(_ members: [Member]) throws -> StageBlocks {
        let urls = Dictionary(members.map { ($0.id, $0.url) }) { first, _ in first }
        return try StageBlocks(sources: plan.taskCounts[0], parts: plan.taskCounts[1]) { source in
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

    private func stateEntries(parts: [Int]) -> [Int: [StateManifest.Entry]] {
        guard let manifest = plan.stateBefore else { return [:] }
        // Keys of any old group may come to any new one.
        if plan.kind == .rehash { return Dictionary(uniqueKeysWithValues: parts.map { ($0, manifest.entries) }) }
        let bounds = BatchPlan.keyGroupBounds(parts: plan.taskCounts[1], keyGroups: plan.keyGroups)
        return Dictionary(
            uniqueKeysWithValues: parts.map { ($0, manifest.entries(for: bounds[$0]..<bounds[$0 + 1])) })
    }

    private func asked(_ stage: Int) -> RunTasksReply.Asked {
        RunTasksReply.Asked(jobID: spec.jobID, batch: plan.batch, epoch: epoch, stage: stage)
    }

    // MARK: seal

    private func sinkPart(_ attempt: Attempt) -> Int {
        builder.report(stage: attempt.stage, part: attempt.part)?.sinkPart ?? attempt.part
    }

    /// A part that may have been sealed is sealed again with the same rows or not at all: a batch is deterministic, so
    /// others mean that something of its input was lost. The ledger says so too, but of a part without rows it hears nothing.
    private mutating func checkSameRows(_ report: TaskReport) throws {
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

    private mutating func seal(
        _ attempts: [Attempt], _ members: [Member], _ actions: inout [Action]
    ) throws -> [StageTracker.Action] {
        let there = Set(members.map(\.id))
        var byWorker: [String: [Attempt]] = [:]
        var events: [StageTracker.Event] = []
        for attempt in attempts {
            guard let report = builder.report(stage: attempt.stage, part: attempt.part) else { continue }
            try checkSameRows(report)
            // A part without rows has nothing to write: its ledger row would only cost a transaction.
            guard report.rowsOut > 0 else {
                events.append(.partSealed(attempt))
                continue
            }
            let holder = tracker.holder(stage: attempt.stage, part: attempt.part)?.worker ?? ""
            byWorker[holder, default: []].append(attempt)
        }
        for (id, attempts) in byWorker.sorted(by: { $0.key < $1.key }) {
            guard there.contains(id) else {
                let reason = Failure(
                    .workerUnreachable, "worker \(id) is gone", why: "it left before its rows were sealed",
                    now: "nothing; its tasks run elsewhere")
                events += attempts.map { .sealFailed($0, reason) } + [.workerLost(id)]
                continue
            }
            for attempt in attempts { assigned[attempt] = id }
            let parts = attempts.map { attempt in
                let report = builder.report(stage: attempt.stage, part: attempt.part)
                let part = report?.sinkPart ?? attempt.part
                return SealTasks.Part(
                    part: part, attempt: attempt.attempt, digest: report?.digest ?? "", predecessor: predecessors.of(part))
            }
            actions.append(
                .seal(
                    worker: id, attempts, SealTasks(job: spec, batch: plan.batch, epoch: epoch, parts: parts), afterMillis: 0))
        }
        return events.isEmpty ? [] : tracker.handle(events)
    }

    private static func inOrder(_ left: Attempt, _ right: Attempt) -> Bool {
        (left.stage, left.part, left.attempt) < (right.stage, right.part, right.attempt)
    }
}

extension [BatchRun.Member] {
    /// Who is there when a call to `worker` has ended so: one that is gone stands in the list until the pool has heard of it.
    func without<Reply>(_ worker: String, after result: Result<Reply, Failure>) -> [BatchRun.Member] {
        guard case .failure(let reason) = result, reason.code == .workerUnreachable else { return self }
        return filter { $0.id != worker }
    }
}

/// What each part's ledger row must say before the batch is sealed, by the plan.
struct Predecessors: Sendable {
    private let marks: [Int: SealMark]?

    init(_ marks: [SealMark]?) {
        self.marks = marks.map { Dictionary($0.map { ($0.part, $0) }) { $1 } }
    }

    func of(_ part: Int) -> Predecessor { marks.map { Predecessor($0[part]) } ?? .unknown }
}
