// `sluice backfill NAME --from TIME --to TIME`: past windows computed again, beside the live job.

import Driver
import Engine
import Foundation
import SQLJobs
import Synchronization
import Wire

enum BackfillCommand {
    static func command(_ jobs: JobDefinitions) -> Command {
        Command(
            "backfill", .jobs, summary: "reprocess history beside the live job",
            about: """
                Reads the records of a span of event time again, in batches and with state of its own, and writes the windows that \
                lie wholly in it once they are complete. Which offsets hold them the live job's log says. The live job goes on. \
                Nothing past the live watermark is written, unless --sink names another place; a value that would become \
                smaller is refused, where its input is deleted unless --allow-shrink is given.
                """,
            positionals: [Positional("NAME", help: "the live job's name")],
            options: [
                Option("from", .text, valueName: "TIME", help: "first event time, as 2026-03-01T12:00:00Z or a time ago like -2h"),
                Option("to", .text, valueName: "TIME", help: "first event time that is no longer wanted"),
                Option("slack", .duration(0...86_400_000 * 30), fallback: "1m", help: "how much earlier to begin, by the times of records"),
                Option(flag: "plan", help: "print batches, offsets, records and bytes, and do nothing"),
                Option(flag: "allow-shrink", help: "write values although they become smaller"),
                .json,
            ],
            settingFlags: .some([.catalog, .sink, .workers, .slots, .maxBatchRecords, .logFormat, .logLevel]),
            examples: [
                Command.Example(
                    "sluice backfill campaign-views --from 2026-03-01T12:00:00Z --to 2026-03-01T13:00:00Z --plan",
                    "what it would read"),
                Command.Example(
                    "sluice backfill campaign-views --from -2h --to -1h --sink sqlite:again.db", "into a table beside the live one"),
            ],
            run: { try run($0, $1, jobs) })
    }

    private struct PlanLine: Encodable {
        var job: String
        var from: String
        var to: String
        var topic: String
        var partition: Int32
        var fromOffset: Int64
        var untilOffset: Int64
        var records: Int64
        var bytesEstimated: Int64?
    }

    private static func time(_ text: String?, _ option: String) throws -> Int64 {
        guard let text else {
            throw Failure(
                .wrongUsage, "\(option) is missing", why: "a backfill needs both ends of its span",
                now: "give \(option) as 2026-03-01T12:00:00Z or as a time ago like -2h")
        }
        if text.hasPrefix("-"), let ago = parseDuration(String(text.dropFirst())) { return wallMillis() - ago }
        guard let millis = parseTime(text) else {
            throw Failure(
                .wrongUsage, "\(option) cannot be `\(text)`", why: "it is no time",
                now: "write it as 2026-03-01T12:00:00Z or as a time ago like -2h")
        }
        return millis
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal, _ jobs: JobDefinitions) throws -> Int32 {
        let own = try parsed.settings()
        try Logging.begin(own)
        let cluster = try LocalCluster(settings: own, jobs: jobs, onBatch: { _ in })
        defer { cluster.end() }
        let catalog = cluster.driver.catalog
        let live = try JobView.record(parsed.required("NAME"), catalog)

        if live.definition == SQLJob.definition {
            throw Failure(
                .notPossible, "a backfill of \(live.name) is not there yet", why: "its rows are not chosen by event time", now: "run its text under another --name with --from")
        }

        // Everything is the live job's but what this command line says.
        var values = live.settings
        for entry in own.all {
            if case .flag = entry.origin { values[entry.key.name] = own.jobValues[entry.key.name] }
        }
        let writesLiveSink = values["sink"] == live.settings["sink"]
        let graph = try jobs.graph(definition: live.definition, settings: values)
        let engine = try EngineSettings(values, graph: graph)
        if writesLiveSink && !sinkReplacesRows(address: engine.sink, table: graph.sink) {
            throw Failure(
                .notPossible, "job \(live.name) cannot be backfilled into its own table",
                why: "its sink appends without a unique key, so rows would be doubled", now: "name another --sink")
        }
        var plan = try BackfillPlan.bounds(
            fromMillis: time(parsed.text("from"), "--from"), untilMillis: time(parsed.text("to"), "--to"),
            windowMillis: graph.closingMillis, latenessMillis: engine.latenessMillis,
            slackMillis: parsed.millis("slack") ?? 60_000,
            liveWatermarkMillis: try catalog.lastDone(live.jobID)?.outcome?.watermarkAfterMillis,
            writesLiveSink: writesLiveSink)
        let queries = try OffsetQueries(engine.kafka)
        var reach = BackfillReach(
            fromMillis: plan.bounds.fromMillis - engine.latenessMillis, untilMillis: plan.bounds.untilMillis)
        try catalog.spans(live.jobID) { reach.add($0) }
        let positions = Dictionary(
            uniqueKeysWithValues: try catalog.positions(live.jobID).map {
                (TopicPartition(topic: $0.topic, partition: $0.partition), $0.position)
            })
        let partitions = positions.keys.sorted()
        try plan.take(
            reach, live: positions, starts: try queries.starts(partitions),
            stamped: try queries.offsets(atTimeMillis: plan.readFromMillis, partitions))
        if !parsed.flag("json") || parsed.flag("plan") {
            try show(plan, live: live, engine: engine, catalog: catalog, terminal: terminal, asJSON: parsed.flag("json"))
        }
        let isDry = parsed.flag("plan")
        if !isDry { try endAbandoned(of: live, catalog, jobs) }
        // Only deleted input can make a value smaller; without it the plan needs no computing.
        if isDry && (plan.truncated.isEmpty || !writesLiveSink) { return 0 }
        return try compute(
            plan, live: live, values: values, graph: graph, cluster: cluster, parsed: parsed, terminal: terminal,
            checksShrink: writesLiveSink, isDry: isDry)
    }

