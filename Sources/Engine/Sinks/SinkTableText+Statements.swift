// The statements that write and read the rows of one sink table.
//
// Every table with a key is written with ON CONFLICT DO UPDATE, append tables too: after an accepted jump backwards
// (protocol 8) the same source coordinates come again, with the same rows. A table with the empty key has one row, which is
// deleted and written anew.
//
// Staged rows of PostgreSQL have the forms in memory, and numbers that say what is to be done with them: from zero on they are
// written, below zero they are keys whose rows go. PostgreSQL uses no index for IS NOT DISTINCT FROM. So where columns of the key can
// be NULL, one statement looks for the staged keys of one `NullPattern`: these columns are NULL and the others are equal.

/// Which columns of a key are NULL. Without any that can be, all keys have the same.
struct NullPattern: Hashable {
    var nulls: Set<String> = []
    /// Columns of the key can be NULL, and these are not.
    var isSaid = false
}

extension SinkTableText {
    /// One row, its values bound in the order of the columns.
    var insertRow: String {
        let values = (1...table.schema.fields.count).map { "$\($0)" }.joined(separator: ", ")
        return "INSERT INTO \(name) (\(columns)) VALUES (\(values))\(onConflict)"
    }

    /// The row whose key is bound goes.
    var deleteKey: String { "DELETE FROM \(name)\(whereKeyIsBound)" }

    var deleteAll: String { "DELETE FROM \(name)" }

    /// The columns of the row whose key is bound, in their forms in memory.
    var selectKey: String { "SELECT \(readColumns()) FROM \(name)\(whereKeyIsBound)\(table.isSingleRow ? " LIMIT 1" : "")" }

    private var whereKeyIsBound: String {
        guard !table.key.isEmpty else { return "" }
        let matches = table.keyFields.enumerated().map { index, field in
            let parameter = "$\(index + 1)"
            let isAsked = field.nullable && dialect == .postgres
            return same(field, Self.quoted(field.name), isAsked ? PostgresColumn(field).parameter(parameter) : parameter)
        }
        return " WHERE " + matches.joined(separator: " AND ")
    }

    var firstColumn: String { Self.quoted(table.schema.names[0]) }

    /// All rows, in the order of their columns.
    var selectAll: String {
        "SELECT \(readColumns()) FROM \(name) ORDER BY \((1...table.schema.fields.count).map(String.init).joined(separator: ", "))"
    }

    /// Whether the table has any row.
    var selectAny: String { "SELECT 1 FROM \(name) LIMIT 1" }

    /// One row for each of the table's rows, two at most.
    var selectTwo: String { "SELECT 1 FROM \(name) LIMIT 2" }

    /// Whether the row whose columns are bound is there.
    var selectRow: String {
        let matches = table.schema.fields.enumerated().map { index, field in
            let column = Self.quoted(field.name)
            return dialect == .postgres
                ? "\(PostgresColumn(field).comparable(column)) IS NOT DISTINCT FROM $\(index + 1)" : "\(column) IS $\(index + 1)"
        }
        return "SELECT 1 FROM \(name) WHERE \(matches.joined(separator: " AND ")) LIMIT 1"
    }

    /// Changes nothing, and fails where no index is over the expressions of a key that can be NULL.
    var tryKeyExpressions: String {
        "EXPLAIN INSERT INTO \(name) (\(columns)) SELECT \(columns) FROM \(name) WHERE 1 = 0 "
            + "ON CONFLICT (\(keyExpressions.joined(separator: ", "))) DO NOTHING"
    }

    // MARK: keys

    /// Two values of a key are the same, or both NULL.
    private func same(_ field: Field, _ left: String, _ right: String) -> String {
        guard field.nullable else { return "\(left) = \(right)" }
        switch (nullKeys, dialect) {
        case (.columns, .sqlite): return "\(left) IS \(right)"
        case (.columns, .postgres): return "(\(left) = \(right) OR (\(left) IS NULL AND \(right) IS NULL))"
        case (.expressions, _):
            let standIn = standIn(field) ?? "NULL"
            return "(\(left) IS NULL) = (\(right) IS NULL) AND coalesce(\(left), \(standIn)) = coalesce(\(right), \(standIn))"
        }
    }

    /// A row `t` of the table and a row `s` of the staged ones, which has `pattern`, have the same key.
    private func sameKey(_ pattern: NullPattern) -> String {
        table.keyFields.map { field in
            let column = Self.quoted(field.name)
            if pattern.nulls.contains(field.name) { return "t.\(column) IS NULL" }
            return pattern.isSaid ? "t.\(column) = s.\(column)" : same(field, "t.\(column)", "s.\(column)")
        }.joined(separator: " AND ")
    }

    private var onConflict: String {
        guard !table.key.isEmpty else { return "" }
        let key =
            hasNullableKey && nullKeys == .expressions
            ? keyExpressions.joined(separator: ", ") : table.key.map(Self.quoted).joined(separator: ", ")
        var others = table.schema.names.filter { !table.key.contains($0) }.map(Self.quoted)
        // A row that is there already counts as stored, so it is written over where it has nothing but its key.
        if others.isEmpty { others = [Self.quoted(table.key[0])] }
        return " ON CONFLICT (\(key)) DO UPDATE SET " + others.map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
    }

