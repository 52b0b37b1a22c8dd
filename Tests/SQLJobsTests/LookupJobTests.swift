import Dataflow
import Engine
import SQLBinding
import SQLJobs
import SQLSyntax
import TestSupport
import Testing
import Values

/// Jobs that look rows up in a table of SQLite whose content changes between batches.
@Suite struct LookupJobTests {
    /// A job, the table beside it, and what is known of both.
    private final class World {
        let directory: TemporaryDirectory
        let database: any SQLDatabase
        let rig: JobRig
        private var writer: RecordWriter
        private var number = 0

        init(_ select: String, seed: UInt64, settings: String = "") throws {
            directory = try TemporaryDirectory("lookup")
            database = try openDatabase("sqlite:" + directory.file("c.db"))
            try database.executeScript("CREATE TABLE c (k TEXT PRIMARY KEY, name TEXT, rank INTEGER)")
            let text = """
                \(settings)
                CREATE TABLE t (id int4, k text, v int4, at timestamptz) WITH (connector = 'kafka', topic = 't', format = 'json', event_time = 'at');
                CREATE TABLE c (k text PRIMARY KEY, name text, rank int4) WITH (connector = 'sqlite', url = 'sqlite:\(directory.file("c.db"))', table = 'c');
                CREATE MATERIALIZED VIEW answer AS \(select)
                """
            rig = try JobRig(text, .init(seed: seed))
            writer = RecordWriter(rig.source.table, partitions: 3, seed: seed)
        }

        func set(_ rows: [(String, String?, Int?)]) throws {
            try database.execute("DELETE FROM c")
            for row in rows {
                func quoted(_ text: String?) -> String { text.map { "'\($0)'" } ?? "NULL" }
                try database.execute("INSERT INTO c VALUES (\(quoted(row.0)), \(quoted(row.1)), \(row.2.map { "\($0)" } ?? "NULL"))")
            }
        }

        func run(_ keys: [String?]) throws {
            let records = try keys.map { key in
                number += 1
                return try writer.record(RigRow(table: "t", weight: 1, values: ["\(number)", key, "\(number % 7)", "2026-01-01 00:00:\(10 + number % 40)+00"]))
            }
            var bytes: [String: [UInt8]] = [:]
            for spec in rig.graph.lookups { bytes[spec.name] = try spec.read!() }
            try rig.run(records, lookups: bytes)
        }
    }

    static let selects = [
        "SELECT id, name FROM t JOIN c ON t.k = c.k", "SELECT id, name, rank FROM t LEFT JOIN c ON t.k = c.k AND rank > 1",
        "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM c WHERE c.k = t.k AND c.rank >= t.v)", "SELECT id, k FROM t WHERE NOT EXISTS (SELECT 1 FROM c WHERE c.k = t.k)",
        "SELECT id, name FROM t JOIN (SELECT k, upper(name) AS name FROM c WHERE rank > 1) AS d ON t.k = d.k",
        "SELECT name, count(*) AS n, sum(v) AS s FROM t JOIN c ON t.k = c.k WHERE rank < 3 GROUP BY name",
        "SELECT name, window_start, count(*) AS n FROM tumble(t, at, '10 s') AS w LEFT JOIN c ON w.k = c.k GROUP BY name, window_start",
        "SELECT d.k, c.name FROM (SELECT DISTINCT k FROM t) AS d LEFT JOIN c ON d.k = c.k",
        "SELECT d.k, x.name, y.rank FROM (SELECT DISTINCT k, v FROM t) AS d JOIN c AS x ON d.k = x.k LEFT JOIN c AS y ON x.name = y.k",
        "SELECT c.name, count(*) AS n FROM (SELECT DISTINCT k, v FROM t) AS d JOIN c ON d.k = c.k GROUP BY c.name",
    ]

    @Test(arguments: selects.indices, 1...4 as ClosedRange<UInt64>) func `a row sees the table as it is in its batch`(index: Int, seed: UInt64) throws {
        let world = try World(Self.selects[index], seed: seed)
        try world.set([("a", "one", 1), ("b", "two", 2), ("n", nil, nil)])
        try world.run(["a", "b", "c", nil, "n"])
        try world.set([("a", "uno", 3), ("c", "a", 2)])
        try world.run(["a", "b", "c"])
        // The same content again.
        try world.run(["d", "a", nil])
        try world.set([])
        try world.run(["a", "b", "e"])
        try world.set([("b", "a", 1), ("a", "last", 9), ("e", nil, 2)])
        try world.run(["a", "b", "c", "d", "e", "f", "f"])
        #expect(!world.rig.lines.isEmpty)
    }

    @Test func `what was found is not corrected later`() throws {
        let world = try World(Self.selects[0], seed: 1)
        try world.set([("a", "one", 1)])
        try world.run(["a", "b"])
        try world.set([("a", "uno", 1), ("b", "dos", 2)])
        try world.run(["a", "b"])
        #expect(world.rig.lines == ["1|one", "3|uno", "4|dos"])
    }

