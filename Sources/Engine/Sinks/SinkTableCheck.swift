// Whether the table that a sink found is the one that its job writes.
//
// `FoundTable` reads the dialect's own catalogue; `difference` decides, without a database. Columns are compared by name
// and type, in any order; the key must be the columns of one unique index, and where it can be NULL, of one that takes no two
// NULLs. A table that gets rows added and has no declared key must have no primary key, because rows that collide with it would
// stop the job later, in the middle of a batch; one with the empty key has one row, which collides with none.

/// What the database says of a table that is there.
struct FoundTable: Equatable {
    var columns: [String: String]
    /// The column sets that are unique.
    var uniqueKeys: [Set<String>]
    /// Those of them of which no two rows can be the same, NULL or not.
    var strictKeys: [Set<String>]
    var primaryKey: Set<String>
    /// NULLs are equal in an index over the expressions of the job's key.
    var hasKeyExpressions = false

    /// - Returns: nil when there is no such table.
    init?(_ text: SinkTableText, in database: any SQLDatabase) throws {
        switch text.dialect {
        case .sqlite: try self.init(sqlite: text.table.name, database)
        case .postgres: try self.init(postgres: text.name, database)
        }
        guard text.hasNullableKey, !strictKeys.contains(Set(text.table.key)),
            text.table.keyFields.allSatisfy({ !$0.nullable || text.standIn($0) != nil })
        else { return }
        hasKeyExpressions = try Self.succeeds(text.tryKeyExpressions, in: database)
    }

    /// Whether the database knows what a statement names; inside a transaction.
    private static func succeeds(_ statement: String, in database: any SQLDatabase) throws -> Bool {
        try database.execute("SAVEPOINT sluice_look")
        do {
            try database.execute(statement)
            try database.execute("RELEASE SAVEPOINT sluice_look")
            return true
        } catch let missing as Failure where missing.code == .sinkMismatch {
            try database.execute("ROLLBACK TO SAVEPOINT sluice_look")
            try database.execute("RELEASE SAVEPOINT sluice_look")
            return false
        }
    }

    /// How the table keeps apart keys of the job that may be NULL.
    var nullKeys: NullKeys { hasKeyExpressions ? .expressions : .columns }

    private init?(sqlite name: String, _ database: any SQLDatabase) throws {
        let rows = try database.execute("SELECT name, type, pk, \"notnull\" FROM pragma_table_info($1)", [.text(name)])
        if rows.isEmpty { return nil }
        columns = [:]
        primaryKey = []
        let filled = Set(rows.compactMap { row in if case .text(let column) = row[0], row[3] == .int(1) { column } else { nil } })
        for row in rows {
            guard case .text(let column) = row[0], case .text(let type) = row[1], case .int(let position) = row[2] else { continue }
            columns[column] = Self.affinity(type)
            if position > 0 { primaryKey.insert(column) }
        }
        let unique = try database.execute(
            """
            SELECT l.name, i.name FROM pragma_index_list($1) l, pragma_index_info(l.name) i
            WHERE l."unique" = 1 AND l.partial = 0 AND NOT EXISTS (SELECT 1 FROM pragma_index_info(l.name) e WHERE e.name IS NULL)
            """, [.text(name)])
        uniqueKeys = Self.grouped(unique) + (primaryKey.isEmpty ? [] : [primaryKey])
        strictKeys = uniqueKeys.filter { $0.isSubset(of: filled) }
    }

    private init?(postgres name: String, _ database: any SQLDatabase) throws {
        let rows = try database.execute(
            """
            SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
            WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
            """, [.text(name)])
        if rows.isEmpty { return nil }
        columns = [:]
        for row in rows {
            guard case .text(let column) = row[0], case .text(let type) = row[1] else { continue }
            columns[column] = type
        }
        let indexes = """
            SELECT i.indexrelid, a.attname, a.attnotnull OR coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)
            FROM pg_index i
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indimmediate
                AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnatts = i.indnkeyatts
            """
        let unique = try database.execute(indexes, [.text(name)])
        uniqueKeys = Self.grouped(unique)
        let loose = Set(unique.filter { $0[2] != .int(1) }.map { $0[0] })
        strictKeys = Self.grouped(unique.filter { !loose.contains($0[0]) })
        primaryKey = Self.grouped(try database.execute(indexes + " AND i.indisprimary", [.text(name)])).first ?? []
    }

    private static func grouped(_ rows: [[SQLValue]]) -> [Set<String>] {
        var sets: [SQLValue: Set<String>] = [:]
        for row in rows {
            guard case .text(let column) = row[1] else { continue }
            sets[row[0], default: []].insert(column)
        }
        return Array(sets.values)
    }

    /// SQLite's own rule: the declared type is free text, and what counts is the kind of storage that it asks for.
    static func affinity(_ declared: String) -> String {
        let type = declared.uppercased()
        if type.contains("INT") { return "INTEGER" }
        if type.contains("CHAR") || type.contains("CLOB") || type.contains("TEXT") { return "TEXT" }
        if type.contains("REAL") || type.contains("FLOA") || type.contains("DOUB") { return "REAL" }
        return declared
    }

    /// The failure that says how this table differs from the job's; nil when it fits.
    func difference(from text: SinkTableText, place: String) -> Failure? {
        let table = text.table
        let expected = Dictionary(uniqueKeysWithValues: table.schema.fields.map { ($0.name, text.type(of: $0)) })
        let sameColumns =
            columns.count == expected.count
            && expected.allSatisfy { name, type in
                columns[name] == type || (type == "integer" && columns[name] == "bigint")
                    || (type == "text" && columns[name]?.hasPrefix("character varying") == true && columns[name]?.hasSuffix("]") == false)
            }
        let key = Set(table.key)
        let sameKey =
            key.isEmpty ? table.isSingleRow || primaryKey.isEmpty : uniqueKeys.contains(key) || text.hasNullableKey && hasKeyExpressions
        if sameColumns && sameKey {
            guard text.hasNullableKey, !strictKeys.contains(key), !hasKeyExpressions else { return nil }
            return loose(text, place: place)
        }
        func list(_ columns: [String: String]) -> String {
            columns.sorted { $0.key < $1.key }.map { "\($0) \($1)" }.joined(separator: ", ")
        }
        func keys(_ sets: [Set<String>]) -> String {
            let texts = Set(sets.filter { !$0.isEmpty }.map { "(" + $0.sorted().joined(separator: ", ") + ")" })
            return texts.isEmpty ? "none" : texts.sorted().joined(separator: " ")
        }
        return Failure(
            .sinkMismatch, "the table \(table.name) in \(place) is not the one that the job writes",
            why: "expected columns: \(list(expected)), key: \(keys([key])); "
                + "found columns: \(list(columns)), key: \(keys(uniqueKeys))",
            now: "name another table or database, or rename the existing table so that the job can make its own")
    }

    private func loose(_ text: SinkTableText, place: String) -> Failure {
        let key = text.table.key.joined(separator: ", ")
        let nullable = text.table.keyFields.filter(\.nullable).map(\.name).joined(separator: ", ")
        return Failure(
            .sinkMismatch, "the key (\(key)) of the table \(text.table.name) in \(place) lets several rows with NULL in",
            why: "in the job's key \(nullable) can be NULL, and there is one row of each key",
            now: text.dialect == .postgres
                ? "make it UNIQUE NULLS NOT DISTINCT (\(key)) (PostgreSQL 15), or its columns NOT NULL: rows with NULL are refused then"
                : "make its columns NOT NULL: rows with NULL are refused then; or rename the table so that the job can make its own")
    }
}
