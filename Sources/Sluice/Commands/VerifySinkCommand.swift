// `sluice verify-sink NAME --against ADDRESS`: recorded batches, delivered in every wrong way into a staging sink.
//
// The rows are computed again as `replay` does; what is done with them is `SinkTrial`'s list. Deliveries that are to be
// killed are made by a child process, which dies there as by kill -9. After each step the whole table is compared with what
// it was, and at the end with the rows themselves. The staging table stays, so that it can be looked at.

import Driver
import Engine
import Foundation
import Wire

enum VerifySinkCommand {
    static func command(_ jobs: JobDefinitions) -> Command {
        Command(
            "verify-sink", .batches, summary: "prove that a sink takes repeated and killed deliveries once",
            about: """
                Computes recorded batches again and delivers them into a staging sink twice, out of order, and by processes \
                that are killed in the middle, and compares the table after each step. Needs a database in which the job's \
                table is missing or empty. Exits with 1 when something changed that must not.
                """,
            positionals: [Positional("NAME", help: "the job's name")],
            options: [
                Option("against", .text, valueName: "ADDRESS", help: "the staging sink: sqlite:FILE or postgres://..."),
                Option("batches", .integer(1...1000), fallback: "3", help: "how many of the newest batches with rows"),
                Option(flag: "plan", help: "only list the steps"),
                .json,
            ],
            settingFlags: .some([.catalog, .workers, .slots, .logFormat, .logLevel]),
            examples: [
                Command.Example(
                    "sluice verify-sink campaign-views --against sqlite:staging.db", "delivers its newest batches into a file"),
                Command.Example("sluice verify-sink campaign-views --against sqlite:staging.db --plan", "lists what would be done"),
            ],
            run: { try run($0, $1, jobs) })
    }

    private struct Line: Encodable {
        var job: String
        var batch: BatchNumber
        var part: Int
        var step: String
        var expected: String
        /// Missing with `--plan`.
        var passed: Bool?
        var found: String?
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal, _ jobs: JobDefinitions) throws -> Int32 {
        let settings = try parsed.settings()
        try Logging.begin(settings)
        guard let address = parsed.text("against") else {
            throw Failure(
                .wrongUsage, "no staging sink was named", why: "--against ADDRESS says where the deliveries go",
                now: "name an empty database, such as --against sqlite:staging.db")
        }
        let cluster = try LocalCluster(settings: settings, jobs: jobs, workers: 0, onBatch: { _ in })
        defer { cluster.end() }
        let catalog = cluster.driver.catalog
        let record = try JobView.record(parsed.required("NAME"), catalog)
        let batches = try catalog.batches(record.jobID, last: 10_000).filter { logged in
            logged.outcome?.parts.contains { $0.rows > 0 } ?? false
        }.suffix(parsed.integer("batches") ?? 3)
        guard !batches.isEmpty else {
            throw Failure(
                .notPossible, "job \(record.name) has no batch with rows", why: "the log holds none (any more)",
                now: "let the job run first; `sluice batches \(record.name)` lists them")
        }
        let marks = batches.flatMap { logged in
            (logged.outcome?.parts ?? []).filter { $0.rows > 0 }.sorted { $0.part < $1.part }.map {
                SealMark(sink: $0.sink ?? 0, part: $0.part, batch: logged.plan.batch, digest: $0.digest)
            }
        }
        let steps = SinkTrial.steps(marks)
        let isJSON = parsed.flag("json")
        if parsed.flag("plan") {
            for step in steps { try show(step, nil, of: record.name, terminal, isJSON) }
            return 0
        }
        var parts: [SealMark: SealPart] = [:]
        for logged in batches {
            let report = try Replay.run(
                logged.plan.batch, of: record, catalog: catalog, pool: cluster.driver.pool, jobs: jobs,
                buildDigest: ThisProgram.buildDigest, returnRows: true)
            guard report.isEqual else {
                throw Failure(
                    .digestMismatch, "batch \(logged.plan.batch) gives other rows than the log says",
                    why: report.differences.isEmpty ? "its digest differs" : report.differences.joined(separator: "; "),
                    now: "look at `sluice replay \(record.name) --batch \(logged.plan.batch)` first")
            }
            for part in report.parts {
                parts[SealMark(part: part.part, batch: logged.plan.batch, digest: part.digest)] = part
            }
        }
        let graph = try jobs.graph(definition: record.definition, settings: record.settings)
        let trial = try StagingTrial(address: address, table: graph.sink, job: record.name, marks: marks, parts: parts)
        defer { trial.close() }
        var failed = 0
        for step in steps {
            let found = try trial.carryOut(step)
            if found != nil { failed += 1 }
            try show(step, found ?? "", of: record.name, terminal, isJSON)
        }
        let wrong = try trial.compareRows()
        if let wrong { failed += 1; try terminal.line(wrong) }
        if !isJSON {
            try terminal.line(
                failed == 0
                    ? "\(steps.count) deliveries of \(marks.count) parts: the rows of \(graph.sink.name) are there once"
                    : "\(failed) of \(steps.count) deliveries came out WRONG; the table is kept as it is")
        }
        return failed == 0 ? 0 : 1
    }

