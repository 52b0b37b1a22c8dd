// `sluice replay NAME --batch N`: a recorded batch again, and whether it gives the same rows.

import Driver
import Engine
import Foundation
import Wire
import Worker

enum ReplayCommand {
    static func command(_ jobs: JobDefinitions) -> Command {
        Command(
            "replay", .batches, summary: "run a recorded batch again and compare",
            about: """
                Runs a recorded batch over the same ranges with the same batch time, lookups and state. No sink is touched and \
                nothing is logged; the digests are compared with the recorded ones. Exits with 1 when they differ.
                """,
            positionals: [Positional("NAME", help: "the job's name")],
            options: [
                Option("batch", .integer(1...Int64.max), help: "the batch to run again"),
                Option(flag: "local", help: "inside this process, without worker processes"),
                Option(flag: "print", help: "print the rows that the batch gives"),
                .json,
            ],
            settingFlags: .some([.catalog, .workers, .slots, .logFormat, .logLevel]),
            examples: [
                Command.Example("sluice replay campaign-views --batch 3 --local", "proves that batch 3 gives what the log says"),
                Command.Example("sluice replay campaign-views --batch 3 --local --print", "shows its rows, too"),
            ],
            run: { try run($0, $1, jobs) })
    }

    private struct Line: Encodable {
        var job: String
        var batch: BatchNumber
        var equal: Bool
        var recordedDigest: String
        var computedDigest: String
        var rowsIn: Int64
        var rowsOut: Int64
        var differences: [String]
        var millis: Double
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal, _ jobs: JobDefinitions) throws -> Int32 {
        let settings = try parsed.settings()
        try Logging.begin(settings)
        guard let batch = parsed.integer("batch") else {
            throw Failure(
                .wrongUsage, "no batch was named", why: "--batch N says which batch to run again",
                now: "`sluice batches \(parsed.required("NAME"))` lists them")
        }
        let cluster = try LocalCluster(
            settings: settings, jobs: jobs, workers: parsed.flag("local") ? 0 : max(1, settings.integer(.workers)),
            onBatch: { _ in })
        defer { cluster.end() }
        let record = try JobView.record(parsed.required("NAME"), cluster.driver.catalog)
        let report = try Replay.run(
            BatchNumber(batch), of: record, catalog: cluster.driver.catalog, pool: cluster.driver.pool, jobs: jobs,
            buildDigest: ThisProgram.buildDigest, returnRows: parsed.flag("print"))
        if parsed.flag("json") {
            try terminal.json(
                Line(
                    job: record.name, batch: BatchNumber(batch), equal: report.isEqual, recordedDigest: report.recorded.digest,
                    computedDigest: report.computed.digest, rowsIn: report.computed.rowsIn,
                    rowsOut: report.computed.rowsOut, differences: report.differences, millis: report.millis))
            return report.isEqual ? 0 : 1
        }
        if parsed.flag("print") { try RowTable.print(report.rows, terminal) }
        for difference in report.differences { try terminal.line("differs: \(difference)") }
        var table = Table([.text(""), .text("recorded"), .text("computed")])
        func row(_ name: String, _ value: (BatchOutcome) -> String) {
            table.add([name, value(report.recorded), value(report.computed)])
        }
        row("digest") { $0.digest }
        row("rows in") { grouped($0.rowsIn) }
        row("rows out") { grouped($0.rowsOut) }
        row("late") { grouped($0.late) }
        row("rejected") { grouped($0.rejected) }
        row("unmatched") { grouped($0.unmatched) }
        try terminal.table(table)
        try terminal.line(
            report.isEqual
                ? "batch \(batch) of \(record.name) gives the same rows (\(BatchProgress.millis(report.millis)))"
                : "batch \(batch) of \(record.name) gives OTHER rows than the log says")
        return report.isEqual ? 0 : 1
    }
}
