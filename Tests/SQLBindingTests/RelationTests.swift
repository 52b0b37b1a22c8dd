import Foundation
import SQLBinding
import SQLSyntax
import Testing

/// What a query is bound to: `cases/relations.txt` has each query behind `@@`, and below it the columns and the tree.
@Suite struct RelationTests {
    private static let cases: [(sql: String, tree: String)] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "cases/relations.txt")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "@@ ").map { part in
            let lines = part.split(separator: "\n", maxSplits: 1)
            return (String(lines[0]), lines.count > 1 ? lines[1].trimmingCharacters(in: .newlines) : "")
        }
    }()

    @Test func `a query becomes a tree of operators`() throws {
        #expect(Self.cases.count > 40)
        for (sql, tree) in Self.cases {
            let found = try relation(sql)
            #expect("\(found.header)\n\(found.text)".trimmingCharacters(in: .newlines) == tree, "\(sql)")
        }
    }

    @Test func `a job has its tables, outputs, settings and notes`() throws {
        let job = try bound(
            """
            SET on_error = 'stop';
            SET max_batch_records = 5;
            CREATE VIEW big (id, who) AS SELECT id, customer FROM orders WHERE amount > 100 ORDER BY id;
            CREATE MATERIALIZED VIEW per_minute WITH (emit = 'final', early = '5 s') AS
              SELECT window_end, count(*) AS n FROM tumble(orders, at, '1 min') GROUP BY window_end;
            CREATE MATERIALIZED VIEW starts WITH (emit = 'final') AS SELECT date_trunc('hour', at) AS hour, count(*) AS n FROM orders GROUP BY 1;
            INSERT INTO by_customer SELECT who, count(*) FROM big GROUP BY who;
            INSERT INTO lines (n, customer) SELECT id, 'x' FROM orders WHERE id IS NOT NULL;
            INSERT INTO screen SELECT customer, count(*)::text FROM orders GROUP BY customer
            """)
        #expect(job.tables.map(\.name) == ["orders", "payments", "customers", "cities", "by_customer", "lines", "screen"])
        #expect(job.settings == ["on_error": "stop", "max_batch_records": "5"])
        #expect(job.notes == ["ORDER BY without LIMIT has no effect: an output has no order"])
        #expect(
            job.outputs.map(\.target) == [
                .view("per_minute"), .view("starts"), .table("by_customer", columns: [0, 1]), .table("lines", columns: [1, 0]), .table("screen", columns: [0, 1]),
            ])
        #expect(job.outputs[2].relation.header == "customer text?, total numeric?")
        #expect(job.outputs[3].relation.header == "n bigint?, customer text")
        #expect(job.outputs[0].options[.early] == "5 s")
    }

    @Test func `a view whose rows change keeps the key that it does not select`() throws {
        let job = try bound(
            """
            CREATE VIEW ids AS SELECT id, at FROM orders;
            CREATE MATERIALIZED VIEW a AS SELECT count(*) AS n FROM orders GROUP BY customer, ok;
            CREATE MATERIALIZED VIEW b AS SELECT city AS key_1 FROM customers;
            CREATE MATERIALIZED VIEW c AS SELECT i.id, p.paid FROM ids i LEFT JOIN (SELECT order_id, paid FROM payments) p ON i.id = p.order_id;
            CREATE MATERIALIZED VIEW d AS SELECT customer, count(*) AS n FROM orders GROUP BY customer;
            CREATE MATERIALIZED VIEW e AS SELECT customer FROM orders;
            CREATE MATERIALIZED VIEW f AS SELECT city FROM (SELECT city, row_number() OVER (ORDER BY since) AS n FROM customers) q WHERE n < 3;
            """)
        #expect(
            job.outputs.map(\.relation.header) == [
                "n bigint, key_1 text?, key_2 boolean?", "key_1 text?, key_2 text",
                "id bigint?, paid numeric?, key_1 integer, key_2 bigint, key_3 integer?, key_4 bigint?", "customer text?, n bigint", "customer text?", "city text?, key_1 text",
            ])
        for output in job.outputs where output.target != .view("e") { #expect(!output.relation.keys.isEmpty, "\(output.target)") }
        #expect(
            job.notes == [
                "view \"a\" has further columns for its key: \"key_1\", \"key_2\"", "view \"b\" has further columns for its key: \"key_2\"",
                "view \"c\" has further columns for its key: \"key_1\", \"key_2\", \"key_3\", \"key_4\"", "view \"f\" has further columns for its key: \"key_1\"",
            ])
        // The columns that were moved are still what they were.
        let join = "left join on (#0 = #4)"
        #expect(job.outputs[2].relation.text.contains(join), "\(job.outputs[2].relation.text)")
    }

    @Test func `queries may share a table that is only added to`() throws {
        let job = try bound("INSERT INTO lines SELECT customer, 1 FROM orders; INSERT INTO lines SELECT 'x', order_id FROM payments")
        #expect(job.outputs.count == 2)
    }

    @Test func `a zone that is set behind a question is refused`() throws {
        #expect(throws: SQLError.self) { try BoundJob(binding: Script(parsing: SourceText("SELECT timestamptz '2020-01-01'; SET timezone = 'UTC'", name: "q"))) }
    }

    @Test func `literals are read in the zone that is set`() throws {
        let sql = "SET timezone = 'Europe/Berlin'; CREATE MATERIALIZED VIEW v AS SELECT timestamptz '2020-01-01 12:00' AS t"
        let job = try BoundJob(binding: Script(parsing: SourceText(sql, name: "q")))
        #expect(job.outputs[0].relation.text.contains("2020-01-01 11:00:00+00"))
    }
}
