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
        /// It gets no new tasks for now.
        package var isAvoided = false
    }

    private struct State {
        var registry: WorkerRegistry
        var links: [String: any WorkerLink] = [:]
        /// Workers inside the driver's process; they have no heartbeat.
        var local: [Worker] = []
    }

    private let state: Mutex<State>
    /// For what is said to workers beside a batch. One that hangs holds a thread for ten seconds at most.
    private let callers = CallerThreads("to workers", most: 8)
    private let connect: @Sendable (String) -> any WorkerLink

    /// - Parameter connect: makes the link to a worker's address.
    package init(build: String, timeoutMillis: Int64, connect: @escaping @Sendable (String) -> any WorkerLink) {
        state = Mutex(State(registry: WorkerRegistry(build: build, timeoutMillis: timeoutMillis)))
        self.connect = connect
    }

    package func addLocal(id: String, slots: Int, url: String, link: any WorkerLink) {
        state.withLock { $0.local.append(Worker(id: id, url: url, slots: slots, link: link, isHere: true)) }
    }

    /// Whether tasks run in the driver's own process.
    package var isLocal: Bool { state.withLock { !$0.local.isEmpty } }

    package func register(_ request: RegisterWorker) throws -> Registered {
        let link = connect(request.url)
        // One that hears nobody would be given tasks, lose them, come back, and be given tasks.
        do { try link.ping() } catch {
            throw Failure(
                .workerUnreachable, "worker \(request.url) was refused: the driver does not reach it", why: failure(error).why,
                now: "give an address in --worker-listen that the driver's host reaches; the worker tries again")
        }
        let (member, gone) = try state.withLock { state in
            let member = try state.registry.register(request, nowMillis: steadyMillis())
            let gone = state.links.filter { !state.registry.contains($0.key) }
            for id in gone.keys { state.links[id] = nil }
            state.links[member.id] = link
            return (member, gone)
        }
        for link in gone.values { link.abandon() }
        Log.info(
            "worker joined",
            [("worker.id", member.id), ("url", member.url), ("slots", "\(member.slots)"), ("pid", "\(member.pid)")])
        return Registered(workerID: member.id, heartbeatMillis: 1000)
    }

    package func heartbeat(_ id: String, leaving: Bool) -> Bool {
        state.withLock { $0.registry.heartbeat(id, leaving: leaving, nowMillis: steadyMillis()) }
    }

    package func lost(_ id: String, _ reason: Failure) {
        let (wasThere, link) = state.withLock { state in
            let wasThere = state.registry.contains(id)
            state.registry.lost(id)
            return (wasThere, state.links.removeValue(forKey: id))
        }
        link?.abandon()
        if wasThere { Log.warning("worker lost", [("worker.id", id), ("reason", reason.why)]) }
    }

    /// A task failed on it for a reason of its own.
    package func troubled(_ id: String, _ reason: Failure) {
        guard let millis = state.withLock({ $0.registry.troubled(id, nowMillis: steadyMillis()) }) else { return }
        Log.warning(
            "worker avoided",
            [("worker.id", id), ("for_ms", "\(millis)"), ("what", reason.what), ("why", reason.why), ("now", reason.now)])
    }

    package func expire() {
        let gone = state.withLock { state in
            state.registry.expire(nowMillis: steadyMillis()).map { ($0.id, state.links.removeValue(forKey: $0.id)) }
        }
        for (id, link) in gone {
            // A worker that is paused answers nothing and closes nothing: who waits for it must not wait on.
            link?.abandon()
            Log.warning("worker lost", [("worker.id", id), ("reason", "no heartbeat")])
        }
    }

    /// Tells workers to let go, all of them but those in `kept`. Best effort: a worker that does not hear it finds out by time.
    package func release(_ request: ReleaseBatch, but kept: Set<String> = []) {
        for worker in available where !kept.contains(worker.id) {
            let release: @Sendable () -> Void = {
                do { try worker.link.release(request) } catch {
                    Log.debug("release not delivered", [("worker.id", worker.id), ("why", failure(error).why)])
                }
            }
            if worker.isHere { release() } else { callers.run(release) }
        }
    }

    /// Workers that may get tasks now.
    package var available: [Worker] {
        state.withLock { state in
            state.local
                + state.registry.available.compactMap { member in
                    state.links[member.id].map {
                        Worker(
                            id: member.id, url: member.url, slots: member.slots, link: $0,
                            isAvoided: steadyMillis() < member.avoidedUntilMillis)
                    }
                }
        }
    }

    package func contains(_ id: String) -> Bool {
        state.withLock { state in state.local.contains { $0.id == id } || state.registry.contains(id) }
    }

    package var members: [WorkerRegistry.Member] { state.withLock { $0.registry.all } }
}
