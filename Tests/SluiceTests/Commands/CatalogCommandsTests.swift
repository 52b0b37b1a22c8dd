// `catalog check|backup|copy`, `jobs forget|rename` and `fsck` over what an earlier build left and over catalogs made here.

import Driver
import Engine
import Foundation
import Sluice
import TestSupport
import Testing

@Suite(.waits) struct CatalogCommandsTests {
    /// Every table's rows, as text.
    private func content(_ address: String) throws -> [String: [String]] {
        let database = try openDatabase(address)
        defer { database.close() }
        var content: [String: [String]] = [:]
        for table in CatalogCopy.tables where table.name != "sluice_leases" {
            let columns = try CatalogSchema.columns(of: table.name, in: database).joined(separator: ", ")
            content[table.name] = try database.execute("SELECT \(columns) FROM \(table.name)").map { "\($0)" }.sorted()
        }
        return content
    }

    @Test func `a copy knows every table of the catalog`() throws {
        let job = try JobCatalog()
        let database = try openDatabase(job.address)
        defer { database.close() }
        #expect(Set(try CatalogSchema.tables(in: database)) == Set(CatalogCopy.tables.map(\.name) + ["sluice_catalog"]))
    }

    @Test func `a catalog could not be backed up while it is used`() throws {
        let earlier = try EarlierBuild()
        let file = earlier.directory.file("backup.db")
        // A writer is in the middle of its transaction; a reader holds an older view.
        let writer = try SQLiteDatabase(path: earlier.directory.file("catalog.db"))
        defer { writer.close() }
        let before = try content(earlier.address)
        try writer.transaction {
            try writer.execute("UPDATE sluice_registry SET state = 'paused'")
            #expect(earlier.sluice("catalog", "backup", file).output.hasPrefix("wrote "))
        }
        #expect(try content("sqlite:" + file) == before)
        let copy = try Catalog.open(address: "sqlite:" + file, access: .readOnly)
        defer { copy.close() }
        #expect(try copy.lease("campaign-views")?.holder == nil && copy.lease("campaign-views")?.epoch == 1)
        #expect(try copy.check().isEmpty)
        let again = earlier.sluice("catalog", "backup", file)
        #expect(again.status == 1 && again.errors.contains("is there already"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: earlier.directory.path).filter { $0.contains("unfinished") } == [])
        let planned = earlier.sluice("catalog", "backup", earlier.directory.file("other.db"), "--plan")
        #expect(planned.status == 0 && !FileManager.default.fileExists(atPath: earlier.directory.file("other.db")))
    }

    @Test(.enabled(if: PostgresFixture.missingReason == nil))
    func `a catalog could not move to PostgreSQL and back`() throws {
        let earlier = try EarlierBuild()
        let there = try PostgresFixture.shared().newDatabase()
        // Rows of this build, too.
        let job = try JobCatalog()
        try job.add(1, [0...10], rejected: [QuarantinedRecord(topic: "events", partition: 0, offset: 4, reason: .truncated, raw: [0, 0xFF, 0x1B])])
        for (source, words) in [(earlier.address, []), (job.address, ["--json"])] as [(String, [String])] {
            let target = source == job.address ? try PostgresFixture.shared().newDatabase() : there
            let captured = Captured(width: 200)
            let program = Program(commands: SluiceProgram.commands(JobDefinitions([])))
            try #require(program.main(["catalog", "copy", source, target] + words, terminal: captured.terminal) == 0, "\(captured.errorText)")
            #expect(try content(target) == content(source))
            let moved = try Catalog.open(address: target)
            defer { moved.close() }
            #expect(try moved.check() == [])
            // And back, as a file.
            let file = earlier.directory.file("back-\(words.count).db")
            #expect(program.main(["catalog", "backup", file, "--catalog", target], terminal: captured.terminal) == 0)
            #expect(try content("sqlite:" + file) == content(source))
            #expect(program.main(["catalog", "copy", source, target], terminal: captured.terminal) == 1)
        }
    }

    @Test func `a catalog is not moved under a job that runs`() throws {
        let job = try JobCatalog(isRun: true)
        let captured = Captured(width: 200)
        let program = Program(commands: SluiceProgram.commands(JobDefinitions([])))
        let target = job.directory.file("moved.db")
        #expect(program.main(["catalog", "copy", job.address, "sqlite:" + target], terminal: captured.terminal) == 1)
        #expect(captured.errorText.contains("job views is run by process") && !FileManager.default.fileExists(atPath: target))
    }

