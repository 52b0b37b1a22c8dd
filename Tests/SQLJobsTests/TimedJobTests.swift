import Dataflow
import Engine
import Foundation
import TestSupport
import Testing

/// Queries that go by event time, over random rows of which some are late, with a watermark that stands and moves: one part's answer after
/// each batch, and no state when everything is over.
@Suite struct TimedJobTests {
    struct Query: Sendable {
        let select: String
        var isFinal = false
        /// Nothing is left when the watermark has passed everything.
        var ends = true
    }

    static let queries = [
        Query(select: "SELECT k, window_start, count(DISTINCT n) AS c, max(v) AS m FROM tumble(t, at, '10 s') GROUP BY k, window_start, window_end"),
        Query(select: "SELECT k, window_start, window_end, sum(v) AS s FROM hop(t, at, '5 s', '10 s') GROUP BY k, window_start, window_end", isFinal: true),
        Query(select: "SELECT window_start, window_end, avg(v) AS s FROM cumulate(t, at, '5 s', '20 s') GROUP BY window_start, window_end", isFinal: true),
        Query(select: "SELECT date_trunc('minute', at) AS m, k, min(v) AS lo FROM t GROUP BY 1, 2", isFinal: true),
        Query(select: "SELECT k, window_start, window_end, count(*) AS c, sum(v) AS s FROM session(t, at, '4 s', k) GROUP BY k, window_start, window_end"),
        Query(select: "SELECT k, window_start, window_end, sum(n) AS s FROM session(t, at, '4 s', k) GROUP BY k, window_start, window_end", isFinal: true),
        Query(select: "SELECT window_start, window_end, count(*) AS c FROM session(t, at, '1 s') GROUP BY window_start, window_end", isFinal: true),
        Query(select: "SELECT k, at, v, n FROM t WHERE n > 0", isFinal: true),
        Query(select: "SELECT DISTINCT k, at FROM t", isFinal: true),
        Query(
            select: """
                SELECT x.k AS k, x.window_start AS s, x.v AS v, y.n AS n FROM (SELECT * FROM tumble(t, at, '10 s') WHERE n < 2) AS x
                LEFT JOIN (SELECT * FROM tumble(t, at, '10 s') WHERE n >= 2) AS y ON x.k = y.k AND x.window_start = y.window_start
                """),
        Query(
            select: """
                SELECT window_start, max(c) AS m, count(*) AS n
                FROM (SELECT k, window_start, count(*) AS c FROM tumble(t, at, '10 s') GROUP BY k, window_start) AS q GROUP BY 1
                """, isFinal: true),
        Query(
            select: """
                SELECT k, window_end, v FROM (
                    SELECT k, window_end, v, row_number() OVER (PARTITION BY k, window_end ORDER BY v DESC, n) AS r FROM tumble(t, at, '10 s')) AS q
                WHERE r <= 2
                """, ends: false),
        Query(select: "SELECT k, count(*) AS c, max(at) AS m FROM t GROUP BY k", ends: false),
    ]
    static let seeds = 1...(ProcessInfo.processInfo.environment["SLUICE_SEEDS"].flatMap { UInt64($0) } ?? 6)
    private static let start: Int64 = 1_767_225_600_000

    @Test(arguments: queries.indices, seeds) func `a query by event time has one part's answer`(index: Int, seed: UInt64) throws {
        let query = Self.queries[index]
        let rig = try JobRig(
            """
            CREATE TABLE t (k text, at timestamptz, v numeric, n int4) WITH (connector = 'kafka', topic = 't', format = 'json', event_time = 'at');
            CREATE MATERIALIZED VIEW a\(query.isFinal ? " WITH (emit = 'final')" : "") AS \(query.select)
            """, .init(seed: seed))
        var writer = RecordWriter(rig.source.table, partitions: 3, seed: seed)
        var random = SeededRandom(seed: seed &* 7919)
        var late = 0
        for number in 0...14 as ClosedRange<Int64> {
            let records = try (0..<(number == 14 ? 0 : random.below(14))).map { _ in
                let millis = Self.start + (number * 2 + Int64(random.below(16)) - 8) * 1000
                let time = random.chance(0.05) ? nil : formatTime(millis)
                let key = random.pick(["x", "y", "a longer key", nil])
                return try writer.record(RigRow(table: "t", weight: 1, values: [key, time, "\(random.below(40) - 20).\(random.below(3))", "\(random.below(4))"]))
            }
            let watermark = number == 14 ? .max : Self.start + number / 3 * 6000 - 1000
            try rig.run(records, watermarkMillis: number == 0 ? nil : watermark)
            late += rig.late
        }
        #expect(rig.lines.count > 2)
        #expect(try rig.parts.entries() == 0 || !query.ends)
        if index == 0 { #expect(late > 0) }
        if query.isFinal { #expect(rig.graph.closingMillis != nil && rig.graph.work.givesWhenClosed) }
    }
}
