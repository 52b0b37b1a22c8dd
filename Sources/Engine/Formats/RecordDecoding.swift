// Which decoder reads a job's records: by the job's format and, for Avro, the writer schema that the driver read.

/// How a record's value is written.
package enum Formats {
    /// - Parameter schemaText: the Avro schema that records are written with; nil for the built-in one of ad events.
    package static func makeDecoder(format: RecordFormat, schemaText: String?, needed: Schema) throws -> any RowDecoder {
        switch format {
        case .avro:
            let schema = try schemaText.map { try AvroSchema(text: $0, source: "the schema file") } ?? .adEvent
            return try AvroDecoder(schema: schema, needed: needed)
        case .json: return try JSONRowDecoder(needed: needed)
        }
    }
}
