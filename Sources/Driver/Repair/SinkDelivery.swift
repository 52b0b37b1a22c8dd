// Recorded batches, computed again and written into the sink: what a sink lacks (`again`), or the newest row of every key that
// some batches touched (`rewritten`, `seal`).
//
// The rows come back to this process, as those of a replay do, and are sealed from here, under the epoch that claimed the sink
// and the ledger's compare-and-swap. So nothing is written that the log does not know by its digest, and a crash in the middle
// leaves a ledger that says how far it came. Slower than a batch, whose rows never leave the workers; it is rare.
//
// A key whose row goes is touched like any other: what the newest batch did to a key is done again, be it a row or its end.
//
// When changing it: a batch whose digest is not the recorded one writes nothing; batches come in ascending order.

import Engine
import Wire

package struct SinkDelivery {
    let record: JobRecord
    let catalog: Catalog
    let pool: WorkerPool
    let gate: StateGate?
    let jobs: JobDefinitions
    let buildDigest: String
    /// A reason to give it up.
    let shouldStop: () -> Failure?

    /// What the batch gave: its parts with rows, proved by the recorded digest.
    private func parts(of batch: BatchNumber) throws -> [SealPart] {
        let report = try Replay.run(
            batch, of: record, catalog: catalog, pool: pool, gate: gate, jobs: jobs, buildDigest: buildDigest, returnRows: true,
            shouldStop: shouldStop)
        guard report.isEqual else {
            throw Failure(
                .digestMismatch, "batch \(batch) of job \(record.name) gives other rows than the log says",
                why: report.differences.isEmpty ? "its digest differs" : report.differences.joined(separator: "; "),
                now: "nothing of it was written; start with the build and the settings of that batch, or look at "
                    + "`sluice replay \(record.name) --batch \(batch)`")
        }
        return report.parts
    }

    /// The batch as the log has it, if it has rows that a sink could lack.
    private func withRows(_ batch: BatchNumber) throws -> (plan: BatchPlan, outcome: BatchOutcome)? {
        guard let logged = try catalog.batch(record.jobID, batch), let outcome = logged.outcome else {
            throw Failure(
                .notPossible, "batch \(batch) of job \(record.name) cannot be written again", why: "the log does not hold it as done",
                now: "`sluice repair \(record.name) --plan` shows what can be")
        }
        return outcome.parts.contains { $0.rows > 0 } ? (logged.plan, outcome) : nil
    }

    /// Seals every part that lacks the batch, if it holds what the log knows to go before: a sink that was changed once more since it
    /// was looked at is a fault.
    /// - Parameter leavesGaps: a person has given batches before it up.
    package func again(
        _ batch: BatchNumber, _ identity: SinkIdentity, table: SinkTable, in sink: any Sink, leavesGaps: Bool
    ) throws {
        guard let (plan, outcome) = try withRows(batch) else { return }
        let parts = try plan.kind == .repair ? repaired(plan, outcome, table) : parts(of: batch)
        let sealed = try sink.sight(identity)?.parts ?? [:]
        // What was refused of them then may be taken now.
        if parts.allSatisfy({ sealed[$0.part].map { $0.batch < batch } ?? true }) { try sink.closeRefused(identity, batches: batch...batch) }
        for part in parts {
            let found = sealed[part.part]
            if let found, found.batch > batch { continue }
            var after = Predecessor(of: part.part, in: plan)
            if leavesGaps || after == .unknown { after = found.map { .seal(batch: $0.batch, digest: $0.digest) } ?? .nothing }
            _ = try sink.seal(identity, part: part.part, batch: batch, digest: part.digest, after: after, rows: part.rows)
            Failpoint.reach("repaired")
        }
    }

    /// What a batch of kind repair wrote, once more.
    private func repaired(_ plan: BatchPlan, _ outcome: BatchOutcome, _ table: SinkTable) throws -> [SealPart] {
        guard let (rows, digest) = try repairRows(plan, table) else { return [] }
        guard digest.text == outcome.digest else {
            throw Failure(
                .digestMismatch, "batch \(plan.batch) of job \(record.name), a repair, gives other rows than the log says",
                why: "its digest differs", now: "nothing of it was written; report this with the output of `sluice fsck \(record.name)`")
        }
        return [SealPart(part: BatchPlan.repairPart, digest: digest.text, after: .unknown, rows: rows)]
    }

    /// nil where nothing was to be written.
    private func repairRows(_ plan: BatchPlan, _ table: SinkTable) throws -> (rows: [Chunk], digest: RowDigest)? {
        guard plan.output != .nothing, let batches = plan.repairs, batches.count == 2, batches[0] <= batches[1] else { return nil }
        let rows = try rewritten(batches[0]...batches[1], last: plan.batch - 1, table: table)
        guard !rows.isEmpty else { return nil }
        var digest = RowDigest()
        for chunk in rows { digest.add(chunk) }
        return (rows, digest)
    }

    /// Of every key that `batches` touched the row of the newest batch up to `last` that touched it, or that it has none any more.
    package func rewritten(_ batches: ClosedRange<BatchNumber>, last: BatchNumber, table: SinkTable) throws -> [Chunk] {
        guard table.mode == .keyedUpsert else {
            throw Failure(
                .internal, "a repair of \(table.name) has no key", why: "only keyed tables are repaired so", now: "report this defect")
        }
        var newest = NewestRows(table)
        for batch in batches.lowerBound...max(batches.upperBound, last) {
            // What a repair wrote came out of other batches.
            guard let plan = try withRows(batch)?.plan, plan.kind != .repair else { continue }
            // A key that only later batches touched is not missing.
            for chunk in try parts(of: batch).flatMap(\.rows) { newest.add(chunk, addsKeys: batch <= batches.upperBound) }
        }
        return newest.chunks
    }
}

