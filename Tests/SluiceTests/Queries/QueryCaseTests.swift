import Engine
import Foundation
import TestSupport
import Testing

/// `sluice test`: a file of SQL on the rows of a case.
@Suite(.waits) struct QueryCaseTests {
    private static let query = """
        CREATE TABLE orders (id int8, shop text, amount numeric(10, 2), at timestamptz, day date GENERATED ALWAYS AS (at::date) STORED)
            WITH (connector = 'kafka', topic = 'orders', format = 'json', event_time = 'at', lateness = '1 min');
        CREATE TABLE users (id int8 PRIMARY KEY, name text NOT NULL) WITH (connector = 'kafka', topic = 'u', format = 'json', mode = 'upsert', key_format = 'text');
        CREATE MATERIALIZED VIEW totals AS SELECT shop, day, sum(amount) AS total FROM orders GROUP BY shop, day;
        CREATE MATERIALIZED VIEW closed WITH (emit = 'final') AS
            SELECT shop, window_start, count(*) AS n FROM tumble(orders, at, '1 min') GROUP BY shop, window_start;
        CREATE MATERIALIZED VIEW names AS SELECT name, count(*) AS n FROM users GROUP BY name;
        """

    private static let rows = """
        -- what came first
        rows orders
        id,shop,amount,at
        1,north,10.50,2026-03-01T12:00:00Z
        2,north,1.25,2026-03-01T12:00:30Z
        3,"a ""small"", shop",3,2026-03-01T12:01:00Z
        4,,2,2026-03-01T12:01:10Z

        """

    private func tried(_ rows: String, _ more: String..., query: String = query) throws -> (result: ProcessResult, text: String) {
        let directory = try TemporaryDirectory("sluice-case")
        try query.write(toFile: directory.file("q.sql"), atomically: true, encoding: .utf8)
        try rows.write(toFile: directory.file("q.case"), atomically: true, encoding: .utf8)
        let result = try SluiceProcess.run(["test", "q.sql"] + more, in: directory.path)
        return (result, try String(contentsOfFile: directory.file("q.case"), encoding: .utf8))
    }

    @Test func `outputs are compared as sets of rows, with values as PostgreSQL reads them, in any order of columns`() throws {
        let expects = """
            expect totals
            total,shop,day
            11.75,north,2026-3-1
            3.00,"a ""small"", shop",2026-03-01
            2.00,,2026-03-01
            """
        let (good, _) = try tried(Self.rows + expects)
        #expect(good.status == 0 && good.output.contains("q.case: 1 of 1 as expected, 3 rows"), "\(good.output)\(good.errors)")
        let (wrong, _) = try tried(Self.rows + expects.replacing("11.75", with: "11.76"))
        #expect(wrong.status == 1 && wrong.output.contains("- north,2026-03-01,11.76") && wrong.output.contains("+ north,2026-03-01,11.75"), "\(wrong.output)\(wrong.errors)")
        let (empty, _) = try tried(Self.rows + "expect totals\n")
        #expect(empty.status == 1 && empty.output.contains("+ ,2026-03-01,2.00"), "\(empty.output)")
    }

    @Test func `windows close when no more rows will come, and rows behind the watermark are late`() throws {
        let more = """
            batch
            rows orders
            id,shop,amount,at
            5,north,1,2026-03-01T12:03:00Z
            batch
            rows orders
            id,shop,amount,at
            6,north,1,2026-03-01T12:00:10Z
            expect closed
            shop,window_start,n
            north,2026-03-01 12:00:00+00,2
            "a ""small"", shop",2026-03-01 12:01:00+00,1
            ,2026-03-01 12:01:00+00,1
            north,2026-03-01 12:03:00+00,1
            """
        let (done, _) = try tried(Self.rows + more)
        #expect(done.status == 0 && done.output.contains("1 late"), "\(done.output)\(done.errors)")
        // Behind the last rows an answer is final; before them it is what it is by then.
        let (before, _) = try tried(Self.rows + "expect closed\n" + more)
        #expect(before.status == 0 && before.output.contains("2 of 2"), "\(before.output)\(before.errors)")
    }

    @Test func `a case is completed with what is found, its comments and rows stay, and then it passes`() throws {
        let (done, text) = try tried(Self.rows + "\nexpect totals\nold\n1\n\n-- the end\n", "--complete")
        #expect(done.status == 0, "\(done.output)\(done.errors)")
        #expect(text.hasPrefix(Self.rows) && text.contains("-- the end") && !text.contains("old"), "\(text)")
        #expect(text.contains("expect totals\nshop,day,total\n") && text.contains("expect closed\nshop,window_start,n\n"), "\(text)")
        let (again, same) = try tried(text)
        #expect(again.status == 0 && again.output.contains("3 of 3 as expected") && same == text, "\(again.output)\(again.errors)")
        let (twice, completed) = try tried(text, "--complete")
        #expect(twice.status == 0 && completed == text)
    }

