// The work of a job that is written as a `StreamingJob`: a stage graph's pipelines behind the contract of `StageWork`.
//
// A range's records are decoded into columns, filtered, looked up, and grouped partly; a part merges groups and keeps `KeyedState`, which
// a batch does not change: its delta stands apart until the batch is DONE.

import Foundation

package struct RowWork: StageWork {
    private let graph: StageGraph

    package init(_ graph: StageGraph) { self.graph = graph }

    package var hasExchange: Bool { graph.grouping != nil }
    package var mostParts: Int? { nil }
    package var givesComplete: Bool { hasExchange }
    package var alwaysRecords: Int64 { 1_000_000 }
    package var givesWhenClosed: Bool { false }
    package var givesAtStart: Bool { false }

    package func schemaText(_ settings: [String: String]) throws -> String? {
        let id = settings["schema_id"].flatMap { UInt32($0) }
        let sources = try WriterSchemas.sources(settings["schema"] ?? "", id: id)
        for source in sources where !FileManager.default.isReadableFile(atPath: source.path) {
            throw Failure(
                .fileMissing, "schema file \(source.path) is not there", why: "the setting `schema` names it",
                now: "correct --schema, or leave it out for the built-in schema of ad events")
        }
        return try WriterSchemas(sources, builtInID: id).text
    }

    package func makeRangeWork(schemaText: String?, chunkRecords: Int) throws -> any RangeWork {
        RowRangeWork(
            graph, try Formats.makeDecoder(format: graph.source.format, schemaText: schemaText, needed: graph.source.neededSchema),
            chunkRecords: chunkRecords)
    }

    package func makePartWork(keyGroups: Int, groups: Range<Int>) throws -> any PartWork { RowPartWork(graph, keyGroups: keyGroups, groups: groups) }

    package func makeLookup(_ spec: LookupSpec, from bytes: [UInt8]) throws -> any LookupContent { try spec.build(from: bytes) }

    package func checkState(goesOnAs next: any StageWork, job: String) throws {
        let new = (next as? RowWork)?.graph
        guard hasExchange || next.hasExchange else { return }
        guard let new, graph.accumulatorSchema == new.accumulatorSchema, graph.window == new.window else {
            throw Failure(
                .notPossible, "job \(job) cannot be replaced: its state does not fit the new plan",
                why: "kept are \(Self.describe(graph)), the new plan keeps \(new.map(Self.describe) ?? "something else")",
                now: "submit it under another --name; it starts with empty state there")
        }
    }

    private static func describe(_ graph: StageGraph) -> String {
        let fields = graph.accumulatorSchema.fields.map { "\($0.name) \($0.type.rawValue)" }.joined(separator: ", ")
        return "(\(fields)) per \(graph.window.map { formatDuration($0.lengthMillis) } ?? "key")"
    }
}

extension LookupTable: LookupContent {}

/// Stage 0 of such a job.
final class RowRangeWork: RangeWork {
    private let graph: StageGraph
    private let decoder: any RowDecoder
    private var decoding: DecodingBuffers
    private var pipeline: SourcePipeline?

    init(_ graph: StageGraph, _ decoder: any RowDecoder, chunkRecords: Int) {
        self.graph = graph
        self.decoder = decoder
        decoding = DecodingBuffers(schema: decoder.schema, capacity: chunkRecords)
    }

    func begin(_ task: WorkTask) throws {
        let lookups = task.lookups.mapValues { content in
            guard let table = content as? LookupTable else { preconditionFailure("a lookup of another kind of work") }
            return table
        }
        pipeline = SourcePipeline(graph: graph, context: task.context, lookups: lookups, keyGroups: task.keyGroups, parts: task.parts)
        _ = (decoder as? AvroDecoder)?.takeSchemaIDs()
    }

