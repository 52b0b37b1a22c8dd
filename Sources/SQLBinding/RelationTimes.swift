// Which event times still have a watermark behind an operator: what `emit = 'final'` is proved by.
//
// A watermark is the least value that a column can still bring. It survives where no row with an older value can come, or go, behind it:
//
//   join       a column is bounded from below by an event time of the other side (b.at <= a.at + c, or equal), or the other side stands still:
//              constants, a lookup table. A stream joined with rows that change, or without a bound, can bring any old row again
//   first rows their key has the column, or they are ordered by it, the least first: what comes displaces only what is later
//   session    only its end
//
// A side that may be made up of NULLs has no watermark: a row without a time would never be over.

import Values

extension Relation {
    /// What the columns of a join are by their times.
    func eventTimes(joined type: JoinType, _ right: Relation, _ condition: BoundExpression?) -> [EventTime] {
        Self.times(type, self, right, columns.map(\.eventTime), right.columns.map(\.eventTime), condition?.conjuncts ?? [])
    }

    /// The times of the columns where only rows are wanted for which all of the conditions hold.
    func eventTimes(given conditions: [BoundExpression]) -> [EventTime] {
        switch kind {
        case .filter(let inner, let condition): return inner.eventTimes(given: conditions + condition.conjuncts)
        case .join(.inner, let left, let right, let condition):
            let width = left.columns.count
            let all = conditions + (condition?.conjuncts ?? [])
            let ofRight = all.filter { $0.columns.allSatisfy { $0 >= width } }.map { $0.mapColumns { .column($0 - width, $1) } }
            return Self.times(
                .inner, left, right, left.eventTimes(given: all.filter { $0.columns.allSatisfy { $0 < width } }), right.eventTimes(given: ofRight), all)
        default: return columns.map(\.eventTime)
        }
    }

    private static func times(
        _ type: JoinType, _ left: Relation, _ right: Relation, _ lefts: [EventTime], _ rights: [EventTime], _ conditions: [BoundExpression]
    ) -> [EventTime] {
        let bounds = conditions.flatMap(\.lowerBounds)
        let times = lefts + rights
        func isBounded(_ column: Int, by other: Range<Int>) -> Bool {
            bounds.contains { $0.column == column && other.contains($0.bound) && times[$0.bound] == .watermarked }
        }
        let (ofLeft, ofRight) = (lefts.indices, lefts.count..<times.count)
        let keptLeft = ofLeft.map { column in
            type != .right && type != .full && (right.standsStill(for: left) || isBounded(column, by: ofRight)) ? times[column] : min(times[column], .open)
        }
        let keptRight = ofRight.map { column in
            type != .left && type != .full && (left.standsStill(for: right) || isBounded(column, by: ofLeft)) ? times[column] : min(times[column], .open)
        }
        return type == .semi || type == .anti ? keptLeft : keptLeft + keptRight
    }

    /// Whether the first rows by an order keep a column's watermark.
    func keeps(_ column: Int, keys: [BoundExpression], order: [SortKey]) -> Bool {
        let value = BoundExpression.column(column, columns[column].type)
        if keys.contains(value) { return true }
        guard let first = order.first(where: { !keys.contains($0.expression) }) else { return false }
        return first.expression == value && !first.isDescending
    }

    /// Rows that are joined to it never meet another content of it later. Rows that change do: new versions of a lookup table come to them.
    private func standsStill(for rows: Relation) -> Bool {
        if case .values = kind { return true }
        return isLookup && rows.changing == nil
    }

    /// Where the watermark of an event time was lost, in words; nil where none was, or where the columns leave out one that is there.
    var watermarkLoss: (what: String, hint: String)? {
        func has(_ relation: Relation) -> Bool { relation.columns.contains { $0.eventTime == .watermarked } }
        let (inner, loss): ([Relation], (String, String)?) =
            switch kind {
            case .scan, .values, .union: ([], nil)
            case .filter(let inner, _), .project(let inner, _), .aggregate(let inner, _, _), .distinct(let inner): ([inner], nil)
            case .top(let inner, _, _, _): ([inner], ("LIMIT or DISTINCT ON, whose rows give way to later ones", "order by the event time first, the least before"))
            case .ranked(let inner, _): ([inner], ("a rank, which changes when later rows come", "rank in each window: PARTITION BY window_end"))
            case .windowed(let inner, _): ([inner], ("a session, which grows with its rows", "select its window_end"))
            case .join(let type, let left, let right, _):
                (
                    [left, right],
                    (
                        "a\(type == .inner ? "" : " \(type.rawValue)") join, which can bring any old row again",
                        "read what is joined as a lookup table (mode = 'lookup' of postgres or sqlite), or bound the join by event times: "
                            + "a.at BETWEEN b.at AND b.at + interval '1 hour'"
                    )
                )
            }
        if has(self) { return nil }
        if inner.contains(where: has) { return loss }
        return inner.lazy.compactMap(\.watermarkLoss).first
    }
}

extension BoundExpression {
    /// Of a comparison of times: columns, and what each of them is not less than but for a constant.
    fileprivate var lowerBounds: [(column: Int, bound: Int)] {
        func pair(_ greater: BoundExpression, _ less: BoundExpression) -> [(column: Int, bound: Int)] {
            guard let column = greater.shiftedTime, let bound = less.shiftedTime else { return [] }
            return [(column, bound)]
        }
        switch self {
        case .not(.distinct(let left, let right)): return pair(left, right) + pair(right, left)
        case .call(let overload, let sides, _) where sides.count == 2:
            switch overload.name {
            case "=": return pair(sides[0], sides[1]) + pair(sides[1], sides[0])
            case ">", ">=": return pair(sides[0], sides[1])
            case "<", "<=": return pair(sides[1], sides[0])
            default: return []
            }
        default: return []
        }
    }

    /// The column of timestamps that it is never further away from than a constant.
    private var shiftedTime: Int? {
        switch self {
        case .column(let number, .timestamp), .column(let number, .timestamptz): return number
        case .call(let overload, let sides, _) where ["+", "-"].contains(overload.name) && sides.count == 2 && sides[1].isConstant && sides[1].type == .interval:
            return sides[0].shiftedTime
        case .call(let overload, let sides, _) where ["date_bin", "date_trunc"].contains(overload.name) && sides.count > 1:
            return sides.indices.allSatisfy { $0 == 1 || sides[$0].isConstant } ? sides[1].shiftedTime : nil
        default: return nil
        }
    }
}
