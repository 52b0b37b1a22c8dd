// `sluice fsck NAME [--deep]`: whether log, ledger, state, sink, group and topic say the same of a job.
//
// One line a check: `ok`, `fault`, or `skip` where a place does not answer. It changes nothing and needs no lease; what it
// finds it names with the command that mends it. A job that runs moves while it is looked at: then only what cannot be true at
// any moment is called a fault. `--deep` runs every batch again whose state and records are still there, and compares digests.
//
// Checklist when a check is added: it says where the two places differ by number, and never calls a place faulty because it
// is away.

import Driver
import Engine
import Foundation

enum FsckCommand {
    static func command(_ jobs: JobDefinitions) -> Command {
        Command(
            "fsck", .tools, summary: "check a job's places against each other",
            about: """
                Checks the log against itself (as `catalog check` does), against the ledger and the owner in the sink, the state files, \
                the offsets of the Kafka group and the topic's identity. One line a check, each fault with what mends it. --deep runs \
                the batches again that can still be run, and compares their digests; nothing is written. Exits with 1 on a fault.
                """,
            positionals: [OneJob.positional],
            options: [
                Option(flag: "deep", help: "run the kept batches again and compare digests"),
                Option("last", .integer(1...10_000), fallback: "10", help: "with --deep: how many of the newest batches"),
                .json,
            ],
            settingFlags: .some([.catalog, .logFormat, .logLevel]),
            examples: [
                Command.Example("sluice fsck campaign-views", "log, sink, state, group and topic"),
                Command.Example("sluice fsck campaign-views --deep --last 3", "and the three newest batches again"),
            ],
            run: { try run($0, $1, jobs) })
    }

    struct Line: Encodable {
        enum Status: String, Encodable { case ok, fault, skip }
        var job: String
        var check: String
        var status: Status
        var what: String
        /// The command that mends it.
        var now: String?
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal, _ jobs: JobDefinitions) throws -> Int32 {
        let settings = try parsed.settings()
        try Logging.begin(settings)
        let catalog = try ExistingCatalog.open(settings)
        defer { catalog.close() }
        let record = try JobView.record(parsed.required(OneJob.positional.name), catalog)
        var check = JobCheck(record: record, catalog: catalog, jobs: jobs)
        var lines = check.lines()
        if parsed.flag("deep") { lines += try deep(parsed, settings, record, jobs, last: parsed.integer("last") ?? 10) }
        if parsed.flag("json") {
            for line in lines { try terminal.json(line) }
        } else {
            let widest = lines.map(\.check.count).max() ?? 0
            for line in lines {
                let status = line.status.rawValue.padding(toLength: 5, withPad: " ", startingAt: 0)
                try terminal.line("\(status)  \(line.check.padding(toLength: widest, withPad: " ", startingAt: 0))  \(line.what)")
                if let now = line.now { try terminal.line("       now: \(now)") }
            }
            let faults = lines.count { $0.status == .fault }
            let skipped = lines.count { $0.status == .skip }
            try terminal.line(
                faults > 0
                    ? "FAILED: \(faults) fault\(faults == 1 ? "" : "s")"
                    : "ok: job \(record.name) is whole\(skipped > 0 ? ", as far as it could be checked (\(skipped) skipped)" : "")")
        }
        return lines.contains { $0.status == .fault } ? 1 : 0
    }

