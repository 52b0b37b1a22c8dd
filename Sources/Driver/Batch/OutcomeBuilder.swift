// Adds up the reports of a batch's tasks: the outcome for the log, the positions after it, what goes to quarantine.
//
// Pure. Only the report of the attempt that the tracker accepted counts, so a task that ran twice is counted once; the
// sums do not depend on the order of the reports. Checks the limits before anything may be sealed.

import Engine
import Foundation
import Wire

struct OutcomeBuilder: Sendable {
    private let plan: BatchPlan
    private var reports: [[TaskReport?]]
    /// Rows that sinks refused and kept beside the others, by sink part.
    private var refused: [Int: Int64] = [:]

    init(plan: BatchPlan) {
        self.plan = plan
        reports = plan.taskCounts.map { Array(repeating: nil, count: $0) }
    }

    mutating func accept(_ report: TaskReport, of attempt: StageTracker.Attempt) {
        reports[attempt.stage][attempt.part] = report
    }

    mutating func refused(_ rows: Int64, by attempt: StageTracker.Attempt) {
        refused[reports[attempt.stage][attempt.part]?.sinkPart ?? attempt.part] = rows
    }

    func report(stage: Int, part: Int) -> TaskReport? { reports[stage][part] }

    /// The parts that a source task has a block for; nil while it has not reported.
    func destinations(ofSource part: Int) -> [Int]? { reports[0][part]?.destinations }

    private var sources: [TaskReport] { reports[0].compactMap { $0 } }
    private var last: [TaskReport] { reports[reports.count - 1].compactMap { $0 } }

    /// The rows that the last stage's tasks sent back.
    func rows() throws -> [Chunk] { try last.flatMap { try ($0.rows ?? []).map { try ChunkCodec.decode([UInt8]($0)) } } }

    /// The reason to stop the job before anything is sealed, if there is one (protocol 3).
    func limitFailure(_ settings: EngineSettings) -> Failure? {
        let rejected = sources.reduce(0) { $0 + $1.rejected }
        let records = sources.reduce(0) { $0 + $1.records }
        guard rejected >= settings.maxRejectedMin, records > 0,
            Double(rejected) > settings.maxRejectedShare * Double(records)
        else { return nil }
        let example = sources.lazy.flatMap(\.quarantine).first
        let detail = example.map { "; the first is \($0.topic)/\($0.partition) at \($0.offset): \($0.reason.rawValue)" }
        return Failure(
            .tooManyRejected, "\(rejected) of \(records) records of batch \(plan.batch) could not be decoded",
            why: "more than the share \(settings.maxRejectedShare) that max_rejected_share allows\(detail ?? "")",
            now: "check `format` and `schema`; nothing of this batch was written. Raise max_rejected_share to go on")
    }

    func outcome(watermark: WatermarkTracker, positions: [PartitionPosition], unread: Set<TopicPartition>) -> (
        outcome: BatchOutcome, positions: [PartitionPosition], quarantine: [QuarantinedRecord],
        inlineState: [InlineState]
    ) {
        var outcome = BatchOutcome()
        var after = Dictionary(uniqueKeysWithValues: positions.map { (TopicPartition(topic: $0.topic, partition: $0.partition), $0) })
        var changed: [PartitionPosition] = []
        var quarantine: [QuarantinedRecord] = []
        for (index, range) in plan.ranges.enumerated() {
            guard let report = reports[0][index] else { continue }
            outcome.rowsIn += report.records
            outcome.bytesIn += report.bytes
            outcome.late += report.late
            outcome.rejected += report.rejected
            outcome.unmatched += report.unmatched
            outcome.rejectedRanges += report.rejectedRanges
            outcome.lateRanges += report.lateRanges
            quarantine += report.quarantine
            var position = after[range.topicPartition]
                ?? PartitionPosition(topic: range.topic, partition: range.partition, position: range.from)
            position.position = range.until
            if let offset = report.tailOffset, let hash = report.tailHash {
                position.tailOffset = offset
                position.tailHash = hash
            }
            if let epoch = report.leaderEpoch { position.leaderEpoch = epoch }
            if let time = report.maxEventTimeMillis {
                position.maxEventTimeMillis = max(position.maxEventTimeMillis ?? time, time)
            }
            guard plan.movesPositions else { continue }
            after[range.topicPartition] = position
            changed.append(position)
        }
        var rowDigest = RowDigest()
        for report in last {
            outcome.rowsOut += report.rowsOut
            guard let text = report.digest, report.rowsOut > 0 else { continue }
            outcome.parts.append(
                SealedPart(part: report.sinkPart, rows: report.rowsOut, digest: text, refused: refused[report.sinkPart]))
            guard let parts = RowDigest(text: text) else { preconditionFailure("a task reported the digest \(text)") }
            rowDigest.add(parts)
        }
        outcome.parts.sort { $0.part < $1.part }
        outcome.digest = rowDigest.text
        let tombstones = sources.reduce(0) { $0 + $1.tombstones }
        if tombstones > 0 { outcome.tombstones = tombstones }
        if !refused.isEmpty { outcome.refused = refused.values.reduce(0, +) }

        var inline: [InlineState] = []
        if plan.taskCounts.count > 1 {
            var offered: [Int: StateFile] = [:]
            for (part, report) in reports[1].enumerated() {
                guard let report, let file = report.state else { continue }
                offered[part] = file
                if let bytes = report.inlineState { inline.append(InlineState(name: file.name, bytes: [UInt8](bytes))) }
            }
            outcome.state = .next(
                after: plan.stateBefore, version: plan.batch,
                bounds: BatchPlan.keyGroupBounds(parts: plan.taskCounts[1], keyGroups: plan.keyGroups), offered: offered)
        }
        outcome.watermarkAfterMillis = watermark.watermark(
            before: plan.watermarkBeforeMillis, positions: after.values, unread: unread,
            batchTimeMillis: plan.batchTimeMillis)
        return (outcome, changed, quarantine, inline)
    }
}
