// Decides which task attempt runs next in one batch, and when the batch may be sealed. Knows nothing of workers'
// addresses, sockets or threads: `Event`s go in, `Action`s come out. What one message from outside means (a broken call is
// a failed attempt and a lost worker) goes in together, because what may start is decided behind all of it: a reader that
// was started between the two would find some of its blocks and take them for all.
//
//   task:   waiting -> running(attempt) -> succeeded(attempt, worker) -> sealing -> sealed
//               ^          |                    |      ^                    |
//               +----------+--- failed, lost ---+      +----- resting <-----+ the sink is away
//                 (a new attempt, up to `maxAttempts`)
//
// The last stage starts when every task of stage 0 has succeeded. Blocks live only on the worker that made them: when
// that worker is lost, or a block cannot be fetched, the task that made it runs again as its next attempt and those who
// need it wait. Rows waiting to be sealed live only on a worker, too, so a part that is not sealed yet and lost its
// worker runs again. When all tasks have succeeded the tracker asks once for the limits to be checked (`allReported`);
// only after `sealAllowed` do parts get sealed, so a batch that stops the job has written nothing (protocol 3).
//
// A sink that is away is not the fault of a part: what was computed stays with its worker, the part rests, and all parts
// that rest are sealed again together when the shell says so (`rest`, then `rested`; how long is `Patience`'s to say).
// Such an answer is no attempt; rows are computed again only when they are gone. A seal that fails for another reason counts.
//
// Answers are accepted by (stage, part, attempt) only: an answer of an older attempt changes nothing.
//
// Checklist for whoever changes it: no action may be issued twice for one attempt; a task of the last stage is launched
// only while every source task has a holder; after `finished` or `fail` nothing more comes out. The tests drive random
// events against these.

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

    package enum Event: Sendable {
        case taskSucceeded(Attempt, worker: String)
        /// `lostParent`: with a lost block, the task of stage 0 that made it and the attempt that is gone.
        case taskFailed(Attempt, Failure, lostParent: (part: Int, attempt: Int)? = nil)
        /// Everything that lived on the worker is gone. Its running attempts are reported beside it.
        case workerLost(String)
        /// The limits hold; rows may leave the workers.
        case sealAllowed
        case partSealed(Attempt)
        case sealFailed(Attempt, Failure)
        /// The pause that `rest` asked for is over.
        case rested
    }

    package enum Action: Equatable, Sendable {
        case launch([Attempt])
        /// All tasks have succeeded: check the limits, then call `sealAllowed` or give up.
        case allReported
        case seal([Attempt])
        /// The sink is away: ask again after a pause (`rested`), or give up. Nothing is sealed meanwhile.
        case rest(Failure)
        case finished
        case fail(Failure)
    }

    private enum Life: Equatable {
        case waiting
        case running
        case succeeded(worker: String)
        case sealing(worker: String)
        case resting(worker: String)
        case sealed
    }

    private struct Part {
        var life = Life.waiting
        var attempt = 0
        var failures = 0
        /// Seals in a row for which the sink was away.
        var outages = 0
        /// Its rows were computed elsewhere for that reason.
        var isMoved = false
    }

    private enum Phase { case running, checking, sealing, over }

    /// The tasks of one stage, counted by life, so that an event costs the same with 10,000 tasks as with one.
    private struct Stage {
        private(set) var parts: [Part]
        /// In no order.
        private(set) var waiting: [Int]
        private(set) var succeeded = 0
        private(set) var unsealed = 0
        private(set) var sealed = 0

        init(count: Int) {
            parts = Array(repeating: Part(), count: count)
            waiting = Array(0..<count)
        }

        var allSucceeded: Bool { succeeded == parts.count }
        var allSealed: Bool { sealed == parts.count }

        subscript(part: Int) -> Part { parts[part] }

        mutating func set(_ part: Int, _ life: Life) {
            let before = parts[part].life
            guard before != life else { return }
            count(before, -1)
            parts[part].life = life
            count(life, 1)
            if life == .waiting { waiting.append(part) }
        }

        /// Whether its rows are to be computed elsewhere, which happens once: the next time it is the sink.
        mutating func away(_ part: Int, othersSeal: Bool) -> Bool {
            parts[part].outages += 1
            guard othersSeal, !parts[part].isMoved, parts[part].outages >= StageTracker.outagesOfOne else { return false }
            parts[part].isMoved = true
            return true
        }

        mutating func fail(_ part: Int) -> Int {
            parts[part].failures += 1
            return parts[part].failures
        }

        private mutating func count(_ life: Life, _ change: Int) {
            switch life {
            case .succeeded:
                succeeded += change
                unsealed += change
            case .sealing, .resting: succeeded += change
            case .sealed:
                succeeded += change
                sealed += change
            case .waiting, .running: break
            }
        }

        /// Starts what waits, ascending: the parts and whether each was tried before.
        mutating func start() -> [(part: Int, attempt: Int)] {
            let started = waiting.sorted()
            waiting.removeAll()
            return started.map { part in
                parts[part].life = .running
                parts[part].attempt += 1
                parts[part].outages = 0
                return (part, parts[part].attempt)
            }
        }
    }

    private var stages: [Stage]
    /// Set with the phase `over`, until it is said.
    private var unsaid: Failure?
    private var phase = Phase.running
    /// The sink was away, and the pause is not over.
    private var outage: Failure?
    private var isResting = false
    private let maxAttempts: Int
    /// Workers that have sealed something of this batch.
    private var sealers: Set<String> = []
    /// While others seal, so many seals of one part may find the sink away before its rows are computed elsewhere.
    private static let outagesOfOne = 3
    /// Attempts beyond the first of each task.
    package private(set) var retries = 0

    /// - Parameter taskCounts: tasks of each stage; one or two stages.
    package init(taskCounts: [Int], maxAttempts: Int) {
        precondition((1...2).contains(taskCounts.count) && maxAttempts > 0)
        stages = taskCounts.map { Stage(count: $0) }
        self.maxAttempts = maxAttempts
    }

    private var lastStage: Int { stages.count - 1 }

    package mutating func start() -> [Action] { advance() }

    /// The worker that holds what this task made, if it has succeeded.
    package func holder(stage: Int, part: Int) -> (attempt: Int, worker: String)? {
        let task = stages[stage][part]
        switch task.life {
        case .succeeded(let worker), .sealing(let worker), .resting(let worker): return (task.attempt, worker)
        case .waiting, .running, .sealed: return nil
        }
    }

    /// Whether everything that the last stage reads is there.
    package var hasSources: Bool { stages[0].allSucceeded }

    package func isCurrent(_ attempt: Attempt) -> Bool {
        guard phase != .over, stages.indices.contains(attempt.stage),
            stages[attempt.stage].parts.indices.contains(attempt.part)
        else { return false }
        return stages[attempt.stage][attempt.part].attempt == attempt.attempt
    }

    // MARK: events

    /// Takes everything that one message means, then decides. Events of attempts that are not current change nothing.
    package mutating func handle(_ events: [Event]) -> [Action] {
        for event in events where phase != .over { take(event) }
        if let failure = unsaid {
            unsaid = nil
            return [.fail(failure)]
        }
        return advance()
    }

    package mutating func handle(_ event: Event) -> [Action] { handle([event]) }

    private mutating func take(_ event: Event) {
        switch event {
        case .taskSucceeded(let attempt, let worker):
            guard isCurrent(attempt), life(attempt) == .running else { return }
            stages[attempt.stage].set(attempt.part, .succeeded(worker: worker))
        case .taskFailed(let attempt, let failure, let lostParent):
            guard isCurrent(attempt), life(attempt) == .running else { return }
            taskFailed(attempt, failure, lostParent: lostParent)
        case .workerLost(let worker):
            workerLost(worker)
        case .sealAllowed:
            if phase == .checking { phase = .sealing }
        case .partSealed(let attempt):
            guard isCurrent(attempt), attempt.stage == lastStage, case .sealing(let worker) = life(attempt) else { return }
            sealers.insert(worker)
            stages[attempt.stage].set(attempt.part, .sealed)
        case .sealFailed(let attempt, let failure):
            guard isCurrent(attempt), case .sealing(let worker) = life(attempt) else { return }
            sealFailed(attempt, failure, holder: worker)
        case .rested:
            guard isResting else { return }
            isResting = false
            outage = nil
            for (index, part) in stages[lastStage].parts.enumerated() {
                if case .resting(let worker) = part.life { stages[lastStage].set(index, .succeeded(worker: worker)) }
            }
        }
    }

    private mutating func taskFailed(_ attempt: Attempt, _ failure: Failure, lostParent: (part: Int, attempt: Int)?) {
        switch failure.remedy {
        case .stopJob, .failBatch: return giveUp(failure)
        case .retryTask: break
        case .rerunParentStage:
            if let lostParent, attempt.stage > 0 { lose(stage: 0, part: lostParent.part, attempt: lostParent.attempt) }
        }
        stages[attempt.stage].set(attempt.part, .waiting)
        countFailure(attempt, failure)
    }

    private mutating func workerLost(_ worker: String) {
        for stage in stages.indices {
            for part in stages[stage].parts.indices {
                switch stages[stage][part].life {
                case .succeeded(worker), .resting(worker): lose(stage: stage, part: part, attempt: stages[stage][part].attempt)
                // A seal in flight answers for itself: it may have been written.
                case .sealing, .succeeded, .resting, .waiting, .running, .sealed: break
                }
            }
        }
    }

    private mutating func sealFailed(_ attempt: Attempt, _ failure: Failure, holder worker: String) {
        if failure.isOutage {
            // The sink is there, for others: it is this worker that does not reach it.
            if stages[attempt.stage].away(attempt.part, othersSeal: sealers.contains { $0 != worker }) {
                lose(stage: attempt.stage, part: attempt.part, attempt: attempt.attempt)
                return
            }
            outage = failure
            return stages[attempt.stage].set(attempt.part, .resting(worker: worker))
        }
        switch failure.remedy {
        case .stopJob, .failBatch: return giveUp(failure)
        case .retryTask where failure.code != .workerUnreachable:
            // The rows are still held, only the seal is tried again.
            stages[attempt.stage].set(attempt.part, .succeeded(worker: worker))
        case .retryTask, .rerunParentStage:
            lose(stage: attempt.stage, part: attempt.part, attempt: attempt.attempt)
        }
        countFailure(attempt, failure)
    }

    // MARK: inside

    private mutating func lose(stage: Int, part: Int, attempt: Int) {
        guard stages[stage][part].attempt == attempt, stages[stage][part].life != .sealed else { return }
        stages[stage].set(part, .waiting)
    }

    private mutating func countFailure(_ attempt: Attempt, _ failure: Failure) {
        if stages[attempt.stage].fail(attempt.part) >= maxAttempts { giveUp(failure) }
    }

    private mutating func giveUp(_ failure: Failure) {
        phase = .over
        unsaid = failure
    }

    private func life(_ attempt: Attempt) -> Life { stages[attempt.stage][attempt.part].life }

    private mutating func advance() -> [Action] {
        guard phase != .over else { return [] }
        // A parent is needed only while somebody still has to fetch from it.
        let childrenDone = stages.count == 2 && stages[1].allSucceeded
        var launched: [Attempt] = []
        if !childrenDone { launched += launch(stage: 0) }
        if stages.count == 2 && !childrenDone && stages[0].allSucceeded { launched += launch(stage: 1) }
        var actions: [Action] = launched.isEmpty ? [] : [.launch(launched)]

        switch phase {
        case .running where stages[lastStage].allSucceeded:
            phase = .checking
            actions.append(.allReported)
        case .sealing:
            if let outage {
                if !isResting { actions.append(.rest(outage)) }
                isResting = true
            } else if stages[lastStage].unsealed > 0 {
                actions.append(.seal(sealing()))
            }
            if stages[lastStage].allSealed {
                phase = .over
                actions.append(.finished)
            }
        case .running, .checking, .over: break
        }
        return actions
    }

    private mutating func sealing() -> [Attempt] {
        var sealing: [Attempt] = []
        for (index, part) in stages[lastStage].parts.enumerated() {
            guard case .succeeded(let worker) = part.life else { continue }
            stages[lastStage].set(index, .sealing(worker: worker))
            sealing.append(Attempt(stage: lastStage, part: index, attempt: part.attempt))
        }
        return sealing
    }

    private mutating func launch(stage: Int) -> [Attempt] {
        guard !stages[stage].waiting.isEmpty else { return [] }
        return stages[stage].start().map { part, attempt in
            if attempt > 1 { retries += 1 }
            return Attempt(stage: stage, part: part, attempt: attempt)
        }
    }
}
