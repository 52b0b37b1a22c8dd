// Rows as JSON and as Avro with a schema made of the columns: read back by another program's code and by our decoders.

import Engine
import Foundation
import Testing

@Suite struct RowEncodingTests {
    static let values: [[Value]] = [
        [.int64(0), .int64(.max), .float64(0.1), .bool(true), .timestamp(0), .text("")],
        [.int64(1), .int64(.min), .float64(-1e300), .bool(false), .timestamp(-1), .text("☃")],
        [.int64(-10), .int64(9), .float64(1), .bool(false), .timestamp(1_772_366_400_007), .text("plain text, longer than a word")],
        [.int64(99), .int64(10), .float64(1.0 / 3), .bool(true), .timestamp(253_402_300_799_999), .text("\u{1}\n\"\\/\u{1f}\u{7f}")],
        [.int64(100), .null, .null, .null, .null, .null],
        [.int64(999_999_999_999_999_999), .int64(1_000_000_000_000_000_000), .float64(.leastNonzeroMagnitude), .null, .null, .text("x")],
    ]
    static let all = values + hostileTexts.map { [.int64(1), .null, .null, .null, .null, .text($0)] }

    private func encoded(_ encoder: any RowEncoder, _ chunk: Chunk) throws -> [[UInt8]] {
        let buffer = RecordBuffer(capacity: 64)
        try encoder.encode(chunk, into: buffer)
        return (0..<buffer.count).map { Array(buffer.record($0)) }
    }

    @Test func `JSON objects are what another reader of JSON takes them for`() throws {
        let table = SinkTable.types
        let records = try encoded(JSONRowEncoder(columns: table.schema), rows(table, Self.all))
        #expect(records.count == Self.all.count)
        for (bytes, expected) in zip(records, Self.all) {
            let object = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
            #expect(object.count == 6)
            for (field, value) in zip(table.schema.fields, expected) {
                switch value {
                case .null: #expect(object[field.name] is NSNull)
                case .int64(let number), .timestamp(let number): #expect(object[field.name] as? Int64 == number)
                case .float64(let number): #expect(object[field.name] as? Double == number)
                case .bool(let flag): #expect(object[field.name] as? Bool == flag)
                // Foundation leaves a byte order mark at the start of a text out.
                case .text(let text):
                    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
                    let expected = text.utf8.dropFirst(text.utf8.starts(with: mark) ? mark.count : 0)
                    #expect((object[field.name] as? String).map { Array($0.utf8) } == Array(expected))
                }
            }
        }
    }

    @Test func `the text of an object is compact, and what JSON has no word for is null`() throws {
        let table = SinkTable.types
        let records = try encoded(
            JSONRowEncoder(columns: table.schema),
            rows(table, [[.int64(-7), .int64(0), .float64(.nan), .bool(true), .timestamp(5), .text("a\tb")]]))
        #expect(String(decoding: records[0], as: UTF8.self) == #"{"k":-7,"i":0,"f":null,"b":true,"t":5,"s":"a\u0009b"}"#)
    }

    @Test(arguments: [RecordFormat.json, .avro]) func `our decoders read what was written`(format: RecordFormat) throws {
        let table = SinkTable.types
        let chunk = rows(table, Self.all)
        let schema = try AvroSchema(text: AvroSchema.text(name: table.name, columns: table.schema))
        let records =
            switch format {
            case .json: try encoded(JSONRowEncoder(columns: table.schema), chunk)
            case .avro: try encoded(AvroEncoder(schema: schema, columns: table.schema, schemaID: 7), chunk)
            }
        let decoder: any RowDecoder =
            switch format {
            case .json: try JSONRowDecoder(needed: table.schema)
            case .avro: try AvroDecoder(schema: schema, needed: table.schema, schemaID: 7)
            }
        let decoded = decodeAll(decoder, records.map { $0 })
        #expect(decoded.rejected.isEmpty)
        #expect(decoded.rows == Self.all)
    }

    @Test(arguments: [RecordFormat.json, .avro]) func `only selected rows are encoded`(format: RecordFormat) throws {
        let table = SinkTable.bare
        var chunk = rows(table, (0..<5).map { [.int64(Int64($0)), .null, .int64(0)] })
        let selection = Selection(capacity: 2)
        (selection.rows[0], selection.rows[1]) = (1, 4)
        selection.commit(2)
        chunk.selection = selection
        let schema = try AvroSchema(text: AvroSchema.text(name: "bare", columns: table.schema))
        let encoder: any RowEncoder =
            format == .json
            ? JSONRowEncoder(columns: table.schema) : try AvroEncoder(schema: schema, columns: table.schema, schemaID: 1)
        let decoder: any RowDecoder =
            format == .json ? try JSONRowDecoder(needed: table.schema) : try AvroDecoder(schema: schema, needed: table.schema)
        #expect(decodeAll(decoder, try encoded(encoder, chunk)).rows.map { $0[0] } == [.int64(1), .int64(4)])
    }

    @Test func `the schema of columns is one text, with unions where there may be NULL`() {
        #expect(
            AvroSchema.text(name: "shop.views-2", columns: SinkTable.views.schema)
                == #"{"type":"record","name":"shop_views_2","fields":[{"name":"campaign_id","type":"string"},"#
                + #"{"name":"window_start","type":{"type":"long","logicalType":"timestamp-millis"}},"#
                + #"{"name":"views","type":["null","long"],"default":null}]}"#)
        #expect(AvroSchema.text(name: "7", columns: Schema([])).contains(#""name":"_7""#))
    }
}
