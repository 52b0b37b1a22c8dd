// The shell around `WorkerRegistry`: keeps the links, answers registrations, and lets job loops wait for workers.

import Dispatch
import Engine
import Foundation
import Synchronization
import Wire

package final class WorkerPool: Sendable {
    package struct Worker: Sendable {
        package var id: String
        package var url: String
        package var slots: Int
        package var link: any WorkerLink
        /// In this process: a call is no journey.
        package var isHere = false
    }

    private struct State {
        var registry: WorkerRegistry
        var links: [String: any WorkerLink] = [:]
        /// Workers inside the driver's process; they have no heartbeat.
        var local: [Worker] = []
    }

    private let state: Mutex<State>
    private let connect: @Sendable (String) -> any WorkerLink

    /// - Parameter connect: makes the link to a worker's address.
    package init(build: String, timeoutMillis: Int64, connect: @escaping @Sendable (String) -> any WorkerLink) {
        state = Mutex(State(registry: WorkerRegistry(build: build, timeoutMillis: timeoutMillis)))
        self.connect = connect
    }

    package func addLocal(id: String, slots: Int, url: String, link: any WorkerLink) {
        state.withLock { $0.local.append(Worker(id: id, url: url, slots: slots, link: link, isHere: true)) }
    }

    package func register(_ request: RegisterWorker) throws -> Registered {
        let link = connect(request.url)
        let member = try state.withLock { state in
            let member = try state.registry.register(request, nowMillis: steadyMillis())
            state.links = state.links.filter { state.registry.contains($0.key) }
            state.links[member.id] = link
            return member
        }
        Log.info(
            "worker joined",
            [("worker.id", member.id), ("url", member.url), ("slots", "\(member.slots)"), ("pid", "\(member.pid)")])
        return Registered(workerID: member.id, heartbeatMillis: 1000)
    }

    package func heartbeat(_ id: String, leaving: Bool) -> Bool {
        state.withLock { $0.registry.heartbeat(id, leaving: leaving, nowMillis: steadyMillis()) }
    }

    package func lost(_ id: String, _ reason: Failure) {
        let wasThere = state.withLock { state in
            defer {
                state.registry.lost(id)
                state.links[id] = nil
            }
            return state.registry.contains(id)
        }
        if wasThere { Log.warning("worker lost", [("worker.id", id), ("reason", reason.why)]) }
    }

    package func expire() {
        let gone = state.withLock { state in
            let gone = state.registry.expire(nowMillis: steadyMillis())
            for member in gone { state.links[member.id] = nil }
            return gone
        }
        for member in gone {
            Log.warning("worker lost", [("worker.id", member.id), ("reason", "no heartbeat")])
        }
    }

    /// Workers that may get tasks now.
    package var available: [Worker] {
        state.withLock { state in
            state.local
                + state.registry.available.compactMap { member in
                    state.links[member.id].map {
                        Worker(id: member.id, url: member.url, slots: member.slots, link: $0)
                    }
                }
        }
    }

    package func contains(_ id: String) -> Bool {
        state.withLock { state in state.local.contains { $0.id == id } || state.registry.contains(id) }
    }

    package var members: [WorkerRegistry.Member] { state.withLock { $0.registry.all } }
}

/// Milliseconds of a clock that never jumps.
package func steadyMillis() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}

/// Milliseconds since 1970 by the wall clock.
package func wallMillis() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}
