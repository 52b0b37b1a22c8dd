// Records made of texts, decoded, and read back as texts: what the tests of this folder share.

import Dataflow
import Decoding
import SQLBinding
import SQLSyntax
import Testing
import Values

/// One record to be.
struct TestRecord: ExpressibleByStringLiteral {
    var key: [UInt8]?
    var value: [UInt8]?
    var timeMillis: Int64 = SourceRecord.noTime
    var headers: [(String, [UInt8]?)] = []

    init(key: [UInt8]? = nil, _ value: [UInt8]?) {
        self.key = key
        self.value = value
    }

    init(key: String? = nil, _ value: String?) {
        self.key = key.map { Array($0.utf8) }
        self.value = value.map { Array($0.utf8) }
    }

    init(stringLiteral value: String) { self.init(value) }
}

/// What a decoder gave.
struct Decoded {
    /// The columns asked for, as text; in upserts a sign before them.
    var rows: [[String?]] = []
    var weights: [Int64] = []
    /// The record of each row.
    var records: [Int] = []
    var chunks: [Chunk] = []
    var outcome = DecodeOutcome()

    var rejected: [RejectedRow] { outcome.rejected }
    var counts: DecodeCounts { outcome.counts }
}

struct DecodingRig {
    let table: TableDefinition
    let columns: [Int]
    let decoder: TopicDecoder
    private let context: EvaluationContext

    /// - Parameters:
    ///   - columns: the declared ones of a table `t`, as SQL writes them.
    ///   - options: what stands in WITH behind the topic.
    ///   - reads: the names that the plan reads; nil for all that are declared.
    init(
        _ columns: String, _ options: String = "format = 'json'", reads: [String]? = nil, usesEventTime: Bool = false, onError: FaultPolicy = .quarantine,
        zone: String = "UTC", schemas: [AvroWriterSchema] = [], keySchemas: [AvroWriterSchema] = [], chunkRows: Int = 4096
    ) throws {
        let text = "CREATE TABLE t (\(columns)) WITH (connector = 'kafka', topic = 'topic', \(options)); SELECT count(*) FROM t"
        let job = try BoundJob(binding: try Script(parsing: SourceText(text, name: "test")))
        table = job.tables[0]
        let names = table.readable.map(\.name)
        self.columns = try reads.map { try $0.map { try #require(names.firstIndex(of: $0)) } } ?? Array(table.columns.indices)
        context = EvaluationContext(zone: try Zone.named(zone))
        decoder = try TopicDecoder(
            table, columns: self.columns, usesEventTime: usesEventTime, onError: onError, schemas: schemas, keySchemas: keySchemas, context: context, chunkRows: chunkRows)
    }

    func decode(_ records: [TestRecord], firstOffset: Int64 = 100, batchTime: Int64 = 0) throws -> Decoded {
        var memory: [UnsafeMutablePointer<UInt8>] = []
        defer { for bytes in memory { bytes.deallocate() } }
        // Each record in memory of its own, exactly as long: reading behind it is seen by the sanitizer.
        func place(_ bytes: [UInt8]?) -> UnsafePointer<UInt8>? {
            guard let bytes else { return nil }
            let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
            copy.update(from: bytes, count: bytes.count)
            memory.append(copy)
            return UnsafePointer(copy)
        }
        let source = records.enumerated().map { index, record in
            SourceRecord(
                key: place(record.key), keyCount: record.key?.count ?? 0, value: place(record.value), valueCount: record.value?.count ?? 0, offset: firstOffset + Int64(index),
                timeMillis: record.timeMillis)
        }
        var decoded = Decoded()
        decoded.outcome = try source.withUnsafeBufferPointer { source in
            let run = SourceRun(topic: "topic", partition: 3, records: source) { record, header in
                for (name, value) in records[record].headers {
                    Array(name.utf8).withUnsafeBytes { name in
                        if let value { value.withUnsafeBytes { header(name, $0) } } else { header(name, nil) }
                    }
                }
            }
            return try decoder.decode(run, batchTime: batchTime) { chunk in
                decoded.chunks.append(chunk.chunk)
                for row in 0..<chunk.chunk.count {
                    decoded.rows.append(chunk.chunk.columns.map { TypeText.text($0.datum(row), as: $0.type, context: context) })
                    decoded.weights.append(chunk.chunk.weight(row))
                    decoded.records.append(chunk.record(of: row))
                }
            }
        }
        return decoded
    }

    /// One record of one column: its text, `NULL`, or what became of it.
    func one(_ record: TestRecord) throws -> String {
        let decoded = try decode([record])
        if let rejected = decoded.rejected.first { return "\(rejected.reason.rawValue) \(rejected.fault.sqlState)" }
        return decoded.rows[0][0] ?? "NULL"
    }
}
