// What a result code of SQLite means to a person and to a retry.
//
// Decided from the code alone. SQLite's own sentence is shown as the reason, because it names tables and columns and
// never a bound value; values are never spelled into statements. `SQLITE_ERROR` is what SQLite says for a table or a
// column that is not there (and for wrong SQL, which would be ours).

import CSQLite

enum SQLiteFailure {
    /// The meaning of the primary code; extended codes share it in their low byte.
    static func meaning(_ code: Int32) -> Failure.Code {
        switch code & 0xff {
        case SQLITE_FULL: .diskFull
        case SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_AUTH: .catalogReadOnly
        case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL: .databaseBusy
        // A disk or a network file system that does not answer; what the file holds is another question.
        case SQLITE_IOERR, SQLITE_NOMEM: .databaseUnreachable
        case SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_TOOBIG: .rowRefused
        case SQLITE_ERROR, SQLITE_SCHEMA, SQLITE_RANGE: .sinkMismatch
        default: .catalogFailed
        }
    }

    static func failure(code: Int32, detail: String, action: String, path: String) -> Failure {
        let meaning = meaning(code)
        let now =
            switch meaning {
            case .diskFull: "free space on the disk of \(path), then start again: nothing of this transaction was kept"
            case .catalogReadOnly: "check that the file and its directory exist and that this user may write them"
            case .databaseUnreachable: "check the disk of \(path); the file itself may be whole"
            case .databaseBusy: "another process writes to this file: try again, or find it with `fuser \(path)`"
            case .sinkMismatch, .rowRefused: "compare the tables in \(path) with what the job expects, or name another file"
            default: "check the file with `sqlite3 \(path) 'PRAGMA integrity_check'` and restore it if it is damaged"
            }
        return Failure(meaning, "the database \(path) could not \(action)", why: detail, now: now)
    }
}
