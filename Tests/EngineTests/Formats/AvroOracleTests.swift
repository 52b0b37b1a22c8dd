// Our Avro decoder and encoder against libavro: random schemas, values written and read back by its value interface.

import CAvro
import Engine
import Foundation
import TestSupport
import Testing

/// One schema and the values of it, through libavro.
private final class LibAvro {
    private var schema: avro_schema_t?

    init(_ text: String) {
        let code = text.withCString { avro_schema_from_json_length($0, text.utf8.count, &schema) }
        precondition(code == 0, "libavro refused the schema: \(text)")
    }
    deinit { _ = avro_schema_decref(schema) }

    private func withValue<Result>(_ body: (inout avro_value_t) -> Result) -> Result {
        var value = avro_value_t()
        precondition(sluice_avro_new(schema, &value) == 0)
        defer { avro_value_decref(&value) }
        return body(&value)
    }

    /// The bytes of a value that `fill` sets.
    func write(_ fill: (inout avro_value_t) -> Void) -> [UInt8] {
        withValue { value in
            fill(&value)
            var size = 0
            precondition(avro_value_sizeof(&value, &size) == 0)
            return [UInt8](unsafeUninitializedCapacity: size + 1) { buffer, count in
                let writer = buffer.withMemoryRebound(to: CChar.self) {
                    avro_writer_memory($0.baseAddress!, Int64(size))
                }
                precondition(avro_value_write(writer, &value) == 0)
                avro_writer_free(writer)
                count = size
            }
        }
    }

    /// Reads bytes and gives the value to `body`.
    func read<Result>(_ bytes: [UInt8], _ body: (inout avro_value_t) -> Result) -> Result {
        withValue { value in
            bytes.withUnsafeBytes { raw in
                let reader = avro_reader_memory(raw.bindMemory(to: CChar.self).baseAddress!, Int64(bytes.count))
                precondition(avro_value_read(reader, &value) == 0, String(cString: avro_strerror()))
                avro_reader_free(reader)
            }
            return body(&value)
        }
    }
}

