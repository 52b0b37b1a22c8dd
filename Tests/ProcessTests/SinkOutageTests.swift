import Engine
import Foundation
import TestSupport
import Testing

/// A database sink that goes away, comes back read-only, or comes back older, under a standing job.
@Suite(.waits, .serialized, .enabled(if: PostgresFixture.missingReason == nil, "no PostgreSQL server is installed"))
struct SinkOutageTests {
    private static let start = "2026-03-01T12:00:00Z"

    private func count(_ url: String) -> Int64 {
        guard let database = try? openDatabase(url) else { return -1 }
        defer { database.close() }
        guard case .int(let value)? = try? database.execute("SELECT count(*) FROM campaign_views").first?.first else { return -1 }
        return value
    }

    /// A job that stands, and how many rows it has written.
    private func standing(_ url: String) throws -> (harness: JobHarness, job: SluiceProcess, rows: Int64) {
        let harness = try JobHarness(partitions: 2, sink: url)
        try harness.generate(events: 2000, extra: ["--start", Self.start])
        let job = try harness.start(workers: 1, untilCaughtUp: false, extra: ["--interval", "100ms"])
        let rows = Int64(try harness.expected().count)
        #expect(SluiceProcess.eventually { count(url) == rows })
        return (harness, job, rows)
    }

    @Test(arguments: [true, false])
    func `a sink that is stopped under a standing job gets every row when it is back, of batches that were computed once`(
        isKilled: Bool
    ) throws {
        let postgres = try PostgresFixture()
        let url = try postgres.newDatabase()
        let (harness, job, first) = try standing(url)
        defer { job.kill9() }
        if isKilled { try postgres.kill9() } else { try postgres.stop() }
        try harness.generate(events: 2000, extra: ["--start", "2026-03-02T00:00:00Z"], expected: "more.csv")
        #expect(SluiceProcess.eventually { job.errors.contains("waits for the outside") }, "\(job.errors)")
        sleep(3)
        #expect(job.isRunning, "\(job.errors)")
        try postgres.start()
        let all = first + Int64(try harness.expected("more.csv").count)
        #expect(SluiceProcess.eventually(timeoutMillis: 60_000) { count(url) == all }, "\(job.errors)")
        // Said once, not at each try.
        #expect(job.errors.components(separatedBy: "waits for the outside").count < 6, "\(job.errors)")
        job.terminate()
        let ended = job.wait()
        #expect(ended.status == 0, "\(ended.errors)")
        // What was computed waited with its worker: no batch was read twice.
        let log = try harness.sluice("batches", "campaign-views", "--json")
        #expect(!log.output.contains("\"retries\":1") && !log.output.contains("\"retries\":2"), "\(log.output)")
        try harness.expectWhole(deep: true)
    }

    @Test func `a sink that is read-only for a while, as in a fail-over, does not end the job`() throws {
        let postgres = try PostgresFixture()
        let url = try postgres.newDatabase()
        let (harness, job, first) = try standing(url)
        defer { job.kill9() }
        func setReadOnly(_ value: String) throws {
            let admin = try openDatabase(postgres.url)
            defer { admin.close() }
            try admin.execute("ALTER SYSTEM SET default_transaction_read_only = \(value)")
            try admin.execute("SELECT pg_reload_conf()")
        }
        try setReadOnly("on")
        try harness.generate(events: 2000, extra: ["--start", "2026-03-02T00:00:00Z"], expected: "more.csv")
        #expect(SluiceProcess.eventually { job.errors.contains("waits for the outside") }, "\(job.errors)")
        sleep(4)
        #expect(job.isRunning, "\(job.errors)")
        let admin = try openDatabase(postgres.url)
        try admin.executeScript("SET default_transaction_read_only = off")
        try admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
        try admin.execute("SELECT pg_reload_conf()")
        admin.close()
        let all = first + Int64(try harness.expected("more.csv").count)
        #expect(SluiceProcess.eventually(timeoutMillis: 60_000) { count(url) == all }, "\(job.errors)")
        job.terminate()
        #expect(job.wait().status == 0)
        try harness.expectWhole()
    }

