// `sluice catalog check|backup FILE|copy FROM TO`: the catalog as a thing of its own.
//
// Copying reads one moment of it while drivers go on. `backup` is for the shelf; `copy` moves a catalog to another database,
// and then nobody may go on with the first, so it refuses while a job of it is run.

import Driver
import Engine

enum CatalogCommands {
    static let all: [Command] = [check, backup, copy]

    private static let check = Command(
        "catalog check", .tools, summary: "look whether the catalog is whole",
        about: """
            Looks at every invariant of the catalog: tables and columns, that each job's log has no hole, gap or overlap and at \
            most one open plan, that each row can be read, and that states, seals, positions and lookups are what the batches say. \
            One line a fault, with what mends it. Exits with 1 when there is one. Changes nothing; jobs may run. What lies outside \
            the catalog is `sluice fsck`.
            """,
        options: [.json], settingFlags: .some([.catalog]),
        examples: [Command.Example("sluice catalog check", "every job of .sluice/catalog.db")],
        run: { parsed, terminal in
            let settings = try parsed.settings()
            let catalog = try ExistingCatalog.open(settings)
            defer { catalog.close() }
            let faults = try catalog.check()
            let jobs = try catalog.jobs().count
            for fault in faults {
                if parsed.flag("json") { try terminal.json(fault) } else { try show(fault, terminal) }
            }
            if !parsed.flag("json") {
                try terminal.line(
                    faults.isEmpty
                        ? "ok: the catalog is whole, with \(jobs) job\(jobs == 1 ? "" : "s")"
                        : "FAILED: \(faults.count) fault\(faults.count == 1 ? "" : "s")")
            }
            return faults.isEmpty ? 0 : 1
        })

    static func show(_ fault: CatalogFault, _ terminal: Terminal) throws {
        try terminal.line("\(fault.kind.rawValue): \(fault.job.map { "job \($0): " } ?? "")\(fault.what)")
        try terminal.line("  now: \(fault.now)")
    }

    private struct Copied: Encodable {
        var from: String
        var to: String
        var rows: [String: Int64]
    }

    private static let backup = Command(
        "catalog backup", .tools, summary: "write the catalog into a file while it is used",
        about: """
            Writes the catalog as it is at this moment into a new SQLite file, whatever database it is in. Drivers may go on. The \
            copy holds no lease. A job that is started on an older copy is refused by its sink, which is further.
            """,
        positionals: [Positional("FILE", help: "the new file")],
        options: [.json, planOption], settingFlags: .some([.catalog]),
        examples: [Command.Example("sluice catalog backup catalog-monday.db", "a file that `--catalog sqlite:catalog-monday.db` reads")],
        run: { parsed, terminal in
            let settings = try parsed.settings()
            let file = parsed.required("FILE")
            let address = settings.text(.catalog)
            if parsed.flag("plan") { return try plan(address, "sqlite:" + file, parsed, terminal) }
            let rows = try CatalogCopy.backup(address, to: file)
            return try say(Copied(from: maskedAddress(address), to: file, rows: rows), parsed, terminal)
        })

    private static let copy = Command(
        "catalog copy", .tools, summary: "move the catalog to another database",
        about: """
            Writes the catalog at FROM into the empty database TO, from SQLite to PostgreSQL or the other way round. Refuses while a \
            job of it is run: stop the drivers first, then start them with --catalog TO, and never again on FROM.
            """,
        positionals: [
            Positional("FROM", help: "sqlite:FILE or postgres://..."), Positional("TO", help: "sqlite:FILE or postgres://..."),
        ],
        options: [.json, planOption],
        examples: [
            Command.Example(
                "sluice catalog copy sqlite:.sluice/catalog.db postgres://sluice@db/sluice", "before a second host joins")
        ],
        run: { parsed, terminal in
            let (from, to) = (parsed.required("FROM"), parsed.required("TO"))
            let source = try Catalog.open(address: from, access: .readOnly)
            do {
                defer { source.close() }
                for job in try source.jobs() {
                    guard let holder = try source.liveHolder(of: job.name) else { continue }
                    throw Failure(
                        .leaseHeld, "job \(job.name) is run by process \(holder.pid) on \(holder.host)",
                        why: "what it does from now on would be missing in the copy",
                        now: "stop it with `sluice jobs stop \(job.name)`, then copy again")
                }
            }
            if parsed.flag("plan") { return try plan(from, to, parsed, terminal) }
            let rows = try CatalogCopy.copy(from, to: to)
            return try say(Copied(from: maskedAddress(from), to: maskedAddress(to), rows: rows), parsed, terminal)
        })

    private static let planOption = Option(flag: "plan", help: "say what would be written, and write nothing")

    private static func plan(_ from: String, _ to: String, _ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        let catalog = try Catalog.open(address: from, access: .readOnly)
        defer { catalog.close() }
        var rows: [String: Int64] = [:]
        for job in try catalog.jobs() {
            for (table, count) in try catalog.rowCounts(job.jobID) { rows[table, default: 0] += count }
        }
        if parsed.flag("json") {
            try terminal.json(Copied(from: maskedAddress(from), to: maskedAddress(to), rows: rows))
        } else {
            try terminal.line(
                "would write \(grouped(rows.values.reduce(0, +))) rows of \(try catalog.jobs().count) jobs from \(maskedAddress(from)) to \(maskedAddress(to))")
        }
        return 0
    }

    private static func say(_ copied: Copied, _ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        if parsed.flag("json") {
            try terminal.json(copied)
            return 0
        }
        let jobs = copied.rows["sluice_registry"] ?? 0
        try terminal.line(
            "wrote \(grouped(copied.rows.values.reduce(0, +))) rows of \(jobs) job\(jobs == 1 ? "" : "s") to \(copied.to)")
        return 0
    }
}
