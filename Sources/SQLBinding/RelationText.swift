// A relation as lines of text, one an operator, what it reads indented below it: what `explain` begins from, and what tests compare.

import Values

extension Relation {
    /// The tree; each line ends with a line break.
    public var text: String { lines(indent: "") }

    /// `name type`, with `?` where NULL may be.
    public var header: String { columns.filter { !$0.isHidden }.map { "\($0.name) \($0.type.name)\($0.isNullable ? "?" : "")" }.joined(separator: ", ") }

    private func lines(indent: String) -> String {
        let (line, inner): (String, [Relation]) =
            switch kind {
            case .scan(let table): ("scan \(table.name)", [])
            case .values(let rows): ("values \(rows.map { "(\($0.text))" }.joined(separator: ", "))", [])
            case .filter(let inner, let condition): ("filter \(condition.text)", [inner])
            case .project(let inner, let expressions):
                ("project \(zip(expressions, columns).map { "\($0.0.text) as \($0.1.name)" }.joined(separator: ", "))", [inner])
            case .aggregate(let inner, let keys, let calls): ("aggregate [\(keys.text)] \(calls.map(\.text).joined(separator: ", "))", [inner])
            case .join(let type, let left, let right, let condition): ("\(type.rawValue) join\(condition.map { " on \($0.text)" } ?? "")", [left, right])
            case .union(let left, let right): ("union", [left, right])
            case .distinct(let inner): ("distinct", [inner])
            case .top(let inner, let keys, let order, let count): ("top \(count) of [\(keys.text)] by \(order.map(\.text).joined(separator: ", "))", [inner])
            case .ranked(let inner, let calls): ("rank \(calls.map(\.text).joined(separator: ", "))", [inner])
            case .windowed(let inner, let window): ("window \(window.text)", [inner])
            }
        return "\(indent)\(line)\n" + inner.map { $0.lines(indent: indent + "  ") }.joined()
    }
}

extension [BoundExpression] {
    fileprivate var text: String { map(\.text).joined(separator: ", ") }
}

extension AggregateCall {
    fileprivate var text: String {
        let inside = (isDistinct ? "distinct " : "") + (argument?.text ?? "*")
        return "\(function.rawValue)(\(inside))\(filter.map { " where \($0.text)" } ?? "")"
    }
}

extension SortKey {
    fileprivate var text: String { "\(expression.text)\(isDescending ? " desc" : "")\(nullsFirst == isDescending ? "" : nullsFirst ? " nulls first" : " nulls last")" }
}

extension RankCall {
    fileprivate var text: String { "\(function.rawValue) of [\(keys.text)] by \(order.map(\.text).joined(separator: ", "))" }
}

extension TimeWindow {
    fileprivate var text: String {
        let words: String =
            switch shape {
            case .tumble(let size): "tumble \(size)"
            case .hop(let slide, let size): "hop \(slide) \(size)"
            case .cumulate(let step, let size): "cumulate \(step) \(size)"
            case .session(let gap, let keys): "session \(gap) of [\(keys.text)]"
            }
        return "\(words) of #\(time)\(origin == 0 ? "" : " from \(origin)")"
    }
}

extension BoundExpression {
    /// Columns as `#1`.
    var text: String {
        switch self {
        case .column(let number, _): return "#\(number)"
        case .constant(let value, let type): return TypeText.text(value, as: type).map { type == .int4 || type == .bool ? $0 : "'\($0)'::\(type.name)" } ?? "null"
        case .call(let overload, let arguments, _):
            if overload.isOperator && arguments.count == 2 { return "(\(arguments[0].text) \(overload.name) \(arguments[1].text))" }
            if overload.name == "cast" { return "cast(\(arguments.text) as \(overload.result.name))" }
            return "\(overload.name)(\(arguments.text))"
        case .and(let left, let right): return "(\(left.text) and \(right.text))"
        case .or(let left, let right): return "(\(left.text) or \(right.text))"
        case .not(let inner): return "not(\(inner.text))"
        case .test(let inner, let test): return "\(test)(\(inner.text))"
        case .distinct(let left, let right): return "(\(left.text) distinct from \(right.text))"
        case .among(let value, let members):
            return "(\(value.text) in (\(members.map { BoundExpression.constant($0, value.type).text }.joined(separator: ", "))))"
        case .nullWhere(let condition, let value): return "nullWhere(\(condition.text), \(value.text))"
        case .choose(let branches, let otherwise):
            return "case(\(branches.map { "\($0.condition.text): \($0.value.text)" }.joined(separator: ", "))\(otherwise.map { ", else \($0.text)" } ?? ""))"
        case .coalesce(let items): return "coalesce(\(items.text))"
        case .extreme(let extreme, let items): return "\(extreme)(\(items.text))"
        }
    }
}
