import SQLBinding
import SQLSyntax
import Testing
import Values

/// What is known of a relation before a row is looked at. Each fact is a proof: what is claimed must hold for all rows, so that for each kind
/// of operator there are relations of which it is claimed and relations, as near to them as can be, of which it is not.
@Suite struct RelationFactsTests {
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

    /// Tables for cases that the others lack: keys of several types, one row, a lookup table that brings its new versions.
    private static let further = """
        CREATE TABLE moments (moment timestamptz PRIMARY KEY, x int4) WITH (connector = 'kafka', topic = 'm', format = 'json', mode = 'upsert');
        CREATE TABLE locals (local timestamp PRIMARY KEY, y int8) WITH (connector = 'kafka', topic = 'l', format = 'json', mode = 'upsert');
        CREATE TABLE numbers (n int4 PRIMARY KEY, z text) WITH (connector = 'kafka', topic = 'n', format = 'json', mode = 'upsert');
        CREATE TABLE wide (w int8 PRIMARY KEY, v text NOT NULL) WITH (connector = 'kafka', topic = 'w', format = 'json', mode = 'upsert');
        CREATE TABLE news (k text PRIMARY KEY, t text) WITH (connector = 'postgres', url = 'u', "table" = 'news', changes = 'true');
        CREATE TABLE many (a int4) WITH (connector = 'kafka', topic = 'a,b', format = 'json');
        CREATE TABLE pattern (a int4) WITH (connector = 'kafka', topic = '^a.*', format = 'json');
        CREATE TABLE single (a int4) WITH (connector = 'kafka', topic = 'a.b_c-1', format = 'json');
        CREATE VIEW one AS SELECT max(id) AS a FROM orders;
        CREATE VIEW other AS SELECT max(order_id) AS b FROM payments;

        """

    @Test(
        arguments: [
            // One side's key, where each of its rows meets one row of the other at most.
            ("SELECT n, w FROM numbers JOIN wide ON n = w", [[0], [1], [0, 1]]), ("SELECT n, w FROM numbers LEFT JOIN wide ON n = w", [[0], [0, 1]]),
            ("SELECT n, w FROM numbers RIGHT JOIN wide ON n = w", [[1], [0, 1]]), ("SELECT n, w FROM numbers FULL JOIN wide ON n = w", [[0, 1]]),
            ("SELECT n, w FROM numbers JOIN wide ON z = v", [[0, 1]]), ("SELECT n, w FROM numbers LEFT JOIN wide ON z = v", [[0, 1]]),
            ("SELECT n, w FROM numbers LEFT JOIN wide ON z = v AND n = w", [[0], [0, 1]]),
            ("SELECT n FROM numbers WHERE EXISTS (SELECT 1 FROM wide WHERE w = n)", [[0]]),
            ("SELECT n FROM numbers WHERE NOT EXISTS (SELECT 1 FROM wide WHERE v = z)", [[0]]),
            // Two local times may be one moment, so a moment meets two of them; a local time is one moment.
            ("SELECT moment, local FROM moments JOIN locals ON moment = local", [[0, 1]]),
            ("SELECT moment, local FROM moments JOIN locals ON moment = local::timestamptz", [[0, 1]]),
            ("SELECT moment, local FROM moments LEFT JOIN locals ON moment = local", [[0, 1]]),
            // One row beside others, and one row beside one.
            ("SELECT a, n FROM one, numbers", [[1]]), ("SELECT n, a FROM numbers LEFT JOIN one ON n = a", [[0]]), ("SELECT n, a FROM numbers RIGHT JOIN one ON n = a", [[0], []]),
            ("SELECT a, b FROM one, other", [[]]), ("SELECT a, b FROM one LEFT JOIN other ON a = b", [[]]), ("SELECT a, b FROM one FULL JOIN other ON a = b", []),
            // Rows of NULLs for a side are alike where its key may be NULL.
            ("SELECT a, n FROM one FULL JOIN numbers ON a = n", [[1]]),
            ("SELECT p.x, q.y FROM (SELECT DISTINCT id AS x FROM orders) p FULL JOIN (SELECT DISTINCT quantity AS y FROM orders) q ON p.x = q.y", []),
            ("SELECT p.x, q.y FROM (SELECT DISTINCT id AS x FROM orders) p LEFT JOIN (SELECT DISTINCT quantity AS y FROM orders) q ON p.x = q.y", [[0], [0, 1]]),
            ("SELECT p.x, q.n FROM (SELECT DISTINCT id AS x FROM orders) p FULL JOIN numbers q ON p.x = q.n", [[0, 1]]),
            // Where a record stands.
            ("SELECT source_partition, source_offset FROM single", [[0, 1]]), ("SELECT source_partition, source_offset FROM many", []),
            ("SELECT source_topic, source_partition, source_offset FROM many", [[0, 1, 2]]), ("SELECT source_partition, source_offset FROM pattern", []),
            ("SELECT source_topic, source_offset FROM many", []),
            // What casts, sets, windows and orders do to a key.
            ("SELECT n::int8 FROM numbers", [[0]]), ("SELECT w::int4 FROM wide", []), ("SELECT n::numeric FROM numbers", [[0]]), ("SELECT n::numeric(2, 0) FROM numbers", []),
            ("SELECT n::text FROM numbers", []), ("SELECT n FROM numbers UNION ALL SELECT n FROM numbers", []), ("SELECT n FROM numbers UNION SELECT n FROM numbers", [[0]]),
            ("SELECT z FROM numbers WHERE n = 1", []), ("SELECT DISTINCT ON (z) z, n FROM numbers", [[0], [1]]), ("SELECT n FROM numbers ORDER BY n LIMIT 2", [[0]]),
            ("SELECT 1 AS a", [[]]), ("SELECT * FROM (VALUES (1), (2)) v (a)", []),
            ("SELECT source_partition, source_offset, window_end FROM hop(orders, at, '1 s', '2 s')", []),
            ("SELECT source_partition, source_offset, window_start, window_end FROM hop(orders, at, '1 s', '2 s')", [[0, 1, 2, 3]]),
            ("SELECT source_partition, source_offset FROM tumble(orders, at, '2 s')", [[0, 1]]),
        ] as [(String, [Set<Int>])])
    func `a key is claimed where no two rows can have it`(sql: String, keys: [Set<Int>]) throws {
        let found = try relation(Self.further + sql)
        #expect(Set(found.keys) == Set(keys), "\(found.text)")
        #expect(!found.isOneRow || found.keys.contains([]), "\(found.text)")
    }

