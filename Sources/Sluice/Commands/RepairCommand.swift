// `sluice repair NAME`: writes what a sink lacks, and nothing else (protocol 15).
//
// A start of the job that only puts the sink right: it takes the lease, claims the sink, writes recorded batches again, leaves
// a batch of kind repair in the log, and ends. With --plan it gathers the same facts, says what would be done, and takes nothing.

import Driver
import Engine
import Foundation
import Wire

enum RepairCommand {
    static func command(_ jobs: JobDefinitions) -> Command {
        Command(
            "repair", .tools, summary: "write again what a sink lacks",
            about: """
                Compares a job's sink with its log, and writes what is missing: batches behind the ledger run again, a lost table \
                is written anew, and with --batches the newest row of every key that those batches touched. Rows come out of \
                recorded batches, proved by their digests; what Kafka or the kept state no longer has is named. The job must not \
                be running. Leaves a batch of kind repair in the log.
                """,
            positionals: [OneJob.positional],
            options: [
                Option("batches", .text, valueName: "A..B", help: "these batches, whatever the ledger says"),
                Option(flag: "plan", help: "only say what would be written"),
                .json,
            ],
            settingFlags: .some([.catalog, .workers, .slots, .logFormat, .logLevel]),
            examples: [
                Command.Example("sluice repair campaign-views --plan", "says what the sink lacks"),
                Command.Example("sluice repair campaign-views", "writes it"),
                Command.Example("sluice repair campaign-views --batches 12..14", "writes every key of those batches anew"),
            ],
            run: { try run($0, $1, jobs) })
    }

    struct Line: Encodable {
        enum Action: String, Encodable { case nothing, again, anew, rewrite }
        var job: String
        var action: Action
        var from: BatchNumber?
        var to: BatchNumber?
        var batches: Int
        /// As recorded; a rewrite writes each key once.
        var rows: Int64
        /// Of the batch of kind repair; missing with `--plan`.
        var batch: BatchNumber?
        var written: Int64?
    }

    /// `A..B`, or one number.
    static func batches(_ text: String) throws -> ClosedRange<BatchNumber> {
        let words = text.components(separatedBy: "..")
        guard (1...2).contains(words.count), let first = BatchNumber(words[0]), let last = BatchNumber(words[words.count - 1]),
            first > 0, first <= last
        else {
            throw Failure(
                .wrongUsage, "\(text) names no batches", why: "--batches wants A..B, such as 12..14, or one number",
                now: "`sluice batches NAME` lists them")
        }
        return first...last
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal, _ jobs: JobDefinitions) throws -> Int32 {
        let settings = try parsed.settings()
        try Logging.begin(settings)
        let order = RepairOrder(batches: try parsed.text("batches").map(batches))
        let isPlan = parsed.flag("plan")
        let cluster = try LocalCluster(
            settings: settings, jobs: jobs, workers: isPlan ? 0 : settings.integer(.workers), onBatch: { _ in })
        defer { cluster.end() }
        let catalog = cluster.driver.catalog
        let record = try JobView.record(parsed.required(OneJob.positional.name), catalog)
        let plan = try RepairPlan.look(at: record, catalog: catalog, jobs: jobs, buildDigest: ThisProgram.buildDigest, order)
        var line = try line(plan, of: record, catalog)
        if !isPlan, plan != .nothing {
            let before = try catalog.lastDone(record.jobID)?.plan.batch ?? 0
            var options = LoopOptions()
            options.repair = order
            options.untilCaughtUp = true
            options.expectedWorkers = cluster.workers
            let signals = Signals()
            defer { signals.cancel() }
            let run = cluster.driver.runs.start(record.name, options)
            signals.ask { run.control.ask(.drain(.stopped)) }
            if let failure = run.wait().failure { throw failure }
            for logged in try catalog.batches(record.jobID, last: 2) where logged.plan.batch > before && logged.plan.kind == .repair {
                line.batch = logged.plan.batch
                line.written = line.action == .rewrite ? logged.outcome?.rowsOut : line.rows
            }
            guard line.batch != nil else {
                throw Failure(
                    .taskCancelled, "the repair of job \(record.name) was stopped", why: "asked to",
                    now: "the same command again goes on where it stopped")
            }
        }
        if parsed.flag("json") {
            try terminal.json(line)
        } else {
            try terminal.line(words(line))
        }
        return 0
    }

    private static func line(_ plan: RepairPlan, of record: JobRecord, _ catalog: Catalog) throws -> Line {
        func line(_ action: Line.Action, _ batches: ClosedRange<BatchNumber>) throws -> Line {
            var count = 0
            var rows: Int64 = 0
            for batch in batches {
                guard let outcome = try catalog.batch(record.jobID, batch)?.outcome else { continue }
                count += 1
                rows += outcome.rowsOut
            }
            return Line(
                job: record.name, action: action, from: batches.lowerBound, to: batches.upperBound, batches: count, rows: rows)
        }
        return switch plan {
        case .nothing: Line(job: record.name, action: .nothing, batches: 0, rows: 0)
        case .runAgain(let batches): try line(.again, batches)
        case .writeAnew(let batches): try line(.anew, batches)
        case .rewrite(let batches): try line(.rewrite, batches)
        }
    }

    private static func words(_ line: Line) -> String {
        guard let from = line.from, let to = line.to else {
            return "the sink has what the log of \(line.job) says: nothing to write (--batches A..B writes batches whatever it has)"
        }
        let which = from == to ? "batch \(from)" : "batches \(from) to \(to)"
        let what =
            switch line.action {
            case .again: "\(which), which the sink lacks"
            case .anew: "\(which), because the table's rows are gone"
            default: "the newest row of every key that \(which) touched"
            }
        guard let batch = line.batch else {
            return "would write \(what): \(grouped(line.rows)) rows recorded"
        }
        return "wrote \(what): \(grouped(line.written ?? 0)) rows; batch \(batch) of kind repair says so in the log"
    }
}