    /// The newest batches once more.
    private static func deep(
        _ parsed: ParsedArguments, _ settings: Settings, _ record: JobRecord, _ jobs: JobDefinitions, last: Int
    ) throws -> [Line] {
        let cluster = try LocalCluster(settings: settings, jobs: jobs, workers: 0, onBatch: { _ in })
        defer { cluster.end() }
        let catalog = cluster.driver.catalog
        return try catalog.batches(record.jobID, last: last).filter { $0.state == .done && !$0.plan.ranges.isEmpty }.map { logged in
            let batch = logged.plan.batch
            func line(_ status: Line.Status, _ what: String, now: String? = nil) -> Line {
                Line(job: record.name, check: "batch \(batch)", status: status, what: what, now: now)
            }
            do {
                let report = try Replay.run(
                    batch, of: record, catalog: catalog, pool: cluster.driver.pool, jobs: jobs,
                    buildDigest: ThisProgram.buildDigest, returnRows: false)
                if report.isEqual { return line(.ok, "gives the same rows, digest \(report.computed.digest)") }
                guard report.differences.isEmpty else {
                    return line(.skip, "gives other rows, but \(report.differences.joined(separator: "; "))")
                }
                return line(
                    .fault, "gives other rows than the log says: digest \(report.computed.digest) for \(report.recorded.digest)",
                    now: "`sluice replay \(record.name) --batch \(batch) --print` shows them; report this")
            } catch {
                let failure = failure(error)
                return line(.skip, "cannot be run again: \(failure.what): \(failure.why)")
            }
        }
    }
}

/// The checks of one job that do not run anything.
private struct JobCheck {
    typealias Line = FsckCommand.Line
    let record: JobRecord
    let catalog: Catalog
    let jobs: JobDefinitions
    private var found: [Line] = []

    init(record: JobRecord, catalog: Catalog, jobs: JobDefinitions) {
        self.record = record
        self.catalog = catalog
        self.jobs = jobs
    }

    private mutating func add(_ check: String, _ status: Line.Status, _ what: String, now: String? = nil) {
        found.append(Line(job: record.name, check: check, status: status, what: what, now: now))
    }

    /// One check that says `ok` when it found nothing; what a place does not answer is skipped.
    private mutating func checked(_ name: String, _ body: (inout JobCheck) throws -> String) {
        let before = found.count
        do {
            let well = try body(&self)
            if found.count == before { add(name, .ok, well) }
        } catch {
            let failure = failure(error)
            add(name, .skip, "\(failure.what): \(failure.why)")
        }
    }

    mutating func lines() -> [Line] {
        checked("log") { check in
            for fault in try check.catalog.check(check.record) { check.add("log", .fault, fault.what, now: fault.now) }
            let last = try check.catalog.lastDone(check.record.jobID)?.plan.batch ?? 0
            return "every offset once up to batch \(last)"
        }
        checked("sink") { try $0.sink() }
        checked("state") { try $0.state() }
        do {
            let graph = try jobs.graph(definition: record.definition, settings: record.settings)
            let settings = try EngineSettings(record.settings, graph: graph)
            let queries = try OffsetQueries(settings.kafka)
            checked("topic") { try $0.topic(settings, queries) }
            checked("group") { try $0.group(settings, queries) }
        } catch {
            let failure = failure(error)
            add("topic", .skip, "\(failure.what): \(failure.why)")
        }
        return found
    }

    // MARK: sink