    @Test(arguments: [
        ("SELECT a FROM one", true), ("SELECT a, b FROM one, other", true), ("SELECT a, b FROM one LEFT JOIN other ON a = b", true),
        ("SELECT a, b FROM one RIGHT JOIN other ON a = b", true), ("SELECT a, b FROM one FULL JOIN other ON a = b", false),
        ("SELECT a FROM one UNION ALL SELECT b FROM other", false),
        ("SELECT a FROM one WHERE EXISTS (SELECT 1 FROM numbers WHERE n = a)", true), ("SELECT a, n FROM one LEFT JOIN numbers ON n = a", false),
        ("SELECT DISTINCT a FROM one", true), ("SELECT n FROM numbers ORDER BY n LIMIT 1", true), ("SELECT n FROM numbers ORDER BY n LIMIT 2", false),
        ("SELECT DISTINCT ON (n) n FROM numbers", false), ("SELECT count(*) FROM numbers GROUP BY z", false), ("SELECT n FROM numbers WHERE n = 1", false),
    ]) func `one row is claimed where there can be no second`(sql: String, isOneRow: Bool) throws {
        let found = try relation(Self.further + sql)
        #expect(found.isOneRow == isOneRow)
    }

    @Test(
        arguments: [
            ("SELECT id, country FROM orders LEFT JOIN cities ON customer = city", nil), ("SELECT id, country FROM orders JOIN cities ON customer = city", nil),
            ("SELECT id, country FROM cities RIGHT JOIN orders ON customer = city", nil),
            ("SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM cities WHERE city = customer)", nil),
            ("SELECT id FROM orders WHERE NOT EXISTS (SELECT 1 FROM cities WHERE city = customer)", nil),
            ("SELECT country FROM cities", "lookup table \"cities\", of which new versions come"),
            ("SELECT id, country FROM cities LEFT JOIN orders ON customer = city", "lookup table \"cities\", of which new versions come"),
            ("SELECT id, country FROM orders FULL JOIN cities ON customer = city", "lookup table \"cities\", of which new versions come"),
            ("SELECT id, t FROM orders JOIN news ON customer = k", "lookup table \"news\", of which new versions come"),
            ("SELECT id, t FROM orders LEFT JOIN news ON customer = k", "lookup table \"news\", of which new versions come"),
            ("SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM news WHERE k = customer)", "lookup table \"news\", of which new versions come"),
            ("SELECT n, country FROM numbers JOIN cities ON z = city", "table \"numbers\", whose rows are replaced"),
            ("SELECT id FROM orders UNION ALL SELECT n FROM numbers", "table \"numbers\", whose rows are replaced"),
            ("SELECT id FROM tumble(orders, at, '1 s')", nil), ("SELECT id FROM session(orders, at, '1 s')", "a session, which grows with its rows"),
        ] as [(String, String?)]) func `rows only come where nothing can take them back`(sql: String, changing: String?) throws
    {
        let found = try relation(Self.further + sql)
        #expect(found.changing == changing)
    }

