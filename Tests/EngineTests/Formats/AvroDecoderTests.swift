// The Avro decoder on records written by hand: what converts to what, and what hostile bytes are called.

import Engine
import TestSupport
import Testing

private func schema(_ fields: String) throws -> AvroSchema {
    try AvroSchema(text: #"{"type":"record","name":"R","fields":[\#(fields)]}"#)
}

struct AvroDecoderTests {
    @Test(arguments: [1, 2, 7, 64])
    func `ad events become rows in order for every chunk size`(chunk: Int) throws {
        let decoder = try AvroDecoder(schema: .adEvent, needed: adEventColumns)
        let result = decodeAll(decoder, (0..<200).map { Wire.adEvent($0) }, chunk: chunk)
        #expect(result.rejected.isEmpty)
        #expect(
            result.rows
                == (0..<200).map {
                    [.text(Wire.adID($0)), .text("view"), .timestamp(1_760_000_000_000 + Int64($0))]
                })
    }

    @Test func `columns come in the order of the needed schema, and none at all is counting`() throws {
        let turned = Schema([Field("ip_address", .text), Field("event_time", .int64), Field("user_id", .text)])
        let decoder = try AvroDecoder(schema: .adEvent, needed: turned)
        #expect(
            decodeAll(decoder, [Wire.adEvent(3)]).rows
                == [[.text("10.0.0.3"), .int64(1_760_000_000_003), .text("user-3")]])
        let counter = try AvroDecoder(schema: .adEvent, needed: Schema([]))
        #expect(decodeAll(counter, [Wire.adEvent(1), Wire.adEvent(2), nil]).kept == [0, 1])
    }

    struct Conversion: Sendable, CustomTestStringConvertible {
        var type: String
        var field: ValueType
        var bytes: [UInt8]
        var value: Value
        var testDescription: String { "\(type) as \(field.rawValue)" }
    }

    @Test(arguments: [
        Conversion(type: #""int""#, field: .int64, bytes: Wire.long(-5), value: .int64(-5)),
        Conversion(type: #""int""#, field: .float64, bytes: Wire.long(7), value: .float64(7)),
        Conversion(type: #""long""#, field: .int64, bytes: Wire.long(.min), value: .int64(.min)),
        Conversion(type: #""long""#, field: .int64, bytes: Wire.long(.max), value: .int64(.max)),
        Conversion(type: #""long""#, field: .timestamp, bytes: Wire.long(12), value: .timestamp(12)),
        Conversion(type: #""long""#, field: .float64, bytes: Wire.long(1 << 40), value: .float64(1_099_511_627_776)),
        Conversion(type: #""float""#, field: .float64, bytes: [0, 0, 0x80, 0x3F], value: .float64(1)),
        Conversion(type: #""double""#, field: .float64, bytes: Wire.double(-2.5), value: .float64(-2.5)),
        Conversion(type: #""boolean""#, field: .bool, bytes: [1], value: .bool(true)),
        Conversion(type: #""bytes""#, field: .text, bytes: Wire.text("åß"), value: .text("åß")),
        Conversion(type: #""string""#, field: .text, bytes: Wire.text(""), value: .text("")),
        Conversion(
            type: #"{"type":"long","logicalType":"timestamp-millis"}"#, field: .timestamp, bytes: Wire.long(-1),
            value: .timestamp(-1)),
        Conversion(
            type: #"{"type":"long","logicalType":"timestamp-micros"}"#, field: .timestamp, bytes: Wire.long(-1),
            value: .timestamp(-1)),
        Conversion(
            type: #"{"type":"long","logicalType":"timestamp-micros"}"#, field: .timestamp, bytes: Wire.long(-1000),
            value: .timestamp(-1)),
        Conversion(
            type: #"{"type":"long","logicalType":"timestamp-micros"}"#, field: .timestamp, bytes: Wire.long(1999),
            value: .timestamp(1)),
        Conversion(
            type: #"{"type":"long"}"#, field: .int64, bytes: Wire.long(1999),
            value: .int64(1999)),
        Conversion(
            type: #"{"type":"enum","name":"E","symbols":["view","click"]}"#, field: .text, bytes: Wire.long(1),
            value: .text("click")),
        Conversion(
            type: #"["null","string"]"#, field: .text, bytes: Wire.long(1) + Wire.text("x"), value: .text("x")),
        Conversion(type: #"["string","null"]"#, field: .text, bytes: Wire.long(1), value: .null),
        Conversion(
            type: #"["null",{"type":"long","logicalType":"timestamp-micros"}]"#, field: .timestamp,
            bytes: Wire.long(1) + Wire.long(5000), value: .timestamp(5)),
        Conversion(
            type: #"["int","null","double"]"#, field: .float64, bytes: Wire.long(2) + Wire.double(0.5),
            value: .float64(0.5)),
    ])
    func `a value converts to its column`(_ one: Conversion) throws {
        let schema = try schema(#"{"name":"before","type":"int"},{"name":"x","type":\#(one.type)}"#)
        let decoder = try AvroDecoder(schema: schema, needed: Schema([Field("x", one.field, nullable: true)]))
        let result = decodeAll(decoder, [Wire.framing + Wire.long(77) + one.bytes])
        #expect(result.rows == [[one.value]])
        #expect(result.rejected.isEmpty)
    }

    @Test(arguments: [
        (#""string""#, ValueType.int64), (#""int""#, .timestamp), (#""double""#, .int64), (#""long""#, .bool),
        (#""null""#, .text), (#"["null","string"]"#, .int64), (#"{"type":"array","items":"long"}"#, .int64),
        (#"{"type":"fixed","name":"F","size":4}"#, .text), (#"{"type":"map","values":"string"}"#, .text),
    ])
    func `a field of another type is refused before any record`(type: String, wanted: ValueType) throws {
        let schema = try schema(#"{"name":"x","type":\#(type)}"#)
        let failure = #expect(throws: Failure.self) {
            try AvroDecoder(schema: schema, needed: Schema([Field("x", wanted)]))
        }
        #expect(failure?.code == .schemaMismatch)
        #expect(failure?.why.contains("x") == true)
    }

    @Test func `a missing field is named together with the fields there are`() {
        let failure = #expect(throws: Failure.self) {
            try AvroDecoder(schema: .adEvent, needed: Schema([Field("campaign", .text)]))
        }
        #expect(failure?.code == .schemaMismatch)
        #expect(failure?.why.contains("campaign") == true && failure?.why.contains("page_id") == true)
        let twice = #expect(throws: Failure.self) {
            try AvroDecoder(schema: .adEvent, needed: Schema([Field("ad_id", .text), Field("ad_id", .text)]))
        }
        #expect(twice?.code == .schemaMismatch)
    }

    struct Hostile: Sendable, CustomTestStringConvertible {
        var name: String
        var payload: [UInt8]?
        var reason: RejectReason
        var testDescription: String { name }
    }

    /// All kinds of fields; `s`, `b`, `e`, `u` and `n` are needed.
    static let mixed = #"""
        {"name":"i","type":"int"},{"name":"s","type":"string"},{"name":"b","type":"boolean"},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["p","q"]}},{"name":"u","type":["null","long","string"]},
        {"name":"a","type":{"type":"array","items":"long"}},{"name":"m","type":{"type":"map","values":"string"}},
        {"name":"z","type":{"type":"array","items":"null"}},{"name":"n","type":"int"},
        {"name":"r","type":["null",{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}]}
        """#
    static let mixedColumns = Schema([
        Field("s", .text), Field("b", .bool), Field("e", .text), Field("u", .int64), Field("n", .int64),
    ])
    static func record(
        i: [UInt8] = Wire.long(1), s: [UInt8] = Wire.text("héllo"), b: [UInt8] = [1], e: [UInt8] = Wire.long(1),
        u: [UInt8] = Wire.long(1) + Wire.long(9), a: [UInt8] = Wire.long(2) + Wire.long(5) + Wire.long(6) + [0],
        m: [UInt8] = Wire.long(1) + Wire.text("k") + Wire.text("v") + [0], z: [UInt8] = [0],
        n: [UInt8] = Wire.long(-3), r: [UInt8] = Wire.long(1) + Wire.long(0), frame: [UInt8] = Wire.framing
    ) -> [UInt8] { frame + i + s + b + e + u + a + m + z + n + r }
    static let goodRow: [Value] = [.text("héllo"), .bool(true), .text("q"), .int64(9), .int64(-3)]
    static let eleven: [UInt8] = Array(repeating: 0xFF, count: 10) + [0x01]

    @Test(arguments: [
        Hostile(name: "tombstone", payload: nil, reason: .tombstone),
        Hostile(name: "no byte", payload: [], reason: .empty),
        Hostile(name: "half a framing", payload: [0, 0, 0], reason: .framing),
        Hostile(name: "bad magic", payload: record(frame: [1, 0, 0, 0, 1]), reason: .framing),
        Hostile(name: "other schema", payload: record(frame: [0, 0, 0, 0, 2]), reason: .unknownSchema),
        Hostile(name: "framing only", payload: Wire.framing, reason: .truncated),
        Hostile(name: "a byte too many", payload: record() + [0], reason: .trailingBytes),
        Hostile(name: "text longer than the record", payload: record(s: Wire.long(1000)), reason: .truncated),
        Hostile(name: "text of 2^62 bytes", payload: record(s: Wire.long(1 << 62)), reason: .truncated),
        Hostile(name: "negative text length", payload: record(s: Wire.long(-1)), reason: .invalidValue),
        Hostile(name: "smallest text length", payload: record(s: Wire.long(.min)), reason: .invalidValue),
        Hostile(name: "length of 11 bytes", payload: record(s: eleven), reason: .invalidValue),
        Hostile(
            name: "tenth byte above one", payload: record(i: Array(repeating: 0xFF, count: 9) + [2]),
            reason: .invalidValue),
        Hostile(name: "skipped number of 11 bytes", payload: record(i: eleven), reason: .invalidValue),
        Hostile(name: "int beyond 32 bits", payload: record(n: Wire.long(1 << 31)), reason: .invalidValue),
        Hostile(name: "boolean 2", payload: record(b: [2]), reason: .invalidValue),
        Hostile(name: "symbol 2 of 2", payload: record(e: Wire.long(2)), reason: .invalidValue),
        Hostile(name: "symbol -1", payload: record(e: Wire.long(-1)), reason: .invalidValue),
        Hostile(name: "branch 3 of 3", payload: record(u: Wire.long(3)), reason: .invalidValue),
        Hostile(name: "branch -1", payload: record(u: Wire.long(-1)), reason: .invalidValue),
        Hostile(name: "null in a column without", payload: record(u: Wire.long(0)), reason: .nullField),
        Hostile(
            name: "branch of another type", payload: record(u: Wire.long(2) + Wire.text("9")), reason: .wrongType),
        Hostile(name: "text that is no UTF-8", payload: record(s: [4, 0xC3, 0x28]), reason: .invalidText),
        Hostile(name: "overlong UTF-8", payload: record(s: [4, 0xC0, 0x80]), reason: .invalidText),
        Hostile(name: "surrogate in UTF-8", payload: record(s: [6, 0xED, 0xA0, 0x80]), reason: .invalidText),
        Hostile(name: "above U+10FFFF", payload: record(s: [8, 0xF4, 0x90, 0x80, 0x80]), reason: .invalidText),
        Hostile(
            name: "bad byte at the end of a long text",
            payload: record(s: Wire.long(40) + Array(repeating: 0x61, count: 39) + [0xFF]), reason: .invalidText),
        Hostile(name: "U+0000 alone", payload: record(s: Wire.text("\u{0}")), reason: .invalidText),
        Hostile(name: "U+0000 in five bytes", payload: record(s: Wire.text("ab\u{0}cd")), reason: .invalidText),
        Hostile(name: "U+0000 in eleven bytes", payload: record(s: Wire.text("abcdefgh\u{0}ij")), reason: .invalidText),
        Hostile(
            name: "U+0000 in the middle of a long text",
            payload: record(s: Wire.text("\(String(repeating: "a", count: 17))\u{0}\(String(repeating: "b", count: 30))")),
            reason: .invalidText),
        Hostile(name: "U+0000 beside other letters", payload: record(s: Wire.text("hélloooooo\u{0}")), reason: .invalidText),
        Hostile(name: "array of 2^60 items", payload: record(a: Wire.long(1 << 60)), reason: .truncated),
        Hostile(name: "map of 2^60 items", payload: record(m: Wire.long(1 << 60)), reason: .truncated),
        Hostile(name: "smallest block count", payload: record(a: Wire.long(.min) + [0, 0]), reason: .invalidValue),
        Hostile(name: "negative block size", payload: record(a: Wire.long(-2) + Wire.long(-2)), reason: .invalidValue),
        Hostile(name: "huge block size", payload: record(a: Wire.long(-2) + Wire.long(1 << 60)), reason: .truncated),
        Hostile(
            name: "negative key length", payload: record(m: Wire.long(1) + Wire.long(-5) + [0, 0]),
            reason: .invalidValue),
        Hostile(
            name: "100,000 levels", payload: record(r: Array(repeating: 2, count: 100_000) + [0]), reason: .tooDeep),
        Hostile(
            name: "over 16 MiB", payload: record() + Array(repeating: 0, count: 16 << 20), reason: .tooLarge),
    ])
    func `hostile bytes are rejected by name and the rows around them stay whole`(_ one: Hostile) throws {
        let decoder = try AvroDecoder(schema: schema(Self.mixed), needed: Self.mixedColumns, schemaID: 1)
        let result = decodeAll(decoder, [Self.record(), one.payload, one.payload, Self.record()])
        #expect(result.rejected == [1: one.reason, 2: one.reason])
        #expect(result.rows == [Self.goodRow, Self.goodRow])
    }

    @Test(
        arguments: [
            ("blocks with sizes", record(a: Wire.long(-2) + Wire.long(2) + Wire.long(5) + Wire.long(6) + [0])),
            ("many blocks", record(m: (0..<50).flatMap { _ in Wire.long(1) + Wire.text("k") + Wire.text("v") } + [0])),
            ("2^62 nulls", record(z: Wire.long(1 << 62) + Wire.long(1 << 62) + [0])),
            ("97 levels", record(r: Array(repeating: 2, count: 98) + [0])),
            ("number in ten bytes", record(i: Array(repeating: 0x80, count: 9) + [0])),
        ] as [(String, [UInt8])])
    func `unusual but correct bytes are rows`(name: String, payload: [UInt8]) throws {
        let decoder = try AvroDecoder(schema: schema(Self.mixed), needed: Self.mixedColumns)
        #expect(decodeAll(decoder, [payload]).rows == [Self.goodRow])
    }

    @Test func `a record cut at any byte is rejected as truncated or framing`() throws {
        let decoder = try AvroDecoder(schema: schema(Self.mixed), needed: Self.mixedColumns)
        let whole = Self.record()
        let cut = (1..<whole.count).map { Array(whole[..<$0]) }
        let result = decodeAll(decoder, cut, chunk: 8)
        #expect(result.rows.isEmpty)
        for (index, reason) in result.rejected { #expect(reason == (index < 4 ? .framing : .truncated)) }
    }

    @Test(arguments: [0.0, 0.1, 0.5, 1.0])
    func `nulls and rejected records interleave without shifting a row`(rate: Double) throws {
        let schema = try schema(#"{"name":"t","type":["null","string"]},{"name":"v","type":["long","null"]}"#)
        let needed = Schema([Field("t", .text, nullable: true), Field("v", .int64, nullable: true)])
        let decoder = try AvroDecoder(schema: schema, needed: needed)
        var random = SeededRandom(seed: 11)
        var payloads: [[UInt8]?] = []
        var expected: [[Value]] = []
        for number in 0..<3000 {
            let text = random.chance(rate) ? nil : "text \(number)"
            let value = random.chance(rate) ? nil : Int64(number)
            var bytes = Wire.framing + (text.map { Wire.long(1) + Wire.text($0) } ?? Wire.long(0))
            bytes += value.map { Wire.long(0) + Wire.long($0) } ?? Wire.long(1)
            if random.chance(0.2) {
                payloads.append(bytes.dropLast() + [0x84])
            } else {
                payloads.append(bytes)
                expected.append([text.map { .text($0) } ?? .null, value.map { .int64($0) } ?? .null])
            }
        }
        for chunk in [1, 3, 500, 65_536] {
            #expect(decodeAll(decoder, payloads, chunk: chunk).rows == expected)
        }
    }

    @Test func `rows behind NULLs that another decoder left are valid`() throws {
        let first = try AvroDecoder(
            schema: schema(#"{"name":"t","type":["null","string"]},{"name":"v","type":["null","long"]}"#),
            needed: Schema([Field("t", .text, nullable: true), Field("v", .int64, nullable: true)]))
        let second = try AvroDecoder(
            schema: schema(#"{"name":"t","type":"string"},{"name":"v","type":"long"}"#), needed: first.schema)
        let columns = [Column(.text, capacity: 16), Column(.int64, capacity: 16)]
        for _ in 0..<100 {
            for (decoder, payload) in [
                (first, Wire.framing + [0, 0]), (second, Wire.framing + Wire.text("x") + Wire.long(5)),
            ] {
                withRecords([payload], firstOffset: 0) { records in
                    var rejected: [RejectedRecord] = []
                    #expect(decoder.decode(records, into: columns, kept: nil, rejected: &rejected) == 1)
                }
            }
        }
        for row in 0..<200 {
            #expect(columns.map { $0.value(row) } == (row % 2 == 0 ? [.null, .null] : [.text("x"), .int64(5)]))
        }
    }

    @Test func `random mutations never crash and never break the contract`() throws {
        let decoder = try AvroDecoder(schema: schema(Self.mixed), needed: Self.mixedColumns)
        var random = SeededRandom(seed: 20_260_101)
        let seeds = [
            Self.record(), Self.record(r: Array(repeating: 2, count: 20) + [0]),
            Self.record(s: Wire.text(String(repeating: "xyzß", count: 30))),
        ]
        for _ in 0..<100 {
            let payloads = (0..<1000).map { _ in mutated(random.pick(seeds), &random, keeping: 5) }
            let result = decodeAll(decoder, payloads)
            for row in result.rows where row.contains(.null) { Issue.record("a NULL where none may be") }
        }
    }
}

/// A copy with one to four random changes behind the first `keeping` bytes.
func mutated(_ bytes: [UInt8], _ random: inout SeededRandom, keeping: Int = 0) -> [UInt8] {
    var copy = bytes
    for _ in 0..<1 + random.below(4) where copy.count > keeping {
        let place = keeping + random.below(copy.count - keeping)
        switch random.below(5) {
        case 0: copy[place] = UInt8(random.below(256))
        case 1: copy[place] ^= 1 << UInt8(random.below(8))
        case 2: copy.remove(at: place)
        case 3: copy.insert(random.pick([0, 1, 0x7F, 0x80, 0xFF, 0x22, 0x5C]), at: place)
        default: copy.removeSubrange(place...)
        }
    }
    return copy
}
