import Dataflow
import SQLBinding
import SQLSyntax
import TestSupport
import Testing
import Values

/// Every kind of operator that keeps something: what it keeps goes through files of state before each batch, to another number of parts
/// each time, and the answer is that of a run that never stopped. What is over leaves no entry.
@Suite struct RestoredRunTests {
    struct Query: Sendable {
        /// As the plan's text says it.
        let kind: String
        let options: String
        let select: String
        /// Whether nothing is left when all rows are deleted and the watermark has passed everything.
        var ends = true
    }

    private static let tables = """
        CREATE TABLE a (k text, at timestamptz, v numeric, n int4) WITH (connector = 'kafka', topic = 'a', format = 'json', event_time = 'at');
        CREATE TABLE b (k text, at timestamptz, v numeric, n int4) WITH (connector = 'kafka', topic = 'b', format = 'json', event_time = 'at');
        CREATE TABLE u (id int4 PRIMARY KEY, k text, v numeric, f float8) WITH (connector = 'kafka', topic = 'u', format = 'json', mode = 'upsert');
        CREATE TABLE w (id int4 PRIMARY KEY, k text, v numeric, f float8) WITH (connector = 'kafka', topic = 'w', format = 'json', mode = 'upsert');
        """

    static let queries = [
        Query(kind: "aggregate", options: "", select: "SELECT k, count(*) AS c, sum(v) AS s, avg(n) AS m, min(v) AS lo FROM a GROUP BY k", ends: false),
        Query(kind: "aggregate", options: "", select: "SELECT count(*) AS c, max(k) AS m, sum(v) AS s FROM u", ends: false),
        Query(
            kind: "aggregate", options: "", select: "SELECT k, window_start, count(DISTINCT n) AS c, max(v) AS m FROM tumble(a, at, '10 s') GROUP BY k, window_start, window_end"),
        Query(
            kind: "final", options: "emit = 'final'",
            select: "SELECT k, window_start, window_end, sum(v) AS s FROM hop(a, at, '5 s', '10 s') GROUP BY k, window_start, window_end"),
        Query(kind: "aggregate", options: "", select: "SELECT k, min(v) AS lo, max(f) AS hi, sum(f) AS s, count(DISTINCT v) AS d FROM u GROUP BY k"),
        Query(kind: "aggregate", options: "", select: "SELECT DISTINCT k, v FROM u"), Query(kind: "aggregate", options: "", select: "SELECT DISTINCT k, n FROM a", ends: false),
        Query(kind: "latest", options: "", select: "SELECT id, k, v, f FROM u"),
        Query(kind: "inner join", options: "", select: "SELECT a.k AS k, a.v AS x, b.v AS y FROM a JOIN b ON a.k = b.k AND a.n = b.n", ends: false),
        Query(kind: "join", options: "", select: "SELECT u.id AS i, w.id AS j, u.v AS x, w.v AS y FROM u FULL JOIN w ON u.k = w.k AND u.v < w.v"),
        Query(kind: "join", options: "", select: "SELECT id, v FROM u WHERE NOT EXISTS (SELECT 1 FROM w WHERE w.k = u.k)"),
        Query(
            kind: "join", options: "",
            select: """
                SELECT x.k AS k, x.window_start AS s, x.v AS v, y.n AS n FROM tumble(a, at, '10 s') AS x LEFT JOIN tumble(b, at, '10 s') AS y
                ON x.k = y.k AND x.window_start = y.window_start
                """),
        Query(kind: "rank", options: "", select: "SELECT id, k, rank() OVER (PARTITION BY k ORDER BY v) AS r FROM u"),
        Query(kind: "rank", options: "", select: "SELECT id, k, n FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY v DESC, id) AS n FROM u) AS q WHERE n <= 2"),
        Query(
            kind: "session", options: "",
            select: "SELECT k, window_start, window_end, count(*) AS c, sum(v) AS s FROM session(a, at, '4 s', k) GROUP BY k, window_start, window_end"),
        Query(
            kind: "session", options: "emit = 'final'", select: "SELECT k, window_start, window_end, sum(n) AS s FROM session(a, at, '4 s', k) GROUP BY k, window_start, window_end"
        ),
        Query(kind: "hold", options: "emit = 'final'", select: "SELECT k, at, v, n FROM a WHERE n > 0"),
    ]