    func take(_ records: UnsafeBufferPointer<RawRecord>, reject: Reject) throws {
        guard let pipeline else { preconditionFailure("records before a range began") }
        decoding.clear()
        let rows = decoder.decode(records, into: decoding.columns, kept: decoding.kept, rejected: &decoding.rejected)
        for rejected in decoding.rejected { reject(records[rejected.index], rejected.reason, rejected.timeMillis) }
        decoding.setOffsets(records, rows: rows)
        let kept = decoding.kept
        pipeline.process(columns: decoding.columns, rowCount: rows, offsets: decoding.offsets) { row, reason in
            reject(records[Int(kept[row])], reason, reason == .futureTime ? pipeline.eventTimeMillis(row) : nil)
        }
    }

    func takeLateOffsets() -> [Int64] { pipeline?.takeLateOffsets() ?? [] }

    func finish(compressing: Bool) throws -> MadeOfRange {
        guard let pipeline else { preconditionFailure("a range ends that did not begin") }
        self.pipeline = nil
        let made = pipeline.finish()
        if let failure = made.failure { throw failure }
        var result = MadeOfRange()
        result.blocks = made.blocks.map { $0.map { ChunkCodec.encode($0, compressing: compressing) } }
        result.output = made.output
        result.rowsIn = made.rowsIn
        result.late = made.late
        result.unmatched = made.unmatched
        result.maxEventTimeMillis = made.maxEventTimeMillis
        result.schemaIDs = (decoder as? AvroDecoder)?.takeSchemaIDs() ?? []
        return result
    }
}

/// The stage behind the exchange of such a job.
final class RowPartWork: PartWork {
    private struct Delta: PartDelta {
        let chunk: Chunk
        var rowCount: Int { chunk.selectedCount }
        func bytes() -> [UInt8] { ChunkCodec.encode(chunk, for: .state) }
    }

    private let graph: StageGraph
    private let keyGroups: Int
    private let groups: Range<Int>
    private let state: KeyedState
    private var watermarkMillis: Int64?
    private var merge: MergePipeline?

    init(_ graph: StageGraph, keyGroups: Int, groups: Range<Int>) {
        self.graph = graph
        self.keyGroups = keyGroups
        self.groups = groups
        state = KeyedState(graph: graph, keyGroups: keyGroups)
    }

    var changesInPlace: Bool { false }
    var stateRows: Int { state.groupCount }
    var stateBytes: Int { state.byteCount }

    func load(_ files: [NamedState], keyGroups fileKeyGroups: Int) throws {
        for file in files {
            state.apply(file: try graph.state(ChunkCodec.decode(file.bytes, for: .state)), named: file.groups, of: fileKeyGroups, groups: groups)
        }
    }

    func begin(_ task: WorkTask) throws {
        merge = MergePipeline(graph: graph, context: task.context, keyGroups: keyGroups)
        watermarkMillis = task.context.watermarkBeforeMillis
    }

    func take(block: [UInt8]) throws { try merge?.process(block: ChunkCodec.decode(block)) }

    func finish(output: BatchPlan.OutputMode) throws -> MadeOfPart {
        guard let merge else { preconditionFailure("a part ends that did not begin") }
        self.merge = nil
        if let watermarkMillis { state.evict(watermarkMillis: watermarkMillis) }
        let made = try merge.finish(state: state, output: output)
        var result = MadeOfPart()
        result.output = made.output
        if made.delta.selectedCount > 0 { result.delta = Delta(chunk: made.delta) }
        return result
    }

    func adopt(_ delta: any PartDelta) {
        guard let delta = delta as? Delta else { preconditionFailure("a delta of another kind of work") }
        state.apply(delta: delta.chunk, groups: groups)
    }

    func snapshot(with delta: (any PartDelta)?, of files: () throws -> [NamedState]) -> (bytes: [UInt8], rows: Int) {
        let whole = (delta as? Delta).map { state.snapshot(with: $0.chunk) } ?? state.snapshot()
        return (ChunkCodec.encode(whole, for: .state), whole.selectedCount)
    }
}
