// One prepared SQLite statement: the sole owner of a `sqlite3_stmt`.
//
// Binding is by position, reading is by column. `parameter` translates `$3` to SQLite's own position once, when the
// statement is prepared, because SQLite numbers parameters by first appearance. A statement that was stepped holds a
// read transaction until `reset`: whoever steps resets, also when it throws. It must not outlive its database.

import CSQLite

/// A statement, prepared once and run often. Belongs to the thread that its database belongs to.
package final class SQLiteStatement {
    private let handle: OpaquePointer
    /// SQLite's position of `$1`, `$2`, ...; 0 where the text does not use that number.
    private let positions: [Int32]
    package let columnCount: Int32
    /// Whether running it cannot write.
    package let isReadOnly: Bool

    /// - Returns: nil together with SQLite's result code when the text cannot be prepared.
    static func prepare(_ sql: String, on database: OpaquePointer) -> (statement: SQLiteStatement?, code: Int32) {
        var handle: OpaquePointer?
        let code = sqlite3_prepare_v3(database, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, nil)
        guard code == SQLITE_OK, let handle else { return (nil, code == SQLITE_OK ? SQLITE_MISUSE : code) }
        return (SQLiteStatement(handle), SQLITE_OK)
    }

    private init(_ handle: OpaquePointer) {
        self.handle = handle
        columnCount = sqlite3_column_count(handle)
        isReadOnly = sqlite3_stmt_readonly(handle) != 0
        var positions: [Int32] = []
        for index in 0..<sqlite3_bind_parameter_count(handle) {
            guard let name = sqlite3_bind_parameter_name(handle, index + 1),
                let number = Int(String(cString: name).dropFirst()), (1...32_766).contains(number)
            else { continue }
            while positions.count < number { positions.append(0) }
            positions[number - 1] = index + 1
        }
        self.positions = positions
    }

    deinit { sqlite3_finalize(handle) }

    /// How many numbered parameters the text asks for.
    var parameterCount: Int { positions.count }

    /// SQLite's position of `$number`.
    package func parameter(_ number: Int) -> Int32 { positions[number - 1] }

    func bind(_ value: SQLValue, to position: Int32) -> Int32 {
        switch value {
        case .null: return sqlite3_bind_null(handle, position)
        case .int(let value): return sqlite3_bind_int64(handle, position, value)
        case .double(let value): return sqlite3_bind_double(handle, position, value)
        case .text(var text):
            return text.withUTF8 { utf8 in
                // An empty text has no address, and a NULL address would bind NULL.
                guard let base = utf8.baseAddress else { return sluice_bind_text_copied(handle, position, "", 0) }
                return sluice_bind_text_copied(handle, position, base, UInt64(utf8.count))
            }
        case .blob(let bytes):
            return bytes.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress, !buffer.isEmpty else {
                    return sqlite3_bind_zeroblob(handle, position, 0)
                }
                return sluice_bind_blob_copied(handle, position, base, UInt64(buffer.count))
            }
        }
    }

    package func bindNull(_ position: Int32) -> Int32 { sqlite3_bind_null(handle, position) }
    package func bind(_ value: Int64, to position: Int32) -> Int32 { sqlite3_bind_int64(handle, position, value) }
    package func bind(_ value: Double, to position: Int32) -> Int32 { sqlite3_bind_double(handle, position, value) }

    /// Binds bytes that stay where they are until the next `reset`.
    package func bindBorrowed(_ bytes: UnsafePointer<UInt8>, _ length: Int, to position: Int32) -> Int32 {
        sluice_bind_text_borrowed(handle, position, bytes, UInt64(length))
    }

    /// `SQLITE_ROW`, `SQLITE_DONE` or an error.
    package func step() -> Int32 { sqlite3_step(handle) }

    /// Ends the run; the values stay bound.
    package func reset() { _ = sqlite3_reset(handle) }

    /// Ends the run and forgets the values, so that no borrowed address stays behind.
    package func clear() {
        _ = sqlite3_reset(handle)
        _ = sqlite3_clear_bindings(handle)
    }

    package func value(_ column: Int32) -> SQLValue {
        switch sqlite3_column_type(handle, column) {
        case SQLITE_INTEGER: return .int(sqlite3_column_int64(handle, column))
        case SQLITE_FLOAT: return .double(sqlite3_column_double(handle, column))
        case SQLITE_TEXT:
            guard let bytes = sqlite3_column_text(handle, column) else { return .text("") }
            let count = Int(sqlite3_column_bytes(handle, column))
            return .text(String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self))
        case SQLITE_BLOB:
            let count = Int(sqlite3_column_bytes(handle, column))
            guard count > 0, let bytes = sqlite3_column_blob(handle, column) else { return .blob([]) }
            return .blob([UInt8](UnsafeRawBufferPointer(start: bytes, count: count)))
        default: return .null
        }
    }
}
