// From topic to topic: the job `purchases` through the transactional sink, against a plain loop that reads all records and
// writes as many as large in transactions of the same size.
//
// One event in three is a purchase. Both sides get a new output topic each time, and both are counted with read_committed
// before their speed counts.

import Engine

enum TopicCase {
    /// How many events there are for one purchase.
    private static let every = 3
    /// Records that both sides read for one transaction of each process, about: half a second's.
    private static let transactionRecords = 1_000_000

    /// The columns of the job's table, for the size of a row.
    private static let columns = Schema([
        Field("topic", .text), Field("partition", .int64), Field("offset", .int64), Field("user_id", .text),
        Field("ad_id", .text), Field("event_time", .timestamp),
    ])

    static func byHand(_ place: SpeedPlace, _ wanted: BenchTopic) throws -> SpeedSample {
        let made = try place.topic(wanted)
        let output = try place.outputTopic()
        defer { place.drop(output: output) }
        let sample = try place.read(
            wanted,
            [
                "--copy-to", output, "--copy-every", "\(every)", "--copy-bytes", "\(rowBytes(made.name, made.events))",
                "--copy-transaction", "\(max(1, (place.maxBatchRecords ?? transactionRecords) / place.workers))",
            ])
        // Each process counts for itself and may leave the last ones of its part out.
        try check(place, output, from: made.events / every - place.workers, upTo: made.events / every)
        return sample
    }

    static func throughSink(_ place: SpeedPlace, _ wanted: BenchTopic) throws -> SpeedSample {
        let made = try place.topic(wanted)
        let output = try place.outputTopic()
        defer { place.drop(output: output) }
        let run = try place.job("purchases", wanted, ["--sink", "kafka:\(output)", "--sink-format", "avro"])
        // By chance a tenth more or fewer purchases than a third would change what is compared.
        let share = Double(run.rowsOut) * Double(every) / Double(made.events)
        guard share > 0.9 && share < 1.1 else {
            throw Failure(
                .internal, "\(run.rowsOut) of \(made.events) events were purchases", why: "the bench writes one in \(every) by hand",
                now: "report this")
        }
        try check(place, output, from: run.rowsOut, upTo: run.rowsOut)
        return run.sample
    }

    private static func check(_ place: SpeedPlace, _ output: String, from least: Int, upTo most: Int) throws {
        let found = try place.committedRecords(of: output)
        guard found >= least && found <= most else {
            throw Failure(
                .internal, "\(found) records are committed in the output topic", why: "it should have \(least) to \(most)",
                now: "report this")
        }
    }

    /// Of a value as the sink writes it.
    private static func rowBytes(_ topic: String, _ events: Int) throws -> Int {
        let id = "00000000-0000-0000-0000-000000000000"
        var chunk = Chunk(schema: columns, capacity: 1)
        let row: [Value] = [
            .text(topic), .int64(1), .int64(Int64(events / BenchPlace.partitions / 2)), .text(id), .text(id),
            .timestamp(1_700_000_000_000),
        ]
        for (column, value) in zip(chunk.columns, row) { column.append(value) }
        chunk.rowCount = 1
        let encoder = try AvroEncoder(
            schema: AvroSchema(text: AvroSchema.text(name: "purchases", columns: columns)), columns: columns, schemaID: 1)
        let buffer = RecordBuffer(capacity: 1024)
        try encoder.encode(chunk, into: buffer)
        return buffer.byteCount
    }
}
