// Queries in one spelling.

extension Query {
    /// The query as SQL.
    package var sql: String {
        var text = ""
        if !with.isEmpty {
            let tables = with.map { table in
                let names = table.columns.isEmpty ? "" : " (\(list(table.columns.map(\.text))))"
                return "\(quoted(name: table.name.text))\(names) AS (\(table.query.sql))"
            }
            text += "WITH \(tables.joined(separator: ", ")) "
        }
        text += body.sql
        if !order.isEmpty { text += " ORDER BY \(order.sql)" }
        if let limit { text += " LIMIT \(limit.sql)" }
        if let offset { text += " OFFSET \(offset.sql)" }
        return text
    }
}

extension Query.Body {
    fileprivate var sql: String {
        switch self {
        case .select(let block): block.sql
        case .union(let left, let right, let isAll): "(\(left.sql)) UNION \(isAll ? "ALL " : "")(\(right.sql))"
        case .values(let rows): "VALUES \(rows.map { "(\($0.sql))" }.joined(separator: ", "))"
        }
    }
}

extension SelectBlock {
    fileprivate var sql: String {
        var text = "SELECT "
        switch distinct {
        case nil: break
        case .rows: text += "DISTINCT "
        case .on(let keys): text += "DISTINCT ON (\(keys.sql)) "
        }
        text += items.map(\.sql).joined(separator: ", ")
        if !from.isEmpty { text += " FROM \(from.map(\.sql).joined(separator: ", "))" }
        if let filter { text += " WHERE \(filter.sql)" }
        if !groups.isEmpty { text += " GROUP BY \(groups.sql)" }
        if let having { text += " HAVING \(having.sql)" }
        return text
    }
}

extension SelectItem {
    fileprivate var sql: String {
        switch kind {
        case .all(let table): (table.map { quoted(name: $0.text) } + ["*"]).joined(separator: ".")
        case .expression(let expression, let alias): expression.sql + (alias.map { " AS \(quoted(name: $0.text))" } ?? "")
        }
    }
}

extension [OrderItem] {
    var sql: String {
        map { item in
            let nulls = item.nullsFirst.map { $0 ? " NULLS FIRST" : " NULLS LAST" } ?? ""
            return item.expression.sql + (item.isDescending ? " DESC" : "") + nulls
        }.joined(separator: ", ")
    }
}

extension TableReference {
    fileprivate var sql: String {
        switch kind {
        case .table(let name): quoted(name: name.text) + aliasSQL
        case .subquery(let query): "(\(query.sql))" + aliasSQL
        case .function(let call): call.sql + aliasSQL
        case .join(let kind, let left, let right, let condition):
            "(\(left.sql) \(condition.words(of: kind)) \(right.sql)\(condition.sql))" + aliasSQL
        }
    }

    private var aliasSQL: String {
        guard let alias else { return "" }
        return " AS \(quoted(name: alias.name))" + (alias.columns.isEmpty ? "" : " (\(list(alias.columns)))")
    }
}

extension JoinCondition {
    fileprivate func words(of kind: JoinKind) -> String {
        let words =
            switch kind {
            case .inner: "JOIN"
            case .left: "LEFT JOIN"
            case .right: "RIGHT JOIN"
            case .full: "FULL JOIN"
            }
        return switch self {
        case .on, .using: words
        case .natural: "NATURAL \(words)"
        case .none: "CROSS JOIN"
        }
    }

    fileprivate var sql: String {
        switch self {
        case .on(let condition): " ON \(condition.sql)"
        case .using(let columns): " USING (\(list(columns)))"
        case .natural, .none: ""
        }
    }
}
