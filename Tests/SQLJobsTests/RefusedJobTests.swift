import Engine
import SQLJobs
import SQLSyntax
import TestSupport
import Testing

/// What a job written in SQL cannot do so far is refused before the first batch, with its place in the text; what it can do, it does.
@Suite struct RefusedJobTests {
    private static let tables = """
        CREATE TABLE t (id int4, k text, v int4, at timestamptz) WITH (connector = 'kafka', topic = 't', format = 'json', event_time = 'at');
        CREATE TABLE s (id int4, k text) WITH (connector = 'kafka', topic = 's', format = 'json');
        CREATE TABLE out (k text PRIMARY KEY, n int8, note text DEFAULT 'none', price numeric(10, 2), made timestamptz) WITH (connector = 'sqlite', url = 'sqlite:o.db', table = 'o');
        CREATE TABLE made (k text PRIMARY KEY, n int8, twice int8 GENERATED ALWAYS AS (n * 2) STORED) WITH (connector = 'sqlite', url = 'sqlite:o.db', table = 'm');
        CREATE TABLE topic (k text, n int8) WITH (connector = 'kafka', topic = 'o', format = 'json');
        CREATE TABLE wrong (k text PRIMARY KEY, n int8, share numeric DEFAULT 1 / 0) WITH (connector = 'sqlite', url = 'sqlite:o.db', table = 'w');

        """

    /// What is said, with its line and column.
    static let refused: [(text: String, what: String)] = [
        (
            "CREATE TABLE again (id int4) WITH (connector = 'kafka', topic = 't', format = 'json');\n"
                + "CREATE MATERIALIZED VIEW a AS SELECT t.id AS i, s.id AS j FROM t JOIN again AS s ON t.id = s.id", "7:14: topic t in two tables is not there yet"
        ),
        ("CREATE MATERIALIZED VIEW a AS SELECT id FROM t; CREATE MATERIALIZED VIEW b AS SELECT id FROM t", "7:74: a second output is not there yet"),
        ("CREATE MATERIALIZED VIEW a AS SELECT id FROM t;\nINSERT INTO out (k, n) SELECT k, count(*) FROM t GROUP BY k", "8:1: a second output is not there yet"),
        ("INSERT INTO topic SELECT k, v FROM t", "7:1: INSERT INTO a topic is not there yet"),
        ("SELECT id FROM t", "7:1: a SELECT without an output"),
        ("CREATE MATERIALIZED VIEW a AS SELECT id FROM t;\nSELECT v FROM t", "8:1: a SELECT without an output"),
        ("CREATE MATERIALIZED VIEW a AS SELECT 1 AS x", "7:26: no topic is read"),
        ("INSERT INTO made (k, n) SELECT k, count(*) FROM t GROUP BY k", "7:1: column \"twice\" is generated, which is not there yet"),
        ("INSERT INTO wrong (k, n) SELECT k, count(*) FROM t GROUP BY k", "7:1: the default of column \"share\" has no value"),
        ("SET nothing = '1'; CREATE MATERIALIZED VIEW a AS SELECT id FROM t", "7:1: there is no setting \"nothing\""),
        ("CREATE MATERIALIZED VIEW a AS SELECT id FROM ${table}", "7:46: no value for ${table}"),
        ("CREATE MATERIALIZED VIEW a AS SELECT id FROM t WHERE v > ${least}", "7:58: no value for ${least}"),
        (
            "CREATE MATERIALIZED VIEW a WITH (emit = 'final', early = '1 s') AS SELECT k, window_end, count(*) AS c FROM tumble(t, at, '1 min') GROUP BY k, window_end",
            "7:26: early is not there yet"
        ),
        ("SET visible = 'part'; CREATE MATERIALIZED VIEW a AS SELECT id FROM t", "7:1: visible is not there yet"),
        ("SET max_state = '1 GiB'; CREATE MATERIALIZED VIEW a AS SELECT id FROM t", "7:1: max_state is not there yet"),
        ("CREATE MATERIALIZED VIEW a WITH (max_state = '1 GiB') AS SELECT id FROM t", "7:26: max_state is not there yet"),
        ("CREATE MATERIALIZED VIEW a WITH (visible = 'batch') AS SELECT id FROM t", "7:26: visible is not there yet"),
        (
            "CREATE TABLE i (id int4, at timestamptz) WITH (connector = 'kafka', topic = 'i', format = 'json', event_time = 'at', idle = '1 min');\n"
                + "CREATE MATERIALIZED VIEW a AS SELECT id FROM i", "7:14: idle is not there yet"
        ),
        (
            "CREATE TABLE i (id int4) WITH (connector = 'kafka', topic = 'i', format = 'json', partition_wait = '1 min');\nCREATE MATERIALIZED VIEW a AS SELECT id FROM i",
            "7:14: partition_wait is not there yet"
        ),
        (
            "CREATE TABLE c (id int4) WITH (connector = 'sqlite', url = 'sqlite:c.db', table = 'c', refresh = '1 min');\n"
                + "CREATE MATERIALIZED VIEW a AS SELECT t.id FROM t JOIN c ON t.id = c.id", "7:14: refresh is not there yet"
        ),
    ]

