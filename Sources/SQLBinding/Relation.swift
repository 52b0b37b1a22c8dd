// What a query means, as a tree of operators over columns by number: the binder's answer, and the planner's question.
//
// A relation knows its columns: name, type, whether NULL can be in it, whether it carries an event time. Expressions are those of
// `Values`; `.column(i)` is column i of the relation below, of a join the left columns and then the right ones. Nothing is rewritten
// here: filters stand where WHERE stood, and every column is carried along. The planner pushes, folds, shares and cuts.
//
// When adding a kind: give it its columns in the makers below, its line in `RelationText`, its facts in `RelationFacts`.

import SQLSyntax
import Values

/// One column that a relation gives.
public struct OutputColumn: Sendable, Hashable {
    public let name: String
    public let type: SQLType
    public let isNullable: Bool
    public let eventTime: EventTime
    /// `*` leaves it out: `source_offset` and its like.
    public let isHidden: Bool

    public init(name: String, type: SQLType, isNullable: Bool, eventTime: EventTime = .none, isHidden: Bool = false) {
        self.name = name
        self.type = type
        self.isNullable = isNullable
        self.eventTime = eventTime
        self.isHidden = isHidden
    }

    func named(_ name: String) -> OutputColumn {
        OutputColumn(name: name, type: type, isNullable: isNullable, eventTime: eventTime, isHidden: isHidden)
    }

    /// The same where a row may be made up of NULLs.
    var orNull: OutputColumn { OutputColumn(name: name, type: type, isNullable: true, eventTime: eventTime, isHidden: isHidden) }

    /// The same with another event time.
    func timed(_ eventTime: EventTime) -> OutputColumn {
        OutputColumn(name: name, type: type, isNullable: isNullable, eventTime: eventTime, isHidden: isHidden)
    }
}

/// What a column is for windows of time, and for `emit = 'final'`.
public enum EventTime: Int, Sendable, Hashable, Comparable {
    case none
    /// An event time without a watermark any more: rows fall into windows by it, but no value of it is ever known to be over.
    case open
    /// A watermark belongs to it: the least value that it can still bring.
    case watermarked

    public static func < (left: EventTime, right: EventTime) -> Bool { left.rawValue < right.rawValue }
}

/// A query after binding.
public struct Relation: Sendable, Hashable {
    public let kind: Kind
    public let columns: [OutputColumn]

    public indirect enum Kind: Sendable, Hashable {
        /// A table of the job, with all of its columns.
        case scan(TableDefinition)
        /// Rows of constants; without a FROM one row without columns.
        case values([[BoundExpression]])
        case filter(Relation, BoundExpression)
        case project(Relation, [BoundExpression])
        /// The groups' keys, then the aggregates. Without keys it is one row.
        case aggregate(Relation, keys: [BoundExpression], calls: [AggregateCall])
        case join(JoinType, Relation, Relation, condition: BoundExpression?)
        /// UNION ALL: the rows of both.
        case union(Relation, Relation)
        case distinct(Relation)
        /// Of the rows with equal keys the first ones in an order.
        case top(Relation, keys: [BoundExpression], order: [SortKey], count: Int)
        /// The relation's columns, then the place of each row among those with its keys.
        case ranked(Relation, [RankCall])
        /// The relation's columns for each window that a row falls into, then `window_start` and `window_end`.
        case windowed(Relation, TimeWindow)
    }

    /// What leaves of a join: pairs; for semi and anti joins the left rows that have, or have no, partner.
    public enum JoinType: String, Sendable, Hashable { case inner, left, right, full, semi, anti }
}

/// One aggregate of a grouping.
public struct AggregateCall: Sendable, Hashable {
    public let function: AggregateFunction
    /// None for `count(*)`.
    public let argument: BoundExpression?
    public let isDistinct: Bool
    public let filter: BoundExpression?
    public let type: SQLType

    /// The same without its places in the text.
    var placeless: AggregateCall {
        AggregateCall(function: function, argument: argument?.placeless, isDistinct: isDistinct, filter: filter?.placeless, type: type)
    }
}

