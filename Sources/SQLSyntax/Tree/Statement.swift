// The statements of a job's text, as values: what the grammar took and Sluice means to understand.
//
// A tree says what was written and nothing about what it means: no name is resolved, no type looked up. Whatever PostgreSQL's grammar
// takes beyond it was refused by name when the tree was read. Two trees that say the same are equal, wherever they stand in a text
// (`Place`) and however they were spelled: `x::int4` and `CAST(x AS integer)` are one node.

/// A text of several statements, parsed.
public struct Script: Sendable, Hashable {
    public let text: SourceText
    public let statements: [Statement]

    public init(text: SourceText, statements: [Statement]) {
        self.text = text
        self.statements = statements
    }

    public static func == (left: Script, right: Script) -> Bool { left.statements == right.statements }
    public func hash(into hasher: inout Hasher) { hasher.combine(statements) }
}

public struct Statement: Sendable, Hashable {
    public let kind: Kind
    public let place: Place

    public init(_ kind: Kind, at place: Place) {
        self.kind = kind
        self.place = place
    }

    public enum Kind: Sendable, Hashable {
        case createTable(CreateTable)
        case createView(CreateView)
        case insert(Insert)
        case set(Setting)
        case select(Query)
    }
}

/// A name as PostgreSQL reads it: lower case unless it was quoted.
public struct Identifier: Sendable, Hashable {
    public let text: String
    public let place: Place

    public init(_ text: String, at place: Place) {
        self.text = text
        self.place = place
    }
}

/// `CREATE TABLE t (...) WITH (...)`: an input or an output.
public struct CreateTable: Sendable, Hashable {
    public let name: Identifier
    public let columns: [ColumnDefinition]
    /// Of a column or of the table; nil when none is declared.
    public let primaryKey: [Identifier]?
    public let options: [Option]

    public init(name: Identifier, columns: [ColumnDefinition], primaryKey: [Identifier]?, options: [Option]) {
        self.name = name
        self.columns = columns
        self.primaryKey = primaryKey
        self.options = options
    }
}

public struct ColumnDefinition: Sendable, Hashable {
    public let name: Identifier
    public let type: TypeSyntax
    public let isNotNull: Bool
    public let defaultValue: ExpressionSyntax?
    /// `GENERATED ALWAYS AS (...) STORED`.
    public let generated: ExpressionSyntax?

    public init(name: Identifier, type: TypeSyntax, isNotNull: Bool, defaultValue: ExpressionSyntax?, generated: ExpressionSyntax?) {
        self.name = name
        self.type = type
        self.isNotNull = isNotNull
        self.defaultValue = defaultValue
        self.generated = generated
    }
}

/// `key = value` in WITH. The place is the key's.
public struct Option: Sendable, Hashable {
    public let key: Identifier
    /// As text, whatever it was written as; a key alone is `true`.
    public let value: String

    public init(key: Identifier, value: String) {
        self.key = key
        self.value = value
    }
}

/// `CREATE VIEW v AS`, and `CREATE MATERIALIZED VIEW v WITH (...) AS`, which is also a table in the job's sink.
public struct CreateView: Sendable, Hashable {
    public let name: Identifier
    public let isMaterialized: Bool
    /// Names for the first columns of the query; empty when it keeps its own.
    public let columns: [Identifier]
    public let options: [Option]
    public let query: Query

    public init(name: Identifier, isMaterialized: Bool, columns: [Identifier], options: [Option], query: Query) {
        self.name = name
        self.isMaterialized = isMaterialized
        self.columns = columns
        self.options = options
        self.query = query
    }
}

/// `INSERT INTO t [(columns)] SELECT ...`.
public struct Insert: Sendable, Hashable {
    public let table: Identifier
    /// Empty when all are meant, in the table's order.
    public let columns: [Identifier]
    public let query: Query

    public init(table: Identifier, columns: [Identifier], query: Query) {
        self.table = table
        self.columns = columns
        self.query = query
    }
}

/// `SET key = value`.
public struct Setting: Sendable, Hashable {
    public let key: String
    public let value: String

    public init(key: String, value: String) {
        self.key = key
        self.value = value
    }
}

/// A type as it is named: PostgreSQL's own name (`int4`, not `integer`), modifiers, dimensions.
public struct TypeSyntax: Sendable, Hashable {
    public let name: Identifier
    /// `numeric(10, 2)` has 10 and 2, `timestamptz(3)` has 3.
    public let modifiers: [Int]
    /// `interval day to second`: its fields, else nil.
    public let intervalFields: String?
    public let dimensions: Int

    public init(name: Identifier, modifiers: [Int] = [], intervalFields: String? = nil, dimensions: Int = 0) {
        self.name = name
        self.modifiers = modifiers
        self.intervalFields = intervalFields
        self.dimensions = dimensions
    }

    public var place: Place { name.place }
}