    private mutating func sink() throws -> String {
        let graph = try jobs.graph(definition: record.definition, settings: record.settings)
        let settings = try EngineSettings(record.settings, graph: graph)
        let marks = try catalog.sealsSoFar(record.jobID)
        let last = try catalog.lastDone(record.jobID)?.plan.batch ?? 0
        if let path = settings.sink.hasPrefix("sqlite:") ? String(settings.sink.dropFirst("sqlite:".count)) : nil,
            !FileManager.default.fileExists(atPath: path)
        {
            // Opening would make it.
            guard marks.isEmpty else {
                add("sink", .fault, "\(path) is not there, and batch \(last) wrote to it", now: "restore it, or `sluice repair \(record.name)` writes what it lacks")
                return ""
            }
            return "nothing was written yet"
        }
        let sink = try openSink(settings, table: graph.sink)
        defer { sink.close() }
        switch try sink.owner(job: record.name) {
        case .nobody:
            if !marks.isEmpty && !["console:", "discard:"].contains(settings.sink) {
                add("sink", .fault, "it does not know job \(record.name), whose parts are written up to batch \(last)", now: "`sluice repair \(record.name)` writes what it lacks")
            }
            return "nothing was written yet"
        case .job(let id, let epoch):
            guard id == record.jobID else {
                add("sink", .fault, "it belongs to job id \(id), this log is \(record.jobID)", now: "use the catalog of that id, or take the sink over with --adopt")
                return ""
            }
            let lease = try catalog.lease(record.name)?.epoch ?? 0
            if epoch > lease {
                add("sink", .fault, "it was claimed under epoch \(epoch), the log is at \(lease): this catalog is an older copy", now: "use the newest catalog")
            }
        }
        guard let facts = try sinkFacts(settings, graph.sink, sink) else { return "a job that runs on: its parts are sealed while they are looked at" }
        switch SinkVerdict.decide(facts) {
        case .goOn, .begin: break
        case .runAgain(let batches):
            add(
                "sink", .fault, "it lacks rows of batches \(batches.lowerBound) to \(batches.upperBound)",
                now: "`sluice repair \(record.name)`, or the job's next start, writes them again")
        case .writeAnew(let batches):
            add(
                "sink", .fault, "its parts are of different moments, and one lacks rows that others have newer ones of",
                now: "`sluice repair \(record.name)`, or the job's next start, writes batches \(batches.lowerBound) to \(batches.upperBound) again")
        case .refuse(let failure): add("sink", .fault, "\(failure.what): \(failure.why)", now: failure.now)
        }
        let parts = facts.sight?.parts.count ?? 0
        return "\(parts) part\(parts == 1 ? "" : "s"), ledger, table and newest rows as the log says"
    }

    /// What the verdict of a start is decided by; nil for a job that goes on between the looks at log and sink.
    private func sinkFacts(_ settings: EngineSettings, _ table: SinkTable, _ sink: any Sink) throws -> SinkVerdict.Facts? {
        func stand() throws -> [BatchNumber] {
            [try catalog.lastDone(record.jobID)?.plan.batch ?? 0, try catalog.openPlan(record.jobID)?.plan.batch ?? 0]
        }
        for _ in 0..<20 {
            let before = try stand()
            var facts = try SinkVerdict.Facts(
                of: record, address: settings.sink, table: table, seals: try catalog.sealsSoFar(record.jobID),
                open: before[1] > 0 ? before[1] : nil, last: before[0], sink, catalog)
            if let behind = facts.readsFrom {
                facts.history = try catalog.seals(record.jobID, since: behind, last: facts.last).0
                facts.canRunFrom = 1
            }
            if try stand() == before { return facts }
            Thread.sleep(forTimeInterval: 0.05)
        }
        return nil
    }

    // MARK: state

    private mutating func state() throws -> String {
        guard let address = record.settings["state"] else { return "the job has none" }
        guard record.kind == .live else { return "a backfill's goes with its end" }
        let store = try StateStore(address: address)
        var manifests = try catalog.keptHourStates(record.jobID).map(\.state)
        if let state = try catalog.lastDone(record.jobID)?.outcome?.state { manifests.append(state) }
        if let state = try catalog.openPlan(record.jobID)?.plan.stateBefore { manifests.append(state) }
        var seen = Set<String>()
        for file in manifests.flatMap(\.entries).flatMap(\.files) where !file.inline && seen.insert(file.name).inserted {
            do {
                _ = try store.get(record.jobID, file)
            } catch let failure as Failure where failure.code == .stateMissing || failure.code == .stateUnreachable {
                add("state", .fault, "\(failure.what): \(failure.why)", now: "restore \(address) from a backup, or go back to a kept version with --offsets kafka")
            }
        }
        for logged in try catalog.rejecting(record.jobID) + catalog.late(record.jobID) {
            for file in logged.outcome?.offsetFiles ?? [] where seen.insert(file.name).inserted {
                do {
                    _ = try file.read(record.jobID, from: store)
                } catch let failure as Failure where failure.code == .stateMissing || failure.code == .stateUnreachable {
                    add("state", .fault, "\(failure.what): \(failure.why)", now: "restore \(address) from a backup; else redrive knows these offsets no more")
                }
            }
        }
        return seen.isEmpty ? "no files" : "\(seen.count) files, each with its digest"
    }

