// A case carried out: its rows as batches of the query's plan, in this process; no Kafka, no sink.
//
// The plan runs twice at once: whole, and in three parts, chunks of two rows, made anew out of its stored state before each batch. Both
// must change the outputs in the same way, or the answer would depend on how a cluster cuts the work. Watermarks are what a job would have:
// the largest event time so far less the lateness, as of the batch before. `now()` is the largest event time that came.

import Dataflow
import Engine
import SQLBinding
import Values

final class QueryCaseRun {
    private let job: BoundJob
    private let plan: Plan
    private let path: String
    private let context: EvaluationContext
    private let pool = BufferPool()
    private let whole: LocalRun
    private var stored = StoredState()
    private var batches = 0
    private var folded: [[[String?]: Int64]]
    private var offsets: [String: Int64] = [:]
    private var newestMicros: [String: Int64] = [:]
    private(set) var counts = OperatorCounts()

    /// - Parameter path: of the case, for what is said of its rows.
    init(_ job: BoundJob, path: String) throws {
        self.job = job
        self.path = path
        context = EvaluationContext(zone: try job.settings["timezone"].map { try Zone.named($0) } ?? .utc)
        plan = try Planner.plan(job)
        whole = try LocalRun(plan, context: context)
        folded = plan.outputs.map { _ in [:] }
    }

    static let question = "select"
    var outputs: [String] { plan.outputs.map { Self.name($0.target) } }

    private static func name(_ target: JobOutput.Target) -> String {
        switch target {
        case .table(let name, _): name
        case .view(let name): name.isEmpty ? question : name
        }
    }

    // MARK: batches

    /// Runs the sections' rows as one batch.
    func run(_ sections: [QueryCase.Section]) throws {
        try run(chunks(sections), watermarks: watermarks())
        for section in sections { noteTimes(section) }
    }

    /// No more rows come, ever.
    func end() throws {
        try run([:], watermarks: Dictionary(uniqueKeysWithValues: timed.map { ($0.name, Int64.max) }))
    }

    private var timed: [TableDefinition] { job.tables.filter { $0.options[.eventTime] != nil } }

    private func watermarks() -> [String: Int64] {
        var watermarks: [String: Int64] = [:]
        for table in timed {
            guard let newest = newestMicros[table.name] else { continue }
            let text = table.options[.lateness] ?? job.settings[SettingKey.lateness.name] ?? SettingKey.lateness.fallback ?? ""
            watermarks[table.name] = newest.minus(durationMicros(text) ?? 0)
        }
        return watermarks
    }

    private var times: [String: [Int64]] = [:]

    private func noteTimes(_ section: QueryCase.Section) {
        guard let newest = times[section.name]?.max() else { return }
        newestMicros[section.name] = max(newestMicros[section.name] ?? newest, newest)
        times[section.name] = nil
    }

    private func run(_ rows: [String: [Dataflow.Chunk]], watermarks: [String: Int64]) throws {
        batches += 1
        let now = (newestMicros.values.max() ?? 0, times.values.joined().max() ?? 0)
        let batch = BatchRows(rows: rows, watermarks: watermarks, time: max(now.0, now.1))
        let changes = try texts(whole.run(batch))
        let again = try LocalRun(plan, parts: 3, chunkRows: 2, state: stored, batches: batches - 1, context: context)
        let others = try texts(again.run(batch))
        stored = again.state
        for counted in whole.counts { counts.add(counted) }
        for (output, change) in changes.enumerated() {
            guard change == others[output] else {
                throw Failure(
                    .internal, "\(outputs[output]) depends on how the work is cut", why: "batch \(batches) of \(path) changes it differently in three parts",
                    now: "report it with the query and this case")
            }
            for (row, weight) in change {
                let sum = (folded[output][row] ?? 0) + weight
                guard sum >= 0 else {
                    throw Failure(
                        .internal, "\(outputs[output]) takes a row back that it never had", why: "\(QueryCase.line(row)) in batch \(batches) of \(path)",
                        now: "report it with the query and this case")
                }
                folded[output][row] = sum == 0 ? nil : sum
            }
        }
    }