    /// A statement that breaks the log behind the catalog's back, and what the check calls it.
    private static let breakages: [(String, CatalogFault.Kind)] = [
        ("UPDATE sluice_batches SET ranges = replace(ranges, '[0,10,', '[0,12,') WHERE batch = 2", .audit),
        ("DELETE FROM sluice_batches WHERE batch = 2", .audit),
        ("UPDATE sluice_positions SET position = 31", .audit),
        ("DROP TABLE sluice_hours", .tableMissing),
        ("ALTER TABLE sluice_jumps DROP COLUMN topic_id", .columnMissing),
        ("UPDATE sluice_batches SET job_id = 'x' WHERE batch = 1", .orphan),
        ("UPDATE sluice_batches SET plan = '{}' WHERE batch = 2", .unreadable),
        ("UPDATE sluice_batches SET ranges = '[]' WHERE batch = 3", .unreadable),
        ("DELETE FROM sluice_frames", .frameMissing),
        ("UPDATE sluice_seals SET digest = 'other'", .sealStray),
        ("UPDATE sluice_seals SET batch = 9", .sealStray),
        ("UPDATE sluice_leases SET epoch = 1", .epochStray),
        ("UPDATE sluice_positions SET position = 20; UPDATE sluice_batches SET ranges = '{\"events\":[[0,21,30]]}' WHERE batch = 3", .openPlanStray),
        ("DROP INDEX sluice_batches_open; UPDATE sluice_batches SET state = 'planned', outcome = NULL WHERE batch = 2", .twoOpenPlans),
    ]

    @Test(arguments: 0..<breakages.count) func `a catalog that was broken is found and named`(_ index: Int) throws {
        let (statement, kind) = Self.breakages[index]
        let job = try JobCatalog()
        try job.add(1, [0...10], rows: 5)
        try job.add(2, [10...20], rows: 5)
        try job.add(3, [20...30], isDone: false)
        #expect(job.sluice("catalog", "check").status == 0)
        for one in statement.split(separator: ";") { try job.tamper(String(one)) }
        let found = job.sluice("catalog", "check", "--json")
        #expect(found.status == 1)
        #expect(try objects(found.output).contains { $0["kind"] as? String == kind.rawValue }, "\(found.output)\(found.errors)")
        #expect(try objects(found.output).allSatisfy { ($0["now"] as? String)?.isEmpty == false })
    }

    // MARK: forget and rename

    @Test func `a job could not be forgotten`() throws {
        let earlier = try EarlierBuild()
        let id = try earlier.record("campaign-views").jobID
        let plan = earlier.sluice("jobs", "forget", "campaign-views", "--plan")
        #expect(plan.status == 0 && plan.output.contains("6 state files") && plan.output.contains("sluice.campaign-views"))
        #expect(try earlier.catalog.job(named: "campaign-views") != nil)
        let folder = try earlier.state.folder(id)
        #expect(FileManager.default.fileExists(atPath: folder))

        #expect(earlier.sluice("jobs", "forget", "campaign-views").status == 0)
        #expect(try earlier.catalog.job(named: "campaign-views") == nil)
        #expect(try earlier.catalog.rowCounts(id).values.allSatisfy { $0 == 0 })
        #expect(try earlier.catalog.lease("campaign-views") == nil)
        #expect(!FileManager.default.fileExists(atPath: folder))
        // The other job joins with the same lookup.
        #expect(try earlier.catalog.lookup("7fefdc4620d26db42eca41d5538484a7") != nil)
        #expect(try earlier.catalog.check() == [])
        #expect(earlier.sluice("jobs", "forget", "campaign-report").status == 0)
        #expect(try earlier.catalog.lookup("7fefdc4620d26db42eca41d5538484a7") == nil)
    }

    @Test(arguments: [["forget", "views"], ["rename", "views", "clicks"]])
    func `a job that runs is neither forgotten nor renamed`(_ words: [String]) throws {
        let job = try JobCatalog(isRun: true)
        for plan in [[], ["--plan"]] as [[String]] {
            let answer = job.sluice(["jobs"] + words + plan)
            #expect(answer.status == 1 && answer.errors.contains("sluice jobs stop views"))
        }
        #expect(try job.catalog.job(named: "views") != nil)
    }

    @Test func `a job could not be renamed`() throws {
        let earlier = try EarlierBuild()
        let id = try earlier.record("purchases").jobID
        #expect(earlier.sluice("jobs", "rename", "purchases", "buys", "--plan").output.hasPrefix("would rename job purchases to buys, in its sink, too"))
        #expect(try earlier.catalog.job(named: "buys") == nil)
        #expect(earlier.sluice("jobs", "rename", "purchases", "buys").status == 0)
        #expect(try earlier.catalog.job(named: "buys")?.jobID == id && earlier.catalog.job(named: "purchases") == nil)
        let lease = try #require(try earlier.catalog.lease("buys"))
        #expect(lease.epoch == 2 && lease.holder == nil)
        let sink = try SQLiteDatabase(path: earlier.sinkPath, readOnly: true)
        defer { sink.close() }
        #expect(try sink.execute("SELECT job, epoch FROM sluice_jobs WHERE job_id = $1", [.text(id.text)]) == [[.text("buys"), .int(2)]])
        #expect(try earlier.catalog.audit(id).passes(strict: true) && earlier.catalog.check() == [])
        #expect(earlier.sluice("jobs", "rename", "buys", "campaign-views").errors.contains("is already there"))
        #expect(earlier.sluice("jobs", "rename", "buys", "a b").status == 2)
        let open = earlier.sluice("jobs", "rename", "campaign-views", "views")
        #expect(open.status == 1 && open.errors.contains("batch 3 of job campaign-views is planned"))
    }

