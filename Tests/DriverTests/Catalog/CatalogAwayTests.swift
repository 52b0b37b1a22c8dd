// A catalog that is away for a while: what its trouble is called, and that it goes on afterwards.

import Driver
import Engine
import Foundation
import Synchronization
import Testing
import TestSupport

@Suite(.waits) struct CatalogAwayTests {
    private func expectsPassing(_ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation) {
        let failure = #expect(throws: Failure.self, sourceLocation: sourceLocation) { try body() }
        guard let failure else { return }
        #expect(failure.blame == .external && failure.remedy != .stopJob, "\(failure.code)", sourceLocation: sourceLocation)
    }

    @Test func `a full disk under the catalog ended the job`() throws {
        let directory = try TemporaryDirectory("catalog")
        let file = directory.file("catalog.db")
        let limit = Trouble()
        let catalog = try Catalog(file: file) {
            let database = try SQLiteDatabase(path: file)
            if limit.isSet { try database.executeScript("PRAGMA max_page_count = 1") }
            return database
        }
        defer { catalog.close() }
        try catalog.insertJob(
            JobRecord(jobID: .random(), name: "views", definition: "d", settings: [:], buildDigest: "b", settingsDigest: "s"))
        let jobID = try #require(try catalog.job(named: "views")?.jobID)
        guard case .acquired(let epoch) = try catalog.acquireLease("views", holder: .elsewhere("a"), leaseMillis: 60_000)
        else { return }
        let plan = BatchPlan.sample(jobID, 1, epoch: epoch, partitions: 2000)
        limit.set()
        catalog.close()
        expectsPassing { try catalog.appendPlan(plan) }
        limit.clear()
        try catalog.appendPlan(plan)
        #expect(try catalog.openPlan(jobID)?.plan == plan)
    }

    @Test(.enabled(if: PostgresFixture.missingReason == nil))
    func `a server that was read-only while it failed over ended the job`() throws {
        let fixture = try CatalogFixture(.postgres)
        let (jobID, epoch) = try fixture.job()
        let plan = BatchPlan.sample(jobID, 1, epoch: epoch)
        let database = try fixture.database()
        defer { database.close() }
        let name = fixture.address.split(separator: "/").last.map(String.init) ?? ""
        try database.execute("ALTER DATABASE \(name) SET default_transaction_read_only = on")
        fixture.catalog.close()
        expectsPassing { try fixture.catalog.appendPlan(plan) }
        try database.executeScript("SET default_transaction_read_only = off; ALTER DATABASE \(name) RESET default_transaction_read_only")
        // The connection that met it is not used again.
        try fixture.catalog.appendPlan(plan)
    }

    @Test(.enabled(if: PostgresFixture.missingReason == nil))
    func `a server without a free connection ended the job`() throws {
        let fixture = try CatalogFixture(.postgres)
        let (jobID, epoch) = try fixture.job()
        let database = try fixture.database()
        defer { database.close() }
        let name = fixture.address.split(separator: "/").last.map(String.init) ?? ""
        try database.execute("ALTER DATABASE \(name) CONNECTION LIMIT 0")
        try database.execute("CREATE ROLE \(name)_user LOGIN")
        fixture.catalog.close()
        // A superuser is let in; anybody else is not.
        let address = fixture.address.replacing("//sluice@", with: "//\(name)_user@")
        expectsPassing { _ = try Catalog.open(address: address).jobs() }
        try database.execute("ALTER DATABASE \(name) CONNECTION LIMIT -1")
        try fixture.catalog.appendPlan(.sample(jobID, 1, epoch: epoch))
    }

    @Test(arguments: [
        Failure.Code.databaseUnreachable, .databaseBusy, .diskFull, .catalogReadOnly,
    ])
    func `whatever passes by itself is from outside and ends no job`(_ code: Failure.Code) throws {
        let directory = try TemporaryDirectory("catalog")
        let file = directory.file("catalog.db")
        let isAway = Trouble()
        let catalog = try Catalog { TroubledDatabase(try SQLiteDatabase(path: file), code, isAway) }
        defer { catalog.close() }
        isAway.set()
        expectsPassing { try catalog.setDesired("views", .stop) }
        expectsPassing { _ = try catalog.renewedLease("views", holderID: "a", epoch: 1) }
        isAway.clear()
        #expect(try catalog.jobs().isEmpty)
    }

    @Test(arguments: CatalogPlace.available)
    func `a renewed lease tells the catalog's clock`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (_, epoch) = try fixture.job()
        let before = try fixture.catalog.clockMillis()
        let told = try #require(try fixture.catalog.renewedLease("views", holderID: "first", epoch: epoch))
        #expect(try before <= told && told <= fixture.catalog.clockMillis())
        #expect(try fixture.catalog.lease("views")?.untilMillis == told + Catalog.leaseMillis)
        #expect(try fixture.catalog.renewedLease("views", holderID: "other", epoch: epoch) == nil)
    }
}

/// A database that has one trouble while a flag is set.
private final class TroubledDatabase: SQLDatabase {
    private let inner: any SQLDatabase
    private let code: Failure.Code
    private let isAway: Trouble

    init(_ inner: any SQLDatabase, _ code: Failure.Code, _ isAway: Trouble) {
        self.inner = inner
        self.code = code
        self.isAway = isAway
    }

    var dialect: SQLDialect { inner.dialect }
    var changedRows: Int { inner.changedRows }

    private func meet() throws {
        if isAway.isSet { throw Failure(code, "a test's trouble", why: "it was told so", now: "wait") }
    }

    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> [[SQLValue]] {
        try meet()
        return try inner.execute(sql, parameters)
    }
    func executeScript(_ sql: String) throws { try inner.executeScript(sql) }
    func transaction<Result>(_ body: () throws -> Result) throws -> Result {
        try inner.transaction(body)
    }
    func close() { inner.close() }
}

/// Whether a trouble is there now.
private final class Trouble: Sendable {
    private let isThere = Mutex(false)
    var isSet: Bool { isThere.withLock { $0 } }
    func set() { isThere.withLock { $0 = true } }
    func clear() { isThere.withLock { $0 = false } }
}
