// The statements of one sink table, made once from its description.
//
// Names come from a job's description, never from rows. They are held to `[A-Za-z_][A-Za-z0-9_]*` and quoted, so that
// `offset` or `partition` may be a column and nothing else may be anything. A table that exists already must have exactly
// the columns and the key that the job writes: adding to somebody's table what does not belong there is worse than to stop.
//
// Every table with a key is written with ON CONFLICT DO UPDATE, append tables too: after an accepted jump backwards
// (protocol 8) the same source coordinates come again, with the same rows.

/// A sink table in the words of one dialect.
struct SinkTableText: Sendable {
    let table: SinkTable
    let dialect: SQLDialect
    /// The quoted name, with its schema where it has one.
    let name: String
    /// The quoted columns, separated by commas.
    let columns: String
    let key: String

    /// The staging table that PostgreSQL rows are copied into; its last column keeps their order.
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
        key = table.key.map(Self.quoted).joined(separator: ", ")
    }

    /// The type that a field has in the table.
    func type(of field: Field) -> String {
        switch (field.type, dialect) {
        case (.text, .sqlite), (.timestamp, .sqlite): "TEXT"
        case (.int64, .sqlite), (.bool, .sqlite): "INTEGER"
        case (.float64, .sqlite): "REAL"
        case (.text, .postgres): "text"
        // Kafka's partition numbers have 32 bits, and the column is named for them.
        case (.int64, .postgres): field.name == "partition" ? "integer" : "bigint"
        case (.float64, .postgres): "double precision"
        case (.bool, .postgres): "boolean"
        case (.timestamp, .postgres): "timestamp with time zone"
        }
    }

    var createTable: String {
        // NOT NULL on key columns is said aloud because SQLite lets NULL into a primary key.
        var parts = table.schema.fields.map { field in
            "\(Self.quoted(field.name)) \(type(of: field))\(table.key.contains(field.name) ? " NOT NULL" : "")"
        }
        if !table.key.isEmpty { parts.append("PRIMARY KEY (\(key))") }
        // Rows of a keyed table are found by their key alone: SQLite keeps them in it and saves the second tree.
        let clustered = dialect == .sqlite && !table.key.isEmpty ? " WITHOUT ROWID" : ""
        return "CREATE TABLE \(name) (\(parts.joined(separator: ", ")))\(clustered)"
    }

    /// One row, its values bound in the order of the columns.
    var insertRow: String {
        let values = (1...table.schema.fields.count).map { "$\($0)" }.joined(separator: ", ")
        return "INSERT INTO \(name) (\(columns)) VALUES (\(values))\(onConflict)"
    }

    /// All staged rows. One statement may touch a key once only: of several rows the last counts.
    var insertStaged: String {
        let source =
            table.key.isEmpty
            ? "SELECT \(columns) FROM \(Self.stagingTable) ORDER BY \(Self.orderColumn)"
            : "SELECT DISTINCT ON (\(key)) \(columns) FROM \(Self.stagingTable) ORDER BY \(key), \(Self.orderColumn) DESC"
        return "INSERT INTO \(name) (\(columns)) \(source)\(onConflict)"
    }

    /// How many keys are staged, and how many of them are in the table.
    var countStaged: String {
        let staged = "(SELECT DISTINCT \(key) FROM \(Self.stagingTable)) AS s"
        let matches = table.key.map { "t.\(Self.quoted($0)) = s.\(Self.quoted($0))" }.joined(separator: " AND ")
        return "SELECT (SELECT count(*) FROM \(staged)), (SELECT count(*) FROM \(staged) JOIN \(name) t ON \(matches))"
    }

    /// What acts on the rows of a table of PostgreSQL beside us, by name.
    var selectTriggers: String {
        """
        SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = to_regclass($1) AND NOT tgisinternal AND tgenabled <> 'D'
        UNION ALL SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = to_regclass($1) AND rulename <> '_RETURN'
        """
    }

    /// A private table of the connection, as wide as ours and emptied by each commit; `untilCommit`, it lives no longer.
    func createStaging(untilCommit: Bool) -> String {
        let staged = table.schema.fields.map { "\(Self.quoted($0.name)) \($0.type == .int64 ? "bigint" : type(of: $0))" }
        return "CREATE TEMPORARY TABLE \(untilCommit ? "" : "IF NOT EXISTS ")\(Self.stagingTable) "
            + "(\(staged.joined(separator: ", ")), \(Self.orderColumn) bigint) ON COMMIT \(untilCommit ? "DROP" : "DELETE ROWS")"
    }

    func copyToStaging(_ names: [String]) -> String {
        let list = (names.map(Self.quoted) + [Self.orderColumn]).joined(separator: ", ")
        return "COPY \(Self.stagingTable) (\(list)) FROM STDIN (FORMAT binary)"
    }

    /// For each staged key in order: whether there is a row, and its columns.
    var selectStagedKeys: String {
        let matches = table.key.map { "t.\(Self.quoted($0)) = s.\(Self.quoted($0))" }.joined(separator: " AND ")
        let wanted = table.schema.names.map { "t.\(Self.quoted($0))" }.joined(separator: ", ")
        return "SELECT t.\(Self.quoted(table.key[0])) IS NOT NULL, \(wanted) FROM \(Self.stagingTable) s "
            + "LEFT JOIN \(name) t ON \(matches) ORDER BY s.\(Self.orderColumn)"
    }

    /// The columns of the row whose key is bound.
    var selectKey: String {
        let matches = table.key.enumerated().map { "\(Self.quoted($1)) = $\($0 + 1)" }.joined(separator: " AND ")
        return "SELECT \(columns) FROM \(name) WHERE \(matches)"
    }

    var firstColumn: String { Self.quoted(table.schema.names[0]) }

    /// All rows, in the order of their columns.
    var selectAll: String { "SELECT \(columns) FROM \(name) ORDER BY \(columns)" }

    /// Whether the table has any row.
    var selectAny: String { "SELECT 1 FROM \(name) LIMIT 1" }

    /// Whether the row whose columns are bound is there.
    var selectRow: String {
        let same = dialect == .postgres ? "IS NOT DISTINCT FROM" : "IS"
        let matches = table.schema.names.enumerated().map { "\(Self.quoted($1)) \(same) $\($0 + 1)" }
        return "SELECT 1 FROM \(name) WHERE \(matches.joined(separator: " AND ")) LIMIT 1"
    }

    private var onConflict: String {
        guard !table.key.isEmpty else { return "" }
        var others = table.schema.names.filter { !table.key.contains($0) }.map(Self.quoted)
        // A row that is there already counts as stored, so it is written over where it has nothing but its key.
        if others.isEmpty { others = [Self.quoted(table.key[0])] }
        return " ON CONFLICT (\(key)) DO UPDATE SET " + others.map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
    }

    private static func quoted(_ name: String) -> String { "\"\(name)\"" }

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
        guard Set(table.key).count == table.key.count, table.mode == .append || !table.key.isEmpty else {
            throw invalid(table.name, "a keyed sink needs a key of different columns", "name the columns of the key")
        }
    }

    private static func invalid(_ table: String, _ why: String, _ now: String) -> Failure {
        Failure(.invalidSetting, "the sink table `\(table)` cannot be made", why: why, now: now)
    }
}
