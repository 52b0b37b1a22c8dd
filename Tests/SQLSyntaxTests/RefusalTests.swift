import SQLSyntax
import Testing

/// What the grammar takes and we do not: each is refused by name, at its place.
@Suite struct RefusalTests {
    /// A text with `^` before the character that the caret must stand under, and the first line of the error.
    struct Case: Sendable, CustomTestStringConvertible {
        let marked: String
        let what: String
        init(_ marked: String, _ what: String) { (self.marked, self.what) = (marked, what) }
        var testDescription: String { marked }
    }

    static func check(_ refusal: Case) throws {
        let parts = refusal.marked.split(separator: "§", omittingEmptySubsequences: false)
        try #require(parts.count == 2, "no § in \(refusal.marked)")
        let text = parts.joined()
        let lines = parts[0].split(separator: "\n", omittingEmptySubsequences: false)
        let error = #expect(throws: SQLError.self) { try Script(parsing: SourceText(text, name: "job.sql")) }
        #expect(error?.what == refusal.what)
        #expect(error?.line == lines.count)
        #expect(error?.column == lines[lines.count - 1].count + 1, "\(error?.description ?? "")")
        #expect(error?.why.isEmpty == false && error?.hint.isEmpty == false)
    }

    @Test(arguments: [
        Case("SELECT sum(x) OVER §(ORDER BY y ROWS 3 PRECEDING) FROM t", "OVER with frames is not there yet"),
        Case("SELECT sum(x) OVER §(ORDER BY y ROWS UNBOUNDED PRECEDING) FROM t", "OVER with frames is not there yet"),
        Case("SELECT sum(x) OVER §w FROM t WINDOW w AS (ORDER BY y)", "a named window is not there yet"),
        Case("SELECT §x FROM t WINDOW w AS (ORDER BY y)", "a named window is not there yet"),
        Case("SELECT x FROM t GROUP BY §GROUPING SETS ((x), ())", "GROUPING SETS is not there yet"),
        Case("SELECT x FROM t GROUP BY §CUBE (x)", "CUBE is not there yet"),
        Case("SELECT x FROM t GROUP BY §ROLLUP (x)", "ROLLUP is not there yet"),
        Case("SELECT x FROM t GROUP BY §()", "GROUP BY () is not there yet"),
        Case("SELECT §x FROM t GROUP BY DISTINCT x", "GROUP BY DISTINCT is not there yet"),
        Case("§SELECT x FROM t INTERSECT SELECT x FROM u", "INTERSECT is not there yet"),
        Case("§SELECT x FROM t EXCEPT SELECT x FROM u", "EXCEPT is not there yet"),
        Case("SELECT x §SIMILAR TO 'a' FROM t", "SIMILAR TO is not there yet"),
        Case("SELECT x §BETWEEN SYMMETRIC 1 AND 2 FROM t", "BETWEEN SYMMETRIC is not there yet"),
        Case("§WITH RECURSIVE a AS (SELECT 1) SELECT * FROM a", "WITH RECURSIVE is not there yet"),
        Case("SELECT §x FROM t, LATERAL (SELECT 1) u", "LATERAL is not there yet"),
        Case("SELECT §x FROM t, LATERAL f(x) u", "LATERAL is not there yet"),
        Case("SELECT §x FROM f(x) WITH ORDINALITY", "WITH ORDINALITY is not there yet"),
        Case("SELECT §x FROM ROWS FROM (f(x), g(x))", "ROWS FROM is not there yet"),
        Case("SELECT §x FROM f(x) AS (a int)", "a list of columns with types behind a function is not there yet"),
        Case("SELECT §x FROM coalesce(1, 2)", "an expression in FROM is not there yet"),
        Case("SELECT x FROM t TABLESAMPLE §system (1)", "TABLESAMPLE is not there yet"),
        Case("SELECT x FROM ONLY §t", "ONLY is not there yet"),
        Case("SELECT x FROM §s.t", "table s.t with a schema"),
        Case("SELECT §s.f(x) FROM t", "function s.f with a schema"),
        Case("SELECT x::§s.ty FROM t", "type s.ty with a schema"),
        Case("§SELECT x FROM t ORDER BY x FETCH FIRST 3 ROWS WITH TIES", "WITH TIES is not there yet"),
        Case("§SELECT x FROM t FOR UPDATE", "FOR UPDATE has no place here"),
        Case("SELECT §x INTO u FROM t", "SELECT INTO has no place here"),
        Case("§SELECT FROM t", "SELECT without columns"),
        Case("SELECT x FROM t ORDER BY §x USING <", "ORDER BY ... USING is not there yet"),
        Case("SELECT §$1 FROM t", "$1 has no place here"),
        Case("SELECT §B'101' FROM t", "a literal of bits is not there yet"),
        Case("SELECT x §COLLATE \"de_DE\" FROM t", "COLLATE \"de_DE\" is not there yet"),
        Case("SELECT §ARRAY(SELECT 1) FROM t", "ARRAY(SELECT ...) is not there yet"),
        Case("SELECT §x[1:2] FROM t", "a slice of an array is not there yet"),
        Case("SELECT §current_user FROM t", "the name of a user or a database has no place here"),
        Case("SELECT §current_timestamp(3) FROM t", "CURRENT_TIME, or a current time with a precision is not there yet"),
        Case("SELECT §f(VARIADIC x) FROM t", "VARIADIC is not there yet"),
        Case("SELECT count(§t.*) FROM t", "* as a value is not there yet"),
        Case("SELECT (§r).* FROM t", "* of a row is not there yet"),
        Case("SELECT §GROUPING(x) FROM t GROUP BY x", "GROUPING is not there yet"),
        Case("SELECT 1;\n  §UPDATE t SET x = 1", "UPDATE has no place here"),
        Case("-- a comment\n/* and /* another */ */ §DROP TABLE t", "DROP TABLE has no place here"),
        Case("§create index i on t (x)", "CREATE INDEX has no place here"),
        Case("§EXPLAIN SELECT 1", "EXPLAIN has no place here"),
        Case("§BEGIN", "BEGIN has no place here"),
        Case("CREATE TABLE IF NOT EXISTS §t (x int)", "IF NOT EXISTS has no place here"),
        Case("§CREATE TEMP TABLE t (x int)", "TEMPORARY or UNLOGGED is not there yet"),
        Case("§CREATE TABLE t (x int) PARTITION BY LIST (x)", "PARTITION is not there yet"),
        Case("§CREATE TABLE t (x int) INHERITS (u)", "INHERITS is not there yet"),
        Case("§CREATE TABLE t (x int) TABLESPACE u", "TABLESPACE or USING is not there yet"),
        Case("CREATE TABLE t (x int §CHECK (x > 0))", "CHECK is not there yet"),
        Case("CREATE TABLE t (x int §UNIQUE)", "UNIQUE is not there yet"),
        Case("CREATE TABLE t (x int §REFERENCES u (x))", "REFERENCES is not there yet"),
        Case("CREATE TABLE t (x int §GENERATED ALWAYS AS IDENTITY)", "GENERATED AS IDENTITY is not there yet"),
        Case("CREATE TABLE t (§x text COLLATE \"C\")", "COLLATE of a column is not there yet"),
        Case("CREATE TABLE t (x int, §CHECK (x > 0))", "CHECK is not there yet"),
    ])
    func `what is not understood is refused by name at its place`(refusal: Case) throws { try Self.check(refusal) }

