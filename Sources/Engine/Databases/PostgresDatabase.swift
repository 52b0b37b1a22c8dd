// A connection to one PostgreSQL database: the sole owner of a `PGconn`.
//
// A lost connection is an error of the statement that met it, never hidden: inside a transaction nothing may go on as if
// nothing had happened, and a COMMIT whose answer is lost has an unknown outcome that only the ledger can tell. The next
// statement outside a transaction connects again. `connectionNumber` tells who keeps things on the server for the length
// of a connection (a temporary table) that they are gone.
//
// Behind a pooler (PgBouncer) the server's session may be another's with each transaction, so nothing is left in it: no
// prepared statements, no settings beyond a transaction, which each transaction makes for itself in the message that begins
// it. A pooler is known by the number of the server's process, which it makes up.
//
// Every wait is bounded: connecting, a statement, a lock, a silent peer; and a process that was stopped inside a
// transaction loses it after 15 s, before anybody who waits for one of its locks gives up: so its locks cannot hold off
// the driver that takes over.
// Checklist when changing this: a COMMIT that the server turned into ROLLBACK is an error; errors show the masked address
// and never the server's detail; values are bound, never spelled into statements.

import CPostgres

/// One connection to a PostgreSQL database. Belongs to one thread at a time.
package final class PostgresDatabase: SQLDatabase {
    package let dialect = SQLDialect.postgres
    package let address: PostgresAddress
    package private(set) var changedRows = 0
    /// Raised with each connection made; the first is 1.
    package private(set) var connectionNumber = 0

    private var handle: OpaquePointer?
    private var isClosed = false
    private var isInTransaction = false
    /// Text to the name under which this connection has it prepared.
    private var statements: [String: String] = [:]
    /// Statement texts are few and fixed; past this many the caller spells values into them, and the cache starts anew.
    private static let maxStatements = 256

    /// What a statement may take.
    static let statementSeconds = 120

    /// Whether a pooler stands between us and the server.
    package private(set) var isPooled = false

    /// What every connection is told first. A server that acknowledges before it has written would lose sealed batches.
    private static let session = settings(scope: "SESSION")
    /// The same where the session is not ours, with each transaction.
    private static let transactionSettings = settings(scope: "LOCAL")

    private static func settings(scope: String) -> String {
        let values = [
            "client_min_messages = error", "TimeZone = 'UTC'", "DateStyle = 'ISO, YMD'", "bytea_output = 'hex'",
            "IntervalStyle = 'postgres'", "extra_float_digits = 1", "statement_timeout = '\(statementSeconds)s'", "lock_timeout = '20s'",
            "idle_in_transaction_session_timeout = '15s'",
        ]
        return values.map { "SET \(scope) \($0); " }.joined() + """
            SELECT set_config('synchronous_commit', 'on', \(scope == "LOCAL")) \
            WHERE current_setting('synchronous_commit') = 'off'
            """
    }

    package init(url: String) throws {
        address = try PostgresAddress(url)
        try connect()
    }

    deinit { close() }

    package func close() {
        isClosed = true
        disconnect()
    }

    @discardableResult
    package func execute(_ sql: String, _ parameters: [SQLValue]) throws -> [[SQLValue]] {
        let connection = try connected()
        // By itself it would run under somebody else's settings.
        if isPooled && !isInTransaction { return try transaction { try execute(sql, parameters) } }
        let name = parameters.isEmpty || isPooled ? nil : try prepared(sql, on: connection)
        let values = try PostgresParameters(parameters)
        let result = try accepted(
            values.withPointers { count, pointers, lengths, formats in
                if let name { return PQexecPrepared(connection, name, count, pointers, lengths, formats, 0) }
                return PQexecParams(connection, sql, count, nil, pointers, lengths, formats, 0)
            }, "run a statement")
        changedRows = result.changedRows
        return result.rows
    }

    package func executeScript(_ sql: String) throws {
        _ = try accepted(PQexec(try connected(), sql), "run a script")
    }

    package func transaction<Result>(_ body: () throws -> Result) throws -> Result {
        try begin()
        isInTransaction = true
        defer { isInTransaction = false }
        do {
            let result = try body()
            try commit()
            return result
        } catch {
            rollBack()
            throw error
        }
    }

    /// Runs a `COPY ... FROM STDIN` with all of `data`.
    package func copyIn(_ sql: String, _ data: UnsafeBufferPointer<UInt8>) throws {
        try copyIn(sql) { send in try send(data) }
    }

    /// Runs a `COPY ... FROM STDIN`; `body` hands over the data in as many pieces as it likes. If it throws, the server
    /// keeps nothing.
    package func copyIn(_ sql: String, _ body: ((UnsafeBufferPointer<UInt8>) throws -> Void) throws -> Void) throws {
        let connection = try connected()
        let start = try accepted(PQexec(connection, sql), "start a copy", expecting: PGRES_COPY_IN)
        _ = consume start
        do {
            try body { data in
                let sent = data.withMemoryRebound(to: CChar.self) {
                    PQputCopyData(connection, $0.baseAddress, Int32($0.count))
                }
                if sent != 1 { throw lostOrBroken("send rows") }
            }
        } catch {
            _ = PQputCopyEnd(connection, "stopped by the sender")
            while let result = PQgetResult(connection) { PQclear(result) }
            throw error
        }
        guard PQputCopyEnd(connection, nil) == 1 else { throw lostOrBroken("end a copy") }
        let last = PQgetResult(connection)
        while let more = PQgetResult(connection) { PQclear(more) }
        let result = try accepted(last, "copy rows")
        changedRows = result.changedRows
    }

    // MARK: transactions

    private func begin() throws {
        guard !isInTransaction else {
            throw Failure(
                .internal, "a transaction was begun inside another", why: "the outer one was not ended",
                now: "report this with the command that was run")
        }
        // Read committed, whatever the server's default: the ledger's guard must see what the part before it committed.
        func send() throws {
            let connection = try connected()
            let begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
            _ = try accepted(PQexec(connection, isPooled ? "\(begin); \(Self.transactionSettings)" : begin), "begin")
        }
        do {
            try send()
        } catch let failure as Failure where failure.code == .databaseUnreachable && connectionNumber > 0 {
            // The connection died while idle; nothing was begun, so a fresh one may try.
            try send()
        }
    }

    private func commit() throws {
        let result = try accepted(PQexec(try connected(), "COMMIT"), "commit (whether it did is unknown)")
        guard result.command == "COMMIT" else {
            throw Failure(
                .catalogFailed, "the database \(address.masked) did not commit",
                why: "a statement of the transaction had failed before, so the server undid all of it",
                now: "start again; the server's log names the statement")
        }
    }

    private func rollBack() {
        guard let handle, PQstatus(handle) == CONNECTION_OK, PQtransactionStatus(handle) != PQTRANS_IDLE else { return }
        let result = PQexec(handle, "ROLLBACK")
        // A connection that cannot even roll back is of no use; without it the server undoes the transaction itself.
        if PQresultStatus(result) != PGRES_COMMAND_OK { disconnect() }
        PQclear(result)
    }

    // MARK: the connection

    private func connected() throws -> OpaquePointer {
        if let handle, PQstatus(handle) == CONNECTION_OK { return handle }
        guard !isClosed else {
            throw Failure(
                .catalogFailed, "the connection to \(address.masked) is closed", why: "it was closed before",
                now: "start the command again")
        }
        guard !isInTransaction else { throw lostOrBroken("go on with a transaction") }
        try connect()
        return handle!
    }

    private func connect() throws {
        disconnect()
        let settings = try address.settings()
        let strings = settings.flatMap { [$0.name, $0.value] }.map { Array($0.utf8CString) }
        let opened = withCStrings(strings) { pointers in
            let names = stride(from: 0, to: pointers.count, by: 2).map { pointers[$0] } + [nil]
            let values = stride(from: 1, to: pointers.count, by: 2).map { pointers[$0] } + [nil]
            return PQconnectdbParams(names, values, 0)
        }
        handle = opened
        guard let opened, PQstatus(opened) == CONNECTION_OK else {
            let failure = lostOrBroken("be reached")
            disconnect()
            throw failure
        }
        // libpq would print the server's notices to stderr, which is ours.
        PQsetNoticeReceiver(opened, { _, _ in }, nil)
        let server = try accepted(PQexec(opened, "SELECT pg_backend_pid()"), "tell its process").rows
        isPooled = server.first?.first != .int(Int64(PQbackendPID(opened)))
        if !isPooled { _ = try accepted(PQexec(opened, Self.session), "take the session's settings") }
        connectionNumber += 1
    }

    private func disconnect() {
        statements.removeAll()
        if let handle { PQfinish(handle) }
        handle = nil
    }

    private func prepared(_ sql: String, on connection: OpaquePointer) throws -> String {
        if let name = statements[sql] { return name }
        if statements.count >= Self.maxStatements {
            _ = try accepted(PQexec(connection, "DEALLOCATE ALL"), "forget statements")
            statements.removeAll()
        }
        let name = "sluice_\(statements.count)"
        // Types are left to the server, which takes them from where a parameter stands.
        _ = try accepted(PQprepare(connection, name, sql, 0, nil), "prepare a statement")
        statements[sql] = name
        return name
    }

    // MARK: answers

    private func accepted(
        _ handle: OpaquePointer?, _ action: String, expecting: ExecStatusType? = nil
    ) throws -> PostgresResult {
        guard let handle else { throw lostOrBroken(action) }
        let result = PostgresResult(handle)
        if let expecting {
            if result.status == expecting { return result }
        } else if result.status == PGRES_COMMAND_OK || result.status == PGRES_TUPLES_OK {
            return result
        }
        let state = result.state
        if isPooled, let refusal = PostgresFailure.poolerRefusal(result.sentence, address: address.masked) {
            throw refusal
        }
        if state.isEmpty || PQstatus(self.handle) != CONNECTION_OK {
            // Either libpq met the end of the connection, or the server said why it ended it.
            let sentence = state.isEmpty ? nil : result.sentence
            throw lostOrBroken(action, sentence: sentence)
        }
        // A statement that no longer exists or whose tables changed is prepared anew at the next try.
        if state == "26000" || state == "0A000" { disconnectUnlessInTransaction() }
        throw PostgresFailure.failure(state: state, sentence: result.sentence, action: action, address: address.masked)
    }

    private func disconnectUnlessInTransaction() {
        if isInTransaction { statements.removeAll() } else { disconnect() }
    }

    /// What libpq says about the connection, without a password.
    private func lostOrBroken(_ action: String, sentence: String? = nil) -> Failure {
        var why = sentence ?? handle.map { String(cString: PQerrorMessage($0)) } ?? "the connection was lost"
        if let handle, let pass = PQpass(handle) {
            let password = String(cString: pass)
            if !password.isEmpty { why = why.split(separator: password, omittingEmptySubsequences: false).joined(separator: "***") }
        }
        let lines = why.split(whereSeparator: \.isNewline).map { $0.trimmingPrefix { $0.isWhitespace } }
        return PostgresFailure.failure(
            state: "", sentence: lines.joined(separator: "; "), action: action, address: address.masked)
    }
}

/// Lends `strings`, each ending in 0, as C strings.
private func withCStrings<Result>(_ strings: [[CChar]], _ body: ([UnsafePointer<CChar>?]) -> Result) -> Result {
    let starts = strings.reduce(into: [0]) { $0.append($0.last! + $1.count) }
    return Array(strings.joined()).withUnsafeBufferPointer { all in
        body(strings.indices.map { all.baseAddress! + starts[$0] })
    }
}
