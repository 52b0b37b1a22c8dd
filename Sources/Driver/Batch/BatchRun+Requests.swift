// With which words tasks are given to workers, and to whom: ranges with what is left out of them, blocks, state, and the second stage
// told along where one worker does all.
//
// When changing it: a merge is never asked for without one of its sources; an attempt goes elsewhere than where it failed, while
// there is elsewhere.

import Engine
import Wire

extension BatchRun {
    mutating func launch(
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

    func request(_ stage: Int, _ attempts: [Attempt], _ blocks: StageBlocks?) -> RunTasks {
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

    static let onwardAttempt = Attempt(stage: 1, part: 0, attempt: 1)

    /// A batch that one worker does as a whole needs no second question: its merge is told with its sources. A later
    /// attempt of either is asked for by itself.
    func onward(behind attempts: [Attempt]) -> TaskSpec? {
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
    func stageBlocks(_ members: [Member]) throws -> StageBlocks {
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

    func stateEntries(parts: [Int]) -> [Int: [StateManifest.Entry]] {
        guard let manifest = plan.stateBefore else { return [:] }
        // Keys of any old group may come to any new one.
        if plan.kind == .rehash { return Dictionary(uniqueKeysWithValues: parts.map { ($0, manifest.entries) }) }
        let bounds = BatchPlan.keyGroupBounds(parts: plan.taskCounts[1], keyGroups: plan.keyGroups)
        return Dictionary(
            uniqueKeysWithValues: parts.map { ($0, manifest.entries(for: bounds[$0]..<bounds[$0 + 1])) })
    }

    func asked(_ stage: Int) -> RunTasksReply.Asked {
        RunTasksReply.Asked(jobID: spec.jobID, batch: plan.batch, epoch: epoch, stage: stage)
    }
}
