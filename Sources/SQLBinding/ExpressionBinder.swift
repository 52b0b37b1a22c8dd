// Names, literals and operators of one expression, bound over a scope.
//
// What an expression means beyond that is a matter of where it stands (`Clause`): whether aggregates may stand in it, whether ranks may, where a
// subquery's rows come from. The block that it is in (`BlockBinder`) says so and keeps what it finds.

import SQLSyntax
import Values

/// A part of a query block that has expressions.
enum Clause: String, Sendable {
    case on = "ON", filter = "WHERE", group = "GROUP BY", having = "HAVING", select = "SELECT", order = "ORDER BY"
    case argument = "the argument of an aggregate", window = "OVER", defaultValue = "DEFAULT", generated = "a generated column", values = "VALUES"
    case from = "FROM"
}

/// What an expression finds beside columns: asked of the block that it stands in.
protocol ExpressionSurroundings: AnyObject {
    /// Looked at before a node is taken apart: what a group key stands for, and columns that no key has.
    func substitute(_ expression: ExpressionSyntax, in clause: Clause) throws(SQLFault) -> BoundExpression?
    func aggregate(_ call: FunctionCall, _ function: AggregateFunction, in clause: Clause) throws(SQLFault) -> BoundExpression
    func rank(_ call: FunctionCall, in clause: Clause) throws(SQLFault) -> BoundExpression
    func scalar(_ query: Query, in clause: Clause, at place: Place) throws(SQLFault) -> BoundExpression
}

struct ExpressionBinder {
    let scope: Scope
    let clause: Clause
    /// Nil where there are only constants and columns.
    let surroundings: (any ExpressionSurroundings)?
    let builder: ExpressionBuilder

