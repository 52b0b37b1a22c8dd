// The worker processes of one `sluice run`: started together, started again when one dies, ended with the run.
//
// A worker that dies is replaced at once, but not for ever: more than `maxRestarts` deaths within a minute are a fault
// that restarting does not mend, and the run goes on with the workers that are left, or stops when none is.

import Engine
import Foundation
import Synchronization

final class WorkerChildren: Sendable {
    private static let maxRestarts = 10

    private struct State {
        var children: [ChildProcess] = []
        var deathsMillis: [Int64] = []
        var isEnding = false
        /// That wait for a child.
        var threads = 0
    }

    private let state = Mutex(State())
    private let path: String
    private let arguments: [String]
    private let environment: [String: String]
    private let ended = SteadySignal()
    private let noneLeft: @Sendable (Failure) -> Void

    /// - Parameter noneLeft: called when the last worker has died and is not started again.
    init(
        path: String, arguments: [String], environment: [String: String], noneLeft: @escaping @Sendable (Failure) -> Void
    ) {
        self.noneLeft = noneLeft
        self.path = path
        self.arguments = arguments
        self.environment = environment
    }

    func start(_ count: Int) throws { for _ in 0..<count { try startOne() } }

    private func startOne() throws {
        let child = try ChildProcess(path, arguments, environment: environment)
        state.withLock { $0.children.append(child) }
        state.withLock { $0.threads += 1 }
        let thread = Thread { [self] in
            let status = child.wait()
            defer { leave() }
            let now = steadyMillis()
            let again = state.withLock { state in
                state.children.removeAll { $0.pid == child.pid }
                guard !state.isEnding else { return false }
                state.deathsMillis = state.deathsMillis.filter { now - $0 < 60_000 } + [now]
                return state.deathsMillis.count <= Self.maxRestarts
            }
            if state.withLock({ $0.isEnding }) { return }
            Log.warning("worker process ended", [("pid", "\(child.pid)"), ("status", "\(status)"), ("then", again ? "started again" : "not started again")])
            var isStarted = false
            if again {
                do {
                    try startOne()
                    isStarted = true
                } catch {
                    Log.error("worker process not started", [("why", failure(error).why)])
                }
            }
            if !isStarted && state.withLock({ $0.children.isEmpty && !$0.isEnding }) {
                noneLeft(
                    Failure(
                        .notPossible, "no worker process is left",
                        why: "the last one ended with status \(status)"
                            + (again ? ", and no other could be started" : ", after \(Self.maxRestarts) others within a minute"),
                        now: "the log above says why they ended; start the same command again to finish the open batch"))
            }
        }
        thread.name = "child \(child.pid)"
        thread.start()
    }

    /// Ends all workers and waits for them.
    func end() {
        let children = state.withLock { state in
            state.isEnding = true
            return state.children
        }
        for child in children { child.terminate() }
        if state.withLock({ $0.threads == 0 }) { return }
        if !ended.take(withinMillis: 5000) {
            for child in state.withLock({ $0.children }) { kill(child.pid, SIGKILL) }
            ended.take()
        }
    }

    /// One that waited for a child is over; the last one says so.
    private func leave() {
        let isLast = state.withLock { state in
            state.threads -= 1
            return state.threads == 0 && state.isEnding
        }
        if isLast { ended.give() }
    }
}
