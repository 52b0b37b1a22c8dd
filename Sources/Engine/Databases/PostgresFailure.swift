// What an SQLSTATE of PostgreSQL means to a person and to a retry.
//
// Decided from the five characters alone. The server's primary sentence is shown as the reason except for data
// exceptions (class 22), which quote the value; its detail, hint and context are never shown, because they quote rows.

enum PostgresFailure {
    static func meaning(_ state: String) -> Failure.Code {
        switch state {
        // Lock not available, statement timeout: another time it works.
        case "55P03", "57014", "55006": return .databaseBusy
        case "53100": return .diskFull
        // A standby, or a primary that is becoming one or is being upgraded: after a fail-over another takes writes.
        case "25006": return .databaseReadOnly
        case "42501": return .catalogReadOnly
        // No state at all is libpq speaking: the connection could not be made or is gone.
        case "", "25P03", "26000", "58030": return .databaseUnreachable
        // Dropped while we were connected.
        case "57P04": return .sinkMismatch
        // A trigger's RAISE EXCEPTION; an index entry or a row that is too large; a view's WITH CHECK OPTION.
        case "P0001", "54000", "44000": return .rowRefused
        case "0A000": return .sinkMismatch
        default: break
        }
        switch state.prefix(2) {
        case "08", "57", "58": return .databaseUnreachable
        // Out of connections, memory or other means; deadlock and serialization.
        case "53", "40": return .databaseBusy
        case "22", "23": return .rowRefused
        case "42", "3D", "3F": return .sinkMismatch
        default: return .catalogFailed
        }
    }

    /// PgBouncer has one state for everything that it says itself, and hangs up behind it, so this one is known by its words.
    static func poolerRefusal(_ sentence: String, address: String) -> Failure? {
        guard sentence.contains("statement pooling mode") else { return nil }
        return Failure(
            .notPossible, "the pooler at \(address) allows no transactions", why: "its pool_mode is statement",
            now: "set pool_mode = session or pool_mode = transaction for this database in PgBouncer, or connect to the server")
    }

    static func failure(state: String, sentence: String, action: String, address: String) -> Failure {
        if let refusal = poolerRefusal(sentence, address: address) { return refusal }
        let meaning = meaning(state)
        let now =
            switch meaning {
            case .diskFull: "free space on the server, then start again: nothing of this transaction was kept"
            case .catalogReadOnly: "connect to the primary, as a user who may write and create tables there"
            case .databaseBusy: "try again; if it stays so, look at pg_stat_activity for who holds the lock"
            case .databaseUnreachable: "check that the server runs and accepts this user, then start again"
            case .databaseReadOnly: "nothing, if a standby is taking over; else connect to the primary"
            case .sinkMismatch, .rowRefused: "compare the tables with what the job expects, or name another table or database"
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