/// What was done last to each key: its row, or its end.
package struct NewestRows {
    private let table: SinkTable
    private var all: [Chunk] = []
    private var newest: [[Value]: (chunk: Int, row: Int)] = [:]

    package init(_ table: SinkTable) { self.table = table }

    /// The rows of a later batch, or of the same one.
    /// - Parameter addsKeys: also of keys that none before has touched.
    package mutating func add(_ chunk: Chunk, addsKeys: Bool) {
        let columns = table.key.compactMap { chunk.schema.index(of: $0) }
        precondition(columns.count == table.key.count, "rows of \(table.name) lack columns of its key")
        chunk.forEachSelectedRow { row in
            let key = columns.map { chunk.columns[$0].value(row) }
            guard addsKeys || newest[key] != nil else { return }
            newest[key] = (all.count, row)
        }
        all.append(chunk)
    }

    /// The rows that are left, in the order in which they came.
    package var chunks: [Chunk] {
        let kept = Dictionary(grouping: newest.values, by: \.chunk)
        return kept.sorted { $0.key < $1.key }.map { index, places in
            var chunk = all[index]
            let selection = Selection(capacity: places.count)
            for (position, row) in places.map(\.row).sorted().enumerated() { selection.rows[position] = Int32(row) }
            selection.commit(places.count)
            chunk.selection = selection
            return chunk
        }
    }
}

/// What a batch of kind repair has written.
package struct RepairedRows: Sendable {
    /// nil where there was nothing to write.
    package var part: SealedPart?
    /// Over all rows.
    package var digest: String

    package init(part: SealedPart?, digest: String) {
        self.part = part
        self.digest = digest
    }
}

extension SinkDelivery {
    /// Carries out an open plan of kind repair; the same plan again writes the same rows or finds them there.
    package func repair(_ plan: BatchPlan, _ identity: SinkIdentity, table: SinkTable, in sink: any Sink) throws -> RepairedRows {
        guard let (rows, digest) = try repairRows(plan, table) else { return RepairedRows(part: nil, digest: RowDigest().text) }
        let sealed = try sink.seal(
            identity, part: BatchPlan.repairPart, batch: plan.batch, digest: digest.text,
            after: Predecessor(of: BatchPlan.repairPart, in: plan), rows: rows)
        Failpoint.reach("repaired")
        if let batches = plan.repairs { try sink.closeRefused(identity, batches: batches[0]...batches[1]) }
        let part = SealedPart(
            part: BatchPlan.repairPart, rows: rows.reduce(0) { $0 + Int64($1.selectedCount) }, digest: digest.text,
            refused: sealed.refused > 0 ? sealed.refused : nil)
        return RepairedRows(part: part, digest: digest.text)
    }
}
