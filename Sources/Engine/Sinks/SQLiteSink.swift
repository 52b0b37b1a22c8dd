// Rows into a table of a SQLite file, by the statements of `SQLiteRowWriter`.
//
// All writers of a file are on one host (protocol 12), and the parts of one process wait for each other in
// `WriterQueue`. A file that was deleted or replaced behind an open connection would swallow rows without an error, so
// each use compares the file's identity first.

import Foundation

package final class SQLiteSink: Sink {
    private let path: String
    private var text: SinkTableText
    private let queue: WriterQueue
    private let limit: RefusalLimit
    private var connection: (database: SQLiteDatabase, file: FileIdentity)?
    /// Parts whose witness was looked up on this connection.
    private var looked: Set<Int> = []
    /// The table was asked on this connection how it keeps apart keys that may be NULL.
    private var hasAskedNullKeys = false

    /// How long a seal waits for writers of other processes before it is tried again.
    private static let busyTimeoutMillis = 30_000

    package init(path: String, table: SinkTable, limit: RefusalLimit = .usual) throws {
        self.path = path
        self.limit = limit
        text = try SinkTableText(table, dialect: .sqlite)
        queue = WriterQueue.of(path)
    }

    package func owner(job: String) throws -> SinkOwner {
        guard FileManager.default.fileExists(atPath: path) else { return .nobody }
        return try ledger(opened()).owner(job: job)
    }

    package func sight(_ identity: SinkIdentity) throws -> SinkSight? {
        guard FileManager.default.fileExists(atPath: path) else { return SinkSight(owner: .nobody, table: nil) }
        let database = try opened()
        return try database.reading {
            try askNullKeys(database)
            return try ledger(database).sight(identity)
        }
    }

    package func claim(_ identity: SinkIdentity, _ claim: SinkClaim) throws {
        let database = try opened(orCreate: claim.begins || claim.adopt || claim.anew)
        // It may make the table.
        hasAskedNullKeys = false
        try queue.takeTurn {
            try database.transaction { try ledger(database).claim(identity, claim) }
        }
    }

    package func refusedRecords(_ identity: SinkIdentity) throws -> [(batch: BatchNumber, record: OffsetRange)] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        return try ledger(opened()).refusedRecords(identity)
    }

    package func closeRefused(_ identity: SinkIdentity, _ records: [OffsetRange], before batch: BatchNumber) throws {
        let database = try opened()
        try queue.takeTurn {
            try database.transaction { try ledger(database).closeRefused(identity, records, before: batch) }
        }
    }

    package func closeRefused(_ identity: SinkIdentity, batches: ClosedRange<BatchNumber>) throws {
        let database = try opened()
        try queue.takeTurn { try database.transaction { try ledger(database).closeRefused(identity, batches: batches) } }
    }

    package func forget(_ identity: SinkIdentity) throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        let database = try opened()
        try queue.takeTurn { try database.transaction { try ledger(database).forget(identity) } }
    }

    package func sealedBatches(_ identity: SinkIdentity) throws -> [Int: BatchNumber] {
        guard FileManager.default.fileExists(atPath: path) else { return [:] }
        return try ledger(opened()).sealedBatches(identity)
    }

    package func seal(
        _ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String, after: Predecessor, rows: [Chunk]
    ) throws -> Sealed {
        let database = try opened()
        try PartRows.checkDeletes(rows, of: text.table, place: "sqlite:\(path)")
        let rows = PartRows(rows)
        let last = rows.last.flatMap { TableWitness.made(of: $0, text.table) }
        let sealed = try queue.takeTurn {
            try database.transaction {
                try askNullKeys(database)
                let ledger = ledger(database)
                let entry = try ledger.enter(
                    identity, part: part, batch: batch, digest: digest, after: after, witness: last,
                    isFirst: !looked.contains(part))
                guard entry.outcome == .written else { return Sealed(entry.outcome, refused: entry.refused) }
                var refused = RefusedRows(text.table, total: rows.count, limit: limit, batch: batch)
                let writer = SQLiteRowWriter(text: text, database: database, path: path)
                try writer.delete(rows, &refused)
                try writer.write(rows, &refused)
                if entry.hasTriggers { try writer.readBack(rows, refused) }
                try ledger.witness.takeBack(identity, part: part, rows)
                Failpoint.reach("sink-written")
                guard !refused.rows.isEmpty else { return .written }
                try refused.store(identity, part: part, in: database)
                try ledger.setRefused(identity, part: part, refused, of: rows)
                return Sealed(.written, refused: Int64(refused.rows.count))
            }
        }
        looked.insert(part)
        return sealed
    }

    package func existing(keysOf rows: Chunk) throws -> [[Value]?] {
        let database = try opened()
        let names = text.table.key
        let columns = try keyColumns(names, of: rows)
        var found: [[Value]?] = []
        try database.transaction {
            try askNullKeys(database)
            let statement = try database.prepared(text.selectKey)
            let writer = SQLiteRowWriter(text: text, database: database, path: path)
            try writer.bindEach(rows, columns, 0..<rows.selectedCount, statement) { _ in
                let code = statement.step()
                try database.check(code, "look up a key")
                // 100 is SQLITE_ROW: the key is unique, there is at most one.
                found.append(
                    code == 100
                        ? try text.table.schema.fields.enumerated().map { try value(statement.value(Int32($0)), of: $1) } : nil)
            }
        }
        return found
    }

    /// Bounds the file to `count` pages (4 KiB) on this sink's connection, so that a full disk can be shown without one.
    package func limitPages(_ count: Int) throws {
        try opened().execute("PRAGMA max_page_count = \(count)")
    }

    package func close() {
        connection?.database.close()
        connection = nil
        looked = []
        hasAskedNullKeys = false
    }

    private func askNullKeys(_ database: SQLiteDatabase) throws {
        guard text.hasNullableKey, !hasAskedNullKeys, let table = try FoundTable(text, in: database) else { return }
        text.nullKeys = table.nullKeys
        hasAskedNullKeys = true
    }

    private func ledger(_ database: SQLiteDatabase) -> SinkLedger {
        SinkLedger(database: database, text: text, place: "sqlite:\(path)")
    }

    private func opened(orCreate: Bool = false) throws -> SQLiteDatabase {
        if let connection {
            if FileIdentity(path) == connection.file { return connection.database }
            close()
        }
        guard orCreate || FileManager.default.fileExists(atPath: path) else {
            throw Failure(
                .fileMissing, "the sink \(path) is gone", why: "the file was there when the job claimed it",
                now: "put it back; starting the job on an empty file would leave out what was written before")
        }
        let database = try SQLiteDatabase(path: path, busyTimeoutMillis: Self.busyTimeoutMillis)
        guard let file = FileIdentity(path) else {
            throw Failure(
                .fileMissing, "the sink \(path) is gone", why: "it vanished while it was opened",
                now: "find out what removes it, then start again")
        }
        connection = (database, file)
        return database
    }
}

/// Which file a path leads to.
private struct FileIdentity: Equatable {
    let device: UInt64
    let inode: UInt64

    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }
}
