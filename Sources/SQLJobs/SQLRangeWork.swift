// Stage 0 of a job written in SQL: the records of a range through the nodes that no exchange stands before, chunk by chunk.
//
// What an edge brings goes into the blocks of the parts at once, so memory is that of the blocks and of one chunk. Nothing is kept from one
// range to the next but operators, buffers, and the rows of lookup tables, as long as their content is that of the batch.

import Dataflow
import Decoding
import Engine
import SQLBinding
import Values

final class SQLRangeWork: RangeWork {
    private let work: SQLWork
    /// Of each topic.
    private let decoders: [TopicDecoder]
    private let pool: BufferPool
    private let lookups: LookupNodes
    private var operators: [Int: any Dataflow.Operator] = [:]
    /// Of nodes that read: which topic, and the columns out of what its decoder gives.
    private let reads: [Int: (topic: Int, places: [Int])]
    private let given: [ChunkList]
    private let sink: SinkRows
    /// A record goes one way through the nodes: where it fails it is not also counted elsewhere, and it may be run again as a whole.
    private let isLine: Bool
    private var records: [SourceRecord] = []

    // Of the range.
    private var task: WorkTask?
    private var topic = 0
    private var routers: (parts: Int, list: [ExchangeRouter]) = (0, [])
    private var blocks: [[UInt8]] = []
    private var newestMicros: Int64?
    /// By node, how many of the rows that failed were told.
    private var toldFailed: [Int: Int] = [:]
    private var counts = DecodeCounts()

    init(_ work: SQLWork, _ decoders: [TopicDecoder], _ pool: BufferPool) {
        self.work = work
        self.decoders = decoders
        self.pool = pool
        lookups = LookupNodes(work)
        given = work.plan.nodes.map { _ in ChunkList() }
        sink = SinkRows(work, pool: pool)
        var reads: [Int: (topic: Int, places: [Int])] = [:]
        for number in work.cut.beside {
            guard case .read(let table, let columns) = work.plan.nodes[number].operation else { continue }
            let source = work.plan.sources[table]
            let topic = work.topics.firstIndex { $0.table.name == source.table.name }!
            reads[number] = (topic, columns.map { source.columns.firstIndex(of: $0)! })
        }
        self.reads = reads
        let readers = work.plan.nodes.flatMap { $0.inputs.map(\.node) } + [work.output]
        isLine = Set(readers).count == readers.count && !work.decodesUpserts
    }

    func begin(_ task: WorkTask) throws {
        if task.context.eventTimes != nil {
            throw Failure(
                .notPossible, "a backfill of a job written in SQL is not there yet", why: "its rows are not chosen by event time", now: "run it under another --name with --from")
        }
        self.task = task
        guard let topic = work.topics.firstIndex(where: { $0.topic == task.context.topic }) else { preconditionFailure("a range of another topic") }
        self.topic = topic
        if routers.parts != task.parts { routers = (task.parts, work.cut.edges.map { ExchangeRouter($0.exchange, parts: task.parts) }) }
        blocks = Array(repeating: [], count: work.hasExchange ? task.parts : 0)
        newestMicros = nil
        toldFailed = [:]
        counts = DecodeCounts()
        for list in given { _ = list.removeAll() }
        sink.removeAll()
        let moment = work.moment(task.context)
        let joins = try lookups.take(task.lookups, among: work.cut.beside, pool: pool, at: moment)
        for number in work.cut.beside where reads[number] == nil {
            if let join = joins[number] {
                operators[number] = join
            } else if operators[number] == nil {
                operators[number] = work.makeOperator(number, part: 0, parts: 1, pool: pool)
            }
            operators[number]!.begin(moment)
        }
    }

    func take(_ raw: UnsafeBufferPointer<RawRecord>, reject: Reject) throws {
        guard let task else { preconditionFailure("records before a range began") }
        records.removeAll(keepingCapacity: true)
        for record in raw { records.append(SourceRecord(record)) }
        let outcome: DecodeOutcome
        do {
            outcome = try records.withUnsafeBufferPointer { records in
                let run = SourceRun(topic: task.context.topic, partition: task.context.partition, records: records)
                return try decoders[topic].decode(run, batchTime: task.context.batchTimeMillis * 1000) { try process(isLine ? $0.chunk.with(origins: $0.records) : $0.chunk) }
            }
        } catch let stop as DecodeStop {
            throw work.failure(stop)
        }
        for row in outcome.rejected { reject(raw[row.record], Self.reason(row), nil) }
        for record in takeFailed() { reject(raw[Int(record)], .expression, nil) }
        if let newest = outcome.newestEventMicros { newestMicros = max(newestMicros ?? newest, newest) }
        counts.add(outcome.counts)
    }

