import Dataflow
import Engine
import SQLBinding
import SQLSyntax
import Testing
import Values

/// State does not grow where rows are replaced, and what is gone is gone.
@Suite struct StateTests {
    private static let tables = """
        CREATE TABLE u (id int4 PRIMARY KEY, k int4, v int4) WITH (connector = 'kafka', topic = 'u', format = 'json', mode = 'upsert');
        CREATE TABLE w (id int4 PRIMARY KEY, k int4, v int4) WITH (connector = 'kafka', topic = 'w', format = 'json', mode = 'upsert');
        """

    static let queries = [
        "SELECT k, min(v) AS lo, max(v) AS hi, count(DISTINCT v) AS d FROM u GROUP BY k", "SELECT DISTINCT v FROM u", "SELECT u.v AS a, w.v AS b FROM u FULL JOIN w ON u.k = w.k",
        "SELECT id FROM u WHERE NOT EXISTS (SELECT 1 FROM w WHERE w.k = u.k)", "SELECT id, v FROM u ORDER BY v, id LIMIT 3",
        "SELECT id, rank() OVER (PARTITION BY k ORDER BY v) AS r FROM u",
    ]

    private static func chunk(_ batch: Int, weight: Int64, _ pool: BufferPool) -> Dataflow.Chunk {
        let rows = 0..<40
        let columns = [
            Vector.flat(rows.map { .word(Int64($0)) }, .int4, pool: pool), Vector.flat(rows.map { .word(Int64(($0 + batch) % 7)) }, .int4, pool: pool),
            Vector.flat(rows.map { .word(Int64(($0 * 31 + batch * 17) % 1009)) }, .int4, pool: pool),
        ]
        let weights = pool.take(rows.count * 8)
        weights.base.initializeMemory(as: Int64.self, repeating: weight, count: rows.count)
        return Dataflow.Chunk(columns: columns, count: rows.count, weights: weights)
    }

    @Test(arguments: queries) func `rows that are replaced leave nothing behind`(select: String) throws {
        let text = "\(Self.tables) CREATE MATERIALIZED VIEW q AS \(select)"
        let plan = try Planner.plan(try BoundJob(binding: Script(parsing: SourceText(text, name: "state.sql"))))
        let run = try LocalRun(plan, state: StoredState())
        let pool = BufferPool()
        func batch(_ number: Int, weight: Int64) throws {
            var rows: [String: [Dataflow.Chunk]] = [:]
            for source in plan.sources {
                let chunk = Self.chunk(number + (source.table.name == "w" ? 3 : 0), weight: weight, pool)
                rows[source.table.name] = [Dataflow.Chunk(columns: source.columns.map { chunk.columns[$0] }, count: chunk.count, weights: chunk.weights)]
            }
            _ = try run.run(BatchRows(rows: rows))
        }
        for number in 0..<20 { try batch(number, weight: 1) }
        let (bytes, entries) = (run.stateBytes, try run.state.count)
        for number in 20..<300 { try batch(number, weight: 1) }
        #expect(run.stateBytes <= bytes * 2, "\(bytes) bytes became \(run.stateBytes)")
        #expect(try run.state.count <= entries * 2)
        try batch(300, weight: -1)
        #expect(try run.state.count == 0)
    }
}
