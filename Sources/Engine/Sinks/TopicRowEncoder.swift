// Rows of a sink table as Kafka records: the value in the job's format, the key for tables that have one.
//
// A keyed table's record key is its key columns as a JSON object, in either format: a compacted topic then keeps the last
// row of each key, and the key can be read without a schema. An appended row has no key; where it comes from stands in
// its columns. Columns are encoded straight into the producer's buffer, a chunk at a time.

final class TopicRowEncoder {
    private let values: any RowEncoder
    private let key: (columns: [Int], schema: Schema, encoder: JSONRowEncoder)?

    init(_ table: SinkTable, _ settings: TopicSinkSettings) throws {
        try SinkTableText.checkColumns(of: table)
        guard !table.isSingleRow else {
            throw Failure(
                .invalidSetting, "the rows of `\(table.name)` cannot be written to a topic", why: "they have an empty key, and are replaced as a whole",
                now: "write them into a table of PostgreSQL or SQLite")
        }
        switch settings.format {
        case .json: values = JSONRowEncoder(columns: table.schema)
        case .avro:
            let schema = try AvroSchema(text: AvroSchema.text(name: table.name, columns: table.schema), source: "the sink's schema")
            values = try AvroEncoder(schema: schema, columns: table.schema, schemaID: settings.schemaID)
        }
        guard table.mode == .keyedUpsert else {
            key = nil
            return
        }
        let columns = table.key.map { table.schema.index(of: $0)! }
        let schema = Schema(columns.map { table.schema.fields[$0] })
        key = (columns, schema, JSONRowEncoder(columns: schema))
    }

    /// Hands the selected rows of `chunk` to the open transaction of `producer`.
    func encode(_ chunk: Chunk, to producer: PartitionTransactions) throws {
        let records = producer.buffer()
        try values.encode(chunk, into: records)
        var keys: RecordBuffer?
        if let key {
            let narrowed = Chunk(
                schema: key.schema, columns: key.columns.map { chunk.columns[$0] }, rowCount: chunk.rowCount,
                selection: chunk.selection)
            keys = producer.buffer()
            try key.encoder.encode(narrowed, into: keys!)
        }
        try producer.send(records, keys: keys)
    }
}