    private static func reason(_ row: RejectedRow) -> RejectReason {
        switch row.reason {
        case .undecodable: row.column == nil ? .invalidValue : .wrongType
        case .null, .nullEventTime: .nullField
        case .tooFarAhead: .futureTime
        case .keyMissing: .nullKey
        case .keyUndecodable: .undecodableKey
        case .keyDiffers: .otherKey
        case .tombstone: .tombstone
        }
    }

    /// A decoded chunk through all nodes, and out.
    private func process(_ chunk: Dataflow.Chunk) throws {
        for number in work.cut.beside {
            if let read = reads[number] {
                if read.topic == topic { given[number].emit(chunk.picking(read.places)) }
                continue
            }
            for (input, from) in work.plan.nodes[number].inputs.enumerated() where !work.cut.still.contains(from.node) {
                for chunk in given[from.node].chunks { try run { try operators[number]!.take(chunk, input: input, into: given[number]) } }
            }
        }
        try leave()
    }

    /// Records of which a row failed since the last call, each once.
    private func takeFailed() -> [Int32] {
        var found: Set<Int32> = []
        for (number, part) in operators {
            let origins = part.counts.failedOrigins
            found.formUnion(origins.dropFirst(toldFailed[number] ?? 0))
            toldFailed[number] = origins.count
        }
        return found.sorted()
    }

    private func run(_ body: () throws -> Void) throws {
        do { try body() } catch let stop as RowStop {
            throw work.failure(stop)
        }
    }

    /// What was given goes to the blocks, or to the sink.
    private func leave() throws {
        for (edge, router) in routers.list.enumerated() {
            for chunk in given[work.cut.edges[edge].from].chunks {
                router.route(chunk) { part, rows, count in
                    ChunkBytes.append(number: edge, to: &blocks[part])
                    if let rows { ChunkBytes.append(chunk, rows: rows, count: count, to: &blocks[part]) } else { ChunkBytes.append(chunk, to: &blocks[part]) }
                }
            }
        }
        if !work.hasExchange { for chunk in given[work.output].chunks { sink.add(chunk) } }
        for list in given { _ = list.removeAll() }
        if let most = blocks.map(\.count).max(), most > Limits.blockBytes {
            throw Failure(
                .limitExceeded, "a batch gives one part more than a block can hold",
                why: "it would take \(formatSize(Int64(most))), and a block holds \(formatSize(Int64(Limits.blockBytes)))",
                now: "set max_batch_records lower; a batch that is planned already needs --offsets")
        }
    }

    func takeLateOffsets() -> [Int64] { [] }

    func finish(compressing: Bool) throws -> MadeOfRange {
        var result = MadeOfRange()
        for number in work.cut.beside where reads[number] == nil {
            for (input, from) in work.plan.nodes[number].inputs.enumerated() where !work.cut.still.contains(from.node) {
                for chunk in given[from.node].chunks { try run { try operators[number]!.take(chunk, input: input, into: given[number]) } }
            }
            try run { try operators[number]!.end(into: given[number]) }
        }
        try leave()
        for number in work.cut.beside {
            guard let part = operators[number] else { continue }
            result.late += part.counts.late
            result.failed += part.counts.failed
            var none: StateDelta?
            part.finish(into: &none)
        }
        result.blocks = blocks.map { $0.isEmpty ? nil : ChunkCodec.framed($0, compressing: compressing) }
        blocks = []
        if !work.hasExchange { result.output = try sink.end() }
        result.rowsIn = counts.rows
        result.failed += counts.nulled.values.reduce(0, +)
        // The time before it in whole milliseconds: a watermark may be less than it could be, and never more.
        result.maxEventTimeMillis = newestMicros.map { $0 >= 0 ? $0 / 1000 : -((-$0 + 999) / 1000) }
        task = nil
        return result
    }
}
