// Whether a catalog is what it should be: every invariant of its schema and of each job's log, looked at from outside.
//
// The guards of `Catalog+Log` make these true as long as nobody else writes; this finds what somebody else wrote, what a disk
// lost, and what a defect of ours left. It changes nothing, needs no lease, and looks at a log that goes on: what moved while
// it looked is looked at again before it is called a fault. Outside the catalog it looks at nothing: that is `sluice fsck`.
//
// Checklist when an invariant is added: a fault names the job, the batch where there is one, and the command that mends it.

import Engine
import Foundation

/// Something that is not as it should be.
package struct CatalogFault: Sendable, Codable, Hashable {
    package enum Kind: String, Sendable, Codable, CaseIterable {
        /// The file or the schema itself.
        case damaged, tableMissing, columnMissing
        /// Rows of a job that the registry does not know.
        case orphan
        /// A row that this build cannot read, or that names a frame, a state or a lookup which is not there.
        case unreadable, frameMissing, stateMissing, stateDamaged, lookupMissing
        /// What the audit finds: holes, gaps, overlaps, stray jumps and positions.
        case audit
        case twoOpenPlans, openPlanStray
        /// The seals do not say what the outcomes say.
        case sealStray
        /// An epoch of the log is higher than the lease's.
        case epochStray
    }
    package var kind: Kind
    package var job: String?
    package var batch: BatchNumber?
    package var what: String
    package var now: String

    package init(_ kind: Kind, job: String?, batch: BatchNumber? = nil, _ what: String, now: String) {
        self.kind = kind
        self.job = job
        self.batch = batch
        self.what = what
        self.now = now
    }
}

extension Catalog {
    private static let restore = "restore the catalog from a backup (`sluice catalog backup` makes them)"

    /// Every fault of the catalog, jobs by name.
    package func check() throws -> [CatalogFault] {
        var faults = try schemaFaults()
        guard faults.isEmpty else { return faults }
        faults += try orphans()
        for job in try jobs() { faults += try check(job) }
        return faults
    }

    /// Every fault of one job's rows.
    package func check(_ job: JobRecord) throws -> [CatalogFault] {
        var faults = try faultsOnce(job)
        if faults.isEmpty { return [] }
        // A log that goes on may have moved between two questions; a fault is there the second time, too.
        let again = Set(try faultsOnce(job))
        faults.removeAll { !again.contains($0) }
        return faults
    }

    // MARK: the schema

    private func schemaFaults() throws -> [CatalogFault] {
        try read { database in
            var faults: [CatalogFault] = []
            if database.dialect == .sqlite {
                for row in try database.execute("PRAGMA integrity_check(5)") {
                    guard case .text(let said)? = row.first, said != "ok" else { continue }
                    faults.append(CatalogFault(.damaged, job: nil, "the file is damaged: \(said)", now: Self.restore))
                }
            }
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-check-\(UUID().uuidString)").path
            defer { unlinkFolder(folder) }
            let model = try SQLiteDatabase(path: folder + "/model.db")
            defer { model.close() }
            try CatalogSchema.create(in: model)
            let there = Set(try CatalogSchema.tables(in: database))
            for table in try CatalogSchema.tables(in: model) {
                guard there.contains(table) else {
                    faults.append(CatalogFault(.tableMissing, job: nil, "the table \(table) is missing", now: Self.restore))
                    continue
                }
                let present = Set(try CatalogSchema.columns(of: table, in: database))
                for column in try CatalogSchema.columns(of: table, in: model) where !present.contains(column) {
                    faults.append(
                        CatalogFault(.columnMissing, job: nil, "\(table) has no column \(column)", now: Self.restore))
                }
            }
            return faults
        }
    }

    private func unlinkFolder(_ folder: String) {
        do { try FileManager.default.removeItem(atPath: folder) } catch {
            // Left for the system to clear.
        }
    }

