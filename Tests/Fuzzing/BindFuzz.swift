// Fuzzing of the binder: queries over declared tables, mutated.
//
// Whatever the parser takes must be bound, or refused at a place in the text; nothing may trap. Of what is bound every column has a type, and
// no expression reads a column that is not there.

import SQLBinding
import SQLSyntax
import Values

final class BindFuzz: FuzzSubject {
    private static let tables = """
        CREATE TABLE t (a int4, b text, c numeric(10, 2) NOT NULL, ok bool, ts timestamptz) WITH (connector = 'kafka', topic = 't', format = 'json', event_time = 'ts', lateness = '1 s');
        CREATE TABLE u (a int8 PRIMARY KEY, d text, ts timestamptz) WITH (connector = 'kafka', topic = 'u', format = 'json', mode = 'upsert');
        CREATE TABLE o (a int8 PRIMARY KEY, n int8) WITH (connector = 'sqlite', url = 'x', "table" = 'o');

        """

    let seeds: [[UInt8]] = [
        "SELECT a, b FROM t", "SELECT * FROM u", "SELECT max(c) FROM t", "SELECT a FROM t WHERE ok",
        "SELECT a, b || 'x' AS c, count(*) FILTER (WHERE ok) + 1 FROM t WHERE a > 1 AND b LIKE 'a%' GROUP BY a, 2, t.b HAVING sum(c) > 2.5 ORDER BY 1 DESC LIMIT 5",
        "SELECT t.a, u.d FROM t JOIN u ON t.a = u.a AND t.ts BETWEEN u.ts AND u.ts + interval '1 hour' WHERE EXISTS (SELECT 1 FROM u x WHERE x.a = t.a AND d > b)",
        "CREATE MATERIALIZED VIEW v WITH (emit = 'final') AS SELECT window_end, max(c) AS m FROM tumble(t, ts, '1 min', origin => timestamptz '2020-01-01') GROUP BY window_end",
        "INSERT INTO o SELECT a, count(*) FROM t WHERE a IS NOT NULL AND a IN (SELECT a FROM u) GROUP BY a; SET on_error = 'null'",
        "WITH q (x) AS (SELECT a FROM t UNION ALL SELECT 1) SELECT x, (SELECT max(c) FROM t) AS m, CASE WHEN x = 1 THEN '1' ELSE NULL END FROM q FULL JOIN u ON x = a",
        "SELECT * FROM (SELECT a, row_number() OVER (PARTITION BY b ORDER BY ts DESC) AS n FROM t) q JOIN u USING (a) WHERE n <= 3 AND a NOT IN (1, 2)",
        "SELECT DISTINCT ON (b) b, a FROM t ORDER BY b, ts; CREATE TABLE w (a int, p text GENERATED ALWAYS AS (a::text) STORED) WITH (connector = 'console', max_state = '1 GiB')",
    ].map { Array($0.utf8) }
    let tokens: [[UInt8]] = [
        " a", " b", " c", " ok", " ts", " t", " u", "t.", "u.", "*", ",", "(", ")", " AND ", " OR ", " NOT ", " = ", " + ", "::int4", "::text", "'1'", "1", "1.5", "NULL",
        "count(*)", "sum(c)", "max(", " FILTER (WHERE ok)",
        " OVER (ORDER BY a)", "row_number()", "(SELECT max(a) FROM u)", " IN (SELECT a FROM u)", "EXISTS (SELECT 1 FROM u WHERE u.a = t.a)", " GROUP BY ", " HAVING ", " ORDER BY ",
        " LIMIT 1", " UNION ALL SELECT ", " JOIN u USING (a)",
        " LEFT JOIN u ON t.a = u.a", "tumble(t, ts, '1 min')", "hop(t, ts, '1 s', '5 s')", "session(t, ts, '1 s', a)", "interval '1 day'", "DISTINCT ", "coalesce(", "CASE WHEN ",
        " THEN ", " END", " AS x", "lower(b)", "date_trunc('day', ts)",
    ].map { Array($0.utf8) }

    func run(_ input: UnsafeBufferPointer<UInt8>) -> FuzzOutcome {
        let text = SourceText(Self.tables + String(decoding: input, as: UTF8.self), name: "fuzz")
        do throws(SQLError) {
            let job = try BoundJob(binding: try Script(parsing: text))
            for relation in job.outputs.map(\.relation) + (job.question.map { [$0] } ?? []) {
                if let defect = defect(of: relation) { return .defect(defect) }
                _ = (relation.text, relation.header, relation.keys, relation.changing)
            }
            return .accepted
        } catch {
            let lines = text.text.split(separator: "\n", omittingEmptySubsequences: false)
            return error.line >= 1 && error.line <= lines.count && !error.what.isEmpty ? .refused : .defect("an error outside of the text: \(error)")
        }
    }

    private func defect(of relation: Relation) -> String? {
        if let column = relation.columns.first(where: { $0.type == .unknown }) { return "column \(column.name) has no type" }
        func reads(_ expressions: [BoundExpression], _ width: Int) -> String? {
            for expression in expressions { if let number = expression.columns.max(), number >= width { return "column \(number) of \(width) is read" } }
            return nil
        }
        func below(_ inner: Relation, _ expressions: [BoundExpression]) -> String? { reads(expressions, inner.columns.count) ?? defect(of: inner) }
        switch relation.kind {
        case .scan: return nil
        case .values(let rows): return reads(rows.flatMap(\.self), 0)
        case .filter(let inner, let condition): return below(inner, [condition])
        case .project(let inner, let expressions): return below(inner, expressions)
        case .aggregate(let inner, let keys, let calls): return below(inner, keys + calls.compactMap(\.argument) + calls.compactMap(\.filter))
        case .join(_, let left, let right, let condition):
            return reads(condition.map { [$0] } ?? [], left.columns.count + right.columns.count) ?? defect(of: left) ?? defect(of: right)
        case .union(let left, let right): return defect(of: left) ?? defect(of: right)
        case .distinct(let inner): return defect(of: inner)
        case .top(let inner, let keys, let order, _): return below(inner, keys + order.map(\.expression))
        case .ranked(let inner, let calls): return below(inner, calls.flatMap { $0.keys + $0.order.map(\.expression) })
        case .windowed(let inner, let window):
            if case .session(_, let keys) = window.shape { return below(inner, keys) }
            return defect(of: inner)
        }
    }
}
