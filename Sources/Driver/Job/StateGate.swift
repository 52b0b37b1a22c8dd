// Which workers may have tasks of a stateful job: those that reach its state place, each asked before its first task (protocol 5).
//
// The driver writes a file of random content and asks the worker to read it back and to write one beside it. On one host this is
// a few hundred microseconds; past one host it finds the directory that is not shared before a batch depends on it. A worker
// that does not reach the place is told so, gets nothing of this job, and is asked again after a while; others go on.
//
// The root of the place is made by the driver and by nobody else, and not where the log names files in it: then what should
// be mounted there is not, and the job waits for it.
//
// `StateReach` decides, the shell asks on threads of its own. Survives nothing: a start asks anew.

import Engine
import Foundation
import Synchronization
import Wire

/// What is known of workers and one state place; pure.
package struct StateReach: Sendable {
    private enum Known: Equatable {
        case asked, reached
        case refused(untilMillis: Int64)
    }

    /// A worker that did not reach the place is asked again after this long.
    package static let againMillis: Int64 = 15_000
    private var workers: [String: Known] = [:]

    package init() {}

    /// Those that are to be asked now; they count as asked from here on. Who is not present is forgotten.
    package mutating func due(_ present: [String], nowMillis: Int64) -> [String] {
        let there = Set(present)
        workers = workers.filter { there.contains($0.key) }
        let due = present.filter { id in
            switch workers[id] {
            case nil: true
            case .refused(let untilMillis)?: nowMillis >= untilMillis
            case .asked?, .reached?: false
            }
        }
        for id in due { workers[id] = .asked }
        return due
    }

    package mutating func answered(_ id: String, isReached: Bool, nowMillis: Int64) {
        guard workers[id] == .asked else { return }
        workers[id] = isReached ? .reached : .refused(untilMillis: nowMillis + Self.againMillis)
    }

    package func admits(_ id: String) -> Bool { workers[id] == .reached }
    package var isAsking: Bool { workers.values.contains(.asked) }
}

package final class StateGate: Sendable {
    private struct State {
        var reach = StateReach()
        /// The last refusal, while some worker is refused.
        var refusal: Failure?
    }

    private let job: RunningJob
    private let pool: WorkerPool
    private static let callers = CallerThreads("state checks", most: 16)
    private let state = Mutex(State())
    /// At a start so long is waited for the answers of those that are there.
    private static let startMillis: Int64 = 3000

    init(job: RunningJob, pool: WorkerPool) {
        self.job = job
        self.pool = pool
    }

    /// Makes the place, unless the log says that it must be there.
    /// - Parameter kept: the state that the log has.
    func open(kept: StateManifest?) throws {
        let store = try StateStore(address: job.settings.state)
        guard job.isStateful else {
            // Only offsets that a row of the log has no room for go there, and without the place they are counted.
            do { try store.makeRoot() } catch { Log.info("no place for offsets", [("job", job.record.name), ("why", failure(error).why)]) }
            return
        }
        if kept?.entries.contains(where: { $0.files.contains { !$0.inline } }) ?? false {
            try store.requireFolder(job.record.jobID)
        } else {
            try store.makeRoot()
        }
    }

    /// Asks those that are there and waits for their answers, for a while.
    func ask() {
        let until = steadyMillis() + Self.startMillis
        _ = admitted
        // Answers come in on other threads; there is no event to wait for here.
        while state.withLock({ $0.reach.isAsking }), steadyMillis() < until { usleep(500) }
    }

    /// The workers that may have tasks of the job now. Who is new is asked, and is there when it has answered.
    var admitted: [WorkerPool.Worker] {
        let workers = pool.available
        guard job.isStateful else { return workers }
        let due = state.withLock { $0.reach.due(workers.map(\.id), nowMillis: steadyMillis()) }
        for worker in workers where due.contains(worker.id) {
            Self.callers.run { [self] in check(worker) }
        }
        return state.withLock { state in workers.filter { state.reach.admits($0.id) } }
    }

    /// Why nobody may work on the job, where somebody is there.
    var refusal: Failure? { state.withLock { $0.refusal } }

    private func check(_ worker: WorkerPool.Worker) {
        let name = "probe-\(hexadecimal(UInt64.random(in: 0...UInt64.max)))"
        var store: StateStore?
        do {
            store = try StateStore(address: job.settings.state)
            try store?.put(job.record.jobID, name: name, bytes: Array(name.utf8))
        } catch {
            // The driver's own trouble, and no worker's.
            let reason = failure(error)
            Log.error("driver does not reach the state", [("job", job.record.name), ("what", reason.what), ("why", reason.why)])
            return state.withLock { state in
                state.reach.answered(worker.id, isReached: false, nowMillis: steadyMillis())
                state.refusal = reason
            }
        }
        defer { store?.remove(job.record.jobID, name: name) }
        let result = Result {
            try worker.link.checkState(CheckState(address: job.settings.state, jobID: job.record.jobID, name: name))
        }.mapError(failure)
        if case .failure(let reason) = result {
            if reason.code == .workerUnreachable {
                pool.lost(worker.id, reason)
            } else {
                Log.error(
                    "worker does not reach the state",
                    [
                        ("job", job.record.name), ("worker.id", worker.id), ("url", worker.url), ("state", job.settings.state),
                        ("why", reason.why), ("then", "it gets no task of this job"),
                    ])
            }
        }
        state.withLock { state in
            var isReached = false
            if case .success = result { isReached = true }
            state.reach.answered(worker.id, isReached: isReached, nowMillis: steadyMillis())
            if case .failure(let reason) = result {
                state.refusal = Failure(
                    .stateUnreachable, "worker \(worker.id) does not reach the state of job \(job.record.name)",
                    why: "\(job.settings.state) as the driver sees it is not there for \(worker.url): \(reason.why)",
                    now: "set `state` to a directory that the driver and every worker share")
            } else {
                state.refusal = nil
            }
        }
    }
}