    @Test(arguments: [
        Case("CREATE TABLE t (x int PRIMARY KEY, §PRIMARY KEY (x))", "a second PRIMARY KEY"),
        Case("CREATE TABLE t (§x int NULL NOT NULL)", "NULL and NOT NULL of one column"),
        Case("CREATE TABLE t (x int DEFAULT 1 §DEFAULT 2)", "a second DEFAULT"),
        Case("CREATE TABLE t (§x int DEFAULT 1 GENERATED ALWAYS AS (2) STORED)", "a default of a generated column"),
        Case("CREATE TABLE t (x int) WITH (§a.b = 1)", "an option with a point in its name is not there yet"),
        Case("CREATE TABLE t (x int) WITH (§a = +)", "the value of \"a\" is neither text nor number"),
        Case("CREATE TABLE t (x int) WITH (§a = int4[])", "the value of \"a\" is neither text nor number"),
        Case("§CREATE OR REPLACE VIEW v AS SELECT 1", "OR REPLACE has no place here"),
        Case("CREATE VIEW v WITH (§emit = 'final') AS SELECT 1", "an option of a plain view has no place here"),
        Case("§CREATE VIEW v AS SELECT 1 WITH CHECK OPTION", "WITH CHECK OPTION is not there yet"),
        Case("§CREATE TEMP VIEW v AS SELECT 1", "TEMPORARY is not there yet"),
        Case("§CREATE TABLE t AS SELECT 1", "CREATE TABLE AS has no place here"),
        Case("§CREATE MATERIALIZED VIEW v AS SELECT 1 WITH NO DATA", "WITH NO DATA has no place here"),
        Case("§CREATE MATERIALIZED VIEW IF NOT EXISTS v AS SELECT 1", "IF NOT EXISTS has no place here"),
        Case("INSERT INTO §t SELECT 1 ON CONFLICT DO NOTHING", "ON CONFLICT has no place here"),
        Case("INSERT INTO §t SELECT 1 RETURNING x", "RETURNING has no place here"),
        Case("INSERT INTO §t DEFAULT VALUES", "DEFAULT VALUES has no place here"),
        Case("INSERT INTO t VALUES (§DEFAULT)", "DEFAULT as a value is not there yet"),
        Case("INSERT INTO §t AS u SELECT 1", "an alias of the table inserted into is not there yet"),
        Case("INSERT INTO §t OVERRIDING USER VALUE SELECT 1", "OVERRIDING is not there yet"),
        Case("§WITH a AS (SELECT 1) INSERT INTO t SELECT 1", "WITH before INSERT is not there yet"),
        Case("WITH §a AS (DELETE FROM t) SELECT 1", "a statement that changes rows has no place here"),
        Case("INSERT INTO t (§x.y) SELECT 1", "a part of a column is not there yet"),
        Case("VALUES (1, 2), (§3)", "rows of VALUES of different lengths"),
        Case("§SET x TO DEFAULT", "this SET has no place here"),
        Case("§RESET x", "this SET has no place here"),
        Case("§SET LOCAL x = 1", "SET LOCAL has no place here"),
        Case("§SET x = 'a', 'b'", "SET x without one value"),
    ])
    func `a statement with more than a job needs is refused at its place`(refusal: Case) throws { try Self.check(refusal) }

