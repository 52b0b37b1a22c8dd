// A job's plan run side by side with a real PostgreSQL: after every batch each output must be what PostgreSQL answers to the same SELECT
// over the rows accepted so far.
//
// Several runs get the same batches: whole, in small chunks and parts, and one that is made anew out of its stored state before each
// batch, at another number of parts each time. All must give the same changes.

import Dataflow
import Engine
import SQLBinding
import SQLSyntax
import TestSupport
import Testing
import Values

final class DataflowRig {
    let job: BoundJob
    let plan: Plan
    let queries: [RigQuery]
    /// How the runs are cut.
    private static let cuts: [(parts: Int, chunkRows: Int)] = [(1, 4096), (3, 2)]
    private var runs: [LocalRun] = []
    private let context: EvaluationContext
    private var stored = StoredState()
    private var batches = 0
    private var folded: [String: [[String?]: Int64]] = [:]
    private var offsets: [String: Int64] = [:]
    private let database: PostgresDatabase?
    private let pool = BufferPool()
    private(set) var counts = OperatorCounts()

    init(tables: String, queries: [RigQuery], settings: String = "", database: PostgresDatabase?) throws {
        job = try Self.job(tables, queries, settings)
        plan = try Planner.plan(job)
        self.queries = queries
        self.database = database
        context = EvaluationContext(zone: try job.settings["timezone"].map { try Zone.named($0) } ?? .utc)
        for cut in Self.cuts { runs.append(try LocalRun(plan, parts: cut.parts, chunkRows: cut.chunkRows, context: context)) }
        guard let database else { return }
        try database.executeScript("DROP SCHEMA IF EXISTS rig CASCADE; CREATE SCHEMA rig; SET search_path = rig")
        for table in job.tables {
            let columns = table.columns.map { "\"\($0.name)\" \($0.type.name)\(Self.modifier($0))" }
            try database.execute("CREATE TABLE \"\(table.name)\" (\(columns.joined(separator: ", ")))")
        }
    }

    /// One job of all queries. Without options a query is bound as a question, which needs no key and shows no columns but its own.
    static func job(_ tables: String, _ queries: [RigQuery], _ settings: String = "") throws -> BoundJob {
        let jobs = try queries.map { query in
            let view = query.options.isEmpty ? "" : "CREATE MATERIALIZED VIEW \(query.name) WITH (\(query.options)) AS "
            return try BoundJob(binding: Script(parsing: SourceText("\(settings)\n\(tables)\n\(view)\(query.select)", name: "\(query.name).sql")))
        }
        let outputs = zip(queries, jobs).map { query, job in
            job.outputs.first ?? JobOutput(target: .view(query.name), relation: job.question!, options: TableOptions(), place: Place(0))
        }
        return BoundJob(text: jobs[0].text, tables: jobs[0].tables, outputs: outputs, settings: jobs[0].settings)
    }

    private static func modifier(_ column: TableColumn) -> String {
        if case .digits(let precision, let scale) = column.modifier { return "(\(precision), \(scale))" }
        return ""
    }

    /// Runs a batch in all runs, and compares.
    func run(_ rows: [RigRow], watermarks: [String: Int64] = [:]) throws {
        batches += 1
        let batch = BatchRows(rows: try chunks(rows), watermarks: watermarks, time: Int64(batches) * 1_000_000)
        var answers = try runs.map { try $0.run(batch) }
        // The run that starts again before each batch.
        let again = try LocalRun(plan, parts: batches % 3 + 1, chunkRows: 3, state: stored, batches: batches - 1, context: context)
        answers.append(try again.run(batch))
        stored = again.state
        // Rows that only come have no order.
        let texts = answers.map { answer in answer.map { chunks in sorted(chunks.flatMap { self.texts($0) }) } }
        counts = runs[0].counts.reduce(into: OperatorCounts()) { $0.add($1) }
        for (index, other) in texts.enumerated().dropFirst() {
            for (output, query) in queries.enumerated() where other[output] != texts[0][output] {
                throw RigError.wrong("batch \(batches): run \(index) gives other changes of \(query.name):\n\(Self.lines(texts[0][output]))\nand\n\(Self.lines(other[output]))")
            }
        }
        for (index, query) in queries.enumerated() {
            for change in texts[0][index] {
                let row = selected(change.row, index)
                let sum = (folded[query.name]?[row] ?? 0) + change.weight
                folded[query.name, default: [:]][row] = sum == 0 ? nil : sum
            }
        }
        try accept(rows)
        for query in queries { try compare(query) }
    }

    /// How many entries of state all operators have.
    var storedEntries: Int { get throws { try stored.count } }

    /// The answer of an output so far, as sorted lines.
    func answer(_ name: String) -> [String] {
        (folded[name] ?? [:]).flatMap { row, weight in Array(repeating: Self.line(row), count: Int(max(weight, 0))) }.sorted()
    }