/// A place in an order.
public struct SortKey: Sendable, Hashable {
    public let expression: BoundExpression
    public let isDescending: Bool
    public let nullsFirst: Bool
}

/// `row_number() OVER (PARTITION BY keys ORDER BY order)` and its like.
public struct RankCall: Sendable, Hashable {
    public enum Function: String, Sendable, Hashable, CaseIterable { case rowNumber = "row_number", rank, denseRank = "dense_rank" }

    public let function: Function
    public let keys: [BoundExpression]
    public let order: [SortKey]
}

/// How rows fall into windows of time. Times are microseconds.
public struct TimeWindow: Sendable, Hashable {
    public enum Shape: Sendable, Hashable {
        case tumble(size: Int64)
        case hop(slide: Int64, size: Int64)
        case cumulate(step: Int64, size: Int64)
        /// Rows with equal keys that are less than the gap apart.
        case session(gap: Int64, keys: [BoundExpression])
    }

    public let shape: Shape
    /// The column of the event time.
    public let time: Int
    /// Where windows are aligned, in microseconds from 1970-01-01.
    public let origin: Int64
}

extension Relation {
    static let oneRow = Relation(kind: .values([[]]), columns: [])

    func filtered(_ condition: BoundExpression) -> Relation {
        Relation(kind: .filter(self, condition), columns: zip(columns, eventTimes(given: condition.conjuncts)).map { $0.timed($1) })
    }

    /// - Parameter named: an expression and its name for each column.
    func projected(_ named: [(expression: BoundExpression, name: String)]) -> Relation {
        let columns = named.map { item in
            OutputColumn(
                name: item.name, type: item.expression.type, isNullable: item.expression.isNullable(over: self.columns),
                eventTime: item.expression.eventTime(over: self.columns))
        }
        return Relation(kind: .project(self, named.map(\.expression)), columns: columns)
    }

    func joined(_ type: JoinType, _ right: Relation, on condition: BoundExpression?) -> Relation {
        let columns: [OutputColumn] =
            switch type {
            case .inner: self.columns + right.columns
            case .left: self.columns + right.columns.map(\.orNull)
            case .right: self.columns.map(\.orNull) + right.columns
            case .full: (self.columns + right.columns).map(\.orNull)
            case .semi, .anti: self.columns
            }
        let times = eventTimes(joined: type, right, condition)
        return Relation(kind: .join(type, self, right, condition: condition), columns: zip(columns, times).map { $0.timed($1) })
    }

    func aggregated(keys: [BoundExpression], calls: [AggregateCall]) -> Relation {
        let keyColumns = keys.map {
            OutputColumn(name: "", type: $0.type, isNullable: $0.isNullable(over: columns), eventTime: $0.eventTime(over: columns))
        }
        let callColumns = calls.map { OutputColumn(name: "", type: $0.type, isNullable: $0.function != .count) }
        return Relation(kind: .aggregate(self, keys: keys, calls: calls), columns: keyColumns + callColumns)
    }

    func ranked(_ calls: [RankCall]) -> Relation {
        let places = calls.map { OutputColumn(name: $0.function.rawValue, type: .int8, isNullable: false) }
        let kept = columns.indices.map { index in
            calls.allSatisfy { keeps(index, keys: $0.keys, order: $0.order) } ? columns[index] : columns[index].timed(min(columns[index].eventTime, .open))
        }
        return Relation(kind: .ranked(self, calls), columns: kept + places)
    }

    func windowed(_ window: TimeWindow) -> Relation {
        let (type, time) = (columns[window.time].type, columns[window.time].eventTime)
        // A session grows as long as rows come: all that is over then is what has ended.
        let before = window.isSession ? min(time, .open) : time
        return Relation(
            kind: .windowed(self, window),
            columns: columns.map { window.isSession ? $0.timed(min($0.eventTime, .open)) : $0 } + [
                OutputColumn(name: "window_start", type: type, isNullable: false, eventTime: before),
                OutputColumn(name: "window_end", type: type, isNullable: false, eventTime: time),
            ])
    }

