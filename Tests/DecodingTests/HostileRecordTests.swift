// Records that are cut, mixed up or made of nothing: none may trap, read outside its bytes, or disturb its neighbours.

import Dataflow
import Decoding
import Testing
import Values

struct HostileRecordTests {
    static let columns =
        "a int4, b text, c jsonb, d numeric(10,2), e timestamptz, f int8[], g bool, h float8, i uuid, j bytea, k interval, l date, m text[] NOT NULL DEFAULT '{}'"
    static let whole =
        "{\"a\": 12345678, \"b\":\"tä\\u00e4\\ud83d\\ude00xt\", \"c\":{\"x\":[1,2.50,{\"y\":null}],\"z\":\"\\n\"}, \"d\":1.50, \"e\":\"2026-03-01T12:34:56.789+02:00\", "
        + "\"f\":[1,null,-9223372036854775808], \"g\":true, \"h\":1.5e-3, \"i\":\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\", \"j\":\"\\\\x00ff\", \"k\":\"1 day\", \"l\":\"2026-03-01\", \"m\":[\"q\",\"\"],"
        + " \"unread\": {\"deep\":[[[{}]]]}, \"more\":\"0123456789abcdef0123456789abcdef\"}"

    @Test func `a record cut at every byte is rejected, and its neighbours are whole`() throws {
        let rig = try DecodingRig(Self.columns)
        let bytes = Array(Self.whole.utf8)
        let row = try rig.decode([TestRecord(bytes)]).rows
        #expect(row.count == 1)
        for length in 0..<bytes.count {
            let decoded = try rig.decode([TestRecord(bytes), TestRecord(Array(bytes[..<length])), TestRecord(bytes)])
            #expect(decoded.rows == row + row, "cut at \(length)")
            #expect(decoded.rejected.map(\.record) == [1])
        }
    }

    @Test func `one byte changed anywhere gives a row or a reason`() throws {
        let rig = try DecodingRig(Self.columns)
        let bytes = Array(Self.whole.utf8)
        for place in bytes.indices {
            for change: UInt8 in [0, 0x22, 0x5C, 0x7B, 0x7D, 0x2C, 0x39, 0xFF, 0x2D, 0x65] {
                var changed = bytes
                changed[place] = change
                let decoded = try rig.decode([TestRecord(changed), TestRecord(bytes)])
                #expect(decoded.rows.count + decoded.rejected.count == 2)
                #expect(decoded.records.last == 1)
            }
        }
    }

    @Test func `random bytes and random pieces of JSON`() throws {
        let rig = try DecodingRig(Self.columns, "format = 'json', event_time = 'e'", onError: .null)
        var random = TestRandom(seed: 42)
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "d83d", "\"a\":", "\"c\":", "\"f\":", "\"e\":", "\"m\":", "1", "-", "e", ".", "9999999999", "true", "null", " ", "ä",
            "\"b\":\"x\",",
        ].map { Array($0.utf8) }
        for _ in 0..<100 {
            let records = (0..<1000).map { _ in
                if random.below(4) == 0 { return TestRecord((0..<random.below(40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }) }
                return TestRecord(Array("{".utf8) + (0..<random.below(14)).flatMap { _ in random.pick(pieces) } + Array(random.pick(["", "}"]).utf8))
            }
            let decoded = try rig.decode(records)
            #expect(decoded.rows.count + decoded.rejected.count == records.count)
        }
    }

    @Test func `the same records give the same rows, wherever runs and chunks are cut`() throws {
        var random = TestRandom(seed: 5)
        let records = (0..<300).map { _ -> TestRecord in
            let fields = [
                "\"a\":\(random.pick(["1", "\"x\"", "null"]))", "\"b\":\"\(random.below(1000))\"", "\"c\":\(random.json(depth: 2))", "\"m\":[\"\(random.below(9))\"]", "\"u\":1",
                "\"e\":\(random.below(1000))",
            ]
            return TestRecord("{" + fields.shuffled(using: &random).prefix(random.below(7)).joined(separator: random.pick([",", ", "])) + random.pick(["}", "}", "}", ""]))
        }
        let whole = try DecodingRig(Self.columns, "format = 'json', event_time = 'e'").decode(records)
        for chunkRows in [1, 2, 7, 64, 1000] {
            let decoded = try DecodingRig(Self.columns, "format = 'json', event_time = 'e'", chunkRows: chunkRows).decode(records)
            #expect(decoded.rows == whole.rows)
            #expect(decoded.records == whole.records)
            #expect(decoded.rejected == whole.rejected)
            #expect(decoded.outcome.newestEventMicros == whole.outcome.newestEventMicros)
            #expect(decoded.counts == whole.counts)
        }
        let rig = try DecodingRig(Self.columns, "format = 'json', event_time = 'e'")
        var (rows, start) = ([[String?]](), 0)
        while start < records.count {
            let end = min(start + 1 + random.below(40), records.count)
            rows += try rig.decode(Array(records[start..<end])).rows
            start = end
        }
        #expect(rows == whole.rows)
    }

    @Test func `a record of more than 16 MiB is rejected, one of a megabyte is a row`() throws {
        let rig = try DecodingRig("b text")
        let decoded = try rig.decode([
            TestRecord("{\"b\":\"" + String(repeating: "x", count: 1 << 20) + "\"}"), TestRecord("{\"b\":\"" + String(repeating: "x", count: 16 << 20) + "\"}"), "{\"b\":\"y\"}",
        ])
        #expect(decoded.rows.map { $0[0]?.utf8.count } == [1 << 20, 1])
        #expect(decoded.rejected.map(\.fault.sqlState) == ["54000"])
    }

    @Test func `many large records are cut into chunks by their bytes`() throws {
        let rig = try DecodingRig("b text")
        let record = TestRecord("{\"b\":\"" + String(repeating: "x", count: 6 << 20) + "\"}")
        #expect(try rig.decode([record, record, record]).chunks.map(\.count) == [2, 1])
    }
}
