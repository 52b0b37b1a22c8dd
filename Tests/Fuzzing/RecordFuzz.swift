// Fuzzing of the record decoders. The first byte of an input picks the decoder; for Avro its highest bit says that the
// framing is part of the input, too.

import Engine

private let adEventColumns = Schema([Field("ad_id", .text), Field("event_type", .text), Field("event_time", .timestamp)])

final class AvroFuzz: FuzzSubject {
    /// Everything that nests, every conversion, and a type that contains itself.
    private static let mixedText = """
        {"type":"record","name":"Mixed","fields":[{"name":"t","type":["null","string"]},
        {"name":"skipped","type":{"type":"array","items":{"type":"map","values":["null","string",{"type":"fixed","name":"Four","size":4}]}}},
        {"name":"n","type":["long","null","double"]},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["view","click","a_much_longer_symbol"]}},
        {"name":"f","type":{"type":"fixed","name":"Seven","size":7}},
        {"name":"tree","type":{"type":"record","name":"Tree","fields":[{"name":"left","type":["null","Tree"]},
        {"name":"v","type":"int"},{"name":"right","type":["null","Tree"]}]}},
        {"name":"d","type":["null","double","float","int"]},{"name":"b","type":"boolean"},
        {"name":"m","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"y","type":"bytes"}]}
        """
    private static let mixedColumns = Schema([
        Field("t", .text, nullable: true), Field("n", .int64, nullable: true), Field("e", .text),
        Field("d", .float64, nullable: true), Field("b", .bool), Field("m", .timestamp), Field("y", .text),
    ])
    private static let framing: [UInt8] = [0, 0, 0, 0, 1]
    private let benches: [DecoderBench]
    let seeds: [[UInt8]]
    let tokens: [[UInt8]] = [
        [0], [1], [2], [3], [4], [0x7f], [0x80, 0x01], [0xff, 0xff, 0xff, 0xff, 0x0f],
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], [0x80, 0x00], [0x01, 0x00], [0x03, 0x02],
        [0x80, 0x80, 0x80, 0x10], [0, 0, 0, 0, 1], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98, 0x80], [0xc0, 0x80],
        Array(repeating: 2, count: 110), Array(repeating: 0, count: 8), [0, 0, 0, 0, 0, 0, 0xf8, 0x7f],
    ]

    init() throws {
        func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count * 2)] + Array(text.utf8) }
        let event =
            text("user-1") + text("page-1") + text("0aa4de3e-1111-4222-8333-444455667788") + text("banner") + text("view")
            + [0x80, 0xb0, 0xc2, 0xf8, 0xb2, 0x66] + text("10.0.0.1")
        let mixed =
            [2] + text("ab") + [2, 2] + text("k") + [2] + text("v") + [0, 0] + [0, 10] + [2] + [1, 2, 3, 4, 5, 6, 7]
            + [0, 2, 2, 0, 4, 0] + [2, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f] + [1] + [0xd1, 0x0f] + text("bytes é")
        benches = [
            DecoderBench(try AvroDecoder(schema: .adEvent, needed: adEventColumns), good: Self.framing + event),
            DecoderBench(
                try AvroDecoder(schema: AvroSchema(text: Self.mixedText), needed: Self.mixedColumns, schemaID: 1),
                good: Self.framing + mixed),
            DecoderBench(
                try AvroDecoder(schema: AvroSchema(text: Self.mixedText), needed: Schema([])), good: Self.framing + mixed),
        ]
        // The sizes of blocks instead of looking at the items, a deep tree, nothing of all that.
        let sized =
            [0] + [1, 10, 2] + text("k") + [0, 0, 0] + [2] + [4] + [1, 2, 3, 4, 5, 6, 7] + Array(repeating: 2, count: 40)
            + [0] + Array(repeating: UInt8(0), count: 82) + [4, 0, 0, 0x80, 0x3f, 0] + [2, 0]
        seeds = [[0] + event, [1] + mixed, [2] + mixed, [0x80] + Self.framing + event, [0x81] + Self.framing + mixed, [1] + sized]
    }

    func run(_ input: UnsafeBufferPointer<UInt8>) -> FuzzOutcome {
        guard let first = input.first else { return .refused }
        let bench = benches[Int(first & 0x7f) % benches.count]
        return withExactCopy(first & 0x80 == 0 ? Self.framing : [], input.dropFirst()) { bench.run($0, $1) }
    }
}

final class JSONFuzz: FuzzSubject {
    private let benches: [DecoderBench]
    let seeds: [[UInt8]]
    let tokens: [[UInt8]] =
        [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83d\\ude00", "\\ud83d", "\\udc00", "\\u0000", "\\\"", "\\n", "true",
            "false", "null", "-", "-0", "0", "1e400", "1E-400", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
            "18446744073709551616", "1.7976931348623157e308", "4.9e-324", "0.1", ".", "e+", "\"t\":", "\"i\":", "\"d\":", "\"b\":",
            "\"w\":", "\"ad_id\":", "\"event_time\":", "2026-03-01T12:00:00.250Z", "NaN", "Infinity", " ", "\n\t ", "\u{feff}",
            String(repeating: "[", count: 101), String(repeating: "{\"a\":", count: 100), String(repeating: "9", count: 40),
        ].map { Array($0.utf8) } + [[0xc3, 0x28], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0x00], [0x1f], [0x7f], [0xff]]

    init() throws {
        let types: [(String, ValueType)] = [("t", .text), ("i", .int64), ("d", .float64), ("b", .bool), ("w", .timestamp)]
        let all = #"{"t":"text é","i":-12,"d":2.5e3,"b":true,"w":1770000000000,"x":{"y":[1,null,"\n"]}}"#
        let event =
            #"{"user_id":"u","page_id":"p","ad_id":"0aa4de3e-1111-4222-8333-444455667788","ad_type":"banner","#
            + #""event_type":"view","event_time":1770000000000,"ip_address":"10.0.0.1"}"#
        benches = [
            DecoderBench(try JSONRowDecoder(needed: Schema(types.map { Field($0.0, $0.1) })), good: Array(all.utf8)),
            DecoderBench(
                try JSONRowDecoder(needed: Schema(types.map { Field($0.0, $0.1, nullable: true) })), good: Array(all.utf8)),
            DecoderBench(try JSONRowDecoder(needed: adEventColumns), good: Array(event.utf8)),
        ]
        let more = [
            #"{"t":"\ud83d\ude00 ä日本 \n end","i":9223372036854775807,"d":-0.0,"b":false,"w":"2026-03-01T12:00:00.250Z"}"#,
            #"{"w": null, "b" : null,"d":1e-7, "i":0,"t":null, "t":"twice"}"#,
            #"{"deep":[[[[{"a":[{}]}]]]],"t":"","i":1,"d":123456789012345678901234567890,"b":true,"w":0}"#,
        ]
        seeds =
            [[0] + all.utf8, [1] + all.utf8, [2] + event.utf8] + more.map { [1] + $0.utf8 }
            + [[0] + more[0].utf8, [0] + more[2].utf8]
    }

    func run(_ input: UnsafeBufferPointer<UInt8>) -> FuzzOutcome {
        guard let first = input.first else { return .refused }
        let bench = benches[Int(first) % benches.count]
        return withExactCopy([], input.dropFirst()) { bench.run($0, $1) }
    }
}
