// Records of Avro: what each of its types becomes in a column, what is refused at start, and what hostile bytes do.

import Dataflow
import Decoding
import Testing
import Values

/// Avro's encoding, written by hand: it shares nothing with the decoder.
struct AvroBytes: ExpressibleByArrayLiteral {
    var bytes: [UInt8] = []

    init(_ bytes: [UInt8]) { self.bytes = bytes }
    init(arrayLiteral elements: AvroBytes...) { bytes = elements.flatMap(\.bytes) }

    static func long(_ value: Int64) -> AvroBytes {
        var (rest, bytes) = (UInt64(bitPattern: (value << 1) ^ (value >> 63)), [UInt8]())
        while rest >= 128 {
            bytes.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return AvroBytes(bytes + [UInt8(rest)])
    }
    static func text(_ text: String) -> AvroBytes { blob(Array(text.utf8)) }
    static func blob(_ bytes: [UInt8]) -> AvroBytes { AvroBytes(long(Int64(bytes.count)).bytes + bytes) }
    static func raw(_ bytes: UInt8...) -> AvroBytes { AvroBytes(bytes) }
    static func double(_ value: Double) -> AvroBytes { AvroBytes((0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt64($0 * 8)) }) }
    static func float(_ value: Float) -> AvroBytes { AvroBytes((0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt32($0 * 8)) }) }
    /// A value of a union.
    static func branch(_ number: Int64, _ value: AvroBytes = []) -> AvroBytes { AvroBytes(long(number).bytes + value.bytes) }
    static func block(_ items: [AvroBytes]) -> AvroBytes { AvroBytes(items.isEmpty ? [0] : long(Int64(items.count)).bytes + items.flatMap(\.bytes) + [0]) }

    /// With the magic byte and the id of a schema.
    func framed(_ id: UInt32 = 7) -> TestRecord { TestRecord([0, UInt8(id >> 24), UInt8(id >> 16 & 255), UInt8(id >> 8 & 255), UInt8(id & 255)] + bytes) }
}

struct AvroCase: CustomStringConvertible, Sendable {
    let schema: String
    let type: String
    let bytes: [UInt8]
    let expected: String

    init(_ schema: String, _ type: String, _ bytes: AvroBytes, _ expected: String) {
        self.schema = schema
        self.type = type
        self.bytes = bytes.bytes
        self.expected = expected
    }

    var description: String { "\(schema) as \(type): \(expected)" }
}

struct AvroTests {
    private static func record(_ field: String) -> String {
        let type = field.hasPrefix("{") || field.hasPrefix("[") ? field : "\"\(field)\""
        return
            "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"before\",\"type\":[\"null\",\"string\"]},{\"name\":\"c\",\"type\":\(type)},{\"name\":\"z\",\"type\":\"string\"}]}"
    }

    private static func rig(_ field: String, _ type: String, zone: String = "UTC", options: String = "", onError: FaultPolicy = .quarantine) throws -> DecodingRig {
        try DecodingRig("c \(type)", "format = 'avro'\(options)", onError: onError, zone: zone, schemas: [AvroWriterSchema(text: record(field))])
    }

    /// A value between two fields; near the end of a record texts are copied in another way.
    private static func whole(_ value: [UInt8], last: String = "last") -> TestRecord {
        AvroBytes(AvroBytes.branch(1, .text("unread")).bytes + value + AvroBytes.text(last).bytes).framed()
    }

