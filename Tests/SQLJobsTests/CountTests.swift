import Dataflow
import Engine
import TestSupport
import Testing
import Values

/// What a batch says beside its rows: what was late, failed, or is no row, with the record that it was; and rows that leave when time passes.
@Suite struct CountTests {
    private static let table = """
        CREATE TABLE t (id int4 NOT NULL, k text, v int4, at timestamptz) WITH (connector = 'kafka', topic = 't', format = 'json', event_time = 'at');

        """
    private static let upserts = "CREATE TABLE u (id int4 PRIMARY KEY, k text, v int4) WITH (connector = 'kafka', topic = 'u', format = 'json', mode = 'upsert');\n"

    private static func rig(_ text: String, seed: UInt64) throws -> JobRig { try JobRig(text, .init(seed: seed, loses: 0.3)) }

    private static func reasons(_ rig: JobRig) -> [Int64: RejectReason] { Dictionary(uniqueKeysWithValues: rig.rejected.map { ($0.offset, $0.reason) }) }

    static let seeds = 1...5 as ClosedRange<UInt64>

    @Test(arguments: seeds) func `records that are no rows are named, each once`(seed: UInt64) throws {
        let rig = try Self.rig(Self.table + "CREATE MATERIALIZED VIEW a AS SELECT k, window_start, count(*) AS n FROM tumble(t, at, '1 min') GROUP BY k, window_start", seed: seed)
        try rig.run([
            .init(offset: 0, #"{"id": 1, "k": "a", "at": "2026-01-01T00:00:01Z"}"#), .init(offset: 1, "no json"), .init(offset: 2, #"{"id": 1, "k": "a", "at": "then"}"#),
            .init(offset: 3, #"{"k": "a", "at": "2026-01-01T00:00:02Z"}"#), .init(offset: 4, #"{"id": 2, "k": "a"}"#), .init(offset: 5, nil), .init(offset: 6, ""),
            .init(offset: 9, #"{"id": 3, "k": "a", "at": "2026-01-01T00:00:59.999999Z"}"#), .init(partition: 1, offset: 1, "[]"),
        ])
        #expect(rig.lines == ["a|2026-01-01 00:00:00+00|2"] && rig.late == 0 && rig.failed == 0)
        let first = rig.rejected.filter { $0.partition == 0 }
        #expect(Dictionary(uniqueKeysWithValues: first.map { ($0.offset, $0.reason) }) == [1: .invalidValue, 2: .wrongType, 3: .nullField, 4: .nullField, 6: .invalidValue])
        #expect(rig.rejected.filter { $0.partition == 1 }.map(\.reason) == [.invalidValue])
        #expect(rig.newestMillis == 1_767_225_659_999)
    }

    @Test(arguments: seeds) func `keys that are missing, unreadable or others change nothing`(seed: UInt64) throws {
        let rig = try Self.rig(Self.upserts + "CREATE MATERIALIZED VIEW a AS SELECT id, k, v FROM u", seed: seed)
        try rig.run([
            .init(offset: 0, key: "1", #"{"id": 1, "k": "a", "v": 1}"#), .init(offset: 1, #"{"id": 2, "k": "a", "v": 1}"#), .init(offset: 2, key: "x", #"{"id": 3, "k": "a"}"#),
            .init(offset: 3, key: "4", #"{"id": 5, "k": "a"}"#), .init(offset: 4, key: "6", #"{"k": "f", "v": 6}"#), .init(partition: 1, offset: 0, key: "7", #"{"v": 7}"#),
        ])
        #expect(rig.lines == ["1|a|1", "6|f|6", "7|\\N|7"])
        #expect(Self.reasons(rig) == [1: .nullKey, 2: .undecodableKey, 3: .otherKey])
        // A newest version that cannot be accepted takes the old one back; a tombstone of nothing does nothing.
        try rig.run([
            .init(offset: 5, key: "1", #"{"id": 1, "v": "many"}"#), .init(offset: 6, key: "6", nil), .init(offset: 7, key: "9", nil), .init(offset: 8, key: "4", #"{"id": 4}"#),
        ])
        #expect(rig.lines == ["4|\\N|\\N", "7|\\N|7"] && Self.reasons(rig) == [5: .wrongType])
        try rig.run([.init(offset: 9, key: "1", #"{"v": 2}"#), .init(offset: 10, key: "4", nil), .init(offset: 11, key: "4", #"{"v": 4}"#)])
        #expect(rig.lines == ["1|\\N|2", "4|\\N|4", "7|\\N|7"])
        #expect(try rig.parts.entries() == 3)
        try rig.run([.init(offset: 12, key: "1", nil), .init(offset: 13, key: "4", nil), .init(partition: 1, offset: 1, key: "7", nil)])
        #expect(try rig.lines.isEmpty && rig.parts.entries() == 0)
    }

    @Test(arguments: seeds) func `rows that fail are counted, and are gone, or have a NULL, or stop the job`(seed: UInt64) throws {
        let select = "CREATE MATERIALIZED VIEW a AS SELECT k, sum(12 / v) AS s, count(*) AS n FROM t GROUP BY k"
        let records: [MadeRecord] = [
            .init(offset: 0, #"{"id": 1, "k": "a", "v": 2}"#), .init(offset: 1, #"{"id": 2, "k": "a", "v": 0}"#), .init(offset: 2, #"{"id": 3, "k": "b", "v": 0}"#),
            .init(offset: 3, #"{"id": 4, "k": "b", "v": 3}"#), .init(offset: 4, #"{"id": 5, "k": "b", "v": "x"}"#),
        ]
        let rig = try Self.rig(Self.table + select, seed: seed)
        try rig.run(records)
        #expect(rig.lines == ["a|6|1", "b|4|1"] && rig.failed == 2 && Self.reasons(rig) == [1: .expression, 2: .expression, 4: .wrongType])
        try rig.run([])
        #expect(rig.failed == 0)
        let null = try Self.rig("SET on_error = 'null';" + Self.table + select, seed: seed)
        try null.run(records)
        #expect(null.lines == ["a|6|2", "b|4|3"] && null.failed == 3 && null.rejected.isEmpty)
        let stop = try JobRig("SET on_error = 'stop';" + Self.table + select, .init(seed: seed, loses: 0))
        let failure = #expect(throws: Failure.self) { try stop.run(Array(records.prefix(4))) }
        #expect(failure?.code == .rowRefused && failure?.why == "job:2:48: division by zero (22012), and on_error is 'stop'", "\(failure?.description ?? "")")
        // The range's work goes on after that as if nothing had been.
        let decoding = #expect(throws: Failure.self) { try stop.run([records[0], records[4]]) }
        #expect(decoding?.code == .rowRefused && decoding?.what == "the record at t 0 4 is no row", "\(decoding?.description ?? "")")
    }

    @Test(arguments: seeds) func `behind the groups what fails is NULL, or stops the job`(seed: UInt64) throws {
        let select = "CREATE MATERIALIZED VIEW a AS SELECT k, 12 / sum(v) AS s FROM t GROUP BY k"
        let records: [MadeRecord] = [.init(offset: 0, #"{"id": 1, "k": "a", "v": 2}"#), .init(offset: 1, #"{"id": 2, "k": "b", "v": 0}"#)]
        let rig = try Self.rig(Self.table + select, seed: seed)
        try rig.run(records)
        #expect(rig.lines == ["a|6", "b|\\N"] && rig.failed == 1)
        try rig.run([.init(offset: 2, #"{"id": 3, "k": "b", "v": 4}"#), .init(offset: 3, #"{"id": 3, "k": "a", "v": -2}"#)])
        #expect(rig.lines == ["a|\\N", "b|3"] && rig.failed == 1)
        let stop = try Self.rig("SET on_error = 'stop';" + Self.table + select, seed: seed)
        #expect(throws: Failure.self) { try stop.run(records) }
    }

    /// Work of a range over some records; its rows.
    private static func attempt(_ work: any RangeWork, _ values: [Int], chunk: Int, lookups: [String: any LookupContent] = [:]) throws -> [String] {
        try work.begin(
            WorkTask(
                context: TaskContext(batchTimeMillis: 0, watermarkBeforeMillis: nil, maxFutureMillis: 0, seed: 0, topic: "t", partition: 0), keyGroups: 128, parts: 1,
                lookups: lookups))
        for start in stride(from: 0, to: values.count, by: chunk) {
            // One of a thousand is none.
            let texts = values[start..<min(start + chunk, values.count)].map { Array("{\"id\": \($0), \"v\": \($0 == 1000 ? "[]" : "\($0)")}".utf8) }
            let all = texts.flatMap(\.self)
            try all.withUnsafeBufferPointer { bytes in
                var place = 0
                let raw = texts.enumerated().map { index, text in
                    defer { place += text.count }
                    return RawRecord(payload: bytes.baseAddress! + place, length: text.count, offset: Int64(start + index))
                }
                try raw.withUnsafeBufferPointer { try work.take($0) { _, _, _ in } }
            }
        }
        let made = try work.finish(compressing: false)
        #expect(made.rowsIn == values.count && made.failed == 0 && made.late == 0)
        return made.output.flatMap { chunk in (0..<chunk.rowCount).map { "\(try! SinkContent.text(chunk.columns[0].value($0), .int4) ?? "")" } }
    }

    @Test func `a looked up pair that stopped is nothing to the next range`() throws {
        let graph = try JobRig.graph(
            """
            SET on_error = 'stop';
            \(Self.table) CREATE TABLE c (n int4 PRIMARY KEY) WITH (connector = 'sqlite', url = 'sqlite:nowhere.db', table = 'c');
            CREATE MATERIALIZED VIEW a AS SELECT id FROM t JOIN c ON t.v % 2 = c.n AND 12 / (t.v + c.n - 6) <> 99
            """)
        var bytes: [UInt8] = []
        ChunkBytes.append(Dataflow.Chunk(columns: [Vector.flat([.word(1)], .int4, pool: BufferPool())], count: 1), to: &bytes)
        let lookups = ["c": try graph.work.makeLookup(graph.lookups[0], from: bytes)]
        let work = try graph.work.makeRangeWork(schemaText: nil, chunkRecords: 3)
        #expect(try Self.attempt(work, [1, 2, 3], chunk: 3, lookups: lookups) == ["1", "3"])
        #expect(throws: Failure.self) { try Self.attempt(work, [7, 5, 9], chunk: 3, lookups: lookups) }
        #expect(try Self.attempt(work, [9, 10, 11], chunk: 3, lookups: lookups) == ["9", "11"])
    }

    @Test(arguments: ["id, 12 / v AS w FROM t", "id FROM t WHERE 12 / v > 0", "id FROM (SELECT id, v FROM t WHERE id >= 0) AS q WHERE 12 / v > 0 AND v < 100"])
    func `a range that stopped is nothing to the next one`(select: String) throws {
        let graph = try JobRig.graph("SET on_error = 'stop';" + Self.table + "CREATE MATERIALIZED VIEW a AS SELECT \(select)")
        for chunk in [1, 2, 3, 10] {
            let work = try graph.work.makeRangeWork(schemaText: nil, chunkRecords: chunk)
            #expect(try Self.attempt(work, [1, 2, 3], chunk: chunk) == ["1", "2", "3"])
            #expect(throws: Failure.self) { try Self.attempt(work, [4, 5, 6, 0, 7], chunk: chunk) }
            #expect(try Self.attempt(work, [8, 9], chunk: chunk) == ["8", "9"])
            #expect(throws: Failure.self) { try Self.attempt(work, [0], chunk: chunk) }
            #expect(throws: Failure.self) { try Self.attempt(work, [1, 2, 3, 1000, 4], chunk: chunk) }
            #expect(try Self.attempt(work, [10, 11, 12], chunk: chunk) == ["10", "11", "12"])
        }
    }

    @Test(arguments: seeds) func `final rows leave in a batch without records, once, and leave no state`(seed: UInt64) throws {
        let rig = try Self.rig(
            Self.table + "CREATE MATERIALIZED VIEW a WITH (emit = 'final') AS SELECT k, window_end, sum(v) AS s FROM tumble(t, at, '1 min') GROUP BY k, window_end", seed: seed)
        #expect(rig.graph.work.givesWhenClosed && rig.graph.sink.mode == .append && rig.graph.closingMillis == 60_000)
        let minute: Int64 = 1_767_225_660_000
        try rig.run([
            .init(offset: 0, #"{"id": 1, "k": "a", "v": 2, "at": "2026-01-01T00:00:01Z"}"#),
            .init(partition: 1, offset: 0, #"{"id": 2, "k": "b", "v": 3, "at": "2026-01-01T00:01:01Z"}"#),
        ])
        try rig.run([], watermarkMillis: minute - 1)
        #expect(rig.lines.isEmpty)
        try rig.run([], watermarkMillis: minute)
        #expect(rig.lines == ["a|2026-01-01 00:01:00+00|2"])
        try rig.run([.init(offset: 1, #"{"id": 1, "k": "a", "v": 2, "at": "2026-01-01T00:00:59Z"}"#)], watermarkMillis: minute)
        #expect(rig.lines.count == 1 && rig.late == 1)
        try rig.run([], watermarkMillis: .max)
        #expect(rig.lines == ["a|2026-01-01 00:01:00+00|2", "b|2026-01-01 00:02:00+00|3"])
        try rig.run([], watermarkMillis: .max)
        #expect(try rig.lines.count == 2 && rig.parts.entries() == 0)
    }

    @Test(arguments: seeds) func `a global aggregate has its row before the first record`(seed: UInt64) throws {
        let rig = try Self.rig(Self.table + "CREATE MATERIALIZED VIEW a AS SELECT count(*) AS n, max(v) AS m FROM t", seed: seed)
        #expect(rig.graph.work.givesAtStart && rig.graph.sink.isSingleRow)
        try rig.run([])
        #expect(rig.lines == ["0|\\N"])
        try rig.run([])
        try rig.run([.init(offset: 0, #"{"id": 1, "v": 2}"#), .init(partition: 1, offset: 0, #"{"id": 1, "v": 7}"#)])
        #expect(rig.lines == ["2|7"])
        let having = try Self.rig(Self.table + "CREATE MATERIALIZED VIEW a AS SELECT count(*) AS n FROM t HAVING sum(v) > 1", seed: seed)
        try having.run([])
        #expect(having.lines.isEmpty)
        try having.run([.init(offset: 0, #"{"id": 1, "v": 2}"#)])
        #expect(having.lines == ["1"])
        try having.run([.init(offset: 1, #"{"id": 1, "v": -2}"#)])
        #expect(having.lines.isEmpty)
    }
}
