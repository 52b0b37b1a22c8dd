// The shell around `BatchRun`: carries its calls to workers and brings their answers back, until the batch is over.
//
// One thread, one inbox. Calls are made on threads that wait for them (`CallerThreads`) and come back as events, so the
// decisions are made one at a time and in one place. A call to a worker in this process whose records are there is made in
// place: another thread would take longer to wake up than the work takes.
//
// The failpoints of the crash tests stand here: before the first seal, and behind each part's.

import Engine
import Foundation
import Wire

package final class BatchRunner {
    package struct Finished: Sendable {
        package var run: BatchRun
        package var runMillis: Double
        package var sealMillis: Double

        package init(run: BatchRun, runMillis: Double, sealMillis: Double) {
            self.run = run
            self.runMillis = runMillis
            self.sealMillis = sealMillis
        }
    }

    private let pool: WorkerPool
    /// Whom the job may use; nil for all.
    private let gate: StateGate?
    private let callers: CallerThreads
    private let shouldStop: () -> Failure?
    private let checkRows: (@Sendable ([Chunk]) throws -> Void)?
    private let beforeSeal: () throws -> Void
    private var patience: Patience
    private let isDraining: () -> Bool
    private let waits: (SinkWait) -> Void
    private let inbox = Inbox<BatchRun.Event>()
    private(set) var run: BatchRun
    private(set) var sinkWasSilent = false
    private(set) var isOutwaited = false
    private var links: [String: WorkerPool.Worker] = [:]
    /// The last failure that was one worker's own.
    private var trouble: Failure?
    private var sealStart: ContinuousClock.Instant?
    /// A batch waits this long for a first worker, then the job says so and tries again later.
    private var workersDeadline: ContinuousClock.Instant?
    private static let tickMillis = 200
    /// A call lasts as long as its tasks: with fewer threads than workers some would wait for others.
    package static let callers = CallerThreads("calls to workers", most: 512)

    /// - Parameters:
    ///   - gate: whom the job may use; nil for all.
    ///   - beforeSeal: throws the reason why nothing of the batch may leave the workers.
    ///   - checkRows: looks at the rows before they may be sealed, with the mode `checkRows`.
    ///   - patience: how long a sink that is away is waited for.
    ///   - waits: hears what is waited for.
    ///   - shouldStop: a reason to give the batch up now (lease lost, job killed), asked while it runs.
    init(
        _ run: BatchRun, pool: WorkerPool, gate: StateGate? = nil, callers: CallerThreads = BatchRunner.callers,
        checkRows: (@Sendable ([Chunk]) throws -> Void)? = nil, beforeSeal: @escaping () throws -> Void = {},
        patience: Patience = Patience(.bounded(DriverLimits.patienceMillis)), isDraining: @escaping () -> Bool = { false },
        waits: @escaping (SinkWait) -> Void = { _ in }, shouldStop: @escaping () -> Failure?
    ) {
        self.patience = patience
        self.isDraining = isDraining
        self.waits = waits
        self.run = run
        self.pool = pool
        self.gate = gate
        self.callers = callers
        self.checkRows = checkRows
        self.beforeSeal = beforeSeal
        self.shouldStop = shouldStop
    }

    package enum SinkWait: Sendable {
        case begun(Patience.Waiting, says: Bool)
        case isBack(afterMillis: Int64)
    }

    /// Runs the batch to its end. `run.partsWithRows` tells afterwards which parts may hold rows, however it ended.
    package func finish() throws -> Finished {
        let start = ContinuousClock.now
        var actions = run.begin(members())
        while true {
            for action in actions {
                switch action {
                case .run(let worker, let attempts, let request, let afterMillis):
                    call(worker, attempts, afterMillis, isQuick: run.manner.recordsAreThere && afterMillis == 0) { worker in
                        .ran(worker: worker.id, attempts, Result { try worker.link.run(request) }.mapError(failure))
                    }
                case .probe(let worker, let number, let request, let afterMillis):
                    if number == 1 { sayHunt(request) }
                    call(worker, [], afterMillis, isQuick: false) { worker in
                        .probed(number: number, Result { try worker.link.probe(request) }.mapError(failure))
                    }
                case .seal(let worker, let attempts, let request, let afterMillis):
                    if sealStart == nil {
                        Failpoint.reach("before-seal")
                        sealStart = .now
                    }
                    // A server may hang, and a job that is to be killed then must hear it; a file's locks have an end.
                    let isQuick = run.manner.recordsAreThere && sinkIsFile && afterMillis == 0
                    call(worker, attempts, afterMillis, isQuick: isQuick) { worker in
                        .sealed(worker: worker.id, attempts, Result { try worker.link.seal(request) }.mapError(failure))
                    }
                case .rest(let reason): rest(reason)
                case .waitForWorkers: workersDeadline = workersDeadline ?? .now + .milliseconds(DriverLimits.workerWaitMillis)
                case .lost(let worker, let reason): pool.lost(worker, reason)
                case .trouble(let worker, let reason):
                    trouble = reason
                    pool.troubled(worker, reason)
                case .beforeSeal:
                    do {
                        if run.mode == .checkRows { try checkRows?(run.rows()) }
                        try beforeSeal()
                        inbox.put(.maySeal(nil))
                    } catch { inbox.put(.maySeal(failure(error))) }
                case .unreadable(let what): Log.warning("unreadable batch", [("job", run.spec.name), ("what", what)])
                case .note(let attempt, let worker, let reason): note(attempt, worker, reason)
                case .giveUp: giveUp()
                case .failed(let reason): throw reason
                case .finished:
                    let sealed = sealStart ?? .now
                    return Finished(
                        run: run, runMillis: (sealed - start) / .milliseconds(1),
                        sealMillis: (ContinuousClock.now - sealed) / .milliseconds(1))
                }
            }
            actions = next()
        }
    }

    private func next() -> [BatchRun.Action] {
        let event = inbox.next(timeoutMillis: workersDeadline == nil ? Self.tickMillis : 5) ?? .tick
        let members = members()
        if let reason = shouldStop() { return run.handle(.stop(reason), members) }
        if let deadline = workersDeadline {
            if members.contains(where: { !$0.isAvoided }) {
                workersDeadline = nil
            } else if ContinuousClock.now > deadline {
                return run.handle(.stop(nobody), members)
            }
        }
        if case .sealed(_, _, .success(let reply)) = event {
            for result in reply.results where result.failure == nil {
                if let millis = patience.answered(nowMillis: steadyMillis()) { waits(.isBack(afterMillis: millis)) }
                Failpoint.reach("part-sealed")
            }
        }
        return run.handle(event, members)
    }

    /// The sink is away: what was computed waits with its workers.
    private func rest(_ reason: Failure) {
        sinkWasSilent = true
        switch patience.failed(reason, nowMillis: steadyMillis(), isDraining: isDraining(), spread: .random(in: 0...1)) {
        case .giveUp(let reason):
            isOutwaited = true
            inbox.put(.stop(reason))
        case .tryAgain(let afterMillis, let says):
            if let waiting = patience.waiting { waits(.begun(waiting, says: says)) }
            callers.run(afterMillis: Int(afterMillis)) { [inbox] in inbox.put(.rested) }
        }
    }

    private var sinkIsFile: Bool { run.spec.settings["sink"]?.hasPrefix("sqlite:") ?? false }

    private func members() -> [BatchRun.Member] {
        let workers = gate?.admitted ?? pool.available
        links = Dictionary(workers.map { ($0.id, $0) }) { first, _ in first }
        return workers.map { BatchRun.Member(id: $0.id, url: $0.url, slots: $0.slots, isAvoided: $0.isAvoided) }
    }

    private var nobody: Failure {
        if let trouble, !pool.available.isEmpty {
            return Failure(
                .workerTrouble, "every worker of job \(run.spec.name) has trouble of its own", why: "\(trouble.what): \(trouble.why)",
                now: trouble.now)
        }
        if let refusal = gate?.refusal { return refusal }
        return Failure(
            .workerUnreachable, "no worker is there for job \(run.spec.name)",
            why: "none registered within \(DriverLimits.workerWaitMillis / 1000) s",
            now: "start workers with `sluice worker --driver URL --slots 2`; batch \(run.plan.batch) waits in the log")
    }

    private func call(
        _ id: String, _ attempts: [BatchRun.Attempt], _ afterMillis: Int, isQuick: Bool,
        _ body: @escaping @Sendable (WorkerPool.Worker) -> BatchRun.Event
    ) {
        guard let worker = links[id] else { return inbox.put(.tick) }
        if worker.isHere && isQuick {
            inbox.put(body(worker))
        } else {
            callers.run(afterMillis: afterMillis) { [inbox] in inbox.put(body(worker)) }
        }
    }

    private func sayHunt(_ request: RunTasks) {
        Log.warning(
            "looking for a record that ends workers",
            [
                ("job", run.spec.name), ("batch.id", "\(run.plan.batch)"),
                ("in", request.tasks.compactMap(\.range).prefix(4).map { "\($0)" }.joined(separator: ", ")),
            ])
    }

    private func note(_ attempt: BatchRun.Attempt, _ worker: String, _ reason: Failure) {
        Log.warning(
            "attempt failed",
            [
                ("job", run.spec.name), ("batch.id", "\(run.plan.batch)"), ("stage.id", "\(attempt.stage)"),
                ("part", "\(attempt.part)"), ("task.attempt", "\(attempt.attempt)"), ("worker.id", worker),
                ("code", reason.code.rawValue), ("what", reason.what), ("why", reason.why),
            ])
    }

    /// Tells every worker that was used to drop the batch.
    private func giveUp() {
        let request = run.cancel
        for worker in links.values where run.usedWorkers.contains(worker.id) {
            // Best effort: a worker that does not hear it finds out by the next epoch.
            callers.run(afterMillis: 0) {
                do { try worker.link.cancel(request) } catch {
                    Log.debug("cancel not delivered", [("worker.id", worker.id), ("why", failure(error).why)])
                }
            }
        }
    }
}

/// Bounds of the driver, each with what happens there.
package enum DriverLimits {
    /// Attempts of one task, or of sealing one part, before the batch is given up.
    package static let maxAttempts = 5
    /// Workers that die of a task of stage 0 before its range is looked through for the record that does it.
    package static let deathsBeforeHunt = 2
    /// Records that one batch may leave out because they end workers; more are a broken build, and stop the job.
    package static let mostExcluded = 64
    /// A batch waits this long for a first worker, then the job says so and tries again later.
    package static let workerWaitMillis = 30_000
    /// The first batch waits this long for all of the workers that were started with the driver, then takes who is there.
    package static let expectedWorkersMillis: Int64 = 1000
    /// While the job's own setting is not known: how long a run that catches up waits for the catalog.
    package static let patienceMillis: Int64 = 60_000
}
