// What a job has written, folded into a table as a database would hold it: values as the texts that a database reads them as.

import Engine
import TestSupport
import Values

struct SinkContent {
    let table: SinkTable
    let types: [SQLType]
    /// By key; of a table to which rows are only added, by number.
    private var rows: [[String?]: [String?]] = [:]
    private var added: [[String?]] = []
    private var touched: Set<[String?]> = []
    /// All rows that were ever put, as they came.
    private(set) var written: [[Value]] = []

    init(_ table: SinkTable, types: [SQLType]) {
        self.table = table
        self.types = types
    }

    mutating func beginBatch() { touched = [] }

    mutating func write(_ chunks: [Chunk]) throws {
        for chunk in chunks {
            try chunk.columns.forEachShort(than: chunk.rowCount)
            for row in 0..<chunk.rowCount { try write(chunk, row) }
        }
    }

    private mutating func write(_ chunk: Chunk, _ row: Int) throws {
        let names = chunk.schema.fields.map(\.name)
        let texts = try chunk.values(row).enumerated().map { index, value in
            let column = table.schema.index(of: names[index])!
            guard chunk.schema.fields[index].type == chunk.columns[index].type else { throw RigError.wrong("column \(names[index]) is no \(chunk.schema.fields[index].type)") }
            if value == .null, !table.schema.fields[column].nullable { throw RigError.wrong("NULL in column \(names[index]), which has none") }
            return try Self.text(value, types[column])
        }
        if !chunk.isDelete { written.append(chunk.values(row)) }
        guard table.mode == .keyedUpsert else {
            if chunk.isDelete { throw RigError.wrong("a delete in a table to which rows are only added") }
            return added.append(texts)
        }
        let key = chunk.isDelete ? texts : table.key.map { texts[table.schema.index(of: $0)!] }
        if chunk.isDelete, names != table.key { throw RigError.wrong("a delete has the columns \(names)") }
        guard touched.insert(key).inserted else { throw RigError.wrong("two actions for the key \(Self.line(key)) in one batch") }
        if chunk.isDelete {
            if rows.removeValue(forKey: key) == nil { throw RigError.wrong("there is no row to delete for the key \(Self.line(key))") }
        } else {
            rows[key] = texts
        }
    }

    /// Sorted lines of columns.
    func lines(_ columns: [Int]) -> [String] { (table.mode == .keyedUpsert ? Array(rows.values) : added).map { row in Self.line(columns.map { row[$0] }) }.sorted() }

    static func line(_ row: [String?]) -> String { row.map { $0 ?? "\\N" }.joined(separator: "|") }

    /// As PostgreSQL casts it to text.
    static func text(_ value: Value, _ type: SQLType) throws -> String? {
        switch value {
        case .null: return nil
        case .int64(let number), .timestamp(let number): return "\(number)"
        case .bool(let isTrue): return "\(isTrue)"
        case .float64(let number): return TypeText.text(.float(number), as: type)
        case .text(let text):
            switch type {
            case .text, .jsonb, .unknown: return text
            default: return TypeText.text(try TypeText.read(text, as: type, context: EvaluationContext()), as: type)
            }
        }
    }

    static func text(_ value: Datum, _ type: SQLType) -> String? { if case .bool(let isTrue) = value { "\(isTrue)" } else { TypeText.text(value, as: type) } }
}

extension [Column] {
    fileprivate func forEachShort(than count: Int) throws {
        for column in self where column.count != count { throw RigError.wrong("a column has \(column.count) values for \(count) rows") }
    }
}