    @Test(arguments: refused.indices) func `it is refused with its place`(index: Int) throws {
        let (text, what) = Self.refused[index]
        let failure = #expect(throws: Failure.self) { try JobRig.graph(Self.tables + text) }
        #expect(failure?.what.hasPrefix("job:" + what) == true, "\(failure?.description ?? "")")
        #expect(failure?.why.isEmpty == false && failure?.now.isEmpty == false)
    }

    @Test func `a table that nobody reads is no reason`() throws {
        let tables = Self.tables + "CREATE TABLE i (id int4) WITH (connector = 'kafka', topic = 'i', format = 'json', partition_wait = '1 min');"
        #expect(try JobRig.graph(tables + "CREATE MATERIALIZED VIEW a AS SELECT id FROM t").source.topic == "t")
    }

    @Test func `a column that is not given has its default, or NULL`() throws {
        let rig = try JobRig(Self.tables + "INSERT INTO out (n, k) SELECT count(*), k FROM t GROUP BY k")
        try rig.run([.init(offset: 0, #"{"id": 1, "k": "a"}"#), .init(offset: 1, #"{"id": 2, "k": "b"}"#), .init(offset: 2, #"{"id": 2, "k": "b"}"#)])
        #expect(rig.lines == ["a|1|none|\\N|\\N", "b|2|none|\\N|\\N"])
    }

    @Test func `what is inserted becomes what its column is`() throws {
        let rig = try JobRig(Self.tables + "INSERT INTO out (k, n, note, price, made) SELECT k, max(v), max(v), max(v) / 3.0, max(at) FROM t GROUP BY k")
        try rig.run([.init(offset: 0, #"{"k": "a", "v": 2, "at": "2026-01-01T00:00:00.123456Z"}"#)])
        #expect(rig.lines == ["a|2|2|0.67|2026-01-01 00:00:00.123456+00"])
    }

    @Test func `start values stand in the text`() throws {
        let text = Self.tables + "CREATE MATERIALIZED VIEW a AS SELECT id, '${word}' AS word FROM t WHERE v > ${least}"
        let one = try JobRig.graph(text, ["values": SQLJob.text(of: ["least": "1", "word": "it's"])])
        let other = try JobRig.graph(text, ["values": SQLJob.text(of: ["least": "2", "word": "it's"])])
        #expect(one.digest != other.digest)
        #expect(throws: Failure.self) { try JobRig.graph(text, ["values": "[]"]) }
    }

    @Test func `state is kept in 128 key groups`() throws {
        let graph = try JobRig.graph(Self.tables + "CREATE MATERIALIZED VIEW a AS SELECT k, count(*) AS n FROM t GROUP BY k")
        let failure = #expect(throws: Failure.self) { try graph.work.makePartWork(keyGroups: 64, groups: 0..<64) }
        #expect(failure?.what == "setting key_groups cannot be 64 here")
    }

    @Test func `names, directories and comments decide no row; what does is in the digest`() throws {
        func digest(_ text: String, _ settings: [String: String] = [:], tables: String = Self.tables) throws -> String { try JobRig.graph(tables + text, settings).digest }
        let text = "CREATE MATERIALIZED VIEW a AS SELECT k, count(*) AS n FROM t WHERE v > 1 GROUP BY k"
        let plain = try digest(text)
        #expect(try digest("-- a comment\n" + text, ["name": "other", "directory": "/tmp"]) == plain)
        #expect(try digest(text.replacing("v > 1", with: "v > 2")) != plain)
        #expect(try digest(text.replacing("AS n", with: "AS m")) != plain)
        #expect(try digest(text, ["lateness": "5s"]) != plain)
        #expect(try digest("SET on_error = 'null';" + text.replacing("v > 1", with: "6 / v > 1")) != digest(text.replacing("v > 1", with: "6 / v > 1")))
        #expect(try digest(text, tables: "SET timezone = 'Europe/Berlin';" + Self.tables.replacing("'t', format", with: "'u', format")) != plain)
        let zoned = text.replacing("WHERE v > 1", with: "WHERE at::date = '2026-01-01'")
        #expect(try digest(zoned, tables: "SET timezone = 'Europe/Berlin';" + Self.tables) != digest(zoned))
    }
}