    private func texts(_ outputs: [[Dataflow.Chunk]]) -> [[[String?]: Int64]] {
        outputs.map { chunks in
            var changes: [[String?]: Int64] = [:]
            for chunk in chunks {
                for row in 0..<chunk.count { changes[chunk.columns.map { TypeText.text($0.datum(row), as: $0.type, context: context) }, default: 0] += chunk.weight(row) }
            }
            return changes.filter { $0.value != 0 }
        }
    }

    // MARK: what an output has

    func answer(_ section: QueryCase.Section) throws -> QueryCase.Answer { try answer(number(section.name, line: section.line)) }

    func answer(_ output: Int) -> QueryCase.Answer {
        let rows = folded[output].flatMap { row, weight in Array(repeating: row, count: Int(weight)) }
        return QueryCase.Answer(header: plan.outputs[output].columns.map(\.name), rows: rows)
    }

    /// What a section expects, with its values as the output would show them, in the order of its columns.
    func expected(_ section: QueryCase.Section) throws -> QueryCase.Answer {
        let columns = plan.outputs[try number(section.name, line: section.line)].columns
        let names = columns.map(\.name)
        guard let header = section.header else { return QueryCase.Answer(header: names, rows: []) }
        let places = names.map { header.firstIndex(of: $0) }
        if header.count != names.count || places.contains(nil) {
            throw QueryCase.broken(
                path, section.line + 1, "\(section.name) has the columns \(names.joined(separator: ", "))", "name them, in any order")
        }
        let rows = try section.rows.map { line, fields in
            try zip(columns, places).map { column, place in
                try fields[place!].flatMap { TypeText.text(try value($0, column.type, line), as: column.type, context: context) }
            }
        }
        return QueryCase.Answer(header: names, rows: rows)
    }

    private func number(_ name: String, line: Int) throws -> Int {
        guard let number = outputs.firstIndex(of: name) else {
            throw QueryCase.broken(path, line, "there is no output \(name)", "it is one of \(outputs.joined(separator: ", "))")
        }
        return number
    }

    // MARK: rows

    private func value(_ text: String, _ type: SQLType, _ line: Int) throws -> Datum {
        do { return try TypeText.read(text, as: type, context: context) } catch {
            throw QueryCase.broken(path, line, error.message, "write it as PostgreSQL reads a \(type.name)")
        }
    }

    /// What a record may bring: no time outside the years 1 to 9999.
    private func recorded(_ text: String, _ type: SQLType, _ line: Int) throws -> Datum {
        let value = try value(text, type, line)
        if [.timestamp, .timestamptz].contains(type), case .word(let micros) = value, !rowTimes.contains(micros / 1000) {
            throw QueryCase.broken(path, line, "\(text) is outside the years 1 to 9999", "give it a time that every sink can hold")
        }
        return value
    }

    private func chunks(_ sections: [QueryCase.Section]) throws -> [String: [Dataflow.Chunk]] {
        var chunks: [String: [Dataflow.Chunk]] = [:]
        for section in sections {
            guard let table = job.tables.first(where: { $0.name == section.name }) else {
                let names = job.tables.map(\.name).joined(separator: ", ")
                throw QueryCase.broken(path, section.line, "there is no table \(section.name)", "it is one of \(names)")
            }
            if section.word == .delete, table.options[.mode] != "upsert" {
                throw QueryCase.broken(path, section.line, "rows of \(table.name) are never deleted", "its mode is not 'upsert': leave the section out")
            }
            // Read by no query of the text.
            guard let source = plan.sources.first(where: { $0.table.name == table.name }) else { continue }
            let declared = try declared(table, section)
            if let time = table.options[.eventTime].flatMap({ name in table.columns.firstIndex { $0.name == name } }) {
                times[table.name, default: []] += (0..<section.rows.count).compactMap { if case .word(let micros) = declared[time].datum($0) { micros } else { nil } }
            }
            let first = offsets[table.name] ?? 0
            offsets[table.name] = first + Int64(section.rows.count)
            let readable = table.readable
            let columns = source.columns.map { number in
                if number < declared.count { return declared[number] }
                return Vector.flat(
                    section.rows.indices.map { Self.coordinate(readable[number].name, table, first + Int64($0)) }, readable[number].type, pool: pool)
            }
            var weights: Buffer?
            if section.word == .delete {
                weights = pool.take(max(section.rows.count, 1) * 8)
                for row in section.rows.indices { weights!.base.storeBytes(of: -1, toByteOffset: row * 8, as: Int64.self) }
            }
            chunks[table.name, default: []].append(Dataflow.Chunk(columns: columns, count: section.rows.count, weights: weights))
        }
        return chunks
    }

