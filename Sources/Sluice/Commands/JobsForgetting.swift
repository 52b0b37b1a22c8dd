// `sluice jobs forget NAME` and `sluice jobs rename OLD NEW`: what the catalog has of a job, and what lies elsewhere.
//
// Both hold the job's lease while they work, so nobody starts it meanwhile. The order is what makes a crash harmless: what lies
// outside the catalog first, the catalog's own transaction last. Until that the job is listed under its old name, and the same
// command again finishes:
//
//   forget   lease -> state files -> rows, lease and all
//   rename   lease -> row in the sink's sluice_jobs, under the new epoch -> registry and lease in one transaction
//
// What moves with a name: the registry, the lease, the sink's row. What does not: the Kafka group `sluice.NAME` (the next batch
// commits to the new one; the log is the truth anyway). A Kafka sink keeps its markers under the name: there a rename is refused.

import Driver
import Engine
import Foundation

enum JobsForgetting {
    static let all: [Command] = [forget, rename]
    private static let planOption = Option(flag: "plan", help: "say what would be done, and do nothing")

    // MARK: forget

    private struct Forgotten: Encodable {
        var job: String
        var jobId: String
        var rows: Int64
        var stateFiles: Int
        var quarantined: Int64
        /// What stays elsewhere.
        var stays: [String]
        var isForgotten: Bool
    }

    private static let forget = Command(
        "jobs forget", .jobs, summary: "take a job out of the catalog for good",
        about: """
            Removes a job's log, positions, quarantine and state. Refuses while the job is run. What it wrote stays in the sink, and \
            its offsets stay in Kafka; both are named. A new job of that name begins anew, and needs --adopt for the same table.
            """,
        positionals: [OneJob.positional], options: [planOption, .json], settingFlags: .some([.catalog]),
        examples: [
            Command.Example("sluice jobs forget campaign-views --plan", "what would go, and what would stay"),
            Command.Example("sluice jobs forget campaign-views", "after that there is no way back"),
        ],
        run: { parsed, terminal in
            let settings = try parsed.settings()
            let isPlan = parsed.flag("plan")
            let catalog = try ExistingCatalog.open(settings, isPlan ? .readOnly : .readWrite)
            defer { catalog.close() }
            let record = try JobView.record(parsed.required(OneJob.positional.name), catalog)
            let store = try record.settings["state"].map { try StateStore(address: $0) }
            let backfills = try catalog.jobs().filter { $0.parentJobID == record.jobID }
            let said = Forgotten(
                job: record.name, jobId: record.jobID.text, rows: try catalog.rowCounts(record.jobID).values.reduce(0, +),
                stateFiles: store.map { files($0.folder(record.jobID)) } ?? 0,
                quarantined: try catalog.quarantinedBytes(record.jobID).records, stays: stays(record, backfills),
                isForgotten: !isPlan)
            if isPlan {
                try requireNotRun(record.name, catalog)
            } else {
                try holding(record.name, catalog) { epoch in
                    try store?.removeAll(record.jobID)
                    try catalog.forgetJob(record.jobID, epoch: epoch)
                }
            }
            if parsed.flag("json") {
                try terminal.json(said)
                return 0
            }
            try terminal.line(
                "\(isPlan ? "would forget" : "forgot") job \(record.name): \(grouped(said.rows)) rows, \(grouped(said.quarantined)) quarantined records, "
                    + "\(said.stateFiles) state files")
            for one in said.stays { try terminal.line("stays: \(one)") }
            return 0
        })

    private static func files(_ folder: String) -> Int {
        do { return try FileManager.default.contentsOfDirectory(atPath: folder).count } catch { return 0 }
    }

    private static func stays(_ record: JobRecord, _ backfills: [JobRecord]) -> [String] {
        var stays: [String] = []
        if let sink = record.settings["sink"], sink != "console:", sink != "discard:" {
            stays.append("what it wrote in \(maskedAddress(sink)), and its rows in sluice_jobs and sluice_ledger there (job id \(record.jobID))")
        }
        if record.kind == .live {
            stays.append("the offsets of Kafka group sluice.\(record.name): a new job of that name asks about them")
        }
        for backfill in backfills { stays.append("its backfill \(backfill.name): forget it by its own name") }
        return stays
    }

    // MARK: rename

    private struct Renamed: Encodable {
        var job: String
        var name: String
        var jobId: String
        /// Whether a row of the sink moved, too.
        var isInSink: Bool
        var isRenamed: Bool
    }

