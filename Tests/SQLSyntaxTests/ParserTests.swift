import Glibc
import SQLSyntax
import Testing

/// The tree says what was meant, whatever the spelling.
@Suite struct ParserTests {
    @Test(arguments: [
        ("x::int", "CAST(x AS int4)"), ("int '5'", "CAST('5' AS int4)"), ("timestamp with time zone '2020-01-01'", "CAST('2020-01-01' AS timestamptz)"),
        ("interval '1' day", "CAST('1' AS interval day)"), ("interval(3) '1 s'", "CAST('1 s' AS interval(3))"), ("'x'::char", "CAST('x' AS bpchar(1))"),
        ("x::character varying(3)[]", "CAST(x AS varchar(3)[])"), ("x::double precision", "CAST(x AS float8)"), ("x::\"double\"", "CAST(x AS \"double\")"),
        ("1 + 2 * 3", "(1 + (2 * 3))"), ("-5::int", "(- CAST(5 AS int4))"), ("-5 ^ 2", "((-5) ^ 2)"), ("- x", "(- x)"), ("a = b AND NOT c OR d", "(((a = b) AND (NOT c)) OR d)"),
        ("a AND b AND c", "(a AND b AND c)"), ("a AND (b AND c)", "(a AND (b AND c))"), ("a != b", "(a <> b)"), ("a NOT IN (1, 2)", "(a NOT IN (1, 2))"),
        ("a IN (SELECT 1)", "(a IN (SELECT 1))"), ("a = ANY (SELECT 1)", "(a IN (SELECT 1))"), ("a NOT IN (SELECT 1)", "(NOT (a IN (SELECT 1)))"),
        ("a = SOME (SELECT 1)", "(a IN (SELECT 1))"), ("a <> ALL (b)", "(a <> ALL (b))"), ("a ISNULL", "(a IS NULL)"), ("a ~~ 'b'", "(a LIKE 'b')"),
        ("a NOT LIKE 'b' ESCAPE 'c'", "(a NOT LIKE 'b' ESCAPE 'c')"), ("a NOT BETWEEN 1 AND 2", "(a NOT BETWEEN 1 AND 2)"),
        ("extract(year from ts)", "EXTRACT('year' FROM ts)"), ("ts AT TIME ZONE 'UTC'", "(ts AT TIME ZONE 'UTC')"), ("timezone('UTC', ts)", "(ts AT TIME ZONE 'UTC')"),
        ("position('a' IN b)", "\"position\"(b, 'a')"), ("substring(a FROM 2)", "\"substring\"(a, 2)"), ("trim(a)", "btrim(a)"), ("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"),
        ("CURRENT_DATE::text", "CAST(CURRENT_DATE AS text)"), ("a[1][2]", "(a)[1][2]"), ("(a).b", "(a).b"), ("a.b", "a.b"), ("(a, b)", "ROW(a, b)"), ("ROW(a)", "ROW(a)"),
        ("count(*) FILTER (WHERE a)", "count(*) FILTER (WHERE a)"), ("f(x, origin => 1, y := 2)", "f(x, origin => 1, y => 2)"), ("pg_catalog.lower(a)", "lower(a)"),
        ("\"Select\"", "\"Select\""), ("\"select\"", "\"select\""), ("\"value\"", "value"), ("UserId", "userid"), ("\"a\"\"b\"", "\"a\"\"b\""), ("U&'\\0041'", "'A'"),
        ("E'\\'\\n'", "'''\n'"), ("1.50", "1.50"), ("1e10", "1e10"), ("9999999999", "9999999999"), ("true", "TRUE"), ("a COLLATE \"C\"", "a"),
        ("a IS NOT UNKNOWN", "(a IS NOT UNKNOWN)"),
        ("rank() OVER (PARTITION BY a ORDER BY b DESC NULLS LAST)", "rank() OVER (PARTITION BY a ORDER BY b DESC NULLS LAST)"),
        ("sum(DISTINCT a ORDER BY b)", "sum(DISTINCT a ORDER BY b)"), ("percentile_cont(0.5) WITHIN GROUP (ORDER BY a)", "percentile_cont(0.5) WITHIN GROUP (ORDER BY a)"),
        ("\"cube\"(a)", "\"cube\"(a)"), ("nullif(a, b)", "NULLIF(a, b)"), ("CASE a WHEN 1 THEN b END", "CASE a WHEN 1 THEN b END"),
    ]) func `an expression has one spelling`(sql: String, canonical: String) throws {
        let expression = try parsedExpression(sql)
        #expect(expression.sql == canonical)
        #expect(try parsedExpression(canonical) == expression)
    }