    @Test func `a rename that was killed between sink and catalog is finished by the same command`() throws {
        let earlier = try EarlierBuild()
        let sink = try SQLiteDatabase(path: earlier.sinkPath)
        defer { sink.close() }
        try sink.execute("UPDATE sluice_jobs SET job = 'buys', epoch = 2 WHERE job = 'purchases'")
        #expect(earlier.sluice("jobs", "rename", "purchases", "buys").status == 0)
        #expect(try earlier.catalog.job(named: "buys") != nil)
        #expect(try sink.execute("SELECT count(*) FROM sluice_jobs WHERE job IN ('buys', 'purchases')") == [[.int(1)]])
    }

    @Test func `a job that writes to a topic is not renamed`() throws {
        let earlier = try EarlierBuild()
        let database = try SQLiteDatabase(path: earlier.directory.file("catalog.db"))
        defer { database.close() }
        try database.execute("UPDATE sluice_registry SET settings = json_set(settings, '$.sink', 'kafka:out') WHERE name = 'purchases'")
        let answer = earlier.sluice("jobs", "rename", "purchases", "buys")
        #expect(answer.status == 1 && answer.errors.contains("writes to a topic"))
    }

    // MARK: fsck

    private func fsck(_ earlier: EarlierBuild, _ job: String) throws -> [String: (status: String, now: String?, what: String)] {
        let lines = try objects(earlier.sluice("fsck", job, "--json").output)
        return Dictionary(
            lines.map { ($0["check"] as? String ?? "", ($0["status"] as? String ?? "", $0["now"] as? String, $0["what"] as? String ?? "")) },
            uniquingKeysWith: { first, _ in first })
    }

    /// Kafka is not there in these tests, so topic and group are skipped and never called faulty.
    @Test func `fsck finds what sink and state lost and names the command`() throws {
        let earlier = try EarlierBuild()
        let database = try SQLiteDatabase(path: earlier.directory.file("catalog.db"))
        defer { database.close() }
        try database.execute(
            "UPDATE sluice_registry SET settings = json_set(settings, '$.bootstrap', '127.0.0.1:1', '$.\"kafka.socket.connection.setup.timeout.ms\"', '1000')")
        var found = try fsck(earlier, "campaign-views")
        #expect(found["log"]?.status == "ok" && found["sink"]?.status == "ok" && found["state"]?.status == "ok")
        #expect(found["topic"]?.status == "skip" && found["group"]?.status ?? "skip" == "skip")

        // A file of the state is gone.
        let folder = try earlier.state.folder(earlier.record("campaign-views").jobID)
        let file = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first { $0.hasPrefix("v2-") })
        try FileManager.default.removeItem(atPath: folder + "/" + file)
        found = try fsck(earlier, "campaign-views")
        #expect(found["state"]?.status == "fault" && found["state"]?.what.contains(file) == true)

        // The sink is an older copy: the log knows a later seal.
        let id = try earlier.record("purchases").jobID
        #expect(try fsck(earlier, "purchases")["sink"]?.status == "ok")
        let sink = try SQLiteDatabase(path: earlier.sinkPath)
        defer { sink.close() }
        for part in try #require(try earlier.catalog.batch(id, 3)?.outcome?.parts) {
            try sink.execute(
                "UPDATE sluice_ledger SET batch = 3, digest = $2 WHERE job_id = $1 AND part = $3",
                [.text(id.text), .text(part.digest), .int(Int64(part.part))])
        }
        found = try fsck(earlier, "purchases")
        #expect(found["sink"]?.status == "fault" && found["sink"]?.now?.contains("sluice repair purchases") == true)

        // The catalog is the older copy.
        try sink.execute("UPDATE sluice_ledger SET batch = 7 WHERE job_id = $1", [.text(id.text)])
        #expect(try fsck(earlier, "purchases")["sink"]?.what.contains("older copy") == true)
        try sink.execute("UPDATE sluice_jobs SET job_id = 'other' WHERE job_id = $1", [.text(id.text)])
        #expect(try fsck(earlier, "purchases")["sink"]?.now?.contains("--adopt") == true)
        try FileManager.default.removeItem(atPath: earlier.sinkPath)
        #expect(try fsck(earlier, "purchases")["sink"]?.what.contains("is not there") == true)
        #expect(!FileManager.default.fileExists(atPath: earlier.sinkPath))
    }
}