    @Test func `a row of the table that fails stops every attempt where failing stops`() throws {
        let world = try World("SELECT id, name FROM t JOIN (SELECT k, name FROM c WHERE 6 / rank > 1) AS d ON t.k = d.k", seed: 1, settings: "SET on_error = 'stop';")
        try world.set([("a", "one", 1), ("b", "none", 0)])
        let content = try world.rig.graph.work.makeLookup(world.rig.graph.lookups[0], from: world.rig.graph.lookups[0].read!())
        let work = try world.rig.graph.work.makeRangeWork(schemaText: nil, chunkRecords: 10)
        let task = WorkTask(
            context: TaskContext(batchTimeMillis: 0, watermarkBeforeMillis: nil, maxFutureMillis: 0, seed: 0, topic: "t", partition: 0), keyGroups: 128, parts: 1,
            lookups: ["c": content])
        for _ in 0..<3 { #expect(throws: Failure.self) { try work.begin(task) } }
        let quiet = try World("SELECT id, name FROM t JOIN (SELECT k, name FROM c WHERE 6 / rank > 1) AS d ON t.k = d.k", seed: 1)
        try quiet.set([("a", "one", 1), ("b", "none", 0)])
        try quiet.run(["a", "b"])
        #expect(quiet.rig.lines == ["1|one"])
    }

    /// What stands on the left, and what is said of the table.
    static let refused = [
        ("SELECT u.id, c.name FROM u JOIN c ON u.k = c.k", "lookup table \"c\" beside rows that change"),
        ("SELECT g.k, g.n, c.name FROM (SELECT k, count(*) AS n FROM t GROUP BY k) AS g LEFT JOIN c ON g.k = c.k", "lookup table \"c\" beside rows that change"),
        ("SELECT t.id, c.name FROM c JOIN t ON t.k = c.k", "lookup table \"c\" on its own"),
        ("SELECT t.id, c.name FROM t RIGHT JOIN c ON t.k = c.k", "lookup table \"c\" on its own"),
        ("SELECT k FROM t UNION SELECT k FROM c", "lookup table \"c\" on its own"),
        ("SELECT t.id FROM t JOIN (SELECT name AS k, count(*) AS n FROM c GROUP BY name) AS d ON t.k = d.k", "lookup table \"c\" on its own"),
        ("SELECT k, name FROM c", "no topic is read"),
    ]

    @Test(arguments: refused.indices) func `a table is looked up from rows that only come, and stands on the right`(index: Int) throws {
        let text = """
            CREATE TABLE t (id int4, k text) WITH (connector = 'kafka', topic = 't', format = 'json');
            CREATE TABLE u (id int4 PRIMARY KEY, k text) WITH (connector = 'kafka', topic = 'u', format = 'json', mode = 'upsert');
            CREATE TABLE c (k text PRIMARY KEY, name text) WITH (connector = 'sqlite', url = 'sqlite:c.db', table = 'c');
            CREATE MATERIALIZED VIEW answer AS \(Self.refused[index].0)
            """
        let failure = #expect(throws: Failure.self) { try JobRig.graph(text) }
        let place = index == Self.refused.count - 1 ? "job:4:26: " : "job:3:14: "
        #expect(failure?.what.hasPrefix(place + Self.refused[index].1) == true, "\(failure?.description ?? "")")
    }

    @Test(.enabled(if: PostgresFixture.missingReason == nil)) func `a table of PostgreSQL has its values, in an order of its own, in any zone`() throws {
        let url = try PostgresFixture.shared().newDatabase()
        let database = try PostgresDatabase(url: url)
        try database.execute("CREATE TABLE c (k text, b bool, n numeric(8, 3), f float8, tz timestamptz, d date, j jsonb, l int4[], x bytea)")
        let rows = [
            "'a', true, 1.5, 0.1, '2026-03-01 12:00:00.5+00', '2026-02-28', '{\"b\": [1, null]}', '{1,2}', '\\x00ff'",
            "'Z', false, -2, 'NaN', '0001-01-01+00', NULL, '[]', '{}', ''",
            "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL", "'ä', true, 0, -0.0, '9999-12-31 23:59:59+00', '9999-12-31', '1', NULL, NULL",
        ]
        let graph = try JobRig.graph(
            """
            CREATE TABLE t (k text) WITH (connector = 'kafka', topic = 't', format = 'json');
            CREATE TABLE c (k text, b bool, n numeric(8, 3), f float8, tz timestamptz, d date, j jsonb, l int4[], x bytea)
                WITH (connector = 'postgres', url = '\(url)', table = 'c');
            CREATE MATERIALIZED VIEW a AS SELECT t.k AS i, c.* FROM t JOIN c ON t.k = c.k
            """)
        let types: [SQLType] = [.text, .bool, .numeric, .float8, .timestamptz, .date, .jsonb, .list(.int4), .bytea]
        var read: Set<[UInt8]> = []
        for (zone, order) in [("UTC", rows), ("America/New_York", rows.reversed())] {
            try database.execute("ALTER DATABASE \(url.split(separator: "/").last!) SET timezone = '\(zone)'")
            try database.execute("DELETE FROM c")
            for row in order { try database.execute("INSERT INTO c VALUES (\(row))") }
            let bytes = try graph.lookups[0].read!()
            read.insert(bytes)
            let found = try Reference.chunks(bytes, types).flatMap { chunk in
                (0..<chunk.count).map { row in SinkContent.line(zip(chunk.columns, types).map { SinkContent.text($0.datum(row), $1) }) }
            }
            let names = ["k", "b", "n", "f", "tz", "d", "j", "l", "x"].map { "\($0)::text" }.joined(separator: ", ")
            try database.execute("SET timezone = 'UTC'")
            let truth = try database.execute("SELECT \(names) FROM c").map { row in SinkContent.line(row.map { if case .text(let text) = $0 { text } else { nil } }) }
            #expect(found.sorted() == truth.sorted() && found.count == 4)
        }
        #expect(read.count == 1)
    }
}
