// Tables whose records put and delete: keys by their format, and no key left at a stale row.

import Dataflow
import Decoding
import SQLBinding
import SQLSyntax
import Testing
import Values

struct UpsertTests {
    /// Rows with their weights: `+1,a` and `-1,NULL`.
    private static func changes(_ decoded: Decoded) -> [String] {
        zip(decoded.rows, decoded.weights).map { row, weight in (weight > 0 ? "+" : "-") + row.map { $0 ?? "NULL" }.joined(separator: ",") }
    }

    static let upsert = "format = 'json', mode = 'upsert'"

    @Test func `a record puts its row, a null value deletes the row of its key`() throws {
        let rig = try DecodingRig("id int4 PRIMARY KEY, a text NOT NULL DEFAULT 'd', b int4", Self.upsert)
        let decoded = try rig.decode([
            TestRecord(key: "1", "{\"id\":1,\"a\":\"x\",\"b\":2}"), TestRecord(key: "2", "{\"a\":\"y\"}"), TestRecord(key: "1", nil), TestRecord(key: " 3 ", "{\"id\":3}"),
        ])
        #expect(Self.changes(decoded) == ["+1,x,2", "+2,y,NULL", "-1,NULL,NULL", "+3,d,NULL"])
        #expect(decoded.rejected.isEmpty)
        #expect(decoded.counts.deletes == 1)
        #expect(decoded.counts.rows == 4)
    }

    @Test(
        arguments: [
            ("int4", nil, "keyMissing"), ("int4", "x", "keyUndecodable"), ("int4", "", "keyUndecodable"), ("varchar(2)", "abc", "keyUndecodable"),
            ("numeric(3,1)", "1000", "keyUndecodable"),
            ("timestamptz", "now", "keyUndecodable"),
        ] as [(String, String?, String)])
    func `a NULL or undecodable key is rejected and changes nothing`(_ type: String, _ key: String?, _ reason: String) throws {
        let rig = try DecodingRig("id \(type) PRIMARY KEY, a text", Self.upsert)
        let decoded = try rig.decode([TestRecord(key: key, "{\"a\":\"x\"}"), TestRecord(key: key, nil), TestRecord(key: key, "{")])
        #expect(decoded.rows.isEmpty)
        #expect(decoded.rejected.map(\.reason.rawValue) == [reason, reason, reason])
    }

    @Test func `bytes that are no text are no key`() throws {
        let rig = try DecodingRig("id text PRIMARY KEY", Self.upsert)
        #expect(try rig.decode([TestRecord(key: [0xFF], Array("{}".utf8)), TestRecord(key: [0], nil)]).rejected.map(\.reason) == [.keyUndecodable, .keyUndecodable])
    }

    @Test func `a key that differs from the same column of the value is rejected and changes nothing`() throws {
        let rig = try DecodingRig("id numeric PRIMARY KEY, a int4", Self.upsert)
        let decoded = try rig.decode([
            TestRecord(key: "1", "{\"id\":1.0,\"a\":1}"), TestRecord(key: "1", "{\"id\":2,\"a\":2}"), TestRecord(key: "1", "{\"id\":null,\"a\":3}"),
            TestRecord(key: "1", "{\"a\":4}"),
            TestRecord(key: "1", "{\"id\":2,\"a\":\"bad\"}"), TestRecord(key: "1", nil),
        ])
        // The key's own look is shown.
        #expect(Self.changes(decoded) == ["+1,1", "+1,4", "-1,NULL"])
        #expect(decoded.rejected.map(\.reason) == [.keyDiffers, .keyDiffers, .keyDiffers])
        #expect(decoded.rejected.map(\.record) == [1, 2, 4])
        #expect(decoded.rejected.first.map { String(decoding: $0.value, as: UTF8.self) } == "2")
    }

