// Decides which task attempt runs next in one batch, and when the batch may be sealed. Knows nothing of workers'
// addresses, sockets or threads: events go in as method calls, `Action`s come out.
//
//   task:   waiting -> running(attempt) -> succeeded(attempt, worker) -> sealed
//               ^          |                    |
//               +----------+--- failed, lost ---+        (a new attempt, up to `maxAttempts`)
//
// The last stage starts when every task of stage 0 has succeeded. Blocks live only on the worker that made them: when
// that worker is lost, or a block cannot be fetched, the task that made it runs again as its next attempt and those who
// need it wait. Rows waiting to be sealed live only on a worker, too, so a part that is not sealed yet and lost its
// worker runs again. When all tasks have succeeded the tracker asks once for the limits to be checked (`allReported`);
// only after `sealAllowed` do parts get sealed, so a batch that stops the job has written nothing (protocol 3).
//
// Answers are accepted by (stage, part, attempt) only: an answer of an older attempt changes nothing.
//
// Checklist for whoever changes it: no action may be issued twice for one attempt; after `finished` or `fail` nothing
// more comes out; the tests drive random events against `assertInvariants`.

import Engine

package struct StageTracker {
    package struct Attempt: Hashable, Sendable {
        package var stage: Int
        package var part: Int
        package var attempt: Int
        package init(stage: Int, part: Int, attempt: Int) {
            self.stage = stage
            self.part = part
            self.attempt = attempt
        }
    }

    package enum Action: Equatable, Sendable {
        case launch([Attempt])
        /// All tasks have succeeded: check the limits, then call `sealAllowed` or give up.
        case allReported
        case seal([Attempt])
        case finished
        case fail(Failure)
    }

    private enum Life: Equatable {
        case waiting
        case running
        case succeeded(worker: String)
        case sealing(worker: String)
        case sealed
    }

    private struct Part {
        var life = Life.waiting
        var attempt = 0
        var failures = 0
    }

    private enum Phase { case running, checking, sealing, over }

    private var stages: [[Part]]
    private var phase = Phase.running
    private let maxAttempts: Int
    /// Attempts beyond the first of each task.
    package private(set) var retries = 0

    /// - Parameter taskCounts: tasks of each stage; one or two stages.
    package init(taskCounts: [Int], maxAttempts: Int) {
        precondition((1...2).contains(taskCounts.count) && maxAttempts > 0)
        stages = taskCounts.map { Array(repeating: Part(), count: $0) }
        self.maxAttempts = maxAttempts
    }

    private var lastStage: Int { stages.count - 1 }

    package mutating func start() -> [Action] { advance() }

    /// The worker that holds what this task made, if it has succeeded.
    package func holder(stage: Int, part: Int) -> (attempt: Int, worker: String)? {
        let task = stages[stage][part]
        switch task.life {
        case .succeeded(let worker), .sealing(let worker): return (task.attempt, worker)
        case .waiting, .running, .sealed: return nil
        }
    }

    package func isCurrent(_ attempt: Attempt) -> Bool {
        guard phase != .over, stages.indices.contains(attempt.stage),
            stages[attempt.stage].indices.contains(attempt.part)
        else { return false }
        return stages[attempt.stage][attempt.part].attempt == attempt.attempt
    }

    // MARK: events

    /// - Returns: nothing when the attempt is not the current one.
    package mutating func taskSucceeded(_ attempt: Attempt, worker: String) -> [Action] {
        guard isCurrent(attempt), stages[attempt.stage][attempt.part].life == .running else { return [] }
        stages[attempt.stage][attempt.part].life = .succeeded(worker: worker)
        return advance()
    }

    /// - Parameter lostParent: with a lost block, the task of stage 0 that made it and the attempt that is gone.
    package mutating func taskFailed(_ attempt: Attempt, _ failure: Failure, lostParent: (part: Int, attempt: Int)? = nil)
        -> [Action]
    {
        guard isCurrent(attempt), stages[attempt.stage][attempt.part].life == .running else { return [] }
        switch failure.remedy {
        case .stopJob, .failBatch:
            return giveUp(failure)
        case .retryTask:
            stages[attempt.stage][attempt.part].failures += 1
        case .rerunParentStage:
            stages[attempt.stage][attempt.part].failures += 1
            if let lostParent, attempt.stage > 0 { lose(stage: 0, part: lostParent.part, attempt: lostParent.attempt) }
        }
        stages[attempt.stage][attempt.part].life = .waiting
        if stages[attempt.stage][attempt.part].failures >= maxAttempts { return giveUp(failure) }
        return advance()
    }

    /// Everything that lived on `worker` is gone. Its running attempts are reported by whoever called it.
    package mutating func workerLost(_ worker: String) -> [Action] {
        guard phase != .over else { return [] }
        for stage in stages.indices {
            for part in stages[stage].indices {
                switch stages[stage][part].life {
                case .succeeded(worker): lose(stage: stage, part: part, attempt: stages[stage][part].attempt)
                // A seal in flight answers for itself: it may have been written.
                case .sealing, .succeeded, .waiting, .running, .sealed: break
                }
            }
        }
        return advance()
    }

    /// The limits hold; rows may leave the workers.
    package mutating func sealAllowed() -> [Action] {
        guard phase == .checking else { return [] }
        phase = .sealing
        return advance()
    }

    package mutating func partSealed(_ attempt: Attempt) -> [Action] {
        guard isCurrent(attempt), attempt.stage == lastStage, case .sealing = stages[attempt.stage][attempt.part].life
        else { return [] }
        stages[attempt.stage][attempt.part].life = .sealed
        return advance()
    }

    package mutating func sealFailed(_ attempt: Attempt, _ failure: Failure) -> [Action] {
        guard isCurrent(attempt), case .sealing(let worker) = stages[attempt.stage][attempt.part].life else { return [] }
        stages[attempt.stage][attempt.part].failures += 1
        switch failure.remedy {
        case .stopJob, .failBatch:
            return giveUp(failure)
        case .retryTask where failure.code != .workerUnreachable:
            // The sink was busy or away: the rows are still held, only the seal is tried again.
            stages[attempt.stage][attempt.part].life = .succeeded(worker: worker)
        case .retryTask, .rerunParentStage:
            lose(stage: attempt.stage, part: attempt.part, attempt: attempt.attempt)
        }
        if stages[attempt.stage][attempt.part].failures >= maxAttempts { return giveUp(failure) }
        return advance()
    }

    // MARK: inside

    private mutating func lose(stage: Int, part: Int, attempt: Int) {
        guard stages[stage][part].attempt == attempt, stages[stage][part].life != .sealed else { return }
        stages[stage][part].life = .waiting
    }

    private mutating func giveUp(_ failure: Failure) -> [Action] {
        phase = .over
        return [.fail(failure)]
    }

    private func hasSucceeded(_ part: Part) -> Bool {
        switch part.life {
        case .succeeded, .sealing, .sealed: true
        case .waiting, .running: false
        }
    }

    private mutating func advance() -> [Action] {
        guard phase != .over else { return [] }
        // A parent is needed only while somebody still has to fetch from it.
        let childrenDone = stages.count == 2 && stages[1].allSatisfy(hasSucceeded)
        var launched: [Attempt] = []
        if !childrenDone { launched += launch(stage: 0) }
        if stages.count == 2 && !childrenDone && stages[0].allSatisfy(hasSucceeded) { launched += launch(stage: 1) }
        var actions: [Action] = launched.isEmpty ? [] : [.launch(launched)]

        let last = stages[lastStage]
        switch phase {
        case .running where last.allSatisfy(hasSucceeded):
            phase = .checking
            actions.append(.allReported)
        case .sealing:
            var sealing: [Attempt] = []
            for part in last.indices {
                if case .succeeded(let worker) = last[part].life {
                    stages[lastStage][part].life = .sealing(worker: worker)
                    sealing.append(Attempt(stage: lastStage, part: part, attempt: last[part].attempt))
                }
            }
            if !sealing.isEmpty { actions.append(.seal(sealing)) }
            if last.allSatisfy({ $0.life == .sealed }) {
                phase = .over
                actions.append(.finished)
            }
        case .running, .checking, .over: break
        }
        return actions
    }

    private mutating func launch(stage: Int) -> [Attempt] {
        var launched: [Attempt] = []
        for part in stages[stage].indices where stages[stage][part].life == .waiting {
            if stages[stage][part].attempt > 0 { retries += 1 }
            stages[stage][part].attempt += 1
            stages[stage][part].life = .running
            launched.append(Attempt(stage: stage, part: part, attempt: stages[stage][part].attempt))
        }
        return launched
    }
}