    /// The columns in their forms in memory.
    private func readColumns(_ prefix: String = "") -> String {
        table.schema.fields.map { field in
            let column = prefix + Self.quoted(field.name)
            return dialect == .postgres ? PostgresColumn(field).read(column) : column
        }.joined(separator: ", ")
    }

    // MARK: staged rows

    /// A private table of the connection, as wide as ours and emptied by each commit; `untilCommit`, it lives no longer.
    func createStaging(untilCommit: Bool) -> String {
        let staged = table.schema.fields.map { "\(Self.quoted($0.name)) \(PostgresColumn($0).stagedType)" }
        return "CREATE TEMPORARY TABLE \(untilCommit ? "" : "IF NOT EXISTS ")\(Self.stagingTable) "
            + "(\(staged.joined(separator: ", ")), \(Self.orderColumn) bigint) ON COMMIT \(untilCommit ? "DROP" : "DELETE ROWS")"
    }

    func copyToStaging(_ names: [String]) -> String {
        let list = (names.map(Self.quoted) + [Self.orderColumn]).joined(separator: ", ")
        return "COPY \(Self.stagingTable) (\(list)) FROM STDIN (FORMAT binary)"
    }

    /// All staged rows. One statement may touch a key once only: of several rows the last counts.
    var insertStaged: String {
        let keys = table.keyFields.map { PostgresColumn($0).compared(Self.quoted($0.name)) }.joined(separator: ", ")
        let values = table.schema.fields.map { PostgresColumn($0).assigned(Self.quoted($0.name)) }.joined(separator: ", ")
        let rows = "\(values) FROM \(Self.stagingTable) WHERE \(Self.orderColumn) >= 0 ORDER BY"
        let source =
            table.isSingleRow
            ? "SELECT \(rows) \(Self.orderColumn) DESC LIMIT 1"
            : table.key.isEmpty
                ? "SELECT \(rows) \(Self.orderColumn)" : "SELECT DISTINCT ON (\(keys)) \(rows) \(keys), \(Self.orderColumn) DESC"
        return "INSERT INTO \(name) (\(columns)) \(source)\(onConflict)"
    }

    /// Which of the columns that can be NULL are so, one row for each pattern that staged keys have. nil where one statement does for
    /// all: no column can be NULL, or the index has none.
    var selectNullPatterns: String? {
        guard hasNullableKey, nullKeys == .columns else { return nil }
        return "SELECT DISTINCT \(nullableKey.map { "\(Self.quoted($0)) IS NULL" }.joined(separator: ", ")) FROM \(Self.stagingTable)"
    }

    private var nullableKey: [String] { table.keyFields.filter(\.nullable).map(\.name) }

    /// One row of the answer.
    func nullPattern(_ row: [SQLValue]) -> NullPattern {
        NullPattern(nulls: Set(zip(nullableKey, row).filter { $1 == .int(1) }.map { $0.0 }), isSaid: true)
    }

    /// The rows of all staged keys that are to go.
    func deleteStaged(_ pattern: NullPattern) -> String {
        "DELETE FROM \(name) t USING \(staged(pattern, "\(Self.orderColumn) < 0")) WHERE \(sameKey(pattern))"
    }

    /// How many keys are staged to be written, and how many of them are in the table.
    func countStaged(_ pattern: NullPattern) -> String {
        let staged = staged(pattern, "\(Self.orderColumn) >= 0", distinct: true)
        return "SELECT (SELECT count(*) FROM \(staged)), (SELECT count(*) FROM \(staged) JOIN \(name) t ON \(sameKey(pattern)))"
    }

    /// How many rows of keys that were to go are in the table.
    func countKept(_ pattern: NullPattern) -> String {
        let staged = staged(pattern, "\(Self.orderColumn) < 0", distinct: true)
        return "SELECT count(*) FROM \(staged) JOIN \(name) t ON \(sameKey(pattern))"
    }

    /// For each staged key: its number, whether there is a row, and its columns.
    func selectStagedKeys(_ pattern: NullPattern) -> String {
        // A key that is there may be NULL, so another column says so.
        "SELECT s.\(Self.orderColumn), t.\(Self.orderColumn) IS NOT NULL, \(readColumns("t.")) FROM \(staged(pattern, "true", order: true)) "
            + "LEFT JOIN (SELECT 1 AS \(Self.orderColumn), \(columns) FROM \(name)) t ON \(sameKey(pattern))"
    }

    /// The staged keys of a pattern as `s`, as they compare with those of the table.
    private func staged(_ pattern: NullPattern, _ condition: String, distinct: Bool = false, order: Bool = false) -> String {
        let keys = table.keyFields.map { field in
            "\(PostgresColumn(field).compared(Self.quoted(field.name))) AS \(Self.quoted(field.name))"
        }
        let list = (keys + (order ? [Self.orderColumn] : [])).joined(separator: ", ")
        let asked = pattern.isSaid ? nullableKey.map { "\(Self.quoted($0)) IS \(pattern.nulls.contains($0) ? "" : "NOT ")NULL" } : []
        let all = ([condition] + asked).joined(separator: " AND ")
        return "(SELECT \(distinct ? "DISTINCT " : "")\(list) FROM \(Self.stagingTable) WHERE \(all)) AS s"
    }

    /// What acts on the rows of a table of PostgreSQL beside us, by name.
    var selectTriggers: String {
        """
        SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = to_regclass($1) AND NOT tgisinternal AND tgenabled <> 'D'
        UNION ALL SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = to_regclass($1) AND rulename <> '_RETURN'
        """
    }
}
