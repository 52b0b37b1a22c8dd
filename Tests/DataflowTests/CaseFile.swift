// A case as text: tables, queries, batches, what is expected.
//
//   tables            their CREATE TABLE, up to the next word
//   settings          SET statements
//   query NAME [opts] a SELECT; what stands behind the name goes into WITH
//   oracle NAME       another SELECT for PostgreSQL, or `none`
//   batch [T=time]... rows: `table + a|b|\N`, `table - a|b`; a watermark of table T
//   expect NAME       rows of the output now, in any order
//   late N, failed N  of the last batch
//
// Lines that begin with `--` are comments.

import Dataflow
import Engine
import Testing
import Values

struct CaseFile {
    enum Step {
        case batch([RigRow], [String: Int64])
        case expect(String, [String])
        case late(Int)
        case failed(Int)
    }

    private(set) var tables = ""
    private(set) var settings = ""
    private(set) var queries: [RigQuery] = []
    private(set) var steps: [Step] = []

    init(_ text: String) throws {
        var word: [String] = []
        var body: [String] = []
        func take(_ file: inout CaseFile) throws {
            guard let first = word.first else { return }
            let text = body.joined(separator: "\n")
            switch first {
            case "tables": file.tables = text
            case "settings": file.settings = text
            case "query": file.queries.append(RigQuery(name: word[1], options: word.dropFirst(2).joined(separator: " "), select: text, oracle: text))
            case "oracle":
                guard let index = file.queries.firstIndex(where: { $0.name == word[1] }) else { throw RigError.wrong("there is no query \(word[1])") }
                file.queries[index].oracle = text == "none" ? nil : text
            case "batch":
                var watermarks: [String: Int64] = [:]
                for part in word.dropFirst() {
                    let sides = part.split(separator: "=", maxSplits: 1)
                    guard case .word(let micros) = try TypeText.read(String(sides[1]), as: .timestamptz, context: EvaluationContext()) else { throw RigError.wrong(part) }
                    watermarks[String(sides[0])] = micros
                }
                file.steps.append(.batch(try body.map(Self.row), watermarks))
            case "expect": file.steps.append(.expect(word[1], body.sorted()))
            case "late": file.steps.append(.late(Int(word[1])!))
            case "failed": file.steps.append(.failed(Int(word[1])!))
            default: throw RigError.wrong("what is \(first)?")
            }
        }
        let words: Set<String> = ["tables", "settings", "query", "oracle", "batch", "expect", "late", "failed"]
        for line in text.split(separator: "\n") where !line.hasPrefix("--") {
            let parts = line.split(separator: " ").map(String.init)
            if let first = parts.first, words.contains(first) {
                try take(&self)
                (word, body) = (parts, [])
            } else {
                body.append(String(line))
            }
        }
        try take(&self)
    }

    private static func row(_ line: String) throws -> RigRow {
        let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[1] == "+" || parts[1] == "-" else { throw RigError.wrong("no row: \(line)") }
        let values = parts[2].split(separator: "|", omittingEmptySubsequences: false).map { $0 == "\\N" ? nil : String($0) }
        return RigRow(table: String(parts[0]), weight: parts[1] == "+" ? 1 : -1, values: values)
    }

    func run(_ database: PostgresDatabase?) throws {
        let rig = try DataflowRig(tables: tables, queries: queries, settings: settings, database: database)
        for step in steps {
            switch step {
            case .batch(let rows, let watermarks): try rig.run(rows, watermarks: watermarks)
            case .expect(let name, let lines):
                if rig.answer(name) != lines { throw RigError.wrong("\(name) is\n\(rig.answer(name).joined(separator: "\n"))\nexpected\n\(lines.joined(separator: "\n"))") }
            case .late(let count): if rig.counts.late != count { throw RigError.wrong("\(rig.counts.late) late, expected \(count)") }
            case .failed(let count): if rig.counts.failed != count { throw RigError.wrong("\(rig.counts.failed) failed, expected \(count)") }
            }
        }
    }
}
