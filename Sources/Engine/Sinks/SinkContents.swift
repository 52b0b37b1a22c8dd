// The rows of a sink's table, to be compared before and after something that must not change them.

/// All rows of `table` in the database at `address`, in the order of their columns.
/// - Throws: `notPossible` where the sink is no database.
package func sinkContents(address: String, table: SinkTable) throws -> [[SQLValue]] {
    guard sqlitePath(address) != nil || isPostgresAddress(address) else {
        throw Failure(
            .notPossible, "the rows of \(maskedAddress(address)) cannot be read back", why: "it is no database",
            now: "name a database: sqlite:FILE or postgres://user@host:port/database")
    }
    let database = try openDatabase(address)
    defer { database.close() }
    return try database.execute(SinkTableText(table, dialect: database.dialect).selectAll)
}
