// A database that counts its transactions, and can lose its connection on command.

import Engine
import Synchronization

final class CommitCount: Sendable {
    private let counted = Mutex(0)
    private let losses = Mutex(0)
    var commits: Int { counted.withLock { $0 } }
    func committed() { counted.withLock { $0 += 1 } }
    /// The next `count` statements outside a transaction, BEGIN included, find the connection lost.
    func loseNext(_ count: Int) { losses.withLock { $0 = count } }
    func takeLoss() -> Bool {
        losses.withLock { losses in
            defer { losses = max(losses - 1, 0) }
            return losses > 0
        }
    }
}

final class CountingDatabase: SQLDatabase {
    private let inner: any SQLDatabase
    private let count: CommitCount
    private var isInTransaction = false

    init(_ inner: any SQLDatabase, _ count: CommitCount) {
        self.inner = inner
        self.count = count
    }

    var dialect: SQLDialect { inner.dialect }
    var changedRows: Int { inner.changedRows }

    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> [[SQLValue]] {
        if !isInTransaction { try meetLoss() }
        return try inner.execute(sql, parameters)
    }

    func executeScript(_ sql: String) throws { try inner.executeScript(sql) }

    func transaction<Result>(_ body: () throws -> Result) throws -> Result {
        try meetLoss()
        isInTransaction = true
        defer { isInTransaction = false }
        let result = try inner.transaction(body)
        count.committed()
        return result
    }

    func close() { inner.close() }

    private func meetLoss() throws {
        if count.takeLoss() {
            throw Failure(.databaseUnreachable, "the connection is lost", why: "a test cut it", now: "open another")
        }
    }
}