    @Test func `a sink that comes back as an older copy under a standing job gets what it lacks`() throws {
        let postgres = try PostgresFixture()
        let url = try postgres.newDatabase()
        let (harness, job, first) = try standing(url)
        defer { job.kill9() }
        func script(_ text: String) throws {
            let database = try openDatabase(url)
            defer { database.close() }
            try database.executeScript(text)
        }
        // The copy: rows and ledger of one moment.
        try script(
            """
            CREATE TABLE kept_views AS SELECT * FROM campaign_views; CREATE TABLE kept_ledger AS SELECT * FROM sluice_ledger
            """)
        try harness.generate(events: 2000, extra: ["--start", "2026-03-02T00:00:00Z"], expected: "more.csv")
        let all = first + Int64(try harness.expected("more.csv").count)
        #expect(SluiceProcess.eventually { count(url) == all }, "\(job.errors)")
        try script(
            """
            BEGIN; DELETE FROM campaign_views; INSERT INTO campaign_views SELECT * FROM kept_views; DELETE FROM sluice_ledger;
            INSERT INTO sluice_ledger SELECT * FROM kept_ledger; COMMIT
            """)
        try harness.generate(events: 2000, extra: ["--start", "2026-03-03T00:00:00Z"], expected: "third.csv")
        let whole = all + Int64(try harness.expected("third.csv").count)
        #expect(SluiceProcess.eventually(timeoutMillis: 60_000) { count(url) == whole }, "\(job.errors)")
        #expect(job.errors.contains("written again"), "\(job.errors)")
        job.terminate()
        #expect(job.wait().status == 0)
        try harness.expectWhole(deep: true)
    }

    @Test func `a driver that stops while the sink of its job is away leaves the job to the next driver, and a pause stays a pause`() throws {
        let postgres = try PostgresFixture()
        let harness = try JobHarness(partitions: 2, sink: try postgres.newDatabase())
        try harness.generate(events: 2000, extra: ["--start", Self.start])
        let cluster = try Cluster(harness)
        let worker = try cluster.worker()
        defer { worker.kill9() }
        _ = try cluster.submit("campaign-views", ["--set", "ads=\(harness.directory.file("ads.csv"))"])
        let rows = Int64(try harness.expected().count)
        #expect(SluiceProcess.eventually { count(harness.sink) == rows }, "\(cluster.driver.errors)")
        try postgres.stop()
        try harness.generate(events: 2000, extra: ["--start", "2026-03-02T00:00:00Z"], expected: "more.csv")
        #expect(SluiceProcess.eventually { cluster.driver.errors.contains("waits for the outside") }, "\(cluster.driver.errors)")
        // Asked to stop, it does not wait for the sink for ever; the batch stays in the log, and the job is no failure.
        #expect(cluster.stop().status == 0)
        #expect(try cluster.state() == "running")
        let next = try Cluster(harness)
        let other = try next.worker()
        defer { other.kill9() }
        #expect(SluiceProcess.eventually { next.driver.errors.contains("waits for the outside") }, "\(next.driver.errors)")
        let paused = try harness.sluice("jobs", "pause", "campaign-views", "--wait", "60s")
        #expect(paused.output.contains("paused"), "\(paused.output)")
        try postgres.start()
        try harness.sluice("jobs", "resume", "campaign-views", "--wait", "30s")
        let all = rows + Int64(try harness.expected("more.csv").count)
        #expect(SluiceProcess.eventually(timeoutMillis: 60_000) { count(harness.sink) == all }, "\(next.driver.errors)")
        #expect(next.stop().status == 0)
        try harness.expectWhole()
    }

    @Test func `a sink that is put back to an older copy while its job rests gets what it lacks without a new record`() throws {
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 1000, extra: ["--start", Self.start])
        try harness.run(workers: 0)
        let file = harness.directory.file("sink.db")
        func copy() throws -> Data {
            let database = try openDatabase("sqlite:" + file)
            defer { database.close() }
            try database.executeScript("PRAGMA wal_checkpoint(TRUNCATE)")
            return try Data(contentsOf: URL(fileURLWithPath: file))
        }
        let older = try copy()
        try harness.generate(events: 1000, extra: ["--start", "2026-03-02T00:00:00Z"], expected: "more.csv")
        let job = try harness.start(workers: 0, untilCaughtUp: false, extra: ["--interval", "100ms", "--set", "sink_look=1s"])
        defer { job.kill9() }
        let all = try harness.expected().count + harness.expected("more.csv").count
        #expect(SluiceProcess.eventually { (try? harness.campaignViews().count) == all }, "\(job.errors)")
        _ = try copy()
        try older.write(to: URL(fileURLWithPath: file))
        #expect(SluiceProcess.eventually(timeoutMillis: 60_000) { (try? harness.campaignViews().count) == all }, "\(job.errors)")
        #expect(job.errors.contains("written again"), "\(job.errors)")
        job.terminate()
        #expect(job.wait().status == 0)
        try harness.expectWhole()
    }
}
