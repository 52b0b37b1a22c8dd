import Engine
import Foundation
import TestSupport
import Testing

/// The clock of a job's host is set while the job runs or rests.
@Suite(.waits, .serialized) struct ClockTests {
    /// A job whose host has a clock that can be set. Its records are of now, so that a wrong clock would reject them.
    private func world(catalog: String? = nil) throws -> (harness: JobHarness, clock: SetClock) {
        let harness = try JobHarness(partitions: 2, environment: catalog.map { ["SLUICE_CATALOG": $0] } ?? [:])
        let clock = try SetClock(file: harness.directory.file("clock"))
        return (harness, clock)
    }

    /// By the true clock, each time for other windows.
    private func generate(_ harness: JobHarness, _ minutesAgo: Int, _ expected: String) throws {
        try harness.generate(events: 500, extra: ["--start", "-\(minutesAgo)m", "--span", "30s"], expected: expected)
    }

    private func rejected(_ harness: JobHarness) throws -> [Int] {
        let lines = try harness.sluice("batches", "campaign-views", "--json").output.split(separator: "\n")
        return try lines.compactMap { line in
            try (JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["rejected"] as? Int
        }
    }

    @Test(.enabled(if: PostgresFixture.missingReason == nil, "no PostgreSQL server is installed"))
    func `a clock that goes back two hours and on two days under a job costs no row, and folds no history`() throws {
        let (harness, clock) = try world(catalog: postgresSink())
        try generate(harness, 40, "expected.csv")
        // What is older than a day is folded.
        let extra = ["--interval", "100ms", "--set", "log_keep=1d", "--set", "state_keep=1", "--set", "state_keep_time=1m"]
        let job = try harness.start(workers: 0, untilCaughtUp: false, extra: extra, environment: clock.environment)
        defer { job.kill9() }
        #expect(try harness.waitForRows("expected.csv"), "\(job.errors)")
        try clock.set(hours: -2)
        try generate(harness, 30, "back.csv")
        #expect(try harness.waitForRows("expected.csv", "back.csv"), "\(job.errors)")
        try clock.set(hours: 48)
        try generate(harness, 20, "ahead.csv")
        #expect(try harness.waitForRows("expected.csv", "back.csv", "ahead.csv"), "\(job.errors)")
        #expect(SluiceProcess.eventually { job.errors.contains("this clock is off") }, "\(job.errors)")
        harness.drain(job)
        // A start folds what it may, by the catalog's clock.
        try generate(harness, 10, "last.csv")
        try harness.run(workers: 0, extra: extra, environment: clock.environment)
        #expect(try harness.waitForRows("expected.csv", "back.csv", "ahead.csv", "last.csv"))
        let shown = try rejected(harness)
        #expect(shown.count >= 4 && shown.allSatisfy { $0 == 0 }, "\(shown)")
        try harness.sluice("audit", "campaign-views")
        let catalog = try openDatabase(harness.environment["SLUICE_CATALOG"] ?? "")
        defer { catalog.close() }
        let times = try catalog.execute("SELECT count(*) FROM sluice_batches WHERE abs(batch_time_millis - done_at_millis) > 120000")
        #expect(times == [[.int(0)]])
        #expect(try catalog.execute("SELECT count(*) FROM sluice_batches WHERE batch = 1") == [[.int(1)]])
    }

    @Test func `a clock that goes back under a job with its catalog in a file stops it by name, before a row is judged by it`() throws {
        let (harness, clock) = try world()
        try generate(harness, 40, "expected.csv")
        let job = try harness.start(workers: 0, untilCaughtUp: false, extra: ["--interval", "100ms"], environment: clock.environment)
        defer { job.kill9() }
        #expect(try harness.waitForRows("expected.csv"), "\(job.errors)")
        try clock.set(hours: -2)
        // The catalog's clock is the same one; it is asked each second.
        var parts = ["expected.csv"]
        while job.isRunning, parts.count < 20 {
            let minutes = 39 - parts.count
            try generate(harness, minutes, "back-\(minutes).csv")
            parts.append("back-\(minutes).csv")
        }
        let ended = job.wait(timeoutMillis: 30_000)
        #expect(ended.status == 1 && ended.errors.contains("went back by") && ended.errors.contains("--reset-time"), "\(ended.errors)")
        // Set right it goes on by itself, and nothing was rejected.
        try clock.set(hours: 0)
        try harness.run(workers: 0, environment: clock.environment)
        #expect(try harness.campaignViews() == parts.flatMap { try harness.expected($0) }.sorted())
        #expect(try rejected(harness).allSatisfy { $0 == 0 })
    }

    @Test func `a clock that was two days ahead for a while is left behind by --reset-time, and by nothing else`() throws {
        let (harness, clock) = try world()
        try generate(harness, 40, "expected.csv")
        try harness.run(workers: 0, environment: clock.environment)
        try clock.set(hours: 48)
        try generate(harness, 30, "ahead.csv")
        let ahead = try harness.run(workers: 0, environment: clock.environment)
        #expect(ahead.errors.contains("time leapt"), "\(ahead.errors)")
        try clock.set(hours: 0)
        try generate(harness, 20, "right.csv")
        let refused = try harness.run(workers: 0, environment: clock.environment, expecting: 1)
        #expect(refused.errors.contains("went back by") && refused.errors.contains("--reset-time"), "\(refused.errors)")
        try harness.run(workers: 0, extra: ["--reset-time"], environment: clock.environment)
        // It acts once, and stands in the log.
        try generate(harness, 10, "after.csv")
        try harness.run(workers: 0, environment: clock.environment)
        let whole = try ["expected.csv", "ahead.csv", "right.csv", "after.csv"].flatMap { try harness.expected($0) }
        #expect(try harness.campaignViews() == whole.sorted())
        #expect(try rejected(harness).allSatisfy { $0 == 0 })
        #expect(try harness.sluice("audit", "campaign-views").output.contains("--reset-time"))
        try harness.sluice("audit", "campaign-views", "--strict", expecting: 1)
    }
}