    private static func check(_ item: AvroCase) throws {
        for last in ["", "last", "more than sixteen bytes"] { #expect(try rig(item.schema, item.type).one(whole(item.bytes, last: last)) == item.expected, "before '\(last)'") }
    }

    static func logical(_ base: String, _ name: String, _ more: String = "") -> String { "{\"type\":\"\(base)\",\"logicalType\":\"\(name)\"\(more)}" }
    static let decimal = logical("bytes", "decimal", ",\"precision\":10,\"scale\":2")
    static let wide = logical("bytes", "decimal", ",\"precision\":60,\"scale\":0")
    static let uuid = "{\"type\":\"fixed\",\"name\":\"U\",\"size\":16,\"logicalType\":\"uuid\"}"
    static let duration = "{\"type\":\"fixed\",\"name\":\"D\",\"size\":12,\"logicalType\":\"duration\"}"
    static let colors = "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"RED\",\"GREEN\"]}"

    static let scalars: [AvroCase] = [
        AvroCase("boolean", "bool", .raw(1), "t"), AvroCase("boolean", "bool", .raw(0), "f"), AvroCase("boolean", "text", .raw(1), "true"),
        AvroCase("boolean", "bool", .raw(2), "undecodable 22P02"),
        AvroCase("int", "int2", .long(-32768), "-32768"), AvroCase("int", "int2", .long(32768), "undecodable 22003"), AvroCase("int", "int4", .long(2_147_483_647), "2147483647"),
        AvroCase("int", "int8", .long(2_147_483_648), "undecodable 22P02"), AvroCase("long", "int4", .long(2_147_483_648), "undecodable 22003"),
        AvroCase("long", "int8", .long(.min), "-9223372036854775808"),
        AvroCase("long", "int8", .long(.max), "9223372036854775807"), AvroCase("long", "float8", .long(9_007_199_254_740_993), "9.007199254740992e+15"),
        AvroCase("int", "float4", .long(16_777_217), "1.6777216e+07"),
        AvroCase("long", "numeric", .long(-5), "-5"), AvroCase("long", "numeric(4,1)", .long(5), "5.0"), AvroCase("long", "numeric(4,1)", .long(1000), "undecodable 22003"),
        AvroCase("long", "text", .long(-12), "-12"),
        AvroCase("long", "timestamptz", .long(1_700_000_000_123), "2023-11-14 22:13:20.123+00"), AvroCase("long", "timestamptz", .long(.max), "undecodable 22008"),
        AvroCase("long", "interval", .long(1500), "00:00:01.5"), AvroCase("int", "time", .long(1000), "00:00:01"),
        AvroCase("int", "timestamptz", .long(5), "1970-01-01 00:00:00.005+00"),
        AvroCase("float", "float4", .float(0.1), "0.1"), AvroCase("float", "float8", .float(0.5), "0.5"), AvroCase("double", "float8", .double(0.1), "0.1"),
        AvroCase("double", "float8", .double(.nan), "NaN"),
        AvroCase("double", "float4", .double(0.1), "0.1"), AvroCase("double", "float4", .double(1e39), "undecodable 22003"),
        AvroCase("double", "float4", .double(1e-60), "undecodable 22003"),
        AvroCase("double", "float4", .double(.infinity), "Infinity"),
        AvroCase("string", "text", .text("ä😀"), "ä😀"), AvroCase("string", "text", .text(""), ""), AvroCase("string", "text", .text("a\u{0}"), "undecodable 22021"),
        AvroCase("string", "text", .blob([0xFF]), "undecodable 22021"), AvroCase("string", "text", .text("0123456789abcdef0123456789abcdef!"), "0123456789abcdef0123456789abcdef!"),
        AvroCase("string", "text", .blob(Array("0123456789abcdef0123456789abcde".utf8) + [0x80]), "undecodable 22021"),
        AvroCase("string", "text", .blob([0x61, 0x80, 0x61]), "undecodable 22021"),
        AvroCase("string", "text", .text("abc"), "abc"), AvroCase("string", "text", .text("abcdefghijk"), "abcdefghijk"),
        AvroCase("string", "text", .text("abcd\u{0}fghijk"), "undecodable 22021"),
        AvroCase("string", "varchar(2)", .text("abc"), "undecodable 22001"),
        AvroCase("string", "int4", .text(" 7 "), "7"), AvroCase("string", "int4", .text("x"), "undecodable 22P02"), AvroCase("string", "numeric", .text("1.50"), "1.50"),
        AvroCase("string", "bool", .text("yes"), "t"),
        AvroCase("string", "timestamptz", .text("2026-03-01T00:00:00+01:00"), "2026-02-28 23:00:00+00"), AvroCase("string", "date", .text("2026-03-01"), "2026-03-01"),
        AvroCase("string", "bytea", .text("\\x00ff"), "\\x00ff"),
        AvroCase("string", "uuid", .text("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), AvroCase("string", "jsonb", .text("a\"b"), "\"a\\\"b\""),
        AvroCase("bytes", "bytea", .blob([0, 255]), "\\x00ff"), AvroCase("{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}", "bytea", .raw(1, 2, 3), "\\x010203"),
        AvroCase(colors, "text", .long(1), "GREEN"), AvroCase(colors, "text", .long(2), "undecodable 22P02"), AvroCase(colors, "text", .long(-1), "undecodable 22P02"),
        AvroCase(colors, "jsonb", .long(0), "\"RED\""),
        AvroCase("null", "text", [], "NULL"),
        AvroCase("[\"null\",\"long\"]", "int8", .branch(0), "NULL"), AvroCase("[\"null\",\"long\"]", "int8", .branch(1, .long(5)), "5"),
        AvroCase("[\"long\",\"null\"]", "int8", .branch(1), "NULL"),
        AvroCase("[\"null\",\"long\"]", "int8", .branch(2), "undecodable 22P02"), AvroCase("[\"null\",\"long\"]", "int8", .branch(-1), "undecodable 22P02"),
        AvroCase("[\"null\",\"int\",\"string\",\"long\"]", "int8", .branch(2, .text("12")), "12"),
        AvroCase("[\"null\",\"int\",\"string\",\"long\"]", "text", .branch(1, .long(12)), "12"),
        AvroCase("[\"null\",\"int\",\"string\"]", "jsonb", .branch(2, .text("x")), "\"x\""), AvroCase("[\"null\",\"int\",\"string\"]", "jsonb", .branch(0), "NULL"),
        AvroCase("[\"string\"]", "text", .branch(0, .text("one")), "one"),
    ]

    static let logicals: [AvroCase] = [
        AvroCase(decimal, "numeric", .blob([0x04, 0xD2]), "12.34"), AvroCase(decimal, "numeric", .blob([0xFF]), "-0.01"),
        AvroCase(decimal, "numeric", .blob([]), "undecodable 22P02"),
        AvroCase(decimal, "numeric(10,1)", .blob([0x04, 0xD7]), "12.4"), AvroCase(decimal, "numeric", .blob([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]), "1.28"),
        AvroCase(decimal, "numeric", .blob([UInt8](repeating: 0xFF, count: 20) + [0x7F]), "-1.29"),
        AvroCase(
            wide, "numeric", .blob([0x4B, 0x3B, 0x4C, 0xA8, 0x5A, 0x86, 0xC4, 0x7A, 0x09, 0x8A, 0x22, 0x3F, 0xFF, 0xFF, 0xFF, 0xFF]), "99999999999999999999999999999999999999"),
        AvroCase(wide, "numeric", .blob([0x4B, 0x3B, 0x4C, 0xA8, 0x5A, 0x86, 0xC4, 0x7A, 0x09, 0x8A, 0x22, 0x40, 0, 0, 0, 0]), "undecodable 22003"),
        AvroCase(wide, "numeric", .blob([1] + [UInt8](repeating: 0, count: 16)), "undecodable 22003"),
        AvroCase(wide, "numeric", .blob([0x80] + [UInt8](repeating: 0, count: 15)), "undecodable 22003"),
        AvroCase("{\"type\":\"fixed\",\"name\":\"X\",\"size\":2,\"logicalType\":\"decimal\",\"precision\":4,\"scale\":1}", "numeric", .raw(0x04, 0xD2), "123.4"),
        AvroCase(decimal, "jsonb", .blob([0x04, 0xD2]), "12.34"),
        AvroCase(logical("int", "date"), "date", .long(20513), "2026-03-01"), AvroCase(logical("int", "date"), "date", .long(2_932_897), "undecodable 22008"),
        AvroCase(logical("int", "date"), "date", .long(-719_162), "0001-01-01"),
        AvroCase(logical("int", "time-millis"), "time", .long(45_296_500), "12:34:56.5"),
        AvroCase(logical("long", "time-micros"), "time", .long(86_400_000_001), "undecodable 22003"),
        AvroCase(logical("long", "timestamp-millis"), "timestamptz", .long(-1), "1969-12-31 23:59:59.999+00"),
        AvroCase(logical("long", "timestamp-micros"), "timestamptz", .long(1), "1970-01-01 00:00:00.000001+00"),
        AvroCase(logical("long", "timestamp-nanos"), "timestamptz", .long(-1), "1969-12-31 23:59:59.999999+00"),
        AvroCase(logical("long", "timestamp-millis"), "timestamptz", .long(.max), "undecodable 22008"),
        AvroCase(logical("long", "timestamp-micros"), "timestamptz", .long(253_402_300_800_000_000), "undecodable 22008"),
        AvroCase(logical("long", "timestamp-millis"), "timestamp", .long(0), "1970-01-01 00:00:00"),
        AvroCase(logical("long", "local-timestamp-millis"), "timestamp", .long(1), "1970-01-01 00:00:00.001"),
        AvroCase(logical("long", "local-timestamp-micros"), "timestamp", .long(1), "1970-01-01 00:00:00.000001"),
        AvroCase(logical("long", "local-timestamp-nanos"), "timestamptz", .long(1001), "1970-01-01 00:00:00.000001+00"),
        AvroCase(logical("string", "uuid"), "uuid", .text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        AvroCase(logical("string", "uuid"), "text", .text("x"), "x"),
        AvroCase(uuid, "uuid", .raw(0xA0, 0xEE, 0xBC, 0x99, 0x9C, 0x0B, 0x4E, 0xF8, 0xBB, 0x6D, 0x6B, 0xB9, 0xBD, 0x38, 0x0A, 0x11), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        AvroCase(duration, "interval", .raw(1, 0, 0, 0, 2, 0, 0, 0, 0xDC, 5, 0, 0), "1 mon 2 days 00:00:01.5"),
        AvroCase("[\"null\",\(logical("long", "timestamp-millis"))]", "timestamptz", .branch(1, .long(0)), "1970-01-01 00:00:00+00"),
        // Kafka Connect and Debezium say it beside the type.
        AvroCase("{\"type\":\"long\",\"connect.name\":\"io.debezium.time.MicroTimestamp\"}", "timestamp", .long(1), "1970-01-01 00:00:00.000001"),
        AvroCase("{\"type\":\"int\",\"connect.name\":\"io.debezium.time.Date\"}", "date", .long(1), "1970-01-02"),
        AvroCase("{\"type\":\"string\",\"connect.name\":\"io.debezium.time.ZonedTimestamp\"}", "timestamptz", .text("2026-03-01T00:00:00Z"), "2026-03-01 00:00:00+00"),
        AvroCase("{\"type\":\"string\",\"connect.name\":\"io.debezium.data.Json\"}", "jsonb", .text("{\"b\":1,\"a\":2}"), "{\"a\": 2, \"b\": 1}"),
        AvroCase("{\"type\":\"string\",\"connect.name\":\"io.debezium.data.Json\"}", "jsonb", .text("{"), "undecodable 22P02"),
    ]

    @Test(arguments: scalars) func `values of plain types`(_ item: AvroCase) throws { try Self.check(item) }
    @Test(arguments: logicals) func `values of logical types`(_ item: AvroCase) throws { try Self.check(item) }

    @Test func `moments and local times meet in the zone of the job`() throws {
        func one(_ name: String, _ type: String) throws -> String { try Self.rig(Self.logical("long", name), type, zone: "Europe/Berlin").one(Self.whole(AvroBytes.long(0).bytes)) }
        #expect(try one("timestamp-millis", "timestamp") == "1970-01-01 01:00:00")
        #expect(try one("timestamp-micros", "timestamptz") == "1970-01-01 01:00:00+01")
        #expect(try one("local-timestamp-millis", "timestamptz") == "1970-01-01 00:00:00+01")
        #expect(try one("local-timestamp-millis", "timestamp") == "1970-01-01 00:00:00")
    }

    @Test(arguments: [("s", "2023-11-14 22:13:20+00"), ("us", "1970-01-01 00:28:20+00"), ("ns", "1970-01-01 00:00:01.7+00")])
    func `a plain long counts in the declared unit`(_ unit: String, _ expected: String) throws {
        #expect(try Self.rig("long", "timestamptz", options: ", time_unit = '\(unit)'").one(Self.whole(AvroBytes.long(1_700_000_000).bytes)) == expected)
    }

    static let nested =
        "{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"bb\",\"type\":{\"type\":\"map\",\"values\":\"double\"}},{\"name\":\"a\",\"type\":{\"type\":\"array\",\"items\":[\"null\",\"N\"]}},"
        + "{\"name\":\"t\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},{\"name\":\"d\",\"type\":\(decimal)},{\"name\":\"x\",\"type\":\"bytes\"},"
        + "{\"name\":\"u\",\"type\":{\"type\":\"long\",\"logicalType\":\"nobody-knows\"}},{\"name\":\"f\",\"type\":\"float\"},{\"name\":\"dy\",\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}},"
        + "{\"name\":\"tm\",\"type\":{\"type\":\"long\",\"logicalType\":\"time-micros\"}},{\"name\":\"lt\",\"type\":{\"type\":\"long\",\"logicalType\":\"local-timestamp-micros\"}}]}"

    private static func node(_ children: [AvroBytes], _ number: Double) -> AvroBytes {
        [
            .block([[.text("k\""), .double(number)]]), .block(children), .long(1_700_000_000_123), .blob([0x04, 0xD2]), .blob([0xFF]), .long(9), .float(0.1), .long(0),
            .long(1_000_000), .long(500_000),
        ]
    }

    @Test func `records and maps are jsonb, and so is all that is in them`() throws {
        let rig = try Self.rig(Self.nested, "jsonb")
        let inner = Self.node([], .nan)
        let tail =
            "\"d\": 12.34, \"f\": 0.1, \"t\": \"2023-11-14T22:13:20.123+00:00\", \"u\": 9, \"x\": \"\\\\xff\""
        func text(_ a: String, _ k: String) -> String {
            "{\"a\": \(a), \(tail), \"bb\": {\"k\\\"\": \(k)}, \"dy\": \"1970-01-01\", \"lt\": \"1970-01-01T00:00:00.5\", \"tm\": \"00:00:01\"}"
        }
        let shown = try rig.one(Self.whole(Self.node([.branch(0), .branch(1, inner)], 1e3).bytes))
        #expect(shown == text("[null, \(text("[]", "\"NaN\""))]", "1000"))
        #expect(try TypeText.read(shown, as: .jsonb, context: EvaluationContext()) == .text(shown))
        // Unread, the same bytes are stepped over.
        let unread = try DecodingRig("z text", "format = 'avro'", schemas: [AvroWriterSchema(text: Self.record(Self.nested))])
        #expect(try unread.one(Self.whole(Self.node([.branch(0), .branch(1, inner)], 1e3).bytes)) == "last")
    }

    @Test func `a text within a document is judged as any other`() throws {
        for schema in ["{\"type\":\"array\",\"items\":\"string\"}", "{\"type\":\"map\",\"values\":\"int\"}"] {
            let rig = try Self.rig(schema, "jsonb")
            for bad in [[0xFF], [0], [0x61, 0xC0, 0x80]] as [[UInt8]] {
                let item: AvroBytes = schema.contains("map") ? [.blob(bad), .long(1)] : .blob(bad)
                #expect(try rig.one(Self.whole(AvroBytes.block([item]).bytes)) == "undecodable 22021")
            }
        }
    }

    @Test func `arrays are lists, in blocks of whatever size`() throws {
        let rig = try Self.rig("{\"type\":\"array\",\"items\":[\"null\",\"long\"]}", "int8[]")
        #expect(try rig.one(Self.whole([0])) == "{}")
        #expect(try rig.one(Self.whole(AvroBytes.block([.branch(1, .long(5)), .branch(0)]).bytes)) == "{5,NULL}")
        // Two blocks, the second with its size in bytes.
        let blocks: AvroBytes = [.long(1), .branch(1, .long(1)), .long(-2), .long(4), .branch(1, .long(2)), .branch(1, .long(3)), .long(0)]
        #expect(try rig.one(Self.whole(blocks.bytes)) == "{1,2,3}")
        #expect(try Self.rig("{\"type\":\"array\",\"items\":\"string\"}", "int4[]").one(Self.whole(AvroBytes.block([.text("1"), .text("x")]).bytes)) == "undecodable 22P02")
        #expect(try Self.rig("{\"type\":\"array\",\"items\":\"string\"}", "jsonb").one(Self.whole(AvroBytes.block([.text("1"), .text("x")]).bytes)) == "[\"1\", \"x\"]")
        #expect(try Self.rig("{\"type\":\"array\",\"items\":\"null\"}", "jsonb").one(Self.whole(AvroBytes.block([[], []]).bytes)) == "[null, null]")
    }

    @Test func `a type that does not fit its column is refused at start, with both types and what to do`() throws {
        let cases: [(schema: String, type: String, words: [String])] = [
            ("double", "numeric", ["column c of t is numeric", "double", "double precision"]), ("double", "int8", ["bigint", "double"]), ("boolean", "int4", ["boolean"]),
            ("bytes", "text", ["bytes", "bytea"]), ("string", "text[]", ["string", "text[]"]), (Self.decimal, "float8", ["decimal with scale 2", "numeric"]),
            (Self.decimal, "text", ["numeric"]), (Self.logical("int", "date"), "timestamptz", ["(date)", "date"]),
            (Self.logical("long", "timestamp-millis"), "int8", ["timestamp in ms", "timestamptz"]),
            (Self.logical("int", "time-millis"), "interval", ["time in ms"]), (Self.logical("long", "nobody-knows"), "int8", ["nobody-knows", "jsonb"]),
            (Self.logical("string", "timestamp-millis"), "text", ["timestamp-millis"]),
            ("[\"null\",\"string\",\"double\"]", "int4", ["union", "jsonb"]), (Self.nested, "text", ["the record N", "jsonb"]),
            ("{\"type\":\"map\",\"values\":\"int\"}", "text", ["a map", "jsonb"]),
            (Self.uuid, "text", ["uuid"]), (Self.duration, "bytea", ["interval"]), (Self.colors, "int4", ["an enum"]), ("int", "bool", ["int"]), ("long", "date", ["long"]),
            ("{\"type\":\"array\",\"items\":\"null\"}", "text[]", ["an array"]),
        ]
        for (schema, type, words) in cases {
            let error = #expect(throws: DecodingError.self, "\(schema) as \(type)") { try Self.rig(schema, type) }
            for word in words { #expect(error.map { "\($0)" }?.contains(word) ?? false, "\(word) in \(error.map { "\($0)" } ?? "")") }
        }
    }

    @Test func `a column that no schema has is refused, unless it has a DEFAULT`() throws {
        let error = #expect(throws: DecodingError.self) { try DecodingRig("zz text", "format = 'avro'", schemas: [AvroWriterSchema(text: Self.record("int"))]) }
        #expect(error.map { "\($0)" }?.contains("did you mean \"z\"") ?? false)
        let rig = try DecodingRig("c int4, more text DEFAULT 'd'", "format = 'avro'", schemas: [AvroWriterSchema(text: Self.record("int"))])
        #expect(try rig.decode([Self.whole(AvroBytes.long(1).bytes)]).rows == [["1", "d"]])
        #expect(throws: DecodingError.self) { try DecodingRig("c int4", "format = 'avro'") }
    }

    @Test(arguments: [
        "", "{", "{}", "\"nothing\"", "[]", "[[\"int\"]]", "{\"type\":\"record\",\"name\":\"R\"}", "{\"type\":\"record\",\"fields\":[]}",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"R2\"}]}",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\"}]}", "{\"type\":\"enum\",\"name\":\"E\"}", "{\"type\":\"fixed\",\"name\":\"F\"}",
        "{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}", "\"int\"", "12",
        "{\"type\":\"array\"}",
    ])
    func `what is no schema of records is refused`(_ text: String) throws {
        #expect(throws: DecodingError.self) { try DecodingRig("c int4 DEFAULT 1", "format = 'avro'", schemas: [AvroWriterSchema(text: text)]) }
    }

    @Test func `a schema of any depth neither traps nor takes long`() throws {
        let deep = String(repeating: "{\"type\":\"array\",\"items\":", count: 2000) + "\"int\"" + String(repeating: "}", count: 2000)
        #expect(throws: DecodingError.self) { try DecodingRig("c jsonb", "format = 'avro'", schemas: [AvroWriterSchema(text: Self.record(deep))]) }
    }

    @Test func `names of types have namespaces`() throws {
        let text =
            "{\"type\":\"record\",\"name\":\"a.b.R\",\"fields\":[{\"name\":\"c\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"X\"]}},{\"name\":\"d\",\"type\":\"E\"},{\"name\":\"e\",\"type\":\"a.b.E\"},"
            + "{\"name\":\"f\",\"type\":{\"type\":\"record\",\"name\":\"S\",\"namespace\":\"q\",\"fields\":[{\"name\":\"g\",\"type\":\"a.b.E\"}]}},{\"name\":\"h\",\"type\":\"q.S\"}]}"
        let rig = try DecodingRig("c text, d text, e text, f jsonb, h jsonb", "format = 'avro'", schemas: [AvroWriterSchema(text: text)])
        #expect(try rig.decode([AvroBytes([0, 0, 0, 0, 0]).framed()]).rows == [["X", "X", "X", "{\"g\": \"X\"}", "{\"g\": \"X\"}"]])
    }

    // MARK: framing and versions

    @Test func `the id in the framing picks the schema, and what a schema lacks is missing`() throws {
        let old = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"gone\",\"type\":\"string\"}]}"
        let new = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"b\",\"type\":\"string\"},{\"name\":\"a\",\"type\":[\"null\",\"long\"]}]}"
        let rig = try DecodingRig(
            "a int8, b text, n text NOT NULL DEFAULT 'n'", "format = 'avro'", schemas: [AvroWriterSchema(id: 1, text: old), AvroWriterSchema(id: 258, text: new)])
        let first: AvroBytes = [.long(1), .text("x")]
        let second: AvroBytes = [.text("y"), .branch(1, .long(2))]
        let decoded = try rig.decode([first.framed(1), second.framed(258), first.framed(1), second.framed(3), second.framed(258)])
        #expect(decoded.rows == [["1", nil, "n"], ["2", "y", "n"], ["1", nil, "n"], ["2", "y", "n"]])
        #expect(decoded.rejected.map(\.fault.message) == ["invalid Avro: no schema has the id 3"])
        let error = #expect(throws: DecodingError.self) {
            try DecodingRig(
                "b int4", "format = 'avro'",
                schemas: [
                    AvroWriterSchema(id: 1, text: old), AvroWriterSchema(id: 2, text: Self.record("double")),
                    AvroWriterSchema(id: 3, text: new.replacing("\"string\"", with: "\"double\"")),
                ])
        }
        #expect(error.map { "\($0)" }?.contains("the schema with the id 3") ?? false)
    }

    @Test(arguments: [[], [0], [0, 0, 0, 0], [1, 0, 0, 0, 7, 2], [0, 0, 0, 0, 7], [0, 0, 0, 0, 7, 2, 2]] as [[UInt8]])
    func `what is not framed, cut, or too long is rejected`(_ bytes: [UInt8]) throws {
        let rig = try DecodingRig(
            "c int4", "format = 'avro'", schemas: [AvroWriterSchema(text: "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"c\",\"type\":\"int\"}]}")])
        #expect(try rig.one(TestRecord(bytes)) == "undecodable 22P02")
        #expect(try rig.one(AvroBytes.long(1).framed()) == "1")
    }

    @Test(
        arguments: [
            [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02], [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        ] as [[UInt8]])
    func `a number of too many bytes is no number`(_ bytes: [UInt8]) throws {
        #expect(
            try DecodingRig("c int8", "format = 'avro'", schemas: [AvroWriterSchema(text: "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"c\",\"type\":\"long\"}]}")])
                .one(AvroBytes(bytes).framed()) == "undecodable 22P02")
    }

    @Test func `texts of every length, with a byte that is none at every place`() throws {
        let rig = try Self.rig("string", "text")
        for count in 0..<40 {
            let text = Array(repeating: UInt8(ascii: "x"), count: count)
            for last in ["", "more than sixteen bytes"] {
                #expect(try rig.one(Self.whole(AvroBytes.blob(text).bytes, last: last)) == String(repeating: "x", count: count))
                for place in 0..<count {
                    for bad: UInt8 in [0, 0x80, 0xFF] {
                        var wrong = text
                        wrong[place] = bad
                        #expect(try rig.one(Self.whole(AvroBytes.blob(wrong).bytes, last: last)) == "undecodable 22021", "\(bad) at \(place) of \(count)")
                    }
                }
                // What stands behind the text is not judged with it.
                #expect(try rig.one(Self.whole(AvroBytes.blob(text).bytes, last: "\u{e4}" + last)) == String(repeating: "x", count: count))
            }
        }
    }

    @Test func `longs of every length`() throws {
        let rig = try Self.rig("long", "int8")
        for shift in 0..<64 {
            for near: Int64 in [-1, 0, 1] {
                for sign: Int64 in [1, -1] {
                    let value = (sign &* (Int64(1) << Int64(shift))) &+ near
                    #expect(try rig.one(Self.whole(AvroBytes.long(value).bytes)) == "\(value)")
                }
            }
        }
    }

    @Test func `presence of a NOT NULL column is looked at, its value is not decoded`() throws {
        let schema =
            "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"n\",\"type\":[\"null\",\"string\"]},{\"name\":\"m\",\"type\":\"double\"},{\"name\":\"a\",\"type\":\"int\"}]}"
        let rig = try DecodingRig("a int4, n int4 NOT NULL, m int4 NOT NULL", "format = 'avro'", reads: ["a"], schemas: [AvroWriterSchema(text: schema)])
        let present: AvroBytes = [.branch(1, .text("no number")), .double(1), .long(1)]
        let null: AvroBytes = [.branch(0), .double(1), .long(2)]
        let decoded = try rig.decode([present.framed(), null.framed()])
        #expect(decoded.rows == [["1"]])
        #expect(decoded.rejected.map(\.reason) == [.null])
    }

    @Test func `keys of Avro`() throws {
        let key = "{\"type\":\"record\",\"name\":\"K\",\"fields\":[{\"name\":\"id\",\"type\":[\"null\",\"long\"]}]}"
        let value = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}"
        func changes(_ keySchema: String, _ records: [TestRecord]) throws -> ([[String?]], [Int64], [RowRejectReason]) {
            let rig = try DecodingRig(
                "id int8 PRIMARY KEY, a text", "format = 'avro', mode = 'upsert'", schemas: [AvroWriterSchema(text: value)], keySchemas: [AvroWriterSchema(text: keySchema)])
            let decoded = try rig.decode(records)
            return (decoded.rows, decoded.weights, decoded.rejected.map(\.reason))
        }
        let one = AvroBytes.branch(1, .long(5)).framed(9).value
        let (rows, weights, reasons) = try changes(
            key,
            [
                TestRecord(key: one, AvroBytes.text("x").framed().value), TestRecord(key: one, nil as [UInt8]?),
                TestRecord(key: AvroBytes.branch(0).framed().value, nil as [UInt8]?), TestRecord(key: [0], nil), TestRecord(key: one, [1]),
            ])
        #expect(rows == [["5", "x"], ["5", nil], ["5", nil]])
        #expect(weights == [1, -1, -1])
        #expect(reasons == [.keyMissing, .keyUndecodable, .undecodable])
        let bare = try changes("\"long\"", [TestRecord(key: AvroBytes.long(6).framed().value, AvroBytes.text("y").framed().value)])
        #expect(bare.0 == [["6", "y"]])
        #expect(throws: DecodingError.self) { try changes(value, []) }
    }

    // MARK: hostile bytes

    static let everything =
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"s\",\"type\":\"string\"},{\"name\":\"l\",\"type\":{\"type\":\"array\",\"items\":[\"null\",\"string\"]}},{\"name\":\"j\",\"type\":\(nested)},"
        + "{\"name\":\"u\",\"type\":[\"null\",\"N\",{\"type\":\"map\",\"values\":\"N\"}]},{\"name\":\"d\",\"type\":\(decimal)},{\"name\":\"e\",\"type\":\(colors)},{\"name\":\"i\",\"type\":\(uuid)},{\"name\":\"b\",\"type\":\"boolean\"},{\"name\":\"f\",\"type\":\"double\"}]}"
    static let columns = "a int4, s text, l text[], j jsonb, d numeric, e text, i uuid, b bool, f float8"
    private static var sample: AvroBytes {
        [
            .long(12345), .text("täxt"), .block([.branch(1, .text("q")), .branch(0)]), node([.branch(0), .branch(1, node([], 2))], 1),
            .branch(2, .block([[.text("m"), node([], 3)]])), .blob([4, 210]), .long(1),
            AvroBytes([UInt8](repeating: 9, count: 16)), .raw(1), .double(1.5),
        ]
    }

    @Test func `a record cut at every byte, and with any byte changed`() throws {
        let rig = try DecodingRig(Self.columns, "format = 'avro'", schemas: [AvroWriterSchema(text: Self.everything)])
        let whole = Self.sample.framed()
        let row = try rig.decode([whole]).rows
        try #require(row.count == 1)
        let bytes = try #require(whole.value)
        for length in 0..<bytes.count {
            let decoded = try rig.decode([whole, TestRecord(Array(bytes[..<length])), whole])
            #expect(decoded.rows == row + row, "cut at \(length)")
        }
        for place in bytes.indices {
            for change: UInt8 in [0, 1, 2, 0x7F, 0x80, 0xFF] {
                var changed = bytes
                changed[place] = change
                let decoded = try rig.decode([TestRecord(changed), whole])
                #expect(decoded.rows.count + decoded.rejected.count == 2)
                #expect(decoded.rows.last == row[0])
            }
        }
    }

    @Test func `random bytes`() throws {
        let rig = try DecodingRig(Self.columns, "format = 'avro'", onError: .null, schemas: [AvroWriterSchema(text: Self.everything)])
        let lenient = try DecodingRig("f float8", "format = 'avro'", schemas: [AvroWriterSchema(text: Self.everything)])
        var random = TestRandom(seed: 9)
        let sample = Self.sample.bytes
        for _ in 0..<100 {
            let records = (0..<1000).map { _ -> TestRecord in
                var bytes = random.below(2) == 0 ? Array(sample.prefix(random.below(sample.count))) : []
                for _ in 0..<random.below(20) { bytes.append(random.below(3) == 0 ? UInt8(truncatingIfNeeded: random.next()) : UInt8(random.below(6))) }
                return AvroBytes(bytes).framed()
            }
            for rig in [rig, lenient] {
                let decoded = try rig.decode(records)
                #expect(decoded.rows.count + decoded.rejected.count == records.count)
            }
        }
    }

    @Test func `items without bytes cost no more than a bound`() throws {
        let nulls = "{\"type\":\"array\",\"items\":\"null\"}"
        let many: AvroBytes = [.long(1 << 60), .long(0)]
        #expect(try Self.rig(nulls, "jsonb").one(Self.whole(many.bytes)) == "undecodable 54000")
        let unread = try DecodingRig("z text", "format = 'avro'", schemas: [AvroWriterSchema(text: Self.record(nulls))])
        #expect(try unread.one(Self.whole(many.bytes)) == "last")
        let empty = "{\"type\":\"array\",\"items\":{\"type\":\"fixed\",\"name\":\"Z\",\"size\":0}}"
        #expect(throws: DecodingError.self) { try Self.rig(empty, "bytea[]") }
        #expect(try Self.rig("{\"type\":\"array\",\"items\":\"long\"}", "int8[]").one(Self.whole(many.bytes)) == "undecodable 22P02")
    }

    @Test func `a type within itself, deeper than a thousand levels, is rejected`() throws {
        let linked = "{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"next\",\"type\":[\"null\",\"L\"]}]}"
        func chain(_ length: Int) -> TestRecord { Self.whole([UInt8](repeating: 2, count: length) + [0]) }
        let unread = try DecodingRig("z text", "format = 'avro'", schemas: [AvroWriterSchema(text: Self.record(linked))])
        for rig in [try Self.rig(linked, "jsonb"), unread] {
            #expect(try rig.one(chain(100_000)) == "undecodable 22P02")
            #expect(try rig.decode([chain(900)]).rows.count == 1)
        }
    }
}
