// A driver with its sockets: catalog, workers, and its jobs, behind the API.
//
// What survives a crash is the catalog: a driver that starts takes up every job that is meant to run and whose lease is free.
//
// Start order: listen, then take up jobs. Stop order: jobs drain, loops end, the server goes last, so that workers find
// their driver until the last batch is sealed.

import Dispatch
import Engine
import Foundation
import Synchronization
import Wire

package final class DriverProcess: Sendable {
    package let runs: JobRuns
    private let server: HTTPServer
    /// Where workers and commands reach this driver.
    package let url: String
    private let expiry: Repeating
    private let takeUp = Mutex<Repeating?>(nil)

    /// Something done again and again on a thread of its own.
    private final class Repeating: Sendable {
        private let ends = DispatchSemaphore(value: 0)
        private let isOver = DispatchSemaphore(value: 0)

        init(_ name: String, everyMillis: Int, _ body: @escaping @Sendable () -> Void) {
            let thread = Thread { [ends, isOver] in
                while ends.wait(timeout: .now() + .milliseconds(everyMillis)) == .timedOut { body() }
                isOver.signal()
            }
            thread.name = name
            thread.stackSize = 1 << 20
            thread.start()
        }

        deinit { ends.signal() }

        /// Returns when the last run is over.
        func stop() {
            ends.signal()
            isOver.wait()
            isOver.signal()
        }
    }

    /// - Parameter catalog: opens it; called when the server is there, which says meanwhile that the driver is not ready.
    package init(
        catalog open: () throws -> Catalog, jobs: JobDefinitions, buildDigest: String, listen: String, port: Int, credentials: Credentials,
        workerTimeoutMillis: Int64, logsEnds: Bool = true, resolve: @escaping SettingsResolver,
        onBatch: @escaping @Sendable (BatchRecord) -> Void = { _ in }
    ) throws {
        let client = credentials.makeClient()
        let pool = WorkerPool(build: buildDigest, timeoutMillis: workerTimeoutMillis) { url in
            HTTPWorkerLink(client: client, url: url)
        }
        expiry = Repeating("expiry of workers", everyMillis: 1000) { pool.expire() }
        let box = Box()
        server = try credentials.makeServer(address: listen, port: port) { request in
            guard let runs = box.runs.withLock({ $0.value }) else { return DriverRoutes.answerAtStart(request) }
            return DriverRoutes.answer(request, runs: runs)
        }
        let catalog: Catalog
        do { catalog = try open() } catch {
            server.stop()
            throw error
        }
        url = credentials.url(host: listen, port: server.port)
        runs = JobRuns(
            catalog: catalog, pool: pool, jobs: jobs, buildDigest: buildDigest, address: url, logsEnds: logsEnds, resolve: resolve,
            onBatch: onBatch)
        box.runs.withLock { $0.value = runs }
    }

    /// Lets the server, which is made first, find the jobs, which know its address.
    private final class Box: Sendable {
        struct Weak { weak var value: JobRuns? }
        let runs = Mutex(Weak())
    }

    package var port: Int { server.port }
    package var catalog: Catalog { runs.catalog }
    package var pool: WorkerPool { runs.pool }

    /// Throws why this driver cannot be reached by those who go by the same credentials as itself.
    package func checkReachable(_ credentials: Credentials) throws {
        _ = try credentials.makeClient().bytes(
            url + "/v1/health", timeoutMillis: 10_000, unreachable: .driverUnreachable)
    }

    // MARK: jobs

    /// Takes up every job of the catalog that is meant to run.
    package func takeUpJobs() throws {
        for record in try catalog.jobs() where record.kind == .live && record.desired == .run {
            guard record.state == .starting || record.state == .running else { continue }
            var options = LoopOptions()
            options.waitForLease = true
            runs.start(record.name, options)
        }
    }

    /// From now on takes up what is resumed in the catalog (`TakeUp`).
    package func watchCatalog() {
        let decision = Mutex((takeUp: TakeUp(), patience: Patience(.standing)))
        takeUp.withLock { takeUp in
            takeUp = Repeating("jobs taken up", everyMillis: TakeUp.lookMillis) { [unowned self] in
                do {
                    let jobs = try catalog.jobs()
                    let ready = try decision.withLock { decision in
                        try decision.takeUp.look(at: jobs) { try runs.isRunning($0) || catalog.liveHolder(of: $0) != nil }
                    }
                    runs.catalogAnswered(true)
                    if let millis = decision.withLock({ $0.patience.answered(nowMillis: steadyMillis()) }) {
                        Log.notice("the catalog is back", [("after_ms", "\(millis)")])
                    }
                    for name in ready {
                        Log.notice("job taken up", [("job", name)])
                        var options = LoopOptions()
                        options.waitForLease = true
                        runs.start(name, options)
                    }
                } catch {
                    let reason = failure(error)
                    runs.catalogAnswered(false)
                    let verdict = decision.withLock { $0.patience.failed(reason, nowMillis: steadyMillis()) }
                    if case .tryAgain(_, says: true) = verdict { Log.warning("catalog not looked at", [("why", reason.why)]) }
                }
            }
        }
    }

    /// Drains every job, then stops listening.
    package func stop() {
        takeUp.withLock { $0 }?.stop()
        runs.drain()
        expiry.stop()
        server.stop()
    }
}
