// The table that a job writes, as plans and sinks know it.

/// How a sink makes a repeated write harmless.
public enum SinkMode: String, Sendable, Codable {
    /// Same keys, same rows: `INSERT ... ON CONFLICT (key) DO UPDATE`; rows also go by key.
    case keyedUpsert
    /// Rows are added once, guarded by the ledger; the table has a unique key of source coordinates (`key`), or none.
    case append
}

/// The table that a job writes: its columns in order, and its key.
public struct SinkTable: Sendable, Codable, Hashable {
    public var name: String
    public var schema: Schema
    public var key: [String]
    public var mode: SinkMode

    public init(name: String, schema: Schema, key: [String], mode: SinkMode) {
        self.name = name
        self.schema = schema
        self.key = key
        self.mode = mode
    }

    /// The key is empty: the table has exactly one row, and writing replaces it.
    package var isSingleRow: Bool { mode == .keyedUpsert && key.isEmpty }

    /// The fields of the key, in its order.
    var keyFields: [Field] { key.compactMap { name in schema.fields.first { $0.name == name } } }

    /// The key of a row that has all columns.
    func key(of row: [Value]) -> [Value] { key.map { name in row[schema.index(of: name)!] } }
}
