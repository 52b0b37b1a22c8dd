// Operators out of libpg_query's tree: one node kind there (A_Expr) stands for fourteen things.

import CPGQuery

extension TreeReader {
    mutating func operation(_ operation: PgQuery__AExpr, at around: Place) throws(SQLFault) -> ExpressionSyntax {
        let place = place(operation.location, or: around)
        let kind = operation.kind
        let sign =
            switch kind {
            case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN, PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN, PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM,
                PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
                ""
            default: try name(nodes(operation.name, operation.n_name), at: place, kind: "operator").text
            }
        switch kind {
        case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR: throw notYet("SIMILAR TO", at: place, hint: "write LIKE, or a regular expression with ~")
        case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM, PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
            throw notYet("BETWEEN SYMMETRIC", at: place, hint: "write BETWEEN least(a, b) AND greatest(a, b)")
        default: break
        }
        guard let leftNode = operation.lexpr else {
            return ExpressionSyntax(.prefix(sign, try expression(operation.rexpr, at: place)), at: place)
        }
        guard let rightNode = operation.rexpr else { throw notYet("an operator behind its operand", at: place) }
        let left = try expression(leftNode, at: place)
        switch kind {
        case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
            return ExpressionSyntax(.inList(left, try expressions(rightNode.listItems, at: place), isNegated: sign == "<>"), at: place)
        case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN, PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
            let bounds = try expressions(rightNode.listItems, at: place)
            return ExpressionSyntax(.between(left, bounds[0], bounds[1], isNegated: kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN), at: place)
        default: break
        }
        if let like = Self.likes[sign], kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY, kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL {
            let (pattern, escape) = try pattern(rightNode, at: place)
            return ExpressionSyntax(.like(left, pattern, escape: escape, ignoresCase: like.ignoresCase, isNegated: like.isNegated), at: place)
        }
        let right = try expression(rightNode, at: place)
        switch kind {
        case PG_QUERY__A__EXPR__KIND__AEXPR_OP: return ExpressionSyntax(.binary(sign, left, right), at: place)
        case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY: return ExpressionSyntax(.quantifiedArray(left, sign, .any, right), at: place)
        case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL: return ExpressionSyntax(.quantifiedArray(left, sign, .all, right), at: place)
        case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT: return ExpressionSyntax(.isDistinct(left, right, isNegated: false), at: place)
        case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT: return ExpressionSyntax(.isDistinct(left, right, isNegated: true), at: place)
        case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF: return ExpressionSyntax(.conditional(.nullIf, [left, right]), at: place)
        default: throw notYet("this operator", at: place)
        }
    }

    private static let likes: [String: (ignoresCase: Bool, isNegated: Bool)] = [
        "~~": (false, false), "!~~": (false, true), "~~*": (true, false), "!~~*": (true, true),
    ]

    /// The pattern of a LIKE, and what stands behind ESCAPE: the grammar hides both in a call.
    private mutating func pattern(_ node: NodePointer, at place: Place) throws(SQLFault) -> (pattern: ExpressionSyntax, escape: ExpressionSyntax?) {
        if node.pointee.node_case == PG_QUERY__NODE__NODE_FUNC_CALL {
            let call = node.pointee.func_call.pointee
            let name = try names(nodes(call.funcname, call.n_funcname), at: place)
            if name.map(\.text) == ["pg_catalog", "like_escape"], call.n_args == 2 {
                let both = try expressions(nodes(call.args, call.n_args), at: place)
                return (both[0], both[1])
            }
        }
        return (try expression(node, at: place), nil)
    }

    /// PostgreSQL's name of a type, its modifiers, and how many dimensions it has.
    func type(_ type: PgQuery__TypeName) throws(SQLFault) -> TypeSyntax {
        let place = place(type.location)
        let name = try name(nodes(type.names, type.n_names), at: place, kind: "type")
        if type.setof != 0 { throw notYet("SETOF", at: place) }
        if type.pct_type != 0 { throw notYet("%TYPE", at: place) }
        var modifiers: [Int] = []
        for node in nodes(type.typmods, type.n_typmods) {
            guard node.pointee.node_case == PG_QUERY__NODE__NODE_A_CONST, case .number(let text) = try literal(node.pointee.a_const.pointee, at: place),
                let number = Int(text)
            else {
                throw SQLFault("type \(name.text) with a modifier that is no whole number", at: place, why: "modifiers are lengths and digits", hint: "write numbers")
            }
            modifiers.append(number)
        }
        var fields: String?
        if name.text == "interval", let mask = modifiers.first {
            modifiers.removeFirst()
            if mask != IntervalFields.all {
                guard let known = IntervalFields.names[mask] else { throw notYet("an interval of these fields", at: place) }
                fields = known
            }
        }
        return TypeSyntax(name: name, modifiers: modifiers, intervalFields: fields, dimensions: type.n_array_bounds)
    }
}

/// PostgreSQL's bits for the fields of an interval.
private enum IntervalFields {
    static let all = 0x7fff
    static let (year, month, day, hour, minute, second) = (1 << 2, 1 << 1, 1 << 3, 1 << 10, 1 << 11, 1 << 12)
    static let names = [
        year: "year", month: "month", day: "day", hour: "hour", minute: "minute", second: "second", year | month: "year to month",
        day | hour: "day to hour", day | hour | minute: "day to minute", day | hour | minute | second: "day to second", hour | minute: "hour to minute",
        hour | minute | second: "hour to second", minute | second: "minute to second",
    ]
}