    /// The columns that the table declares: as they are written, by default, or computed.
    private func declared(_ table: TableDefinition, _ section: QueryCase.Section) throws -> [Vector] {
        let header = section.header ?? []
        for name in header where !table.columns.contains(where: { $0.name == name && $0.generated == nil }) {
            throw QueryCase.broken(
                path, section.line + 1, "table \(table.name) has no column \(name) that is written",
                "it has \(table.columns.filter { $0.generated == nil }.map(\.name).joined(separator: ", "))")
        }
        let count = section.rows.count
        // Of a key that is deleted nothing else is known.
        func isNeeded(_ number: Int) -> Bool { table.key.contains(number) || section.word == .rows && table.columns[number].isNotNull }
        var columns: [Vector] = []
        for (number, column) in table.columns.enumerated() {
            if let place = header.firstIndex(of: column.name) {
                let values = try section.rows.map { line, fields in
                    guard let text = fields[place] else {
                        if isNeeded(number) {
                            throw QueryCase.broken(path, line, "\(column.name) is NULL, and may not be", "give it a value; an empty text is \"\"")
                        }
                        return Datum.null
                    }
                    return try recorded(text, column.type, line)
                }
                let written = Vector.flat(values, column.type, pool: pool)
                // Digits and lengths, as INSERT brings them to what the column says.
                let assigned = try ExpressionBuilder(context: context).assign(.column(0, column.type), to: column.type, modifier: column.modifier, at: 0)
                columns.append(try computed(assigned, [written], count, section))
            } else if let constant = column.defaultValue {
                columns.append(try computed(constant, [], count, section))
            } else {
                if count > 0, column.generated == nil, isNeeded(number) {
                    throw QueryCase.broken(path, section.line, "the rows have no \(column.name), which may not be NULL", "name it, and give it values")
                }
                columns.append(Vector.flat(Array(repeating: .null, count: count), column.type, pool: pool))
            }
        }
        for (number, column) in table.columns.enumerated() {
            if let generated = column.generated { columns[number] = try computed(generated, columns, count, section) }
        }
        return columns
    }

    private func computed(_ expression: BoundExpression, _ columns: [Vector], _ count: Int, _ section: QueryCase.Section) throws -> Vector {
        var results: [Vector] = []
        let errors = RowErrors()
        Values.Program([expression], context: context, pool: pool).run(columns, count: count, .all(count), into: &results, errors: errors)
        if let first = errors.firstOfEachRow.first {
            throw QueryCase.broken(path, section.rows[first.row].line, first.fault.message, "mend the row or the expression")
        }
        // Aligned with the others, whatever form it came in.
        return Vector.flat((0..<count).map { results[0].datum($0) }, expression.type, pool: pool)
    }

    private static func coordinate(_ name: String, _ table: TableDefinition, _ offset: Int64) -> Datum {
        switch name {
        case "source_topic": .text(table.options[.topic] ?? table.name)
        case "source_partition": .word(0)
        case "source_offset": .word(offset)
        default: .null
        }
    }
}
