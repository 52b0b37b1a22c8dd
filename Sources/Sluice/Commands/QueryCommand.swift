// `sluice query 'SELECT ...'`: a question over what topics hold now, answered once. Nothing is written, no job is made.

import Dataflow
import Decoding
import Engine
import Foundation
import SQLBinding
import SQLSyntax
import Values

enum QueryCommand {
    static let command = Command(
        "query", .tools, summary: "ask history once",
        about: """
            Reads the topics of a query up to where they end now, answers, and writes nothing. Tables are declared before the SELECT, in the \
            same text or in a file (--tables). The whole answer is exact over the rows that were read: nothing is late. --from and --to choose \
            records by the times that they were stamped with; a table with mode = 'upsert' is read from its beginning. Records that are no \
            rows are left out, counted, and said. It runs in one process.
            """,
        positionals: [Positional("SQL", help: "a text that ends with a SELECT, or the path of a file with one")],
        options: [
            Option("tables", .text, valueName: "FILE", help: "a file of SQL with CREATE TABLE and CREATE VIEW, before the query"),
            Option("from", .text, valueName: "TIME", help: "first record, as 2026-03-01T12:00:00Z or a time ago like -2h"),
            Option("to", .text, valueName: "TIME", help: "first record that is no longer read"),
            Option("format", .choice(QueryAnswer.Format.allCases.map(\.rawValue)), fallback: "table", help: "table, csv, or json: an object a line"),
            Option("value", .text, valueName: "NAME=VALUE", help: "what ${NAME} in the text stands for, or several with commas between"),
        ],
        settingFlags: .some([.bootstrap, .kafka, .reader]),
        examples: [
            Command.Example(
                "sluice query 'SELECT event_type, count(*) FROM events GROUP BY 1 ORDER BY 2 DESC' --tables events.sql",
                "counts over all that the topic holds"),
            Command.Example("sluice query report.sql --from -2h --format json", "the records of two hours, as JSON"),
        ],
        run: run)

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        do {
            let job = try job(parsed)
            do { return try answer(job, parsed, terminal) } catch let stop as RowStop { throw TestCommand.stopped(stop, job) }
        } catch let error as SQLError {
            terminal.note(error.description)
            return 1
        } catch let stop as DecodeStop {
            throw Failure(
                .rowRefused, "a record is no row: \(stop.rejected.fault.message)",
                why: "\(stop.topic) partition \(stop.partition) offset \(stop.rejected.offset)\(stop.column.map { ", column \($0)" } ?? ""), and on_error is 'stop'",
                now: "mend the record, or set on_error = 'quarantine'")
        }
    }

    private static func job(_ parsed: ParsedArguments) throws -> BoundJob {
        let words = parsed.required("SQL")
        // A text has blanks; a path that has some is still a file.
        let isFile = FileManager.default.fileExists(atPath: words) || !words.contains(where: \.isWhitespace)
        let asked = try isFile ? QueryFile.text(of: words) : words
        let name = isFile ? words : "query"
        guard let tables = parsed.text("tables") else { return try QueryFile.job(SourceText(asked, name: name), parsed) }
        return try QueryFile.job(SourceText(QueryFile.text(of: tables), name: tables, then: asked, named: name), parsed)
    }

    private static func answer(_ job: BoundJob, _ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        guard job.question != nil else {
            throw Failure(
                .wrongUsage, "nothing is asked", why: "the text has no SELECT of its own", now: "end it with SELECT ..., or `sluice check` what it declares")
        }
        let settings = try parsed.settings()
        let properties = try SettingsSource.kafkaProperties(settings)
        guard let bootstrap = settings.optionalText(.bootstrap) else {
            throw Failure(.wrongUsage, "no Kafka is named", why: "the query's topics are to be read", now: "give --bootstrap HOST:PORT, or set it in the configuration file")
        }
        let wish = ReaderChoice.Wish(rawValue: settings.text(.reader)) ?? ReaderChoice.usual
        let kafka = QueryKafka(
            configuration: try KafkaConfiguration(bootstrap: bootstrap, properties: properties), reader: try ReaderChoice.of(wish, properties: properties).kind)
        let span = QuerySpan(fromMillis: try time(parsed.text("from"), "--from"), untilMillis: try time(parsed.text("to"), "--to"))
        for note in job.notes { terminal.note("note: \(note)") }
        let began = ContinuousClock.now
        let run = try QueryRun(job, span: span, kafka: kafka)
        let answer = try QueryAnswer(
            run.columns, order: job.order, format: QueryAnswer.Format(rawValue: parsed.text("format") ?? "") ?? .table, isChanging: run.isChanging,
            context: run.context, terminal: terminal)
        var shown = began
        try run.answer(take: answer.take) { progress in
            let now = ContinuousClock.now
            guard now - shown > .milliseconds(200) else { return }
            shown = now
            try terminal.live(["reading: \(share(progress)), \(grouped(progress.records)) records"])
        }
        try terminal.endLive()
        try answer.end()
        report(run, answer, ContinuousClock.now - began, job, terminal)
        return 0
    }

    private static func share(_ progress: QueryProgress) -> String { "\(progress.all == 0 ? 100 : progress.done * 100 / progress.all) %" }

    private static func report(_ run: QueryRun, _ answer: QueryAnswer, _ took: Duration, _ job: BoundJob, _ terminal: Terminal) {
        func many(_ count: Int64, _ word: String) -> String { "\(grouped(count)) \(word)\(count == 1 ? "" : "s")" }
        let seconds = Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18
        terminal.note(
            "\(many(answer.count, "row")) out of \(many(run.progress.records, "record")) of \(many(Int64(run.progress.partitions), "partition")) in \(seconds.formatted(.number.precision(.fractionLength(2)))) s"
        )
        for (topic, outcome, first) in run.outcomes {
            let reasons = RowRejectReason.allCases.map { ($0, outcome.counts[$0]) }.filter { $0.1 > 0 }
            guard !reasons.isEmpty else { continue }
            let list = reasons.map { "\(grouped(Int64($0.1))) \($0.0.words)" }.joined(separator: ", ")
            var text = "\(topic): left out: \(list)"
            if let first, let fault = outcome.rejected.first?.fault { text += "; the first at partition \(first.partition) offset \(first.from): \(fault.message)" }
            terminal.note(text)
        }
        if run.counts.late > 0 { terminal.note("\(many(Int64(run.counts.late), "row")) came when their window was closed") }
        if run.counts.failed > 0 {
            terminal.note("\(many(Int64(run.counts.failed), "row")) failed in the query and \(run.counts.failed == 1 ? "is" : "are") left out")
            for error in run.counts.faults.prefix(5) {
                let (line, column) = job.text.lineAndColumn(Place(error.position))
                terminal.note("  at \(job.text.name(at: Place(error.position))):\(line):\(column): \(error.fault.message) (\(error.fault.sqlState))")
            }
        }
    }

    private static func time(_ text: String?, _ option: String) throws -> Int64? {
        guard let text else { return nil }
        if text.hasPrefix("-"), let ago = parseDuration(String(text.dropFirst())) { return wallMillis() - ago }
        if let millis = parseTime(text) { return millis }
        throw Failure(
            .wrongUsage, "\(option) cannot be `\(text)`", why: "it is no time", now: "write it as 2026-03-01T12:00:00Z or as a time ago like -2h")
    }
}

extension RowRejectReason {
    /// For a person, behind a number.
    fileprivate var words: String {
        switch self {
        case .undecodable: "undecodable"
        case .null: "with NULL where none may be"
        case .nullEventTime: "without an event time"
        case .tooFarAhead: "too far ahead"
        case .keyMissing: "without a key"
        case .keyUndecodable: "with an undecodable key"
        case .keyDiffers: "with another key than the value says"
        case .tombstone: "without a value"
        }
    }
}
