// One answer of PostgreSQL: the sole owner of a `PGresult`.
//
// Values arrive as text and become what SQLite would give for the same question, so that one catalog and one ledger
// work on both: whole numbers as int, booleans as 0 or 1, a timestamptz as `YYYY-MM-DDTHH:MM:SS.sssZ`, bytea as bytes.
// The conversion relies on settings that `PostgresDatabase` makes for each connection: UTC, ISO dates, hexadecimal bytea.

import CPostgres

struct PostgresResult: ~Copyable {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { self.handle = handle }
    deinit { PQclear(handle) }

    var status: ExecStatusType { PQresultStatus(handle) }

    /// The command as the server did it: a COMMIT of a failed transaction says `ROLLBACK`.
    var command: String { String(cString: PQcmdStatus(handle)) }

    var changedRows: Int { PQcmdTuples(handle).flatMap { Int(String(cString: $0)) } ?? 0 }

    /// Empty where libpq itself made the error: the connection is gone.
    var state: String { field(67) }  // PG_DIAG_SQLSTATE, 'C'

    var sentence: String {
        let primary = field(77)  // PG_DIAG_MESSAGE_PRIMARY, 'M'
        return primary.isEmpty ? String(cString: PQresultErrorMessage(handle)) : primary
    }

    var rows: [[SQLValue]] {
        let columnCount = PQnfields(handle)
        let types = (0..<columnCount).map { PQftype(handle, $0) }
        return (0..<PQntuples(handle)).map { row in
            (0..<columnCount).map { column in
                if PQgetisnull(handle, row, column) != 0 { return .null }
                let bytes = UnsafeBufferPointer(
                    start: PQgetvalue(handle, row, column), count: Int(PQgetlength(handle, row, column)))
                return bytes.withMemoryRebound(to: UInt8.self) { Self.value($0, type: types[Int(column)]) }
            }
        }
    }

    private func field(_ code: Int32) -> String {
        PQresultErrorField(handle, code).map { String(cString: $0) } ?? ""
    }

    /// `type` is the server's number for the type; those of built-in types never change.
    static func value(_ bytes: UnsafeBufferPointer<UInt8>, type: UInt32) -> SQLValue {
        let text = String(decoding: bytes, as: UTF8.self)
        switch type {
        case 16: return .int(text == "t" ? 1 : 0)  // boolean
        case 20, 21, 23, 26: return Int64(text).map { .int($0) } ?? .text(text)  // bigint, smallint, integer, oid
        case 700, 701: return Double(text).map { .double($0) } ?? .text(text)  // real, double precision
        // numeric: what sum(bigint) gives.
        case 1700: return Int64(text).map { .int($0) } ?? Double(text).map { .double($0) } ?? .text(text)
        case 17: return .blob(hexadecimalBytes(bytes))  // bytea
        // timestamptz. Infinity and years that RFC 3339 has no form for stay as the server wrote them.
        case 1184: return .text(text.hasSuffix("+00") ? parseTime(text.dropLast(3) + "Z").map(formatTime) ?? text : text)
        default: return .text(text)
        }
    }

    /// `\x` and two digits a byte.
    private static func hexadecimalBytes(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        func digit(_ byte: UInt8) -> UInt8 { byte < 58 ? byte - 48 : byte - 87 }
        return stride(from: 2, to: bytes.count - 1, by: 2).map { digit(bytes[$0]) << 4 | digit(bytes[$0 + 1]) }
    }
}
