// The same plan in one part of one process over the same records, each partition decoded as a whole.

import Dataflow
import Decoding
import Engine
import Foundation
import SQLBinding
import TestSupport
import Values

final class Reference {
    private let plan: Plan
    private let source: PlanSource
    private let decoder: TopicDecoder
    private let context: EvaluationContext
    private var local: LocalRun
    private var folded: [[String?]: Int64] = [:]
    private var looked: [String: [Dataflow.Chunk]] = [:]
    /// Nodes of lookup tables, which are computed once for each content: nobody counts what fails there.
    private let still: [Int]

    // Of the last batch.
    private(set) var late = 0
    private(set) var failed = 0
    private(set) var rowsIn = 0
    private(set) var newestMillis: Int64?
    private(set) var rejected: Set<RangeSlots.Rejected> = []

    init(_ job: BoundJob, _ plan: Plan, schema: String?) throws {
        self.plan = plan
        source = plan.sources.first { $0.table.connector == .kafka }!
        context = EvaluationContext(zone: try job.settings["timezone"].map { try Zone.named($0) } ?? .utc)
        local = try LocalRun(plan, context: context)
        still = try StageCut(plan, key: nil).still
        decoder = try TopicDecoder(
            source.table, columns: source.columns, usesEventTime: plan.goesByTime && source.table.options[.eventTime] != nil,
            onError: job.settings["on_error"].flatMap { FaultPolicy(rawValue: $0) } ?? .quarantine, schemas: try Self.schemas(schema), context: context)
    }

    private static func schemas(_ text: String?) throws -> [AvroWriterSchema] {
        guard let text, let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: [[String: Any]]] else { return [] }
        return (object["writers"] ?? []).map { AvroWriterSchema(id: $0["id"] as? UInt32, text: $0["text"] as? String ?? "") }
    }

    var lines: [String] { folded.flatMap { row, weight in Array(repeating: SinkContent.line(row), count: Int(max(weight, 0))) }.sorted() }

    func run(_ records: [MadeRecord], watermarkMillis: Int64?, number: Int64, lookups: [String: [UInt8]]) throws {
        (late, failed, rowsIn, newestMillis, rejected) = (0, 0, 0, nil, [])
        var rows: [String: [Dataflow.Chunk]] = [:]
        for partition in Set(records.map(\.partition)).sorted() {
            rows[source.table.name, default: []] += try decode(records.filter { $0.partition == partition }, partition, number)
        }
        for (name, bytes) in lookups {
            let table = plan.sources.first { $0.table.name == name }!
            let new = try Self.chunks(bytes, table.columns.map { table.table.columns[$0].type })
            rows[name] = (looked[name] ?? []).map { $0.weighted(-1) } + new.map { $0.weighted(1) }
            looked[name] = new
        }
        let batch = BatchRows(
            rows: rows, watermarks: watermarkMillis.map { [source.table.name: $0 == .max ? .max : $0 * 1000] } ?? [:], time: number * 1_000_000)
        let answer = try local.run(batch)
        for chunk in answer[0] {
            for row in 0..<chunk.count {
                let texts = plan.outputs[0].columns.indices.map { SinkContent.text(chunk.columns[$0].datum(row), chunk.columns[$0].type) }
                let sum = (folded[texts] ?? 0) + chunk.weight(row)
                folded[texts] = sum == 0 ? nil : sum
            }
        }
        if let wrong = folded.first(where: { $0.value < 0 }) { throw RigError.wrong("the weight of \(SinkContent.line(wrong.key)) is \(wrong.value)") }
        late = local.counts.reduce(0) { $0 + $1.late }
        failed += local.counts.enumerated().reduce(0) { $0 + (still.contains($1.offset) ? 0 : $1.element.failed) }
    }

    private func decode(_ records: [MadeRecord], _ partition: Int32, _ number: Int64) throws -> [Dataflow.Chunk] {
        var memory: [UnsafeMutableBufferPointer<UInt8>] = []
        defer { for bytes in memory { bytes.deallocate() } }
        func place(_ bytes: [UInt8]?) -> UnsafePointer<UInt8>? {
            guard let bytes else { return nil }
            let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(bytes.count, 1))
            _ = copy.update(from: bytes)
            memory.append(copy)
            return UnsafePointer(copy.baseAddress!)
        }
        let list = records.map { record in
            SourceRecord(key: place(record.key), keyCount: record.key?.count ?? 0, value: place(record.value), valueCount: record.value?.count ?? 0, offset: record.offset)
        }
        var chunks: [Dataflow.Chunk] = []
        let outcome = try list.withUnsafeBufferPointer { list in
            try decoder.decode(SourceRun(topic: source.table.options[.topic]!, partition: partition, records: list), batchTime: number * 1_000_000) { chunks.append($0.chunk) }
        }
        rowsIn += outcome.counts.rows
        failed += outcome.counts.nulled.values.reduce(0, +)
        if let micros = outcome.newestEventMicros { newestMillis = max(newestMillis ?? .min, Int64((Double(micros) / 1000).rounded(.down))) }
        let reasons: [RowRejectReason: RejectReason] = [
            .null: .nullField, .nullEventTime: .nullField, .tooFarAhead: .futureTime, .keyMissing: .nullKey, .keyUndecodable: .undecodableKey, .keyDiffers: .otherKey,
            .tombstone: .tombstone,
        ]
        for row in outcome.rejected {
            rejected.insert(RangeSlots.Rejected(partition: partition, offset: row.offset, reason: reasons[row.reason] ?? (row.column == nil ? .invalidValue : .wrongType)))
        }
        return chunks
    }

    static func chunks(_ bytes: [UInt8], _ types: [SQLType]) throws -> [Dataflow.Chunk] {
        let pool = BufferPool()
        return try bytes.withUnsafeBytes { all in
            var reader = ByteReader(all)
            var chunks: [Dataflow.Chunk] = []
            while !reader.isAtEnd { chunks.append(try ChunkBytes.read(types, from: &reader, pool: pool)) }
            return chunks
        }
    }
}

extension Dataflow.Chunk {
    fileprivate func weighted(_ weight: Int64) -> Dataflow.Chunk {
        let buffer = BufferPool().take(max(count, 1) * 8)
        for row in 0..<count { buffer.base.storeBytes(of: weight, toByteOffset: row * 8, as: Int64.self) }
        return Dataflow.Chunk(columns: columns, count: count, weights: buffer)
    }
}
