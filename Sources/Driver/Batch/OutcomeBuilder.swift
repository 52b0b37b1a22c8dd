// Adds up the reports of a batch's tasks: the outcome for the log, the positions after it, what goes to quarantine.
//
// Pure. Only the report of the attempt that the tracker accepted counts, so a task that ran twice is counted once; the
// sums do not depend on the order of the reports. Checks the limits before anything may be sealed.

import Engine
import Foundation
import Wire

package struct OutcomeBuilder: Sendable {
    private let plan: BatchPlan
    private let quarantineBytes: Int
    /// Of the bad records in the reports so far.
    private var heldQuarantineBytes = 0
    private var reports: [[TaskReport?]]
    /// Rows that sinks refused and kept beside the others, by sink part.
    private var refused: [Int: Int64] = [:]

    /// - Parameter quarantineBytes: of bad records kept, over all partitions.
    package init(plan: BatchPlan, quarantineBytes: Int) {
        self.plan = plan
        self.quarantineBytes = quarantineBytes
        reports = plan.taskCounts.map { Array(repeating: nil, count: $0) }
    }

    package mutating func accept(_ report: TaskReport, of attempt: StageTracker.Attempt) {
        if attempt.stage == 0 {
            heldQuarantineBytes += Self.bytes(report) - (reports[0][attempt.part].map(Self.bytes) ?? 0)
        }
        reports[attempt.stage][attempt.part] = report
        if heldQuarantineBytes > quarantineBytes { boundQuarantine() }
    }

    private static func bytes(_ report: TaskReport) -> Int { report.quarantine.reduce(0) { $0 + $1.raw.count } }

    /// Lets go of the bytes of bad records beyond the bound of a batch, those of the last ranges first: what is left in the end
    /// does not depend on the order of the reports, and at no time is more held than the bound and one report.
    private mutating func boundQuarantine() {
        var left = quarantineBytes
        for part in reports[0].indices {
            guard let kept = reports[0][part]?.quarantine, !kept.isEmpty else { continue }
            var count = 0
            while count < kept.count, kept[count].raw.count <= left {
                left -= kept[count].raw.count
                count += 1
            }
            if count < kept.count {
                reports[0][part]!.quarantine = Array(kept[..<count])
                left = 0
            }
        }
        heldQuarantineBytes = reports[0].reduce(0) { $0 + ($1.map(Self.bytes) ?? 0) }
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

    /// The same, as the parts that a sink is given; empty ones are left out.
    func parts() throws -> [SealPart] {
        try last.filter { $0.rowsOut > 0 }.map { report in
            SealPart(
                part: report.sinkPart, digest: report.digest ?? "", after: .unknown,
                rows: try (report.rows ?? []).map { try ChunkCodec.decode([UInt8]($0)) })
        }
    }

    /// What the batch read, for `RejectWatch`.
    package var readings: RejectWatch.Batch {
        // What was found to be fatal and is left out says nothing about format or schema.
        let excluded = (plan.excluded ?? []).reduce(Int64(0)) { $0.plus($1.count) }
        return RejectWatch.Batch(
            number: plan.batch, records: sources.reduce(Int64(0)) { $0.plus($1.records) }.minus(excluded),
            rejected: sources.reduce(Int64(0)) { $0.plus($1.rejected) }.minus(excluded), tombstones: sources.reduce(0) { $0.plus($1.tombstones) },
            topic: plan.ranges.first?.topic ?? "", example: sources.lazy.compactMap(\.rejectExample).first,
            schemaIDs: Set(sources.flatMap(\.schemaIDs)).sorted())
    }

    /// The reason to stop the job before anything is sealed, if there is one (protocol 3), and what to say.
    func verdict(_ watch: RejectWatch, _ settings: EngineSettings) -> RejectWatch.Verdict {
        watch.verdict(
            readings,
            RejectWatch.Limits(
                share: settings.maxRejectedShare, minimum: settings.maxRejectedMin,
                batchesInARow: settings.maxRejectedBatches, format: settings.sourceFormat),
            nowMillis: plan.batchTimeMillis)
    }

    package func outcome(watermark: WatermarkTracker, positions: [PartitionPosition], unread: Set<TopicPartition>) -> (
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
            list(report.rejectedRanges, report.rejectedUnlisted, in: &outcome.rejectedRanges, &outcome.rejectedUnlisted)
            list(report.lateRanges, report.lateUnlisted, in: &outcome.lateRanges, &outcome.lateUnlisted)
            if !report.offsetFiles.isEmpty { outcome.offsetFiles = (outcome.offsetFiles ?? []) + report.offsetFiles }
            if report.tombstones > 0 { outcome.tombstones = (outcome.tombstones ?? 0).plus(report.tombstones) }
            quarantine += report.quarantine
            var position =
                after[range.topicPartition]
                ?? PartitionPosition(topic: range.topic, partition: range.partition, position: range.from)
            position.position = range.until
            if let offset = report.tailOffset, let hash = report.tailHash {
                position.tailOffset = offset
                position.tailHash = hash
            }
            // Of the batch that ends where the position is, else of none: an older one says that the log ends earlier.
            position.leaderEpoch = report.leaderEpoch
            if let time = report.maxEventTimeMillis {
                position.maxEventTimeMillis = max(position.maxEventTimeMillis ?? time, time)
            }
            guard plan.movesPositions else { continue }
            after[range.topicPartition] = position
            changed.append(position)
        }
        // Behind an exchange a row is no record: what is late or fails there is counted.
        for report in reports.dropFirst().flatMap({ $0.compactMap { $0 } }) where report.late > 0 {
            outcome.late += report.late
            outcome.lateUnlisted = (outcome.lateUnlisted ?? 0).plus(report.late)
        }
        let failed = reports.joined().reduce(Int64(0)) { $0.plus($1?.failed ?? 0) }
        if failed > 0 { outcome.failed = failed }
        outcome.newestEventMillis = after.values.compactMap(\.maxEventTimeMillis).max()
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
                after: plan.kind == .rehash ? nil : plan.stateBefore, version: plan.batch,
                bounds: BatchPlan.keyGroupBounds(parts: plan.taskCounts[1], keyGroups: plan.keyGroups), offered: offered)
        }
        outcome.watermarkAfterMillis = watermark.watermark(
            before: plan.watermarkBeforeMillis, positions: after.values, unread: unread,
            batchTimeMillis: plan.batchTimeMillis)
        return (outcome, changed, quarantine, inline)
    }

    /// Adds ranges as far as a row of the log may name them; what is beyond is counted.
    private func list(
        _ ranges: [OffsetRange], _ unlisted: Int64, in listed: inout [OffsetRange], _ count: inout Int64?
    ) {
        let room = max(0, plan.listedRanges - listed.count)
        listed += ranges.prefix(room)
        let beyond = ranges.dropFirst(room).reduce(unlisted) { $0.plus($1.count) }
        if beyond > 0 { count = (count ?? 0).plus(beyond) }
    }
}
