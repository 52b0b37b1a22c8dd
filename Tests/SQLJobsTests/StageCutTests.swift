import Dataflow
import Engine
import SQLBinding
import SQLSyntax
import TestSupport
import Testing

/// Where plans are cut: what runs beside the records, by what rows go to parts, and when there may be one part only.
@Suite struct StageCutTests {
    private static let tables = """
        CREATE TABLE t (id int4, k text, v int4, at timestamptz) WITH (connector = 'kafka', topic = 't', format = 'json', event_time = 'at');
        CREATE TABLE u (id int4 PRIMARY KEY, k text, v int4) WITH (connector = 'kafka', topic = 'u', format = 'json', mode = 'upsert');
        CREATE TABLE c (k text PRIMARY KEY, name text) WITH (connector = 'sqlite', url = 'sqlite:nowhere.db', table = 'c');

        """

    struct Cut: Sendable {
        let select: String
        var options = ""
        /// nil: any number.
        let parts: Int?
        let beside: [Int]
        let behind: [Int]
        var still: [Int] = []
    }

    static let cuts = [
        Cut(select: "SELECT id, v + 1 AS w FROM t WHERE v > 0", parts: nil, beside: [0, 1], behind: []),
        Cut(select: "SELECT k, count(*) AS c FROM t GROUP BY k", parts: nil, beside: [0, 1], behind: [2]),
        Cut(select: "SELECT count(*) AS c, sum(v) AS s FROM t", parts: nil, beside: [0, 1], behind: [2]),
        Cut(select: "SELECT k, window_start, sum(v) AS s FROM tumble(t, at, '1 min') GROUP BY k, window_start", parts: nil, beside: [0, 1, 2], behind: [3]),
        Cut(select: "SELECT id, k, v FROM u", parts: nil, beside: [0], behind: [1]),
        // The key of the groups is another one than that by which the rows came.
        Cut(select: "SELECT k, count(*) AS c FROM u GROUP BY k", parts: 1, beside: [0], behind: [1, 2, 3]),
        Cut(select: "SELECT c, count(*) AS n FROM (SELECT k, count(*) AS c FROM t GROUP BY k) AS q GROUP BY c", parts: 1, beside: [0, 1], behind: [2, 3, 4]),
        // It is the same.
        Cut(select: "SELECT k, max(c) AS n FROM (SELECT k, count(*) AS c FROM t GROUP BY k) AS q GROUP BY k", parts: nil, beside: [0, 1], behind: [2, 3, 4]),
        Cut(
            select: "SELECT a.k, a.c, b.s FROM (SELECT k, count(*) AS c FROM t GROUP BY k) AS a JOIN (SELECT k, sum(v) AS s FROM t GROUP BY k) AS b ON a.k = b.k", parts: nil,
            beside: [0, 1, 3, 4], behind: [2, 5, 6]),
        // A row of a full join may have no row on the left, by whose key it would have come.
        Cut(select: "SELECT a.id, b.id AS j FROM u AS a LEFT JOIN u AS b ON a.id = b.id AND a.v < b.v", parts: nil, beside: [0], behind: [1, 2]),
        Cut(select: "SELECT a.id, b.id AS j FROM u AS a FULL JOIN u AS b ON a.id = b.id AND a.v < b.v", parts: 1, beside: [0], behind: [1, 2]),
        Cut(select: "SELECT id, k, rank() OVER (PARTITION BY k ORDER BY v) AS r FROM t", parts: 1, beside: [0], behind: [1, 2]),
        Cut(select: "SELECT DISTINCT k, v FROM t", parts: nil, beside: [0], behind: [1]),
        Cut(select: "SELECT t.id, name FROM t JOIN c ON t.k = c.k", parts: nil, beside: [0, 2], behind: [], still: [1]),
        Cut(select: "SELECT name, count(*) AS n FROM t JOIN c ON t.k = c.k WHERE name <> 'x' GROUP BY name", parts: nil, beside: [0, 3, 4], behind: [5], still: [1, 2]),
        Cut(select: "SELECT id, at FROM t WHERE v > 0", options: "emit = 'final'", parts: nil, beside: [0, 1], behind: [2]),
        // A session's rows come by a key that they do not show.
        Cut(select: "SELECT window_start, count(*) AS n FROM session(t, at, '10 s', k) GROUP BY window_start", parts: 1, beside: [0, 1], behind: [2, 3, 4]),
        Cut(select: "SELECT k, count(*) AS n FROM session(t, at, '10 s', k) GROUP BY k", parts: 1, beside: [0, 1], behind: [2, 3, 4]),
        Cut(select: "SELECT window_start, count(*) AS n FROM session(t, at, '10 s') GROUP BY window_start", parts: 1, beside: [0], behind: [1, 2, 3]),
        // The rows that a table is joined with lie behind an exchange: it is looked up there.
        Cut(
            select: "SELECT w.k, w.c, c.name FROM (SELECT DISTINCT k, window_end, 1 AS c FROM tumble(t, at, '1 min')) AS w JOIN c ON w.k = c.k", parts: nil, beside: [0, 1, 2],
            behind: [3, 5], still: [4]),
    ]

