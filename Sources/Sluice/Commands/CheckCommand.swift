// `sluice check FILE`: what is wrong with a text of SQL, or what it reads, computes and writes. Nothing is run or created.
//
// The text is parsed and bound: names, types, groups, keys and options. With --bootstrap the topics are looked up, too. The first thing
// that is wrong is shown with its line and a caret. What the text computes is checked here and not run yet.

import Engine
import Foundation
import SQLBinding
import SQLSyntax
import Values

enum CheckCommand {
    static let command = Command(
        "check", .tools, summary: "check a file of SQL",
        about: """
            Parses and binds a file of SQL statements (CREATE TABLE, CREATE VIEW, CREATE MATERIALIZED VIEW, INSERT INTO ... SELECT, SELECT, \
            SET) and shows what it reads and writes; the grammar is PostgreSQL's. What is wrong is shown with line, column and what works \
            instead. With --bootstrap the topics are looked up. Such a file cannot be run yet.
            """,
        positionals: [Positional("FILE", help: "the file of SQL")],
        options: [
            Option("value", .text, valueName: "NAME=VALUE", help: "what ${NAME} in the text stands for, or several with commas between"),
            Option(flag: "plan", help: "show the relations, too"),
            .json,
        ],
        settingFlags: .some([.bootstrap, .kafka]),
        examples: [
            Command.Example("sluice check report.sql", "says what the file reads and writes, or where it is wrong"),
            Command.Example("sluice check report.sql --value region=eu --plan", "with a value for ${region}, and the relations"),
        ],
        run: run)

    struct Line: Encodable {
        /// `input`, `lookup`, `sink`, `output`, `question`, `note`, or `error`.
        var kind: String
        var name: String?
        var connector: String?
        var columns: [String]?
        var plan: String?
        var text: String?
        var line: Int?
        var column: Int?
        var why: String?
        var now: String?
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        let path = parsed.required("FILE")
        let isJSON = parsed.flag("json")
        do {
            let job = try QueryFile.job(path, parsed)
            try lookUp(job, parsed)
            try show(job, terminal, hasPlan: parsed.flag("plan"), isJSON: isJSON)
            return 0
        } catch let error as SQLError {
            if isJSON {
                try terminal.json(Line(kind: "error", name: error.source, text: error.what, line: error.line, column: error.column, why: error.why, now: error.hint))
            } else {
                terminal.note(error.description)
            }
            return 1
        }
    }

    /// Topics that are named and not there.
    private static func lookUp(_ job: BoundJob, _ parsed: ParsedArguments) throws {
        let settings = try parsed.settings()
        guard let bootstrap = settings.optionalText(.bootstrap) else { return }
        let queries = try OffsetQueries(
            KafkaConfiguration(bootstrap: bootstrap, properties: try SettingsSource.kafkaProperties(settings)), timeoutMillis: 10_000)
        for table in job.tables where table.connector == .kafka {
            guard let topic = table.options[.topic] else { continue }
            do { _ = try queries.partitions(of: topic) } catch let missing as Failure where missing.code == .topicMissing {
                throw SQLFault(
                    "topic \(topic) is not there", at: table.place, why: "no broker of \(bootstrap) has it", hint: "create it, or correct the name"
                ).error(in: job.text)
            }
        }
    }

    private static func show(_ job: BoundJob, _ terminal: Terminal, hasPlan: Bool, isJSON: Bool) throws {
        let written = Set(job.outputs.compactMap { if case .table(let name, _) = $0.target { name } else { nil } })
        var lines = job.tables.map { table in
            Line(
                kind: written.contains(table.name) ? "sink" : table.connector == .kafka ? "input" : "lookup", name: table.name,
                connector: table.connector.rawValue, columns: table.columns.map { "\($0.name) \($0.type.name)" })
        }
        lines += job.outputs.map { line("output", $0.target.name, $0.relation, hasPlan) }
        if let question = job.question { lines.append(line("question", nil, question, hasPlan)) }
        lines += job.notes.map { Line(kind: "note", text: $0) }
        if isJSON { return try lines.forEach { try terminal.json($0) } }
        var table = Table([.text("what"), .text("name"), .text("connector"), .text("columns")])
        for line in lines where line.kind != "note" {
            table.add([line.kind, line.name ?? "-", line.connector ?? "-", line.columns?.joined(separator: ", ") ?? "-"])
        }
        try terminal.table(table)
        for line in lines {
            if let plan = line.plan { try terminal.text("\n\(line.name ?? line.kind)\n\(plan)") }
            if line.kind == "note" { try terminal.line("note: \(line.text ?? "")") }
        }
    }

    private static func line(_ kind: String, _ name: String?, _ relation: Relation, _ hasPlan: Bool) -> Line {
        Line(
            kind: kind, name: name, columns: relation.columns.filter { !$0.isHidden }.map { "\($0.name) \($0.type.name)\($0.isNullable ? "?" : "")" },
            plan: hasPlan ? relation.text : nil)
    }
}

extension JobOutput.Target {
    fileprivate var name: String {
        switch self {
        case .table(let name, _), .view(let name): name
        }
    }
}
