// Random rows of small tables, and random queries over them: joins, groups, unions, ranks and nesting, as PostgreSQL takes them too.

/// Small tables, and queries over them; the same for the same seed.
package struct RandomWorld {
    package static let tables = """
        CREATE TABLE a (k int4, v int4, s text) WITH (connector = 'kafka', topic = 'a', format = 'json');
        CREATE TABLE b (k int4, v int4, s text) WITH (connector = 'kafka', topic = 'b', format = 'json');
        CREATE TABLE u (id int4 PRIMARY KEY, k int4, v int4, s text) WITH (connector = 'kafka', topic = 'u', format = 'json', mode = 'upsert');
        CREATE TABLE w (id int4 PRIMARY KEY, k int4, v int4, s text) WITH (connector = 'kafka', topic = 'w', format = 'json', mode = 'upsert');
        """

    private var random: SeededRandom
    private var aliases = 0

    package init(seed: UInt64) { random = SeededRandom(seed: seed) }

    private mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }
    private mutating func one(_ words: [String]) -> String { words[below(words.count)] }

    // MARK: rows

    package mutating func rows() -> [RigRow] {
        (0..<below(9)).map { _ in
            let table = one(["a", "b", "u", "u", "w", "w"])
            func value(_ words: [String?]) -> String? { words[below(words.count)] }
            let values = [value(["0", "1", "2", nil]), value(["-2", "0", "1", "1", "5", nil]), value(["x", "y", "", nil])]
            if table == "a" || table == "b" { return RigRow(table: table, weight: 1, values: values) }
            return RigRow(table: table, weight: below(4) == 0 ? -1 : 1, values: [String(below(5))] + values)
        }
    }

    // MARK: queries

    private enum Kind { case number, text }

    private struct Shape {
        let sql: String
        let columns: [Kind]
    }

    package mutating func query() -> String { shape(depth: 1 + below(3)).sql }

    private mutating func alias() -> String {
        aliases += 1
        return "t\(aliases)"
    }

    private mutating func shape(depth: Int) -> Shape {
        if depth == 0 {
            let table = one(["a", "b", "u", "w"])
            return Shape(sql: "SELECT k::int8 AS c0, v::int8 AS c1, s AS c2 FROM \(table)", columns: [.number, .number, .text])
        }
        switch below(11) {
        case 0: return filtered(depth)
        case 1, 2: return grouped(depth)
        case 3, 4, 5: return joined(depth)
        case 6: return united(depth)
        case 7: return chosen(depth)
        case 8: return halfJoined(depth)
        case 9: return ranked(depth)
        default:
            let inner = shape(depth: depth - 1)
            return Shape(sql: "SELECT DISTINCT \(inner.columns.indices.map { "c\($0)" }.joined(separator: ", ")) FROM (\(inner.sql)) AS \(alias())", columns: inner.columns)
        }
    }

    private mutating func number(_ shape: Shape, _ alias: String) -> String {
        let numbers = shape.columns.indices.filter { shape.columns[$0] == .number }
        let column = "\(alias).c\(numbers[below(numbers.count)])"
        return one([column, column, "coalesce(\(column), 0)", "\(column) + 1", "CASE WHEN \(column) > 1 THEN \(column) ELSE 0 END"])
    }

    private mutating func condition(_ shape: Shape, _ alias: String) -> String {
        one([
            "\(number(shape, alias)) > \(below(3))", "\(number(shape, alias)) IS NULL", "\(number(shape, alias)) <> \(number(shape, alias))",
            "\(number(shape, alias)) IN (0, 1, 5) OR \(number(shape, alias)) < 0",
        ])
    }

    private mutating func filtered(_ depth: Int) -> Shape {
        let (inner, name) = (shape(depth: depth - 1), alias())
        return Shape(
            sql: "SELECT \(number(inner, name)) AS c0, \(number(inner, name)) AS c1, 'z' || c0::text AS c2 FROM (\(inner.sql)) AS \(name) WHERE \(condition(inner, name))",
            columns: [.number, .number, .text])
    }

    private mutating func grouped(_ depth: Int) -> Shape {
        let (inner, name) = (shape(depth: depth - 1), alias())
        let call = one([
            "count(*)", "count(X)", "sum(X)::int8", "min(X)", "max(X)", "count(DISTINCT X)", "sum(DISTINCT X)::int8", "sum(X) FILTER (WHERE Y > 0)::int8",
            "count(*) FILTER (WHERE Y IS NULL)",
        ]).replacing("FILTER (WHERE Y > 0)::int8", with: "FILTER (WHERE Y > 0)")
        let text = call.replacing("X", with: number(inner, name)).replacing("Y", with: number(inner, name))
        let second = one(["count(*)", "max(\(number(inner, name)))", "avg(\(number(inner, name)))::int8"])
        if below(5) == 0 { return Shape(sql: "SELECT (\(text))::int8 AS c0, \(second) AS c1 FROM (\(inner.sql)) AS \(name)", columns: [.number, .number]) }
        let having = below(4) == 0 ? " HAVING count(*) > 1" : ""
        let key = number(inner, name)
        return Shape(
            sql: "SELECT \(key) AS c0, (\(text))::int8 AS c1, \(second) AS c2 FROM (\(inner.sql)) AS \(name) GROUP BY \(key)\(having)",
            columns: [.number, .number, .number])
    }

    private mutating func joined(_ depth: Int) -> Shape {
        let (left, right) = (shape(depth: depth - 1), shape(depth: below(depth)))
        let (a, b) = (alias(), alias())
        let type = one(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        let equal = one(["=", "=", "="])
        // PostgreSQL takes a FULL JOIN only where all of its condition can be merged or hashed.
        let further = type != "FULL JOIN" && below(3) == 0 ? " AND \(number(left, a)) < \(number(right, b))" : ""
        let on = type == "FULL JOIN" ? "\(a).c0 = \(b).c0" : "\(number(left, a)) \(equal) \(number(right, b))\(further)"
        return Shape(
            sql: "SELECT \(a).c0 AS c0, \(b).c0 AS c1, \(number(left, a)) AS c2, \(b).c1 AS c3 FROM (\(left.sql)) AS \(a) \(type) (\(right.sql)) AS \(b) ON \(on)",
            columns: [.number, .number, .number, right.columns[1]])
    }

    private mutating func united(_ depth: Int) -> Shape {
        let (left, right) = (shape(depth: depth - 1), shape(depth: below(depth)))
        return Shape(
            sql: "SELECT c0, c1 FROM (\(left.sql)) AS \(alias()) \(one(["UNION ALL", "UNION ALL", "UNION"])) SELECT c0, c1 FROM (\(right.sql)) AS \(alias())",
            columns: [.number, left.columns[1]])
    }

    private mutating func chosen(_ depth: Int) -> Shape {
        let inner = shape(depth: depth - 1)
        let all = inner.columns.indices.map { "c\($0)" }
        if below(2) == 0 {
            return Shape(
                sql:
                    "SELECT \(all.joined(separator: ", ")) FROM (\(inner.sql)) AS \(alias()) ORDER BY \(all.map { $0 + one(["", " DESC", " NULLS FIRST"]) }.joined(separator: ", ")) LIMIT \(1 + below(4))",
                columns: inner.columns)
        }
        return Shape(
            sql: "SELECT DISTINCT ON (c0) \(all.joined(separator: ", ")) FROM (\(inner.sql)) AS \(alias()) ORDER BY \(all.map { $0 + one(["", " DESC"]) }.joined(separator: ", "))",
            columns: inner.columns)
    }

    private mutating func halfJoined(_ depth: Int) -> Shape {
        let (left, right) = (shape(depth: depth - 1), shape(depth: below(depth)))
        let (a, b) = (alias(), alias())
        let further = below(2) == 0 ? " AND \(number(left, a)) <= \(number(right, b))" : ""
        return Shape(
            sql:
                "SELECT \(left.columns.indices.map { "\(a).c\($0) AS c\($0)" }.joined(separator: ", ")) FROM (\(left.sql)) AS \(a) WHERE \(one(["EXISTS", "NOT EXISTS"])) (SELECT 1 FROM (\(right.sql)) AS \(b) WHERE \(b).c0 = \(a).c0\(further))",
            columns: left.columns)
    }

    private mutating func ranked(_ depth: Int) -> Shape {
        let inner = shape(depth: depth - 1)
        let all = inner.columns.indices.map { "c\($0)" }
        let function = one(["row_number", "rank", "dense_rank"])
        let order = function == "row_number" ? all.joined(separator: ", ") : "c1"
        let limit = below(2) == 0 ? " WHERE c2 <= \(1 + below(3))" : ""
        return Shape(
            sql: "SELECT c0, c1, c2 FROM (SELECT c0, c1, \(function)() OVER (PARTITION BY c0 ORDER BY \(order)) AS c2 FROM (\(inner.sql)) AS \(alias())) AS \(alias())\(limit)",
            columns: [.number, inner.columns[1], .number])
    }
}