    private func orphans() throws -> [CatalogFault] {
        try read { database in
            try Self.tablesOfJob.flatMap { table in
                try database.execute(
                    """
                    SELECT job_id, count(*) FROM \(table) t
                    WHERE NOT EXISTS (SELECT 1 FROM sluice_registry r WHERE r.job_id = t.job_id) GROUP BY job_id
                    """
                ).map { row in
                    var cells = CellReader(row, of: table)
                    let id = try cells.text()
                    let count = try cells.int()
                    return CatalogFault(
                        .orphan, job: nil, "\(table) holds \(count) rows of job id \(id), which the registry does not know",
                        now: "they do no harm; delete them by that id if the job is meant to be gone")
                }
            }
        }
    }

    // MARK: a job

    private func faultsOnce(_ job: JobRecord) throws -> [CatalogFault] {
        var faults: [CatalogFault] = []
        func fault(_ kind: CatalogFault.Kind, _ batch: BatchNumber? = nil, _ what: String, now: String) {
            faults.append(CatalogFault(kind, job: job.name, batch: batch, what, now: now))
        }
        let report = try audit(job.jobID)
        for finding in report.findings { fault(.audit, finding.atBatch, finding.description, now: "`sluice audit \(job.name)` shows what is around it; \(Self.restore)") }

        let open = try numbers("SELECT batch FROM sluice_batches WHERE job_id = $1 AND state = 'planned' ORDER BY batch", job)
        if open.count > 1 {
            fault(.twoOpenPlans, open.last, "batches \(open.map(String.init).joined(separator: ", ")) are planned at once", now: Self.restore)
        }
        let newest = try numbers("SELECT max(batch) FROM sluice_batches WHERE job_id = $1", job).first
        if let plan = open.first, let newest, plan != newest {
            fault(.openPlanStray, plan, "batch \(plan) is planned, but batch \(newest) is there already", now: Self.restore)
        }
        let frames = try numbers(
            """
            SELECT batch FROM sluice_batches b WHERE job_id = $1 AND frame IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM sluice_frames f WHERE f.job_id = b.job_id AND f.frame = b.frame) ORDER BY batch LIMIT 10
            """, job)
        for batch in frames { fault(.frameMissing, batch, "batch \(batch) names a frame that is not there", now: Self.restore) }
        if frames.isEmpty {
            for (batch, why) in try unreadable(job.jobID) { fault(.unreadable, batch, "batch \(batch) cannot be read: \(why)", now: Self.restore) }
        }
        // Above would say it better.
        guard faults.allSatisfy({ $0.kind == .audit }) else { return faults }

        if let plan = try openPlan(job.jobID)?.plan, plan.movesPositions {
            let positions = Dictionary(
                try positions(job.jobID).map { (TopicPartition(topic: $0.topic, partition: $0.partition), $0.position) }
            ) { $1 }
            for range in plan.ranges {
                guard let position = positions[range.topicPartition], position != range.from else { continue }
                fault(
                    .openPlanStray, plan.batch,
                    "batch \(plan.batch) reads \(range.topicPartition) from \(range.from), which stands at \(position)",
                    now: Self.restore)
            }
        }
        faults += try stateFaults(job)
        faults += try sealFaults(job)
        let epochs = try numbers("SELECT max(epoch) FROM sluice_batches WHERE job_id = $1", job)
        let lease = try lease(job.name)?.epoch ?? 0
        if let epoch = epochs.first, epoch > lease {
            fault(.epochStray, nil, "the log was written under epoch \(epoch), the lease is at \(lease)", now: Self.restore)
        }
        return faults
    }

    private func numbers(_ question: String, _ job: JobRecord) throws -> [Int64] {
        try read { database in
            try database.execute(question, [.text(job.jobID)]).compactMap { row in
                var cells = CellReader(row, of: "sluice_batches")
                return try cells.optionalInt()
            }
        }
    }

