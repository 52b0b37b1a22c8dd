import Engine
import Foundation
import TestSupport
import Testing

/// `sluice repair`: what a sink lost is there again, and nothing else is touched.
@Suite(.waits, .serialized) struct RepairTests {
    enum Loss: String, CaseIterable, CustomTestStringConvertible {
        case fileRemoved, tableDropped, tableEmptied, ownersRemoved
        var testDescription: String { rawValue }
        var script: String {
            switch self {
            case .fileRemoved: ""
            case .tableDropped: "DROP TABLE campaign_views"
            case .tableEmptied: "DELETE FROM campaign_views"
            case .ownersRemoved: "DELETE FROM sluice_jobs"
            }
        }
    }

    private func change(_ harness: JobHarness, _ script: String) throws {
        let database = try openDatabase(harness.sink)
        defer { database.close() }
        try database.executeScript(script)
    }

    private func removeSink(_ harness: JobHarness) throws {
        for suffix in ["", "-wal", "-shm"] {
            let file = harness.directory.file("sink.db") + suffix
            if FileManager.default.fileExists(atPath: file) { try FileManager.default.removeItem(atPath: file) }
        }
    }

    private func threeBatches() throws -> JobHarness {
        let harness = try JobHarness()
        try harness.generate(events: 6000)
        try harness.run(workers: 0, extra: ["--max-batch-records", "2000"])
        return harness
    }

    @Test(arguments: Loss.allCases) func `a table that was lost is written anew out of the log`(loss: Loss) throws {
        let harness = try threeBatches()
        if loss == .fileRemoved { try removeSink(harness) } else { try change(harness, loss.script) }
        let plan = try harness.sluice("repair", "campaign-views", "--plan")
        #expect(plan.output.contains("would write batches 1 to 3"), "\(plan.output)")
        try harness.sluice("repair", "campaign-views", "--workers", "2")
        try harness.expectExact()
        try harness.expectWhole(deep: true)
        let log = try harness.sluice("batches", "campaign-views")
        #expect(log.output.contains("repair"), "\(log.output)")
        try harness.generate(events: 1000, seed: 2, expected: "more.csv")
        try harness.run()
        #expect(try harness.sluice("repair", "campaign-views").output.contains("nothing to write"))
        try harness.sluice("audit", "campaign-views")
    }

    @Test func `a repair that is killed goes on where it stopped`() throws {
        let harness = try threeBatches()
        try change(harness, "DROP TABLE campaign_views")
        let killed = try SluiceProcess.run(
            ["repair", "campaign-views", "--workers", "0"], in: harness.directory.path,
            environment: ["SLUICE_TEST_FAILPOINT": "repaired@2"])
        #expect(killed.status != 0)
        // A plain start goes on with it, too: the ledger says how far it came.
        let next = try harness.run(workers: 0)
        #expect(next.errors.contains("written again"), "\(next.errors)")
        try harness.expectExact()
        try harness.expectWhole(deep: true)
    }

    @Test func `rows that were deleted from the middle are written by the batches that are named, the newest row of each key`() throws {
        let harness = try threeBatches()
        let whole = try harness.campaignViews()
        try change(harness, "UPDATE campaign_views SET views = 0; DELETE FROM campaign_views WHERE campaign_id < '8'")
        try harness.sluice("repair", "campaign-views", "--batches", "1..2")
        #expect(try harness.campaignViews() == whole)
        try harness.expectExact()
        try harness.expectWhole(deep: true)
        // The repair is a batch like others for a sink that is put back behind it.
        try harness.generate(events: 500, seed: 3, expected: "more.csv")
        try harness.run(workers: 0)
        try harness.sluice("audit", "campaign-views")
        let refused = try harness.sluice("repair", "campaign-views", "--batches", "9..12", expecting: 1)
        #expect(refused.errors.contains("no batch 9"), "\(refused.errors)")
    }

    @Test func `an older copy of an appended table gets the batches behind its ledger, by the next start`() throws {
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 4000)
        try harness.run("purchases", workers: 0, extra: ["--max-batch-records", "1000"])
        try change(harness, "PRAGMA wal_checkpoint(TRUNCATE)")
        let older = try Data(contentsOf: URL(fileURLWithPath: harness.directory.file("sink.db")))
        try harness.generate(events: 4000, seed: 2, expected: "more.csv")
        try harness.run("purchases", workers: 0, extra: ["--max-batch-records", "1000"])
        let all = try harness.rows("SELECT * FROM purchases ORDER BY 1, 2, 3")
        try removeSink(harness)
        try older.write(to: URL(fileURLWithPath: harness.directory.file("sink.db")))
        let plan = try harness.sluice("repair", "purchases", "--plan", "--json")
        #expect(plan.output.contains("\"action\":\"again\"") && plan.output.contains("\"from\":5"), "\(plan.output)")
        try harness.run("purchases", workers: 0)
        #expect(try harness.rows("SELECT * FROM purchases ORDER BY 1, 2, 3") == all)
        try harness.expectWhole("purchases", deep: true)
    }

    @Test func `a sink that is mistyped is not written, and a running job is not disturbed`() throws {
        let harness = try threeBatches()
        let before = try harness.campaignViews()
        let job = try harness.start(workers: 0, untilCaughtUp: false)
        defer { job.kill9() }
        #expect(SluiceProcess.eventually { (try? harness.sluice("jobs").output.contains("running")) ?? false })
        let refused = try harness.sluice("repair", "campaign-views", "--batches", "1", expecting: 1)
        #expect(refused.errors.contains("already run by another driver"), "\(refused.errors)")
        job.terminate()
        #expect(job.wait().status == 0)
        #expect(try harness.campaignViews() == before)
    }

    @Test(TestBroker.needsReal) func `records that Kafka has deleted are named, and what is left is written when it is asked for`() throws {
        let harness = try threeBatches()
        let rows = try harness.count("SELECT count(*) FROM campaign_views")
        try change(harness, "DROP TABLE campaign_views")
        let places = (0..<4).map { "{\"topic\":\"\(harness.topic)\",\"partition\":\($0),\"offset\":100}" }
        try "{\"partitions\":[\(places.joined(separator: ","))],\"version\":1}".write(
            toFile: harness.directory.file("delete.json"), atomically: true, encoding: .utf8)
        _ = try KafkaFixture.shared().run("delete-records", ["--offset-json-file", harness.directory.file("delete.json")])
        let refused = try harness.sluice("repair", "campaign-views", expecting: 1)
        #expect(refused.errors.contains("Kafka has deleted records") && refused.errors.contains("--batches 2..3"), "\(refused.errors)")
        try harness.sluice("repair", "campaign-views", "--batches", "2..3")
        #expect(try harness.count("SELECT count(*) FROM campaign_views") <= rows)
        try harness.generate(events: 400, seed: 2, expected: "more.csv")
        try harness.run(workers: 0)
    }
}