    func bind(_ expression: ExpressionSyntax) throws(SQLFault) -> BoundExpression {
        if let found = try surroundings?.substitute(expression, in: clause) { return found }
        let place = expression.place
        let at = place.offset
        switch expression.kind {
        case .column(let path): return try scope.resolve(path)
        case .literal(let literal): return try bind(literal, at: place)
        case .cast(let operand, let type):
            let (target, modifier) = try boundType(type)
            if type.intervalFields != nil {
                guard let text = intervalText(operand, type) else {
                    throw notYet("an interval of certain fields", at: type.place, hint: "write interval '90 minutes', or interval '90' minute")
                }
                return try fitting { () throws(BindError) in try builder.cast(builder.literal(text), to: target, modifier: modifier, at: at) }
            }
            let value = try bind(operand)
            return try fitting { () throws(BindError) in try builder.cast(value, to: target, modifier: modifier, at: at) }
        case .binary(let sign, let left, let right):
            if case (.row(let lefts), .row(let rights)) = (left.kind, right.kind) { return try rows(sign, lefts, rights, at: place) }
            return try call(sign, [bind(left), bind(right)], at: place)
        case .prefix(let sign, let operand): return try call(sign, [bind(operand)], at: place)
        case .and(let sides):
            let sides = try all(sides)
            return try fitting { () throws(BindError) in try builder.and(sides, at: at) }
        case .or(let sides):
            let sides = try all(sides)
            return try fitting { () throws(BindError) in try builder.or(sides, at: at) }
        case .not(let operand):
            let value = try bind(operand)
            return try fitting { () throws(BindError) in try builder.not(value, at: at) }
        case .isNull(let operand, let isNegated):
            let value = try bind(operand)
            return try fitting { () throws(BindError) in try builder.test(value, isNegated ? .notNull : .null, at: at) }
        case .isTruth(let operand, let truth, let isNegated):
            let value = try bind(operand)
            let test: BoundExpression.Test =
                switch (truth, isNegated) {
                case (.isTrue, false): .isTrue
                case (.isTrue, true): .isNotTrue
                case (.isFalse, false): .isFalse
                case (.isFalse, true): .isNotFalse
                case (.isUnknown, false): .null
                case (.isUnknown, true): .notNull
                }
            return try fitting { () throws(BindError) in try builder.test(builder.condition(value, of: "IS \(truth.rawValue)", at: at), test, at: at) }
        case .isDistinct(let left, let right, let isNegated):
            let (left, right) = (try bind(left), try bind(right))
            let distinct = try fitting { () throws(BindError) in try builder.distinct(left, right, at: at) }
            return isNegated ? .not(distinct) : distinct
        case .between(let operand, let low, let high, let isNegated):
            let (value, low, high) = (try bind(operand), try bind(low), try bind(high))
            let between = try fitting { () throws(BindError) in try builder.between(value, low, high, at: at) }
            return isNegated ? .not(between) : between
        case .like(let operand, let pattern, let escape, let ignoresCase, let isNegated):
            let value = try bind(operand)
            var pattern = try bind(pattern)
            if let escape { pattern = try call("like_escape", [pattern, bind(escape)], at: place) }
            let like = try call(ignoresCase ? "~~*" : "~~", [value, pattern], at: place)
            return isNegated ? .not(like) : like
        case .inList(let operand, let items, let isNegated): return try among(operand, items, isNegated: isNegated, at: place)
        case .quantifiedArray(let operand, let sign, let quantifier, let array): return try quantified(operand, sign, quantifier, array, at: place)
        case .inQuery, .exists:
            throw notYet(
                "\(expression.isExists ? "EXISTS" : "IN (SELECT ...)") in this place", at: place,
                hint: "write it in WHERE, joined to other conditions by AND, or as a join")
        case .quantifiedQuery(_, let sign, let quantifier, _):
            throw notYet("\(sign) \(quantifier.rawValue) (SELECT ...)", at: place, hint: "write EXISTS with the comparison in its WHERE")
        case .scalar(let query):
            guard let surroundings else { throw misplaced("a subquery", at: place) }
            return try surroundings.scalar(query, in: clause, at: place)
        case .searchedCase(let branches, let otherwise): return try choose(nil, branches, otherwise, at: place)
        case .simpleCase(let operand, let branches, let otherwise): return try choose(try bind(operand), branches, otherwise, at: place)
        case .conditional(let kind, let arguments):
            let arguments = try all(arguments)
            return try fitting { () throws(BindError) in
                switch kind {
                case .coalesce: try builder.coalesce(arguments, at: at)
                case .nullIf: try builder.nullIf(arguments[0], arguments[1], at: at)
                case .greatest: try builder.extreme(.greatest, arguments, at: at)
                case .least: try builder.extreme(.least, arguments, at: at)
                }
            }
        case .call(let function): return try bind(function)
        case .array: throw notYet("ARRAY as a value", at: place)
        case .row: throw notYet("a row as a value", at: place, hint: "compare rows with =, <> or IN, or name their fields one by one")
        case .element: throw notYet("an element of an array", at: place)
        case .field: throw notYet("a field of a row", at: place)
        }
    }

    func all(_ expressions: [ExpressionSyntax]) throws(SQLFault) -> [BoundExpression] {
        var bound: [BoundExpression] = []
        for expression in expressions { bound.append(try bind(expression)) }
        return bound
    }

    /// A condition of a clause.
    func condition(_ expression: ExpressionSyntax) throws(SQLFault) -> BoundExpression {
        let value = try bind(expression)
        return try fitting { () throws(BindError) in try builder.condition(value, of: clause.rawValue, at: expression.place.offset) }
    }

    private func bind(_ literal: Literal, at place: Place) throws(SQLFault) -> BoundExpression {
        switch literal {
        case .null: builder.null
        case .boolean(let value): builder.bool(value)
        case .text(let text): builder.literal(text)
        case .number(let text): try fitting { () throws(BindError) in try builder.number(text, at: place.offset) }
        }
    }

    /// A function of the table.
    func call(_ name: String, _ arguments: [BoundExpression], at place: Place) throws(SQLFault) -> BoundExpression {
        try fitting { () throws(BindError) in try builder.call(name, arguments, at: place.offset) }
    }