    /// Backfills whose process died: nobody goes on with one, so what they kept goes, and their rows say how it ended. One that has just
    /// begun has no lease yet; one that cannot be ended now stays for the next backfill.
    private static func endAbandoned(of live: JobRecord, _ catalog: Catalog, _ jobs: JobDefinitions) throws {
        for record in try catalog.jobs() where record.parentJobID == live.jobID && record.kind == .backfill {
            let isYoung = wallMillis() - record.updatedAtMillis < youngMillis
            guard record.state == .running || record.state == .starting && !isYoung, try catalog.liveHolder(of: record.name) == nil else { continue }
            do { try end(record, catalog, jobs) } catch {
                let reason = failure(error)
                Log.warning("an abandoned backfill was not ended", [("job", record.name), ("what", reason.what), ("why", reason.why)])
            }
        }
    }

    private static let youngMillis: Int64 = 10_000

    private static func end(_ record: JobRecord, _ catalog: Catalog, _ jobs: JobDefinitions) throws {
        let graph = try jobs.graph(definition: record.definition, settings: record.settings)
        let settings = try EngineSettings(record.settings, graph: graph)
        try JobsForgetting.holding(record.name, catalog) { epoch in
            try StateStore(address: settings.state).removeState(record.jobID)
            let sink = try openSink(settings, table: graph.sink)
            defer { sink.close() }
            try sink.forget(SinkIdentity(job: record.name, jobID: record.jobID, epoch: epoch, sink: graph.sink.name))
            try catalog.setJobState(
                record.jobID, epoch: epoch, state: .failed,
                reason: Failure(.taskCancelled, "the process of backfill \(record.name) died", why: "nobody holds its lease", now: "run the backfill again"))
        }
    }

    private static func show(
        _ plan: BackfillPlan, live: JobRecord, engine: EngineSettings, catalog: Catalog, terminal: Terminal, asJSON: Bool
    ) throws {
        let recent = try catalog.batches(live.jobID, last: 20).compactMap(\.outcome)
        let rows = recent.reduce(0) { $0 + $1.rowsIn }
        let bytes = recent.reduce(0) { $0 + $1.bytesIn }
        func estimate(_ records: Int64) -> Int64? { rows > 0 ? records * bytes / rows : nil }
        let from = formatTime(plan.bounds.fromMillis)
        let to = formatTime(plan.bounds.untilMillis)
        if asJSON {
            for range in plan.ranges {
                try terminal.json(
                    PlanLine(
                        job: live.name, from: from, to: to, topic: range.topic, partition: range.partition,
                        fromOffset: range.from, untilOffset: range.until, records: range.count,
                        bytesEstimated: estimate(range.count)))
            }
            return
        }
        try terminal.line("event times [\(from), \(to))\(plan.isRounded ? ", rounded to window bounds" : "")")
        let first = plan.firstBatch.map { "batch \($0)" } ?? "the earliest offsets"
        let end = plan.endBatch.map { "before batch \($0)" } ?? "where the live job stands"
        try terminal.line(
            "offsets from \(first) to \(end)\(plan.readsLate ? ", and of the batches behind it that had late rows" : "")")
        var table = Table([.text("partition"), .number("from"), .number("until"), .number("records"), .number("bytes (about)")])
        for range in plan.ranges {
            table.add([
                range.topicPartition.description, "\(range.from)", "\(range.until)", grouped(range.count),
                estimate(range.count).map(grouped) ?? "-",
            ])
        }
        try terminal.table(table)
        let total = plan.ranges.reduce(0) { $0 + $1.count }
        let batches = engine.maxBatchRecords > 0 ? max(1, (total + engine.maxBatchRecords - 1) / engine.maxBatchRecords) : 1
        try terminal.line("\(grouped(total)) offsets in at least \(batches) batch\(batches == 1 ? "" : "es")")
        for partition in plan.truncated {
            try terminal.line("\(partition): older records are deleted; windows at the beginning may be incomplete")
        }
    }

