import SQLBinding
import SQLSyntax

/// The tables that the queries of these tests read and write.
let declarations = """
    CREATE TABLE orders (id int8, customer text, amount numeric(10, 2) NOT NULL, quantity int4, price float8, ok bool, data jsonb, at timestamptz, other timestamptz) WITH (connector = 'kafka', topic = 'orders', format = 'json', event_time = 'at', lateness = '10 s');
    CREATE TABLE payments (order_id int8 NOT NULL, paid numeric, at timestamptz) WITH (connector = 'kafka', topic = 'payments', format = 'json', event_time = 'at');
    CREATE TABLE customers (name text PRIMARY KEY, city text, since date) WITH (connector = 'kafka', topic = 'customers', format = 'json', mode = 'upsert');
    CREATE TABLE cities (city text PRIMARY KEY, country text) WITH (connector = 'postgres', url = 'postgres://x/y', "table" = 'cities');
    CREATE TABLE by_customer (customer text PRIMARY KEY, total numeric) WITH (connector = 'sqlite', url = 'x.db', "table" = 'by_customer', mode = 'upsert');
    CREATE TABLE lines (customer text, n int8 NOT NULL) WITH (connector = 'kafka', topic = 'lines', format = 'json');
    CREATE TABLE screen (a text, b text) WITH (connector = 'console');

    """

/// A text behind the declarations, bound.
func bound(_ sql: String) throws -> BoundJob {
    try BoundJob(binding: Script(parsing: SourceText(declarations + sql, name: "job.sql")), settings: ["max_batch_records"])
}

struct NoQuestion: Error {}

/// The relation of a SELECT over the declared tables.
func relation(_ sql: String) throws -> Relation {
    guard let question = try bound(sql).question else { throw NoQuestion() }
    return question
}