    /// - Parameter found: nil for a plan, empty for what was expected.
    private static func show(
        _ step: SinkTrial.Step, _ found: String?, of job: String, _ terminal: Terminal, _ isJSON: Bool
    ) throws {
        if isJSON {
            try terminal.json(
                Line(
                    job: job, batch: step.batch, part: step.part, step: step.title, expected: step.outcome,
                    passed: found.map(\.isEmpty), found: found.flatMap { $0.isEmpty ? nil : $0 }))
            return
        }
        switch found {
        case nil: try terminal.line("\(step.title): \(step.outcome)")
        case "": try terminal.line("ok     \(step.title): \(step.outcome)")
        case let found?: try terminal.line("WRONG  \(step.title): \(found); expected: \(step.outcome)")
        }
    }
}

/// The staging sink, and what it held after the last step.
private final class StagingTrial {
    private let address: String
    private let table: SinkTable
    private let marks: [SealMark]
    private let parts: [SealMark: SealPart]
    private var identity: SinkIdentity
    private var before: [[SQLValue]]
    private let directory: String
    private var isTakenOver = false

    init(address: String, table: SinkTable, job: String, marks: [SealMark], parts: [SealMark: SealPart]) throws {
        self.address = address
        self.table = table
        self.marks = marks
        self.parts = parts
        identity = SinkIdentity(job: "\(job)~verify", jobID: .random(), epoch: 1, sink: table.name)
        directory = NSTemporaryDirectory() + "sluice-verify-\(getpid())"
        let sink = try openSink(address: address, table: table)
        defer { sink.close() }
        if try sink.sight(identity)?.table != nil, try !sinkContents(address: address, table: table).isEmpty {
            throw Failure(
                .notPossible, "the table \(table.name) in \(maskedAddress(address)) has rows",
                why: "a trial compares all of the table, and would write among them",
                now: "name a database where the table is missing or empty")
        }
        try sink.claim(identity, SinkClaim(adopt: true, begins: true))
        before = try sinkContents(address: address, table: table)
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    func close() {
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            Log.debug("temporary files not removed", [("directory", directory), ("why", "\(error)")])
        }
    }

