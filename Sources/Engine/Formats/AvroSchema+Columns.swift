// The Avro schema of a sink's columns: what a reader of an output topic needs, made without being asked for.
//
// A record named after the table, one field a column in order: string, long, double, boolean, and long with the logical
// type timestamp-millis for times. A column that may be NULL is a union of null and its type, with null first, and null
// as default, so that a reader with an older schema goes on. The same columns give the same text, byte for byte: a
// registry then answers with the same id.

extension AvroSchema {
    /// - Parameter name: the table's; what Avro does not allow in a name becomes an underscore.
    package static func text(name: String, columns: Schema) -> String {
        let fields = columns.fields.map { field in
            let type =
                switch field.type {
                case .text: "\"string\""
                case .int64: "\"long\""
                case .float64: "\"double\""
                case .bool: "\"boolean\""
                case .timestamp: "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}"
                }
            return field.nullable
                ? "{\"name\":\"\(field.name)\",\"type\":[\"null\",\(type)],\"default\":null}"
                : "{\"name\":\"\(field.name)\",\"type\":\(type)}"
        }
        return "{\"type\":\"record\",\"name\":\"\(recordName(name))\",\"fields\":[\(fields.joined(separator: ","))]}"
    }

    private static func recordName(_ table: String) -> String {
        func isAllowed(_ byte: UInt8) -> Bool {
            (65...90).contains(byte) || (97...122).contains(byte) || (48...57).contains(byte) || byte == 95
        }
        let name = String(decoding: table.utf8.map { isAllowed($0) ? $0 : 95 }, as: UTF8.self)
        return name.utf8.first.map { (48...57).contains($0) } ?? true ? "_" + name : name
    }
}
