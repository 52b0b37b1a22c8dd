import Dataflow
import SQLBinding
import SQLSyntax
import Testing

/// What a plan shares, what it keeps apart, and what it says of its edges.
@Suite struct PlannerTests {
    private static let tables = """
        CREATE TABLE t (k text, v int4, w int4, at timestamptz) WITH (connector = 'kafka', topic = 't', format = 'json', event_time = 'at', lateness = '5 s');
        CREATE TABLE u (id int4 PRIMARY KEY, k text, v int4) WITH (connector = 'kafka', topic = 'u', format = 'json', mode = 'upsert');

        """

    private static func plan(_ sql: String, tables: String = tables) throws -> Plan {
        try Planner.plan(try BoundJob(binding: Script(parsing: SourceText(tables + sql, name: "job.sql"))))
    }

    /// The ids of the nodes with state, in order.
    private static func states(_ sql: String, tables: String = tables) throws -> [OperatorID] { try plan(sql, tables: tables).nodes.filter { $0.bound != .none }.map(\.id) }

    @Test func `a plan says what flows, how it is exchanged and what bounds its state`() throws {
        let plan = try Self.plan(
            """
            CREATE MATERIALIZED VIEW a AS SELECT k, window_end, count(*) AS c FROM tumble(t, at, '1 min') WHERE v > 1 GROUP BY k, window_end;
            CREATE MATERIALIZED VIEW b AS SELECT DISTINCT k FROM t;
            CREATE MATERIALIZED VIEW c AS SELECT t.k AS k, u.v AS v FROM t LEFT JOIN u ON t.k = u.k
            """)
        let lines = plan.text.split(separator: "\n").map(String.init)
        #expect(lines.contains { $0.contains("aggregate 2 keys count(*) -> changes") && $0.contains("by hash(#0, #1)") && $0.hasSuffix("bounded by the watermark") })
        #expect(lines.contains { $0.contains("aggregate 1 keys -> append") && $0.hasSuffix("grows with the groups") })
        #expect(lines.contains { $0.contains("latest of [#0] -> changes") && $0.hasSuffix("grows with the keys of u") })
        #expect(lines.contains { $0.contains("left join on #0 = #1 -> changes") && $0.hasSuffix("grows with the rows of both sides") })
        #expect(plan.sources.map(\.table.name) == ["t", "u"])
        // k, v and at of t, nothing of w; and the place of its records, which is c's key.
        #expect(plan.sources[0].columns == [0, 1, 3, 5, 6])
    }

    @Test func `equal operators of several outputs are one`() throws {
        let group = "SELECT k, count(*) AS c FROM t WHERE v > 1 GROUP BY k"
        let plan = try Self.plan(
            """
            CREATE MATERIALIZED VIEW a AS \(group);
            CREATE MATERIALIZED VIEW b AS SELECT max(c) AS m FROM (\(group)) AS q;
            CREATE MATERIALIZED VIEW c AS SELECT other.k AS key, count(*) AS number FROM t AS other WHERE other.v>1 GROUP BY 1
            """)
        let aggregates = plan.nodes.filter { if case .aggregate = $0.operation { true } else { false } }
        #expect(aggregates.count == 2)
        #expect(plan.outputs[0].node == plan.outputs[2].node)
    }

