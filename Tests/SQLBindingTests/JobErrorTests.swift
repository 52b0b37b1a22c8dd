import SQLBinding
import SQLSyntax
import Testing

/// What a person can do wrong, and what is then said: the place and the first line of each error, and whole errors of each kind.
@Suite struct JobErrorTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let marked: String
        let what: String
        init(_ marked: String, _ what: String) { (self.marked, self.what) = (marked, what) }
        var testDescription: String { marked }
    }

    static func error(_ sql: String) throws -> SQLError? {
        #expect(throws: SQLError.self) { try bound(sql) }
    }

    static func check(_ refusal: Case) throws {
        let parts = refusal.marked.split(separator: "§", omittingEmptySubsequences: false)
        try #require(parts.count == 2, "no § in \(refusal.marked)")
        let error = try error(parts.joined())
        #expect(error?.what == refusal.what)
        let before = (declarations + parts[0]).split(separator: "\n", omittingEmptySubsequences: false)
        #expect(error.map { [$0.line, $0.column] } == [before.count, before[before.count - 1].count + 1], "\(error?.description ?? "")")
        #expect(error?.why.isEmpty == false && error?.hint.isEmpty == false)
    }

    @Test(arguments: [
        Case("SELECT §amuont FROM orders", "there is no column \"amuont\""),
        Case("SELECT §o.amuont FROM orders o", "there is no column \"o.amuont\""),
        Case("SELECT §x.amount FROM orders o", "there is no table \"x\" in FROM"),
        Case("SELECT §orders.amount FROM orders o", "there is no table \"orders\" in FROM"),
        Case("SELECT §at FROM orders JOIN payments ON id = order_id", "column \"at\" is ambiguous"),
        Case("SELECT §q.x FROM (SELECT 1 AS x, 2 AS x) q", "column \"x\" is ambiguous"),
        Case("SELECT §o FROM orders o", "\"o\" is a table and not a column"),
        Case("SELECT §x.* FROM orders o", "there is no table \"x\" in FROM"),
        Case("SELECT §*", "* without FROM"),
        Case("SELECT 1 FROM §oders", "there is no table \"oders\""),
        Case("SELECT 1 FROM §screen", "\"screen\" cannot be read"),
        Case("SELECT 1 FROM orders, §orders", "\"orders\" stands twice in FROM"),
        Case("SELECT 1 FROM §(SELECT 1)", "subquery in FROM must have an alias"),
        Case("SELECT §lenght(customer) FROM orders", "there is no function lenght"),
        Case("SELECT §lower(amount) FROM orders", "there is no lower(numeric)"),
        Case("SELECT customer §+ 1 FROM orders", "there is no +(text, integer)"),
        Case("SELECT 1 FROM orders WHERE §customer", "the argument of WHERE is text"),
        Case("SELECT 1 FROM orders WHERE amount §> 'much'", "the literal 'much' is no numeric"),
        Case("SELECT §CASE WHEN ok THEN 1 ELSE customer END FROM orders", "CASE types text and integer cannot be matched"),
        Case("SELECT customer::§money FROM orders", "there is no type money"),
        Case("SELECT 1 FROM orders WHERE §sum(amount) > 1", "aggregate sum in WHERE"),
        Case("SELECT sum(§max(amount)) FROM orders", "aggregate max in the argument of an aggregate"),
        Case("SELECT 1 FROM orders GROUP BY §sum(amount)", "aggregate sum in GROUP BY"),
        Case("SELECT 1 FROM orders JOIN payments ON id = order_id AND §count(*) > 1", "aggregate count in ON"),
        Case("SELECT §customer, count(*) FROM orders", "column \"customer\" is neither in GROUP BY nor in an aggregate"),
        Case("SELECT customer, §amount + sum(amount) FROM orders GROUP BY customer", "column \"amount\" is neither in GROUP BY nor in an aggregate"),
        Case("SELECT customer FROM orders GROUP BY customer HAVING §amount > 1", "column \"amount\" is neither in GROUP BY nor in an aggregate"),
        Case("SELECT §* FROM orders GROUP BY customer", "column \"id\" is neither in GROUP BY nor in an aggregate"),
        Case("SELECT customer FROM orders GROUP BY customer ORDER BY §amount LIMIT 1", "column \"amount\" is neither in GROUP BY nor in an aggregate"),
        Case("SELECT §customer FROM orders ORDER BY count(*) LIMIT 1", "column \"customer\" is neither in GROUP BY nor in an aggregate"),
        Case("SELECT DISTINCT ON (max(id)) §customer FROM orders", "column \"customer\" is neither in GROUP BY nor in an aggregate"),
        Case("SELECT 1 FROM orders WHERE id IN (SELECT order_id FROM payments ORDER BY §piad)", "there is no column \"piad\""),
        Case("SELECT 1 FROM hop(orders, at, §'1 microsecond', '1 day')", "hop puts each row into 86400000000 windows"),
        Case("SELECT 1 FROM cumulate(orders, at, §'1 second', '1 day')", "cumulate puts each row into 86400 windows"),
        Case("SELECT 1 FROM tumble(orders, at, §'106751991 days')", "a length of tumble is too long"),
        Case("SELECT 1 FROM session(orders, at, §'40000 days', customer)", "a length of session is too long"),
        Case("SELECT 1 FROM tumble(orders, at, '1 day', origin => §timestamptz '200000-01-01T00:00:00Z')", "an origin that is too far away"),
        Case("SELECT §sum(customer) FROM orders", "sum of text"),
        Case("SELECT §min(ok) FROM orders", "min of boolean"),
        Case("SELECT §count(1, 2) FROM orders", "count with other arguments"),
        Case("SELECT §sum(*) FROM orders", "sum with other arguments"),
        Case("SELECT §lower(DISTINCT customer) FROM orders", "lower is no aggregate"),
        Case("SELECT §string_agg(customer, ',') FROM orders", "aggregate string_agg is not there yet"),
        Case("SELECT §row_number() FROM orders", "row_number without OVER"),
        Case("SELECT row_number() OVER §(PARTITION BY id) FROM orders", "row_number without ORDER BY"),
        Case("SELECT §lag(id) OVER (ORDER BY at) FROM orders", "lag OVER (...) is not there yet"),
        Case("SELECT §sum(amount) OVER (ORDER BY at) FROM orders", "sum OVER (...) is not there yet"),
        Case("SELECT 1 FROM orders WHERE §row_number() OVER (ORDER BY at) = 1", "row_number in WHERE"),
        Case("SELECT 1 FROM orders GROUP BY §3", "GROUP BY 3 names no column"),
        Case("SELECT 1 FROM orders GROUP BY §'x'", "GROUP BY a constant"), Case("SELECT 1 FROM orders GROUP BY §2.5", "GROUP BY a constant"),
        Case("SELECT id FROM orders ORDER BY §NULL LIMIT 1", "ORDER BY a constant"),
        Case("SELECT id FROM orders ORDER BY §2 LIMIT 1", "ORDER BY 2 names no column"),
        Case("SELECT id AS x, amount AS x FROM orders ORDER BY §x LIMIT 1", "\"x\" is ambiguous"),
        Case("SELECT DISTINCT id FROM orders ORDER BY §amount LIMIT 1", "ORDER BY of DISTINCT by something that is not selected"),
        Case("SELECT DISTINCT ON (id) id FROM orders ORDER BY §amount, id", "ORDER BY of DISTINCT ON begins with something else"),
        Case("SELECT id FROM orders LIMIT §5", "LIMIT without ORDER BY"),
        Case("SELECT id FROM orders ORDER BY id LIMIT §id", "LIMIT without a whole number above zero"),
        Case("SELECT id FROM orders ORDER BY id LIMIT §0", "LIMIT without a whole number above zero"),
        Case("SELECT id FROM orders ORDER BY id LIMIT 1 OFFSET §1", "OFFSET has no meaning on a stream"),
        Case("§SELECT id FROM orders UNION ALL SELECT id, amount FROM orders", "UNION of queries with different columns"),
        Case("§SELECT id FROM orders UNION ALL SELECT customer FROM orders", "column 1 of UNION is bigint and text"),
        Case("SELECT id FROM orders UNION ALL SELECT 1 ORDER BY id §+ 1", "ORDER BY of a UNION by an expression"),
        Case("WITH a AS (SELECT 1), §a AS (SELECT 2) SELECT 1", "WITH names \"a\" twice"),
        Case("WITH §a (x, y) AS (SELECT 1) SELECT 1", "\"a\" names 2 columns"),
        Case("SELECT 1 FROM §orders a (b, c, d, e, f, g, h, i, j, k)", "\"a\" names 10 columns"),
    ]) func `what a query gets wrong is said at its place`(refusal: Case) throws { try Self.check(refusal) }

    @Test(arguments: [
        Case("SELECT 1 FROM orders, §payments", "the join with \"payments\" has no equality"),
        Case("SELECT 1 FROM orders, §payments WHERE amount > paid", "the join with \"payments\" has no equality"),
        Case("SELECT 1 FROM orders JOIN payments ON id = order_id, §customers c", "the join with \"c\" has no equality"),
        Case("SELECT 1 FROM orders, §payments WHERE id = quantity + order_id", "the join with \"payments\" has no equality"),
        Case("SELECT 1 FROM orders o JOIN §payments p ON o.id + p.order_id = p.order_id", "the join with \"p\" has no equality"),
        Case(
            "SELECT 1 FROM orders WHERE EXISTS (SELECT 1 FROM payments p, §lines l WHERE p.order_id + orders.id = l.n AND p.order_id = orders.id)",
            "the join with \"l\" has no equality"),
        Case(
            "SELECT 1 FROM orders WHERE EXISTS (SELECT 1 FROM payments WHERE order_id = id AND customer §IN (SELECT name FROM customers))",
            "a column of the query around this one, looked for in another one, is not there yet"),
        Case(
            "SELECT 1 FROM orders WHERE §EXISTS (SELECT 1 FROM payments WHERE order_id = id AND 1 / paid IN (SELECT paid FROM payments))",
            "a subquery that compares what can fail, behind a comparison with the query around it, is not there yet"),
        Case(
            "SELECT 1 FROM orders WHERE id §IN (SELECT row_number() OVER (ORDER BY paid) FROM payments WHERE order_id = id)",
            "a place among the rows that a comparison with the query around it leaves is not there yet"),
        Case("SELECT 1 FROM orders LEFT JOIN §payments ON amount > paid", "LEFT JOIN has no equality"),
        Case("SELECT 1 FROM orders LEFT JOIN §payments ON id = 1 AND order_id = 1", "LEFT JOIN has no equality"),
        Case("SELECT 1 FROM orders CROSS JOIN §payments", "the join with \"payments\" has no equality"),
        Case("SELECT 1 FROM orders JOIN §payments USING (at, id)", "there is no column \"id\""),
        Case("SELECT 1 FROM orders WHERE §EXISTS (SELECT 1 FROM payments)", "this EXISTS has no equality"),
        Case("SELECT 1 FROM orders WHERE §EXISTS (SELECT 1 FROM payments WHERE paid > amount)", "this EXISTS has no equality"),
        Case("SELECT 1 FROM orders WHERE id §NOT IN (SELECT order_id FROM payments)", "NOT IN over values that may be NULL"),
        Case("SELECT 1 FROM orders WHERE id §IN (SELECT order_id, paid FROM payments)", "a subquery of 2 columns where one is wanted"),
        Case("SELECT §EXISTS (SELECT 1 FROM payments WHERE order_id = id) FROM orders", "EXISTS in this place is not there yet"),
        Case("SELECT 1 FROM orders WHERE ok OR id §IN (SELECT order_id FROM payments)", "IN (SELECT ...) in this place is not there yet"),
        Case("SELECT 1 FROM orders WHERE id §> ALL (SELECT order_id FROM payments)", "> ALL (SELECT ...) is not there yet"),
        Case("SELECT 1 FROM orders WHERE amount > §(SELECT paid FROM payments)", "a subquery that may give several rows"),
        Case("SELECT 1 FROM orders WHERE amount > §(SELECT max(paid), 1 FROM payments)", "a subquery of 2 columns where one is wanted"),
        Case(
            "SELECT 1 FROM orders WHERE amount > (SELECT max(paid) FROM payments WHERE order_id = §id)",
            "column \"id\" of the query around this one, in this place, is not there yet"),
        Case(
            "SELECT 1 FROM orders WHERE EXISTS (SELECT §amount FROM payments WHERE order_id = id)",
            "column \"amount\" of the query around this one, in this place, is not there yet"),
        Case(
            "SELECT 1 FROM orders WHERE EXISTS (SELECT 1 FROM payments WHERE order_id = id AND EXISTS (SELECT 1 FROM customers WHERE name = §customer))",
            "customer stands two queries further out"),
        Case("SELECT 1 FROM orders JOIN payments ON id = order_id AND paid > §(SELECT 1)", "a subquery in ON is not there yet"),
        Case("SELECT 1 FROM §tumbel(orders, at, '1 min')", "there is no function \"tumbel\" in FROM"),
        Case("SELECT 1 FROM §tumble(orders, at)", "tumble with other arguments"),
        Case("SELECT 1 FROM tumble(orders, §other, '1 min')", "tumble over a column without a watermark"),
        Case("SELECT 1 FROM tumble(customers, §since, '1 min')", "the time of tumble is no column of timestamps"),
        Case("SELECT 1 FROM tumble(orders, at, §'1 month')", "a length of tumble has months or years"),
        Case("SELECT 1 FROM tumble(orders, at, §'0 s')", "a length of tumble is not above zero"),
        Case("SELECT 1 FROM tumble(orders, at, §interval '-1 s')", "a length of tumble is not above zero"),
        Case("SELECT 1 FROM tumble(orders, at, other §- at)", "a length of tumble is no constant"),
        Case("SELECT 1 FROM hop(orders, at, §'2 min', '1 min')", "a slide longer than its window"),
        Case("SELECT 1 FROM cumulate(orders, at, §'7 s', '1 min')", "a size that is no multiple of its step"),
        Case("SELECT 1 FROM tumble(orders, at, '1 min', §start => at)", "tumble has no argument \"start\""),
        Case("SELECT 1 FROM tumble(orders, at, '1 min', origin => §other)", "an origin that is no constant"),
        Case("SELECT 1 FROM §generate_series(1, 2)", "generate_series in FROM is not there yet"),
        Case("SELECT §ARRAY[1] FROM orders", "ARRAY as a value is not there yet"),
        Case("SELECT §ROW(1, 2) FROM orders", "a row as a value is not there yet"),
        Case("SELECT 1 FROM orders WHERE (id, quantity) §= (1, 2, 3)", "rows of different lengths"),
        Case("SELECT §interval '1' year to month FROM orders", "an interval of certain fields is not there yet"),
    ]) func `what joins, subqueries and windows cannot do is said at its place`(refusal: Case) throws { try Self.check(refusal) }

    @Test(arguments: [
        Case("CREATE TABLE §x (a int)", "table \"x\" has no connector"),
        Case("CREATE TABLE x (a int) WITH (§connector = 'kafak')", "there is no connector \"kafak\""),
        Case("CREATE TABLE §x (a int) WITH (connector = 'kafka', format = 'json')", "table \"x\" has no topic"),
        Case("CREATE TABLE §x (a int) WITH (connector = 'kafka', topic = 't')", "table \"x\" has no format"),
        Case("CREATE TABLE §x (a int) WITH (connector = 'postgres', \"table\" = 't')", "table \"x\" has no url"),
        Case("CREATE TABLE §x (a int) WITH (connector = 'sqlite', url = 't')", "table \"x\" has no table"),
        Case("CREATE TABLE x (a int) WITH (connector = 'console', §topic = 't')", "option \"topic\" is not one of connector console"),
        Case("CREATE TABLE x (a int) WITH (connector = 'kafka', §topik = 't')", "there is no option \"topik\""),
        Case("CREATE TABLE x (a int) WITH (connector = 'console', emit = 'final', §emit = 'final')", "option \"emit\" stands twice"),
        Case("CREATE TABLE x (a int) WITH (connector = 'kafka', topic = 't', §format = 'jsno')", "format = 'jsno' is not understood"),
        Case("CREATE TABLE x (a int) WITH (connector = 'kafka', topic = 't', format = 'json', §mode = 'debezium')", "mode = 'debezium' is not there yet"),
        Case("CREATE TABLE x (a int) WITH (connector = 'kafka', topic = 't', format = 'json', §mode = 'lookup')", "mode = 'lookup' of connector kafka"),
        Case("CREATE TABLE x (a int) WITH (connector = 'kafka', topic = 't', format = 'json', §mode = 'upsert')", "mode = 'upsert' without a key"),
        Case("CREATE TABLE x (a int) WITH (connector = 'kafka', topic = 't', format = 'json', §event_time = 'b')", "there is no column \"b\""),
        Case("CREATE TABLE x (a int) WITH (connector = 'kafka', topic = 't', format = 'json', §event_time = 'a')", "event time \"a\" is integer"),
        Case("CREATE TABLE x (a int) WITH (connector = 'kafka', topic = 't', format = 'json', §lateness = '1 s')", "lateness without an event time"),
        Case(
            "CREATE TABLE x (a timestamptz) WITH (connector = 'kafka', topic = 't', format = 'json', event_time = 'a', §lateness = '1 month')",
            "lateness = '1 month' is not understood"),
        Case("CREATE TABLE x (a int) WITH (connector = 'kafka', topic = 't', format = 'json', §version = 'a')", "version of a table that is no upsert"),
        Case("CREATE TABLE x (a int) WITH (connector = 'kafka', topic = 't', §format = 'raw')", "format = 'raw' with other columns"),
        Case("CREATE TABLE x (a int) WITH (connector = 'console', §max_state = 'much')", "max_state = 'much' is not understood"),
        Case("CREATE TABLE x (a int) WITH (connector = 'postgres', url = 'u', \"table\" = 't', §changes = 'maybe')", "changes = 'maybe' is not understood"),
        Case("CREATE TABLE x (a int, §PRIMARY KEY (a)) WITH (connector = 'kafka', topic = 't', format = 'json')", "PRIMARY KEY of a topic that is appended to"),
        Case("INSERT INTO §lines SELECT customer, n FROM lines", "\"lines\" is read and written"),
        Case("INSERT INTO lines SELECT 'a', 1; SELECT n FROM §lines", "\"lines\" is read and written"),
        Case("CREATE TABLE x (a int, §a text) WITH (connector = 'console')", "column \"a\" stands twice"),
        Case("CREATE TABLE x (a int, §PRIMARY KEY (b)) WITH (connector = 'console')", "there is no column \"b\""),
        Case("CREATE TABLE x (a §varchar(0)) WITH (connector = 'console')", "a text of length 0"),
        Case("CREATE TABLE x (a §numeric(50, 2)) WITH (connector = 'console')", "numeric(50, 2)"),
        Case("CREATE TABLE x (a §timestamptz(9)) WITH (connector = 'console')", "9 digits behind the second"),
        Case("CREATE TABLE x (a §hstore) WITH (connector = 'console')", "there is no type hstore"),
        Case("CREATE TABLE x (a §int[][]) WITH (connector = 'console')", "an array of more than one dimension is not there yet"),
        Case("CREATE TABLE x (a int DEFAULT §'x') WITH (connector = 'console')", "the literal 'x' is no integer"),
        Case("CREATE TABLE x (a int DEFAULT §count(*)) WITH (connector = 'console')", "aggregate count in DEFAULT"),
        Case("CREATE TABLE x (a int, b int GENERATED ALWAYS AS (§c + 1) STORED) WITH (connector = 'console')", "there is no column \"c\""),
        Case("CREATE TABLE §orders (a int) WITH (connector = 'console')", "\"orders\" is declared twice"),
        Case("CREATE VIEW §orders AS SELECT 1", "\"orders\" is declared twice"),
        Case("§CREATE VIEW v AS SELECT 1", "column 1 has no name"),
        Case("§CREATE MATERIALIZED VIEW v AS SELECT id, customer AS id FROM orders", "two columns are called \"id\""),
        Case("CREATE MATERIALIZED VIEW v WITH (§topic = 't') AS SELECT id FROM orders", "option \"topic\" is not one of a materialized view"),
        Case("CREATE MATERIALIZED VIEW §v WITH (emit = 'final') AS SELECT id FROM orders", "emit = 'final' without an event time among the columns"),
        Case("CREATE MATERIALIZED VIEW §v WITH (early = '1 s') AS SELECT id FROM orders", "early without emit = 'final'"),
        Case(
            "CREATE MATERIALIZED VIEW §v WITH (emit = 'final') AS SELECT o.at, c.city FROM orders o JOIN customers c ON o.customer = c.name",
            "emit = 'final' without a watermark"),
        Case(
            "CREATE TABLE x (a int) WITH (connector = 'sqlite', url = 'x.db', \"table\" = 'x', emit = 'final', §early = '5 s')", "early of a table without a key"),
        Case(
            "CREATE MATERIALIZED VIEW §v WITH (emit = 'final', early = '5 s') AS SELECT at FROM orders UNION ALL SELECT at FROM payments",
            "view \"v\" has no key, and its rows change"),
        Case("CREATE MATERIALIZED VIEW §v AS SELECT name FROM customers UNION ALL SELECT customer FROM orders", "view \"v\" has no key, and its rows change"),
        Case(
            "INSERT INTO by_customer SELECT customer, sum(amount) FROM orders GROUP BY customer; INSERT INTO §by_customer SELECT customer, max(amount) FROM orders GROUP BY customer",
            "two queries write \"by_customer\""),
        Case(
            "CREATE TABLE again (a text) WITH (connector = 'sqlite', url = 'x.db', \"table\" = 'by_customer'); "
                + "INSERT INTO by_customer SELECT customer, sum(amount) FROM orders GROUP BY customer; INSERT INTO §again SELECT customer FROM orders",
            "two queries write \"again\""),
        Case(
            "CREATE TABLE other (a text PRIMARY KEY, b numeric) WITH (connector = 'kafka', topic = 'o', format = 'json', mode = 'upsert'); "
                + "CREATE TABLE another (a text PRIMARY KEY, b numeric) WITH (connector = 'kafka', topic = 'o', format = 'json', mode = 'upsert'); "
                + "INSERT INTO other SELECT customer, sum(amount) FROM orders GROUP BY 1; INSERT INTO §another SELECT customer, max(amount) FROM orders GROUP BY 1",
            "two queries write \"another\""),
        Case(
            "CREATE TABLE same (a text PRIMARY KEY, b int8) WITH (connector = 'postgres', url = 'postgres://x/y', \"table\" = 'v'); "
                + "CREATE MATERIALIZED VIEW v AS SELECT customer, count(*) FROM orders GROUP BY 1; INSERT INTO §same SELECT customer, count(*) FROM orders GROUP BY 1",
            "two queries write \"same\""),
        Case("§SET on_eror = 'stop'", "there is no setting \"on_eror\""),
        Case("§SET on_error = 'skip'", "on_error = 'skip' is not understood"),
        Case("SET on_error = 'stop'; §SET on_error = 'null'", "on_error is set twice"),
        Case("§SET timezone = 'UTC'", "timezone behind other statements"),
        Case("SELECT id FROM orders; §SELECT id FROM orders", "a second SELECT"),
        Case("CREATE VIEW v AS SELECT id FROM orders§", "a text without an output"),
        Case("INSERT INTO §nowhere SELECT 1", "there is no table \"nowhere\""),
        Case("CREATE VIEW v AS SELECT id FROM orders; INSERT INTO §v SELECT 1", "\"v\" is a view"),
        Case("INSERT INTO lines (customer, §m) SELECT 'a', 1", "there is no column \"m\""),
        Case("INSERT INTO lines (n, §n) SELECT 1, 1", "column \"n\" stands twice"),
        Case("INSERT INTO §lines SELECT 'a', 1, 2", "3 columns for 2 of \"lines\""),
        Case("INSERT INTO §lines (customer) SELECT 'a'", "nothing for column \"n\""),
        Case("§INSERT INTO lines SELECT customer, customer FROM orders", "column \"n\" is bigint, the query gives text"),
        Case("INSERT INTO §by_customer SELECT customer, amount FROM orders", "(customer) is not a key of the query"),
        Case("INSERT INTO §by_customer SELECT customer, sum(amount) FROM orders GROUP BY customer, ok", "(customer) is not a key of the query"),
        Case("INSERT INTO §by_customer (total) SELECT amount FROM orders", "nothing for the key of \"by_customer\""),
        Case("INSERT INTO §lines SELECT customer, count(*) FROM orders GROUP BY customer", "table \"lines\" has no key, and rows of the query change"),
        Case("INSERT INTO §lines SELECT name, 1 FROM customers", "table \"lines\" has no key, and rows of the query change"),
        Case(
            "INSERT INTO §lines SELECT customer, coalesce(order_id, 0) FROM orders LEFT JOIN payments ON id = order_id", "table \"lines\" has no key, and rows of the query change"),
    ]) func `what a job cannot declare is said at its place`(refusal: Case) throws { try Self.check(refusal) }

    /// The whole of what is printed, for each kind that a person meets most.
    @Test(arguments: [
        (
            "SELECT amuont FROM orders",
            """
            job.sql:8:8: there is no column "amuont"
              8 | SELECT amuont FROM orders
                |        ^
              why: no table in FROM has it
              now: did you mean amount numeric?
            """
        ),
        (
            "SELECT id\nFROM orders o JOIN payments p ON o.id = p.order_id\nWHERE at > timestamptz '2020-01-01'",
            """
            job.sql:10:7: column "at" is ambiguous
              10 | WHERE at > timestamptz '2020-01-01'
                 |       ^
              why: it can be "o.at" or "p.at"
              now: write the table before it: o.at
            """
        ),
        (
            "SELECT customer FROM orders WHERE sum(amount) > 10 GROUP BY customer",
            """
            job.sql:8:35: aggregate sum in WHERE
              8 | SELECT customer FROM orders WHERE sum(amount) > 10 GROUP BY customer
                |                                   ^
              why: WHERE chooses rows before they are grouped
              now: write the condition in HAVING
            """
        ),
        (
            "INSERT INTO by_customer SELECT customer, sum(amount) FROM orders GROUP BY customer, ok",
            """
            job.sql:8:13: (customer) is not a key of the query
              8 | INSERT INTO by_customer SELECT customer, sum(amount) FROM orders GROUP BY customer, ok
                |             ^
              why: two of its rows may have equal values there, and one would replace the other
              now: group by these columns, or take the first row of each with DISTINCT ON
            """
        ),
        (
            "INSERT INTO lines SELECT customer, count(*) FROM orders GROUP BY customer",
            """
            job.sql:8:13: table "lines" has no key, and rows of the query change
              8 | INSERT INTO lines SELECT customer, count(*) FROM orders GROUP BY customer
                |             ^
              why: what changes them is GROUP BY, whose groups grow
              now: declare PRIMARY KEY (...) so that rows are replaced
            """
        ),
        (
            """
            CREATE TABLE ended (customer text, "end" timestamptz) WITH (connector = 'kafka', topic = 'ended', format = 'json');
            INSERT INTO ended SELECT customer, window_end FROM tumble(orders, at, '1 min') GROUP BY customer, window_end
            """,
            """
            job.sql:9:13: table "ended" has no key, and rows of the query change
              9 | INSERT INTO ended SELECT customer, window_end FROM tumble(orders, at, '1 min') GROUP BY customer, window_end
                |             ^
              why: what changes them is GROUP BY, whose groups grow
              now: declare PRIMARY KEY (...) so that rows are replaced, or emit = 'final' so that each comes once
            """
        ),
        (
            "CREATE MATERIALIZED VIEW v WITH (emit = 'final') AS SELECT o.at FROM orders o JOIN customers c ON o.customer = c.name",
            """
            job.sql:8:26: emit = 'final' without a watermark
              8 | CREATE MATERIALIZED VIEW v WITH (emit = 'final') AS SELECT o.at FROM orders o JOIN customers c ON o.customer = c.name
                |                          ^
              why: a row is final when the watermark has passed it, and none is left behind a join, which can bring any old row again
              now: read what is joined as a lookup table (mode = 'lookup' of postgres or sqlite), or bound the join by event times: a.at BETWEEN b.at AND b.at + interval '1 hour'
            """
        ),
        (
            "INSERT INTO lines SELECT o.customer, count(*) FROM tumble(orders, at, '1 min') o GROUP BY o.customer, window_end",
            """
            job.sql:8:13: table "lines" has no key, and rows of the query change
              8 | INSERT INTO lines SELECT o.customer, count(*) FROM tumble(orders, at, '1 min') o GROUP BY o.customer, window_end
                |             ^
              why: what changes them is GROUP BY, whose groups grow
              now: declare PRIMARY KEY (...) so that rows are replaced
            """
        ),
        (
            "SELECT count(*) FROM tumble(orders, other, '1 min')",
            """
            job.sql:8:37: tumble over a column without a watermark
              8 | SELECT count(*) FROM tumble(orders, other, '1 min')
                |                                     ^
              why: "other" is not the event time of what is read, so no window would ever end
              now: declare event_time = 'other' in WITH of the table
            """
        ),
        (
            "CREATE TABLE x (a int) WITH (connector = 'kafka', topik = 't', format = 'json')",
            """
            job.sql:8:51: there is no option "topik"
              8 | CREATE TABLE x (a int) WITH (connector = 'kafka', topik = 't', format = 'json')
                |                                                   ^
              why: connector kafka has no such option
              now: did you mean "topic"?
            """
        ),
    ]) func `an error is printed whole`(sql: String, printed: String) throws {
        #expect(try Self.error(sql)?.description == printed)
    }
}
