// How values cross between Swift and the catalog's columns.
//
// Reading: the cells of a row are taken one after the other, in the order of the SELECT; a cell of another type than
// the schema promises means that somebody else wrote there, and is `catalogFailed`, never a guess.
// Writing many rows: they travel as one JSON parameter that the database unpacks itself, so that 10,000 partitions are
// one statement and one round trip in either dialect. Both databases keep JSON integers of 64 bits exact.

import Engine
import Foundation

/// Takes the cells of one row in the order in which they were selected.
struct CellReader {
    private let cells: [SQLValue]
    private let table: String
    private var next = 0

    init(_ cells: [SQLValue], of table: String) {
        self.cells = cells
        self.table = table
    }

    mutating func int() throws -> Int64 {
        guard case .int(let value) = try take() else { throw unexpected("a whole number") }
        return value
    }

    mutating func optionalInt() throws -> Int64? {
        switch try take() {
        case .null: return nil
        case .int(let value): return value
        default: throw unexpected("a whole number")
        }
    }

    mutating func text() throws -> String {
        guard case .text(let value) = try take() else { throw unexpected("text") }
        return value
    }

    mutating func optionalText() throws -> String? {
        switch try take() {
        case .null: return nil
        case .text(let value): return value
        default: throw unexpected("text")
        }
    }

    mutating func bytes() throws -> [UInt8] {
        guard case .blob(let value) = try take() else { throw unexpected("bytes") }
        return value
    }

    /// A value of an enumeration that is stored by its name.
    mutating func named<Name: RawRepresentable>(_ type: Name.Type) throws -> Name where Name.RawValue == String {
        guard let value = Name(rawValue: try text()) else { throw unexpected("a known name") }
        return value
    }

    mutating func json<Document: Decodable>(_ type: Document.Type) throws -> Document {
        let text = try text()
        return try decode(type, text)
    }

    mutating func optionalJSON<Document: Decodable>(_ type: Document.Type) throws -> Document? {
        guard let text = try optionalText() else { return nil }
        return try decode(type, text)
    }

    private func decode<Document: Decodable>(_ type: Document.Type, _ text: String) throws -> Document {
        do {
            return try JSONDecoder().decode(type, from: Data(text.utf8))
        } catch {
            throw unexpected("the JSON of a \(type)")
        }
    }

    private mutating func take() throws -> SQLValue {
        guard next < cells.count else { throw unexpected("another column") }
        next += 1
        return cells[next - 1]
    }

    func unexpected(_ wanted: String) -> Failure {
        Failure(
            .catalogFailed, "the catalog holds something that this build cannot read",
            why: "column \(next) of a row of \(table) should be \(wanted)",
            now: "restore the catalog from a backup, or start with a new one and resume from Kafka's offsets")
    }
}

/// The one JSON form of what the catalog holds: keys sorted, so that equal values have equal text.
func jsonText(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}

/// A FROM item `unpacked` whose rows are the objects of a JSON array bound to `parameter`, or held there under `key`.
func unpacked(
    _ parameter: String, key: String? = nil, _ columns: [(name: String, type: String)], dialect: SQLDialect
) -> String {
    switch dialect {
    case .sqlite:
        let cells = columns.map { "json_extract(value, '$.\($0.name)') AS \"\($0.name)\"" }
        let path = key.map { ", '$.\($0)'" } ?? ""
        return "(SELECT \(cells.joined(separator: ", ")) FROM json_each(\(parameter)\(path))) AS unpacked"
    case .postgres:
        let cells = columns.map { "\"\($0.name)\" \($0.type)" }
        let path = key.map { " -> '\($0)'" } ?? ""
        return "jsonb_to_recordset(CAST(\(parameter) AS jsonb)\(path)) AS unpacked(\(cells.joined(separator: ", ")))"
    }
}

extension SQLValue {
    static func int(_ value: Int64?) -> SQLValue { value.map { .int($0) } ?? .null }
    static func text(_ value: String?) -> SQLValue { value.map { .text($0) } ?? .null }
    static func text(_ jobID: JobID) -> SQLValue { .text(jobID.text) }
}
