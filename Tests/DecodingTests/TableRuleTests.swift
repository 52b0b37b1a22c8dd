// The sentences of the contract about decoding, each with a test of its own (docs: formats, rows that fail, event time).

import Dataflow
import Decoding
import Testing
import Values

struct TableRuleTests {
    // MARK: fields

    @Test func `a field belongs to the column of exactly its name`() throws {
        let rig = try DecodingRig("\"userId\" text, userid text, user_id text, \"ä\" text")
        let decoded = try rig.decode([
            "{\"userId\":\"a\",\"userid\":\"b\",\"USERID\":\"c\",\"user_id\":\"d\",\"\\u00e4\":\"f\"}", "{\"UserId\":\"x\",\"userI\":\"x\",\"userIdd\":\"x\"}",
            "{\"\\u0075serId\":\"g\"}",
        ])
        #expect(decoded.rows == [["a", "b", "d", "f"], [nil, nil, nil, nil], ["g", nil, nil, nil]])
    }

    @Test func `a missing field gives the column's DEFAULT, null gives NULL`() throws {
        let rig = try DecodingRig(
            "k int4, a int4 DEFAULT 7, b text DEFAULT 'x', c numeric(5,2) DEFAULT 1.5, d int4[] DEFAULT '{1,NULL}', e bool DEFAULT true, f uuid DEFAULT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', g interval DEFAULT '1 day', h float8 DEFAULT 0.5, i jsonb DEFAULT '[1]', j int4 DEFAULT NULL"
        )
        let all = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map { "\"\($0)\":null" }.joined(separator: ",")
        let decoded = try rig.decode(["{\"k\":1}", TestRecord("{\"k\":2,\(all)}"), "{\"k\":3,\"a\":1,\"b\":\"\"}"])
        let defaults: [String?] = ["7", "x", "1.50", "{1,NULL}", "t", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "1 day", "0.5", "[1]", nil]
        #expect(decoded.rows == [["1"] + defaults, ["2"] + Array(repeating: nil, count: 10), ["3", "1", ""] + defaults[2...]])
    }

    @Test func `a NULL in a NOT NULL column is rejected, also where no query reads the column`() throws {
        for reads in [nil, ["a"]] as [[String]?] {
            let rig = try DecodingRig("a int4, b int4 NOT NULL, c int4 NOT NULL DEFAULT 5", reads: reads)
            let decoded = try rig.decode(["{\"a\":1,\"b\":1}", "{\"a\":2}", "{\"a\":3,\"b\":null}", "{\"a\":4,\"b\":1,\"c\":null}", "{\"a\":5,\"b\":1,\"c\":2}"])
            #expect(decoded.rows.map { $0[0] } == ["1", "5"])
            #expect(decoded.rejected.map(\.reason) == [.null, .null, .null])
            #expect(decoded.rejected.map(\.column) == [1, 1, 2])
            #expect(decoded.rejected.map(\.offset) == [101, 102, 103])
            #expect(decoded.counts[.null] == 3)
        }
    }

    @Test func `presence is looked at, an unread column is not decoded`() throws {
        let rig = try DecodingRig("a int4, b int4 NOT NULL, c int4", reads: ["a"])
        let decoded = try rig.decode(["{\"a\":1,\"b\":\"no number\",\"c\":[]}", "{\"a\":2,\"b\":{\"deep\":[1]},\"c\":1}"])
        #expect(decoded.rows == [["1"], ["2"]])
        #expect(decoded.rejected.isEmpty)
    }

    @Test func `of repeated names the last counts, whatever the first ones were`() throws {
        let rig = try DecodingRig("a int4, b text NOT NULL, c int4[]")
        let decoded = try rig.decode([
            "{\"a\":1,\"a\":2,\"b\":\"x\",\"b\":\"y\"}", "{\"a\":\"bad\",\"a\":3,\"b\":null,\"b\":\"z\"}", "{\"a\":3,\"a\":null,\"b\":\"w\"}", "{\"a\":1,\"a\":[],\"b\":\"v\"}",
            "{\"a\":1,\"b\":\"v\",\"b\":null}", "{\"c\":[\"bad\"],\"c\":[1,2],\"b\":\"\",\"c\":[3]}",
        ])
        #expect(decoded.rows == [["2", "y", nil], ["3", "z", nil], [nil, "w", nil], [nil, "", "{3}"]])
        #expect(decoded.rejected.map(\.reason) == [.undecodable, .null])
    }

