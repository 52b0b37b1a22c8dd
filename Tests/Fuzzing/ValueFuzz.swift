// Fuzzing of values: whatever a record holds goes through decoding, expressions, windows, sums, the merge with state, the
// watermark and the encoders of sinks, and nothing may trap, wrap, or depend on the order of the records or the cuts.
//
// The first byte of an input picks the format: even for JSON, where each line is a record, odd for Avro, where a record is a
// length in one byte and so many bytes behind the framing.

import Engine

private struct ExtremeGroups: StreamingJob {
    let name = "groups"
    let summary = "for fuzzing"
    func define(in job: JobContext) throws {
        try job.stream(.kafka("t", format: .json, schema: ValueFuzz.fields))
            .withWatermark("at", delay: .seconds(7))
            .filter(col("n") != 77)
            .groupBy((col("n") / col("m")).as("k"), col("x").as("f"), tumble("at", .seconds(10)))
            .agg(
                count().as("c"), sum(col("n")).as("sn"), avg(col("n")).as("an"), sum(col("x")).as("sx"), avg(col("y")).as("ay"),
                sum(col("y")).as("sy"), min(col("at")).as("least"), max(col("x")).as("most")
            )
            .select(
                col("k"), col("f"), col("window_start"), col("c"), (col("sn") + col("c")).as("sum"), col("an"),
                (col("sx") / col("sy")).as("ratio"), col("ay"), (col("least") + col("sn")).as("later"), col("most")
            )
            .write(to: .table("o", key: ["k", "f", "window_start"]))
    }
}

private struct ExtremeRows: StreamingJob {
    let name = "rows"
    let summary = "for fuzzing"
    func define(in job: JobContext) throws {
        try job.stream(.kafka("t", format: .json, schema: ValueFuzz.fields))
            .select(
                (col("n") + col("m")).as("a"), (col("n") - col("m")).as("b"), (col("n") * col("m")).as("c"), (col("n") / col("m")).as("d"),
                col("x").cast(to: .int64).as("e"), (col("at") + col("n")).as("f"), (col("at") - col("n")).as("g"),
                (col("at") - col("at")).as("h"), col("n").cast(to: .timestamp).as("i"), (col("x") / col("y")).as("j"), col("t")
            )
            .write(to: .append("o", uniqueKey: ["a"]))
    }
}

final class ValueFuzz: FuzzSubject {
    static let fields = [
        Field("n", .int64), Field("m", .int64), Field("x", .float64), Field("y", .float64, nullable: true), Field("at", .timestamp),
        Field("t", .text, nullable: true),
    ]
    fileprivate static let avroText = """
        {"type":"record","name":"V","fields":[{"name":"n","type":"long"},{"name":"m","type":"int"},{"name":"x","type":"double"},
        {"name":"y","type":["null","double",{"type":"bytes","logicalType":"decimal","precision":40,"scale":9}]},
        {"name":"at","type":["long",{"type":"int","logicalType":"date"}]},
        {"name":"t","type":["null","string",{"type":"fixed","name":"D","size":16,"logicalType":"decimal","precision":38,"scale":38}]}]}
        """
    /// A job with what reads and writes its rows.
    private struct Bench {
        let graph: StageGraph
        let avro: AvroDecoder
        let json: JSONRowDecoder
        let toAvro: AvroEncoder
        let toJSON: JSONRowEncoder

        init(_ job: any StreamingJob) throws {
            graph = try StageGraph(job: job, settings: [:])
            avro = try AvroDecoder(schema: AvroSchema(text: ValueFuzz.avroText), needed: graph.source.neededSchema)
            json = try JSONRowDecoder(needed: graph.source.neededSchema)
            let columns = graph.sink.schema
            toAvro = try AvroEncoder(schema: AvroSchema(text: AvroSchema.text(name: "o", columns: columns)), columns: columns, schemaID: 1)
            toJSON = JSONRowEncoder(columns: columns)
        }
    }
    private let groups: Bench
    private let rows: Bench
    private let buffer = RecordBuffer()
    let seeds: [[UInt8]]
    let tokens: [[UInt8]]

    init() throws {
        groups = try Bench(ExtremeGroups())
        rows = try Bench(ExtremeRows())
        let numbers = [
            "9223372036854775807", "-9223372036854775808", "0", "-1", "1", "9007199254740993", "1.7976931348623157e308", "-1.7976931348623157e308",
            "5e-324", "1e-34", "6e23", "0.1", "-0.0", "4611686018427387904", "253402300799999", "-62135596800000", "253402300800000",
            "1772366400000000", "1772366400000", "\"9999-12-31T23:59:59.999Z\"", "\"0001-01-01T00:00:00Z\"", "null", "1e400",
        ]
        tokens =
            (numbers + ["\n", "\"n\":", "\"m\":", "\"x\":", "\"y\":", "\"at\":", "\"t\":", ",", "{", "}"]).map { Array($0.utf8) } + [
                Array(repeating: 0xff, count: 9) + [0x01], [0xfe] + Array(repeating: 0xff, count: 8) + [0x01], [0x80, 0x80, 0x80, 0x80, 0x10],
                [0, 0, 0, 0, 0, 0, 0xf0, 0x7f], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xef, 0x7f], [1, 0, 0, 0, 0, 0, 0, 0], Array(repeating: 0, count: 8),
                [0x20] + Array(repeating: 0x80, count: 16), [0, 0, 0, 0, 0, 0, 0xf8, 0x7f],
            ]
        func line(_ n: String, _ m: String, _ x: String, _ y: String, _ at: String) -> [UInt8] {
            Array(#"{"n":\#(n),"m":\#(m),"x":\#(x),"y":\#(y),"at":\#(at),"t":"é"}"#.utf8) + [10]
        }
        let extreme = line("9223372036854775807", "1", "2.5", "6e23", "1000") + line("9223372036854775807", "1", "2.5", "-6e23", "2000")
        let small = line("5", "2", "5e-324", "1e-34", "-62135596800000") + line("-9223372036854775808", "-1", "1", "null", "253402300799999")
        let avro: [UInt8] = [23] + [2, 4] + [0, 0, 0, 0, 0, 0, 0xf8, 0x3f] + [2, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f] + [0, 8] + [0] + [99]
        // The length says less than there is: what is behind begins another record.
        seeds = [[0] + extreme, [0] + small, [0] + extreme + small, [1] + [UInt8(avro.count - 2)] + avro[1..<(avro.count - 1)]]
    }

