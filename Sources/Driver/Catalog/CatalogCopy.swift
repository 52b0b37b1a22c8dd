// A catalog copied as it stood at one moment, while others go on with it: for a backup, and from one database to another.
//
//   SQLite -> file       VACUUM INTO: one read transaction of the database's own, compact; synced and named at the end
//   anything -> anything one read transaction there (PostgreSQL: REPEATABLE READ), one write transaction here, table by table
//
// A copy holds no lease: whoever ran a job there does not run it here. Epochs stay, so that what was written under them is
// still told apart. Survives a crash: the whole copy or none of it. A copy never goes into a place that holds a catalog already.
// Checklist when a table is added: it stands in `tables` with its key, or copies lack it (a test compares with the schema).

import Engine
import Foundation

package enum CatalogCopy {
    /// Every table of the catalog with its primary key, by which it is read in pages; but the one row a migration.
    package static let tables: [(name: String, key: [String])] = [
        ("sluice_registry", ["job_id"]), ("sluice_leases", ["name"]), ("sluice_frames", ["job_id", "frame"]),
        ("sluice_batches", ["job_id", "batch"]), ("sluice_positions", ["job_id", "topic", "partition"]),
        ("sluice_jumps", ["job_id", "jump"]), ("sluice_hours", ["job_id", "hour_millis", "kind"]),
        ("sluice_hour_states", ["job_id", "hour_millis"]), ("sluice_folded", ["job_id"]),
        ("sluice_checkpoints", ["job_id", "topic", "partition"]),
        ("sluice_quarantine", ["job_id", "batch", "topic", "partition", "record_offset"]),
        ("sluice_state", ["job_id", "name"]), ("sluice_lookups", ["digest"]),
        ("sluice_seals", ["job_id", "sink", "part"]), ("sluice_tables", ["job_id", "sink"]),
    ]
    private static let pageRows = 500

    /// Writes the catalog at `address` into the new SQLite file `path`.
    /// - Returns: rows by table.
    @discardableResult
    package static func backup(_ address: String, to path: String) throws -> [String: Int64] {
        try requireAbsent(path)
        let unfinished = path + ".unfinished-\(getpid())"
        defer { removeDatabase(unfinished) }
        removeDatabase(unfinished)
        let source = try openCurrent(address)
        defer { source.close() }
        let counts: [String: Int64]
        if source.dialect == .sqlite {
            try source.execute("VACUUM INTO $1", [.text(unfinished)])
            let copy = try SQLiteDatabase(path: unfinished)
            defer { copy.close() }
            try forgetHolders(copy)
            counts = try Self.counts(copy)
            try copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        } else {
            let copy = try SQLiteDatabase(path: unfinished)
            defer { copy.close() }
            try CatalogSchema.migrate(copy)
            counts = try rows(from: source, into: copy)
            try copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        }
        try sync(unfinished)
        // Fails when somebody put a file there meanwhile, instead of taking its place.
        guard link(unfinished, path) == 0 else { throw cannotWrite(path, errno) }
        try sync(URL(fileURLWithPath: path).deletingLastPathComponent().path)
        return counts
    }

    /// Writes the catalog at `source` into the database at `target`, which must hold none.
    /// - Returns: rows by table.
    package static func copy(_ source: String, to target: String) throws -> [String: Int64] {
        let from = try openCurrent(source)
        defer { from.close() }
        let into = try openDatabase(target, busyTimeoutMillis: 5000)
        defer { into.close() }
        guard try CatalogSchema.version(of: into) == 0 else {
            throw Failure(
                .notPossible, "\(maskedAddress(target)) holds a catalog already", why: "a copy never goes over another",
                now: "name an empty database or a new file")
        }
        return try into.transaction {
            try CatalogSchema.create(in: into)
            return try copyRows(from: from, into: into)
        }
    }

    private static func rows(from source: any SQLDatabase, into target: any SQLDatabase) throws -> [String: Int64] {
        try target.transaction { try copyRows(from: source, into: target) }
    }

    /// Inside the target's transaction.
    private static func copyRows(from source: any SQLDatabase, into target: any SQLDatabase) throws -> [String: Int64] {
        try source.transaction {
            if source.dialect == .postgres {
                try source.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            }
            var counts: [String: Int64] = [:]
            for table in tables {
                counts[table.name] = try copyRows(of: table, from: source, into: target)
                let there = try count(table.name, target)
                guard there == counts[table.name] else {
                    throw Failure(
                        .internal, "a copy of \(table.name) has \(there) rows of \(counts[table.name] ?? 0)",
                        why: "the target took others than it was given", now: "nothing was kept; report this")
                }
            }
            try forgetHolders(target)
            return counts
        }
    }

    private static func copyRows(
        of table: (name: String, key: [String]), from source: any SQLDatabase, into target: any SQLDatabase
    ) throws -> Int64 {
        let columns = try CatalogSchema.columns(of: table.name, in: target)
        let places = table.key.map { key in columns.firstIndex(of: key)! }
        let key = table.key.joined(separator: ", ")
        let list = columns.joined(separator: ", ")
        let insert = "INSERT INTO \(table.name) (\(list)) VALUES (\(parameters(columns.count)))"
        var last: [SQLValue]?
        var count: Int64 = 0
        while true {
            let behind = last == nil ? "" : "WHERE (\(key)) > (\(parameters(table.key.count)))"
            let page = try source.execute(
                "SELECT \(list) FROM \(table.name) \(behind) ORDER BY \(key) LIMIT \(pageRows)", last ?? [])
            for row in page { try target.execute(insert, row) }
            count += Int64(page.count)
            guard page.count == pageRows, let row = page.last else { return count }
            last = places.map { row[$0] }
        }
    }

    private static func parameters(_ count: Int) -> String { (1...count).map { "$\($0)" }.joined(separator: ", ") }

    private static func forgetHolders(_ database: any SQLDatabase) throws {
        try database.execute("UPDATE sluice_leases SET holder_id = NULL, until_millis = 0")
    }

    private static func counts(_ database: any SQLDatabase) throws -> [String: Int64] {
        var counts: [String: Int64] = [:]
        for table in tables { counts[table.name] = try count(table.name, database) }
        return counts
    }

    private static func count(_ table: String, _ database: any SQLDatabase) throws -> Int64 {
        var cells = CellReader(try database.execute("SELECT count(*) FROM \(table)").first ?? [], of: table)
        return try cells.int()
    }

    /// A catalog of this build's version, for reading.
    private static func openCurrent(_ address: String) throws -> any SQLDatabase {
        try Catalog.open(address: address, access: .readOnly).close()
        if address.hasPrefix("sqlite:") {
            return try SQLiteDatabase(path: String(address.dropFirst("sqlite:".count)), readOnly: true, busyTimeoutMillis: 5000)
        }
        return try openDatabase(address, busyTimeoutMillis: 5000)
    }

    // MARK: files

    private static func requireAbsent(_ path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        throw Failure(.notPossible, "\(path) is there already", why: "a backup never goes over another file", now: "name a new file")
    }

    private static func removeDatabase(_ path: String) {
        for suffix in ["", "-wal", "-shm", "-journal"] { unlink(path + suffix) }
    }

    private static func sync(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw cannotWrite(path, errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw cannotWrite(path, errno) }
    }

    private static func cannotWrite(_ path: String, _ number: Int32) -> Failure {
        Failure(
            number == ENOSPC ? .diskFull : .notPossible, "the backup \(path) cannot be written", why: String(cString: strerror(number)),
            now: "name a new file on a disk with room")
    }
}
