// Addresses of databases as settings name them: `sqlite:FILE` and `postgres://...`.

/// Opens the database that `address` names.
/// - Parameters:
///   - readOnly: a file of SQLite is neither made nor changed, its journal's mode among it; a server's rights are its user's.
///   - busyTimeoutMillis: how long SQLite waits for another writer.
package func openDatabase(_ address: String, readOnly: Bool = false, busyTimeoutMillis: Int = 5000) throws -> any SQLDatabase {
    if let path = sqlitePath(address) {
        return try SQLiteDatabase(path: path, readOnly: readOnly, busyTimeoutMillis: busyTimeoutMillis)
    }
    if isPostgresAddress(address) { return try PostgresDatabase(url: address) }
    throw Failure(
        .invalidSetting, "`\(maskedAddress(address))` names no database", why: "it has neither of the two forms",
        now: "write sqlite:FILE or postgres://user@host:port/database")
}

/// The address as it may be shown: without a password.
package func maskedAddress(_ address: String) -> String {
    sqlitePath(address) == nil ? PostgresAddress.masked(address) : address
}

/// The file of `sqlite:FILE`; nil for other addresses and for an empty file name.
package func sqlitePath(_ address: String) -> String? {
    guard address.hasPrefix("sqlite:"), address.utf8.count > 7, !address.utf8.contains(0) else { return nil }
    return String(address.dropFirst(7))
}

func isPostgresAddress(_ address: String) -> Bool {
    address.hasPrefix("postgres://") || address.hasPrefix("postgresql://")
}
