// The job registry. A name belongs to one job id; the id is what the log and the sinks carry.
//
// Who may change what: a driver under its lease sets the state and the settings (`epoch` given, checked); anybody with
// access sets what is desired. A state set without an epoch is for a job that nobody drives yet.

import Engine

extension Catalog {
    private static let columns = """
        job_id, name, definition, settings, kind, parent_job_id, state, desired, reason, build_digest, \
        settings_digest, created_at_millis, updated_at_millis
        """

    /// Adds a job; its times become the database's. Fails with `jobExists` when the name or the id is taken.
    @discardableResult
    package func insertJob(_ job: JobRecord) throws -> JobRecord {
        // A backfill's name is made from its job's, which may be of an earlier build.
        if job.kind == .live { try JobName.require(job.name) }
        let settings = try jsonText(job.settings)
        let reason = try job.reason.map { try jsonText($0) }
        return try write { database in
            try database.execute(
                """
                INSERT INTO sluice_registry (\(Self.columns))
                SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, clock.now, clock.now
                FROM (SELECT \(clock) AS now) AS clock WHERE true ON CONFLICT DO NOTHING
                """,
                [
                    .text(job.jobID), .text(job.name), .text(job.definition), .text(settings),
                    .text(job.kind.rawValue), .text(job.parentJobID?.text), .text(job.state.rawValue),
                    .text(job.desired.rawValue), .text(reason), .text(job.buildDigest), .text(job.settingsDigest),
                ])
            guard database.changedRows == 1 else {
                throw Failure(
                    .jobExists, "a job called \(job.name) is already there", why: "a name belongs to one log",
                    now: "choose another --name, or continue the job that has it")
            }
            return try Self.record(Self.requiredRow(job.jobID, in: database))
        }
    }

    package func job(named name: String) throws -> JobRecord? {
        try read { database in
            try database.execute("SELECT \(Self.columns) FROM sluice_registry WHERE name = $1", [.text(name)])
                .first.map(Self.record)
        }
    }

    package func job(id jobID: JobID) throws -> JobRecord? {
        try read { database in
            try database.execute("SELECT \(Self.columns) FROM sluice_registry WHERE job_id = $1", [.text(jobID)])
                .first.map(Self.record)
        }
    }

    /// Every job, by name.
    package func jobs() throws -> [JobRecord] {
        try read { database in
            try database.execute("SELECT \(Self.columns) FROM sluice_registry ORDER BY name").map(Self.record)
        }
    }

    /// Sets what the job is doing. With an `epoch`, only while that is the lease's.
    package func setJobState(_ jobID: JobID, epoch: Epoch?, state: JobState, reason: Failure? = nil) throws {
        let reason = try reason.map { try jsonText($0) }
        try write { database in
            if let epoch { try requireLease(jobID, epoch, in: database) }
            try database.execute(
                "UPDATE sluice_registry SET state = $2, reason = $3, updated_at_millis = \(clock) WHERE job_id = $1",
                [.text(jobID), .text(state.rawValue), .text(reason)])
            if database.changedRows == 0 { throw Self.unknownJob(jobID.text) }
        }
    }

    /// Sets what a person wants of the job.
    package func setDesired(_ name: String, _ desired: DesiredState) throws {
        try write { database in
            try database.execute(
                "UPDATE sluice_registry SET desired = $2, updated_at_millis = \(clock) WHERE name = $1",
                [.text(name), .text(desired.rawValue)])
            if database.changedRows == 0 { throw Self.unknownJob(name) }
        }
    }

    /// Gives the job other settings (and, after an upgrade, another build) for the batches planned from now on.
    package func replaceJobSettings(
        _ jobID: JobID, epoch: Epoch, settings: [String: String], buildDigest: String, settingsDigest: String
    ) throws {
        let settings = try jsonText(settings)
        try write { database in
            try requireLease(jobID, epoch, in: database)
            try database.execute(
                """
                UPDATE sluice_registry SET settings = $2, build_digest = $3, settings_digest = $4,
                    updated_at_millis = \(clock) WHERE job_id = $1
                """,
                [.text(jobID), .text(settings), .text(buildDigest), .text(settingsDigest)])
        }
    }

    static func unknownJob(_ name: String) -> Failure {
        Failure(
            .unknownJob, "there is no job \(name) in this catalog", why: "no job with that name or id was ever added",
            now: "`sluice jobs` lists the ones that are there; check --catalog")
    }

    private static func requiredRow(_ jobID: JobID, in database: any SQLDatabase) throws -> [SQLValue] {
        let rows = try database.execute(
            "SELECT \(columns) FROM sluice_registry WHERE job_id = $1", [.text(jobID)])
        guard let row = rows.first else { throw unknownJob(jobID.text) }
        return row
    }

    static func requiredRecord(_ jobID: JobID, in database: any SQLDatabase) throws -> JobRecord {
        try record(requiredRow(jobID, in: database))
    }

    private static func record(_ row: [SQLValue]) throws -> JobRecord {
        var cells = CellReader(row, of: "sluice_registry")
        return JobRecord(
            jobID: JobID(text: try cells.text()), name: try cells.text(), definition: try cells.text(),
            settings: try cells.json([String: String].self), kind: try cells.named(JobKind.self),
            parentJobID: try cells.optionalText().map { JobID(text: $0) }, state: try cells.named(JobState.self),
            desired: try cells.named(DesiredState.self), reason: try cells.optionalJSON(Failure.self),
            buildDigest: try cells.text(), settingsDigest: try cells.text(), createdAtMillis: try cells.int(),
            updatedAtMillis: try cells.int())
    }
}