    @Test(arguments: queries.indices, 1...3 as ClosedRange<UInt64>) func `a run out of files of state goes on as if it had never stopped`(index: Int, seed: UInt64) throws {
        let query = Self.queries[index]
        let view = query.options.isEmpty ? "" : "CREATE MATERIALIZED VIEW q WITH (\(query.options)) AS "
        let job = try BoundJob(binding: Script(parsing: SourceText("\(Self.tables) \(view)\(query.select)", name: "restored.sql")))
        let output = job.outputs.first ?? JobOutput(target: .view("q"), relation: job.question!, options: TableOptions(), place: Place(0))
        let plan = try Planner.plan(BoundJob(text: job.text, tables: job.tables, outputs: [output], settings: job.settings))
        #expect(plan.text.contains(query.kind), "\(plan.text)")
        var random = SeededRandom(seed: seed)
        let steady = try LocalRun(plan)
        var (state, most, given) = (StoredState(), 0, 0)
        let batches = 24
        for number in 0...batches {
            let isLast = number == batches
            let rows = Self.rows(plan, isLast ? nil : number, &random)
            // The watermark stands for some batches and then moves; behind the last rows it has passed everything.
            let watermark: Int64 = isLast ? .max : Int64(number / 3 * 3 - 4) * 2 * Self.second
            let batch = BatchRows(rows: rows, watermarks: ["a": watermark, "b": watermark], time: Int64(number) * Self.second)
            let restored = try LocalRun(plan, parts: [1, 3, 2, 7, 130][number % 5], chunkRows: 3, state: state, batches: number)
            let (wanted, found) = (Self.lines(try steady.run(batch)), Self.lines(try restored.run(batch)))
            #expect(wanted == found, "batch \(number) of \(query.select)")
            if wanted != found { return }
            (state, given) = (restored.state, given + wanted.count)
            most = max(most, try state.count)
        }
        #expect(most > 3 && given > 10)
        if query.ends { #expect(try state.count == 0) }
    }

    private static let second: Int64 = 1_000_000

    /// Rows of a batch; without a number, deletes of all there can be.
    private static func rows(_ plan: Plan, _ number: Int?, _ random: inout SeededRandom) -> [String: [Dataflow.Chunk]] {
        let pool = BufferPool()
        var rows: [String: [Dataflow.Chunk]] = [:]
        for source in plan.sources {
            let isUpsert = !source.table.key.isEmpty
            if number == nil && !isUpsert { continue }
            let count = number == nil ? 9 : random.below(12)
            var data: [[Datum]] = []
            var weights: [Int64] = []
            for row in 0..<count {
                let value = Numeric(units: Int128(random.below(40)) - 20, scale: UInt8(random.below(3)))
                let key: Datum = random.pick([.text("x"), .text("y"), .text("a longer key"), .null])
                if isUpsert {
                    data.append([.word(Int64(number == nil ? row : random.below(9))), key, random.chance(0.1) ? .null : .numeric(value), .float(Double(random.below(5)) / 10)])
                    weights.append(number == nil || random.chance(0.3) ? -1 : 1)
                } else {
                    data.append([key, .word(Int64(number! * 2 + random.below(16) - 8) * second), .numeric(value), .word(Int64(random.below(4)))])
                }
            }
            let columns = source.columns.map { column in
                let readable = source.table.readable[column]
                let values = data.enumerated().map { row, values -> Datum in
                    switch readable.name {
                    case "source_topic": .text(source.table.name)
                    case "source_partition": .word(0)
                    case "source_offset": .word(Int64((number ?? 0) * 100 + row))
                    default: values[column]
                    }
                }
                return Vector.flat(values, readable.type, pool: pool)
            }
            var buffer: Buffer?
            if isUpsert {
                buffer = pool.take(max(count, 1) * 8)
                for (row, weight) in weights.enumerated() { buffer!.base.storeBytes(of: weight, toByteOffset: row * 8, as: Int64.self) }
            }
            rows[source.table.name] = count == 0 ? [] : [Dataflow.Chunk(columns: columns, count: count, weights: buffer)]
        }
        return rows
    }

    private static func lines(_ outputs: [[Dataflow.Chunk]]) -> [String] {
        outputs.flatMap { chunks in
            chunks.flatMap { chunk in
                (0..<chunk.count).map { row in "\(chunk.weight(row)) " + chunk.columns.map { TypeText.text($0.datum(row), as: $0.type) ?? "NULL" }.joined(separator: "|") }
            }
        }.sorted()
    }
}
