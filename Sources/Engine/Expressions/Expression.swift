// Expressions as a job author writes them: `col("event_type") == "view"`, `tumble("event_time", .seconds(10))`.
//
// An expression is a description and computes nothing. `ExpressionBinder` checks it against the columns that are there
// and gives a `BoundExpression`, which runs over whole chunks. Its text (`description`) is shown by `explain` and is part
// of the plan's digest: another text means another plan.
//
// NULL is SQL's: a comparison with NULL is NULL, AND and OR are three-valued, a filter keeps what is TRUE. What
// SQL raises as an error in a row (division by zero, a result that does not fit) gives NULL here, because one row
// must not stop a stream.

public enum Comparison: String, Sendable, CaseIterable {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="

    /// The comparison with its sides exchanged.
    var mirrored: Comparison {
        switch self {
        case .equal, .notEqual: self
        case .less: .greater
        case .lessOrEqual: .greaterOrEqual
        case .greater: .less
        case .greaterOrEqual: .lessOrEqual
        }
    }
}

public enum Arithmetic: String, Sendable, CaseIterable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
}

/// A value computed from the columns of a row.
public indirect enum Expression: Sendable {
    case column(String)
    case literal(Value)
    case compare(Comparison, Expression, Expression)
    case arithmetic(Arithmetic, Expression, Expression)
    case and(Expression, Expression)
    case or(Expression, Expression)
    case not(Expression)
    case isNull(Expression)
    /// NULL where both are equal, the first value otherwise.
    case nullIf(Expression, Expression)
    case cast(Expression, ValueType)
    /// The start of the window of fixed length that a time falls into.
    case tumble(Expression, lengthMillis: Int64)
    case named(Expression, String)
}

extension Expression: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral
{
    public init(stringLiteral value: String) { self = .literal(.text(value)) }
    public init(integerLiteral value: Int64) { self = .literal(.int64(value)) }
    public init(floatLiteral value: Double) { self = .literal(.float64(value)) }
    public init(booleanLiteral value: Bool) { self = .literal(.bool(value)) }
}

/// The column `name`.
public func col(_ name: String) -> Expression { .column(name) }

/// The start of the tumbling window of `length` into which the event time falls; named `window_start` unless named
/// otherwise.
public func tumble(_ column: String, _ length: Duration) -> Expression {
    .tumble(.column(column), lengthMillis: length.millis)
}

/// NULL where `expression` equals `value`: `col("clicks") / nullIf(col("views"), 0)`.
public func nullIf(_ expression: Expression, _ value: Expression) -> Expression { .nullIf(expression, value) }

extension Expression {
    /// The same value under another name.
    public func `as`(_ name: String) -> Expression { .named(self, name) }
    public func cast(to type: ValueType) -> Expression { .cast(self, type) }
    public var isNull: Expression { .isNull(self) }

    public static func == (left: Expression, right: Expression) -> Expression { .compare(.equal, left, right) }
    public static func != (left: Expression, right: Expression) -> Expression { .compare(.notEqual, left, right) }
    public static func < (left: Expression, right: Expression) -> Expression { .compare(.less, left, right) }
    public static func <= (left: Expression, right: Expression) -> Expression { .compare(.lessOrEqual, left, right) }
    public static func > (left: Expression, right: Expression) -> Expression { .compare(.greater, left, right) }
    public static func >= (left: Expression, right: Expression) -> Expression { .compare(.greaterOrEqual, left, right) }
    public static func + (left: Expression, right: Expression) -> Expression { .arithmetic(.add, left, right) }
    public static func - (left: Expression, right: Expression) -> Expression { .arithmetic(.subtract, left, right) }
    public static func * (left: Expression, right: Expression) -> Expression { .arithmetic(.multiply, left, right) }
    public static func / (left: Expression, right: Expression) -> Expression { .arithmetic(.divide, left, right) }
    public static func && (left: Expression, right: Expression) -> Expression { .and(left, right) }
    public static func || (left: Expression, right: Expression) -> Expression { .or(left, right) }
    public static prefix func ! (expression: Expression) -> Expression { .not(expression) }

    /// The name that the value gets as a column, when it says one itself.
    var ownName: String? {
        switch self {
        case .named(_, let name), .column(let name): name
        case .tumble: "window_start"
        default: nil
        }
    }

    /// The expression below its name.
    var unnamed: Expression {
        if case .named(let inner, _) = self { return inner.unnamed }
        return self
    }
}

extension Expression: CustomStringConvertible {
    public var description: String {
        switch self {
        case .column(let name): return name
        case .literal(.text(let text)): return "\"\(text.replacing("\"", with: "\\\""))\""
        case .literal(.int64(let value)): return "\(value)"
        case .literal(.float64(let value)): return "\(value)"
        case .literal(.bool(let value)): return "\(value)"
        case .literal(.timestamp(let value)): return "time(\(formatTime(value)))"
        case .literal(.null): return "null"
        case .compare(let comparison, let left, let right):
            return "\(left.inner) \(comparison.rawValue) \(right.inner)"
        case .arithmetic(let operation, let left, let right):
            return "\(left.inner) \(operation.rawValue) \(right.inner)"
        case .and(let left, let right): return "\(left.inner) && \(right.inner)"
        case .or(let left, let right): return "\(left.inner) || \(right.inner)"
        case .not(let expression): return "!\(expression.inner)"
        case .isNull(let expression): return "\(expression.inner) is null"
        case .nullIf(let left, let right): return "nullIf(\(left), \(right))"
        case .cast(let expression, let type): return "\(type.rawValue)(\(expression))"
        case .tumble(let expression, let length): return "tumble(\(expression), \(formatDuration(length)))"
        case .named(let expression, let name):
            if case .column(name) = expression { return name }
            return "\(expression) as \(name)"
        }
    }

    /// In parentheses where it has an operator of its own.
    private var inner: String {
        switch self {
        case .compare, .arithmetic, .and, .or, .isNull, .named: "(\(self))"
        case .column, .literal, .not, .nullIf, .cast, .tumble: description
        }
    }
}

extension Duration {
    /// Whole milliseconds, rounded down; at the nearest bound of 64 bits where they do not fit.
    var millis: Int64 {
        let (whole, isOver) = components.seconds.multipliedReportingOverflow(by: 1000)
        return isOver ? (components.seconds < 0 ? .min : .max) : whole.plus(components.attoseconds / 1_000_000_000_000_000)
    }
}