    /// - Returns: what came out, if it is not what the step expects.
    func carryOut(_ step: SinkTrial.Step) throws -> String? {
        guard let mark = marks.first(where: { $0.batch == step.batch && $0.part == step.part }),
            let part = parts[SealMark(part: mark.part, batch: mark.batch, digest: mark.digest)]
        else {
            throw Failure(
                .internal, "a part of the trial has no rows", why: "the replay gave none for \(step.title)",
                now: "report this with the command that was run")
        }
        var by = identity
        if step.delivery == .oldEpoch {
            if !isTakenOver { try takeOver() }
            by.epoch = identity.epoch - 1
        }
        let delivery = SealPartCommand.Delivery(
            address: address, table: table, identity: by, part: step.part, batch: step.batch,
            digest: step.delivery == .otherContent ? mark.digest + "x" : mark.digest,
            after: SinkTrial.predecessor(of: mark, in: marks),
            rows: part.rows.map { Data(ChunkCodec.encode($0, compressing: false)) })
        let answer: String
        switch step.delivery {
        case .killed(let point):
            answer = try killed(delivery, at: point) ? "killed" : "lived on past \(point)"
        case .plain, .otherContent, .oldEpoch: answer = try delivered(delivery)
        }
        let after = try sinkContents(address: address, table: table)
        defer { before = after }
        let wanted: String
        switch step.expected {
        case .written, .unchanged(nil): wanted = "killed"
        case .unchanged(let outcome?): wanted = outcome.rawValue
        case .refused(let code): wanted = code.rawValue
        }
        if answer != wanted { return "it was \(answer)" }
        let isChanged = after != before
        if step.expected == .written {
            // Keys that were not there may go without a trace.
            return isChanged || part.rows.allSatisfy(\.isDelete) ? nil : "its rows are not there"
        }
        return isChanged ? "the table changed from \(before.count) to \(after.count) rows" : nil
    }

    private func takeOver() throws {
        identity.epoch += 1
        let sink = try openSink(address: address, table: table)
        defer { sink.close() }
        try sink.claim(identity, SinkClaim(seals: marks))
        isTakenOver = true
    }

    private func delivered(_ delivery: SealPartCommand.Delivery) throws -> String {
        let sink = try openSink(address: address, table: table)
        defer { sink.close() }
        do {
            return try sink.seal(
                delivery.identity, part: delivery.part, batch: delivery.batch, digest: delivery.digest,
                after: delivery.after, rows: delivery.chunks()
            ).outcome.rawValue
        } catch let refusal as Failure { return refusal.code.rawValue }
    }

    /// - Returns: whether the child was killed where it should.
    private func killed(_ delivery: SealPartCommand.Delivery, at point: String) throws -> Bool {
        let file = directory + "/part.json"
        try JSONEncoder().encode(delivery).write(to: URL(fileURLWithPath: file))
        let child = Process()
        child.executableURL = URL(filePath: ThisProgram.path)
        child.arguments = [SealPartCommand.name, file]
        child.environment = ProcessInfo.processInfo.environment.merging(["SLUICE_TEST_FAILPOINT": point]) { $1 }
        child.standardInput = FileHandle.nullDevice
        child.standardOutput = FileHandle.nullDevice
        child.standardError = FileHandle.nullDevice
        try child.run()
        child.waitUntilExit()
        return child.terminationReason == .uncaughtSignal && child.terminationStatus == SIGKILL
    }

    /// - Returns: what is wrong with the table at the end; nil when its rows are the computed ones.
    func compareRows() throws -> String? {
        let sink = try openSink(address: address, table: table)
        defer { sink.close() }
        let rows = marks.flatMap { mark in parts[SealMark(part: mark.part, batch: mark.batch, digest: mark.digest)]?.rows ?? [] }
        let there = try sinkContents(address: address, table: table).count
        guard table.mode == .keyedUpsert || !table.key.isEmpty else {
            let sent = rows.reduce(0) { $0 + $1.selectedCount }
            return there == sent ? nil : "the table has \(there) rows, and \(sent) were delivered"
        }
        // Of several rows of a key the last one counts, be it that there is none any more.
        var last: [[Value]: [Value]] = [:]
        func forEachKey(of chunk: Chunk, _ body: (_ key: [Value], _ row: Int) -> Void) {
            let columns = table.key.map { chunk.columns[chunk.schema.index(of: $0)!] }
            chunk.forEachSelectedRow { row in body(columns.map { $0.value(row) }, row) }
        }
        for chunk in rows {
            forEachKey(of: chunk) { key, row in last[key] = chunk.isDelete ? nil : chunk.values(row) }
        }
        if there != last.count { return "the table has \(there) rows, and \(last.count) keys were delivered" }
        for chunk in rows {
            var wanted: [[Value]?] = []
            forEachKey(of: chunk) { key, _ in wanted.append(last[key]) }
            for (found, wanted) in zip(try sink.existing(keysOf: chunk), wanted) where found != wanted {
                return "a row of the table is another than the one that was delivered last"
            }
        }
        return nil
    }
}
