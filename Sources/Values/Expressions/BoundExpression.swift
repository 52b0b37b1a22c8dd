// An expression after binding: every name is a column's number, every call an overload of the table, every type is known.
//
// It is a description and computes nothing; `Program` runs it. Two equal expressions at one place of the text are one
// (`x BETWEEN a AND b` names x twice, and x is computed once). Positions are byte offsets in the statement's text; a row error
// carries the position of the call that failed.
//
// `ExpressionBuilder` makes these and keeps the promises that a program relies on: arguments have exactly the types of their
// overload, conditions are bool, the branches of CASE and COALESCE have one type.

/// A typed expression over the columns of a chunk.
public indirect enum BoundExpression: Hashable, Sendable {
    /// The vector with this number.
    case column(Int, SQLType)
    case constant(Datum, SQLType)
    case call(Overload, [BoundExpression], at: Int)
    /// Three-valued; the right side is reached where the left one does not decide.
    case and(BoundExpression, BoundExpression)
    case or(BoundExpression, BoundExpression)
    case not(BoundExpression)
    /// IS NULL, IS TRUE and their like; never NULL.
    case test(BoundExpression, Test)
    /// IS DISTINCT FROM; both sides have one type.
    case distinct(BoundExpression, BoundExpression)
    /// IN over constants of the value's type.
    case among(BoundExpression, [Datum])
    /// NULL where the condition is true, else the value.
    case nullWhere(BoundExpression, value: BoundExpression)
    /// CASE: the first branch whose condition is true; NULL without one.
    case choose([Branch], otherwise: BoundExpression?)
    /// The first that is not NULL.
    case coalesce([BoundExpression])
    /// GREATEST and LEAST: NULLs are passed over.
    case extreme(Extreme, [BoundExpression])

    public struct Branch: Hashable, Sendable {
        public var condition: BoundExpression
        public var value: BoundExpression

        public init(condition: BoundExpression, value: BoundExpression) {
            self.condition = condition
            self.value = value
        }
    }

    public enum Test: Hashable, Sendable { case null, notNull, isTrue, isNotTrue, isFalse, isNotFalse }
    public enum Extreme: Hashable, Sendable { case greatest, least }

    public var type: SQLType {
        switch self {
        case .column(_, let type), .constant(_, let type): type
        case .call(let overload, _, _): overload.result
        case .and, .or, .not, .test, .distinct, .among: .bool
        case .nullWhere(_, let value): value.type
        case .choose(let branches, _): branches[0].value.type
        case .coalesce(let items), .extreme(_, let items): items[0].type
        }
    }

    /// What it is made of, in the order in which it is reached.
    public var parts: [BoundExpression] {
        switch self {
        case .column, .constant: []
        case .call(_, let arguments, _): arguments
        case .and(let left, let right), .or(let left, let right), .distinct(let left, let right): [left, right]
        case .not(let inner), .test(let inner, _), .among(let inner, _): [inner]
        case .nullWhere(let condition, let value): [condition, value]
        case .choose(let branches, let otherwise): branches.flatMap { [$0.condition, $0.value] } + (otherwise.map { [$0] } ?? [])
        case .coalesce(let items), .extreme(_, let items): items
        }
    }

    /// Whether some row may fail in it.
    public var canFail: Bool {
        if case .call(let overload, _, _) = self, overload.canFail { return true }
        return parts.contains { $0.canFail }
    }

    /// The columns that it reads.
    public var columns: Set<Int> {
        if case .column(let number, _) = self { return [number] }
        return parts.reduce(into: []) { $0.formUnion($1.columns) }
    }

    /// Whether it has the same value in every row.
    public var isConstant: Bool {
        if case .column = self { return false }
        return parts.allSatisfy(\.isConstant)
    }
}
