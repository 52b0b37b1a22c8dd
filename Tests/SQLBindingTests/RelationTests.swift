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

    @Test(
        arguments: [
            ("SELECT id, customer FROM orders", nil, []), ("SELECT DISTINCT id, customer FROM orders", nil, [[0, 1]]),
            ("SELECT customer, count(*) FROM orders GROUP BY customer", "GROUP BY, whose groups grow", [[0]]),
            ("SELECT count(*), customer, ok FROM orders GROUP BY ok, customer", "GROUP BY, whose groups grow", [[1, 2]]),
            ("SELECT count(*) FROM orders GROUP BY customer", "GROUP BY, whose groups grow", []), ("SELECT count(*) FROM orders", "an aggregate over all rows", [[]]),
            ("SELECT name, city FROM customers", "table \"customers\", whose rows are replaced", [[0]]),
            ("SELECT city FROM customers", "table \"customers\", whose rows are replaced", []),
            ("SELECT id, paid FROM orders JOIN payments ON id = order_id", nil, []),
            ("SELECT id, paid FROM orders LEFT JOIN payments ON id = order_id", "a left join, whose rows without a partner find one later", []),
            ("SELECT id, country FROM orders LEFT JOIN cities ON customer = city", nil, []),
            ("SELECT c.name, x.country FROM customers c JOIN cities x ON c.city = x.city", "table \"customers\", whose rows are replaced", [[0]]),
            ("SELECT c.name, x.city FROM customers c JOIN cities x ON c.since::text = x.country", "table \"customers\", whose rows are replaced", [[0, 1]]),
            ("SELECT DISTINCT ON (customer) customer, id FROM orders ORDER BY customer, at", "LIMIT or DISTINCT ON, whose rows give way to others", [[0]]),
            ("SELECT id FROM orders ORDER BY id LIMIT 3", "LIMIT or DISTINCT ON, whose rows give way to others", []),
            ("SELECT id FROM orders ORDER BY id LIMIT 1", "LIMIT or DISTINCT ON, whose rows give way to others", [[]]),
            ("SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM payments WHERE order_id = id)", nil, []),
            ("SELECT id FROM orders WHERE NOT EXISTS (SELECT 1 FROM payments WHERE order_id = id)", "NOT EXISTS, whose rows without a partner find one later", []),
            ("SELECT quantity::int8, count(*) FROM orders GROUP BY quantity", "GROUP BY, whose groups grow", [[0]]),
            ("SELECT id::int4, count(*) FROM orders GROUP BY id", "GROUP BY, whose groups grow", []), ("SELECT id FROM orders UNION ALL SELECT 1", nil, []),
            ("SELECT id, row_number() OVER (ORDER BY at) FROM orders", "a rank, which changes when other rows come", []),
            (
                "SELECT name, window_start FROM (SELECT c.name, o.at FROM customers c JOIN orders o ON c.name = o.customer) q, (SELECT 1 AS window_start) w",
                "table \"customers\", whose rows are replaced", []
            ),
        ] as [(String, String?, [Set<Int>])])
    func `it is known what changes and what is a key`(sql: String, changing: String?, keys: [Set<Int>]) throws {
        let found = try relation(sql)
        #expect(found.changing == changing)
        #expect(Set(found.keys) == Set(keys))
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

    @Test func `literals are read in the zone that is set`() throws {
        let sql = "SET timezone = 'Europe/Berlin'; CREATE MATERIALIZED VIEW v AS SELECT timestamptz '2020-01-01 12:00' AS t"
        let job = try BoundJob(binding: Script(parsing: SourceText(sql, name: "q")))
        #expect(job.outputs[0].relation.text.contains("2020-01-01 11:00:00+00"))
    }
}
