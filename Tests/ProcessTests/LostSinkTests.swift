import Engine
import Foundation
import TestSupport
import Testing

/// A sink that lost something between two runs of its job: the second run says what, and writes nothing.
@Suite(.waits, .serialized) struct LostSinkTests {
    enum Loss: String, CaseIterable, CustomTestStringConvertible {
        case fileRemoved, tableDropped, tableEmptied, tableMadeAnew, sinkMistyped, ownersRemoved
        var testDescription: String { rawValue }

        /// As `fsck` says it.
        var fault: String {
            switch self {
            case .fileRemoved: "is not there"
            case .ownersRemoved: "it does not know job"
            default: words
            }
        }

        var words: String {
            switch self {
            case .fileRemoved, .tableDropped: "the table is not there any more"
            case .tableEmptied: "are gone"
            case .tableMadeAnew: "made anew"
            case .sinkMistyped: "the settings name"
            case .ownersRemoved: "the sink does not know the job"
            }
        }
    }

    @Test(arguments: Loss.allCases) func `a sink that lost its rows stops the next start by name, and the restored one goes on`(loss: Loss) throws {
        let harness = try JobHarness()
        try harness.generate(events: 6000)
        try harness.run(workers: 0, extra: ["--max-batch-records", "2000"])
        let file = harness.directory.file("sink.db")
        let kept = try copy(of: file)
        var extra: [String] = []
        switch loss {
        case .fileRemoved: try FileManager.default.removeItem(atPath: file)
        case .tableDropped: try change(file, "DROP TABLE campaign_views")
        case .tableEmptied: try change(file, "DELETE FROM campaign_views")
        case .tableMadeAnew:
            try change(
                file,
                """
                ALTER TABLE campaign_views RENAME TO old;
                CREATE TABLE campaign_views (campaign_id TEXT NOT NULL, window_start TEXT NOT NULL, views INTEGER,
                    PRIMARY KEY (campaign_id, window_start)) WITHOUT ROWID
                """)
        case .sinkMistyped: extra = ["--sink", "sqlite:\(harness.directory.path)/snik.db"]
        case .ownersRemoved: try change(file, "DELETE FROM sluice_jobs")
        }
        if loss != .sinkMistyped {
            let faults = try harness.sluice("fsck", "campaign-views", expecting: 1).output
            #expect(faults.contains("fault  sink") && faults.contains(loss.fault), "\(faults)")
        }
        let refused = try harness.run(workers: 0, extra: extra, expecting: 1)
        #expect(refused.errors.contains(loss.words) && refused.errors.contains("sluice repair campaign-views"), "\(refused.errors)")
        #expect(!FileManager.default.fileExists(atPath: harness.directory.file("snik.db")))
        for suffix in ["-wal", "-shm"] where FileManager.default.fileExists(atPath: file + suffix) {
            try FileManager.default.removeItem(atPath: file + suffix)
        }
        try kept.write(to: URL(fileURLWithPath: file))
        try harness.run(workers: 0)
        try harness.expectExact()
    }

    /// With all that still stands in the write-ahead log.
    private func copy(of file: String) throws -> Data {
        try change(file, "PRAGMA wal_checkpoint(TRUNCATE)")
        return try Data(contentsOf: URL(fileURLWithPath: file))
    }

    private func change(_ file: String, _ script: String) throws {
        let database = try openDatabase("sqlite:" + file)
        defer { database.close() }
        try database.executeScript(script)
    }

    @Test func `an older copy of the sink gets the batches that it lacks from the next start`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 2000)
        try harness.run(workers: 0)
        let file = harness.directory.file("sink.db")
        let older = try copy(of: file)
        try harness.generate(events: 2000)
        try harness.run(workers: 0)
        try older.write(to: URL(fileURLWithPath: file))
        #expect(try harness.sluice("fsck", "campaign-views", expecting: 1).output.contains("it lacks rows of batches 2 to 2"))
        let whole = try harness.run(workers: 0)
        #expect(whole.errors.contains("written again"), "\(whole.errors)")
        try harness.expectWhole(deep: true)
    }

    @Test func `a keyed table of which one part alone was put back is written anew, from the first batch`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 6000)
        let file = harness.directory.file("sink.db")
        let small = ["--max-batch-records", "1000"]
        try harness.run(workers: 2, extra: small)
        let database = try openDatabase("sqlite:" + file)
        let older = try database.execute("SELECT batch, epoch, digest, witness FROM sluice_ledger WHERE part = 1")
        database.close()
        try harness.generate(events: 6000, seed: 2, expected: "more.csv")
        try harness.run(workers: 2, extra: small)
        let changed = try openDatabase("sqlite:" + file)
        try changed.execute("UPDATE sluice_ledger SET batch = $1, epoch = $2, digest = $3, witness = $4 WHERE part = 1", try #require(older.first))
        changed.close()
        #expect(try harness.sluice("fsck", "campaign-views", expecting: 1).output.contains("fault  sink"))
        let whole = try harness.run(workers: 2, extra: small)
        #expect(whole.errors.contains("written again job=campaign-views from=1 "), "\(whole.errors)")
        try harness.expectWhole(deep: true)
    }

    @Test func `two names of one job do not overwrite each other's rows in the default sink`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 3000)
        try harness.run(workers: 0, extra: ["--name", "eu"])
        let before = try harness.campaignViews()
        let refused = try harness.run(workers: 0, extra: ["--name", "us"], expecting: 1)
        #expect(refused.errors.contains("belongs to job eu") && refused.errors.contains("sink_table"), "\(refused.errors)")
        #expect(try harness.campaignViews() == before)
        try harness.run(workers: 0, extra: ["--name", "us", "--set", "sink_table=views_{job}"])
        #expect(try harness.count("SELECT count(*) FROM views_us") == Int64(before.count))
        let plan = try harness.sluice("explain", "campaign-views", "--set", "sink_table=views_{job}", "--set", "name=us")
        #expect(plan.output.contains("views_us"), "\(plan.output)")
    }
}
