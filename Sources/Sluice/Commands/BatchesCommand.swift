// `sluice batches NAME`: the newest batches of a job's log, as a table for people or as `BatchView` for programs.

import Driver
import Engine

enum BatchesCommand {
    static let command = Command(
        "batches", .batches, summary: "show a job's batches",
        about: """
            Shows the newest batches of a job's log, oldest first: what each read, what it wrote and how long it took. A batch \
            that is PLANNED and not DONE is in work, or will be finished first when the job starts again. How long a commit took is \
            stored with the batch after it, so the newest batch, and the last one before a restart, have none.
            """,
        positionals: [OneJob.positional],
        options: [
            Option("last", .integer(1...10_000), fallback: "20", help: "how many batches to show"),
            .json,
        ],
        settingFlags: .some([.catalog]),
        examples: [
            Command.Example("sluice batches campaign-views --last 5", "the five newest batches"),
            Command.Example("sluice batches campaign-views --json", "one object a batch, with offsets and digests"),
        ],
        run: run)

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        try OneJob.look(parsed, terminal) { catalog, record, _ in
            let records = try catalog.batches(record.jobID, last: parsed.integer("last") ?? 20)
            if parsed.flag("json") {
                for record in records { try terminal.json(BatchView(record)) }
                return 0
            }
            let folded = try catalog.foldedTotals(record.jobID)
            if folded.untilBatch > 0 {
                try terminal.line(
                    "batches up to \(folded.untilBatch) are folded: \(grouped(folded.rowsIn)) rows in, "
                        + "\(grouped(folded.rowsOut)) out")
            }
            if records.isEmpty {
                try terminal.line("job \(record.name) has no batch in the log yet")
                return 0
            }
            try terminal.table(table(records))
            let rejected = records.reduce(0) { $0 + ($1.outcome?.rejected ?? 0) }
            let kept = try catalog.quarantinedCount(record.jobID)
            if let line = quarantineLine(job: record.name, rejected: rejected, kept: kept) { try terminal.line(line) }
            return 0
        }
    }

    private static func table(_ records: [BatchRecord]) -> Table {
        // A column for the rare: repairs, redrives and the like.
        let hasKinds = records.contains { ($0.plan.kind ?? .live) != .live }
        let haveFailed = records.contains { $0.outcome?.failed ?? 0 > 0 }
        var table = Table(
            [
                .number("batch"), .text("state"),
            ] + (hasKinds ? [.text("kind")] : []) + [
                .number("offsets"), .number("rows in"), .number("out"), .number("late"),
                .number("rejected"),
            ] + (haveFailed ? [.number("failed")] : []) + [
                .number("tombstones"), .number("unmatched"), .number("run ms"), .number("seal ms"), .number("commit ms"),
                .text("done at"),
            ])
        for record in records {
            let outcome = record.outcome
            func count(_ value: (BatchOutcome) -> Int64) -> String { outcome.map { grouped(value($0)) } ?? "-" }
            func time(_ value: (BatchTimings) -> Double?) -> String {
                outcome.flatMap { value($0.timings) }.map(tenths) ?? "-"
            }
            table.add(
                [
                    "\(record.plan.batch)", record.state == .done ? "DONE" : "PLANNED",
                ] + (hasKinds ? [(record.plan.kind ?? .live).rawValue] : []) + [
                    grouped(record.plan.ranges.reduce(0) { $0 + $1.count }), count { $0.rowsIn }, count { $0.rowsOut },
                    count { $0.late }, count { $0.rejected },
                ] + (haveFailed ? [count { $0.failed ?? 0 }] : []) + [
                    count { $0.tombstones ?? 0 }, count { $0.unmatched }, time { $0.runMillis },
                    time { $0.sealMillis }, time { $0.commitMillis }, record.doneAtMillis.map { formatTime($0) } ?? "-",
                ])
        }
        return table
    }

    private static func tenths(_ millis: Double) -> String { "\((millis * 10).rounded() / 10)" }

    /// How many bad records there are to look at, and how; nil when there is nothing to say.
    private static func quarantineLine(job: String, rejected: Int64, kept: Int64) -> String? {
        if rejected == 0 && kept == 0 { return nil }
        let counted = "\(grouped(rejected)) record\(rejected == 1 ? "" : "s") of these batches could not be read"
        if kept == 0 { return "\(counted); none is kept in quarantine" }
        return "\(counted); \(grouped(kept)) of this job in quarantine: `sluice quarantine \(job)` shows them"
    }
}
