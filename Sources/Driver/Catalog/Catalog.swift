// The batch log and the job registry: what this engine knows durably, in SQLite or PostgreSQL.
//
// Decides nothing about batches; it holds the guards that make a wrong decision harmless. Every write to a job's log is
// one transaction that first checks, under a lock, that the caller's epoch is still the lease's (`Catalog+Log.swift`),
// so a driver that lost its lease adds nothing, whenever it wakes up. Who may hold the lease is `Lease.swift`; what the
// recorded ranges prove is `Audit.swift`.
//
// One connection behind a lock; any thread may call. Several processes may have the same catalog open: the database
// arbitrates. A catalog that another process has locked is tried again for two seconds (for six at the opening: longer
// than a lease), with the lock of ours released in between; then the process that has it is named. A lost connection is opened again by the next call; a call that had begun its transaction fails with
// `databaseUnreachable`, because nobody can know whether its COMMIT arrived: read the log before you go on.
//
// A catalog that was opened once may be away at any time, and comes back: no connection, locked, out of space or connections,
// read-only while a server fails over. All of these are failures from outside that do not end a job (protocol 14): whoever
// drives one waits and asks again. Only at the opening is a place that cannot be written a mistake of the one who named it.
//
// What survives a crash: exactly the committed transactions. Checklist when changing a write: one transaction; the
// lease first; nothing overwritten that is DONE; a test with an old epoch.

import Engine
import Foundation
import Synchronization

