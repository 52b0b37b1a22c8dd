// A job's text after binding: what it reads, what it computes, where that goes.

import SQLSyntax
import Values

/// A table as it was declared: an input, an output, or a lookup table.
public struct TableDefinition: Sendable, Hashable {
    public let name: String
    public let connector: Connector
    public let columns: [TableColumn]
    /// Numbers of the key's columns; empty without a key.
    public let key: [Int]
    public let options: TableOptions
    public let place: Place

    /// The columns that a query can read, those that cost nothing unless used behind the declared ones.
    public var readable: [OutputColumn] {
        let declared = columns.enumerated().map { index, column in
            OutputColumn(
                name: column.name, type: column.type, isNullable: !column.isNotNull && !key.contains(index),
                eventTime: column.name == options[.eventTime] ? .watermarked : .none)
        }
        return connector == .kafka ? declared + Self.sourceColumns : declared
    }

    private static let sourceColumns: [OutputColumn] = [
        OutputColumn(name: "source_topic", type: .text, isNullable: false, isHidden: true),
        OutputColumn(name: "source_partition", type: .int4, isNullable: false, isHidden: true),
        OutputColumn(name: "source_offset", type: .int8, isNullable: false, isHidden: true),
        OutputColumn(name: "record_key", type: .bytea, isNullable: true, isHidden: true),
        OutputColumn(name: "record_time", type: .timestamptz, isNullable: true, isHidden: true),
        OutputColumn(name: "record_headers", type: .jsonb, isNullable: true, isHidden: true),
    ]
}

public struct TableColumn: Sendable, Hashable {
    public let name: String
    public let type: SQLType
    public let modifier: TypeModifier
    public let isNotNull: Bool
    public let defaultValue: BoundExpression?
    /// Over the declared columns.
    public let generated: BoundExpression?
}

/// Where rows go, and which.
public struct JobOutput: Sendable, Hashable {
    public enum Target: Sendable, Hashable {
        /// A declared table, and the number of its column for each of the relation's.
        case table(String, columns: [Int])
        /// A materialized view: a table of its name in the job's sink.
        case view(String)
    }

    public let target: Target
    public let relation: Relation
    public let options: TableOptions
    public let place: Place

    package init(target: Target, relation: Relation, options: TableOptions, place: Place) {
        self.target = target
        self.relation = relation
        self.options = options
        self.place = place
    }
}

/// A column that rows of an answer are ordered by.
public struct AnswerOrder: Sendable, Hashable {
    public let column: Int
    public let isDescending: Bool
    public let nullsFirst: Bool

    public init(column: Int, isDescending: Bool, nullsFirst: Bool) {
        self.column = column
        self.isDescending = isDescending
        self.nullsFirst = nullsFirst
    }
}

/// Everything that a text says.
public struct BoundJob: Sendable, Hashable {
    public let text: SourceText
    public let tables: [TableDefinition]
    public let outputs: [JobOutput]
    /// The SELECT of a text that asks instead of declaring an output.
    public let question: Relation?
    /// How the question's answer is to stand; empty where it does not say, or by something that is no column of it.
    public let order: [AnswerOrder]
    /// As they were set, by name.
    public let settings: [String: String]
    /// What is taken but has no effect, for the person.
    public let notes: [String]

    package init(
        text: SourceText, tables: [TableDefinition], outputs: [JobOutput], question: Relation? = nil, order: [AnswerOrder] = [], settings: [String: String] = [:],
        notes: [String] = []
    ) {
        self.text = text
        self.tables = tables
        self.outputs = outputs
        self.question = question
        self.order = order
        self.settings = settings
        self.notes = notes
    }
}
