// Expressions as values.
//
// One meaning has one node: what PostgreSQL's grammar turns into calls (EXTRACT, AT TIME ZONE, SUBSTRING ... FROM) are calls here, and so is CURRENT_DATE; what it
// keeps apart though it means the same (`!=` and `<>`, CAST and `::` and `timestamptz '...'`) is one.

/// An expression as it was written, without types.
public struct ExpressionSyntax: Sendable, Hashable {
    public let kind: Kind
    public let place: Place

    public init(_ kind: Kind, at place: Place) {
        self.kind = kind
        self.place = place
    }

    public indirect enum Kind: Sendable, Hashable {
        /// `a`, `t.a`.
        case column([Identifier])
        case literal(Literal)
        /// `CAST(x AS t)`, `x::t`, `t 'text'`.
        case cast(ExpressionSyntax, to: TypeSyntax)
        /// An operator by its sign, with two sides.
        case binary(String, ExpressionSyntax, ExpressionSyntax)
        /// An operator before its operand.
        case prefix(String, ExpressionSyntax)
        case and([ExpressionSyntax])
        case or([ExpressionSyntax])
        case not(ExpressionSyntax)
        case isNull(ExpressionSyntax, isNegated: Bool)
        case isTruth(ExpressionSyntax, Truth, isNegated: Bool)
        case isDistinct(ExpressionSyntax, ExpressionSyntax, isNegated: Bool)
        case between(ExpressionSyntax, ExpressionSyntax, ExpressionSyntax, isNegated: Bool)
        case like(ExpressionSyntax, ExpressionSyntax, escape: ExpressionSyntax?, ignoresCase: Bool, isNegated: Bool)
        case inList(ExpressionSyntax, [ExpressionSyntax], isNegated: Bool)
        case inQuery(ExpressionSyntax, Query)
        case exists(Query)
        case scalar(Query)
        /// `x = ANY (SELECT ...)`.
        case quantifiedQuery(ExpressionSyntax, String, Quantifier, Query)
        /// `x = ANY (array)`.
        case quantifiedArray(ExpressionSyntax, String, Quantifier, ExpressionSyntax)
        case searchedCase([CaseBranch], otherwise: ExpressionSyntax?)
        /// `CASE x WHEN value THEN ...`.
        case simpleCase(ExpressionSyntax, [CaseBranch], otherwise: ExpressionSyntax?)
        case conditional(Conditional, [ExpressionSyntax])
        case call(FunctionCall)
        case array([ExpressionSyntax])
        case row([ExpressionSyntax])
        case element(ExpressionSyntax, [ExpressionSyntax])
        /// A field of a row: `(r).name`.
        case field(ExpressionSyntax, Identifier)
    }
}

public enum Literal: Sendable, Hashable {
    case null
    case boolean(Bool)
    /// Digits as written, with a point or an exponent or without, and with `-` where one stood right before them.
    case number(String)
    case text(String)
}

public enum Truth: String, Sendable, Hashable, CaseIterable { case isTrue = "TRUE", isFalse = "FALSE", isUnknown = "UNKNOWN" }
public enum Quantifier: String, Sendable, Hashable, CaseIterable { case any = "ANY", all = "ALL" }
public enum Conditional: String, Sendable, Hashable, CaseIterable { case coalesce = "COALESCE", nullIf = "NULLIF", greatest = "GREATEST", least = "LEAST" }

public struct CaseBranch: Sendable, Hashable {
    public let condition: ExpressionSyntax
    public let result: ExpressionSyntax

    public init(when condition: ExpressionSyntax, then result: ExpressionSyntax) {
        self.condition = condition
        self.result = result
    }
}

/// A function, an aggregate, a window function, or a function in FROM.
public struct FunctionCall: Sendable, Hashable {
    public let name: Identifier
    public let arguments: [Argument]
    /// `count(*)`.
    public let isStar: Bool
    public let isDistinct: Bool
    /// ORDER BY within the arguments of an aggregate, or within WITHIN GROUP.
    public let order: [OrderItem]
    public let isWithinGroup: Bool
    public let filter: ExpressionSyntax?
    public let window: Window?

    public init(
        _ name: Identifier, _ arguments: [Argument], isStar: Bool = false, isDistinct: Bool = false, order: [OrderItem] = [], isWithinGroup: Bool = false,
        filter: ExpressionSyntax? = nil, window: Window? = nil
    ) {
        self.name = name
        self.arguments = arguments
        self.isStar = isStar
        self.isDistinct = isDistinct
        self.order = order
        self.isWithinGroup = isWithinGroup
        self.filter = filter
        self.window = window
    }

    public struct Argument: Sendable, Hashable {
        /// `origin` in `origin => value`.
        public let name: Identifier?
        public let value: ExpressionSyntax

        public init(_ value: ExpressionSyntax, name: Identifier? = nil) {
            self.name = name
            self.value = value
        }
    }

    /// `OVER (PARTITION BY ... ORDER BY ...)`.
    public struct Window: Sendable, Hashable {
        public let partition: [ExpressionSyntax]
        public let order: [OrderItem]
        public let place: Place

        public init(partition: [ExpressionSyntax], order: [OrderItem], at place: Place) {
            self.partition = partition
            self.order = order
            self.place = place
        }
    }
}

extension ExpressionSyntax {
    /// The expressions right inside of it, from left to right; not those of its subqueries.
    package var parts: [ExpressionSyntax] {
        switch kind {
        case .column, .literal, .exists, .scalar: []
        case .cast(let operand, _), .prefix(_, let operand), .not(let operand), .isNull(let operand, _), .isTruth(let operand, _, _), .inQuery(let operand, _),
            .quantifiedQuery(let operand, _, _, _), .field(let operand, _):
            [operand]
        case .binary(_, let left, let right), .isDistinct(let left, let right, _), .quantifiedArray(let left, _, _, let right): [left, right]
        case .and(let items), .or(let items), .conditional(_, let items), .array(let items), .row(let items): items
        case .between(let operand, let low, let high, _): [operand, low, high]
        case .like(let operand, let pattern, let escape, _, _): [operand, pattern] + (escape.map { [$0] } ?? [])
        case .inList(let operand, let items, _): [operand] + items
        case .searchedCase(let branches, let otherwise): branches.flatMap { [$0.condition, $0.result] } + (otherwise.map { [$0] } ?? [])
        case .simpleCase(let operand, let branches, let otherwise):
            [operand] + branches.flatMap { [$0.condition, $0.result] } + (otherwise.map { [$0] } ?? [])
        case .call(let call):
            call.arguments.map(\.value) + call.order.map(\.expression) + (call.filter.map { [$0] } ?? []) + (call.window?.partition ?? [])
                + (call.window?.order.map(\.expression) ?? [])
        case .element(let array, let indices): [array] + indices
        }
    }

    /// True when it, or an expression inside of it, answers true.
    package func contains(where isWanted: (ExpressionSyntax) -> Bool) -> Bool { isWanted(self) || parts.contains { $0.contains(where: isWanted) } }
}
