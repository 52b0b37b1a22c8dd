// Times that no sink could hold: each is a record's own fault, named as such, and moves nothing.

import Engine
import TestSupport
import Testing

private let first: Int64 = -62_135_596_800_000
private let last: Int64 = 253_402_300_799_999

private let outside: [Int64] = [
    .min, .min + 1, .min + 10_000, -9_223_372_036_854_775_000, first - 1, last + 1, 1_772_366_400_000_000, .max - 10_000, .max - 1, .max,
]

private func reasons(_ decoder: any RowDecoder, _ payloads: [[UInt8]]) -> [String] {
    let result = decodeAll(decoder, payloads)
    return payloads.indices.map { result.rejected[$0]?.rawValue ?? "kept" }
}

struct TimeBoundsTests {
    @Test(arguments: ["\"long\"", #"{"type":"long","logicalType":"timestamp-millis"}"#, #"["null","long"]"#])
    func `a time outside the years 1 to 9999 is rejected when Avro is decoded`(type: String) throws {
        let schema = try AvroSchema(text: #"{"type":"record","name":"R","fields":[{"name":"at","type":\#(type)}]}"#)
        let decoder = try AvroDecoder(schema: schema, needed: Schema([Field("at", .timestamp)]))
        let branch: [UInt8] = type.hasPrefix("[") ? [2] : []
        func record(_ time: Int64) -> [UInt8] { Wire.framing + branch + Wire.long(time) }
        #expect(reasons(decoder, outside.map(record)) == outside.map { _ in "timeOutOfRange" })
        #expect(reasons(decoder, [first, 0, last].map(record)) == ["kept", "kept", "kept"])
    }

    @Test func `microseconds are held against the same bounds, and a number that is no time may be anything`() throws {
        let schema = try AvroSchema(
            text: #"{"type":"record","name":"R","fields":[{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"n","type":"long"}]}"#)
        let decoder = try AvroDecoder(schema: schema, needed: Schema([Field("at", .timestamp), Field("n", .int64)]))
        let inside = [first * 1000, 0, last * 1000 + 999].map { Wire.framing + Wire.long($0) + Wire.long(.min) }
        #expect(reasons(decoder, inside) == ["kept", "kept", "kept"])
        let wrong = [first * 1000 - 1, last * 1000 + 1000, .min, .max].map { Wire.framing + Wire.long($0) + Wire.long(1) }
        #expect(reasons(decoder, wrong) == wrong.map { _ in "timeOutOfRange" })
    }

    @Test func `a time outside the years 1 to 9999 is rejected when JSON is decoded, as number and as text`() throws {
        let decoder = try JSONRowDecoder(needed: Schema([Field("at", .timestamp)]))
        func records(_ times: [String]) -> [[UInt8]] { times.map { Array("{\"at\":\($0)}".utf8) } }
        let wrong =
            outside.map { "\($0)" } + ["9223372036854775808", "-9223372036854775809", "123456789012345678901234567890"]
            + ["\"0000-12-31T23:59:59.999Z\"", "\"0001-01-01T00:00:00+00:01\"", "\"9999-12-31T23:59:59-00:01\""]
        #expect(reasons(decoder, records(wrong)) == wrong.map { _ in "timeOutOfRange" })
        let right = ["\(first)", "\(last)", "\"0001-01-01T00:00:00Z\"", "\"9999-12-31T23:59:59.999Z\"", "0"]
        #expect(reasons(decoder, records(right)) == right.map { _ in "kept" })
    }

    @Test func `the bounds are the first and the last time that are written with four digits for the year`() {
        #expect(formatTime(first) == "0001-01-01T00:00:00.000Z")
        #expect(formatTime(last) == "9999-12-31T23:59:59.999Z")
        #expect(parseTime("0001-01-01T00:00:00.000Z") == first && parseTime("9999-12-31T23:59:59.999Z") == last)
        for time in outside { #expect(formatTime(time).count >= 24) }
    }
}
