// Which decoder reads a job's records: by the job's format and, for Avro, the writer schemas that the driver read.

/// How a record's value is written.
package enum Formats {
    /// - Parameter schemaText: of `WriterSchemas`, the Avro schemas that records are written with; nil for the built-in one
    ///   of ad events.
    package static func makeDecoder(format: RecordFormat, schemaText: String?, needed: Schema) throws -> any RowDecoder {
        switch format {
        case .avro: return try AvroDecoder(writers: WriterSchemas(text: schemaText).writers(), needed: needed)
        case .json: return try JSONRowDecoder(needed: needed)
        }
    }
}