package final class Catalog: Sendable {
    package enum Access: Sendable {
        /// Creates the catalog when it is missing and brings it to this build's version.
        case readWrite
        /// For questions: creates and changes nothing.
        case readOnly
    }

    /// The lock around it is what makes sharing it between threads sound.
    private struct Connection: @unchecked Sendable { var database: (any SQLDatabase)? }

    /// How long a catalog that another process has locked is waited for.
    private static let patienceMillis: Int64 = 2000
    /// At the opening a driver that hangs may still come to itself, or lose its lease.
    private static let openingPatienceMillis: Int64 = 6000

    private let connection: Mutex<Connection>
    /// What was written last of each job, so that the next row need not repeat it.
    let memories = Mutex<[JobID: LogMemory]>([:])
    private let connect: @Sendable () throws -> any SQLDatabase
    private let access: Access
    /// The file of a SQLite catalog.
    private let file: String?
    package let dialect: SQLDialect
    /// The database's clock as an SQL expression.
    let clock: String

    /// Opens `sqlite:FILE` or `postgres://...`.
    package static func open(address: String, access: Access = .readWrite) throws -> Catalog {
        let file = address.hasPrefix("sqlite:") ? String(address.dropFirst("sqlite:".count)) : nil
        return try Catalog(access: access, file: file) {
            if access == .readOnly, address.hasPrefix("sqlite:") {
                return try SQLiteDatabase(path: String(address.dropFirst("sqlite:".count)), readOnly: true)
            }
            // Waiting is done here, with the connection's lock released, and not in the database.
            return try openDatabase(address, busyTimeoutMillis: 0)
        }
    }

    /// Opens a catalog over connections that `connect` makes.
    package init(
        access: Access = .readWrite, file: String? = nil, connect: @escaping @Sendable () throws -> any SQLDatabase
    ) throws {
        let database = try Catalog.patiently(Catalog.openingPatienceMillis, file: file) {
            let database = try connect()
            do {
                switch access {
                case .readWrite: try CatalogSchema.migrate(database)
                case .readOnly: try Catalog.requireCurrent(database)
                }
            } catch {
                database.close()
                throw error
            }
            return database
        }
        dialect = database.dialect
        clock = CatalogSchema.clock(database.dialect)
        self.access = access
        self.file = file
        self.connect = connect
        connection = Mutex(Connection(database: database))
    }

    package func close() {
        connection.withLock { connection in
            connection.database?.close()
            connection.database = nil
        }
    }

    /// Runs statements that change nothing. May run `body` again after a lost connection.
    func read<Result: Sendable>(_ body: (any SQLDatabase) throws -> Result) throws -> Result {
        try attempt { database, _ in try body(database) }
    }

    /// Runs `body` in one transaction. `body` may run again while the database is locked by others; it has then left
    /// no trace.
    @discardableResult
    func write<Result: Sendable>(_ body: (any SQLDatabase) throws -> Result) throws -> Result {
        guard access == .readWrite else {
            throw Failure(
                .catalogReadOnly, "the catalog was opened for reading", why: "this command only asks questions",
                now: "use the command that does what you want, or ask the driver")
        }
        return try attempt { database, begun in
            try database.transaction {
                begun = true
                return try body(database)
            }
        }
    }

    private func attempt<Result: Sendable>(
        _ body: (any SQLDatabase, _ begun: inout Bool) throws -> Result
    ) throws -> Result {
        var reconnected = false
        return try Catalog.patiently(Catalog.patienceMillis, file: file) {
            while true {
                var begun = false
                do {
                    return try connection.withLock { connection in
                        let database = try connection.database ?? connect()
                        connection.database = database
                        do {
                            return try body(database, &begun)
                        } catch let failure as Failure {
                            let met = away(failure)
                            // A server that fails over takes writes on another connection only.
                            if met.code == .databaseUnreachable || met.code == .catalogAway {
                                database.close()
                                connection.database = nil
                            }
                            throw met
                        }
                    }
                } catch let failure as Failure where failure.code == .databaseUnreachable && !begun && !reconnected {
                    reconnected = true
                }
            }
        }
    }

    /// What a database that was open once says of itself, as something that passes.
    private func away(_ failure: Failure) -> Failure {
        let what: String
        switch failure.code {
        case .diskFull: what = "the catalog has no space left"
        case .databaseReadOnly: what = "the catalog takes no writes now"
        case .catalogReadOnly where access == .readWrite: what = "the catalog cannot be written now"
        default: return failure
        }
        return Failure(.catalogAway, what, why: failure.why, now: failure.now)
    }

    /// Tries again while the database is locked, then says so as `catalogLocked`.
    private static func patiently<Result>(
        _ patienceMillis: Int64, file: String?, _ body: () throws -> Result
    ) throws -> Result {
        let clock = ContinuousClock()
        let deadline = clock.now + .milliseconds(patienceMillis)
        var pauseSeconds = 0.001
        while true {
            do {
                return try body()
            } catch let failure as Failure where failure.code == .databaseBusy {
                guard clock.now < deadline else {
                    let lock = file.flatMap { SQLiteLock.holder(of: $0) }
                    throw Failure(
                        .catalogLocked, file == nil ? "the catalog is busy" : "the catalog is locked by another process",
                        why: "it stayed \(file == nil ? "so" : "locked") for \(formatDuration(patienceMillis)): \(lock?.why ?? failure.why)",
                        now: lock?.now
                            ?? (file == nil
                                ? failure.now : "end the process that holds it (a backup, an open database shell), then start again"))
                }
                Thread.sleep(forTimeInterval: pauseSeconds)
                pauseSeconds = min(pauseSeconds * 1.5, 0.02)
            } catch let failure as Failure where failure.code == .sinkMismatch || failure.code == .rowRefused {
                // The databases' word for a table, column or constraint that does not fit; here it is not a sink's.
                throw Failure(
                    .catalogFailed, "the catalog's tables do not fit this build or refused a row", why: failure.why,
                    now: "compare its tables with what another catalog of this build has, or restore a backup")
            }
        }
    }

    private static func requireCurrent(_ database: any SQLDatabase) throws {
        let version = try CatalogSchema.version(of: database)
        let known = CatalogSchema.migrations.last?.version ?? 0
        if version == known { return }
        if version == 0 {
            throw Failure(
                .fileMissing, "there is no catalog here", why: "the database holds none of sluice's tables",
                now: "check the address after --catalog, or run a job first: that makes one")
        }
        if version > known {
            throw Failure(
                .catalogNewer, "this catalog was written by a newer sluice",
                why: "it has version \(version), this build knows versions up to \(known)",
                now: "use the newer build")
        }
        throw Failure(
            .catalogFailed, "this catalog is of an older version",
            why: "it has version \(version), this build reads version \(known)",
            now: "start a driver of this build on it once: that brings it up to date")
    }
}
