// A lookup table read whole: its columns as texts, read as PostgreSQL reads them, in an order that its content decides.
//
// A job keeps what it read as bytes, by their digest, which its plans name; a worker makes chunks of them again.

import Dataflow
import Engine
import SQLBinding
import Values

package struct LookupScan {
    private let source: PlanSource
    private let directory: String
    private let context: EvaluationContext

    /// Rows of a chunk.
    private static let chunkRows = 4096

    /// - Parameter directory: what a relative path is relative to; empty for where the process stands.
    package init(_ source: PlanSource, directory: String = "", context: EvaluationContext) {
        self.source = source
        self.directory = directory
        self.context = context
    }

    private var columns: [TableColumn] { source.columns.map { source.table.columns[$0] } }

    package func chunks() throws -> [Dataflow.Chunk] {
        let table = source.table
        guard let url = table.options[.url], [.postgres, .sqlite].contains(table.connector) else {
            throw Failure(
                .notPossible, "table \(table.name) cannot be read", why: "its connector is \(table.connector.rawValue)\(table.options[.url] == nil ? ", and it has no url" : "")",
                now: "declare it with connector = 'postgres' or 'sqlite', a url and a table")
        }
        let database = try openDatabase(SQLPlan.absolute(url, directory), readOnly: true)
        defer { database.close() }
        func quoted(_ name: String) -> String { "\"" + name.replacing("\"", with: "\"\"") + "\"" }
        let columns = columns
        let list = columns.isEmpty ? "NULL" : columns.map { "CAST(\(quoted($0.name)) AS text)" }.joined(separator: ", ")
        // PostgreSQL's order of texts is the database's own; ours is that of their bytes.
        let collation = table.connector == .postgres ? " COLLATE \"C\"" : ""
        let order = columns.isEmpty ? "" : " ORDER BY " + columns.indices.map { "\($0 + 1)" }.joined(separator: ", ")
        let inner = "SELECT \(list) FROM \(quoted(table.options[.table] ?? table.name))"
        let names = columns.indices.map { "c\($0)" }
        let rows = try database.execute(
            collation.isEmpty || columns.isEmpty
                ? inner + order : "SELECT * FROM (\(inner)) AS t (\(names.joined(separator: ", "))) ORDER BY \(names.map { $0 + collation }.joined(separator: ", "))")
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

    // MARK: as bytes

    func bytes() throws -> [UInt8] {
        var bytes: [UInt8] = []
        for chunk in try chunks() { ChunkBytes.append(chunk, to: &bytes) }
        guard bytes.count <= Limits.blockBytes else {
            throw Failure(
                .limitExceeded, "lookup table \(source.table.name) is too large",
                why: "it takes \(formatSize(Int64(bytes.count))), and \(formatSize(Int64(Limits.blockBytes))) is most",
                now: "leave out columns that no query reads, or rows that none looks up, with a view in the database")
        }
        return bytes
    }

    static func chunks(_ bytes: [UInt8], _ types: [SQLType]) throws(BytesFault) -> [Dataflow.Chunk] {
        let pool = BufferPool()
        var chunks: [Dataflow.Chunk] = []
        let fault: BytesFault? = bytes.withUnsafeBytes { all in
            var reader = ByteReader(all)
            do throws(BytesFault) {
                while !reader.isAtEnd { chunks.append(try ChunkBytes.read(types, from: &reader, pool: pool)) }
                return nil
            } catch {
                return error
            }
        }
        if let fault { throw fault }
        return chunks
    }
}
