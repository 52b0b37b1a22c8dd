import Dataflow
import Engine
import SQLBinding
import SQLJobs
import SQLSyntax
import TestSupport
import Testing
import Values

/// What a job gives a sink, read by a real PostgreSQL into a table of the names of types that stand beside it: it has the values that
/// PostgreSQL itself has for the same query.
@Suite(.serialized, .enabled(if: PostgresFixture.missingReason == nil)) struct WrittenValueTests {
    private static let columns = """
        id int4, b bool, i2 int2, i8 int8, f4 float4, f8 float8, n numeric, p numeric(12, 3), s text, x bytea, d date, ti time, ts timestamp, tz timestamptz, iv interval, u uuid,
        j jsonb, l int4[]
        """
    private static let rows: [[String?]] = [
        [
            "1", "t", "-32768", "9223372036854775807", "0.1", "1e-300", "123456789012345678901234567890.5", "1.2345", "it's \"a\" \\ text", "\\x00ff27", "2026-02-28",
            "23:59:59.999999",
            "2026-01-01 00:00:00.000001", "2026-03-01 12:00:00.5+00", "1 year 2 mons -3 days 04:05:06.7", "00000000-0000-0000-0000-00000000000a", "{\"b\": [1, 2.50, null]}",
            "{1,2,-3}",
        ],
        [
            "2", "f", "32767", "-9223372036854775808", "-3.4e38", "1.7976931348623157e308", "0.000", "-0.0005", "", "\\x", "0001-01-01", "00:00:00", "9999-12-31 23:59:59.999999",
            "9999-12-31 23:59:59.999999+00", "-00:00:00.000001", "ffffffff-ffff-ffff-ffff-ffffffffffff", "\"text\"", "{}",
        ],
        [
            "3", nil, "0", "0", "1e-40", "-0", "-7", "999999999.999", "ärger\n\t€😀", "\\xe28082", "1969-12-31", "12:34:56.1", "1969-12-31 23:59:59.999999",
            "1969-12-31 23:59:59.999999+00",
            "100 days", nil, "[]", nil,
        ],
        ["4", nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, "0001-01-01 00:00:00.000001+00", nil, nil, nil, nil],
        ["5", nil, nil, nil, "NaN", "Infinity", "NaN", nil, "\\N", nil, nil, nil, nil, "2026-03-01 12:00:00.000999+00", nil, nil, nil, nil],
    ]

    static let queries = [
        "SELECT * FROM t", "SELECT id, NULL AS nothing, 'word' AS word, 1.50 AS number, true AS yes, interval '1 day' AS span FROM t",
        "SELECT id, i2 + i2::int4 AS a, i8 / 2.0 AS b, f4::float8 AS c, f4 * 2 AS d, tz::date AS e, tz - ts::timestamptz AS f, l AS g, j -> 'b' AS h FROM t",
        "SELECT max(tz) AS a, min(n) AS b, sum(i8) AS c, avg(f8) FILTER (WHERE f8 < 1e9) AS d, count(*) AS e, max(iv) AS f, min(l) AS g, bool_or(b) AS h FROM t",
    ]

    @Test(arguments: queries.indices, ["UTC", "America/New_York"]) func `a database reads what is meant`(index: Int, zone: String) throws {
        let query = Self.queries[index]
        let text = """
            SET timezone = '\(zone)';
            CREATE TABLE t (\(Self.columns)) WITH (connector = 'kafka', topic = 't', format = 'json');
            CREATE MATERIALIZED VIEW a AS \(query)
            """
        let rig = try JobRig(text, .init(seed: 1))
        var writer = RecordWriter(rig.source.table, partitions: 2, seed: 1)
        let records = try Self.rows.map { try writer.record(RigRow(table: "t", weight: 1, values: $0)) }
        try rig.run(records)
        #expect(rig.rejected.isEmpty)

        let database = try PostgresDatabase(url: PostgresFixture.shared().newDatabase())
        try database.execute("SET timezone = '\(zone)'")
        try database.execute("CREATE TABLE t (\(Self.columns))")
        func literal(_ text: String?) -> String { text.map { "'\($0.replacing("'", with: "''"))'" } ?? "NULL" }
        for row in Self.rows { try database.execute("INSERT INTO t VALUES (\(row.map(literal).joined(separator: ", ")))") }
        let fields = rig.graph.sink.schema.fields
        let declared = fields.map { "\"\($0.name)\" \($0.sqlType ?? $0.type.rawValue)\($0.nullable ? "" : " NOT NULL")" }
        try database.execute("CREATE TABLE a (\(declared.joined(separator: ", ")))")
        for row in rig.content.written { try database.execute("INSERT INTO a VALUES (\(row.map { literal(Self.text($0)) }.joined(separator: ", ")))") }
        let names = fields.map { "\"\($0.name)\"::text" }.joined(separator: ", ")
        func answer(_ from: String) throws -> [String] {
            try database.execute("SELECT \(names) FROM \(from) AS q").map { row in SinkContent.line(row.map { if case .text(let text) = $0 { text } else { nil } }) }.sorted()
        }
        let (ours, wanted) = (try answer("a"), try answer("(\(query))"))
        for (row, other) in zip(ours, wanted) { #expect(row == other) }
        #expect(ours.count == wanted.count && ours.count == (index == 3 ? 1 : Self.rows.count))
    }

    private static func text(_ value: Value) -> String? {
        switch value {
        case .null: nil
        case .int64(let number), .timestamp(let number): "\(number)"
        case .float64(let number): number.isNaN ? "NaN" : number.isInfinite ? "\(number < 0 ? "-" : "")Infinity" : "\(number)"
        case .bool(let isTrue): "\(isTrue)"
        case .text(let text): text
        }
    }
}