    @Test func `null in a column of jsonb is NULL, nulls inside it stay`() throws {
        let rig = try DecodingRig("a jsonb")
        #expect(try rig.decode(["{\"a\":null}", "{\"a\":[null,{\"b\":null}]}", "{\"a\":\"null\"}"]).rows == [[nil], ["[null, {\"b\": null}]"], ["\"null\""]])
    }

    @Test func `a field that appears, disappears or changes its type is just the next record`() throws {
        let rig = try DecodingRig("a text, b text")
        let decoded = try rig.decode([
            "{\"a\":\"1\",\"b\":\"2\"}", "{\"a\":1,\"x\":5,\"b\":true}", "{\"b\":\"only\"}", "{\"b\":\"c\",\"a\":\"d\"}", "{ \"a\" : \"s\" , \"b\" : \"t\" }", "{}",
            "{\"a\":\"1\",\"b\":\"2\"}",
        ])
        #expect(decoded.rows == [["1", "2"], ["1", "true"], [nil, "only"], ["d", "c"], ["s", "t"], [nil, nil], ["1", "2"]])
    }

    @Test func `names that begin alike, long names and many fields are told apart`() throws {
        let names = (0..<100).map { "field_with_a_rather_long_name_number_\($0)" } + ["ab", "abc", "abcd", "a"]
        let rig = try DecodingRig(names.map { "\"\($0)\" int4" }.joined(separator: ", "))
        var random = TestRandom(seed: 3)
        for _ in 0..<50 {
            let order = names.indices.shuffled(using: &random)
            let record = "{" + order.map { "\"\(names[$0])\":\($0)" }.joined(separator: random.pick([",", ", "])) + "}"
            #expect(try rig.decode([TestRecord(record)]).rows == [names.indices.map { "\($0)" }])
        }
    }

    @Test func `fields of any length that differ in one letter change places`() throws {
        for length in 1...40 {
            for place in Set([0, length / 2, length - 1]) {
                var (one, other) = (Array(repeating: Character("n"), count: length), Array(repeating: Character("n"), count: length))
                (one[place], other[place]) = ("x", "y")
                let rig = try DecodingRig("\(String(one)) int4, \(String(other)) int4, z text")
                let tail = "\"z\":\"\(String(repeating: "z", count: 40))\""
                let decoded = try rig.decode([
                    TestRecord("{\"\(String(one))\":1,\"\(String(other))\":2,\(tail)}"), TestRecord("{\"\(String(other))\":3,\"\(String(one))\":4,\(tail)}"),
                ])
                #expect(decoded.rows.map { Array($0[..<2]) } == [["1", "2"], ["4", "3"]], "\(length) letters, the \(place). differs")
            }
        }
    }

    // MARK: documents

    @Test(arguments: [
        ("", "22P02"), (" ", "22P02"), ("null", "22023"), ("1", "22023"), ("\"a\"", "22023"), ("[{}]", "22023"), ("{", "22P02"), ("{}}", "22P02"), ("{} {}", "22P02"),
        ("{\"a\"}", "22P02"),
        ("{\"a\":}", "22P02"), ("{\"a\":1,}", "22P02"), ("{,}", "22P02"), ("{\"a\":1 \"b\":2}", "22P02"), ("{a:1}", "22P02"), ("{'a':1}", "22P02"), ("{\"a\":1}x", "22P02"),
        ("\u{feff}{\"a\":1}", "22P02"), ("{\"x\":NaN}", "22P02"), ("{\"x\":\"\u{1}\"}", "22P02"), ("{\"x\":tru}", "22P02"), ("{\"x\":[1}", "22P02"), ("{\"x\":{\"y\":1]}", "22P02"),
        ("{\"x\":\"\\u12\"}", "22P02"), ("{\"x\":01}", "22P02"), ("{\"x\":\"\\ud800\",\"x\":/}", "22P02"), ("{//\n}", "22P02"), ("{\"x\" 1}", "22P02"), ("{\"x\":[1,2", "22P02"),
    ])
    func `what is no JSON object is rejected whole`(_ text: String, _ state: String) throws {
        let rig = try DecodingRig("a int4")
        let decoded = try rig.decode([TestRecord(text), "{\"a\":1}"])
        #expect(decoded.rows == [["1"]])
        #expect(decoded.rejected.map(\.reason) == [.undecodable])
        #expect(decoded.rejected.first?.fault.sqlState == state)
        #expect(decoded.rejected.first?.column == nil)
    }

