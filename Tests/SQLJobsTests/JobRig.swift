// A job written in SQL, run as workers run it and without Kafka: ranges over its partitions, blocks, parts with their state, rows folded
// into a table.
//
// After every batch the table must be what the same plan has in one part of one process (`Reference`); the counts of the batch too.

import Dataflow
import Engine
import SQLBinding
import SQLJobs
import SQLSyntax
import TestSupport
import Testing
import Values

final class JobRig {
    struct Options {
        var seed: UInt64 = 1
        /// Parts of a batch, at random up to here.
        var parts = 5
        /// What a job says of its parts is not heard.
        var ignoresMostParts = false
        /// How likely an attempt is lost.
        var loses = 0.2
        var settings: [String: String] = [:]
    }

    let graph: StageGraph
    let source: PlanSource
    let parts: PartSlots
    private let ranges: RangeSlots
    private let reference: Reference
    private let options: Options
    private var random: SeededRandom
    private(set) var content: SinkContent
    /// Of each column of the query in the table.
    private let places: [Int]
    private var version: Int64 = 0
    private var lookups: [String: (bytes: [UInt8], content: any LookupContent)] = [:]

    // Of the last batch.
    private(set) var late = 0
    private(set) var failed = 0
    private(set) var rejected: [RangeSlots.Rejected] = []
    private(set) var newestMillis: Int64?
    private(set) var partCount = 0

    init(_ text: String, _ options: Options = Options()) throws {
        self.options = options
        random = SeededRandom(seed: options.seed)
        graph = try Self.graph(text, options.settings)
        let job = try BoundJob(binding: Script(parsing: SourceText(text, name: "job")), settings: ["lateness"])
        let plan = try Planner.plan(job)
        source = try #require(plan.sources.first { $0.table.connector == .kafka })
        let schema = try graph.work.schemaText(options.settings)
        let chunkRecords = 1 + random.below(6)
        ranges = RangeSlots(graph.work, schema: schema, chunkRecords: chunkRecords)
        parts = PartSlots(graph.work)
        reference = try Reference(job, plan, schema: schema)
        let names = graph.sink.schema.fields.map(\.name)
        let given = plan.outputs[0].columns
        places = given.map { column in names.firstIndex(of: column.name)! }
        let sink = graph.sink
        let declared = job.tables.first { ($0.options[.table] ?? $0.name) == sink.name }?.columns ?? []
        content = SinkContent(sink, types: names.map { name in given.first { $0.name == name }?.type ?? declared.first { $0.name == name }!.type })
    }

    static func graph(_ text: String, _ settings: [String: String] = [:]) throws -> StageGraph {
        try SQLJob(settings: ["lateness"]).graph(["query": text, "name": "job", "values": "{}", "directory": "", "lateness": "0s"].merging(settings) { $1 })
    }

    /// Runs a batch; its records by partition in the order of their offsets.
    /// - Parameter lookups: content by table; those of the batch before where nothing is said.
    func run(_ records: [MadeRecord], watermarkMillis: Int64? = nil, lookups new: [String: [UInt8]] = [:]) throws {
        version += 1
        for (name, bytes) in new where lookups[name]?.bytes != bytes {
            let spec = try #require(graph.lookups.first { $0.name == name })
            lookups[name] = (bytes, try graph.work.makeLookup(spec, from: bytes))
        }
        partCount = 1 + random.below(options.parts)
        if options.ignoresMostParts { partCount = max(2, partCount) } else { partCount = graph.parts(partCount, keyGroups: 128) }
        func task(_ partition: Int32) -> WorkTask {
            WorkTask(
                context: TaskContext(
                    batchTimeMillis: version * 1000, watermarkBeforeMillis: watermarkMillis, maxFutureMillis: 0, seed: 0,
                    topic: partition < 0 ? "" : graph.source.topic, partition: partition),
                keyGroups: 128, parts: graph.hasExchange ? partCount : 1, lookups: lookups.mapValues(\.content))
        }
        content.beginBatch()
        let read = try ranges.run(records, task, random: &random, loses: options.loses)
        rejected = read.rejected.filter { $0.reason != .tombstone }
        late = read.ranges.reduce(0) { $0 + $1.late }
        // A row that fails beside the records names its record.
        let failing = read.rejected.filter { $0.reason == .expression }
        failed = read.ranges.reduce(0) { $0 + $1.failed } + failing.count
        newestMillis = read.ranges.compactMap(\.maxEventTimeMillis).max()
        if graph.hasExchange {
            let made = try parts.run(task(-1), version: version, blocks: read.ranges.map(\.blocks), random: &random, loses: options.loses)
            try content.write(made.output)
            late += made.late
            failed += made.failed
        } else {
            for range in read.ranges { try content.write(range.output) }
        }
        try reference.run(records, watermarkMillis: watermarkMillis, number: version, lookups: lookups.mapValues(\.bytes))
        try compare(read)
    }

    private func compare(_ read: RangeSlots.Done) throws {
        func expect<Some: Equatable>(_ what: String, _ ours: Some, _ wanted: Some) throws {
            if ours != wanted { throw RigError.wrong("batch \(version), \(partCount) parts: \(what) is \(ours), wanted \(wanted)") }
        }
        let (ours, wanted) = (content.lines(places), reference.lines)
        if ours != wanted {
            throw RigError.wrong(
                "batch \(version), \(partCount) parts: the table is\n\(ours.joined(separator: "\n"))\nwanted\n\(wanted.joined(separator: "\n"))\n\(graph.text ?? "")")
        }
        try expect("late", late, reference.late)
        try expect("failed", failed, reference.failed)
        try expect("rows in", read.ranges.reduce(0) { $0 + $1.rowsIn }, reference.rowsIn)
        try expect("newest", newestMillis, reference.newestMillis)
        let others = read.rejected.filter { $0.reason != .expression }
        try expect("rejected", Set(others), reference.rejected)
        try expect("rejected records", others.count, reference.rejected.count)
        try expect("records named twice", Set(read.rejected.map { "\($0.partition) \($0.offset)" }).count, read.rejected.count)
    }

    /// The table's rows now, sorted; without the columns of a view's key that its text does not select.
    var lines: [String] { content.lines(content.table.schema.fields.indices.filter { !content.table.schema.fields[$0].name.hasPrefix("key_") }) }
}
