// What decoding costs alone, Avro and JSON: ad events of 7 fields of which 3 are used, a chunk at a time, as a worker decodes them.
//
// In this process and by its processor time. There are more records than fit into a processor's cache, so that they come out of
// memory.

import Engine

enum DecoderBench {
    private static let events = 200_000
    private static let chunkRecords = 2048
    private static let rounds = 15

    /// Nanoseconds an event.
    static func result(_ format: RecordFormat, below budget: Double? = nil) throws -> BenchResult {
        let buffer = EventBuffer(capacity: events)
        var traffic = BenchPlace.traffic(events: events)
        traffic.format = format == .avro ? .avro : .json
        _ = try AdEventGenerator(traffic).fill(buffer, from: 0, until: events, partition: 0, of: 1, tally: nil)
        let records = (0..<events).map { number in
            let record = buffer.record(number)
            return RawRecord(payload: record.baseAddress, length: record.count, offset: Int64(number))
        }
        let needed = Schema([Field("ad_id", .text), Field("event_type", .text), Field("event_time", .timestamp)])
        let decoder = try Formats.makeDecoder(format: format, schemaText: nil, needed: needed)
        let columns = decoder.schema.fields.map { Column($0.type, capacity: chunkRecords) }
        var rejected: [RejectedRecord] = []
        func round() throws {
            var rows = 0
            records.withUnsafeBufferPointer { records in
                for start in stride(from: 0, to: events, by: chunkRecords) {
                    for column in columns { column.removeAll() }
                    let chunk = UnsafeBufferPointer(rebasing: records[start..<min(events, start + chunkRecords)])
                    rows += decoder.decode(chunk, into: columns, kept: nil, rejected: &rejected)
                }
            }
            guard rows + rejected.count == events else {
                throw Failure(.internal, "the bench decoded \(rows) of \(events) events", why: "\(rejected.count) were rejected", now: "report this")
            }
            rejected.removeAll(keepingCapacity: true)
        }
        try round()
        let nanos = try (0..<rounds).map { _ in
            let began = ProcessClocks.usedNanos()
            try round()
            return Double(ProcessClocks.usedNanos() - began) / Double(events)
        }
        guard let spread = Spread(nanos) else { preconditionFailure("no round was run") }
        return BenchResult("\(format == .avro ? "Avro program" : "JSON"), an event of 7 fields, 3 used", workers: 0, .nanos, spread, below: budget)
    }
}