    @Test func `a document that is nested deeper than a thousand levels is rejected, however it is read`() throws {
        func nested(_ depth: Int, _ open: String, _ close: String) -> TestRecord {
            TestRecord("{\"a\":" + String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth) + "}")
        }
        for column in ["a text", "a jsonb", "a int4", "b int4", "a int4 NOT NULL"] {
            let rig = try DecodingRig(column)
            for (open, close) in [("[", "]"), ("{\"x\":", "}")] {
                let decoded = try rig.decode([nested(1000, open, close), nested(100_000, open, close), TestRecord("{\"a\":" + String(repeating: open, count: 1_000_000))])
                #expect(decoded.rows.isEmpty)
                #expect(decoded.rejected.map(\.fault.sqlState) == ["54001", "54001", "54001"], "\(column) \(open)")
            }
        }
        #expect(try DecodingRig("a text").decode([nested(999, "[", "]")]).rows.count == 1)
        #expect(try DecodingRig("a jsonb").decode([nested(999, "{\"x\":", "}")]).rows.count == 1)
        #expect(try DecodingRig("b text").decode([nested(998, "[{\"a\":1},[],{},", "]")]).rows.count == 1)
    }

    @Test func `numbers that would fill memory in jsonb are a failed value`() throws {
        let rig = try DecodingRig("a jsonb")
        let bomb = "{\"a\":[" + Array(repeating: "1e131071", count: 2000).joined(separator: ",") + "]}"
        #expect(try rig.one(TestRecord(bomb)) == "undecodable 54000")
        // Many that are small enough alone close the chunk.
        let large = TestRecord("{\"a\":[" + Array(repeating: "1e131071", count: 300).joined(separator: ",") + "]}")
        let decoded = try rig.decode([large, large, large])
        #expect(decoded.chunks.map(\.count) == [2, 1])
    }

    @Test(arguments: [[0xC0, 0x80], [0xFF], [0xC3], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x80]] as [[UInt8]])
    func `bytes that are not UTF-8 fail the column that reads them`(_ bytes: [UInt8]) throws {
        func record(_ before: String, _ after: String) -> TestRecord { TestRecord(Array(before.utf8) + bytes + Array(after.utf8)) }
        for pad in ["", "0123456789", "0123456789abcdef0123456789abcdef"] {
            #expect(try DecodingRig("a text").one(record("{\"a\":\"\(pad)", "\(pad)\"}")) == "undecodable 22021")
            #expect(try DecodingRig("a jsonb").one(record("{\"a\":\"\(pad)", "\"}")) == "undecodable 22021")
            #expect(try DecodingRig("a text").one(record("{\"a\":[\"\(pad)", "\"]}")) == "undecodable 22021")
            #expect(try DecodingRig("a int4").one(record("{\"a\":\"\(pad)", "\"}")) == "undecodable 22021")
            #expect(try DecodingRig("b int4").one(record("{\"a\":\"\(pad)", "\",\"b\":1}")) == "1")
            #expect(try DecodingRig("b int4").one(record("{\"", "\(pad)\":1,\"b\":1}")) == "1")
        }
    }

    @Test func `a record without a value is a tombstone, counted apart`() throws {
        let rig = try DecodingRig("a int4", onError: .stop)
        let decoded = try rig.decode(["{\"a\":1}", TestRecord(nil as String?), "{\"a\":2}"])
        #expect(decoded.rows == [["1"], ["2"]])
        #expect(decoded.records == [0, 2])
        #expect(decoded.rejected.map(\.reason) == [.tombstone])
        #expect(decoded.counts[.tombstone] == 1)
    }

    @Test func `raw is one column of bytes`() throws {
        let rig = try DecodingRig("value bytea", "format = 'raw'")
        let decoded = try rig.decode([TestRecord([0, 255, 1]), TestRecord([] as [UInt8]), TestRecord(nil as [UInt8]?)])
        #expect(decoded.rows == [["\\x00ff01"], ["\\x"]])
        #expect(try DecodingRig("value bytea", "format = 'raw'", reads: ["source_offset"]).decode([TestRecord([1])]).rows == [["100"]])
    }

    // MARK: what every topic has

    @Test func `coordinates, key, time and headers of the record`() throws {
        let rig = try DecodingRig(
            "a int4", reads: ["a", "source_topic", "source_partition", "source_offset", "record_key", "record_time", "record_headers"], chunkRows: 2)
        var first = TestRecord(key: "k\u{0}", "{\"a\":1}")
        first.timeMillis = 1_700_000_000_123
        first.headers = [("b", [104, 105]), ("a", nil), ("b", [255]), ("\"", [])]
        var last = TestRecord("{\"a\":3}")
        last.timeMillis = .max
        let decoded = try rig.decode([first, "{", "{\"a\":2}", last])
        #expect(
            decoded.rows == [
                [
                    "1", "topic", "3", "100", "\\x6b00", "2023-11-14 22:13:20.123+00",
                    "[{\"key\": \"b\", \"value\": \"hi\"}, {\"key\": \"a\", \"value\": null}, {\"key\": \"b\", \"value\": \"\\\\xff\"}, {\"key\": \"\\\"\", \"value\": \"\"}]",
                ], ["2", "topic", "3", "102", nil, nil, "[]"], ["3", "topic", "3", "103", nil, nil, "[]"],
            ])
        // What we write is what jsonb would be.
        let headers = try #require(decoded.rows[0][6])
        #expect(try TypeText.read(headers, as: .jsonb, context: EvaluationContext()) == .text(headers))
    }

    @Test func `a record's time outside the years 1 to 9999 is NULL`() throws {
        let rig = try DecodingRig("a int4", reads: ["record_time"])
        let times: [(Int64, String?)] = [
            (253_402_300_799_999, "9999-12-31 23:59:59.999+00"), (253_402_300_800_000, nil), (-62_135_596_800_001, nil), (0, "1970-01-01 00:00:00+00"),
        ]
        for (millis, expected) in times {
            var record: TestRecord = "{}"
            record.timeMillis = millis
            #expect(try rig.decode([record]).rows == [[expected]])
        }
    }

    @Test func `columns come in the order asked for, and their rows know their records`() throws {
        let rig = try DecodingRig("a int4, b text", reads: ["b", "source_offset", "a"], chunkRows: 3)
        let decoded = try rig.decode((0..<10).map { TestRecord($0 % 4 == 2 ? "bad" : "{\"a\":\($0),\"b\":\"x\($0)\"}") })
        let kept = (0..<10).filter { $0 % 4 != 2 }
        #expect(decoded.rows == kept.map { ["x\($0)", "\(100 + $0)", "\($0)"] })
        #expect(decoded.records == kept)
        #expect(decoded.chunks.map(\.count) == [3, 3, 2])
        #expect(decoded.counts.rows == 8)
    }

    // MARK: generated columns

    @Test func `generated columns are computed of the decoded ones`() throws {
        let rig = try DecodingRig("a int4, b int4 DEFAULT 2, c int4 GENERATED ALWAYS AS (a / b) STORED, d text GENERATED ALWAYS AS ('<' || a || '>') STORED", reads: ["c", "d"])
        let decoded = try rig.decode(["{\"a\":7}", "{\"a\":7,\"b\":0}", "{\"b\":1}", "{\"a\":9,\"b\":3,\"c\":100}"])
        #expect(decoded.rows == [["3", "<7>"], [nil, nil], ["3", "<9>"]])
        #expect(decoded.rejected.map(\.column) == [2])
        #expect(decoded.rejected.first?.fault.sqlState == "22012")
    }

    @Test func `a generated column that is NOT NULL is looked at for every query`() throws {
        let rig = try DecodingRig("a int4, b int4, c int4 GENERATED ALWAYS AS (b + 1) STORED NOT NULL", reads: ["a"])
        let decoded = try rig.decode(["{\"a\":1,\"b\":1}", "{\"a\":2}", "{\"a\":3,\"b\":5}"])
        #expect(decoded.rows == [["1"], ["3"]])
        #expect(decoded.rejected.map(\.reason) == [.null])
    }

    // MARK: event time

    @Test func `the greatest event time that decodes and is not too far ahead`() throws {
        let rig = try DecodingRig("a int4, at timestamptz", "format = 'json', event_time = 'at', max_future = '10 s'", usesEventTime: true)
        let decoded = try rig.decode(
            ["{\"a\":1,\"at\":1000}", "{\"a\":2,\"at\":3000}", "{\"a\":3,\"at\":15001}", "{\"a\":4,\"at\":15000}", "{\"a\":5}", "{\"a\":6,\"at\":\"x\"}", "{\"a\":7,\"at\":20}"],
            batchTime: 5_000_000)
        #expect(decoded.rows.map { $0[0] } == ["1", "2", "4", "7"])
        #expect(decoded.rejected.map(\.reason) == [.tooFarAhead, .nullEventTime, .undecodable])
        #expect(decoded.outcome.newestEventMicros == 15_000_000)
        #expect(try rig.decode([]).outcome.newestEventMicros == nil)
    }

    @Test func `one row that is too far ahead among rows that all have a time`() throws {
        let rig = try DecodingRig("at timestamptz", "format = 'json', event_time = 'at', max_future = '1 s'")
        let decoded = try rig.decode(["{\"at\":1}", "{\"at\":1001}", "{\"at\":2}"])
        #expect(decoded.records == [0, 2])
        #expect(decoded.rejected.map(\.reason) == [.tooFarAhead])
        #expect(decoded.outcome.newestEventMicros == 2000)
    }

    @Test func `a row that is rejected for another reason moves the watermark`() throws {
        let rig = try DecodingRig("a int4 NOT NULL, at timestamptz", "format = 'json', event_time = 'at'", usesEventTime: true)
        let decoded = try rig.decode(["{\"a\":1,\"at\":1}", "{\"a\":\"x\",\"at\":2}", "{\"at\":3}", "{\"a\":1,\"at\":4", "{\"a\":1,\"at\":5,\"at\":true}"])
        #expect(decoded.outcome.newestEventMicros == 3000)
        #expect(decoded.rows.count == 1)
    }

    @Test func `a NULL event time is ordinary where no query goes by it, and one that fails is an error only where it is read`() throws {
        let records: [TestRecord] = ["{\"a\":1,\"at\":1}", "{\"a\":2}", "{\"a\":3,\"at\":\"x\"}", "{\"a\":4,\"at\":99999}"]
        func rig(_ reads: [String]) throws -> DecodingRig {
            try DecodingRig("a int4, at timestamptz", "format = 'json', event_time = 'at', max_future = '1 s'", reads: reads)
        }
        let unread = try rig(["a"]).decode(records)
        #expect(unread.rows == [["1"], ["2"], ["3"]])
        #expect(unread.rejected.map(\.reason) == [.tooFarAhead])
        #expect(unread.outcome.newestEventMicros == 1000)
        let read = try rig(["a", "at"]).decode(records)
        #expect(read.rows.map { $0[0] } == ["1", "2"])
        #expect(read.rejected.map(\.reason) == [.undecodable, .tooFarAhead])
    }

    @Test func `a generated column may be the event time`() throws {
        let columns = "a int4, s text, at timestamptz GENERATED ALWAYS AS (coalesce(CAST(s AS timestamptz), '1990-01-01Z') + interval '1 second') STORED, n int4"
        let records: [TestRecord] = [
            "{\"a\":1,\"s\":\"1970-01-01Z\"}", "{\"a\":2,\"s\":\"x\"}", "{\"a\":3,\"s\":[\"\u{0}\"],\"n\":1}", "{\"a\":4,\"s\":\"1970-01-02Z\",\"n\":\"bad\"}",
        ]
        let rig = try DecodingRig(columns, "format = 'json', event_time = 'at'", usesEventTime: true)
        let decoded = try rig.decode(records)
        #expect(decoded.rows.map { $0[0] } == ["1"])
        #expect(decoded.outcome.newestEventMicros == 86_401_000_000)
        // Unread, it moves the watermark where it can, and is no error elsewhere.
        let lenient = try DecodingRig(columns, "format = 'json', event_time = 'at'", reads: ["a"]).decode(records)
        #expect(lenient.rows.map { $0[0] } == ["1", "2", "4"])
        #expect(lenient.outcome.newestEventMicros == 86_401_000_000)
        // What it is made of did not decode: nobody knows the time, whatever an expression makes of NULL.
        let bad = try DecodingRig(columns, "format = 'json', event_time = 'at'", reads: ["a"]).decode([
            TestRecord("{\"a\":1,\"s\":\"\\u0000\"}"), "{\"a\":2,\"s\":\"1970-01-01Z\"}",
        ])
        #expect(bad.outcome.newestEventMicros == 1_000_000)
        #expect(bad.rows.count == 2)
    }

    // MARK: on_error

    @Test func `under null the column that failed is NULL and counted, but not where NULL may not be`() throws {
        let rig = try DecodingRig(
            "a int4, b int4 NOT NULL, at timestamptz, v varchar(2), g int4 GENERATED ALWAYS AS (10 / a) STORED", "format = 'json', event_time = 'at'", usesEventTime: true,
            onError: .null)
        let decoded = try rig.decode([
            "{\"a\":\"x\",\"b\":1,\"at\":1}", "{\"a\":1,\"b\":\"x\",\"at\":1}", "{\"a\":1,\"b\":1,\"at\":\"x\"}", "{\"a\":0,\"b\":1,\"at\":1}",
            "{\"a\":5,\"b\":1,\"at\":1,\"v\":\"abc\"}", "{", "{\"a\":2,\"b\":1}",
        ])
        let at = "1970-01-01 00:00:00.001+00"
        #expect(decoded.rows == [[nil, "1", at, nil, nil], ["0", "1", at, nil, nil], ["5", "1", at, nil, "2"]])
        #expect(decoded.counts.nulled == [0: 1, 3: 1, 4: 1])
        #expect(decoded.rejected.map(\.reason) == [.undecodable, .undecodable, .undecodable, .nullEventTime])
        #expect(decoded.rejected.map(\.column) == [1, 2, nil, 2])
    }

    @Test func `stop throws the first record that is wrong, with its coordinates`() throws {
        // The first one is found last: its digits are looked at when the chunk is whole.
        let rig = try DecodingRig("a int4, n numeric(3,1)", onError: .stop)
        let error = #expect(throws: DecodeStop.self) { try rig.decode(["{\"a\":1}", "{\"n\":1000}", "{", "{\"a\":true}"]) }
        #expect(error?.rejected.offset == 101)
        #expect(error?.column == "n")
        #expect(error?.topic == "topic")
        #expect(error?.partition == 3)
        #expect(error.map { "\($0)" }?.contains("on_error is 'stop'") ?? false)
        #expect(try rig.decode(["{\"a\":1}"]).counts.rows == 1)
    }

    @Test func `the table's own on_error goes before the job's`() throws {
        let rig = try DecodingRig("a int4", "format = 'json', on_error = 'null'", onError: .stop)
        #expect(try rig.decode(["{\"a\":\"x\"}"]).rows == [[nil]])
    }

    @Test func `a rejected record says its column, its offset and how its value begins`() throws {
        let rig = try DecodingRig("a int4, b text, t timestamptz")
        let long = String(repeating: "x", count: 500)
        let decoded = try rig.decode([TestRecord("{\"a\": \"\(long)\"}"), "{\"a\": [1, 2]}", TestRecord("{\"b\":\(long)"), "{\"t\":\"2026-02-30\"}"])
        #expect(
            decoded.rejected.map { String(decoding: $0.value, as: UTF8.self) } == [
                "\"" + String(repeating: "x", count: 99), "[1, 2]", "{\"b\":" + String(repeating: "x", count: 95), "\"2026-02-30\"",
            ])
        #expect(decoded.rejected.map(\.column) == [0, 0, nil, 2])
        #expect(decoded.rejected.map(\.record) == [0, 1, 2, 3])
    }

    @Test func `one record is rejected once, with the first thing that is wrong`() throws {
        let rig = try DecodingRig("a int4, b int4 NOT NULL, at timestamptz", "format = 'json', event_time = 'at'", usesEventTime: true)
        let decoded = try rig.decode(["{\"a\":\"x\",\"at\":\"x\"}"])
        #expect(decoded.rejected.map(\.column) == [0])
        #expect(decoded.counts[.undecodable] == 1)
        #expect(decoded.counts[.null] == 0)
    }
}
