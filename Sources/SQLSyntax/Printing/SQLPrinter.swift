// Our tree as SQL in one spelling: for digests, for `explain`, and for PostgreSQL when it is asked for the truth.
//
// What is printed parses to an equal tree. Every operator stands in brackets, so that no rule of precedence decides; every table alias has
// its AS; types have PostgreSQL's own names. A name is quoted unless the library's lexer reads it back as a plain name, so there is no list
// of keywords to keep.

import CPGQuery

extension Script {
    /// The statements in one spelling, each ended by `;` and a line break.
    public var canonicalText: String { statements.map { $0.canonicalText + ";\n" }.joined() }
}

extension Statement {
    public var canonicalText: String {
        switch kind {
        case .createTable(let table): table.sql
        case .createView(let view): view.sql
        case .insert(let insert): insert.sql
        case .set(let setting): "SET \(setting.key.split(separator: ".").map { quoted(name: String($0)) }.joined(separator: ".")) = \(quoted(text: setting.value))"
        case .select(let query): query.sql
        }
    }
}

/// A name, in quotes where it needs them.
package func quoted(name: String) -> String {
    if isPlain(name) { return name }
    let inside = name.replacing("\"", with: "\"\"")
    // What looks like a place for a value is spelled otherwise, here and in texts.
    return inside.contains("${") ? "U&\"\(inside.replacing("\\", with: "\\\\").replacing("${", with: "\\0024{"))\"" : "\"\(inside)\""
}

func quoted(text: String) -> String {
    let inside = text.replacing("'", with: "''")
    return inside.contains("${") ? "E'\(inside.replacing("\\", with: "\\\\").replacing("${", with: "\\${"))'" : "'\(inside)'"
}

/// True when the name is read back as it is: small letters, no keyword that the grammar treats as something else.
private func isPlain(_ name: String) -> Bool {
    let isWord = name.utf8.allSatisfy { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || $0 == UInt8(ascii: "_") }
    guard isWord, !specialWords.contains(name) else { return false }
    let scan = pg_query_scan(name)
    defer { pg_query_free_scan_result(scan) }
    guard scan.error == nil else { return false }
    let unpacked = scan.pbuf.data.withMemoryRebound(to: UInt8.self, capacity: scan.pbuf.len) { pg_query__scan_result__unpack(nil, scan.pbuf.len, $0) }
    guard let unpacked else { return false }
    defer { pg_query__scan_result__free_unpacked(unpacked, nil) }
    guard unpacked.pointee.n_tokens == 1, let token = unpacked.pointee.tokens[0]?.pointee else { return false }
    return token.token == PG_QUERY__TOKEN__IDENT || token.keyword_kind == PG_QUERY__KEYWORD_KIND__UNRESERVED_KEYWORD
}

/// Words that the grammar lets be names, but reads otherwise at some places.
private let specialWords: Set<String> = ["cube", "rollup", "double"]

extension TypeSyntax {
    /// These are keywords, and stand for themselves.
    private static let keywords: Set<String> = ["interval", "time", "timestamp", "numeric", "varchar"]

    var sql: String {
        let word = Self.keywords.contains(name.text) ? name.text : quoted(name: name.text)
        let fields = intervalFields.map { " \($0)" } ?? ""
        let numbers = modifiers.isEmpty ? "" : "(\(modifiers.map(String.init).joined(separator: ", ")))"
        return word + fields + numbers + String(repeating: "[]", count: dimensions)
    }
}

extension CreateTable {
    fileprivate var sql: String {
        var parts = columns.map(\.sql)
        if let primaryKey { parts.append("PRIMARY KEY (\(list(primaryKey.map(\.text))))") }
        return "CREATE TABLE \(quoted(name: name.text)) (\(parts.joined(separator: ", ")))\(options.sql)"
    }
}

extension ColumnDefinition {
    fileprivate var sql: String {
        var text = "\(quoted(name: name.text)) \(type.sql)"
        if isNotNull { text += " NOT NULL" }
        // What stands behind DEFAULT may not be a condition unless it is in brackets.
        if let defaultValue { text += " DEFAULT (\(defaultValue.sql))" }
        if let generated { text += " GENERATED ALWAYS AS (\(generated.sql)) STORED" }
        return text
    }
}

extension [Option] {
    fileprivate var sql: String {
        isEmpty ? "" : " WITH (\(map { "\(quoted(name: $0.key.text)) = \(quoted(text: $0.value))" }.joined(separator: ", ")))"
    }
}

extension CreateView {
    fileprivate var sql: String {
        let names = columns.isEmpty ? "" : " (\(list(columns.map(\.text))))"
        return "CREATE \(isMaterialized ? "MATERIALIZED " : "")VIEW \(quoted(name: name.text))\(names)\(options.sql) AS \(query.sql)"
    }
}

extension Insert {
    fileprivate var sql: String {
        let names = columns.isEmpty ? "" : " (\(list(columns.map(\.text))))"
        return "INSERT INTO \(quoted(name: table.text))\(names) \(query.sql)"
    }
}

/// Names with commas.
func list(_ names: [String]) -> String { names.map { quoted(name: $0) }.joined(separator: ", ") }