    private static func compute(
        _ plan: BackfillPlan, live: JobRecord, values: [String: String], graph: StageGraph, cluster: LocalCluster,
        parsed: ParsedArguments, terminal: Terminal, checksShrink: Bool, isDry: Bool
    ) throws -> Int32 {
        let catalog = cluster.driver.catalog
        let name = "\(live.name)~backfill-\(hexadecimal(UInt64.random(in: 0...UInt64.max)).prefix(8))"
        var values = values
        values["name"] = name
        values["interval"] = "0"
        let record = try catalog.insertJob(
            JobRecord(
                jobID: .random(), name: name, definition: live.definition, settings: values, kind: .backfill,
                parentJobID: live.jobID, buildDigest: ThisProgram.buildDigest, settingsDigest: live.settingsDigest))
        var options = LoopOptions()
        options.untilCaughtUp = true
        options.backfill = plan.bounds
        options.starts = Dictionary(uniqueKeysWithValues: plan.ranges.map { ($0.topicPartition, $0.from) })
        options.targets = Dictionary(uniqueKeysWithValues: plan.ranges.map { ($0.topicPartition, $0.until) })
        let isAllowed = parsed.flag("allow-shrink")
        let truncated = plan.truncated
        let settings = try EngineSettings(values, graph: graph)
        let table = graph.sink
        let found = Mutex<[ShrinkCheck.Shrunk]>([])
        if checksShrink {
            options.checkRows = { rows in
                let sink = try openSink(settings, table: table)
                defer { sink.close() }
                let shrunk = try ShrinkCheck.shrunk(rows, in: sink, table: table)
                found.withLock { $0 = shrunk }
                if isDry { throw Self.dryEnd }
                guard shrunk.isEmpty || isAllowed && !truncated.isEmpty else { throw Self.refusal(shrunk, truncated) }
            }
        }
        let progress = BatchProgress(terminal: terminal, job: name, asJSON: parsed.flag("json"))
        if !isDry { cluster.onBatch = { progress.batchDone($0) } }
        let signals = Signals()
        defer { signals.cancel() }
        let run = cluster.driver.runs.start(record.name, options)
        signals.ask { run.control.ask(.kill) }
        let (_, reason) = run.wait()
        if isDry {
            for entry in found.withLock({ $0 }).prefix(100) {
                try terminal.line("would shrink: \(entry.key) \(entry.column) \(entry.stored) -> \(entry.computed)")
            }
            if let reason, reason != dryEnd { throw reason }
            // It was computed to be looked at, and leaves nothing: the loop has taken claim and state with it.
            try JobsForgetting.holding(name, catalog) { epoch in
                try StateStore(address: settings.state).removeAll(record.jobID)
                try catalog.forgetJob(record.jobID, epoch: epoch)
            }
            return 0
        }
        if let reason { throw reason }
        try progress.end(run.control.status)
        return 0
    }

    private static let dryEnd = Failure(
        .taskCancelled, "only a plan was asked for", why: "--plan writes nothing", now: "run it without --plan")

    private static func refusal(_ shrunk: [ShrinkCheck.Shrunk], _ truncated: [TopicPartition]) -> Failure {
        let first = shrunk.prefix(3).map { "\($0.key): \($0.column) \($0.stored) -> \($0.computed)" }.joined(separator: "; ")
        guard truncated.isEmpty else {
            return Failure(
                .notPossible, "\(shrunk.count) stored values would become smaller",
                why: "their input is partly deleted in \(truncated.map(\.description).joined(separator: ", ")): \(first)",
                now: "nothing was written; shorten the span, name another --sink, or write them with --allow-shrink")
        }
        return Failure(
            .notPossible, "\(shrunk.count) stored values would become smaller",
            why: "no input is deleted, so the offsets that were read do not hold all records of that time: \(first)",
            now: "nothing was written; raise --slack, so that reading begins earlier, or name another --sink and compare")
    }
}
