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
// Lines that begin with `--` are comments. What runs a case is the test's own.

import Foundation

/// One record of a table: its values as text, nil for NULL.
package struct RigRow: Sendable {
    package let table: String
    /// 1 comes (for upserts: is put), -1 deletes the key.
    package let weight: Int64
    package let values: [String?]

    package init(table: String, weight: Int64, values: [String?]) {
        self.table = table
        self.weight = weight
        self.values = values
    }
}

package struct RigQuery: Sendable {
    package let name: String
    package let options: String
    package let select: String
    /// What PostgreSQL is asked; nil where it cannot say.
    package var oracle: String?

    package init(name: String, options: String, select: String, oracle: String?) {
        self.name = name
        self.options = options
        self.select = select
        self.oracle = oracle
    }
}

package enum RigError: Error, CustomStringConvertible {
    case wrong(String)
    package var description: String {
        switch self {
        case .wrong(let text): text
        }
    }
}

package struct CaseFile: Sendable {
    package enum Step: Sendable {
        /// Watermarks by table, as they are written.
        case batch([RigRow], [String: String])
        case expect(String, [String])
        case late(Int)
        case failed(Int)
    }

    package private(set) var tables = ""
    package private(set) var settings = ""
    package private(set) var queries: [RigQuery] = []
    package private(set) var steps: [Step] = []

    /// The files of Tests/DataflowTests/cases, by name.
    package static let all: [URL] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "DataflowTests/cases")
        let all = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        return all.filter { $0.pathExtension == "case" }.sorted { $0.path < $1.path }
    }()

    package init(_ text: String) throws {
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
                var watermarks: [String: String] = [:]
                for part in word.dropFirst() {
                    let sides = part.split(separator: "=", maxSplits: 1)
                    watermarks[String(sides[0])] = String(sides[1])
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
}
