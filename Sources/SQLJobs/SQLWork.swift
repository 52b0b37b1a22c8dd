// The work of a job that is written in SQL: a plan, where it is cut, and what both halves are made from.

import Dataflow
import Decoding
import Engine
import Foundation
import SQLBinding
import SQLSyntax
import Values

struct SQLWork: StageWork {
    /// What positions of errors are places in.
    let script: SourceText
    let plan: Plan
    let cut: StageCut
    let columns: [SinkColumn]
    /// Numbers of the query's columns; nil for a table to which rows are only added.
    let key: [Int]?
    let table: SinkTable
    /// A table for each topic.
    let topics: [PlanSource]
    let context: EvaluationContext
    let onError: FaultPolicy
    let maxFutureMicros: Int64?
    let directory: String

    var hasExchange: Bool { cut.hasExchange }
    var mostParts: Int? { cut.mostParts }
    var givesComplete: Bool { false }
    /// Joins and ranks hold the rows of a batch: some kilobytes each.
    var alwaysRecords: Int64 { 100_000 }
    var givesWhenClosed: Bool { plan.givesWhenClosed }
    var givesAtStart: Bool { plan.givesAtStart }

    /// Rows of a topic are replaced by key: one that fails takes its old version back, and is no record to leave out.
    var decodesUpserts: Bool { topics.contains { $0.table.options[.mode] == "upsert" } }

    /// The node whose rows are written.
    var output: Int { plan.outputs[0].node }

    // MARK: schemas

    /// What records are written with, as the job's start read it.
    private struct Writers: Codable {
        struct Writer: Codable {
            var table: String
            var id: UInt32?
            var text: String
        }
        var writers: [Writer]
    }

