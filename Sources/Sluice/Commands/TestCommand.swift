// `sluice test FILE`: a query tried on rows that are given, without Kafka: the rows of a case go through it, and its outputs must be
// what the case expects. `--complete` writes into the case what they are.

import Dataflow
import Engine
import Foundation
import SQLBinding
import SQLSyntax
import Values

enum TestCommand {
    static let command = Command(
        "test", .tools, summary: "try a file of SQL on given rows",
        about: """
            Runs a file of SQL over the rows of a case, in this process, and compares its outputs with what the case expects. A case is a text \
            beside the file, of the same name with the ending .case: sections `rows TABLE`, `delete TABLE`, `batch` and `expect OUTPUT`, each \
            with a line of column names and a line a row, fields between commas. What is expected behind the last rows is what the outputs are \
            when no more will come. Exits with 1 when something else is found.
            """,
        positionals: [Positional("FILE", help: "the file of SQL")],
        options: [
            Option("case", .text, valueName: "PATH", help: "the case, where it is not the file's name with .case"),
            Option("value", .text, valueName: "NAME=VALUE", help: "what ${NAME} in the text stands for, or several with commas between"),
            Option(flag: "complete", help: "write what was found into the case"),
            .json,
        ],
        examples: [
            Command.Example("sluice test report.sql", "tries report.case on report.sql"),
            Command.Example("sluice test report.sql --complete", "writes the rows of each output behind `expect`"),
        ],
        run: run)

    private struct Line: Encodable {
        var output: String
        /// Of the `expect` in the case.
        var line: Int?
        var isExpected: Bool
        var missing, unexpected: [String]
    }

    /// The last line.
    private struct Summary: Encodable {
        var expected, asExpected, rows, late, failed: Int
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        let path = parsed.required("FILE")
        let casePath = parsed.text("case") ?? ((path as NSString).deletingPathExtension + ".case")
        do {
            let job = try QueryFile.job(path, parsed)
            do { return try run(job, casePath, parsed, terminal) } catch let stop as RowStop { throw stopped(stop, job) }
        } catch let error as SQLError {
            terminal.note(error.description)
            return 1
        }
    }

    /// A row that failed where failing stops the job, at its place in the text.
    static func stopped(_ stop: RowStop, _ job: BoundJob) -> SQLError {
        SQLError(
            "a row failed: \(stop.error.fault.message) (\(stop.error.fault.sqlState))", at: Place(stop.error.position), in: job.text, why: "on_error is 'stop'",
            hint: "mend the row or the query, or set on_error = 'quarantine'")
    }

    private static func run(_ job: BoundJob, _ casePath: String, _ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        let tried = try QueryCase(QueryFile.text(of: casePath), path: casePath)
        let completes = parsed.flag("complete")
        let found = try carryOut(tried, job, compares: !completes)
        if completes { return try complete(tried, found, terminal) }
        return try compare(tried, found, job, parsed.flag("json"), terminal)
    }

    /// What each `expect` met, and all outputs in the end.
    private struct Found {
        var sections: [(expected: QueryCase.Answer, found: QueryCase.Answer)] = []
        var outputs: [(name: String, answer: QueryCase.Answer)] = []
        var counts = OperatorCounts()
    }

    private static func carryOut(_ tried: QueryCase, _ job: BoundJob, compares: Bool) throws -> Found {
        let run = try QueryCaseRun(job, path: tried.path)
        var found = Found()
        var waiting: [QueryCase.Section] = []
        func flush() throws {
            if !waiting.isEmpty { try run.run(waiting) }
            waiting = []
        }
        let last = tried.sections.lastIndex { $0.word == .rows || $0.word == .delete } ?? -1
        var hasEnded = false
        func end() throws {
            try flush()
            if !hasEnded { try run.end() }
            hasEnded = true
        }
        for (index, section) in tried.sections.enumerated() {
            switch section.word {
            case .rows, .delete: waiting.append(section)
            case .batch: try flush()
            case .expect:
                if index > last { try end() } else { try flush() }
                let answer = try run.answer(section)
                // What a completed case expected before does not count.
                found.sections.append((compares ? try run.expected(section) : answer, answer))
            }
        }
        try end()
        found.outputs = run.outputs.enumerated().map { ($1, run.answer($0)) }
        found.counts = run.counts
        return found
    }

