// What an expression is for the block that it stands in: conditions that AND joins, IN and EXISTS, aggregates, and the name of its column.

import SQLSyntax

extension ExpressionSyntax {
    /// What AND joins.
    var conditions: [ExpressionSyntax] {
        if case .and(let sides) = kind { return sides.flatMap(\.conditions) }
        return [self]
    }

    /// The subquery of an IN or EXISTS that stands alone, or behind NOT.
    var membership: (query: Query, operand: ExpressionSyntax?, isNegated: Bool)? {
        switch kind {
        case .exists(let query): return (query, nil, false)
        case .inQuery(let operand, let query): return (query, operand, false)
        case .not(let inner):
            guard let (query, operand, isNegated) = inner.membership else { return nil }
            return (query, operand, !isNegated)
        default: return nil
        }
    }

    /// An aggregate that is not one of a subquery.
    var hasAggregate: Bool {
        contains { expression in
            if case .call(let call) = expression.kind { return call.window == nil && AggregateFunction.named(call.name.text) != nil }
            return false
        }
    }

    /// The name that PostgreSQL gives a column without AS.
    var outputName: String { nameAndStrength.name ?? "?column?" }

    /// A name by a cast or CASE gives way to one from inside of it.
    private var nameAndStrength: (name: String?, isStrong: Bool) {
        switch kind {
        case .column(let path): return (path.last?.text, true)
        case .call(let call): return (call.name.text, true)
        case .field(_, let name): return (name.text, true)
        case .element(let array, _): return array.nameAndStrength
        case .cast(let operand, let type):
            let inner = operand.nameAndStrength
            return inner.isStrong ? inner : (type.name.text, false)
        case .searchedCase(_, let otherwise), .simpleCase(_, _, let otherwise):
            guard let inner = otherwise?.nameAndStrength, inner.isStrong else { return ("case", false) }
            return inner
        case .conditional(let kind, _): return (kind.rawValue.lowercased(), true)
        case .array: return ("array", true)
        case .row: return ("row", true)
        case .exists: return ("exists", true)
        case .scalar(let query):
            guard case .select(let block) = query.body, case .expression(let expression, let alias)? = block.items.first?.kind else { return (nil, false) }
            return (alias?.text ?? expression.nameAndStrength.name, true)
        default: return (nil, false)
        }
    }
}
