import Engine
import SQLBinding
import SQLSyntax
import TestSupport
import Testing
import Values

/// PostgreSQL says what the columns of a query are called, and of which types they are.
@Suite(.enabled(if: PostgresFixture.missingReason == nil, "needs a PostgreSQL server"))
struct PostgresNamesTests {
    @Test(arguments: [
        "id", "o.id", "amount", "amount * 2", "quantity + id", "quantity / 2", "id / quantity", "price * quantity", "amount + price", "-amount", "-quantity", "customer || 'x'",
        "lower(customer)", "length(customer)", "'x'",
        "NULL", "1", "2147483648", "9223372036854775808", "1.5", "true", "at", "at + interval '1 day'", "at - at", "at::date", "at::date + 1", "CAST(id AS text)",
        "id::numeric(5, 2)", "'1'::int4",
        "date '2020-01-01'", "timestamptz '2020-01-01'", "interval '1' day", "CASE WHEN ok THEN 1 ELSE 2.5 END", "CASE WHEN ok THEN 1 ELSE quantity END",
        "CASE WHEN ok THEN customer END", "COALESCE(quantity, 1.5)",
        "NULLIF(quantity, 0)", "GREATEST(quantity, id)", "LEAST('a', customer)", "quantity IS NULL", "ok IS TRUE", "NOT ok", "ok AND true", "id IN (1, 2)", "id BETWEEN 1 AND 2",
        "customer LIKE 'a%'", "id IS DISTINCT FROM 1",
        "extract(year FROM at)", "date_trunc('day', at)", "at AT TIME ZONE 'UTC'", "data -> 'a'", "data ->> 'a'", "(data ->> 'a')::int4", "abs(quantity)", "round(amount, 1)",
        "id = ANY (ARRAY[1, 2])", "(id, quantity) = (1, 2)",
        "upper(customer)::varchar(3)", "substring(customer FROM 2 FOR 3)", "position('a' IN customer)", "trim(customer)", "amount::int4::text", "(id)",
        "CASE ok WHEN true THEN 'a' END", "quantity % 2", "quantity & 1", "price::float4",
        "count(*)", "count(id)", "count(DISTINCT id)", "sum(quantity)", "sum(id)", "sum(amount)", "sum(price)", "sum(price::float4)", "sum(quantity::int2)", "avg(quantity)",
        "avg(id)", "avg(amount)", "avg(price)", "min(customer)", "max(at)",
        "max(at::date)", "min('x')", "sum(at - at)", "avg(at - at)", "bool_and(ok)", "every(ok)", "bool_or(ok)", "count(*) + 1", "sum(quantity) / count(*)",
        "sum(amount) FILTER (WHERE ok)", "(SELECT max(paid) FROM payments)",
        "(SELECT 1)", "row_number() OVER (ORDER BY at)", "rank() OVER (PARTITION BY customer ORDER BY id)", "dense_rank() OVER (ORDER BY id) + 1", "COALESCE(NULL, 'x')",
        "max(NULL)", "count(NULL)", "concat(customer, id)",
    ]) func `a column has PostgreSQL's name and type`(expression: String) throws {
        let query = "SELECT \(expression) FROM orders o"
        let found = try relation(query)
        let database = try PostgresDatabase(url: try PostgresFixture.shared().newDatabase())
        for statement in try Script(parsing: SourceText(declarations, name: "tables")).statements {
            guard case .createTable(let table) = statement.kind else { continue }
            let bare = CreateTable(name: table.name, columns: table.columns, primaryKey: table.primaryKey, options: [])
            try database.executeScript(Statement(.createTable(bare), at: statement.place).canonicalText)
        }
        try database.executeScript("CREATE TABLE answer AS \(query) WITH NO DATA")
        let wanted = try database.execute("SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'answer'::regclass AND attnum > 0", [])
        let type = found.columns[0].type.name
        #expect(wanted == [[.text(found.columns[0].name), .text(type)]] || (wanted == [[.text(found.columns[0].name), .text("character varying")]] && type == "text"))
    }
}