/// Makes schemas; what a needed column could be is noted beside each field.
private struct SchemaMaker {
    var random: SeededRandom
    private var names = 0

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    mutating func record() -> (text: String, candidates: [Field]) {
        var parts: [String] = []
        var candidates: [Field] = []
        for index in 0..<1 + random.below(12) {
            let name = "f\(index)"
            var (type, columns) = random.chance(0.4) ? (nested(depth: 3), []) : simple()
            var nullable = false
            if random.chance(0.4), !type.hasPrefix("[") {
                type = random.chance(0.5) ? #"["null",\#(type)]"# : #"[\#(type),"null"]"#
                nullable = random.chance(0.8)
            }
            parts.append(#"{"name":"\#(name)","type":\#(type)}"#)
            if !columns.isEmpty { candidates.append(Field(name, random.pick(columns), nullable: nullable)) }
        }
        return (#"{"type":"record","name":"Root","fields":[\#(parts.joined(separator: ","))]}"#, candidates)
    }

    private mutating func fresh() -> String {
        names += 1
        return "T\(names)"
    }

    private mutating func simple() -> (String, [ValueType]) {
        switch random.below(10) {
        case 0: (#""int""#, [.int64, .float64])
        case 1: (#""long""#, [.int64, .timestamp, .float64])
        case 2: (#"{"type":"long","logicalType":"timestamp-millis"}"#, [.timestamp])
        case 3: (#"{"type":"long","logicalType":"timestamp-micros"}"#, [.timestamp])
        case 4: (#""float""#, [.float64])
        case 5: (#""double""#, [.float64])
        case 6: (#""boolean""#, [.bool])
        case 7: (#"{"type":"enum","name":"\#(fresh())","symbols":["a","bcd","a_longer_symbol"]}"#, [.text])
        case 8: (#""bytes""#, [.text])
        default: (#""string""#, [.text])
        }
    }

    private mutating func nested(depth: Int) -> String {
        if depth == 0 { return simple().0 }
        switch random.below(6) {
        case 0: return #"{"type":"array","items":\#(nested(depth: depth - 1))}"#
        case 1: return #"{"type":"map","values":\#(nested(depth: depth - 1))}"#
        case 2: return #"{"type":"fixed","name":"\#(fresh())","size":\#(random.below(20) + 1)}"#
        case 3:
            let name = fresh()
            return #"{"type":"record","name":"\#(name)","fields":[{"name":"x","type":\#(nested(depth: depth - 1))},"#
                + #"{"name":"next","type":["null","\#(name)"]},{"name":"y","type":\#(nested(depth: depth - 1))}]}"#
        case 4: return #"["null","string",{"type":"array","items":\#(nested(depth: depth - 1))}]"#
        default: return simple().0
        }
    }
}

/// Fills a value of any schema with random content.
private func fill(_ value: inout avro_value_t, _ random: inout SeededRandom, nullRate: Double, depth: Int = 0) {
    func ok(_ code: Int32) { precondition(code == 0, String(cString: avro_strerror())) }
    func text(_ random: inout SeededRandom) -> String {
        let pieces = ["", "view", "purchase", "ä", "日本", "😀", "0123456789abcdef", "a b"]
        return (0..<random.below(5)).map { _ in random.pick(pieces) }.joined()
    }
    let extremes: [Int64] = [0, 1, -1, .max, .min, 1_760_000_000_000, -1_760_000_000_123]
    switch sluice_avro_type(&value) {
    case AVRO_NULL: ok(sluice_avro_set_null(&value))
    case AVRO_BOOLEAN: ok(sluice_avro_set_boolean(&value, random.chance(0.5) ? 1 : 0))
    case AVRO_INT32:
        ok(sluice_avro_set_int(&value, random.chance(0.2) ? .min : Int32(truncatingIfNeeded: random.next())))
    case AVRO_INT64:
        let shift = random.below(64)
        ok(
            sluice_avro_set_long(
                &value, random.chance(0.3) ? random.pick(extremes) : Int64(bitPattern: random.next()) >> Int64(shift)))
    case AVRO_FLOAT: ok(sluice_avro_set_float(&value, Float.random(in: -1e9...1e9, using: &random)))
    case AVRO_DOUBLE: ok(sluice_avro_set_double(&value, Double.random(in: -1e300...1e300, using: &random)))
    case AVRO_STRING:
        var bytes = Array(text(&random).utf8) + [0]
        bytes.withUnsafeMutableBytes { raw in
            ok(sluice_avro_set_string(&value, raw.bindMemory(to: CChar.self).baseAddress!, raw.count))
        }
    case AVRO_BYTES:
        var bytes = Array(text(&random).utf8)
        let count = bytes.count
        bytes.append(0)
        bytes.withUnsafeMutableBytes { ok(sluice_avro_set_bytes(&value, $0.baseAddress!, count)) }
    case AVRO_FIXED:
        var bytes = [UInt8](repeating: 0xA5, count: Int(avro_schema_fixed_size(sluice_avro_schema(&value))))
        let count = bytes.count
        bytes.withUnsafeMutableBytes { ok(sluice_avro_set_fixed(&value, $0.baseAddress!, count)) }
    case AVRO_ENUM:
        let symbols = avro_schema_enum_number_of_symbols(sluice_avro_schema(&value))
        ok(sluice_avro_set_enum(&value, Int32(random.below(Int(symbols)))))
    case AVRO_RECORD:
        for index in 0..<avro_schema_record_size(sluice_avro_schema(&value)) {
            var part = avro_value_t()
            ok(sluice_avro_get_at(&value, index, &part))
            fill(&part, &random, nullRate: nullRate, depth: depth + 1)
        }
    case AVRO_ARRAY, AVRO_MAP:
        let isMap = sluice_avro_type(&value) == AVRO_MAP
        for index in 0..<(depth > 8 ? 0 : random.below(4)) {
            var part = avro_value_t()
            ok(isMap ? sluice_avro_add(&value, "key \(index)", &part) : sluice_avro_append(&value, &part))
            fill(&part, &random, nullRate: nullRate, depth: depth + 1)
        }
    case AVRO_UNION:
        let schema = sluice_avro_schema(&value)
        let count = Int(avro_schema_union_size(schema))
        let null = (0..<count).first { avro_schema_union_branch(schema, Int32($0)).pointee.type == AVRO_NULL }!
        let others = (0..<count).filter { $0 != null }
        let branch = random.chance(depth > 8 ? 1 : nullRate) ? null : random.pick(others)
        var part = avro_value_t()
        ok(sluice_avro_set_branch(&value, Int32(branch), &part))
        fill(&part, &random, nullRate: nullRate, depth: depth + 1)
    default: preconditionFailure("a type that is not made here")
    }
}

/// What libavro reads there, as the column would hold it.
private func expected(_ value: inout avro_value_t, as type: ValueType, isMicros: Bool) -> Value {
    var size = 0
    switch sluice_avro_type(&value) {
    case AVRO_NULL: return .null
    case AVRO_UNION:
        var part = avro_value_t()
        precondition(sluice_avro_get_branch(&value, &part) == 0)
        return expected(&part, as: type, isMicros: isMicros)
    case AVRO_BOOLEAN:
        var flag: Int32 = 0
        precondition(sluice_avro_get_boolean(&value, &flag) == 0)
        return .bool(flag != 0)
    case AVRO_INT32:
        var number: Int32 = 0
        precondition(sluice_avro_get_int(&value, &number) == 0)
        return type == .float64 ? .float64(Double(number)) : .int64(Int64(number))
    case AVRO_INT64:
        var number: Int64 = 0
        precondition(sluice_avro_get_long(&value, &number) == 0)
        if type == .float64 { return .float64(Double(number)) }
        if type == .int64 { return .int64(number) }
        if !isMicros { return .timestamp(number) }
        let (quotient, remainder) = number.quotientAndRemainder(dividingBy: 1000)
        return .timestamp(remainder < 0 ? quotient - 1 : quotient)
    case AVRO_FLOAT:
        var number: Float = 0
        precondition(sluice_avro_get_float(&value, &number) == 0)
        return .float64(Double(number))
    case AVRO_DOUBLE:
        var number: Double = 0
        precondition(sluice_avro_get_double(&value, &number) == 0)
        return .float64(number)
    case AVRO_ENUM:
        var symbol: Int32 = 0
        precondition(sluice_avro_get_enum(&value, &symbol) == 0)
        return .text(String(cString: avro_schema_enum_get(sluice_avro_schema(&value), symbol)))
    case AVRO_STRING:
        var text: UnsafePointer<CChar>?
        precondition(sluice_avro_get_string(&value, &text, &size) == 0)
        return .text(String(cString: text!))
    case AVRO_BYTES:
        var bytes: UnsafeRawPointer?
        precondition(sluice_avro_get_bytes(&value, &bytes, &size) == 0)
        return .text(String(decoding: UnsafeRawBufferPointer(start: bytes, count: size), as: UTF8.self))
    default: preconditionFailure("a type that is not read here")
    }
}

struct AvroOracleTests {
    @Test(arguments: [0.0, 0.01, 0.5, 1.0])
    func `random schemas and values decode to what libavro reads`(nullRate: Double) throws {
        for seed in 1...60 as ClosedRange<UInt64> {
            var maker = SchemaMaker(seed: seed &* 1000 &+ UInt64(nullRate * 100))
            let (text, candidates) = maker.record()
            var random = maker.random
            let needed = Schema(candidates.filter { _ in random.chance(0.7) }.shuffled(using: &random))
            let lib = LibAvro(text)
            let schema = try AvroSchema(text: text)
            let decoder = try AvroDecoder(schema: schema, needed: needed, schemaID: 1)
            var payloads: [[UInt8]?] = []
            var rows: [[Value]] = []
            var rejected: [Int: RejectReason] = [:]
            for index in 0..<60 {
                let bytes = lib.write { fill(&$0, &random, nullRate: nullRate) }
                payloads.append(Wire.framing + bytes)
                let row = lib.read(bytes) { value in
                    needed.fields.map { field in
                        var part = avro_value_t()
                        precondition(sluice_avro_get_field(&value, field.name, &part) == 0)
                        return expected(&part, as: field.type, isMicros: isMicros(schema, field.name))
                    }
                }
                // What is wrong with a record is what is wrong with its first field that is.
                let reasons = schema.rootFields!.compactMap { field -> RejectReason? in
                    guard let column = needed.index(of: field.name) else { return nil }
                    switch row[column] {
                    case .null: return needed.fields[column].nullable ? nil : .nullField
                    case .timestamp(let time): return rowTimes.contains(time) ? nil : .timeOutOfRange
                    default: return nil
                    }
                }
                if let reason = reasons.first { rejected[index] = reason } else { rows.append(row) }
            }
            for chunk in [1, 7, 64] {
                let result = decodeAll(decoder, payloads, chunk: chunk)
                #expect(result.rows == rows, "seed \(seed), schema \(text)")
                #expect(result.rejected == rejected, "seed \(seed), schema \(text)")
            }
        }
    }

    private func isMicros(_ schema: AvroSchema, _ name: String) -> Bool {
        func inside(_ node: Int) -> Bool {
            switch schema.nodes[node] {
            case .long: schema.logicalTypes[node]?.kind == .micros
            case .union(let parts): parts.contains { inside($0) }
            default: false
            }
        }
        return inside(schema.rootFields!.first { $0.name == name }!.node)
    }

    @Test(arguments: [1, 2, 1000, 65_536])
    func `ad events written by libavro decode alike in chunks of any size`(chunk: Int) throws {
        let lib = LibAvro(AvroSchema.adEventText)
        var random = SeededRandom(seed: 5)
        let payloads: [[UInt8]?] = (0..<(chunk > 10_000 ? 65_537 : 3001)).map { _ in
            Wire.framing + lib.write { fill(&$0, &random, nullRate: 0) }
        }
        let decoder = try AvroDecoder(schema: .adEvent, needed: adEventColumns)
        let result = decodeAll(decoder, payloads, chunk: chunk)
        #expect(result.rejected.values.allSatisfy { $0 == .timeOutOfRange } && result.rows.count > payloads.count / 2)
        for (index, row) in zip(result.kept, result.rows) {
            let wanted = lib.read(Array(payloads[index]![5...])) { value in
                adEventColumns.fields.map { field in
                    var part = avro_value_t()
                    precondition(sluice_avro_get_field(&value, field.name, &part) == 0)
                    return expected(&part, as: field.type, isMicros: false)
                }
            }
            if row != wanted { Issue.record("a row differs from what libavro reads") }
        }
    }

    @Test func `encoded rows are what libavro reads and what the decoder reads back`() throws {
        let text = #"""
            {"type":"record","name":"R","fields":[{"name":"t","type":["null","string"]},{"name":"i","type":"int"},
            {"name":"l","type":["long","null"]},{"name":"d","type":"double"},{"name":"f","type":"float"},
            {"name":"b","type":"boolean"},{"name":"e","type":{"type":"enum","name":"E","symbols":["view","click"]}},
            {"name":"m","type":{"type":"long","logicalType":"timestamp-micros"}},
            {"name":"s","type":{"type":"long","logicalType":"timestamp-millis"}}]}
            """#
        let columns = Schema([
            Field("s", .timestamp), Field("t", .text, nullable: true), Field("i", .int64),
            Field("l", .int64, nullable: true), Field("d", .float64), Field("f", .float64), Field("b", .bool),
            Field("e", .text), Field("m", .timestamp),
        ])
        var chunk = Chunk(schema: columns)
        let rows = (0..<500).map { (number: Int) -> [Value] in
            let text: Value = number % 3 == 0 ? .null : .text(String(repeating: "é", count: number))
            let long: Value = number % 5 == 0 ? .null : .int64(Int64.max - Int64(number))
            let symbol: Value = .text(number % 4 == 0 ? "view" : "click")
            let micros: Value = .timestamp(Int64(number) * 1_000_003 - 5)
            return [
                .timestamp(Int64(number) - 250), text, .int64(Int64(number) * -77), long, .float64(Double(number) / 7),
                .float64(Double(number) / 4), .bool(number % 2 == 0), symbol, micros,
            ]
        }
        for row in rows { for (column, value) in zip(chunk.columns, row) { column.append(value) } }
        chunk.rowCount = rows.count
        let schema = try AvroSchema(text: text)
        let encoder = try AvroEncoder(schema: schema, columns: columns, schemaID: 1)
        let buffer = RecordBuffer(capacity: 64)
        try encoder.encode(chunk, into: buffer)
        #expect(buffer.count == 500)
        let payloads = (0..<buffer.count).map { Array(buffer.record($0)) }
        let decoder = try AvroDecoder(schema: schema, needed: columns, schemaID: 1)
        #expect(decodeAll(decoder, payloads).rows == rows)
        let lib = LibAvro(text)
        for (payload, row) in zip(payloads, rows) {
            let read = lib.read(Array(payload[5...])) { value in
                columns.fields.map { field in
                    var part = avro_value_t()
                    precondition(sluice_avro_get_field(&value, field.name, &part) == 0)
                    return expected(&part, as: field.type, isMicros: field.name == "m")
                }
            }
            #expect(read == row)
        }
    }

    @Test func `rows that do not fit the schema are errors, not bytes`() throws {
        let schema = try AvroSchema(
            text: #"""
                {"type":"record","name":"R","fields":[{"name":"i","type":"int"},
                {"name":"e","type":{"type":"enum","name":"E","symbols":["view"]}}]}
                """#)
        let columns = Schema([Field("i", .int64, nullable: true), Field("e", .text)])
        for row in [[.int64(1 << 31), .text("view")], [.int64(1), .text("click")], [.null, .text("view")]] as [[Value]] {
            var chunk = Chunk(schema: columns)
            for (column, value) in zip(chunk.columns, row) { column.append(value) }
            chunk.rowCount = 1
            let encoder = try AvroEncoder(schema: schema, columns: columns, schemaID: 1)
            let failure = #expect(throws: Failure.self) { try encoder.encode(chunk, into: RecordBuffer()) }
            #expect(failure?.code == .schemaMismatch)
        }
        let lacking = #expect(throws: Failure.self) {
            try AvroEncoder(schema: schema, columns: Schema([Field("i", .int64)]), schemaID: 1)
        }
        #expect(lacking?.why.contains("e") == true)
    }

    @Test(arguments: [
        "", "{", "[]", "17", #""nosuchtype""#, #"{"type":"record","name":"R"}"#,
        #"{"type":"record","name":"R","fields":[{"name":"x","type":"Unknown"}]}"#,
        #"{"type":"fixed","name":"F","size":-1}"#,
    ])
    func `text that is no schema is an error with libavro's reason`(text: String) {
        let failure = #expect(throws: Failure.self) { try AvroSchema(text: text) }
        #expect(failure?.code == .fileInvalid)
        #expect(failure?.why.isEmpty == false)
    }

    @Test func `a schema file that is missing is named`() {
        let failure = #expect(throws: Failure.self) { try AvroSchema(path: "/nonexistent/ad.avsc") }
        #expect(failure?.code == .fileMissing)
        #expect(failure?.what.contains("ad.avsc") == true)
    }
}