    func run(_ input: UnsafeBufferPointer<UInt8>) -> FuzzOutcome {
        guard let first = input.first else { return .refused }
        let isAvro = first & 1 == 1
        let records = isAvro ? Self.framed(Array(input.dropFirst())) : input.dropFirst().split(separator: 10).map { Array($0) }
        if records.isEmpty { return .refused }
        do {
            let whole = try digests(records, isAvro: isAvro, cut: records.count)
            let again = try digests(records.reversed(), isAvro: isAvro, cut: 1)
            if whole.text != again.text { return .defect("another order gave other rows: \(whole.text), \(again.text)") }
            return whole.rows > 0 ? .accepted : .refused
        } catch {
            return .defect("a value is an error of the whole batch: \(error)")
        }
    }

    private static func framed(_ bytes: [UInt8]) -> [[UInt8]] {
        var records: [[UInt8]] = []
        var place = 0
        while place < bytes.count {
            let end = min(bytes.count, place + 1 + Int(bytes[place]))
            records.append([0, 0, 0, 0, 1] + bytes[(place + 1)..<end])
            place = end
        }
        return records
    }

    /// What both jobs make of the records, in two batches upon each other.
    private func digests(_ records: [[UInt8]], isAvro: Bool, cut: Int) throws -> (text: String, rows: Int) {
        let graph = groups.graph
        let state = KeyedState(graph: graph, keyGroups: 4)
        var text = ""
        var count = 0
        for batch in 0..<2 {
            let source = try source(groups, records, isAvro, cut)
            let merge = MergePipeline(graph: graph, context: context, keyGroups: 4)
            for block in source.blocks { if let block { try merge.process(block: ChunkCodec.decode(ChunkCodec.encode(block))) } }
            let result = try merge.finish(state: state)
            state.apply(delta: try graph.state(ChunkCodec.decode(ChunkCodec.encode(result.delta, for: .state), for: .state)), groups: 0..<4)
            try note(result.output, groups, &text, &count)
            if batch == 1 {
                // The watermark of what came closes some windows.
                if let time = source.maxEventTimeMillis { state.evict(watermarkMillis: time.minus(7000)) }
                var rest = RowDigest()
                rest.add(state.snapshot())
                text += rest.text
            }
        }
        let source = try source(rows, records, isAvro, cut)
        try note(source.output, rows, &text, &count)
        return (text + "\(source.rowsIn) \(source.keylessRows) \(source.futureRows)", count)
    }

    private var context: TaskContext {
        TaskContext(
            batchTimeMillis: 1_772_366_400_000, watermarkBeforeMillis: nil, maxFutureMillis: Int64.max, seed: 1, topic: "t", partition: 0)
    }

    private func source(_ bench: Bench, _ records: [[UInt8]], _ isAvro: Bool, _ cut: Int) throws -> SourceResult {
        let decoder: any RowDecoder = isAvro ? bench.avro : bench.json
        let pipeline = SourcePipeline(graph: bench.graph, context: context, lookups: [:], keyGroups: 4, parts: 1)
        for start in stride(from: 0, to: records.count, by: max(1, cut)) {
            let piece = records[start..<min(records.count, start + max(1, cut))]
            let columns = decoder.schema.fields.map { Column($0.type, capacity: 16) }
            var rejected: [RejectedRecord] = []
            let bytes = piece.flatMap { $0 }
            bytes.withUnsafeBufferPointer { bytes in
                var from = 0
                let raw = piece.enumerated().map { index, record -> RawRecord in
                    defer { from += record.count }
                    return RawRecord(payload: bytes.baseAddress.map { $0 + from }, length: record.count, offset: Int64(start + index))
                }
                let rows = raw.withUnsafeBufferPointer { decoder.decode($0, into: columns, kept: nil, rejected: &rejected) }
                precondition(rows + rejected.count == piece.count)
                pipeline.process(columns: columns, rowCount: rows, offsets: nil)
            }
        }
        let result = pipeline.finish()
        if let failure = result.failure { throw failure }
        return result
    }

    /// Takes the rows into the digest, and through what sinks do with them.
    private func note(_ output: [Chunk], _ bench: Bench, _ text: inout String, _ count: inout Int) throws {
        var digest = RowDigest()
        let table = bench.graph.sink
        buffer.removeAll()
        for chunk in output {
            digest.add(chunk)
            count += chunk.selectedCount
            try bench.toJSON.encode(chunk, into: buffer)
            try bench.toAvro.encode(chunk, into: buffer)
            for column in table.key {
                let index = table.schema.index(of: column)!
                chunk.forEachSelectedRow { row in precondition(!chunk.columns[index].isNull(row), "a key is NULL") }
            }
            for (index, field) in table.schema.fields.enumerated() where field.type == .timestamp {
                chunk.forEachSelectedRow { row in
                    if case .timestamp(let time) = chunk.columns[index].value(row) { precondition(rowTimes.contains(time), "\(time) is no time") }
                }
            }
        }
        text += digest.text
    }
}
