// `sluice redrive NAME`: bad records once more, with today's build and settings (protocol 15).
//
// A start of the job that only processes records which it rejected: by their coordinates, as batches of kind redrive. What
// passes closes its entry, what fails stays with the new reason, and the same command again finds nothing to do for the first.
// With --with the settings hold for these batches alone, and stand in their plans, so that they can be replayed.

import Driver
import Engine
import Foundation
import Wire

enum RedriveCommand {
    static func command(_ jobs: JobDefinitions) -> Command {
        Command(
            "redrive", .tools, summary: "process rejected records again",
            about: """
                Runs the records that a job rejected, and those whose rows its sink refused, through the job again: with today's \
                build, and with the settings that --with changes for this once. What passes is written and its entry closed; what \
                fails stays in quarantine with the new reason; rows that are late by now are counted as late. The job must not be \
                running. Leaves batches of kind redrive in the log.
                """,
            positionals: [OneJob.positional],
            options: [
                Option("batch", .integer(1...Int64.max), help: "only what this batch rejected"),
                Option("reason", .choice(RejectReason.allCases.map(\.rawValue)), help: "only what stands in quarantine for this reason"),
                Option("with", .text, valueName: "KEY=VALUE", help: "a setting for this once, or several with commas between"),
                Option(flag: "plan", help: "only say what would be processed"),
                .json,
            ],
            settingFlags: .some([.catalog, .workers, .slots, .logFormat, .logLevel]),
            examples: [
                Command.Example("sluice redrive campaign-views --plan", "says how many records are open"),
                Command.Example("sluice redrive campaign-views --with schema=7=new.avsc", "processes them with another schema"),
                Command.Example("sluice redrive campaign-views --batch 12 --reason futureTime", "only some of them"),
            ],
            run: { try run($0, $1, jobs) })
    }

    struct Line: Encodable {
        var job: String
        /// Open records that Kafka still has.
        var records: Int64
        var batches: Int
        /// Open records that Kafka has deleted.
        var gone: Int64
        /// Rejected records that the log names nowhere, because there were too many.
        var unlisted: Int64
        /// With `--reason`: rejected records of which nothing says for what reason, and which are left out.
        var ofNoReason: Int64?
        /// Missing with `--plan`.
        var passed: Int64?
        var rejected: Int64?
        var late: Int64?
        var rowsOut: Int64?
    }

    private struct Found {
        var plan: RedrivePlan
        var unlisted: Int64
        /// Rejected records left out because nothing says for what reason.
        var ofNoReason: Int64
    }

    /// The job's open records, as far as the options choose them.
    private static func open(
        _ parsed: ParsedArguments, _ record: JobRecord, _ catalog: Catalog, _ jobs: JobDefinitions
    ) throws -> Found {
        let batch = parsed.integer("batch").map { BatchNumber($0) }
        // What a redrive has planned and not finished is its own.
        let planned = try catalog.openPlan(record.jobID)?.plan
        let basis = try planned?.batch ?? catalog.lastDone(record.jobID)?.plan.batch ?? 0
        let log = try catalog.rejecting(record.jobID)
        let graph = try jobs.graph(definition: record.definition, settings: record.settings)
        let settings = try EngineSettings(record.settings, graph: graph)
        let store = try StateStore(address: settings.state)
        var open = try RedrivePlan.open(log, only: batch) { try $0.read(record.jobID, from: store) }
        var unknown = Int64(0)
        if let reason = parsed.text("reason").flatMap({ RejectReason(rawValue: $0) }) {
            // The reason of a record is known where the quarantine keeps it; of the others only that they were rejected.
            let kept = try catalog.quarantinedPlaces(record.jobID, batch: batch)
            unknown = OffsetRange.subtracting(kept, from: open).reduce(0) { $0 + $1.count }
            open = try catalog.quarantinedPlaces(record.jobID, batch: batch, reason: reason)
        } else {
            open += try catalog.quarantinedPlaces(record.jobID, batch: batch)
            // Where rows replace themselves; elsewhere one that was written would stand there twice if its entry stayed.
            if sinkReplacesRows(address: settings.sink, table: graph.sink) {
                let sink = try openSink(settings, table: graph.sink)
                defer { sink.close() }
                let identity = SinkIdentity(job: record.name, jobID: record.jobID, epoch: 0, sink: graph.sink.name)
                open += try sink.refusedRecords(identity).filter { batch == nil || $0.batch == batch }.map(\.record)
            }
        }
        let queries = try OffsetQueries(settings.kafka)
        let places = Set(open.map(\.topicPartition)).sorted()
        let starts = places.isEmpty ? [:] : try queries.starts(places)
        let unlisted = log.filter { batch == nil || $0.plan.batch == batch }.reduce(Int64(0)) { $0.plus($1.outcome?.rejectedUnlisted ?? 0) }
        if planned?.kind == .redrive { open = OffsetRange.subtracting(planned?.only ?? [], from: open) }
        return Found(plan: RedrivePlan(open: open, starts: starts, basis: basis), unlisted: unlisted, ofNoReason: unknown)
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal, _ jobs: JobDefinitions) throws -> Int32 {
        let settings = try parsed.settings()
        try Logging.begin(settings)
        let isPlan = parsed.flag("plan")
        let cluster = try LocalCluster(
            settings: settings, jobs: jobs, workers: isPlan ? 0 : settings.integer(.workers), onBatch: { _ in })
        defer { cluster.end() }
        let catalog = cluster.driver.catalog
        let record = try JobView.record(parsed.required(OneJob.positional.name), catalog)
        let found = try open(parsed, record, catalog, jobs)
        let plan = found.plan
        var line = Line(
            job: record.name, records: plan.records, batches: plan.steps.count, gone: plan.goneRecords, unlisted: found.unlisted,
            ofNoReason: found.ofNoReason > 0 ? found.ofNoReason : nil)
        let with = try parsed.text("with").map { try changed(record.settings, by: $0) }
        let isOpen = try catalog.openPlan(record.jobID)?.plan.kind == .redrive
        if !isPlan, !plan.steps.isEmpty || isOpen {
            let before = try catalog.lastDone(record.jobID)?.plan.batch ?? 0
            try carryOut(plan, of: record, with: with, cluster)
            let done = try catalog.batches(record.jobID, last: Int(clamping: (try catalog.lastDone(record.jobID)?.plan.batch ?? 0) - before) + 1)
                .filter { $0.plan.batch > before && $0.plan.kind == .redrive }.compactMap(\.outcome)
            line.rejected = done.reduce(0) { $0 + $1.rejected }
            line.late = done.reduce(0) { $0 + $1.late }
            line.rowsOut = done.reduce(0) { $0 + $1.rowsOut }
            line.passed = done.reduce(0) { $0 + $1.rowsIn - $1.rejected }
            guard done.count == plan.steps.count + (isOpen ? 1 : 0) else {
                throw Failure(
                    .taskCancelled, "the redrive of job \(record.name) was stopped", why: "\(done.count) of \(plan.steps.count) batches are done",
                    now: "the same command again processes what is still open")
            }
        }
        if parsed.flag("json") {
            try terminal.json(line)
        } else {
            for text in words(line, isPlan: isPlan) { try terminal.line(text) }
        }
        return 0
    }

