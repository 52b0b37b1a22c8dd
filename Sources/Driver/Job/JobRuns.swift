// The jobs that this driver runs: one loop a job, each on a thread of its own, and what people ask of them.
//
// It decides nothing about batches; each job's `JobLoop` does. What survives a crash is the catalog.
//
// When changing it: a refusal changes nothing, so whatever can refuse comes before the drain; a drained loop is never turned
// round, another one is started.

import Engine
import Foundation
import Synchronization
import Wire

/// How explicit settings become a whole set with its digest; the command line owns layers and defaults.
package typealias SettingsResolver =
    @Sendable (_ definition: String, _ explicit: [String: String]) throws -> (
        values: [String: String], digest: String
    )

package enum JobAction: String, Sendable, CaseIterable { case pause, resume, stop, kill }

package struct SubmitJob: Codable, Sendable {
    package var definition: String
    /// Only what the submitter set; the driver adds defaults and its own environment.
    package var settings: [String: String]
    package var replace: Bool
    package var adopt: Bool
    package var offsets: OffsetsFlag?
    package var acceptLoss: Bool
    package var acceptTopic: Bool?
    package var resetTime: Bool?

    package init(
        definition: String, settings: [String: String], replace: Bool = false, adopt: Bool = false,
        offsets: OffsetsFlag? = nil, acceptLoss: Bool = false, acceptTopic: Bool? = nil,
        resetTime: Bool? = nil
    ) {
        self.definition = definition
        self.settings = settings
        self.replace = replace
        self.adopt = adopt
        self.offsets = offsets
        self.acceptLoss = acceptLoss
        self.acceptTopic = acceptTopic
        self.resetTime = resetTime
    }
}

package final class JobRuns: Sendable {
    package let catalog: Catalog
    package let pool: WorkerPool
    private let buildDigest: String
    private let jobs: JobDefinitions
    private let resolve: SettingsResolver
    /// Where workers and commands reach the driver.
    private let address: String
    private let runs = Mutex<[String: JobRun]>([:])
    private let onBatch: @Sendable (BatchRecord) -> Void
    private let logsEnds: Bool
    private let startedMillis = wallMillis()
    private let answers = Mutex(true)

    /// Whether the catalog answered when it was looked at last.
    var catalogAnswers: Bool { answers.withLock { $0 } }
    func catalogAnswered(_ answered: Bool) { answers.withLock { $0 = answered } }

    /// One job's loop: its control, and a way to wait for its end.
    package final class JobRun: Sendable {
        package let name: String
        package let control = JobControl()
        private let ended = SteadySignal()
        private let outcome = Mutex<(hasEnded: Bool, failure: Failure?)>((false, nil))

        init(name: String) { self.name = name }

        func finish(_ reason: Failure?) {
            outcome.withLock { $0 = (true, reason) }
            ended.give()
        }

        /// Waits for the loop to end; returns why it failed, if it did. Nil result after `timeoutMillis` means it runs on.
        package func wait(timeoutMillis: Int? = nil) -> (hasEnded: Bool, failure: Failure?) {
            let now = outcome.withLock { $0 }
            if now.hasEnded { return now }
            if let timeoutMillis {
                if timeoutMillis > 0 { _ = ended.isGiven(withinMillis: timeoutMillis) }
            } else {
                ended.take()
                ended.give()
            }
            return outcome.withLock { $0 }
        }
    }

    package init(
        catalog: Catalog, pool: WorkerPool, jobs: JobDefinitions, buildDigest: String, address: String, logsEnds: Bool,
        resolve: @escaping SettingsResolver, onBatch: @escaping @Sendable (BatchRecord) -> Void
    ) {
        self.catalog = catalog
        self.pool = pool
        self.jobs = jobs
        self.buildDigest = buildDigest
        self.address = address
        self.logsEnds = logsEnds
        self.resolve = resolve
        self.onBatch = onBatch
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
                name: name, catalog: catalog, pool: pool, jobs: jobs, buildDigest: buildDigest, address: address,
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

    func isRunning(_ name: String) -> Bool {
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
            try old.work.checkState(goesOnAs: graph.work, job: name)
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
            if !isRunning(record.name) {
                var options = LoopOptions()
                options.waitForLease = true
                start(record.name, options)
            }
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

    /// Drains every job as `running`: a driver that stops is not a job that was stopped; the next driver takes it up.
    func drain() {
        let all = runs.withLock { Array($0.values) }
        for run in all { run.control.ask(.drain(.running)) }
        for run in all { _ = run.wait() }
    }
}