    @Test func `a key is never left at a stale row`() throws {
        let rig = try DecodingRig(
            "id int4 PRIMARY KEY, a int4, n int4 NOT NULL, at timestamptz, v varchar(2), g int4 GENERATED ALWAYS AS (1 / a) STORED",
            "format = 'json', mode = 'upsert', event_time = 'at', max_future = '1 s'", usesEventTime: true)
        let decoded = try rig.decode([
            TestRecord(key: "1", "{"), TestRecord(key: "2", "{\"a\":\"x\",\"n\":1,\"at\":1}"), TestRecord(key: "3", "{\"a\":1,\"at\":1}"),
            TestRecord(key: "4", "{\"a\":1,\"n\":1,\"at\":9999}"),
            TestRecord(key: "5", "{\"a\":1,\"n\":1}"), TestRecord(key: "6", "{\"a\":1,\"n\":1,\"at\":1,\"v\":\"abc\"}"), TestRecord(key: "7", "{\"a\":0,\"n\":1,\"at\":1}"),
            TestRecord(key: "8", "{\"id\":\"x\",\"a\":1,\"n\":1,\"at\":1}"), TestRecord(key: "9", "{\"a\":1,\"n\":1,\"at\":1}"), TestRecord(key: "10", "[]"),
            TestRecord(key: "11", ""),
        ])
        #expect(
            Self.changes(decoded) == (1...8).map { "-\($0),NULL,NULL,NULL,NULL,NULL" } + ["+9,1,1,1970-01-01 00:00:00.001+00,NULL,1"]
                + [10, 11].map { "-\($0),NULL,NULL,NULL,NULL,NULL" })
        #expect(
            decoded.rejected.map(\.reason) == [
                .undecodable, .undecodable, .null, .tooFarAhead, .nullEventTime, .undecodable, .undecodable, .undecodable, .undecodable, .undecodable,
            ])
        #expect(decoded.counts.deletes == 10)
    }

    @Test func `keys of several columns are JSON, in any order of their fields`() throws {
        let rig = try DecodingRig("a int4, b text, c int4, PRIMARY KEY (b, a)", Self.upsert)
        let decoded = try rig.decode([
            TestRecord(key: "{\"a\":1,\"b\":\"x\"}", "{\"a\":1,\"b\":\"x\",\"c\":5}"), TestRecord(key: "{\"b\":\"y\",\"a\":2,\"more\":[1]}", nil),
            TestRecord(key: "{\"a\":1}", nil),
            TestRecord(key: "{\"a\":1,\"b\":null}", nil), TestRecord(key: "{\"a\":\"x\",\"b\":\"x\"}", nil), TestRecord(key: "7", nil),
            TestRecord(key: "{\"a\":1,\"b\":\"x\"}", "{\"a\":2}"),
            TestRecord(key: "{\"a\":1", "{}"),
        ])
        #expect(Self.changes(decoded) == ["+1,x,5", "-2,y,NULL"])
        #expect(decoded.rejected.map(\.reason) == [.keyMissing, .keyMissing, .keyUndecodable, .keyUndecodable, .keyDiffers, .keyUndecodable])
        #expect(decoded.rejected.map(\.column) == [1, 1, 0, nil, 0, nil])
    }

    @Test func `a JSON key of one column may be its bare value`() throws {
        let rig = try DecodingRig("id text PRIMARY KEY", "format = 'json', mode = 'upsert', key_format = 'json'")
        let decoded = try rig.decode([
            TestRecord(key: "\"a\"", "{}"), TestRecord(key: "{\"id\":\"b\"}", "{}"), TestRecord(key: "5", "{}"), TestRecord(key: "null", "{}"), TestRecord(key: "\"a\" 1", "{}"),
        ])
        #expect(Self.changes(decoded) == ["+a", "+b", "+5"])
        #expect(decoded.rejected.map(\.reason) == [.keyMissing, .keyUndecodable])
    }

    @Test func `a text key of several columns, and a generated one, are refused at start`() throws {
        let several = #expect(throws: DecodingError.self) { try DecodingRig("a int4, b int4, PRIMARY KEY (a, b)", "format = 'json', mode = 'upsert', key_format = 'text'") }
        #expect(several.map { "\($0)" }?.contains("key_format = 'json'") ?? false)
        let generated = #expect(throws: DecodingError.self) { try DecodingRig("a int4, b int4 GENERATED ALWAYS AS (a + 1) STORED, PRIMARY KEY (b)", Self.upsert) }
        #expect(generated.map { "\($0)" }?.contains("key column b") ?? false)
    }

    @Test func `a row whose key is rejected moves the watermark all the same`() throws {
        let rig = try DecodingRig("id int4 PRIMARY KEY, at timestamptz", "format = 'json', mode = 'upsert', event_time = 'at'")
        #expect(try rig.decode([TestRecord(key: "x", "{\"at\":7}"), TestRecord(key: "1", "{\"at\":5}")]).outcome.newestEventMicros == 7000)
    }

    @Test func `under stop a deleted key does not hide what was wrong`() throws {
        let rig = try DecodingRig("id int4 PRIMARY KEY, a int4", Self.upsert, onError: .stop)
        let error = #expect(throws: DecodeStop.self) { try rig.decode([TestRecord(key: "1", nil), TestRecord(key: "2", "{\"a\":[]}")]) }
        #expect(error?.rejected.offset == 101)
        #expect(error?.column == "a")
    }

    /// What the operator behind it makes of these changes: the last row of each key, and none where it could not be accepted.
    @Test func `the table's rows are what the last accepted records say`() throws {
        let text = "CREATE TABLE t (id int4 PRIMARY KEY, a int4) WITH (connector = 'kafka', topic = 'topic', format = 'json', mode = 'upsert'); SELECT id, a FROM t"
        let job = try BoundJob(binding: try Script(parsing: SourceText(text, name: "test")))
        let plan = try Planner.plan(job)
        let rig = try DecodingRig("id int4 PRIMARY KEY, a int4", Self.upsert, chunkRows: 4)
        var random = TestRandom(seed: 11)
        var expected: [String: String] = [:]
        var shown: [[String?]: Int64] = [:]
        let run = try LocalRun(plan, parts: 2, chunkRows: 3)
        for _ in 0..<40 {
            var records: [TestRecord] = []
            for _ in 0..<random.below(20) {
                let (key, value) = ("\(random.below(6))", "\(random.below(100))")
                switch random.below(6) {
                case 0:
                    records.append(TestRecord(key: key, nil))
                    expected[key] = nil
                case 1:
                    records.append(TestRecord(key: key, "{\"a\":\"bad\"}"))
                    expected[key] = nil
                case 2: records.append(TestRecord(key: key, "{\"id\":77,\"a\":1}"))
                case 3: records.append(TestRecord(key: "bad", "{\"a\":1}"))
                default:
                    records.append(TestRecord(key: key, "{\"id\":\(key),\"a\":\(value)}"))
                    expected[key] = value
                }
            }
            let decoded = try rig.decode(records)
            for chunk in try run.run(BatchRows(rows: ["t": decoded.chunks]))[0] {
                for row in 0..<chunk.count { shown[chunk.columns.map { TypeText.text($0.datum(row), as: $0.type) }, default: 0] += chunk.weight(row) }
            }
            shown = shown.filter { $0.value != 0 }
            #expect(shown == Dictionary(uniqueKeysWithValues: expected.map { ([$0.key, $0.value], 1) }))
        }
    }
}