    private static let rename = Command(
        "jobs rename", .jobs, summary: "give a job another name",
        about: """
            Moves a job to another name with its log, lease and the sink's row, so that it goes on where it stands. Refuses while the \
            job is run or a batch is planned, and for a Kafka sink, whose markers carry the name. Start it with --name NEW afterwards.
            """,
        positionals: [Positional("OLD", help: "the job's name"), Positional("NEW", help: "its new one")],
        options: [planOption, .json], settingFlags: .some([.catalog]),
        examples: [Command.Example("sluice jobs rename campaign-views views-eu", "then: sluice run campaign-views --name views-eu")],
        run: { parsed, terminal in
            let settings = try parsed.settings()
            let isPlan = parsed.flag("plan")
            let (old, new) = (parsed.required("OLD"), parsed.required("NEW"))
            try JobName.require(new)
            let catalog = try ExistingCatalog.open(settings, isPlan ? .readOnly : .readWrite)
            defer { catalog.close() }
            let record = try JobView.record(old, catalog)
            try requireMovable(record, to: new, catalog)
            var isInSink = false
            if isPlan {
                try requireNotRun(old, catalog)
                isInSink = try sinkRow(record, { try $0.isThere(record, old) }) ?? false
            } else {
                try holding(old, catalog) { epoch in
                    // Again, now that nobody can plan.
                    try requireMovable(record, to: new, catalog)
                    isInSink = try sinkRow(record, { try $0.move(record, to: new, epoch: epoch) }) ?? false
                    try catalog.renameJob(record.jobID, to: new, epoch: epoch)
                }
            }
            if parsed.flag("json") {
                try terminal.json(
                    Renamed(job: old, name: new, jobId: record.jobID.text, isInSink: isInSink, isRenamed: !isPlan))
                return 0
            }
            try terminal.line(
                "\(isPlan ? "would rename" : "renamed") job \(old) to \(new)\(isInSink ? ", in its sink, too" : "")"
                    + "; start it with `sluice run \(record.definition) --name \(new)`")
            return 0
        })

    private static func requireMovable(_ record: JobRecord, to new: String, _ catalog: Catalog) throws {
        if let sink = record.settings["sink"], sink.hasPrefix("kafka:") {
            throw Failure(
                .notPossible, "job \(record.name) writes to a topic and cannot be renamed",
                why: "the markers that say how far each part is written carry the name, and Kafka moves no group to another name",
                now: "keep the name, or stop the job and begin another with `from` at its positions and an output topic of its own")
        }
        if let plan = try catalog.openPlan(record.jobID)?.plan {
            throw Failure(
                .notPossible, "batch \(plan.batch) of job \(record.name) is planned and not done",
                why: "it was planned under the old name and must be finished first",
                now: "run the job once with --until-caught-up, then rename it")
        }
        guard try catalog.job(named: new) == nil else {
            throw Failure(
                .jobExists, "a job called \(new) is already there", why: "a name belongs to one log",
                now: "choose another name")
        }
    }

    private static func sinkRow<Result>(_ record: JobRecord, _ body: (SinkRow) throws -> Result) throws -> Result? {
        guard let address = record.settings["sink"] else { return nil }
        if address.hasPrefix("sqlite:") {
            // Opening would make the file.
            guard FileManager.default.fileExists(atPath: String(address.dropFirst("sqlite:".count))) else { return nil }
        } else if !address.hasPrefix("postgres") {
            return nil
        }
        let database = try openDatabase(address)
        defer { database.close() }
        return try body(SinkRow(database: database))
    }

    /// The row by which a sink knows a job.
    private struct SinkRow {
        let database: any SQLDatabase

        private func owner(_ name: String) throws -> String? {
            let hasTable =
                switch database.dialect {
                case .sqlite: try !database.execute("SELECT 1 FROM pragma_table_info('sluice_jobs')").isEmpty
                case .postgres: try database.execute("SELECT to_regclass('sluice_jobs') IS NOT NULL") == [[.int(1)]]
                }
            guard hasTable, let row = try database.execute("SELECT job_id FROM sluice_jobs WHERE job = $1", [.text(name)]).first,
                case .text(let id) = row[0]
            else { return nil }
            return id
        }

        func isThere(_ record: JobRecord, _ name: String) throws -> Bool { try owner(name) == record.jobID.text }

        /// - Returns: whether the sink knows the job. A row that an interrupted rename has moved already is fine.
        func move(_ record: JobRecord, to new: String, epoch: Epoch) throws -> Bool {
            try database.transaction {
                if let other = try owner(new) {
                    guard other == record.jobID.text else {
                        throw Failure(
                            .sinkOwnedByOther, "the sink already knows a job called \(new)", why: "job id \(other) wrote there",
                            now: "choose another name")
                    }
                    return true
                }
                guard try isThere(record, record.name) else { return false }
                // The higher epoch: whatever an older driver still has in flight is refused.
                try database.execute(
                    "UPDATE sluice_jobs SET job = $2, epoch = $3 WHERE job = $1",
                    [.text(record.name), .text(new), .int(epoch)])
                return true
            }
        }
    }

    // MARK: the lease

    private static func requireNotRun(_ name: String, _ catalog: Catalog) throws {
        guard let holder = try catalog.liveHolder(of: name) else { return }
        throw held(name, holder)
    }

    private static func held(_ name: String, _ holder: LeaseHolder) -> Failure {
        Failure(
            .leaseHeld, "job \(name) is run by process \(holder.pid) on \(holder.host)",
            why: "only a job that nobody runs can be taken away or renamed", now: "stop it with `sluice jobs stop \(name)`, then try again")
    }

    /// Runs `body` under the job's lease; gives it back when that fails.
    static func holding(_ name: String, _ catalog: Catalog, _ body: (Epoch) throws -> Void) throws {
        let holder = LeaseHolder.thisProcess(id: UUID().uuidString, address: "")
        switch try catalog.acquireLease(name, holder: holder, leaseMillis: 60_000) {
        case .held(let other, _): throw held(name, other)
        case .acquired(let epoch):
            do {
                try body(epoch)
            } catch {
                try catalog.releaseLease(name, holderID: holder.id, epoch: epoch)
                throw error
            }
            // Whatever name it has now; a forgotten one has none.
            for job in try catalog.jobs() { try catalog.releaseLease(job.name, holderID: holder.id, epoch: epoch) }
        }
    }
}
