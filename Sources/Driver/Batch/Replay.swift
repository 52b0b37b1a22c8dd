// Runs a recorded batch again: the same ranges, batch time, seed, watermark, lookups and state; no sink is touched.
//
// Equal digests are the proof that the batch was what the log says. Another build, other settings or another schema are
// allowed (that is how a fix is tried on yesterday's data) and named, because then digests may differ with reason.

import Engine
import Foundation
import Wire

package struct ReplayReport: Sendable {
    package var recorded: BatchOutcome
    package var computed: BatchOutcome
    /// What is not as it was when the batch ran.
    package var differences: [String]
    package var rows: [Chunk]
    /// The same rows as they would be sealed.
    package var parts: [SealPart]
    package var millis: Double

    package var isEqual: Bool {
        recorded.digest == computed.digest && recorded.rowsOut == computed.rowsOut
            && recorded.rowsIn == computed.rowsIn && recorded.late == computed.late
            && recorded.rejected == computed.rejected && recorded.tombstones == computed.tombstones
            && recorded.unmatched == computed.unmatched
    }
}

package enum Replay {
    /// - Parameters:
    ///   - gate: whom the job may use; nil for all.
    ///   - shouldStop: a reason to give it up, asked while it runs.
    package static func run(
        _ batch: BatchNumber, of record: JobRecord, catalog: Catalog, pool: WorkerPool, gate: StateGate? = nil, jobs: JobDefinitions,
        buildDigest: String, returnRows: Bool, shouldStop: @escaping () -> Failure? = { nil }
    ) throws -> ReplayReport {
        guard let logged = try catalog.batch(record.jobID, batch) else {
            throw Failure(
                .notPossible, "job \(record.name) has no batch \(batch)", why: "the log does not hold it (any more)",
                now: "`sluice batches \(record.name)` lists the ones it has")
        }
        guard let recorded = logged.outcome else {
            throw Failure(
                .notPossible, "batch \(batch) of job \(record.name) is not done", why: "it is PLANNED and has no digest yet",
                now: "let the job finish it first")
        }
        let plan = logged.plan
        if plan.kind == .repair {
            throw Failure(
                .notPossible, "batch \(batch) of job \(record.name) reads nothing",
                why: "it is a repair of batches \((plan.repairs ?? []).map(String.init).joined(separator: " to "))",
                now: "replay one of those")
        }
        var record = record
        if let with = plan.with {
            record.settings.merge(with) { $1 }
            record.settingsDigest = plan.settingsDigest
        }
        let job = try RunningJob(
            record: record, jobs: jobs, buildDigest: buildDigest, catalog: catalog, kept: plan.lookups)
        var differences: [String] = []
        if plan.buildDigest != buildDigest { differences.append("build is \(buildDigest), the batch ran on \(plan.buildDigest)") }
        if plan.settingsDigest != job.settingsDigest {
            differences.append("settings are \(job.settingsDigest), the batch ran with \(plan.settingsDigest)")
        }
        if plan.planDigest != job.graph.digest { differences.append("the compiled plan is another than the batch's") }
        if plan.schemaDigest != job.schemaDigest { differences.append("the writer schema is another than the batch's") }

        let start = ContinuousClock.now
        let run = BatchRun(
            plan: plan, epoch: plan.epoch, spec: job.spec, settings: job.settings, mode: .replay(returnRows: returnRows),
            runNumber: BatchRun.number())
        let finished = try BatchRunner(run, pool: pool, gate: gate, shouldStop: shouldStop).finish()
        let result = finished.run.builder.outcome(
            watermark: WatermarkTracker(latenessMillis: job.settings.latenessMillis), positions: [], unread: [])
        return ReplayReport(
            recorded: recorded, computed: result.outcome, differences: differences,
            rows: returnRows ? try finished.run.rows() : [], parts: returnRows ? try finished.run.parts() : [],
            millis: (ContinuousClock.now - start) / .milliseconds(1))
    }
}
