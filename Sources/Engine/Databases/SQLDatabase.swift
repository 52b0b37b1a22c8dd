// What catalog and sinks ask of a relational database: the seam that SQLite and PostgreSQL fulfil.
//
// Statements use `$1 ... $n` for parameters in both; values are always bound, never spelled into the text. Text read
// from a timestamptz or bigint column comes back as the case that the dialect stores. A connection belongs to one
// thread at a time. Errors are `Failure`s with one of: databaseUnreachable, databaseBusy, databaseReadOnly, diskFull,
// catalogReadOnly, catalogLocked, sinkMismatch, rowRefused, catalogFailed; their texts never contain a password.

public enum SQLValue: Sendable, Hashable {
    case null
    case int(Int64)
    case double(Double)
    case text(String)
    case blob([UInt8])
}

public enum SQLDialect: String, Sendable { case sqlite, postgres }

public protocol SQLDatabase: AnyObject {
    var dialect: SQLDialect { get }
    /// Runs one statement and returns its rows. Prepared statements are cached by text.
    @discardableResult
    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> [[SQLValue]]
    /// Rows changed by the last `execute`.
    var changedRows: Int { get }
    /// Runs several statements separated by semicolons, without parameters (migrations).
    func executeScript(_ sql: String) throws
    /// BEGIN (SQLite: BEGIN IMMEDIATE), body, COMMIT; ROLLBACK when the body throws.
    func transaction<Result>(_ body: () throws -> Result) throws -> Result
    func close()
}

extension SQLDatabase {
    @discardableResult
    public func execute(_ sql: String) throws -> [[SQLValue]] { try execute(sql, []) }
}
