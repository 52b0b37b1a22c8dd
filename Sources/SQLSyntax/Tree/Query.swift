// Queries as values: what may stand where a SELECT may stand.

/// `WITH ... body ORDER BY ... LIMIT ...`.
public struct Query: Sendable, Hashable {
    public let with: [CommonTable]
    public let body: Body
    public let order: [OrderItem]
    public let limit: ExpressionSyntax?
    public let offset: ExpressionSyntax?
    public let place: Place

    public init(with: [CommonTable] = [], body: Body, order: [OrderItem] = [], limit: ExpressionSyntax? = nil, offset: ExpressionSyntax? = nil, at place: Place) {
        self.with = with
        self.body = body
        self.order = order
        self.limit = limit
        self.offset = offset
        self.place = place
    }

    public indirect enum Body: Sendable, Hashable {
        case select(SelectBlock)
        case union(Query, Query, isAll: Bool)
        /// Rows of equal length, at least one.
        case values([[ExpressionSyntax]])
    }
}

/// A query that is named in WITH.
public struct CommonTable: Sendable, Hashable {
    public let name: Identifier
    public let columns: [Identifier]
    public let query: Query

    public init(name: Identifier, columns: [Identifier], query: Query) {
        self.name = name
        self.columns = columns
        self.query = query
    }
}

/// `SELECT ... FROM ... WHERE ... GROUP BY ... HAVING ...`.
public struct SelectBlock: Sendable, Hashable {
    public let distinct: Distinct?
    public let items: [SelectItem]
    /// Several are joined crosswise.
    public let from: [TableReference]
    public let filter: ExpressionSyntax?
    public let groups: [ExpressionSyntax]
    public let having: ExpressionSyntax?
    public let place: Place

    public init(
        distinct: Distinct?, items: [SelectItem], from: [TableReference], filter: ExpressionSyntax?, groups: [ExpressionSyntax], having: ExpressionSyntax?, at place: Place
    ) {
        self.distinct = distinct
        self.items = items
        self.from = from
        self.filter = filter
        self.groups = groups
        self.having = having
        self.place = place
    }

    public enum Distinct: Sendable, Hashable {
        case rows
        /// The first row of each key, by the query's ORDER BY.
        case on([ExpressionSyntax])
    }
}

public struct SelectItem: Sendable, Hashable {
    public let kind: Kind
    public let place: Place

    public init(_ kind: Kind, at place: Place) {
        self.kind = kind
        self.place = place
    }

    public enum Kind: Sendable, Hashable {
        /// `*`, or `t.*`.
        case all(of: [Identifier])
        case expression(ExpressionSyntax, alias: Identifier?)
    }
}

public struct OrderItem: Sendable, Hashable {
    public let expression: ExpressionSyntax
    public let isDescending: Bool
    /// As declared; nil is PostgreSQL's default: NULL counts as the greatest.
    public let nullsFirst: Bool?

    public init(_ expression: ExpressionSyntax, isDescending: Bool, nullsFirst: Bool?) {
        self.expression = expression
        self.isDescending = isDescending
        self.nullsFirst = nullsFirst
    }
}

/// `AS t (a, b)`.
public struct TableAlias: Sendable, Hashable {
    public let name: String
    public let columns: [String]

    public init(name: String, columns: [String] = []) {
        self.name = name
        self.columns = columns
    }
}

/// What stands in FROM.
public struct TableReference: Sendable, Hashable {
    public let kind: Kind
    public let alias: TableAlias?
    public let place: Place

    public init(_ kind: Kind, alias: TableAlias?, at place: Place) {
        self.kind = kind
        self.alias = alias
        self.place = place
    }

    public indirect enum Kind: Sendable, Hashable {
        case table(Identifier)
        case subquery(Query)
        case function(FunctionCall)
        case join(JoinKind, TableReference, TableReference, JoinCondition)
    }
}

public enum JoinKind: Sendable, Hashable, CaseIterable { case inner, left, right, full }

public enum JoinCondition: Sendable, Hashable {
    case on(ExpressionSyntax)
    case using([String])
    case natural
    /// CROSS JOIN.
    case none
}