    /// Batches whose rows do not become a plan and an outcome; each with the reason, the first ten.
    private func unreadable(_ jobID: JobID) throws -> [(BatchNumber, String)] {
        var found: [(BatchNumber, String)] = []
        var past = pastReader(jobID)
        var after: BatchNumber = 0
        while found.count < 10 {
            let page = try read { database in
                try database.execute(
                    "SELECT \(LogRow.columns) FROM \(LogRow.tables) WHERE b.job_id = $1 AND b.batch > $2 ORDER BY b.batch LIMIT 200",
                    [.text(jobID), .int(after)])
            }
            for row in page {
                var cells = CellReader(row, of: "sluice_batches")
                after = try cells.int()
                do {
                    _ = try LogRow(row, jobID: jobID).completed(by: &past)
                } catch let failure as Failure where failure.code == .catalogFailed {
                    found.append((after, failure.why))
                }
            }
            if page.count < 200 { break }
        }
        return found
    }

    /// The manifests that a start, a replay or a repair would take, against what the catalog holds of them.
    private func stateFaults(_ job: JobRecord) throws -> [CatalogFault] {
        var faults: [CatalogFault] = []
        var manifests: [(StateManifest, BatchNumber)] = []
        if let state = try lastDone(job.jobID)?.outcome?.state { manifests.append((state, state.version)) }
        if let plan = try openPlan(job.jobID)?.plan, let state = plan.stateBefore { manifests.append((state, plan.batch)) }
        manifests += try keptHourStates(job.jobID).map { ($0.state, $0.state.version) }
        var seen = Set<String>()
        for (manifest, batch) in manifests {
            for file in manifest.entries.flatMap(\.files) where file.inline && seen.insert(file.name).inserted {
                guard let bytes = try inlineState(job.jobID, name: file.name) else {
                    faults.append(
                        CatalogFault(
                            .stateMissing, job: job.name, batch: batch, "state \(file.name) is named by batch \(batch) and not there",
                            now: Self.restore))
                    continue
                }
                if bytes.count != file.bytes || digest(of: bytes) != file.digest {
                    faults.append(
                        CatalogFault(
                            .stateDamaged, job: job.name, batch: batch, "state \(file.name) is not what batch \(batch) left",
                            now: Self.restore))
                }
            }
        }
        for plan in try [openPlan(job.jobID)?.plan, lastDone(job.jobID)?.plan].compactMap({ $0 }) {
            for (name, digest) in plan.lookups.sorted(by: { $0.key < $1.key }) where try lookup(digest) == nil {
                faults.append(
                    CatalogFault(
                        .lookupMissing, job: job.name, batch: plan.batch,
                        "batch \(plan.batch) joins with \(name), whose bytes (\(digest)) are not there", now: Self.restore))
            }
        }
        return faults
    }

    /// The last seal of each part is what the newest outcome with rows of it says, as far as batches are still there.
    private func sealFaults(_ job: JobRecord) throws -> [CatalogFault] {
        var faults: [CatalogFault] = []
        let last = try lastDone(job.jobID)?.plan.batch ?? 0
        for seal in try seals(job.jobID) {
            func stray(_ why: String) {
                faults.append(
                    CatalogFault(
                        .sealStray, job: job.name, batch: seal.batch, "part \(seal.part) of sink \(seal.sink) is marked as sealed by batch \(seal.batch), \(why)",
                        now: Self.restore))
            }
            guard seal.batch <= last else {
                stray("and the log ends at \(last)")
                continue
            }
            guard let outcome = try batch(job.jobID, seal.batch)?.outcome else { continue }
            if !outcome.parts.contains(where: { ($0.sink ?? 0) == seal.sink && $0.part == seal.part && $0.digest == seal.digest && $0.rows > 0 }) {
                stray("whose outcome says otherwise")
            }
        }
        if let newest = try lastDone(job.jobID), let outcome = newest.outcome {
            let marks = try seals(job.jobID)
            for part in outcome.parts where part.rows > 0 {
                let mark = marks.first { $0.sink == part.sink ?? 0 && $0.part == part.part }
                // Catalogs of earlier builds begin with none.
                guard let mark, mark.batch != newest.plan.batch else { continue }
                faults.append(
                    CatalogFault(
                        .sealStray, job: job.name, batch: newest.plan.batch,
                        "part \(part.part) of batch \(newest.plan.batch) has rows, and its mark stands at batch \(mark.batch)",
                        now: Self.restore))
            }
        }
        return faults
    }
}