    @Test(
        arguments: [
            ("SELECT at, other FROM orders", [0]), ("SELECT date_trunc('hour', at), at + interval '1 s' FROM orders", [0]),
            // Beside what stands still, beside what changes, beside another stream.
            ("SELECT at FROM orders JOIN cities ON customer = city", [0]), ("SELECT at FROM orders LEFT JOIN cities ON customer = city", [0]),
            ("SELECT at FROM orders, (VALUES (1)) v (a)", [0]), ("SELECT at FROM orders JOIN customers ON customer = name", []),
            ("SELECT at FROM orders JOIN news ON customer = k", []), ("SELECT at FROM orders, one", []),
            ("SELECT at FROM orders WHERE EXISTS (SELECT 1 FROM customers WHERE name = customer)", []),
            ("SELECT at FROM orders WHERE customer NOT IN (SELECT v FROM wide) AND customer IS NOT NULL", nil),
            ("SELECT at FROM orders WHERE amount > (SELECT max(paid) FROM payments)", []),
            ("SELECT o.at, p.at FROM orders o JOIN payments p ON id = order_id", []),
            ("SELECT o.at, p.at FROM orders o JOIN payments p ON id = order_id AND p.at BETWEEN o.at AND o.at + interval '1 hour'", [0, 1]),
            ("SELECT o.at, p.at FROM orders o, payments p WHERE id = order_id AND p.at BETWEEN o.at AND o.at + interval '1 hour'", [0, 1]),
            ("SELECT o.at, p.at FROM orders o JOIN payments p ON id = order_id AND p.at >= o.at", [1]),
            ("SELECT o.at, p.at FROM orders o JOIN payments p ON id = order_id AND p.at <= o.at + interval '1 hour'", [0]),
            ("SELECT o.at, p.at FROM orders o JOIN payments p ON id = order_id AND o.other = p.at", []),
            ("SELECT o.at, p.at FROM orders o JOIN payments p ON id = order_id AND o.at IS NOT DISTINCT FROM p.at", [0, 1]),
            ("SELECT o.at, p.at FROM orders o LEFT JOIN payments p ON id = order_id AND o.at = p.at", [0]),
            ("SELECT o.at, p.at FROM orders o RIGHT JOIN payments p ON id = order_id AND o.at = p.at", [1]),
            ("SELECT o.at, p.at FROM orders o FULL JOIN payments p ON id = order_id AND o.at = p.at", []),
            ("SELECT at FROM orders WHERE EXISTS (SELECT 1 FROM payments WHERE order_id = id AND payments.at = orders.at)", [0]),
            ("SELECT at FROM orders WHERE NOT EXISTS (SELECT 1 FROM payments WHERE order_id = id AND payments.at = orders.at)", [0]),
            ("SELECT at FROM orders WHERE EXISTS (SELECT 1 FROM payments WHERE order_id = id)", []),
            (
                "SELECT a.window_end FROM tumble(orders, at, '1 min') a JOIN tumble(payments, at, '1 min') b ON a.id = b.order_id AND a.window_end = b.window_end", [0]
            ),
            ("SELECT o.at FROM orders o, payments p, lines l WHERE id = order_id AND o.at = p.at AND l.n = o.id", []),
            // Groups, sets, orders and windows.
            ("SELECT window_end, count(*) FROM tumble(orders, at, '1 min') GROUP BY window_end", [0]), ("SELECT max(at) FROM orders", []),
            ("SELECT at FROM orders UNION ALL SELECT at FROM payments", [0]), ("SELECT at FROM orders UNION ALL SELECT other FROM orders", []),
            ("SELECT DISTINCT at FROM orders", [0]), ("SELECT DISTINCT ON (id) id, at FROM orders ORDER BY id, at", [1]),
            ("SELECT DISTINCT ON (id) id, at FROM orders ORDER BY id, at DESC", []), ("SELECT at FROM orders ORDER BY id LIMIT 3", []),
            ("SELECT at, row_number() OVER (PARTITION BY at ORDER BY id) FROM orders", [0]), ("SELECT at, row_number() OVER (PARTITION BY id ORDER BY at) FROM orders", [0]),
            ("SELECT at, row_number() OVER (ORDER BY id) FROM orders", []),
            ("SELECT at, row_number() OVER (PARTITION BY at ORDER BY id), rank() OVER (ORDER BY id) FROM orders", []),
            ("SELECT at, window_start, window_end FROM hop(orders, at, '1 s', '2 s')", [0, 1, 2]),
            ("SELECT at, window_start, window_end FROM session(orders, at, '1 s', id)", [2]),
        ] as [(String, [Int]?)])
    func `a watermark is claimed where no older row can come`(sql: String, watermarked: [Int]?) throws {
        guard let watermarked else {
            #expect(throws: SQLError.self) { try relation(Self.further + sql) }
            return
        }
        let found = try relation(Self.further + sql)
        #expect(found.columns.indices.filter { found.columns[$0].eventTime == .watermarked } == watermarked, "\(found.text)")
    }

    @Test func `rows fall into windows by an event time without a watermark, and none of those is final`() throws {
        let joined = "CREATE VIEW known AS SELECT at, city FROM orders JOIN customers ON customer = name;"
        let query = "SELECT window_end, count(*) AS n FROM tumble(known, at, '1 min') GROUP BY window_end"
        #expect(try relation(joined + query).columns[0].eventTime == .open)
        let error = #expect(throws: SQLError.self) { try bound(joined + "CREATE MATERIALIZED VIEW v WITH (emit = 'final') AS \(query)") }
        #expect(error?.why.contains("join") == true && error?.hint.contains("lookup") == true, "\(error?.description ?? "")")
    }
}