    func schemaText(_ settings: [String: String]) throws -> String? {
        let all = try topics.flatMap { try writers(of: $0, settings) }
        if all.isEmpty { return nil }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(Writers(writers: all)), as: UTF8.self)
    }

    private func writers(of source: PlanSource, _ settings: [String: String]) throws -> [Writers.Writer] {
        try source.table.writerSchemas(usual: settings["schema"] ?? "", directory: directory).map { Writers.Writer(table: source.table.name, id: $0.id, text: $0.text) }
    }

    private func schemas(of source: PlanSource, _ text: String?) throws -> [AvroWriterSchema] {
        guard let text else { return [] }
        return try JSONDecoder().decode(Writers.self, from: Data(text.utf8)).writers.filter { $0.table == source.table.name }.map {
            AvroWriterSchema(id: $0.id, text: $0.text)
        }
    }

    // MARK: what runs

    func makeRangeWork(schemaText: String?, chunkRecords: Int) throws -> any RangeWork {
        let pool = BufferPool()
        let decoders = try topics.map { source in
            try TopicDecoder.of(
                source, in: plan, onError: onError, maxFutureMicros: maxFutureMicros, schemas: try schemas(of: source, schemaText), context: context, chunkRows: chunkRecords,
                pool: pool)
        }
        return SQLRangeWork(self, decoders, pool)
    }

    func makePartWork(keyGroups: Int, groups: Range<Int>) throws -> any PartWork {
        guard keyGroups == KeyGroup.count else {
            throw Failure(
                .invalidSetting, "setting key_groups cannot be \(keyGroups) here", why: "the state of a job written in SQL is kept in \(KeyGroup.count) key groups",
                now: "leave key_groups out")
        }
        return SQLPartWork(self, groups)
    }

    func makeLookup(_ spec: LookupSpec, from bytes: [UInt8]) throws -> any LookupContent {
        guard let source = plan.sources.first(where: { $0.table.name == spec.name }) else { preconditionFailure("a lookup of another job") }
        do {
            return SQLLookup(chunks: try LookupScan.chunks(bytes, source.columns.map { source.table.columns[$0].type }))
        } catch {
            throw Failure(.fileInvalid, "the kept content of lookup \(spec.name) cannot be read", why: error.what, now: "check the catalog's disk")
        }
    }

    /// An operator of one part, or of a range.
    func makeOperator(_ node: Int, part: Int, parts: Int, pool: BufferPool) -> any Dataflow.Operator {
        let inputs = plan.nodes[node].inputs.map { plan.nodes[$0.node].columns }
        return OperatorMaker.make(plan.nodes[node], columnsOf: inputs, part: part, parts: parts, savesState: true, context: context, pool: pool)
    }

    /// What operators of a batch are told.
    func moment(_ task: TaskContext) -> BatchMoment {
        var watermarks: [String: Int64] = [:]
        if let millis = task.watermarkBeforeMillis {
            for source in topics where source.table.options[.eventTime] != nil { watermarks[source.table.name] = millis.times(1000) }
        }
        return BatchMoment(number: 1, watermarks: watermarks, time: task.batchTimeMillis.times(1000), context: context)
    }

    // MARK: state

    /// Operators that keep something, by what they are.
    private var stateful: [OperatorID: StateBound] {
        var found: [OperatorID: StateBound] = [:]
        for number in cut.behind where plan.nodes[number].operation.keepsState { found[plan.nodes[number].id] = plan.nodes[number].bound }
        return found
    }

    func checkState(goesOnAs next: any StageWork, job: String) throws {
        let kept = stateful
        let others = (next as? SQLWork)?.stateful ?? [:]
        let lost = kept.keys.filter { others[$0] == nil }
        let new = others.keys.filter { kept[$0] == nil }
        // A state that begins now knows nothing of the rows that the others have.
        guard !lost.isEmpty || !new.isEmpty else { return }
        let what =
            lost.isEmpty ? "\(new.count) of the \(others.count) states that it needs would begin empty" : "\(lost.count) of the \(kept.count) states that it keeps would be lost"
        throw Failure(
            .notPossible, "job \(job) cannot be replaced: \(what)", why: "a query that groups, joins or filters otherwise keeps other state",
            now: "submit it under another --name; it starts with empty state there")
    }

    // MARK: for people

    var text: String {
        var lines = ["stage 0, a task for each range: nodes \(cut.beside.map { "\($0)" }.joined(separator: ", "))"]
        if !cut.still.isEmpty { lines.append("looked up: nodes \(cut.still.map { "\($0)" }.joined(separator: ", "))") }
        if hasExchange {
            for (number, edge) in cut.edges.enumerated() {
                let way: String =
                    switch edge.exchange {
                    case .none, .broadcast: "to all parts"
                    case .single: "to the part of the empty key"
                    case .hash(let columns): "by hash of columns \(columns.map { "\($0)" }.joined(separator: ", "))"
                    }
                lines.append("exchange \(number): rows of node \(edge.from) \(way)")
            }
            lines.append("stage 1, \(mostParts == 1 ? "one task" : "a task for each range of key groups"): nodes \(cut.behind.map { "\($0)" }.joined(separator: ", "))")
        }
        let fields = columns.map { "\($0.field.name) \($0.field.sqlType ?? $0.field.type.rawValue)" }.joined(separator: ", ")
        let manner =
            switch table.mode {
            case .keyedUpsert where table.key.isEmpty: "its one row replaced"
            case .keyedUpsert: "rows replaced and deleted by (\(table.key.joined(separator: ", ")))"
            case .append where table.key.isEmpty: "rows added once"
            case .append: "rows added once, unique by (\(table.key.joined(separator: ", ")))"
            }
        lines.append("write table \(table.name) (\(fields)), \(manner)")
        return lines.map { $0 + "\n" }.joined()
    }
}

/// A lookup table's rows.
final class SQLLookup: LookupContent {
    let chunks: [Dataflow.Chunk]
    init(chunks: [Dataflow.Chunk]) { self.chunks = chunks }
}

extension Int64 {
    /// The product, or the nearest number that there is.
    fileprivate func times(_ other: Int64) -> Int64 {
        let (product, isOver) = multipliedReportingOverflow(by: other)
        return isOver ? ((self < 0) == (other < 0) ? .max : .min) : product
    }
}
