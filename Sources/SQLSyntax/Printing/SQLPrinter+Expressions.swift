// Expressions in one spelling. Whatever may stand beside an operator is in brackets, or needs none.

extension [ExpressionSyntax] {
    var sql: String { map(\.sql).joined(separator: ", ") }
}

extension ExpressionSyntax {
    /// The expression as SQL.
    package var sql: String {
        switch kind {
        case .column(let path): path.map { quoted(name: $0.text) }.joined(separator: ".")
        case .literal(let literal): literal.sql
        case .cast(let operand, let type): "CAST(\(operand.sql) AS \(type.sql))"
        case .binary(let sign, let left, let right): "(\(left.sql) \(sign) \(right.sql))"
        case .prefix(let sign, let operand): "(\(sign) \(operand.sql))"
        case .and(let sides): "(\(sides.map(\.sql).joined(separator: " AND ")))"
        case .or(let sides): "(\(sides.map(\.sql).joined(separator: " OR ")))"
        case .not(let operand): "(NOT \(operand.sql))"
        case .isNull(let operand, let isNegated): "(\(operand.sql) IS \(not(isNegated))NULL)"
        case .isTruth(let operand, let truth, let isNegated): "(\(operand.sql) IS \(not(isNegated))\(truth.rawValue))"
        case .isDistinct(let left, let right, let isNegated): "(\(left.sql) IS \(not(isNegated))DISTINCT FROM \(right.sql))"
        case .between(let operand, let low, let high, let isNegated): "(\(operand.sql) \(not(isNegated))BETWEEN \(low.sql) AND \(high.sql))"
        case .like(let operand, let pattern, let escape, let ignoresCase, let isNegated):
            "(\(operand.sql) \(not(isNegated))\(ignoresCase ? "ILIKE" : "LIKE") \(pattern.sql)\(escape.map { " ESCAPE \($0.sql)" } ?? ""))"
        case .inList(let operand, let items, let isNegated): "(\(operand.sql) \(not(isNegated))IN (\(items.sql)))"
        case .inQuery(let operand, let query): "(\(operand.sql) IN (\(query.sql)))"
        case .exists(let query): "EXISTS (\(query.sql))"
        case .scalar(let query): "(\(query.sql))"
        case .quantifiedQuery(let operand, let sign, let quantifier, let query): "(\(operand.sql) \(sign) \(quantifier.rawValue) (\(query.sql)))"
        case .quantifiedArray(let operand, let sign, let quantifier, let array): "(\(operand.sql) \(sign) \(quantifier.rawValue) (\(array.sql)))"
        case .searchedCase(let branches, let otherwise): "CASE\(branches.sql)\(elseSQL(otherwise)) END"
        case .simpleCase(let operand, let branches, let otherwise): "CASE \(operand.sql)\(branches.sql)\(elseSQL(otherwise)) END"
        case .conditional(let kind, let arguments): "\(kind.rawValue)(\(arguments.sql))"
        case .call(let call): call.sql
        case .array(let elements): "ARRAY[\(elements.sql)]"
        case .row(let fields): "ROW(\(fields.sql))"
        case .element(let array, let indices): "(\(array.sql))\(indices.map { "[\($0.sql)]" }.joined())"
        case .field(let row, let name): "(\(row.sql)).\(quoted(name: name.text))"
        }
    }
}

private func not(_ isNegated: Bool) -> String { isNegated ? "NOT " : "" }
private func elseSQL(_ otherwise: ExpressionSyntax?) -> String { otherwise.map { " ELSE \($0.sql)" } ?? "" }

extension [CaseBranch] {
    fileprivate var sql: String { map { " WHEN \($0.condition.sql) THEN \($0.result.sql)" }.joined() }
}

extension Literal {
    fileprivate var sql: String {
        switch self {
        case .null: "NULL"
        case .boolean(let value): value ? "TRUE" : "FALSE"
        // A sign binds looser than a cast.
        case .number(let text): text.hasPrefix("-") ? "(\(text))" : text
        case .text(let text): quoted(text: text)
        }
    }
}

extension FunctionCall {
    var sql: String {
        if let special = specialSQL { return special }
        var inside = isStar ? "*" : (isDistinct ? "DISTINCT " : "") + arguments.map(\.sql).joined(separator: ", ")
        if !order.isEmpty && !isWithinGroup { inside += " ORDER BY \(order.sql)" }
        var text = "\(quoted(name: name.text))(\(inside))"
        if isWithinGroup { text += " WITHIN GROUP (ORDER BY \(order.sql))" }
        if let filter { text += " FILTER (WHERE \(filter.sql))" }
        if let window {
            let clauses = [
                window.partition.isEmpty ? nil : "PARTITION BY \(window.partition.sql)", window.order.isEmpty ? nil : "ORDER BY \(window.order.sql)",
            ]
            text += " OVER (\(clauses.compactMap(\.self).joined(separator: " ")))"
        }
        return text
    }

    /// Calls that everybody writes in the grammar's own words.
    private var specialSQL: String? {
        if ["current_timestamp", "current_date", "localtimestamp", "localtime"].contains(name.text), self == FunctionCall(name, []) { return name.text.uppercased() }
        guard arguments.count == 2, arguments.allSatisfy({ $0.name == nil }), !isDistinct, order.isEmpty, filter == nil, window == nil else { return nil }
        let (first, second) = (arguments[0].value, arguments[1].value)
        switch name.text {
        case "timezone": return "(\(second.sql) AT TIME ZONE \(first.sql))"
        case "extract":
            guard case .literal(.text) = first.kind else { return nil }
            return "EXTRACT(\(first.sql) FROM \(second.sql))"
        default: return nil
        }
    }
}

extension FunctionCall.Argument {
    fileprivate var sql: String { (name.map { "\(quoted(name: $0.text)) => " } ?? "") + value.sql }
}