    private static func cut(_ cut: Cut) throws -> (plan: Plan, cut: StageCut, graph: StageGraph) {
        let text = tables + "CREATE MATERIALIZED VIEW answer\(cut.options.isEmpty ? "" : " WITH (\(cut.options))") AS \(cut.select)"
        let graph = try JobRig.graph(text)
        let plan = try Planner.plan(BoundJob(binding: Script(parsing: SourceText(text, name: "cut"))))
        let names = plan.outputs[0].columns.map(\.name)
        return (plan, try StageCut(plan, key: graph.sink.mode == .keyedUpsert ? graph.sink.key.map { names.firstIndex(of: $0)! } : nil), graph)
    }

    @Test(arguments: cuts.indices) func `a plan is cut where its rows must move`(index: Int) throws {
        let wanted = Self.cuts[index]
        let (plan, cut, graph) = try Self.cut(wanted)
        #expect(cut.mostParts == wanted.parts, "\(wanted.select)\n\(plan.text)")
        #expect(cut.beside == wanted.beside && cut.behind == wanted.behind && cut.still == wanted.still, "\(cut)\n\(plan.text)")
        #expect(graph.work.mostParts == wanted.parts && graph.hasExchange == !wanted.behind.isEmpty)
        #expect(graph.parts(5, keyGroups: 128) == (wanted.parts ?? 5))
    }

    @Test func `explain says where a row goes`() throws {
        let graph = try Self.cut(Self.cuts[14]).graph
        #expect(
            graph.text?.split(separator: "\n").dropFirst().joined(separator: "\n") == """
                0 read t (k) -> append
                1 read c (k, name) -> changes
                2 map filter -> changes from 1
                3 lookup inner join on #0 = #0 -> append from 0 by hash(#0), 2 by hash(#0); grows with the looked up rows
                4 map 1 columns -> append from 3
                5 aggregate 1 keys count(*) -> changes from 4 by hash(#0); grows with the groups
                view answer is 5
                stage 0, a task for each range: nodes 0, 3, 4
                looked up: nodes 1, 2
                exchange 0: rows of node 4 by hash of columns 0
                stage 1, a task for each range of key groups: nodes 5
                write table answer (name text, n bigint), rows replaced and deleted by (name)
                """)
        let one = try Self.cut(Self.cuts[6]).graph.text ?? ""
        #expect(one.contains("stage 1, one task: nodes 2, 3, 4\n"), "\(one)")
        let single = try Self.cut(Self.cuts[2]).graph.text ?? ""
        #expect(single.contains("exchange 0: rows of node 1 to the part of the empty key\n") && single.contains("its one row replaced\n"), "\(single)")
    }

    @Test(arguments: CaseQuery.all) func `as many parts as there are key groups give the answer of one`(query: CaseQuery) throws {
        guard let job = try? query.job(.init(seed: 3, parts: 128, loses: 0)), job.rig.graph.work.mostParts == nil, job.rig.graph.hasExchange else { return }
        try query.run(job)
    }

    /// What the bound on parts is for: without it these queries go wrong, and are seen to.
    @Test func `more parts than a cut allows are noticed`() throws {
        var (bounded, noticed): ([String], [String]) = ([], [])
        for query in CaseQuery.all {
            guard let job = try? query.job(.init(seed: 1)), job.rig.graph.work.mostParts == 1 else { continue }
            bounded.append(query.description)
            for seed in 1...8 as ClosedRange<UInt64> {
                guard let job = try query.job(.init(seed: seed, ignoresMostParts: true)) else { continue }
                do { try query.run(job) } catch {
                    noticed.append(query.description)
                    break
                }
            }
        }
        let missed = Set(bounded).subtracting(noticed)
        // Where a key is that of a record, which stays in its part, one part is more careful than it must be.
        #expect(bounded.count > 30 && missed.count * 4 < bounded.count, "\(bounded.count) bounded, not noticed: \(missed.sorted())")
    }
}
