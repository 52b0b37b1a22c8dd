// What an SQLSTATE of PostgreSQL means to a person and to a retry.
//
// Decided from the five characters alone. The server's primary sentence is shown as the reason except for data
// exceptions (class 22), which quote the value; its detail, hint and context are never shown, because they quote rows.

enum PostgresFailure {
    static func meaning(_ state: String) -> Failure.Code {
        switch state {
        // Lock not available, statement timeout, out of connections or memory: another time it works.
        case "55P03", "57014", "53300", "53200", "53000", "55006": return .databaseBusy
        case "53100": return .diskFull
        case "25006", "42501": return .catalogReadOnly
        // No state at all is libpq speaking: the connection could not be made or is gone.
        case "", "25P03", "26000": return .databaseUnreachable
        case "0A000": return .sinkMismatch
        default: break
        }
        switch state.prefix(2) {
        case "08", "57", "58": return .databaseUnreachable
        case "40": return .databaseBusy
        case "22", "23", "42", "3D", "3F": return .sinkMismatch
        default: return .catalogFailed
        }
    }

    static func failure(state: String, sentence: String, action: String, address: String) -> Failure {
        let meaning = meaning(state)
        let now =
            switch meaning {
            case .diskFull: "free space on the server, then start again: nothing of this transaction was kept"
            case .catalogReadOnly: "connect to the primary, as a user who may write and create tables there"
            case .databaseBusy: "try again; if it stays so, look at pg_stat_activity for who holds the lock"
            case .databaseUnreachable: "check that the server runs and accepts this user, then start again"
            case .sinkMismatch: "compare the tables with what the job expects, or name another table or database"
            default: "look into the server's log for SQLSTATE \(state)"
            }
        let why =
            state == "22021"
            ? "a text contains U+0000 or is not UTF-8, and PostgreSQL stores neither (SQLSTATE 22021)"
            : state.hasPrefix("22")
                ? "a value does not fit its column (SQLSTATE \(state); the value is in the server's log)"
                : state.isEmpty ? sentence : "\(sentence) (SQLSTATE \(state))"
        return Failure(meaning, "the database \(address) could not \(action)", why: why, now: now)
    }
}
