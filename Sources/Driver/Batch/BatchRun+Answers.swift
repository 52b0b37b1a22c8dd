// What workers answered, as events for the tracker: reports, failures, broken calls, silence.
//
// A broken call means that the worker is gone: its running attempts failed, what it held is lost. An answer that left a task out
// counts as none.

import Engine
import Wire

extension BatchRun {
    mutating func ran(
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

    mutating func sealed(
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

    mutating func silent(_ members: [Member], _ actions: inout [Action]) -> [StageTracker.Event] {
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

    static func silent(_ worker: String) -> Failure {
        Failure(
            .workerUnreachable, "worker \(worker) fell silent", why: "no heartbeat", now: "nothing; its tasks run elsewhere")
    }

    mutating func callFailed<Reply>(
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

    func missingAnswer(_ worker: String) -> Failure {
        Failure(
            .workerUnreachable, "worker \(worker) left out a task in its answer", why: "the answer has no entry for it",
            now: "nothing; the task is run again")
    }
}

extension [BatchRun.Member] {
    /// Who is there when a call to `worker` has ended so: one that is gone stands in the list until the pool has heard of it.
    func without<Reply>(_ worker: String, after result: Result<Reply, Failure>) -> [BatchRun.Member] {
        guard case .failure(let reason) = result, reason.code == .workerUnreachable else { return self }
        return filter { $0.id != worker }
    }
}
