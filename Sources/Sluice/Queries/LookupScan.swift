// A lookup table read whole, for a question: its columns as texts, read as PostgreSQL reads them.

import Dataflow
import Engine
import SQLBinding
import Values

struct LookupScan {
    private let source: PlanSource
    private let context: EvaluationContext

    /// Rows of a chunk.
    private static let chunkRows = 4096

    init(_ source: PlanSource, context: EvaluationContext) {
        self.source = source
        self.context = context
    }

    func chunks() throws -> [Dataflow.Chunk] {
        let table = source.table
        guard let url = table.options[.url], [.postgres, .sqlite].contains(table.connector) else {
            throw Failure(
                .notPossible, "table \(table.name) cannot be read", why: "its connector is \(table.connector.rawValue)\(table.options[.url] == nil ? ", and it has no url" : "")",
                now: "declare it with connector = 'postgres' or 'sqlite', a url and a table")
        }
        let database = try openDatabase(url, readOnly: true)
        defer { database.close() }
        func quoted(_ name: String) -> String { "\"" + name.replacing("\"", with: "\"\"") + "\"" }
        let columns = source.columns.map { table.columns[$0] }
        let list = columns.isEmpty ? "NULL" : columns.map { "CAST(\(quoted($0.name)) AS text)" }.joined(separator: ", ")
        let rows = try database.execute("SELECT \(list) FROM \(quoted(table.options[.table] ?? table.name))")
        let pool = BufferPool()
        return try stride(from: 0, to: rows.count, by: Self.chunkRows).map { first in
            let some = rows[first..<min(first + Self.chunkRows, rows.count)]
            let vectors = try columns.enumerated().map { number, column in
                Vector.flat(try some.map { try value($0[number], column) }, column.type, pool: pool)
            }
            return Dataflow.Chunk(columns: vectors, count: some.count)
        }
    }

    private func value(_ cell: SQLValue, _ column: TableColumn) throws -> Datum {
        guard case .text(let text) = cell else { return .null }
        do { return try TypeText.read(text, as: column.type, context: context) } catch {
            throw Failure(
                .fileInvalid, "table \(source.table.name) holds what is no \(column.type.name)", why: "column \(column.name): \(error.message)",
                now: "mend the row, or declare the column as what it is")
        }
    }
}