    @Test func `an id is kept by what does not matter and lost by what does`() throws {
        let base = try Self.states("SELECT k, sum(v) AS s FROM t WHERE v > 1 GROUP BY k")
        #expect(base.count == 1)
        // Names, places, an output beside it, columns that are not used.
        #expect(try Self.states("  SELECT x.k AS other, sum(x.v) FROM t x WHERE (x.v > 1) GROUP BY x.k") == base)
        #expect(try Self.states("CREATE MATERIALIZED VIEW z AS SELECT DISTINCT w FROM t; SELECT k, sum(v) AS s FROM t WHERE v > 1 GROUP BY k").contains(base[0]))
        #expect(try Self.states("SELECT k, sum(v) AS s FROM t WHERE v > 1 GROUP BY k", tables: Self.tables.replacing("w int4", with: "w text")) == base)
        // Functions, keys, filters, the topic, lateness.
        for other in [
            "SELECT k, max(v) AS s FROM t WHERE v > 1 GROUP BY k", "SELECT w, sum(v) AS s FROM t WHERE v > 1 GROUP BY w", "SELECT k, sum(v) AS s FROM t WHERE v > 2 GROUP BY k",
            "SELECT k, sum(w) AS s FROM t WHERE v > 1 GROUP BY k", "SELECT k, sum(DISTINCT v) AS s FROM t WHERE v > 1 GROUP BY k",
            "SET on_error = 'stop'; SELECT k, sum(v) AS s FROM t WHERE v > 1 GROUP BY k",
        ] {
            let text = other.hasPrefix("SET") ? String(other.dropFirst("SET on_error = 'stop'; ".count)) : other
            let tables = other.hasPrefix("SET") ? "SET on_error = 'stop';\n" + Self.tables : Self.tables
            #expect(try Self.states(text, tables: tables) != base, "\(other)")
        }
        for (from, to) in [("topic = 't'", "topic = 's'"), ("lateness = '5 s'", "lateness = '6 s'"), ("v int4, w", "v int8, w")] {
            #expect(try Self.states("SELECT k, sum(v) AS s FROM t WHERE v > 1 GROUP BY k", tables: Self.tables.replacing(from, with: to)) != base, "\(to)")
        }
    }

    @Test(arguments: [
        ("version", "CREATE TABLE w (id int8 PRIMARY KEY, n int8) WITH (connector = 'kafka', topic = 'w', format = 'json', mode = 'upsert', version = 'n'); SELECT id FROM w"),
        (
            "delete_keep",
            "CREATE TABLE w (id int8 PRIMARY KEY, n int8) WITH (connector = 'kafka', topic = 'w', format = 'json', mode = 'upsert', version = 'n', delete_keep = '1 day'); SELECT id FROM w"
        ),
        (
            "changes = 'true'",
            "CREATE TABLE l (k text PRIMARY KEY, n int8) WITH (connector = 'sqlite', url = 'sqlite:l.db', table = 'l', mode = 'lookup', changes = 'true'); SELECT t.k, n FROM t JOIN l ON t.k = l.k"
        ),
        (
            "early",
            "CREATE MATERIALIZED VIEW a WITH (emit = 'final', early = '5 s') AS SELECT window_end, count(*) AS c FROM tumble(t, at, '1 min') GROUP BY window_end"
        ),
        ("ttl", "CREATE MATERIALIZED VIEW a WITH (ttl = '1 day') AS SELECT k, count(*) AS c FROM t GROUP BY k"),
        (
            "emit = 'final'",
            "CREATE MATERIALIZED VIEW a WITH (emit = 'final') AS SELECT x.k, x.at FROM t AS x JOIN t AS y ON x.k = y.k AND x.at <= y.at + INTERVAL '1 min' AND y.at <= x.at + INTERVAL '1 min'"
        ),
    ])
    func `what no operator keeps yet is refused by name, and not left out`(word: String, sql: String) throws {
        let error = #expect(throws: SQLError.self) { try Self.plan(sql) }
        #expect(error?.what.hasPrefix("\(word) is not there yet") == true, "\(error?.description ?? "")")
    }

    @Test func `another time zone is another operator`() throws {
        let group = "SELECT k, count(*) AS c FROM t WHERE at::date > '2026-01-01' GROUP BY k"
        #expect(try Self.states(group) == Self.states("SELECT k, count(*) AS c FROM t WHERE at::date > '2026-01-01' GROUP BY k"))
        #expect(try Self.states("SET timezone = 'Europe/Berlin';\n" + Self.tables + group, tables: "") != Self.states(group))
    }
}