    private static func compare(_ tried: QueryCase, _ found: Found, _ job: BoundJob, _ isJSON: Bool, _ terminal: Terminal) throws -> Int32 {
        let expects = tried.sections.filter { $0.word == .expect }
        guard !expects.isEmpty else {
            throw Failure(
                .fileInvalid, "\(tried.path) expects nothing", why: "it has no section `expect OUTPUT`",
                now: "write one, or let `sluice test --complete` write what is found")
        }
        var differing = 0
        for (section, (expected, answer)) in zip(expects, found.sections) {
            let (missing, unexpected) = difference(expected.rows, answer.rows)
            let isEqual = missing.isEmpty && unexpected.isEmpty
            if !isEqual { differing += 1 }
            if isJSON {
                try terminal.json(Line(output: section.name, line: section.line, isExpected: isEqual, missing: missing, unexpected: unexpected))
            } else if !isEqual {
                try terminal.line("\(tried.path):\(section.line): \(section.name) is not as expected")
                try terminal.line("    \(QueryCase.line(expected.header))")
                for row in missing { try terminal.line("  - \(row)") }
                for row in unexpected { try terminal.line("  + \(row)") }
            }
        }
        let rows = found.sections.reduce(0) { $0 + $1.found.rows.count }
        let counts = found.counts
        if isJSON {
            try terminal.json(Summary(expected: expects.count, asExpected: expects.count - differing, rows: rows, late: counts.late, failed: counts.failed))
        } else {
            let more = [(counts.late, "late"), (counts.failed, "failed")].filter { $0.0 > 0 }.map { ", \($0.0) \($0.1)" }.joined()
            try terminal.line("\(tried.path): \(expects.count - differing) of \(expects.count) as expected, \(rows) \(rows == 1 ? "row" : "rows")\(more)")
            for error in counts.faults.prefix(5) {
                let (line, column) = job.text.lineAndColumn(Place(error.position))
                try terminal.line("  failed at \(job.text.name):\(line):\(column): \(error.fault.message) (\(error.fault.sqlState))")
            }
        }
        return differing == 0 ? 0 : 1
    }

    /// The lines that only one of them has, as often as it has them more.
    private static func difference(_ expected: [[String?]], _ found: [[String?]]) -> (missing: [String], unexpected: [String]) {
        var counts: [String: Int] = [:]
        for row in expected { counts[QueryCase.line(row), default: 0] += 1 }
        for row in found { counts[QueryCase.line(row), default: 0] -= 1 }
        func lines(_ sign: Int) -> [String] {
            counts.filter { $0.value * sign > 0 }.sorted { $0.key < $1.key }.flatMap { Array(repeating: $0.key, count: abs($0.value)) }
        }
        return (lines(1), lines(-1))
    }

    private static func complete(_ tried: QueryCase, _ found: Found, _ terminal: Terminal) throws -> Int32 {
        let expected = Set(tried.sections.filter { $0.word == .expect }.map(\.name))
        let further = found.outputs.filter { !expected.contains($0.name) }
        let text = tried.completed(found.sections.map(\.found), further: further)
        try text.write(toFile: tried.path, atomically: true, encoding: .utf8)
        let rows = found.sections.reduce(0) { $0 + $1.found.rows.count } + further.reduce(0) { $0 + $1.answer.rows.count }
        let outputs = expected.count + further.count
        try terminal.line("\(tried.path): \(outputs) \(outputs == 1 ? "output" : "outputs") written, \(rows) \(rows == 1 ? "row" : "rows")")
        return 0
    }
}
