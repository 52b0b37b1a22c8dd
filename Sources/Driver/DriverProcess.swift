// A driver with its sockets: catalog, workers, and one loop a job, behind the API.
//
// It decides nothing about batches; each job's `JobLoop` does, on a thread of its own. What survives a crash is the
// catalog: a driver that starts takes up every job that is meant to run and whose lease is free.
//
// Start order: listen, then take up jobs. Stop order: jobs drain, loops end, the server goes last, so that workers find
// their driver until the last batch is sealed.

import Dispatch
import Engine
import Foundation
import Synchronization
import Wire

/// How explicit settings become a whole set with its digest; the command line owns layers and defaults.
package typealias SettingsResolver =
    @Sendable (_ definition: String, _ explicit: [String: String]) throws -> (
        values: [String: String], digest: String
    )

package final class DriverProcess: Sendable {
    package let catalog: Catalog
    package let pool: WorkerPool
    package let buildDigest: String
    private let jobs: JobDefinitions
    private let resolve: SettingsResolver
    private let server: HTTPServer
    /// Where workers and commands reach this driver.
    package let url: String
    private let startedMillis = wallMillis()
    private let runs = Mutex<[String: JobRun]>([:])
    private let expiry: Repeating
    private let takeUp = Mutex<Repeating?>(nil)
    private let onBatch: @Sendable (BatchRecord) -> Void
    private let logsEnds: Bool

    /// One job's loop: its control, and a way to wait for its end.
    package final class JobRun: Sendable {
        package let name: String
        package let control = JobControl()
        private let ended = DispatchGroup()
        private let outcome = Mutex<Failure?>(nil)

        init(name: String) {
            self.name = name
            ended.enter()
        }

        func finish(_ reason: Failure?) {
            outcome.withLock { $0 = reason }
            ended.leave()
        }

        /// Waits for the loop to end; returns why it failed, if it did. Nil result after `timeoutMillis` means it runs on.
        package func wait(timeoutMillis: Int? = nil) -> (hasEnded: Bool, failure: Failure?) {
            if let timeoutMillis {
                guard ended.wait(timeout: .now() + .milliseconds(timeoutMillis)) == .success else { return (false, nil) }
            } else {
                ended.wait()
            }
            return (true, outcome.withLock { $0 })
        }
    }

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

    package init(
        catalog: Catalog, jobs: JobDefinitions, buildDigest: String, listen: String, port: Int, credentials: Credentials,
        workerTimeoutMillis: Int64, logsEnds: Bool = true, resolve: @escaping SettingsResolver,
        onBatch: @escaping @Sendable (BatchRecord) -> Void = { _ in }
    ) throws {
        self.catalog = catalog
        self.jobs = jobs
        self.buildDigest = buildDigest
        self.resolve = resolve
        self.onBatch = onBatch
        self.logsEnds = logsEnds
        let client = credentials.makeClient()
        let pool = WorkerPool(build: buildDigest, timeoutMillis: workerTimeoutMillis) { url in
            HTTPWorkerLink(client: client, url: url)
        }
        self.pool = pool
        expiry = Repeating("expiry of workers", everyMillis: 1000) { pool.expire() }
        let box = Box()
        server = try credentials.makeServer(address: listen, port: port) { request in
            guard let driver = box.driver.withLock({ $0.value }) else {
                return .failure(Failure(.driverUnreachable, "the driver is starting", why: "it is not ready yet", now: "try again"))
            }
            return DriverRoutes.answer(request, driver: driver)
        }
        url = credentials.url(host: listen, port: server.port)
        box.driver.withLock { $0.value = self }
    }

    /// Lets the server, which is made first, find the driver, which owns it.
    private final class Box: Sendable {
        struct Weak { weak var value: DriverProcess? }
        let driver = Mutex(Weak())
    }

    package var port: Int { server.port }

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
            start(record.name, options)
        }
    }

    /// From now on takes up what is resumed in the catalog (`TakeUp`).
    package func watchCatalog() {
        let decision = Mutex(TakeUp())
        let patience = Mutex(Patience(.standing))
        takeUp.withLock { takeUp in
            takeUp = Repeating("jobs taken up", everyMillis: TakeUp.lookMillis) { [unowned self] in
                do {
                    let jobs = try catalog.jobs()
                    let ready = try decision.withLock { decision in
                        try decision.look(at: jobs) { try isRunning($0) || catalog.liveHolder(of: $0) != nil }
                    }
                    for name in ready {
                        Log.notice("job taken up", [("job", name)])
                        var options = LoopOptions()
                        options.waitForLease = true
                        start(name, options)
                    }
                    _ = patience.withLock { $0.answered(nowMillis: steadyMillis()) }
                } catch {
                    // Several times a second: said as rarely as any other wait.
                    let reason = failure(error)
                    guard case .tryAgain(_, says: true) = patience.withLock({ $0.failed(reason, nowMillis: steadyMillis()) }) else { return }
                    Log.warning("catalog not looked at", [("why", reason.why)])
                }
            }
        }
    }

    /// Makes the job's row if it is new, or gives it these settings if they changed.
    package func register(definition: String, explicit: [String: String], kind: JobKind = .live, parent: JobID? = nil) throws
        -> JobRecord
    {
        let (values, settingsDigest) = try resolve(definition, explicit)
        let name = values["name"] ?? definition
        if let known = try catalog.job(named: name) {
            guard known.definition == definition else {
                throw Failure(
                    .jobExists, "there is already a job named \(name)",
                    why: "it is a \(known.definition), this is a \(definition)", now: "give this one another --name")
            }
            return known
        }
        return try catalog.insertJob(
            JobRecord(
                jobID: .random(), name: name, definition: definition, settings: values, kind: kind, parentJobID: parent,
                buildDigest: buildDigest, settingsDigest: settingsDigest))
    }

    /// Starts the loop of a registered job on a thread of its own.
    @discardableResult
    package func start(_ name: String, _ options: LoopOptions) -> JobRun {
        let run = JobRun(name: name)
        runs.withLock { $0[name] = run }
        let loop = UncheckedLoop(
            JobLoop(
                name: name, catalog: catalog, pool: pool, jobs: jobs, buildDigest: buildDigest, address: url,
                options: options, control: run.control, onBatch: onBatch))
        let logsEnds = logsEnds
        let thread = Thread {
            do {
                try loop.value.run()
                run.finish(nil)
            } catch {
                let reason = failure(error)
                // A command that waits for the job shows the reason itself.
                if !logsEnds { return run.finish(reason) }
                Log.error(
                    "job stopped", [("job", name), ("code", reason.code.rawValue), ("what", reason.what), ("why", reason.why), ("now", reason.now)])
                run.finish(reason)
            }
        }
        thread.name = "job \(name)"
        thread.stackSize = 4 << 20
        thread.start()
        return run
    }

    /// A loop that only its own thread touches after it was made.
    private struct UncheckedLoop: @unchecked Sendable {
        let value: JobLoop
        init(_ value: JobLoop) { self.value = value }
    }

    package func run(named name: String) -> JobRun? { runs.withLock { $0[name] } }

    private func isRunning(_ name: String) -> Bool {
        guard let run = run(named: name) else { return false }
        return !run.wait(timeoutMillis: 0).hasEnded
    }

    package func submit(_ request: SubmitJob) throws -> JobRecord {
        let (values, settingsDigest) = try resolve(request.definition, request.settings)
        let name = values["name"] ?? request.definition
        let graph = try jobs.graph(definition: request.definition, settings: values)
        if let known = try catalog.job(named: name), known.state == .running || known.state == .starting || isRunning(name) {
            guard request.replace else {
                throw Failure(
                    .jobExists, "job \(name) is already there", why: "its state is \(known.state.rawValue)",
                    now: "change it with --replace, or give this one another --name")
            }
        }
        let record = try register(definition: request.definition, explicit: request.settings)
        if record.settings != values {
            guard request.replace else {
                throw Failure(
                    .jobExists, "job \(name) has other settings", why: "it was submitted before",
                    now: "change it with --replace, or give this one another --name")
            }
            // The state must fit before anything is drained: a refusal changes nothing.
            let old = try jobs.graph(definition: record.definition, settings: record.settings)
            try StateFit.check(old: old, new: graph, job: name)
            if let run = run(named: name), !run.wait(timeoutMillis: 0).hasEnded {
                run.control.ask(.drain(.stopped))
                guard run.wait(timeoutMillis: 120_000).hasEnded else {
                    throw Failure(
                        .notPossible, "job \(name) did not drain within 120 s", why: "its batch is still running",
                        now: "look at `sluice batches \(name)`, then submit again")
                }
            }
        }
        if !isRunning(name) {
            try catalog.setDesired(name, .run)
            var options = LoopOptions()
            options.settings = (values, settingsDigest)
            options.adopt = request.adopt
            options.offsets = request.offsets
            options.acceptLoss = request.acceptLoss
            options.acceptTopic = request.acceptTopic ?? false
            options.resetTime = request.resetTime ?? false
            let run = start(name, options)
            // The answer tells what came of it: whoever asks next sees the new settings, or why they are refused.
            let deadline = steadyMillis() + 10_000
            while run.control.status.state == .starting, steadyMillis() < deadline {
                let (hasEnded, reason) = run.wait(timeoutMillis: 5)
                if let reason { throw reason }
                if hasEnded { break }
            }
        }
        return record
    }

    package func act(_ action: JobAction, on name: String) throws {
        guard let record = try catalog.job(named: name) else {
            throw Failure(
                .unknownJob, "there is no job named \(name)", why: "the catalog has no such row",
                now: "`sluice jobs` lists the ones there are")
        }
        switch action {
        case .pause:
            try catalog.setDesired(name, .pause)
            run(named: name)?.control.ask(.drain(.paused))
        case .stop:
            try catalog.setDesired(name, .stop)
            run(named: name)?.control.ask(.drain(.stopped))
        case .kill:
            try catalog.setDesired(name, .kill)
            run(named: name)?.control.ask(.kill)
        case .resume:
            try catalog.setDesired(name, .run)
            // A loop that drains cannot be turned round; it ends first.
            if let run = run(named: name), run.control.wish != .run, !run.wait(timeoutMillis: 120_000).hasEnded {
                throw Failure(
                    .notPossible, "job \(name) did not drain within 120 s", why: "its batch is still running",
                    now: "look at `sluice batches \(name)`, then resume it again")
            }
            if !isRunning(record.name) { start(record.name, LoopOptions()) }
        }
    }

    package var statuses: [(name: String, status: JobStatus)] {
        runs.withLock { $0.map { ($0.key, $0.value.control.status) } }.sorted { $0.name < $1.name }
    }

    /// The jobs that this driver runs, as its workers must know them.
    var claims: [JobClaim] {
        runs.withLock { Array($0.values) }.compactMap { run in
            let status = run.control.status
            guard let jobID = status.jobID, !run.wait(timeoutMillis: 0).hasEnded else { return nil }
            return JobClaim(jobID: jobID, epoch: status.epoch)
        }
    }

    package var uptimeMillis: Int64 { wallMillis() - startedMillis }

    /// Ends every job where it is: what it needs will not come. Open batches stay in the log.
    package func giveUp(_ reason: Failure) {
        for run in runs.withLock({ Array($0.values) }) { run.control.ask(.lost(reason)) }
    }

    /// Drains every job, then stops listening.
    package func stop() {
        takeUp.withLock { $0 }?.stop()
        let all = runs.withLock { Array($0.values) }
        // Drained as `running`: a driver that stops is not a job that was stopped; the next driver takes it up.
        for run in all { run.control.ask(.drain(.running)) }
        for run in all { _ = run.wait() }
        expiry.stop()
        server.stop()
    }
}
