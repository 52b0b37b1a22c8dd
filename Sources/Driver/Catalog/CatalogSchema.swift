// The catalog's tables and how an older catalog becomes a newer one.
//
// One schema serves both dialects; where they differ a word in braces is replaced (`{bytes}`, `{clustered}`). The
// names begin with `sluice_` and keep clear of `sluice_jobs` and `sluice_ledger`, which belong to sinks: one PostgreSQL
// database may hold both. SQL tools may read every table:
//
//   sluice_catalog    one row per applied migration
//   sluice_registry   jobs: who they are, what they do now (state) and shall do (desired)
//   sluice_leases     per job name: holder, epoch, end of the lease by the database's clock
//   sluice_batches    the log: one row a batch, `planned` then `done`; what it reads as `ranges` (`RangeText`), what plain
//                     columns do not hold as JSON, without what stands elsewhere (`LogText`)
//   sluice_frames     what all plans of a job have in common: digests, lookups, topic ids
//   sluice_log        a view: one row a batch with its job's name and digests, for people
//   sluice_ranges     a view of that: [from_offset, until_offset) per batch and topic partition
//   sluice_positions  where each topic partition stands: the next offset to read, the last record's hash
//   sluice_jumps      accepted losses and moves
//   sluice_hours      batches that were folded: a row an hour and kind, with totals and what they covered
//   sluice_hour_states the state at the end of an hour
//   sluice_folded     per job: totals of the hours that were folded in turn, and the newest state without a batch of its own
//   sluice_checkpoints per topic partition: the offsets that those hours covered; an audit starts there
//   sluice_quarantine records that did not become rows, with raw bytes
//   sluice_state      small state deltas, stored with DONE
//   sluice_lookups    bytes of lookup files by digest
//   sluice_seals      per sink part its last seal with rows: what the ledger there must hold, also when batches are folded
//   sluice_tables     tables that the job has begun: a sink without one of them has lost it (protocol 1)
//
// Times are milliseconds since 1970 by the database's clock. What survives a crash: a migration is one transaction.
// Checklist when changing a table: append a migration, never edit one that was released; both dialects; keep
// `sluice_batches_open`, the index that makes two open plans of one job impossible whatever the code does.

import Engine

/// One step from a catalog of version N-1 to version N.
package struct CatalogMigration: Sendable {
    package var version: Int64
    package var script: String
    /// Where PostgreSQL needs other words.
    package var postgres: String?

    package init(version: Int64, script: String, postgres: String? = nil) {
        self.version = version
        self.script = script
        self.postgres = postgres
    }
}

