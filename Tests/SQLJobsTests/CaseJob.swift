// One query of a case as a job of its own: over the case's table where it reads one, over one topic where it reads several.

import Dataflow
import Engine
import SQLBinding
import SQLSyntax
import TestSupport
import Values

final class CaseJob {
    let rig: JobRig
    let query: RigQuery
    let text: String
    private let tables: [TableDefinition]
    private var topic: OneTopic?
    private var writer: RecordWriter
    private var looked: [String: [RigRow]] = [:]
    private var accepted: [RigRow] = []

    /// - Returns: nil where no topic is read.
    init?(tables ddl: String, settings: String, query: RigQuery, _ options: JobRig.Options) throws {
        self.query = query
        let view = "CREATE MATERIALIZED VIEW \(query.name)\(query.options.isEmpty ? "" : " WITH (\(query.options))") AS \(query.select)"
        let bound = try BoundJob(binding: Script(parsing: SourceText("\(settings)\n\(ddl)\n\(view)", name: "\(query.name).sql")))
        let read = try Planner.plan(bound).sources.map(\.table)
        tables = bound.tables
        let topics = bound.tables.filter { table in table.connector == .kafka && read.contains { $0.name == table.name } }
        if topics.isEmpty { return nil }
        if topics.count > 1 {
            topic = try OneTopic(topics)
            text = "\(settings)\n\(topic!.text)\n\(view)"
        } else {
            text = "\(settings)\n\(ddl)\n\(view)"
        }
        rig = try JobRig(text, options)
        writer = RecordWriter(rig.source.table, partitions: 1 + Int(options.seed % 4), seed: options.seed)
    }

    /// - Parameter watermarks: of the case's tables, in milliseconds; the least holds for one topic.
    func run(_ rows: [RigRow], watermarks: [String: Int64] = [:]) throws {
        accepted += rows
        var bytes: [String: [UInt8]] = [:]
        for spec in rig.graph.lookups {
            looked[spec.name, default: []] += rows.filter { $0.table == spec.name }
            bytes[spec.name] = try contents(spec.name)
        }
        let read = rows.filter { row in topic == nil ? row.table == rig.source.table.name : topic!.has(row.table) }
        let records = try read.map { row in try writer.record(topic == nil ? row : topic!.row(row)) }
        try rig.run(records, watermarkMillis: watermarks.filter { topic != nil || $0.key == rig.source.table.name }.values.min(), lookups: bytes)
    }

    private func contents(_ name: String) throws -> [UInt8] {
        let source = try Planner.plan(BoundJob(binding: Script(parsing: SourceText(text, name: "job")))).sources.first { $0.table.name == name }!
        let rows = looked[name] ?? []
        var bytes: [UInt8] = []
        if rows.isEmpty { return bytes }
        let pool = BufferPool()
        let vectors = try source.columns.map { number in
            let type = source.table.columns[number].type
            return Vector.flat(try rows.map { row in try row.values[number].map { try TypeText.read($0, as: type, context: EvaluationContext()) } ?? .null }, type, pool: pool)
        }
        ChunkBytes.append(Dataflow.Chunk(columns: vectors, count: rows.count), to: &bytes)
        return bytes
    }

    /// What PostgreSQL answers to the query over all rows so far; nil where it cannot say.
    func truth(_ database: PostgresDatabase) throws -> [String]? {
        guard let oracle = query.oracle else { return nil }
        try database.executeScript("DROP SCHEMA IF EXISTS rig CASCADE; CREATE SCHEMA rig; SET search_path = rig")
        var statements: [String] = []
        for table in tables {
            let columns = table.columns.map { column in
                let modifier = if case .digits(let precision, let scale) = column.modifier { "(\(precision), \(scale))" } else { "" }
                return "\"\(column.name)\" \(column.type.name)\(modifier)"
            }
            statements.append("CREATE TABLE \"\(table.name)\" (\(columns.joined(separator: ", ")))")
        }
        for row in accepted {
            let table = tables.first { $0.name == row.table }!
            func literal(_ index: Int) -> String { index < row.values.count ? row.values[index].map { "'\($0.replacing("'", with: "''"))'" } ?? "NULL" : "NULL" }
            if !table.key.isEmpty {
                let key = table.key.map { "\"\(table.columns[$0].name)\" IS NOT DISTINCT FROM \(literal($0))::\(table.columns[$0].type.name)" }
                statements.append("DELETE FROM \"\(table.name)\" WHERE \(key.joined(separator: " AND "))")
            }
            if row.weight > 0 { statements.append("INSERT INTO \"\(table.name)\" VALUES (\(table.columns.indices.map(literal).joined(separator: ", ")))") }
        }
        try database.executeScript(statements.joined(separator: ";"))
        let names = rig.graph.sink.schema.fields.map(\.name).filter { !$0.hasPrefix("key_") }
        return try database.execute("SELECT \(names.map { "\"\($0)\"::text" }.joined(separator: ", ")) FROM (\(oracle)) AS answer", []).map { row in
            SinkContent.line(row.map { if case .text(let text) = $0 { text } else { nil } })
        }.sorted()
    }
}
