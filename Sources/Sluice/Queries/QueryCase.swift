// A case of a query as text: rows that come, and what the outputs then are.
//
//   rows TABLE      a line with names of columns, then a line a row
//   delete TABLE    the same of rows whose key is deleted, of tables with mode = 'upsert'
//   batch           what follows comes in another batch
//   expect OUTPUT   the rows that it has by now, in any order; behind the last rows of all: when no more will ever come
//
// Fields stand between commas. A field in quotes may hold commas, line ends, and quotes doubled. NULL is \N, or an empty field without quotes
// among others. Lines that begin with `--` are comments. Everything but the rows behind `expect` is kept as it was written when a case is
// completed.

import Engine

struct QueryCase {
    enum Word: String, CaseIterable { case rows, delete, batch, expect }

    struct Section {
        let word: Word
        /// The table or output; empty for `batch`.
        let name: String
        /// Of the word's own line, from 1.
        let line: Int
        /// Nil while the section has no line with names.
        var header: [String]?
        var rows: [(line: Int, fields: [String?])] = []
        /// Lines of the text that belong to it, its own included.
        fileprivate var until: Int
    }

    let path: String
    private let lines: [String]
    let sections: [Section]

    init(_ text: String, path: String) throws {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { $0.hasSuffix("\r") ? String($0.dropLast()) : String($0) }
        var sections: [Section] = []
        var index = 0
        while index < lines.count {
            var line = lines[index]
            let number = index + 1
            index += 1
            if line.hasPrefix("--") || line.allSatisfy(\.isWhitespace) { continue }
            if let opened = try Self.section(line, number, path) {
                sections.append(opened)
                continue
            }
            // A quoted field may go on in the next line.
            while line.count(where: { $0 == "\"" }) % 2 == 1, index < lines.count {
                line += "\n" + lines[index]
                index += 1
            }
            guard var section = sections.popLast(), section.word != .batch else {
                throw Self.broken(path, number, "a row of nothing", "write `rows TABLE` or `expect OUTPUT` before it")
            }
            let fields = try Self.fields(line, number, path)
            if let header = section.header {
                guard fields.count == header.count else {
                    throw Self.broken(path, number, "\(fields.count) fields under \(header.count) names", "give every column a field; an empty one is NULL")
                }
                section.rows.append((number, fields))
            } else {
                section.header = try fields.map { name in
                    guard let name else { throw Self.broken(path, number, "a column without a name", "the first line names the columns") }
                    return name
                }
            }
            section.until = index
            sections.append(section)
        }
        self.sections = sections
    }

    private static func section(_ line: String, _ number: Int, _ path: String) throws -> Section? {
        let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
        guard let first = words.first, let word = Word(rawValue: first), !line.contains(",") else { return nil }
        guard words.count == (word == .batch ? 1 : 2) else {
            // A row of one column may begin with any word.
            if words.count > 2 || word == .batch { return nil }
            throw broken(path, number, "\(first) of nothing", "write its name behind it: \(first) \(word == .expect ? "OUTPUT" : "TABLE")")
        }
        return Section(word: word, name: words.count > 1 ? words[1] : "", line: number, until: number)
    }

    static func broken(_ path: String, _ line: Int, _ why: String, _ now: String) -> Failure {
        Failure(.fileInvalid, "\(path):\(line) is not understood", why: why, now: now)
    }

    // MARK: rows as text

    private static func fields(_ line: String, _ number: Int, _ path: String) throws -> [String?] {
        var fields: [String?] = []
        var rest = Substring(line)
        while true {
            var field: String?
            if rest.first == "\"" {
                var text = ""
                rest.removeFirst()
                while true {
                    guard let end = rest.firstIndex(of: "\"") else { throw broken(path, number, "a quote is not closed", "close it, or double it where it is meant") }
                    text += rest[..<end]
                    rest = rest[rest.index(after: end)...]
                    guard rest.first == "\"" else { break }
                    text.append("\"")
                    rest.removeFirst()
                }
                field = text
                guard rest.isEmpty || rest.first == "," else { throw broken(path, number, "text behind a quoted field", "quote the whole field") }
            } else {
                let text = rest.prefix { $0 != "," }
                field = text.isEmpty || text == null ? nil : String(text)
                rest = rest.dropFirst(text.count)
            }
            fields.append(field)
            if rest.isEmpty { return fields }
            rest.removeFirst()
        }
    }

    private static let null = "\\N"

    static func line(_ fields: [String?]) -> String {
        let texts = fields.map { field -> String in
            // An empty line would be none.
            guard let field else { return fields.count == 1 ? null : "" }
            let isPlain = !field.isEmpty && field != null && !field.contains { $0 == "," || $0 == "\"" || $0.isNewline } && field.first != " " && field.last != " "
            return isPlain ? field : "\"\(field.replacing("\"", with: "\"\""))\""
        }
        // What would be read as a word of the format, or as a comment, is quoted.
        let line = texts.joined(separator: ",")
        let isTaken = texts.count == 1 && Word.allCases.contains { line.split(separator: " ").first.map(String.init) == $0.rawValue } || line.hasPrefix("--")
        return isTaken && !line.hasPrefix("\"") ? "\"\(texts[0])\"" + line.dropFirst(texts[0].count) : line
    }

    // MARK: completing

    /// The text with the rows of each `expect` as they were found, and outputs that nobody expects behind it.
    /// - Parameter found: in the order of `expect` sections; then of `further` outputs.
    func completed(_ found: [Answer], further: [(name: String, answer: Answer)]) -> String {
        var text: [String] = []
        var next = 0
        var answers = found.makeIterator()
        for section in sections where section.word == .expect {
            text += lines[next..<section.line]
            // Comments stay, before the rows.
            text += lines[section.line..<section.until].filter { $0.hasPrefix("--") }
            if let answer = answers.next() { text += answer.lines }
            next = section.until
        }
        text += lines[next...]
        while text.last?.isEmpty ?? false { text.removeLast() }
        for (name, answer) in further { text += ["", "expect \(name)"] + answer.lines }
        return text.joined(separator: "\n") + "\n"
    }

    /// What an output has: names of columns, and rows in the order of their lines.
    struct Answer: Equatable {
        let header: [String]
        let rows: [[String?]]

        init(header: [String], rows: [[String?]]) {
            self.header = header
            self.rows = rows.map { ($0, QueryCase.line($0)) }.sorted { $0.1 < $1.1 }.map(\.0)
        }

        var lines: [String] { [QueryCase.line(header)] + rows.map(QueryCase.line) }
    }
}