    private func bind(_ function: FunctionCall) throws(SQLFault) -> BoundExpression {
        let place = function.name.place
        let name = function.name.text
        if RankCall.Function(rawValue: name) != nil || function.window != nil {
            guard let surroundings else { throw misplaced("OVER", at: place) }
            return try surroundings.rank(function, in: clause)
        }
        if let aggregate = AggregateFunction.named(name) {
            guard let surroundings else { throw misplaced("aggregate \(name)", at: place) }
            return try surroundings.aggregate(function, aggregate, in: clause)
        }
        if AggregateFunction.notYet.contains(name) { throw notYet("aggregate \(name)", at: place) }
        if function.isStar || function.isDistinct || !function.order.isEmpty || function.filter != nil || function.isWithinGroup {
            throw SQLFault(
                "\(name) is no aggregate", at: place, why: "*, DISTINCT, ORDER BY and FILTER are for aggregates",
                hint: "aggregates are \(AggregateFunction.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        if let named = function.arguments.first(where: { $0.name != nil })?.name {
            throw notYet("\(named.text) => ... as an argument of \(name)", at: named.place, hint: "give the arguments in their order")
        }
        let arguments = try all(function.arguments.map(\.value))
        if name == "tumble", arguments.count == 2 { return try tumble(arguments, function, at: place) }
        return try call(name, arguments, at: place)
    }

    /// `tumble(ts, size)` as a value is the start of the window.
    private func tumble(_ arguments: [BoundExpression], _ function: FunctionCall, at place: Place) throws(SQLFault) -> BoundExpression {
        let size = try WindowArguments.length(function.arguments[1].value, "the size", binder: self)
        let step = BoundExpression.constant(.interval(Interval(micros: size)), .interval)
        return try call("date_bin", [step, arguments[0], .constant(.word(0), arguments[0].type)], at: place)
    }

    private func choose(_ subject: BoundExpression?, _ branches: [CaseBranch], _ otherwise: ExpressionSyntax?, at place: Place) throws(SQLFault) -> BoundExpression {
        var bound: [BoundExpression.Branch] = []
        for branch in branches { bound.append(.init(condition: try bind(branch.condition), value: try bind(branch.result))) }
        let last: BoundExpression? = if let otherwise { try bind(otherwise) } else { nil }
        return try fitting { () throws(BindError) in try builder.choose(subject: subject, bound, otherwise: last, at: place.offset) }
    }

    private func among(_ operand: ExpressionSyntax, _ items: [ExpressionSyntax], isNegated: Bool, at place: Place) throws(SQLFault) -> BoundExpression {
        var found: BoundExpression
        if case .row(let fields) = operand.kind {
            var matches: [BoundExpression] = []
            for item in items {
                guard case .row(let values) = item.kind else { throw notYet("a row compared with something else", at: item.place) }
                matches.append(try rows("=", fields, values, at: place))
            }
            found = try fitting { () throws(BindError) in try builder.or(matches, at: place.offset) }
        } else {
            let (value, items) = (try bind(operand), try all(items))
            found = try fitting { () throws(BindError) in try builder.among(value, items, at: place.offset) }
        }
        return isNegated ? .not(found) : found
    }

    private func quantified(
        _ operand: ExpressionSyntax, _ sign: String, _ quantifier: Quantifier, _ array: ExpressionSyntax, at place: Place
    ) throws(SQLFault) -> BoundExpression {
        guard case .array(let elements) = array.kind, !elements.isEmpty else {
            throw notYet("\(quantifier.rawValue) over an array that is a value", at: place, hint: "write ARRAY[...] with its elements, or IN (...)")
        }
        let value = try bind(operand)
        var matches: [BoundExpression] = []
        for element in elements { matches.append(try call(sign, [value, bind(element)], at: place)) }
        return try fitting { () throws(BindError) in quantifier == .any ? try builder.or(matches, at: place.offset) : try builder.and(matches, at: place.offset) }
    }

    /// Rows are equal when all of their fields are.
    private func rows(_ sign: String, _ lefts: [ExpressionSyntax], _ rights: [ExpressionSyntax], at place: Place) throws(SQLFault) -> BoundExpression {
        guard sign == "=" || sign == "<>" else { throw notYet("\(sign) of rows", at: place, hint: "compare their fields one by one") }
        guard lefts.count == rights.count, !lefts.isEmpty else {
            throw SQLFault("rows of different lengths", at: place, why: "one has \(lefts.count) fields, the other \(rights.count)", hint: "compare rows of equal length")
        }
        var equal: [BoundExpression] = []
        for (left, right) in zip(lefts, rights) { equal.append(try call("=", [bind(left), bind(right)], at: place)) }
        let all = try fitting { () throws(BindError) in try builder.and(equal, at: place.offset) }
        return sign == "=" ? all : .not(all)
    }

    private func misplaced(_ what: String, at place: Place) -> SQLFault {
        SQLFault("\(what) in \(clause.rawValue)", at: place, why: "only columns and constants stand there", hint: "compute it in a query")
    }
}

extension ExpressionSyntax {
    fileprivate var isExists: Bool { if case .exists = kind { true } else { false } }
}

/// What the values' library has against an expression, at its place.
func fitting<Result>(_ body: () throws(BindError) -> Result) throws(SQLFault) -> Result {
    do { return try body() } catch { throw SQLFault(error.what, at: Place(error.position ?? 0), why: error.why, hint: error.now) }
}

/// A type as it is named.
func boundType(_ syntax: TypeSyntax) throws(SQLFault) -> (SQLType, TypeModifier) {
    guard syntax.dimensions <= 1 else { throw notYet("an array of more than one dimension", at: syntax.place) }
    let element: SQLType
    do { element = try SQLType.named(syntax.name.text) } catch { throw SQLFault(error.what, at: syntax.place, why: error.why, hint: error.now) }
    let modifier: TypeModifier
    switch (element, syntax.modifiers.count) {
    case (_, 0): modifier = .none
    case (.numeric, 1): modifier = .digits(precision: syntax.modifiers[0], scale: 0)
    case (.numeric, 2): modifier = .digits(precision: syntax.modifiers[0], scale: syntax.modifiers[1])
    case (.text, 1): modifier = .length(syntax.modifiers[0])
    case (.time, 1), (.timestamp, 1), (.timestamptz, 1), (.interval, 1): modifier = .fraction(syntax.modifiers[0])
    default: throw SQLFault("type \(syntax.name.text) with modifiers", at: syntax.place, why: "\(element.name) has none of this kind", hint: "leave them out")
    }
    switch modifier {
    case .digits(let precision, let scale) where !(1...38).contains(precision) || !(0...precision).contains(scale):
        throw SQLFault(
            "numeric(\(precision), \(scale))", at: syntax.place, why: "numeric has 1 to 38 digits, and no more behind the point than in all",
            hint: "declare numeric(38, 10), or less")
    case .length(let length) where length < 1:
        throw SQLFault("a text of length \(length)", at: syntax.place, why: "a length is above zero", hint: "declare text")
    case .fraction(let digits) where !(0...6).contains(digits):
        throw SQLFault("\(digits) digits behind the second", at: syntax.place, why: "times are kept to the microsecond", hint: "declare 0 to 6")
    default: break
    }
    guard syntax.dimensions == 1 else { return (element, modifier) }
    guard modifier == .none else { throw notYet("an array of a type with modifiers", at: syntax.place, hint: "leave the modifiers out") }
    return (.list(element), .none)
}

/// `interval '90' minute` reads as `90 minute`; nil where the cast is another.
private func intervalText(_ operand: ExpressionSyntax, _ type: TypeSyntax) -> String? {
    guard let fields = type.intervalFields, case .literal(.text(let text)) = operand.kind, Double(text) != nil, !fields.contains(" ") else { return nil }
    return "\(text) \(fields)"
}
