// What a schema says of a value beyond its type: converted as it says, or refused by name before the first batch.

import Engine
import TestSupport
import Testing

private func decoder(_ type: String, _ field: Field, beside: String = "") throws -> AvroDecoder {
    try AvroDecoder(
        schema: AvroSchema(text: #"{"type":"record","name":"R","fields":[{"name":"f","type":\#(type)\#(beside)}]}"#),
        needed: Schema([Field("f", field.type, nullable: field.nullable)]))
}

private func logical(_ base: String, _ name: String, _ more: String = "") -> String {
    #"{"type":"\#(base)","logicalType":"\#(name)"\#(more)}"#
}

private let fixed = #"{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}"#
private let decimal2 = logical("bytes", "decimal", #","precision":10,"scale":2"#)

struct AvroLogicalTypeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var type: String
        var field: Field
        var bytes: [UInt8]
        var value: Value
        var beside = ""
        var testDescription: String { "\(type)\(beside) as \(field.type.rawValue) from \(bytes)" }
        init(_ type: String, _ field: ValueType, _ bytes: [UInt8], _ value: Value, beside: String = "") {
            (self.type, self.field, self.bytes, self.value, self.beside) = (type, Field("f", field), bytes, value, beside)
        }
    }

    private static func number(_ bytes: [UInt8]) -> [UInt8] { Wire.long(Int64(bytes.count)) + bytes }

    @Test(arguments: [
        Case(logical("long", "timestamp-millis"), .timestamp, Wire.long(1_772_366_400_123), .timestamp(1_772_366_400_123)),
        Case(logical("long", "timestamp-micros"), .timestamp, Wire.long(1_772_366_400_123_999), .timestamp(1_772_366_400_123)),
        Case(logical("long", "timestamp-nanos"), .timestamp, Wire.long(1_772_366_400_123_999_999), .timestamp(1_772_366_400_123)),
        Case(logical("long", "timestamp-nanos"), .timestamp, Wire.long(-1), .timestamp(-1)),
        Case(logical("long", "local-timestamp-millis"), .timestamp, Wire.long(12), .timestamp(12)),
        Case(logical("long", "local-timestamp-micros"), .timestamp, Wire.long(1_772_366_400_123_456), .timestamp(1_772_366_400_123)),
        Case(logical("long", "local-timestamp-nanos"), .timestamp, Wire.long(5_000_000), .timestamp(5)),
        Case(logical("int", "date"), .timestamp, Wire.long(-1), .timestamp(-86_400_000)),
        Case(logical("string", "uuid"), .text, Wire.text("0aa4de3e-1111-4222-8333-444455667788"), .text("0aa4de3e-1111-4222-8333-444455667788")),
        Case(fixed, .text, (0..<16).map { UInt8($0 * 17) }, .text("00112233-4455-6677-8899-aabbccddeeff")),
        Case(decimal2, .text, number([65]), .text("0.65")),
        Case(decimal2, .text, number([0xFF]), .text("-0.01")),
        Case(decimal2, .text, number([0]), .text("0.00")),
        Case(decimal2, .text, number([0xFF, 0x80]), .text("-1.28")),
        Case(decimal2, .text, number([0x80]), .text("-1.28")),
        Case(decimal2, .text, number([0x01, 0, 0, 0, 0, 0, 0, 0, 0]), .text("184467440737095516.16")),
        Case(decimal2, .float64, number([65]), .float64(0.65)),
        Case(decimal2, .float64, number([0x80]), .float64(-1.28)),
        Case(logical("bytes", "decimal", #","precision":4"#), .text, number([0x30, 0x39]), .text("12345")),
        Case(
            #"{"type":"fixed","name":"D","size":3,"logicalType":"decimal","precision":6,"scale":6}"#, .text, [0xFF, 0xFF, 0xFE],
            .text("-0.000002")),
        Case(#"["null",\#(decimal2)]"#, .text, [2] + number([65]), .text("0.65")),
        // Beside the type of a field, where Avro's readers do not look, and as Debezium writes it.
        Case(#""long""#, .timestamp, Wire.long(5000), .timestamp(5), beside: #","logicalType":"timestamp-micros""#),
        Case(#"["null","long"]"#, .timestamp, [2] + Wire.long(5000), .timestamp(5), beside: #","logicalType":"timestamp-micros""#),
        Case(#"{"type":"long","connect.version":1,"connect.name":"io.debezium.time.MicroTimestamp"}"#, .timestamp, Wire.long(5000), .timestamp(5)),
        Case(#"{"type":"int","connect.name":"io.debezium.time.Date"}"#, .timestamp, Wire.long(2), .timestamp(172_800_000)),
        Case(
            #"{"type":"string","connect.name":"io.debezium.time.ZonedTimestamp"}"#, .timestamp,
            Wire.text("1970-01-01T01:00:00.25+01:00"), .timestamp(250)),
    ])
    func `a logical type is what it says`(_ c: Case) throws {
        let result = decodeAll(try decoder(c.type, c.field, beside: c.beside), [Wire.framing + c.bytes])
        #expect(result.rows == [[c.value]] && result.rejected.isEmpty)
    }

    @Test(arguments: [
        (logical("int", "time-millis"), ValueType.timestamp), (logical("int", "time-millis"), .int64),
        (logical("long", "time-micros"), .timestamp), (logical("long", "time-micros"), .int64),
        (logical("long", "timestamp-micros"), .int64), (logical("long", "local-timestamp-nanos"), .float64),
        (logical("int", "date"), .int64), (decimal2, .int64), (decimal2, .timestamp), (logical("bytes", "uuid"), .text),
        (#"{"type":"fixed","name":"F","size":12,"logicalType":"duration"}"#, .text), (logical("long", "nonsense"), .timestamp),
        (logical("string", "nonsense"), .text), (logical("int", "timestamp-millis"), .int64), (fixed, .int64),
        (logical("bytes", "decimal"), .text), (logical("bytes", "decimal", #","precision":2,"scale":3"#), .text),
        (logical("bytes", "decimal", #","precision":2,"scale":-1"#), .text), (logical("string", "decimal", #","precision":9"#), .text),
        (#"{"type":"long","connect.name":"io.debezium.time.MicroTime"}"#, .timestamp), (#"["null",\#(logical("long", "time-micros"))]"#, .timestamp),
    ])
    func `a logical type that is not converted is refused before the first batch, with the name of the field`(
        type: String, field: ValueType
    ) {
        let failure = #expect(throws: Failure.self) { try decoder(type, Field("f", field)) }
        #expect(failure?.code == .schemaMismatch && failure?.why.contains("field f") == true, "\(String(describing: failure))")
        #expect(failure?.why.contains("(") == true, "\(failure?.why ?? "") does not name the logical type")
    }

    @Test func `a field that nobody reads may have any logical type`() throws {
        let schema = try AvroSchema(
            text: #"{"type":"record","name":"R","fields":[{"name":"x","type":\#(logical("int", "time-millis"))},{"name":"n","type":"long"}]}"#)
        let decoder = try AvroDecoder(schema: schema, needed: Schema([Field("n", .int64)]))
        #expect(decodeAll(decoder, [Wire.framing + Wire.long(1) + Wire.long(7)]).rows == [[.int64(7)]])
    }

    @Test func `a decimal that is none, and one of hundreds of digits, is rejected and harms nobody`() throws {
        let texts = try decoder(decimal2, Field("f", .text))
        let long = Self.number([0x7F] + Array(repeating: 0xFF, count: 63))
        let records = [Self.number([]), Self.number(Array(repeating: 1, count: 65)), Wire.long(1 << 40), Wire.long(-2), long, Self.number([65])]
        let result = decodeAll(texts, records.map { Wire.framing + $0 })
        #expect(result.rejected == [0: .invalidValue, 1: .invalidValue, 2: .truncated, 3: .invalidValue])
        #expect(result.rows.count == 2 && result.rows[1] == [.text("0.65")])
        guard case .text(let digits) = result.rows[0][0] else { return }
        #expect(digits.hasPrefix("67039") && digits.count == 155)
        let doubles = decodeAll(try decoder(decimal2, Field("f", .float64)), records.map { Wire.framing + $0 })
        #expect(doubles.rejected == result.rejected && doubles.rows.last == [.float64(0.65)])
    }

    @Test func `rows are not written as a logical type that their column is not`() throws {
        let cases = [
            (logical("int", "date"), ValueType.int64), (decimal2, .text), (logical("long", "time-micros"), .int64),
            (logical("long", "timestamp-nanos"), .timestamp),
        ]
        for (type, column) in cases {
            let schema = try AvroSchema(text: #"{"type":"record","name":"R","fields":[{"name":"f","type":\#(type)}]}"#)
            #expect(throws: Failure.self) { try AvroEncoder(schema: schema, columns: Schema([Field("f", column)]), schemaID: 1) }
        }
    }
}