    func top(keys: [BoundExpression], order: [SortKey], count: Int) -> Relation {
        let kept = columns.indices.map { keeps($0, keys: keys, order: order) ? columns[$0] : columns[$0].timed(min(columns[$0].eventTime, .open)) }
        return Relation(kind: .top(self, keys: keys, order: order, count: count), columns: kept)
    }

    var withoutRepeats: Relation { Relation(kind: .distinct(self), columns: columns) }

    /// The same columns under other names; the first ones where there are more.
    func renamed(_ names: [String]) -> Relation {
        let renamed = columns.enumerated().map { $0.offset < names.count ? $0.element.named(names[$0.offset]) : $0.element }
        return Relation(kind: kind, columns: renamed)
    }
}

extension BoundExpression {
    /// Whether a row may give NULL. A call that can fail gives NULL where that is what failing means (`on_error = 'null'`).
    package func isNullable(over columns: [OutputColumn]) -> Bool {
        switch self {
        case .column(let number, _): number < columns.count ? columns[number].isNullable : true
        case .constant(let value, _): value.isNull
        case .test, .distinct: false
        case .call(let overload, let arguments, _):
            overload.canFail || !Self.comparisons.contains(overload.name) || arguments.contains { $0.isNullable(over: columns) }
        case .and, .or, .not: parts.contains { $0.isNullable(over: columns) }
        case .among(let value, let members): value.isNullable(over: columns) || members.contains(where: \.isNull)
        case .nullWhere: true
        case .choose(let branches, let otherwise):
            otherwise?.isNullable(over: columns) ?? true || branches.contains { $0.value.isNullable(over: columns) }
        case .coalesce(let items), .extreme(_, let items): items.allSatisfy { $0.isNullable(over: columns) }
        }
    }

    private static let comparisons: Set<String> = ["=", "<>", "<", "<=", ">", ">="]

    /// That of a column, and of what never falls while the column rises.
    func eventTime(over columns: [OutputColumn]) -> EventTime {
        switch self {
        case .column(let number, _): number < columns.count ? columns[number].eventTime : .none
        case .call(let overload, let arguments, _) where Self.truncations.contains(overload.name) && arguments.count > 1:
            arguments.indices.allSatisfy { $0 == 1 || arguments[$0].isConstant } ? arguments[1].eventTime(over: columns) : .none
        default: .none
        }
    }

    private static let truncations: Set<String> = ["date_bin", "date_trunc"]

    /// The same with its columns changed.
    package func mapColumns(_ change: (Int, SQLType) -> BoundExpression) -> BoundExpression { rebuilt(column: change) { $0 } }

    /// The same without its places in the text: two spellings of one expression are equal.
    package var placeless: BoundExpression { rebuilt(column: { .column($0, $1) }, position: { _ in 0 }) }

    private func rebuilt(column: (Int, SQLType) -> BoundExpression, position: (Int) -> Int) -> BoundExpression {
        func again(_ part: BoundExpression) -> BoundExpression { part.rebuilt(column: column, position: position) }
        switch self {
        case .column(let number, let type): return column(number, type)
        case .constant: return self
        case .call(let overload, let arguments, let place): return .call(overload, arguments.map(again), at: position(place))
        case .and(let left, let right): return .and(again(left), again(right))
        case .or(let left, let right): return .or(again(left), again(right))
        case .not(let inner): return .not(again(inner))
        case .test(let inner, let test): return .test(again(inner), test)
        case .distinct(let left, let right): return .distinct(again(left), again(right))
        case .among(let value, let members): return .among(again(value), members)
        case .nullWhere(let condition, let value): return .nullWhere(again(condition), value: again(value))
        case .choose(let branches, let otherwise):
            return .choose(branches.map { Branch(condition: again($0.condition), value: again($0.value)) }, otherwise: otherwise.map(again))
        case .coalesce(let items): return .coalesce(items.map(again))
        case .extreme(let extreme, let items): return .extreme(extreme, items.map(again))
        }
    }

    /// What must all hold.
    package var conjuncts: [BoundExpression] {
        if case .and(let left, let right) = self { return left.conjuncts + right.conjuncts }
        return [self]
    }
}
