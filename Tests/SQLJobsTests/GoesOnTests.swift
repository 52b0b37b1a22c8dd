import Engine
import SQLBinding
import SQLJobs
import SQLSyntax
import TestSupport
import Testing

/// What a job keeps when its text is another one, and what its settings decide of single records.
@Suite struct GoesOnTests {
    private static let table = "CREATE TABLE t (id int4, k text, v int4, at timestamptz) WITH (connector = 'kafka', topic = 't', format = 'json', event_time = 'at'OPTIONS);\n"

    private static func graph(_ select: String, options: String = "", _ settings: [String: String] = [:]) throws -> StageGraph {
        try JobRig.graph(table.replacing("OPTIONS", with: options) + "CREATE MATERIALIZED VIEW a AS " + select, settings)
    }

    @Test func `state goes on under what keeps the same, and is not lost in silence`() throws {
        let counted = try Self.graph("SELECT k, count(*) AS n FROM t WHERE v > 1 GROUP BY k")
        for same in ["SELECT k, count(*) AS n FROM t WHERE v > 1 GROUP BY k", "SELECT k AS key, count(*) * 2 AS twice FROM t WHERE v > 1 GROUP BY k"] {
            try counted.work.checkState(goesOnAs: Self.graph(same).work, job: "job")
        }
        for other in [
            "SELECT k, count(*) AS n FROM t WHERE v > 2 GROUP BY k", "SELECT k, sum(v) AS n FROM t WHERE v > 1 GROUP BY k",
            "SELECT id, count(*) AS n FROM t WHERE v > 1 GROUP BY id", "SELECT k FROM t",
        ] {
            let failure = #expect(throws: Failure.self) { try counted.work.checkState(goesOnAs: Self.graph(other).work, job: "job") }
            #expect(failure?.what == "job job cannot be replaced: 1 of the 1 states that it keeps would be lost", "\(other)")
        }
        // Groups of the groups would know nothing of those that are there.
        let more = try Self.graph("SELECT n, count(*) AS c FROM (SELECT k, count(*) AS n FROM t WHERE v > 1 GROUP BY k) AS q GROUP BY n")
        let empty = #expect(throws: Failure.self) { try counted.work.checkState(goesOnAs: more.work, job: "job") }
        #expect(empty?.what == "job job cannot be replaced: 1 of the 2 states that it needs would begin empty")
        #expect(throws: Failure.self) { try Self.graph("SELECT k FROM t").work.checkState(goesOnAs: counted.work, job: "job") }
        try Self.graph("SELECT k FROM t").work.checkState(goesOnAs: Self.graph("SELECT id FROM t WHERE v > 1").work, job: "job")
    }

    private static func rejected(_ graph: StageGraph, _ values: [String]) throws -> [RejectReason] {
        let work = try graph.work.makeRangeWork(schemaText: nil, chunkRecords: 10)
        let context = TaskContext(batchTimeMillis: 1_767_225_600_000, watermarkBeforeMillis: nil, maxFutureMillis: 0, seed: 0, topic: "t", partition: 0)
        try work.begin(WorkTask(context: context, keyGroups: 128, parts: 1, lookups: [:]))
        var reasons: [RejectReason] = []
        for value in values {
            try Array(value.utf8).withUnsafeBufferPointer { bytes in
                let record = RawRecord(payload: bytes.baseAddress, length: bytes.count, offset: 0)
                try [record].withUnsafeBufferPointer { try work.take($0) { _, reason, _ in reasons.append(reason) } }
            }
        }
        #expect(try work.finish(compressing: false).rowsIn == values.count - reasons.count)
        return reasons
    }

    @Test func `a record too far ahead is refused, by the job's word or the table's`() throws {
        let values = [#"{"id": 1, "at": "2026-01-01T00:59:00Z"}"#, #"{"id": 2, "at": "2026-01-01T01:30:00Z"}"#, #"{"id": 3, "at": "2026-01-01T03:00:00Z"}"#]
        let select = "SELECT id, window_start FROM tumble(t, at, '1 min')"
        #expect(try Self.rejected(Self.graph(select), values) == [])
        #expect(try Self.rejected(Self.graph(select, ["max_future": "1h"]), values) == [.futureTime, .futureTime])
        #expect(try Self.rejected(Self.graph(select, options: ", max_future = '2 h'", ["max_future": "1h"]), values) == [.futureTime])
    }

    @Test func `a table's word on errors goes before the job's`() throws {
        let values = [#"{"id": 1, "v": "x"}"#, #"{"id": 2, "v": 2}"#]
        #expect(try Self.rejected(Self.graph("SELECT id, v FROM t"), values) == [.wrongType])
        #expect(try Self.rejected(Self.graph("SELECT id, v FROM t", options: ", on_error = 'null'"), values) == [])
        #expect(throws: Failure.self) { try Self.rejected(Self.graph("SELECT id, v FROM t", options: ", on_error = 'stop'"), values) }
        // A column that no query reads has no error.
        #expect(try Self.rejected(Self.graph("SELECT id FROM t"), values) == [])
    }

    @Test func `lateness is the table's, else the job's`() throws {
        #expect(try Self.graph("SELECT id FROM t", ["lateness": "3s"]).source.latenessMillis == 3000)
        #expect(try Self.graph("SELECT id FROM t", options: ", lateness = '10 s'", ["lateness": "3s"]).source.latenessMillis == 10_000)
        #expect(throws: Failure.self) { try Self.graph("SELECT id FROM t", ["lateness": "soon"]) }
    }
}
