// Opening a catalog, and everything that can be wrong with the place where it lives.

import Driver
import Engine
import Foundation
import Synchronization
import Testing
import TestSupport

@Suite(.waits) struct CatalogOpeningTests {
    @Test(.enabled(if: PostgresFixture.missingReason == nil, "\(PostgresFixture.missingReason ?? "")"))
    func `the catalog's tests run on PostgreSQL too`() {
        #expect(CatalogPlace.available == [.sqlite, .postgres])
    }

    @Test(arguments: CatalogPlace.available)
    func `opening twice changes nothing and many may open at once`(_ place: CatalogPlace) throws {
        let address = try CatalogFixture.emptyPlace(place)
        let failures = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 6) { _ in
            do {
                try Catalog.open(address: address.text).close()
            } catch {
                failures.withLock { $0.append("\(error)") }
            }
        }
        #expect(failures.withLock { $0 } == [])
        let database = try openDatabase(address.text, busyTimeoutMillis: 2000)
        defer { database.close() }
        #expect(try CatalogSchema.version(of: database) == Self.newest)
        #expect(try database.execute("SELECT count(*) FROM sluice_catalog") == [[.int(Self.newest)]])
    }

    @Test(arguments: CatalogPlace.available)
    func `an older catalog is brought up to date and keeps its rows`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...2)
        let database = try fixture.database()
        defer { database.close() }
        let next = CatalogMigration(
            version: Self.newest + 1,
            script: "ALTER TABLE sluice_batches ADD COLUMN note TEXT; CREATE TABLE sluice_notes (b {bytes})")
        try CatalogSchema.migrate(database, migrations: CatalogSchema.migrations + [next])
        #expect(try CatalogSchema.version(of: database) == Self.newest + 1)
        #expect(try database.execute("SELECT count(*), count(note) FROM sluice_batches") == [[.int(2), .int(0)]])
        try CatalogSchema.migrate(database, migrations: CatalogSchema.migrations + [next])

        // This build does not know that version.
        #expect(failureCode { try fixture.another().close() } == .catalogNewer)
        #expect(failureCode { try Catalog.open(address: fixture.address, access: .readOnly).close() } == .catalogNewer)
    }

    private static let newest = CatalogSchema.migrations.last!.version

    @Test(arguments: CatalogPlace.available)
    func `the ranges of a catalog of version 1 are all there afterwards`(_ place: CatalogPlace) throws {
        let address = try CatalogFixture.emptyPlace(place)
        let database = try openDatabase(address.text, busyTimeoutMillis: 2000)
        defer { database.close() }
        try CatalogSchema.migrate(database, migrations: Array(CatalogSchema.migrations.prefix(1)))
        let jobID = JobID.random()
        let plan = BatchPlan.sample(
            jobID, 1, epoch: 1,
            ranges: [
                OffsetRange(topic: "a.b", partition: 2, from: 0, until: 9_007_199_254_740_993),
                OffsetRange(topic: "a.b", partition: 10, from: 5, until: 6), OffsetRange(topic: "c", partition: 0, from: 1, until: 2),
            ])
        let text = String(decoding: try JSONEncoder().encode(plan), as: UTF8.self)
        try database.execute(
            """
            INSERT INTO sluice_batches (job_id, batch, state, epoch, planned_at_millis, batch_time_millis,
                watermark_before_millis, build_digest, settings_digest, plan_digest, plan)
            VALUES ($1, 1, 'planned', $3, 1, $4, $5, 'b1', 's1', 'p1', $2)
            """,
            [
                .text(jobID.text), .text(text), .int(plan.epoch), .int(plan.batchTimeMillis),
                plan.watermarkBeforeMillis.map { .int($0) } ?? .null,
            ])
        for range in plan.ranges {
            try database.execute(
                """
                INSERT INTO sluice_ranges (job_id, batch, topic, partition, from_offset, until_offset)
                VALUES ($1, 1, $2, $3, $4, $5)
                """,
                [.text(jobID.text), .text(range.topic), .int(Int64(range.partition)), .int(range.from), .int(range.until)])
        }
        let catalog = try Catalog.open(address: address.text)
        defer { catalog.close() }
        #expect(try catalog.openPlan(jobID)?.plan == plan)
        let seen = try database.execute(
            "SELECT topic, partition, from_offset, until_offset FROM sluice_ranges ORDER BY topic, partition")
        #expect(
            seen
                == plan.ranges.map {
                    [.text($0.topic), .int(Int64($0.partition)), .int($0.from), .int($0.until)] as [SQLValue]
                })
    }

    @Test(arguments: CatalogPlace.available)
    func `a migration that fails leaves the catalog as it was`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let database = try fixture.database()
        defer { database.close() }
        let broken = CatalogMigration(
            version: Self.newest + 1, script: "CREATE TABLE sluice_notes (b {bytes}); INSERT INTO sluice_nowhere VALUES (1)")
        #expect(
            failureCode { try CatalogSchema.migrate(database, migrations: CatalogSchema.migrations + [broken]) } != nil)
        #expect(try CatalogSchema.version(of: database) == Self.newest)
        #expect(failureCode { try database.execute("SELECT * FROM sluice_notes") } != nil)
    }

    @Test(arguments: CatalogPlace.available)
    func `a reader makes no catalog and changes none`(_ place: CatalogPlace) throws {
        let empty = try CatalogFixture.emptyPlace(place)
        #expect(failureCode { try Catalog.open(address: empty.text, access: .readOnly).close() } == .fileMissing)
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...1)
        let reader = try Catalog.open(address: fixture.address, access: .readOnly)
        defer { reader.close() }
        #expect(try reader.lastDone(jobID)?.plan.batch == 1)
        #expect(try reader.audit(jobID).findings.isEmpty)
        #expect(failureCode { try reader.setDesired("views", .stop) } == .catalogReadOnly)
        #expect(try fixture.catalog.job(named: "views")?.desired == .run)
    }

    @Test func `an address of another form is refused`() {
        for address in ["", "catalog.db", "mysql://host/db"] {
            #expect(failureCode { try Catalog.open(address: address).close() } == .invalidSetting, "\(address)")
        }
    }

    @Test func `a file that is no database is refused and left alone`() throws {
        let directory = try TemporaryDirectory("catalog")
        let content = Data(String(repeating: "not a database at all\n", count: 400).utf8)
        try content.write(to: URL(fileURLWithPath: directory.file("catalog.db")))
        for access in [Catalog.Access.readWrite, .readOnly] {
            #expect(
                failureCode {
                    try Catalog.open(address: "sqlite:" + directory.file("catalog.db"), access: access).close()
                } == .catalogFailed)
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.file("catalog.db"))) == content)
    }

    @Test func `a catalog that stays locked is said to be so within seconds`() throws {
        let fixture = try CatalogFixture(.sqlite)
        let (jobID, epoch) = try fixture.job()
        let holder = try fixture.database()
        defer { holder.close() }
        try holder.execute("BEGIN IMMEDIATE")
        let start = ContinuousClock.now
        #expect(failureCode { try fixture.catalog.appendPlan(.sample(jobID, 1, epoch: epoch)) } == .catalogLocked)
        let waited = ContinuousClock.now - start
        #expect(waited > .milliseconds(1900) && waited < .seconds(30))
        #expect(try fixture.catalog.openPlan(jobID) == nil, "readers do not wait")
        let failure = #expect(throws: Failure.self) { try fixture.catalog.setDesired("views", .stop) }
        #expect(failure?.why.contains("process \(getpid()) holds its write lock") == true)
        try holder.execute("COMMIT")
        try fixture.catalog.appendPlan(.sample(jobID, 1, epoch: epoch))
    }

    @Test func `a write waits for another process's transaction to end`() throws {
        let fixture = try CatalogFixture(.sqlite)
        let (jobID, epoch) = try fixture.job()
        let holder = try fixture.database()
        defer { holder.close() }
        try holder.execute("BEGIN IMMEDIATE")
        let tried = CommitCount()
        let waiting = try Catalog { try fixture.database() }
        let result = Mutex<Failure.Code??>(.none)
        let thread = Thread {
            tried.committed()
            let code = failureCode { try waiting.appendPlan(.sample(jobID, 1, epoch: epoch)) }
            result.withLock { $0 = .some(code) }
        }
        thread.start()
        let deadline = ContinuousClock.now + .seconds(60)
        while tried.commits == 0, ContinuousClock.now < deadline { Thread.sleep(forTimeInterval: 0.001) }
        #expect(result.withLock { $0 } == .none, "it cannot have come through the lock")
        try holder.execute("COMMIT")
        while result.withLock({ $0 }) == .none, ContinuousClock.now < deadline { Thread.sleep(forTimeInterval: 0.001) }
        #expect(result.withLock { $0 } == .some(nil))
        #expect(try fixture.catalog.openPlan(jobID)?.plan.batch == 1)
        waiting.close()
    }

    @Test func `a full disk is said to be so and leaves whole batches`() throws {
        let fixture = try CatalogFixture(.sqlite)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...1)
        let cramped = try Catalog {
            let database = try fixture.database()
            guard case .int(let pages) = try database.execute("PRAGMA page_count")[0][0] else { return database }
            try database.execute("PRAGMA max_page_count = \(pages + 3)")
            return database
        }
        defer { cramped.close() }
        var code: Failure.Code?
        var batch: BatchNumber = 1
        while code == nil, batch < 200 {
            batch += 1
            code = failureCode { try fixture.finish(cramped, jobID, epoch, batch) }
        }
        #expect(code == .catalogAway)
        let last = try #require(try fixture.catalog.lastDone(jobID)?.plan.batch)
        #expect(last == batch || last == batch - 1)
        #expect(try fixture.catalog.audit(jobID).findings.isEmpty)
        // With room again the log goes on.
        if try fixture.catalog.openPlan(jobID) == nil {
            try fixture.catalog.appendPlan(.sample(jobID, last + 1, epoch: epoch))
        }
        try fixture.catalog.finishBatch(.sample(jobID, last + 1, epoch: epoch), epoch: epoch)
    }

    @Test(arguments: CatalogPlace.available)
    func `a lost connection is opened again where nothing was begun`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        let count = CommitCount()
        let opened = CommitCount()
        let catalog = try Catalog {
            opened.committed()
            return CountingDatabase(try fixture.database(), count)
        }
        defer { catalog.close() }
        count.loseNext(1)
        try catalog.appendPlan(.sample(jobID, 1, epoch: epoch))
        #expect(opened.commits == 2)
        count.loseNext(1)
        #expect(try catalog.openPlan(jobID)?.plan.batch == 1)
        #expect(opened.commits == 3)
        count.loseNext(2)
        #expect(failureCode { _ = try catalog.openPlan(jobID) } == .databaseUnreachable)
        #expect(try catalog.openPlan(jobID)?.plan.batch == 1)
    }
}