    @Test(arguments: [
        ("rows nothing\nid\n1\n", "there is no table nothing"), ("rows orders\nid,sho\n1,a\n", "no column sho"), ("rows orders\nid,day\n1,2026-01-01\n", "no column day"),
        ("rows orders\nid,shop\n1\n", "q.case:3"), ("rows orders\nid\nx\n", "invalid input syntax for type bigint"), ("1,2\n", "a row of nothing"),
        ("rows orders\nid\n\"1\n", "a quote is not closed"), ("expect other\n", "there is no output other"), ("expect totals\nshop\na\n", "has the columns shop, day, total"),
        ("rows\n", "rows of nothing"), ("rows orders\nid\n1\n", "expects nothing"), ("delete orders\nid\n1\n", "rows of orders are never deleted"),
        ("rows orders\nid,at\n1,20000-01-01T00:00:00Z\n", "outside the years 1 to 9999"), ("rows users\nname\na\n", "the rows have no id"),
        ("rows users\nid,name\n1,\n", "name is NULL, and may not be"), ("rows users\nid\n1\n", "the rows have no name"),
    ])
    func `what is wrong with a case is said with its line`(text: String, words: String) throws {
        let (wrong, _) = try tried(text)
        #expect(wrong.status == 1 && wrong.errors.contains(words), "\(wrong.errors)\(wrong.output)")
    }

    @Test func `rows of a table that is replaced by key, and deletes`() throws {
        let text = """
            rows users
            id,name
            1,a
            2,a
            3,b
            expect names
            name,n
            a,2
            b,1
            batch
            rows users
            id,name
            1,b
            delete users
            id
            3
            expect names
            name,n
            a,1
            b,1
            """
        let (done, _) = try tried(text)
        #expect(done.status == 0 && done.output.contains("2 of 2"), "\(done.output)\(done.errors)")
    }

    @Test func `NULL alone, empty texts, line ends, quotes and words of the format go out and come back`() throws {
        let query = """
            CREATE TABLE t (a text) WITH (connector = 'kafka', topic = 't', format = 'json');
            CREATE MATERIALIZED VIEW v AS SELECT DISTINCT a FROM t;
            CREATE MATERIALIZED VIEW m AS SELECT max(a) AS m FROM t WHERE a = 'nothing';
            """
        let text = "rows t\na\n\\N\n\"\"\n\"two\nlines\"\n\"a \"\"quote\"\"\"\n\"\\N\"\n\"batch\"\n\"rows t\"\n\"-- none\"\n\" spaces \"\n\"c,d\"\n"
        let (done, completed) = try tried(text, "--complete", query: query)
        #expect(done.status == 0 && done.output.contains("2 outputs written, 11 rows"), "\(done.output)\(done.errors)")
        let (again, same) = try tried(completed, query: query)
        #expect(again.status == 0 && again.output.contains("2 of 2 as expected, 11 rows") && same == completed, "\(again.output)\(again.errors)\n\(completed)")
    }

    @Test func `lateness is the job's where the table names none, and a row that fails is told with its place`() throws {
        let query = """
            SET lateness = '0 s';
            CREATE TABLE t (n int8, at timestamptz) WITH (connector = 'kafka', topic = 't', format = 'json', event_time = 'at');
            CREATE MATERIALIZED VIEW v AS SELECT window_start, sum(10 / n) AS s FROM tumble(t, at, '1 s') GROUP BY window_start;
            """
        let text = """
            rows t
            n,at
            0,2026-03-01T12:00:00Z
            1,2026-03-01T12:00:09Z
            batch
            rows t
            n,at
            1,2026-03-01T12:00:05Z
            expect v
            window_start,s
            2026-03-01 12:00:09+00,10
            """
        let (done, _) = try tried(text, query: query)
        #expect(done.status == 0 && done.output.contains("1 late, 1 failed"), "\(done.output)\(done.errors)")
        #expect(done.output.contains("failed at q.sql:3:") && done.output.contains("division by zero (22012)"), "\(done.output)")
        let (json, _) = try tried(text, "--json", query: query)
        #expect(json.output.contains("\"as_expected\":1") && json.output.contains("\"late\":1"), "\(json.output)")
        let (stopped, _) = try tried(text, query: "SET on_error = 'stop';\n" + query)
        #expect(stopped.status == 1 && stopped.errors.contains("a row failed: division by zero") && stopped.errors.contains("on_error is 'stop'"), "\(stopped.errors)")
    }

    @Test func `the jobs that ship are as their cases say`() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../conf/jobs").standardized
        let cases = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".case") }
        #expect(!cases.isEmpty)
        let directory = try TemporaryDirectory()
        for name in cases {
            let result = try SluiceProcess.run(["test", folder.appending(path: name.replacing(".case", with: ".sql")).path], in: directory.path)
            #expect(result.status == 0, "\(name): \(result.output)\(result.errors)")
        }
    }
}
