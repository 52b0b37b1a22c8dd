// A worker with its sockets: serves tasks and blocks over HTTP, keeps itself registered, and knows when to leave.
//
//   start -> listening -> registered <-> driver away (retry with growing pauses, up to `driverTimeoutMillis`) -> exit
//                             |
//                             +-- asked to leave -> no new tasks -> running requests end -> exit
//
// It survives nothing and needs to: whatever it held is made again elsewhere. A driver that forgot it (restart, lease
// of silence) answers a heartbeat with `known: false`, and the worker registers again under a new id.

import Dispatch
import Engine
import Foundation
import Synchronization
import Wire

package struct WorkerOptions: Sendable {
    package var driverURL: String
    package var listen: String
    package var port: Int
    package var slots: Int
    package var credentials: Credentials
    package var driverTimeoutMillis: Int64
    package var consumerIdleMillis: Int64
    package var blockMemoryBytes: Int
    package var build: String
    package var prober: WorkerNode.Prober?

    package init(
        driverURL: String, listen: String = "127.0.0.1", port: Int = 0, slots: Int, credentials: Credentials,
        driverTimeoutMillis: Int64, consumerIdleMillis: Int64, blockMemoryBytes: Int, build: String,
        prober: WorkerNode.Prober? = nil
    ) {
        self.prober = prober
        self.blockMemoryBytes = blockMemoryBytes
        self.driverURL = driverURL
        self.listen = listen
        self.port = port
        self.slots = slots
        self.credentials = credentials
        self.driverTimeoutMillis = driverTimeoutMillis
        self.consumerIdleMillis = consumerIdleMillis
        self.build = build
    }
}

package final class WorkerProcess: Sendable {
    private let options: WorkerOptions
    private let node: WorkerNode
    private let driver: HTTPDriverLink
    private let server: HTTPServer
    private let leaving = Mutex(false)
    private let wake = DispatchSemaphore(value: 0)

    package init(options: WorkerOptions, jobs: JobDefinitions) throws {
        self.options = options
        let client = options.credentials.makeClient()
        driver = HTTPDriverLink(client: client, url: options.driverURL)
        let node = WorkerNode(
            slots: options.slots, jobs: jobs, build: options.build, driver: driver, peers: HTTPBlockLink(client: client),
            blockMemoryBytes: options.blockMemoryBytes, prober: options.prober)
        self.node = node
        server = try options.credentials.makeServer(address: options.listen, port: options.port) { request in
            WorkerRoutes.answer(request, node: node)
        }
        node.url = options.credentials.url(host: options.listen, port: server.port)
    }

    package var url: String { node.url }

    /// Asks the worker to finish what it runs and to leave; safe from a signal's dispatch source.
    package func leave() {
        leaving.withLock { $0 = true }
        wake.signal()
    }

    /// Serves until asked to leave. Throws when the driver is away for longer than allowed, or refuses this worker.
    package func run() throws {
        defer { server.stop() }
        var membership = WorkerMembership(driverURL: options.driverURL, timeoutMillis: options.driverTimeoutMillis)
        while true {
            let isLeaving = leaving.withLock { $0 }
            let answer: WorkerMembership.Answer
            switch membership.step(isLeaving: isLeaving, runningRequests: node.runningRequests) {
            case .register: answer = asked { try register() }
            case .heartbeat(let id, let isLeaving):
                answer = asked {
                    let reply = try driver.heartbeat(id, Heartbeat(leaving: isLeaving))
                    node.claimed(reply.jobs)
                    return .heartbeat(isKnown: reply.known, leaving: isLeaving)
                }
            case .wait(let millis):
                node.tidy(idleMillis: Int(options.consumerIdleMillis))
                _ = wake.wait(timeout: .now() + .milliseconds(Int(millis)))
                answer = .waited
            case .leave: return
            case .end(let reason): throw reason
            }
            membership.take(answer, isLeaving: leaving.withLock { $0 }, nowMillis: steadyMillis())
            node.isKnown = membership.isMember
        }
    }

    private func register() throws -> WorkerMembership.Answer {
        let registered = try driver.register(
            RegisterWorker(
                url: node.url, slots: options.slots, build: options.build, pid: getpid(), host: ProcessInfo.processInfo.hostName,
                bootID: ""))
        Log.info("registered", [("worker.id", registered.workerID), ("driver", options.driverURL), ("url", node.url)])
        return .registered(id: registered.workerID)
    }

    private func asked(_ body: () throws -> WorkerMembership.Answer) -> WorkerMembership.Answer {
        do { return try body() } catch { return .failed(failure(error)) }
    }
}

/// What a worker answers; every route but health and readiness needs the secret, which the server checks.
enum WorkerRoutes {
    static func answer(_ request: HTTPRequest, node: WorkerNode) -> HTTPResponse {
        do {
            switch (request.method, request.path) {
            case ("GET", "/v1/health"): return .text("ok\n")
            case ("GET", "/v1/ready"):
                return node.isKnown ? .text("ready\n") : .text("no driver knows this worker\n", status: 503)
            case ("GET", "/metrics"): return .text(metrics(node))
            case ("POST", "/v1/tasks/run"): return .json(try node.run(JobLine.message(RunTasks.self, in: request.body)))
            case ("POST", "/v1/tasks/probe"): return .json(try node.probe(JobLine.message(RunTasks.self, in: request.body)))
            case ("POST", "/v1/tasks/seal"): return .json(try node.seal(JobLine.message(SealTasks.self, in: request.body)))
            case ("POST", "/v1/tasks/arrived"): return .json(try node.arrived(request.decode()))
            case ("POST", "/v1/tasks/release"):
                try node.release(request.decode())
                return .json(EmptyMessage())
            case ("POST", "/v1/tasks/cancel"):
                try node.cancel(request.decode())
                return .json(EmptyMessage())
            case ("POST", "/v1/state/check"):
                try node.checkState(request.decode())
                return .json(EmptyMessage())
            case ("GET", _):
                guard let id = BlockID(path: request.path) else { return .notFound(request) }
                guard let bytes = try node.block(id) else { return .notFound(request) }
                return .bytes(bytes)
            default: return .notFound(request)
            }
        } catch {
            return .failure(failure(error))
        }
    }

    private static func metrics(_ node: WorkerNode) -> String {
        """
        # HELP sluice_worker_slots Slots of this worker.
        # TYPE sluice_worker_slots gauge
        sluice_worker_slots \(node.slotCount)
        # HELP sluice_worker_requests_running Requests of drivers being worked on.
        # TYPE sluice_worker_requests_running gauge
        sluice_worker_requests_running \(node.runningRequests)
        # HELP sluice_worker_block_bytes Bytes of blocks held for other tasks.
        # TYPE sluice_worker_block_bytes gauge
        sluice_worker_block_bytes \(node.heldBlockBytes)
        # HELP sluice_worker_jobs_kept Jobs of which a plan, lookups, consumers, connections or state are kept.
        # TYPE sluice_worker_jobs_kept gauge
        sluice_worker_jobs_kept \(node.keptJobs)
        # HELP sluice_worker_held_memory_bytes Bytes of blocks and rows that are held in memory.
        # TYPE sluice_worker_held_memory_bytes gauge
        sluice_worker_held_memory_bytes \(node.heldMemoryBytes)
        # HELP sluice_worker_spilled_bytes_total Bytes of blocks and rows that memory had no room for.
        # TYPE sluice_worker_spilled_bytes_total counter
        sluice_worker_spilled_bytes_total \(node.spilledBytes)

        """
    }
}