    private static func carryOut(
        _ plan: RedrivePlan, of record: JobRecord, with: (values: [String: String], digest: String)?, _ cluster: LocalCluster
    ) throws {
        var options = LoopOptions()
        options.redrive = plan
        options.untilCaughtUp = true
        options.expectedWorkers = cluster.workers
        options.settings = with
        options.once = with?.values.filter { record.settings[$0.key] != $0.value }
        let signals = Signals()
        defer { signals.cancel() }
        let run = cluster.driver.runs.start(record.name, options)
        signals.ask { run.control.ask(.drain(.stopped)) }
        if let failure = run.wait().failure { throw failure }
    }

    /// By these a job knows its log, its topic, its state and its rows: with another one it would be another job.
    private static let fixed: Set<String> = [
        "name", "topic", "bootstrap", "sink", "sink_table", "sink_keys", "state", "catalog", "key_groups",
    ]

    /// The job's settings with some of them changed.
    private static func changed(_ values: [String: String], by text: String) throws -> (values: [String: String], digest: String) {
        let flags = try text.split(separator: ",", omittingEmptySubsequences: true).map { pair in
            let words = pair.split(separator: "=", maxSplits: 1)
            guard words.count == 2 else {
                throw Failure(
                    .wrongUsage, "\(pair) is no setting", why: "--with wants KEY=VALUE", now: "such as --with max_future=24h")
            }
            if fixed.contains(String(words[0])) {
                throw Failure(
                    .wrongUsage, "\(words[0]) cannot be changed for this once", why: "by it the job knows its log, its topic, its state or its rows",
                    now: "leave it out of --with")
            }
            return Settings.Flag(name: String(words[0]), text: String(words[1]), spelled: "--with \(words[0])")
        }
        let settings = try Settings.resolve(flags: flags, jobDefaults: values)
        return (values.merging(settings.jobValues) { $1 }, settings.digest)
    }

    private static func words(_ line: Line, isPlan: Bool) -> [String] {
        var words: [String] = []
        let records = "\(grouped(line.records)) record\(line.records == 1 ? "" : "s")"
        let batches = "\(line.batches) batch\(line.batches == 1 ? "" : "es")"
        if line.records == 0, line.passed == nil {
            words.append("job \(line.job) has no rejected record that could be processed again")
        } else if isPlan {
            words.append("would process \(records) again, in \(batches)")
        } else {
            words.append(
                "processed \(records) again, in \(batches): \(grouped(line.passed ?? 0)) passed, \(grouped(line.rejected ?? 0)) rejected again, "
                    + "\(grouped(line.late ?? 0)) late by now, \(grouped(line.rowsOut ?? 0)) rows written")
        }
        if line.gone > 0 { words.append("\(grouped(line.gone)) more are deleted in Kafka; what quarantine keeps of them stays there") }
        if line.unlisted > 0 { words.append("\(grouped(line.unlisted)) more were rejected where a batch had too many to list each") }
        if let count = line.ofNoReason {
            words.append("\(grouped(count)) more are left out: quarantine keeps no record of them that would say for what reason; without --reason they are processed")
        }
        return words
    }
}