    private static func line(_ row: [String?]) -> String { row.map { $0 ?? "\\N" }.joined(separator: "|") }
    private static func lines(_ rows: [TextRow]) -> String { rows.map { "\($0.weight) \(line($0.row))" }.joined(separator: "\n") }

    struct TextRow: Equatable {
        let row: [String?]
        let weight: Int64
    }

    private func sorted(_ rows: [TextRow]) -> [TextRow] { rows.sorted { ($0.weight, Self.line($0.row)) < ($1.weight, Self.line($1.row)) } }

    private func texts(_ chunk: Dataflow.Chunk) -> [TextRow] {
        // A boolean's text is that of its cast, not that of its output.
        func text(_ value: Datum, _ type: SQLType) -> String? { if case .bool(let isTrue) = value { "\(isTrue)" } else { TypeText.text(value, as: type) } }
        return (0..<chunk.count).map { row in TextRow(row: chunk.columns.map { text($0.datum(row), $0.type) }, weight: chunk.weight(row)) }
    }

    /// Without the columns of a view's key that its text does not select.
    private func selected(_ row: [String?], _ output: Int) -> [String?] {
        zip(row, plan.outputs[output].columns).filter { !$0.1.name.hasPrefix("key_") }.map(\.0)
    }

    private func chunks(_ rows: [RigRow]) throws -> [String: [Dataflow.Chunk]] {
        var chunks: [String: [Dataflow.Chunk]] = [:]
        for source in plan.sources {
            let table = source.table
            let own = rows.filter { $0.table == table.name }
            if own.isEmpty { continue }
            let first = offsets[table.name] ?? 0
            offsets[table.name] = first + Int64(own.count)
            let readable = table.readable
            var columns: [Vector] = []
            for number in source.columns {
                let type = readable[number].type
                let data = try own.enumerated().map { index, row -> Datum in
                    if number < table.columns.count {
                        guard let text = number < row.values.count ? row.values[number] : nil else { return .null }
                        return try TypeText.read(text, as: type, context: EvaluationContext())
                    }
                    switch readable[number].name {
                    case "source_topic": return .text(table.name)
                    case "source_partition": return .word(0)
                    case "source_offset": return .word(first + Int64(index))
                    default: return .null
                    }
                }
                columns.append(Vector.flat(data, type, pool: pool))
            }
            var weights: Buffer?
            if own.contains(where: { $0.weight != 1 }) {
                weights = pool.take(own.count * 8)
                for (index, row) in own.enumerated() { weights!.base.storeBytes(of: row.weight, toByteOffset: index * 8, as: Int64.self) }
            }
            chunks[table.name] = [Dataflow.Chunk(columns: columns, count: own.count, weights: weights)]
        }
        return chunks
    }

    // MARK: PostgreSQL

    private func accept(_ rows: [RigRow]) throws {
        guard let database else { return }
        var statements: [String] = []
        for row in rows {
            guard let table = job.tables.first(where: { $0.name == row.table }) else { throw RigError.wrong("there is no table \(row.table)") }
            func literal(_ index: Int) -> String { index < row.values.count ? row.values[index].map { "'\($0.replacing("'", with: "''"))'" } ?? "NULL" : "NULL" }
            let name = "\"\(table.name)\""
            if !table.key.isEmpty {
                let key = table.key.map { "\"\(table.columns[$0].name)\" IS NOT DISTINCT FROM \(literal($0))::\(table.columns[$0].type.name)" }
                statements.append("DELETE FROM \(name) WHERE \(key.joined(separator: " AND "))")
            }
            if row.weight > 0 { statements.append("INSERT INTO \(name) VALUES (\(table.columns.indices.map(literal).joined(separator: ", ")))") }
        }
        if !statements.isEmpty { try database.executeScript(statements.joined(separator: ";")) }
    }

    private func compare(_ query: RigQuery) throws {
        guard let database, let oracle = query.oracle else { return }
        let output = plan.outputs[queries.firstIndex { $0.name == query.name }!]
        let columns = output.columns.filter { !$0.name.hasPrefix("key_") }.map { "\"\($0.name)\"::text" }.joined(separator: ", ")
        let truth = try database.execute("SELECT \(columns) FROM (\(oracle)) AS rig_query", []).map { row in
            Self.line(row.map { if case .text(let text) = $0 { text } else { nil } })
        }.sorted()
        let ours = answer(query.name)
        if truth != ours {
            throw RigError.wrong(
                "batch \(batches): \(query.name) is\n\(ours.joined(separator: "\n"))\nPostgreSQL has\n\(truth.joined(separator: "\n"))\nfor \(query.select)")
        }
    }
}