package enum CatalogSchema {
    /// Every step, ascending by version, without holes.
    package static let migrations = [
        CatalogMigration(version: 1, script: firstVersion),
        CatalogMigration(version: 2, script: rangesAsText, postgres: rangesAsTextInPostgres),
        CatalogMigration(
            version: 3, script: sealsAndKinds { "json_extract(\($0), '$.\($1)')" },
            postgres: sealsAndKinds { "(CAST(\($0) AS json) ->> '\($1)')" }),
    ]

    /// Version of the catalog in `database`; 0 when it holds none.
    package static func version(of database: any SQLDatabase) throws -> Int64 {
        let question =
            switch database.dialect {
            case .sqlite: "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'sluice_catalog'"
            case .postgres:
                "SELECT count(*) FROM pg_tables WHERE tablename = 'sluice_catalog' "
                    + "AND schemaname = ANY (current_schemas(false))"
            }
        var found = CellReader(try database.execute(question).first ?? [], of: "the table list")
        guard try found.int() > 0 else { return 0 }
        var version = CellReader(
            try database.execute("SELECT coalesce(max(version), 0) FROM sluice_catalog").first ?? [],
            of: "sluice_catalog")
        return try version.int()
    }

    /// Brings the catalog to the newest of `migrations`; refuses one that is newer still. Safe in several processes at
    /// once: the steps run under the database's own lock, and whoever comes second finds nothing to do.
    package static func migrate(
        _ database: any SQLDatabase, migrations: [CatalogMigration] = CatalogSchema.migrations
    ) throws {
        let newest = migrations.last?.version ?? 0
        let present = try version(of: database)
        try refuseNewer(present, newest: newest)
        if present == newest { return }
        try database.transaction {
            if database.dialect == .postgres {
                // Any fixed number serves, as long as every build takes the same one.
                try database.execute("SELECT pg_advisory_xact_lock(7308327784)")
            }
            let present = try version(of: database)
            try refuseNewer(present, newest: newest)
            try apply(migrations.filter { $0.version > present }, to: database)
        }
    }

    /// Makes the newest catalog in a database that holds none, inside the caller's transaction.
    static func create(in database: any SQLDatabase) throws { try apply(migrations, to: database) }

    private static func apply(_ migrations: [CatalogMigration], to database: any SQLDatabase) throws {
        for migration in migrations {
            let script = database.dialect == .postgres ? migration.postgres ?? migration.script : migration.script
            try database.executeScript(spell(script, for: database.dialect))
            try database.execute(
                "INSERT INTO sluice_catalog (version, applied_at_millis) VALUES ($1, \(clock(database.dialect)))",
                [.int(migration.version)])
        }
    }

    /// The columns of a table, in its order.
    package static func columns(of table: String, in database: any SQLDatabase) throws -> [String] {
        let question =
            switch database.dialect {
            case .sqlite: "SELECT name FROM pragma_table_info($1) ORDER BY cid"
            case .postgres:
                "SELECT column_name FROM information_schema.columns WHERE table_name = $1 "
                    + "AND table_schema = ANY (current_schemas(false)) ORDER BY ordinal_position"
            }
        return try database.execute(question, [.text(table)]).map { row in
            var cells = CellReader(row, of: table)
            return try cells.text()
        }
    }

    /// The tables of the catalog that are in `database`, by name.
    package static func tables(in database: any SQLDatabase) throws -> [String] {
        let question =
            switch database.dialect {
            case .sqlite: "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'sluice\\_%' ESCAPE '\\' ORDER BY name"
            case .postgres:
                "SELECT tablename FROM pg_tables WHERE tablename LIKE 'sluice\\_%' "
                    + "AND schemaname = ANY (current_schemas(false)) ORDER BY tablename"
            }
        return try database.execute(question).map { row in
            var cells = CellReader(row, of: "the table list")
            return try cells.text()
        }
    }

    private static func refuseNewer(_ present: Int64, newest: Int64) throws {
        guard present > newest else { return }
        throw Failure(
            .catalogNewer, "this catalog was written by a newer sluice",
            why: "it has version \(present), this build knows versions up to \(newest)",
            now: "use the newer build, or give this one a catalog of its own")
    }

    /// The database's clock in milliseconds since 1970, as an SQL expression; it moves on within a transaction.
    static func clock(_ dialect: SQLDialect) -> String {
        switch dialect {
        case .sqlite: "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"
        case .postgres: "CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT)"
        }
    }

    private static func spell(_ script: String, for dialect: SQLDialect) -> String {
        let isSQLite = dialect == .sqlite
        return script.split(separator: "{bytes}", omittingEmptySubsequences: false)
            .joined(separator: isSQLite ? "BLOB" : "BYTEA")
            .split(separator: "{clustered}", omittingEmptySubsequences: false)
            .joined(separator: isSQLite ? " WITHOUT ROWID" : "")
    }

    /// A row and two index entries for each range of each batch became one text a batch. Plans that are there keep their
    /// own copy of the ranges, which nobody reads any more.
    private static let rangesAsText = """
        ALTER TABLE sluice_batches ADD COLUMN ranges TEXT NOT NULL DEFAULT '{}';
        UPDATE sluice_batches SET ranges = coalesce((
            SELECT json_group_object(topic, json(ranges)) FROM (
                SELECT topic, json_group_array(json_array(partition, from_offset, until_offset)) AS ranges
                FROM sluice_ranges r WHERE r.job_id = sluice_batches.job_id AND r.batch = sluice_batches.batch
                GROUP BY topic)), '{}');
        DROP TABLE sluice_ranges;
        CREATE VIEW sluice_ranges AS
            SELECT b.job_id, b.batch, t.key AS topic, json_extract(r.value, '$[0]') AS partition,
                json_extract(r.value, '$[1]') AS from_offset, json_extract(r.value, '$[2]') AS until_offset
            FROM sluice_batches b, json_each(b.ranges) t, json_each(t.value) r;
        """

    private static let rangesAsTextInPostgres = """
        ALTER TABLE sluice_batches ADD COLUMN ranges TEXT NOT NULL DEFAULT '{}';
        UPDATE sluice_batches SET ranges = coalesce((
            SELECT CAST(json_object_agg(topic, ranges) AS text) FROM (
                SELECT topic, json_agg(json_build_array(partition, from_offset, until_offset)) AS ranges
                FROM sluice_ranges r WHERE r.job_id = sluice_batches.job_id AND r.batch = sluice_batches.batch
                GROUP BY topic) t), '{}');
        DROP TABLE sluice_ranges;
        CREATE VIEW sluice_ranges AS
            SELECT b.job_id, b.batch, t.key AS topic, CAST(r.value ->> 0 AS integer) AS partition,
                CAST(r.value ->> 1 AS bigint) AS from_offset, CAST(r.value ->> 2 AS bigint) AS until_offset
            FROM sluice_batches b, json_each(CAST(b.ranges AS json)) t, json_array_elements(t.value) r;
        """

    /// What a sink must hold is known to the log, whatever was folded since; a batch says why it is there; a row does not
    /// repeat what stands elsewhere, and batches become hours before they become nothing.
    /// - Parameter field: a field of a column with JSON.
    private static func sealsAndKinds(field: (_ column: String, _ name: String) -> String) -> String {
        func digest(_ name: String) -> String { "coalesce(\(field("f.plan", name)), \(field("b.plan", name)))" }
        return """
            ALTER TABLE sluice_batches ADD COLUMN kind TEXT NOT NULL DEFAULT 'live';
            ALTER TABLE sluice_batches ADD COLUMN frame BIGINT;
            ALTER TABLE sluice_batches DROP COLUMN build_digest;
            ALTER TABLE sluice_batches DROP COLUMN settings_digest;
            ALTER TABLE sluice_batches DROP COLUMN plan_digest;
            ALTER TABLE sluice_positions ADD COLUMN leader_epoch INTEGER;
            ALTER TABLE sluice_positions ADD COLUMN found_millis BIGINT;

            CREATE TABLE sluice_seals (
                job_id TEXT NOT NULL, sink INTEGER NOT NULL, part INTEGER NOT NULL, batch BIGINT NOT NULL,
                digest TEXT NOT NULL, PRIMARY KEY (job_id, sink, part)){clustered};

            CREATE TABLE sluice_tables (
                job_id TEXT NOT NULL, sink INTEGER NOT NULL, place TEXT NOT NULL, identity TEXT,
                begun_at_millis BIGINT NOT NULL, PRIMARY KEY (job_id, sink)){clustered};

            CREATE TABLE sluice_frames (
                job_id TEXT NOT NULL, frame BIGINT NOT NULL, plan TEXT NOT NULL, PRIMARY KEY (job_id, frame)){clustered};
            CREATE VIEW sluice_log AS
                SELECT r.name AS job, b.job_id, b.batch, b.state, b.kind, b.epoch, b.done_epoch, b.planned_at_millis, b.done_at_millis,
                    b.batch_time_millis, b.watermark_before_millis, b.watermark_after_millis, b.rows_in, b.rows_out, b.late,
                    b.rejected, b.unmatched, b.bytes_in, b.digest, \(digest("buildDigest")) AS build_digest,
                    \(digest("settingsDigest")) AS settings_digest, \(digest("planDigest")) AS plan_digest, b.ranges
                FROM sluice_batches b LEFT JOIN sluice_registry r ON r.job_id = b.job_id
                LEFT JOIN sluice_frames f ON f.job_id = b.job_id AND f.frame = b.frame;

            CREATE TABLE sluice_hours (
                job_id TEXT NOT NULL, hour_millis BIGINT NOT NULL, kind TEXT NOT NULL, first_batch BIGINT NOT NULL,
                last_batch BIGINT NOT NULL, batches BIGINT NOT NULL, rows_in BIGINT NOT NULL, rows_out BIGINT NOT NULL,
                late BIGINT NOT NULL, rejected BIGINT NOT NULL, unmatched BIGINT NOT NULL, ranges TEXT NOT NULL,
                PRIMARY KEY (job_id, hour_millis, kind)){clustered};
            CREATE TABLE sluice_hour_states (
                job_id TEXT NOT NULL, hour_millis BIGINT NOT NULL, version BIGINT NOT NULL, state TEXT NOT NULL,
                PRIMARY KEY (job_id, hour_millis)){clustered};
            ALTER TABLE sluice_folded ADD COLUMN state_version BIGINT;
            ALTER TABLE sluice_folded ADD COLUMN state TEXT;

            ALTER TABLE sluice_quarantine ADD COLUMN kept_at_millis BIGINT NOT NULL DEFAULT 0;
            ALTER TABLE sluice_quarantine ADD COLUMN erased_at_millis BIGINT;
            UPDATE sluice_quarantine SET kept_at_millis = coalesce((
                SELECT done_at_millis FROM sluice_batches b
                WHERE b.job_id = sluice_quarantine.job_id AND b.batch = sluice_quarantine.batch), 0);
            CREATE INDEX sluice_quarantine_age ON sluice_quarantine (job_id, kept_at_millis);
            """
    }

    private static let firstVersion = """
        CREATE TABLE sluice_catalog (version BIGINT PRIMARY KEY, applied_at_millis BIGINT NOT NULL);

        CREATE TABLE sluice_registry (
            job_id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, definition TEXT NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('live', 'backfill')), parent_job_id TEXT,
            state TEXT NOT NULL, desired TEXT NOT NULL, reason TEXT,
            build_digest TEXT NOT NULL, settings_digest TEXT NOT NULL, settings TEXT NOT NULL,
            created_at_millis BIGINT NOT NULL, updated_at_millis BIGINT NOT NULL);

        CREATE TABLE sluice_leases (
            name TEXT PRIMARY KEY, epoch BIGINT NOT NULL, until_millis BIGINT NOT NULL,
            holder_id TEXT, pid BIGINT, process_start TEXT, pid_namespace TEXT, boot_id TEXT, host TEXT, address TEXT);

        CREATE TABLE sluice_batches (
            job_id TEXT NOT NULL, batch BIGINT NOT NULL, state TEXT NOT NULL CHECK (state IN ('planned', 'done')),
            epoch BIGINT NOT NULL, done_epoch BIGINT, planned_at_millis BIGINT NOT NULL, done_at_millis BIGINT,
            batch_time_millis BIGINT NOT NULL, watermark_before_millis BIGINT, watermark_after_millis BIGINT,
            rows_in BIGINT, rows_out BIGINT, late BIGINT, rejected BIGINT, unmatched BIGINT, bytes_in BIGINT,
            digest TEXT, build_digest TEXT NOT NULL, settings_digest TEXT NOT NULL, plan_digest TEXT NOT NULL,
            plan TEXT NOT NULL, outcome TEXT,
            PRIMARY KEY (job_id, batch), CHECK ((state = 'done') = (outcome IS NOT NULL)));
        CREATE INDEX sluice_batches_done ON sluice_batches (job_id, done_at_millis, batch);
        CREATE UNIQUE INDEX sluice_batches_open ON sluice_batches (job_id) WHERE state = 'planned';

        CREATE TABLE sluice_ranges (
            job_id TEXT NOT NULL, batch BIGINT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
            from_offset BIGINT NOT NULL, until_offset BIGINT NOT NULL,
            PRIMARY KEY (job_id, batch, topic, partition), CHECK (from_offset < until_offset)){clustered};
        CREATE INDEX sluice_ranges_ends ON sluice_ranges (job_id, topic, partition, until_offset);

        CREATE TABLE sluice_positions (
            job_id TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, position BIGINT NOT NULL,
            tail_offset BIGINT, tail_hash TEXT, max_event_time_millis BIGINT,
            PRIMARY KEY (job_id, topic, partition)){clustered};

        CREATE TABLE sluice_jumps (
            job_id TEXT NOT NULL, jump BIGINT NOT NULL, at_millis BIGINT NOT NULL, flag TEXT NOT NULL,
            topic TEXT NOT NULL, partition INTEGER NOT NULL, old_position BIGINT NOT NULL,
            new_position BIGINT NOT NULL, topic_id TEXT, after_batch BIGINT NOT NULL, epoch BIGINT NOT NULL,
            PRIMARY KEY (job_id, jump)){clustered};

        CREATE TABLE sluice_folded (
            job_id TEXT PRIMARY KEY, until_batch BIGINT NOT NULL, rows_in BIGINT NOT NULL, rows_out BIGINT NOT NULL,
            late BIGINT NOT NULL, rejected BIGINT NOT NULL, unmatched BIGINT NOT NULL,
            folded_at_millis BIGINT NOT NULL);

        CREATE TABLE sluice_checkpoints (
            job_id TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
            from_offset BIGINT NOT NULL, until_offset BIGINT NOT NULL,
            PRIMARY KEY (job_id, topic, partition)){clustered};

        CREATE TABLE sluice_quarantine (
            job_id TEXT NOT NULL, batch BIGINT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
            record_offset BIGINT NOT NULL, reason TEXT NOT NULL, raw {bytes} NOT NULL,
            PRIMARY KEY (job_id, batch, topic, partition, record_offset));

        CREATE TABLE sluice_state (
            job_id TEXT NOT NULL, name TEXT NOT NULL, batch BIGINT NOT NULL, bytes {bytes} NOT NULL,
            PRIMARY KEY (job_id, name));
        CREATE INDEX sluice_state_batches ON sluice_state (job_id, batch);

        CREATE TABLE sluice_lookups (digest TEXT PRIMARY KEY, stored_at_millis BIGINT NOT NULL, bytes {bytes} NOT NULL);
        """
}
