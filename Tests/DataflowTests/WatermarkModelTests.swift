import Dataflow
import Engine
import TestSupport
import Testing
import Values

/// Where PostgreSQL cannot tell: windows and sessions under a watermark, against a program that goes through all rows for every answer.
@Suite struct WatermarkModelTests {
    private static let tables = "CREATE TABLE t (k int4, at timestamptz, v int4) WITH (connector = 'kafka', topic = 't', format = 'json', event_time = 'at');"
    private static let second: Int64 = 1_000_000

    private struct Row {
        let key: Int
        let time: Int64
        let value: Int
    }

    /// A window, or a session.
    private struct Span: Hashable {
        let key: Int
        let start: Int64
        let end: Int64
    }

    private struct Total {
        var count = 0
        var sum = 0
        mutating func add(_ row: Row) {
            count += 1
            sum += row.value
        }
    }

    private static func time(_ micros: Int64) -> String { TypeText.text(.word(micros), as: .timestamptz)! }

    private static func lines(_ totals: [Span: Total]) -> [String] {
        totals.map { "\($0.key.key)|\(time($0.key.start))|\(time($0.key.end))|\($0.value.count)|\($0.value.sum)" }.sorted()
    }

    private static func rows(_ random: inout SeededRandom, around now: Int64) -> [Row] {
        (0..<random.below(12)).map { _ in Row(key: random.below(3), time: now + Int64(random.below(60) - 40) * second, value: random.below(10)) }
    }

    private static func rig(_ from: String) throws -> DataflowRig {
        let select = "SELECT k, window_start, window_end, count(*) AS c, sum(v) AS s FROM \(from) GROUP BY k, window_start, window_end"
        let queries = [RigQuery(name: "q", options: "", select: select, oracle: nil), RigQuery(name: "f", options: "emit = 'final'", select: select, oracle: nil)]
        return try DataflowRig(tables: tables, queries: queries, database: nil)
    }

    private static func records(_ rows: [Row]) -> [RigRow] {
        rows.map { RigRow(table: "t", weight: 1, values: [String($0.key), time($0.time), String($0.value)]) }
    }

    private static let shapes: [(from: String, windows: @Sendable (Int64) -> [(Int64, Int64)])] = [
        (
            "tumble(t, at, '10 s')",
            { time in
                let start = time / (10 * second) * (10 * second)
                return [(start, start + 10 * second)]
            }
        ),
        (
            "hop(t, at, '4 s', '10 s')",
            { time in
                stride(from: time / second - 20, through: time / second, by: 1).filter { $0 % 4 == 0 && $0 * second <= time && $0 * second + 10 * second > time }.map {
                    ($0 * second, $0 * second + 10 * second)
                }
            }
        ),
        (
            "cumulate(t, at, '5 s', '15 s')",
            { time in
                let start = time / (15 * second) * (15 * second)
                return (1...3).map { (start, start + Int64($0) * 5 * second) }.filter { $0.1 > time }
            }
        ),
    ]

    @Test(arguments: 0..<3, 1...15 as ClosedRange<UInt64>)
    func `windows under a watermark are what a walk over all rows gives`(shape: Int, seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let (from, windows) = Self.shapes[shape]
        let rig = try Self.rig(from)
        var (open, closed): ([Span: Total], [Span: Total]) = ([:], [:])
        var (watermark, greatest): (Int64?, Int64) = (nil, 0)
        for batch in 0..<8 {
            let rows = Self.rows(&random, around: 1_700_000_000 * Self.second + Int64(batch) * 15 * Self.second)
            var late = 0
            for row in rows {
                for (start, end) in windows(row.time) {
                    if let watermark, end <= watermark { late += 1 } else { open[Span(key: row.key, start: start, end: end), default: Total()].add(row) }
                }
            }
            try rig.run(Self.records(rows), watermarks: watermark.map { ["t": $0] } ?? [:])
            for (span, total) in open where watermark.map({ span.end <= $0 }) ?? false {
                closed[span] = total
                open[span] = nil
            }
            #expect(rig.answer("q") == Self.lines(open.merging(closed) { a, _ in a }))
            #expect(rig.answer("f") == Self.lines(closed))
            #expect(rig.counts.late == 2 * late)
            greatest = max(greatest, rows.map(\.time).max() ?? 0)
            if greatest > 0 { watermark = greatest - Int64(5 + random.below(10)) * Self.second > watermark ?? 0 ? greatest - 10 * Self.second : watermark }
        }
        try rig.run([], watermarks: ["t": .max])
        #expect(rig.answer("f") == Self.lines(open.merging(closed) { a, _ in a }))
        #expect(try rig.storedEntries == 0)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `sessions under a watermark are what a walk over all rows gives`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let gap = 7 * Self.second
        let rig = try Self.rig("session(t, at, '7 s', k)")
        var (rows, closed): ([Row], [Span: Total]) = ([], [:])
        func sessions() -> [Span: (total: Total, rows: [Row])] {
            var found: [Span: (Total, [Row])] = [:]
            for key in 0..<3 {
                var run: [Row] = []
                func end() {
                    guard let first = run.first, let last = run.last else { return }
                    var total = Total()
                    for row in run { total.add(row) }
                    found[Span(key: key, start: first.time, end: last.time + gap)] = (total, run)
                    run = []
                }
                for row in rows.filter({ $0.key == key }).sorted(by: { $0.time < $1.time }) {
                    if let last = run.last, row.time - last.time >= gap { end() }
                    run.append(row)
                }
                end()
            }
            return found
        }
        var watermark: Int64?
        for batch in 0..<8 {
            let now = 1_700_000_000 * Self.second + Int64(batch) * 15 * Self.second
            let fresh = Self.rows(&random, around: now)
            let late = fresh.filter { row in watermark.map { row.time < $0 } ?? false }
            rows += fresh.filter { row in watermark.map { row.time >= $0 } ?? true }
            try rig.run(Self.records(fresh), watermarks: watermark.map { ["t": $0] } ?? [:])
            let all = sessions()
            var shown = closed
            for (span, session) in all {
                shown[span] = session.total
                if let watermark, span.end <= watermark {
                    closed[span] = session.total
                    rows.removeAll { row in session.rows.contains { $0.key == row.key && $0.time == row.time && $0.value == row.value } }
                }
            }
            #expect(rig.answer("q") == Self.lines(shown))
            #expect(rig.answer("f") == Self.lines(closed))
            #expect(rig.counts.late == late.count)
            watermark = now - Int64(random.below(30)) * Self.second > watermark ?? 0 ? now - 20 * Self.second : watermark
        }
        try rig.run([], watermarks: ["t": .max])
        #expect(try rig.storedEntries == 0)
    }
}