    @Test(arguments: [
        ("SELECT a FROM t x, u JOIN v USING (k)", "SELECT a FROM t AS x, (u JOIN v USING (k))"),
        ("SELECT a FROM t NATURAL LEFT JOIN u", "SELECT a FROM (t NATURAL LEFT JOIN u)"),
        ("SELECT 1 UNION SELECT 2 UNION ALL SELECT 3", "((SELECT 1) UNION (SELECT 2)) UNION ALL (SELECT 3)"),
        ("SELECT a FROM t LIMIT ALL", "SELECT a FROM t"), ("SELECT a FROM t GROUP BY (a, (b, c)), ROW(a, b)", "SELECT a FROM t GROUP BY a, b, c, ROW(a, b)"),
        ("SELECT DISTINCT ON (a) a FROM t ORDER BY a", "SELECT DISTINCT ON (a) a FROM t ORDER BY a"),
        ("SELECT a b FROM (SELECT 1) q (a)", "SELECT a AS b FROM (SELECT 1) AS q (a)"), ("SELECT ALL a FROM t FETCH FIRST ROW ONLY", "SELECT a FROM t LIMIT 1"),
        ("TABLE t", "SELECT * FROM t"), ("SELECT t.*, * FROM t", "SELECT t.*, * FROM t"), ("VALUES (1), (2)", "VALUES (1), (2)"),
        ("SELECT a FROM tumble(t, ts, '1 min', origin => ts) AS w", "SELECT a FROM tumble(t, ts, '1 min', origin => ts) AS w"),
    ]) func `a query has one spelling`(sql: String, canonical: String) throws {
        #expect(try parsedQuery(sql).sql == canonical)
    }

    @Test(arguments: [
        ("create table T (A Integer primary key, b text null)", "CREATE TABLE t (a int4, b text, PRIMARY KEY (a))"),
        (
            "CREATE TABLE t (a int NOT NULL DEFAULT 1 + 2) WITH (x, y = true, z = -1.5, w = kafka, \"K\" = 'v')",
            "CREATE TABLE t (a int4 NOT NULL DEFAULT ((1 + 2))) WITH (x = 'true', y = 'true', z = '-1.5', w = 'kafka', \"K\" = 'v')"
        ),
        ("CREATE MATERIALIZED VIEW v (a) WITH (emit = final) AS SELECT 1", "CREATE MATERIALIZED VIEW v (a) WITH (emit = 'final') AS SELECT 1"),
        ("INSERT INTO t (a, b) SELECT 1, 2", "INSERT INTO t (a, b) SELECT 1, 2"), ("SET TIME ZONE 'UTC'", "SET timezone = 'UTC'"), ("SET a.b TO on", "SET a.b = 'on'"),
        ("SET x = 1.5", "SET x = '1.5'"),
    ]) func `a statement has one spelling`(sql: String, canonical: String) throws {
        let script = try Script(parsing: SourceText(sql, name: "q"))
        #expect(script.statements.map(\.canonicalText) == [canonical])
        #expect(try Script(parsing: SourceText(canonical, name: "q")) == script)
    }

    @Test func `nodes know their places, and equality does not ask for them`() throws {
        let text = SourceText("SELECT a,\n  count(*) + ü, 'x'::int\nFROM t", name: "q")
        let script = try Script(parsing: text)
        guard case .select(let query) = script.statements[0].kind, case .select(let block) = query.body else { throw Unexpected(what: "no block") }
        let places = block.items.map { item in
            guard case .expression(let expression, alias: nil) = item.kind else { return (0, 0) }
            return text.lineAndColumn(expression.place)
        }
        #expect(places.map { [$0.0, $0.1] } == [[1, 8], [2, 12], [2, 20]])
        #expect(text.lineAndColumn(block.from[0].place) == (3, 6))
        #expect(try Script(parsing: SourceText("select A, COUNT( * )+ü,CAST('x' AS integer) from T", name: "r")) == script)
        #expect(try Script(parsing: SourceText("select A, COUNT( * )+ü,CAST('y' AS integer) from T", name: "r")) != script)
    }

    @Test func `an empty text and one of comments have no statements`() throws {
        for text in ["", "  \n", "-- nothing", "/* nothing */ ;;"] {
            #expect(try Script(parsing: SourceText(text, name: "q")).statements == [])
        }
    }

    /// A process has 1,024 keys, and OpenSSL cannot do without: logins by TLS failed in a process that had parsed as often.
    @Test func `thousands of texts take no key of the process each`() throws {
        for number in 0..<1500 { #expect(try Script(parsing: SourceText("SELECT \(number)", name: "q")).statements.count == 1) }
        var key = pthread_key_t()
        #expect(pthread_key_create(&key, nil) == 0)
        pthread_key_delete(key)
    }

    @Test func `texts that are parsed at once do not get each other's trees`() async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<64 {
                group.addTask {
                    let text = "SELECT " + Array(repeating: "\(number)", count: number * 20 + 1).joined(separator: ", ")
                    let parsed = try Script(parsing: SourceText(text, name: "q"))
                    let again = try Script(parsing: SourceText(text, name: "q"))
                    return parsed.statements == again.statements
                }
            }
            for try await isEqual in group { #expect(isEqual) }
        }
    }
}