    @Test(arguments: [
        Case("SELECT x FRO §t y", "syntax error at or near \"t\""),
        Case("SELECT x,\n  y,\n  §FROM t", "syntax error at or near \"FROM\""),
        Case("SELECT 'ü', §'abc", "unterminated quoted string at or near \"'abc\""),
        Case("SELECT '日本語' AS §'x'", "syntax error at or near \"'x'\""),
        Case("SELECT 1 +§", "syntax error at end of input"),
        Case("CREATE TABLE t (x int, WATERMARK §FOR x AS x)", "syntax error at or near \"FOR\""),
        Case("SELECT §\"", "unterminated quoted identifier at or near \"\"\""),
        Case("§/* SELECT 1", "unterminated /* comment at or near \"/* SELECT 1\""),
        Case("SELECT 1; §SELEC 2", "syntax error at or near \"SELEC\""),
    ])
    func `the grammar's own errors stand under a caret`(refusal: Case) throws { try Self.check(refusal) }

    @Test func `an error is printed with its line, a caret, the reason and a way out`() throws {
        let text = "SELECT a,\n\tsum(é) OVER (ORDER BY b ROWS 3 PRECEDING)\nFROM t"
        let error = #expect(throws: SQLError.self) { try Script(parsing: SourceText(text, name: "report.sql")) }
        #expect(
            error?.description == """
                report.sql:2:14: OVER with frames is not there yet
                  2 | \tsum(é) OVER (ORDER BY b ROWS 3 PRECEDING)
                    | \t            ^
                  why: it is PostgreSQL's grammar, and not understood here so far
                  now: use row_number, rank or dense_rank, or group the rows by a window of time
                """)
    }

    @Test func `the caret stands under wide characters too, and a long line is cut around it`() throws {
        let wide = #expect(throws: SQLError.self) { try Script(parsing: SourceText("SELECT '日本' AS 'x'", name: "q")) }
        #expect(wide?.excerpt == "  1 | SELECT '日本' AS 'x'\n    |                  ^")
        let long = "SELECT " + String(repeating: "aaaa, ", count: 100) + "FROM t, " + String(repeating: "b, ", count: 100) + "c"
        let error = #expect(throws: SQLError.self) { try Script(parsing: SourceText(long, name: "q")) }
        let lines = error?.excerpt.split(separator: "\n") ?? []
        #expect(error?.column == 608)
        #expect(lines.allSatisfy { $0.count < 220 } && lines.count == 2)
        let caret = try #require(lines[1].firstIndex(of: "^"))
        #expect(lines[0].dropFirst(lines[1].distance(from: lines[1].startIndex, to: caret)).hasPrefix("FROM t"))
    }

    @Test(arguments: [
        ("SELECT ", "1+", "1", 40_000), ("SELECT ", "(", "", 100_000), ("SELECT ", "- ", "x", 100_000), ("SELECT ", "f(", "1", 50_000),
        ("", "SELECT 1 UNION ALL ", "SELECT 1", 10_000),
        ("SELECT ", "NOT ", "x", 60_000), ("SELECT ", "CASE WHEN ", "1", 20_000), ("SELECT 1 FROM ", "(", "t", 20_000), ("SELECT x", "::int", "", 40_000),
        ("SELECT 1", " IS NULL", "", 249),
    ]) func `a text that is nested without end is refused`(start: String, part: String, end: String, times: Int) throws {
        let text = start + String(repeating: part, count: times) + end
        let error = #expect(throws: SQLError.self) { try Script(parsing: SourceText(text, name: "q")) }
        #expect(error.map { $0.what == "nested too deeply" || $0.what.hasPrefix("syntax error") } == true, "\(error?.what.prefix(200) ?? "")")
    }

    @Test func `a chain of ANDs and a list of any length are not deep, and what is just not too deep is taken`() throws {
        #expect(try parsedExpression("1" + String(repeating: " IS NULL", count: 248)).place.offset > 0)
        let text = "SELECT x FROM t WHERE x IN (" + String(repeating: "1, ", count: 20_000) + "1) AND " + String(repeating: "x = 1 AND ", count: 5_000) + "x = 2"
        #expect(try parsedQuery(text).place.offset == 0)
    }

    @Test func `a text longer than is parsed at once is refused, and a zero byte`() throws {
        let long = #expect(throws: SQLError.self) { try Script(parsing: SourceText("SELECT '" + String(repeating: "x", count: Script.mostBytes) + "'", name: "q")) }
        #expect(long?.what == "a text of 262153 bytes")
        let zero = #expect(throws: SQLError.self) { try Script(parsing: SourceText("SELECT 1;\nSELECT \0 2", name: "q")) }
        #expect(zero.map { "\($0.what) \($0.line):\($0.column)" } == "a zero byte in the text 2:8")
    }
}
