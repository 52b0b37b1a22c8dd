// The types that rows have, before any row exists.

/// The type of a column. `timestamp` is milliseconds since 1970-01-01T00:00:00Z in an `Int64`.
public enum ValueType: String, Sendable, Codable, Hashable { case int64, float64, text, bool, timestamp }

/// A named, typed column of a schema.
public struct Field: Sendable, Codable, Hashable {
    public var name: String
    public var type: ValueType
    public var nullable: Bool
    /// The type of the column in a table of PostgreSQL, in the spelling of `format_type`; nil for the usual one of `type`. `type`
    /// stays the form in memory: whole numbers, floats and booleans as such, everything else as the text that PostgreSQL gives.
    public var sqlType: String?

    public init(_ name: String, _ type: ValueType, nullable: Bool = false, sqlType: String? = nil) {
        self.name = name
        self.type = type
        self.nullable = nullable
        self.sqlType = sqlType
    }
}

/// The ordered fields of a chunk.
public struct Schema: Sendable, Codable, Hashable {
    public var fields: [Field]

    public init(_ fields: [Field]) { self.fields = fields }

    public func index(of name: String) -> Int? { fields.firstIndex { $0.name == name } }
    public var names: [String] { fields.map(\.name) }
}
