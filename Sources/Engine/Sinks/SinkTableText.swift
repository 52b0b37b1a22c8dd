// One sink table in the words of a dialect, made once from its description: its names, its types, and how it is made.
//
// Names come from a job's description, never from rows. They are held to `[A-Za-z_][A-Za-z0-9_]*` and quoted, so that
// `offset` or `partition` may be a column and nothing else may be anything. A table that exists already must have exactly
// the columns and the key that the job writes: adding to somebody's table what does not belong there is worse than to stop.
//
// Keys compare by IS NOT DISTINCT FROM. Where a column of the key can be NULL, PostgreSQL 15 has `UNIQUE NULLS NOT DISTINCT`; SQLite
// and older servers get a unique index over two expressions for each such column, whether it is NULL and what it is otherwise
// (`NullKeys`), and statements find rows by the same expressions. The statements are in `SinkTableText+Statements.swift`.

/// By what a table keeps keys apart that may be NULL.
enum NullKeys: Sendable {
    /// An index over the columns themselves, in which NULLs are equal, or whose columns cannot be NULL.
    case columns
    /// An index over expressions, in which there is no NULL.
    case expressions
}

/// A sink table in the words of one dialect.
struct SinkTableText: Sendable {
    let table: SinkTable
    let dialect: SQLDialect
    /// The quoted name, with its schema where it has one.
    let name: String
    /// The quoted columns, separated by commas.
    let columns: String
    /// As the table that is there has it.
    var nullKeys = NullKeys.columns

    /// The staging table that PostgreSQL rows are copied into; its last column keeps their order. Keys whose rows go are numbered
    /// below zero.
    static let stagingTable = "sluice_rows"
    static let orderColumn = "sluice_row"

    init(_ table: SinkTable, dialect: SQLDialect) throws {
        self.table = table
        self.dialect = dialect
        let parts = table.name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 1 || (parts.count == 2 && dialect == .postgres), parts.allSatisfy(Self.isIdentifier) else {
            throw Self.invalid(
                table.name, "`\(table.name)` is no table name",
                "use letters, digits and _, not beginning with a digit"
                    + (dialect == .postgres ? "; schema.table is possible" : ""))
        }
        let lowered = parts[parts.count - 1].lowercased()
        guard !lowered.hasPrefix("sluice_"), !lowered.hasPrefix("sqlite_"), !lowered.hasPrefix("pg_") else {
            throw Self.invalid(table.name, "names that begin with sluice_, sqlite_ or pg_ are taken", "choose another name")
        }
        try Self.checkColumns(of: table)
        name = parts.map(Self.quoted).joined(separator: ".")
        columns = table.schema.names.map(Self.quoted).joined(separator: ", ")
    }

    /// The type that a field has in the table.
    func type(of field: Field) -> String {
        switch (field.type, dialect) {
        case (.text, .sqlite), (.timestamp, .sqlite): "TEXT"
        case (.int64, .sqlite), (.bool, .sqlite): "INTEGER"
        case (.float64, .sqlite): "REAL"
        case (_, .postgres): PostgresColumn(field).type
        }
    }

    /// Columns of the key can be NULL.
    var hasNullableKey: Bool { table.keyFields.contains(where: \.nullable) }

    // MARK: making it

    /// - Parameter nullKeys: what the database can do for a key that may be NULL.
    func createTable(_ nullKeys: NullKeys) throws -> [String] {
        // NOT NULL on key columns is said aloud because SQLite lets NULL into a primary key.
        var parts = table.schema.fields.map { field in
            "\(Self.quoted(field.name)) \(type(of: field))\(table.key.contains(field.name) && !field.nullable ? " NOT NULL" : "")"
        }
        let key = table.key.map(Self.quoted).joined(separator: ", ")
        var index: [String] = []
        if hasNullableKey {
            switch nullKeys {
            case .columns: parts.append("UNIQUE NULLS NOT DISTINCT (\(key))")
            case .expressions: index = [try createKeyIndex]
            }
        } else if !table.key.isEmpty {
            parts.append("PRIMARY KEY (\(key))")
        }
        // Rows of a keyed table are found by their key alone: SQLite keeps them in it and saves the second tree.
        let clustered = dialect == .sqlite && !table.key.isEmpty && !hasNullableKey ? " WITHOUT ROWID" : ""
        return ["CREATE TABLE \(name) (\(parts.joined(separator: ", ")))\(clustered)"] + index
    }

    private var createKeyIndex: String {
        get throws {
            for field in table.keyFields where field.nullable && standIn(field) == nil {
                throw Self.invalid(
                    table.name, "its key column \(field.name) of type \(type(of: field)) can be NULL, and this server keeps NULLs apart",
                    "use PostgreSQL 15 or newer, or a key that cannot be NULL")
            }
            // PostgreSQL names it itself; in SQLite it may not be without a name.
            let named = dialect == .sqlite ? " " + Self.quoted("sluice_key_" + table.name) : ""
            return "CREATE UNIQUE INDEX\(named) ON \(name) (\(keyExpressions.joined(separator: ", ")))"
        }
    }

    func standIn(_ field: Field) -> String? { dialect == .sqlite ? "''" : PostgresColumn(field).standIn }

    /// What the index over expressions consists of.
    var keyExpressions: [String] {
        table.keyFields.flatMap { field -> [String] in
            let column = Self.quoted(field.name)
            guard field.nullable else { return [column] }
            return ["(\(column) IS NULL)", "(coalesce(\(column), \(standIn(field) ?? "NULL")))"]
        }
    }

    // MARK: what may be one

    static func quoted(_ name: String) -> String { "\"\(name)\"" }

    /// PostgreSQL cuts names at 63 bytes without an error, and two would become one.
    private static func isIdentifier(_ name: String) -> Bool {
        func isLetter(_ byte: UInt8) -> Bool { (65...90).contains(byte) || (97...122).contains(byte) || byte == 95 }
        guard let first = name.utf8.first, isLetter(first), name.utf8.count <= 63 else { return false }
        return name.utf8.allSatisfy { isLetter($0) || (48...57).contains($0) }
    }

    static func checkColumns(of table: SinkTable) throws {
        let names = table.schema.names
        guard !names.isEmpty else { throw invalid(table.name, "it has no columns", "name at least one") }
        for name in names where !isIdentifier(name) || name.lowercased() == orderColumn {
            throw invalid(
                table.name, "`\(name)` is no column name",
                "use letters, digits and _, not beginning with a digit; \(orderColumn) is taken")
        }
        guard Set(names.map { $0.lowercased() }).count == names.count else {
            throw invalid(table.name, "two of its columns have the same name", "rename one; capitals do not count")
        }
        for name in table.key where !names.contains(name) {
            throw invalid(table.name, "its key names `\(name)`, which is no column", "choose from \(names.joined(separator: ", "))")
        }
        guard Set(table.key).count == table.key.count else {
            throw invalid(table.name, "its key names a column twice", "name different columns")
        }
        if let fault = table.schema.fields.lazy.compactMap(PostgresColumn.fault).first {
            throw invalid(table.name, fault, "report this with the query that gives the column")
        }
    }

    private static func invalid(_ table: String, _ why: String, _ now: String) -> Failure {
        Failure(.invalidSetting, "the sink table `\(table)` cannot be made", why: why, now: now)
    }
}
