// What people and programs see of jobs and batches: the shapes behind `--json` and the API, keys in snake case.
//
// A batch has `job, batch, state, from, until, rows_in, rows_out, late, rejected, tombstones, unmatched, digest,
// planned_at, done_at, timings`; other programs rely on these names.

import Engine
import Foundation

/// One batch.
package struct BatchView: Codable, Sendable {
    package var job: String
    package var batch: BatchNumber
    package var state: String
    /// Offsets by `topic/partition`.
    package var from: [String: Int64]
    package var until: [String: Int64]
    package var rowsIn: Int64?
    package var rowsOut: Int64?
    package var late: Int64?
    package var rejected: Int64?
    /// Rows that failed in an expression without a record to name, or values that are NULL for it.
    package var failed: Int64?
    /// Why it is there, where that is not new records.
    package var kind: String?
    /// Absent where there were none.
    package var tombstones: Int64?
    package var unmatched: Int64?
    package var digest: String?
    package var plannedAt: String
    package var doneAt: String?
    package var timings: BatchTimings?
    package var watermarkBefore: String?
    package var watermarkAfter: String?
    package var epoch: Epoch
    package var retries: Int?
    package var workers: Int?
    package var build: String
    package var settings: String

    package init(_ record: BatchRecord) {
        let plan = record.plan
        job = plan.job
        batch = plan.batch
        state = record.state == .done ? "DONE" : "PLANNED"
        from = Dictionary(uniqueKeysWithValues: plan.ranges.map { ($0.topicPartition.description, $0.from) })
        until = Dictionary(uniqueKeysWithValues: plan.ranges.map { ($0.topicPartition.description, $0.until) })
        rowsIn = record.outcome?.rowsIn
        rowsOut = record.outcome?.rowsOut
        late = record.outcome?.late
        rejected = record.outcome?.rejected
        failed = record.outcome?.failed
        kind = (plan.kind ?? .live) == .live ? nil : plan.kind?.rawValue
        tombstones = record.outcome?.tombstones
        unmatched = record.outcome?.unmatched
        digest = record.outcome?.digest
        plannedAt = formatTime(record.plannedAtMillis)
        doneAt = record.doneAtMillis.map(formatTime)
        timings = record.outcome?.timings
        timings?.previousCommitMillis = nil
        watermarkBefore = plan.watermarkBeforeMillis.map(formatTime)
        watermarkAfter = record.outcome?.watermarkAfterMillis.map(formatTime)
        epoch = plan.epoch
        retries = record.outcome?.retries
        workers = record.outcome?.workers
        build = plan.buildDigest
        settings = plan.settingsDigest
    }
}

/// One job.
package struct JobView: Codable, Sendable {
    package var job: String
    package var jobId: String
    package var definition: String
    package var kind: String
    package var state: String
    package var desired: String
    package var what: String?
    package var why: String?
    package var now: String?
    package var createdAt: String
    package var lastBatch: BatchNumber?
    package var lastDoneAt: String?
    package var lagOffsets: Int64?
    /// What it waits for outside, and why.
    package var waitsFor: String?
    /// Offsets that open transactions hide, and since when.
    package var invisibleOffsets: Int64?
    package var invisibleSince: String?
    /// From when on Kafka deletes records that are not read yet.
    package var unreadDeletedFrom: String?
    /// What a person should know of the topic.
    package var warnings: [String]?
    package var settings: [String: String]?

    package init(_ record: JobRecord, status: JobStatus?, last: BatchRecord? = nil) {
        job = record.name
        jobId = record.jobID.text
        definition = record.definition
        kind = record.kind.rawValue
        state = record.state.rawValue
        desired = record.desired.rawValue
        what = record.reason?.what
        why = record.reason?.why
        now = record.reason?.now
        createdAt = formatTime(record.createdAtMillis)
        let batch = status?.lastBatch ?? last
        lastBatch = batch?.plan.batch
        lastDoneAt = batch?.doneAtMillis.map(formatTime)
        waitsFor = status?.waitsFor.map { "\($0.what): \($0.why)" }
        if let health = status?.health { take(health) }
        lagOffsets = status?.lagOffsets
    }

    /// What a look at the topic tells.
    package mutating func take(_ health: SourceHealth) {
        lagOffsets = health.partitions.reduce(0) { $0.plus(max(0, $1.lastStable.minus($1.position))) }
        invisibleOffsets = health.invisible
        invisibleSince = health.invisibleSinceMillis.map(formatTime)
        unreadDeletedFrom = health.deletedFromMillis.map(formatTime)
        warnings = health.warnings
    }

    /// What the driver that runs the job knows of it beside its row.
    package mutating func takeLive(_ live: JobView) {
        waitsFor = live.waitsFor
        lagOffsets = live.lagOffsets
        invisibleOffsets = live.invisibleOffsets
        invisibleSince = live.invisibleSince
        unreadDeletedFrom = live.unreadDeletedFrom
        warnings = live.warnings
    }

    package static func record(_ name: String, _ catalog: Catalog) throws -> JobRecord {
        guard let record = try catalog.job(named: name) else {
            let names = try catalog.jobs().map(\.name)
            throw Failure(
                .unknownJob, "there is no job named \(name)",
                why: names.isEmpty ? "the catalog has no job yet" : "the catalog has \(names.joined(separator: ", "))",
                now: "`sluice jobs` lists the ones there are")
        }
        return record
    }

    static func all(of runs: JobRuns) throws -> [JobView] {
        let statuses = Dictionary(runs.statuses.map { ($0.name, $0.status) }) { $1 }
        return try runs.catalog.jobs().map { record in
            JobView(record, status: statuses[record.name], last: try runs.catalog.lastDone(record.jobID))
        }
    }

    static func one(_ name: String, of runs: JobRuns) throws -> JobView {
        let record = try record(name, runs.catalog)
        var view = JobView(
            record, status: runs.run(named: name)?.control.status, last: try runs.catalog.lastDone(record.jobID))
        view.settings = record.settings.mapValues(maskSecrets)
        return view
    }
}