    // MARK: Kafka

    private mutating func topic(_ settings: EngineSettings, _ queries: OffsetQueries) throws -> String {
        let positions = try catalog.positions(record.jobID).filter { settings.topics.contains($0.topic) }
        guard !positions.isEmpty else { return "nothing was read yet" }
        let mend = "run the job under another --name, or restore the topic; if it is the old one on another cluster start with --accept-topic"
        var there: Set<TopicPartition> = []
        for topic in settings.topics {
            if let id = try queries.topicID(of: topic), let known = try catalog.lastDone(record.jobID)?.plan.topicIDs[topic], known != id {
                add("topic", .fault, "\(topic) was recreated: its id is \(id), the log read \(known)", now: mend)
                return ""
            }
            there.formUnion(try queries.partitions(of: topic).map { TopicPartition(topic: topic, partition: $0) })
        }
        let places = positions.map { TopicPartition(topic: $0.topic, partition: $0.partition) }
        let (starts, ends) = (try queries.starts(places.filter(there.contains)), try queries.ends(places.filter(there.contains)))
        for position in positions {
            let place = TopicPartition(topic: position.topic, partition: position.partition)
            guard let start = starts[place], let end = ends[place] else {
                add("topic", .fault, "\(place) is not there any more, the log stands at \(position.position)", now: mend)
                continue
            }
            if end < position.position { add("topic", .fault, "\(place) ends at \(end), the log stands at \(position.position)", now: mend) }
            if start > position.position {
                add(
                    "topic", .fault, "\(place) begins at \(start), the log stands at \(position.position): \(start - position.position) offsets were deleted unread",
                    now: "start the job with --accept-loss, which writes that down")
            }
            guard let offset = position.tailOffset, let hash = position.tailHash, start <= offset, offset < end,
                let found = try TailRecord.hash(settings.kafka, place, offset: offset), hexadecimal(found) != hash
            else { continue }
            add("topic", .fault, "\(place) holds another record at \(offset) than the log remembers", now: mend)
        }
        return "\(positions.count) partitions, the records that the log remembers"
    }

    private mutating func group(_ settings: EngineSettings, _ queries: OffsetQueries) throws -> String {
        guard record.kind == .live else { return "a backfill has none" }
        let group = "sluice.\(record.name)"
        let positions = try catalog.positions(record.jobID).filter { settings.topics.contains($0.topic) }
        let places = positions.map { TopicPartition(topic: $0.topic, partition: $0.partition) }
        let committed = try queries.committed(group: group, places, patienceMillis: 5000)
        for position in positions {
            let place = TopicPartition(topic: position.topic, partition: position.partition)
            guard let entry = committed[place] else { continue }
            let offset = entry.offset
            // Our own commits may lag behind the log; Kafka's tools erase the mark by which they are known.
            let isOurs = RecoveryPlan.Committed(offset: offset, metadata: entry.metadata, isRecorded: false).isOurs
            if offset < position.position, !isOurs {
                add(
                    "group", .fault, "\(group) was moved by hand to \(offset) in \(place), the log stands at \(position.position)",
                    now: "start the job with --offsets log to go on where the log stands, or with --offsets kafka to go where the group stands")
            }
            guard offset > position.position else { continue }
            let now = try catalog.positions(record.jobID).first { $0.topic == place.topic && $0.partition == place.partition }
            guard offset > now?.position ?? 0 else { continue }
            add(
                "group", .fault, "\(group) stands at \(offset) in \(place), the log at \(position.position)",
                now: "start the job with --offsets log to go on where the log stands, or with --offsets kafka to go where the group stands")
        }
        return "\(committed.count) positions, none beyond the log or moved by hand"
    }
}
