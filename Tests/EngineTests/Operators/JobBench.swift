// A job on the bench: a definition as a closure, rows as boxed values, and both stages run in this process.
//
// Rows go through everything that a real batch goes through, the bytes of blocks and deltas included; only Kafka, the
// workers and the sink are left out.

import Engine
import TestSupport

/// A job whose definition is a closure.
struct BenchJob: StreamingJob {
    var name = "bench"
    var summary = "for tests"
    var body: @Sendable (JobContext) throws -> Void
    func define(in job: JobContext) throws { try body(job) }
}

func graph(_ body: @escaping @Sendable (JobContext) throws -> Void) throws -> StageGraph {
    try StageGraph(job: BenchJob(body: body), settings: [:])
}

/// What is sent through: one row of the declared fields, by name.
typealias BenchRow = [String: Value]

/// Rows as columns, in chunks of `chunkRows`, as a decoder would hand them over.
func chunks(_ rows: [BenchRow], _ schema: Schema, chunkRows: Int) -> [Chunk] {
    stride(from: 0, to: rows.count, by: chunkRows).map { start in
        let part = rows[start..<min(start + chunkRows, rows.count)]
        let columns = schema.fields.map { field in
            let column = Column(field.type)
            for row in part { column.append(row[field.name] ?? .null) }
            return column
        }
        return Chunk(schema: schema, columns: columns, rowCount: part.count)
    }
}

func lookupTable(_ name: String, _ pairs: [(String, String)]) throws -> LookupTable {
    let (keys, values) = (TextColumn(), TextColumn())
    for (key, value) in pairs {
        keys.append(key)
        values.append(value)
    }
    return try LookupTable(name: name, keys: keys, values: [values])
}

struct BenchRun {
    var graph: StageGraph
    var lookups: [String: LookupTable] = [:]
    var keyGroups = 16
    var parts = 1
    var chunkRows = 1000
    var watermarkBeforeMillis: Int64?
    var batchTimeMillis: Int64 = 1_000_000_000
    var eventTimes: Range<Int64>?
    var maxFutureMillis: Int64 = 3_600_000

    var context: TaskContext {
        TaskContext(
            batchTimeMillis: batchTimeMillis, watermarkBeforeMillis: watermarkBeforeMillis,
            maxFutureMillis: maxFutureMillis, seed: 7, topic: "ad-events", partition: 3, eventTimes: eventTimes)
    }

    /// Stage 0 over one range of rows, whose offsets start at `firstOffset`.
    func source(_ rows: [BenchRow], firstOffset: Int64 = 0) -> SourceResult {
        let pipeline = SourcePipeline(
            graph: graph, context: context, lookups: lookups, keyGroups: keyGroups, parts: parts)
        var offset = firstOffset
        for chunk in chunks(rows, graph.source.neededSchema, chunkRows: chunkRows) {
            let offsets = (0..<Int64(chunk.rowCount)).map { offset + $0 }
            offsets.withUnsafeBufferPointer {
                pipeline.process(columns: chunk.columns, rowCount: chunk.rowCount, offsets: $0.baseAddress)
            }
            offset += Int64(chunk.rowCount)
        }
        return pipeline.finish()
    }

    /// The last stage over the blocks of all ranges, for one part.
    func merge(
        _ blocks: [Chunk], state: KeyedState, output: BatchPlan.OutputMode = .changes
    ) throws -> MergeResult {
        let pipeline = MergePipeline(graph: graph, context: context, keyGroups: keyGroups)
        for block in blocks { try pipeline.process(block: ChunkCodec.decode(ChunkCodec.encode(block))) }
        return try pipeline.finish(state: state, output: output)
    }

    func bounds(_ part: Int) -> Range<Int> {
        let bounds = BatchPlan.keyGroupBounds(parts: parts, keyGroups: keyGroups)
        return bounds[part]..<bounds[part + 1]
    }

    /// One whole batch over several ranges, on state made from `deltas`.
    /// - Returns: the rows for the sink, and the delta of each part.
    func batch(_ ranges: [[BenchRow]], deltas: [Chunk]) throws -> (output: [Chunk], deltas: [Chunk]) {
        let sources = ranges.map { source($0) }
        var output: [Chunk] = []
        var next: [Chunk] = []
        for part in 0..<parts {
            let state = KeyedState(graph: graph, keyGroups: keyGroups)
            for delta in deltas { state.apply(delta: delta, groups: bounds(part)) }
            if let watermarkBeforeMillis { state.evict(watermarkMillis: watermarkBeforeMillis) }
            let result = try merge(sources.compactMap { $0.blocks[part] }, state: state)
            output += result.output
            if result.delta.selectedCount > 0 { next.append(try ChunkCodec.decode(ChunkCodec.encode(result.delta))) }
        }
        return (output, next)
    }
}

/// A keyed table that batches are written to.
struct BenchTable: Equatable {
    var rows: [[Value]: [Value]] = [:]

    mutating func upsert(_ output: [Chunk], keyColumns: Int) {
        for chunk in output {
            chunk.forEachSelectedRow { row in
                let values = chunk.values(row)
                rows[Array(values[..<keyColumns])] = values
            }
        }
    }
}
