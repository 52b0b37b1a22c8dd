import Engine
import Foundation
import TestSupport
import Testing

/// kill -9 at named points and at random ones; then the same command again, and the answer is exact.
@Suite(.waits, .serialized) struct CrashTests {
    struct Point: Sendable, CustomStringConvertible {
        var name: String
        var hit: Int
        var isPostgres: Bool
        var description: String { "\(name)@\(hit) on \(isPostgres ? "PostgreSQL" : "SQLite")" }
    }

    static let driverPoints = Failpoint.driverNames.flatMap { name in
        [1, 3].flatMap { hit in [false, true].map { Point(name: name, hit: hit, isPostgres: $0) } }
    }.filter { !$0.isPostgres || (PostgresFixture.missingReason == nil) }

    private func sink(_ point: Point) throws -> String? { point.isPostgres ? try postgresSink() : nil }

    @Test(arguments: driverPoints) func `a driver killed at a named point goes on exactly`(point: Point) throws {
        let harness = try JobHarness(sink: sink(point))
        try harness.generate(events: 20_000)
        let extra = ["--max-batch-records", "3000"]
        let killed = try harness.run(
            workers: 2, extra: extra, environment: ["SLUICE_TEST_FAILPOINT": "\(point.name)@\(point.hit)"], expecting: nil)
        #expect(killed.status == 128 + SIGKILL, "the failpoint was not reached: \(killed.errors)")
        try harness.run(workers: 2, extra: extra)
        try harness.expectExact()
        try harness.expectWhole()
    }

    /// A commit may be made although its answer is lost: the driver must ask the log and not its memory.
    @Test(arguments: Failpoint.unansweredNames)
    func `a commit that was made and not answered is found in the log`(name: String) throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        // Only the first plan is a transaction of its own here.
        let hit = name == "plan-unanswered" ? 1 : 3
        let result = try harness.run(
            workers: 2, extra: ["--max-batch-records", "3000"], environment: ["SLUICE_TEST_FAILPOINT": "\(name)@\(hit)"])
        #expect(result.errors.contains("the log had taken what it did not answer"), "\(result.errors)")
        try harness.expectExact()
        try harness.sluice("audit", "campaign-views")
    }

    @Test(arguments: Failpoint.workerNames + Failpoint.databaseNames, [1, 4]) func `a worker killed at a named point costs an attempt and nothing else`(
        name: String, hit: Int
    ) throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        // One worker process dies there; the run starts another in its place and says nothing but a warning.
        let died = harness.directory.file("died")
        try harness.run(
            workers: 2, extra: ["--max-batch-records", "3000"],
            environment: ["SLUICE_TEST_FAILPOINT": "\(name)@\(hit)", "SLUICE_TEST_FAILPOINT_ONCE": died])
        #expect(FileManager.default.fileExists(atPath: died), "no worker got there")
        try harness.expectExact()
    }

    @Test func `a run whose workers die again and again ends and says so`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        // Every worker dies after its first seal, its successors too: more often than they are started again.
        let failed = try harness.run(
            workers: 2, extra: ["--max-batch-records", "1000"], environment: ["SLUICE_TEST_FAILPOINT": "worker-sealed@1"],
            expecting: 1)
        #expect(failed.errors.contains("no worker process is left"), "\(failed.errors)")
        try harness.run(workers: 2)
        try harness.expectExact()
    }

    @Test(TestBroker.needsReal) func `twenty kills at random moments lose nothing and double nothing`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 300_000)
        var random = SeededRandom(seed: 20)
        let extra = ["--max-batch-records", "10000", "--interval", "0"]
        for round in 0..<20 {
            let process = try harness.start(workers: 2, extra: extra)
            // A time, not an event: the moment is meant to be anywhere.
            usleep(UInt32(30_000 + random.below(400_000)))
            let victim = round % 2 == 0 ? process.pid : (children(of: process.pid).randomElement(using: &random) ?? process.pid)
            kill(victim, SIGKILL)
            if victim != process.pid { usleep(UInt32(random.below(200_000))) }
            process.kill9()
            _ = process.wait()
        }
        try harness.run(workers: 2, extra: extra)
        try harness.expectExact()
        try harness.expectWhole()
    }

    /// Records that come all the time are cut as they arrive at the worker that reads them.
    @Test(TestBroker.needsReal, arguments: [0, 2]) func `steady traffic is counted exactly through kills`(workers: Int) throws {
        let harness = try JobHarness()
        let traffic = try harness.begin(
            "generate", "ad-events", "--bootstrap", harness.bootstrap, "--topic", harness.topic, "--ads", "ads.csv",
            "--events", "60000", "--rate", "4000", "--expected", "expected.csv")
        #expect(SluiceProcess.eventually { FileManager.default.fileExists(atPath: harness.directory.file("ads.csv")) })
        var random = SeededRandom(seed: 5)
        let calm = ContinuousClock.now + .seconds(8)
        var hasArrived = false
        while traffic.isRunning {
            let process = try harness.start(workers: workers, untilCaughtUp: false, extra: ["--interval", "0", "--log-level", "debug"])
            // The last one lives as long as records come.
            while ContinuousClock.now > calm, traffic.isRunning { usleep(50_000) }
            usleep(UInt32(900_000 + random.below(600_000)))
            if let victim = children(of: process.pid).randomElement(using: &random) {
                kill(victim, SIGKILL)
                usleep(UInt32(200_000 + random.below(300_000)))
            }
            process.kill9()
            hasArrived = process.wait().errors.contains("records have arrived") || hasArrived
        }
        #expect(traffic.wait().status == 0, "\(traffic.errors)")
        try harness.run(workers: workers)
        try harness.expectExact()
        #expect(hasArrived, "no batch was cut of what had arrived")
    }

    @Test(TestBroker.needsReal) func `purchases are appended exactly once through kills`() throws {
        for isPostgres in [false, true] where !isPostgres || (PostgresFixture.missingReason == nil) {
            let harness = try JobHarness(sink: isPostgres ? postgresSink() : nil)
            try harness.generate(events: 60_000, format: "json")
            var random = SeededRandom(seed: 7)
            let extra = ["--max-batch-records", "5000", "--interval", "0", "--format", "json"]
            for _ in 0..<5 {
                let process = try harness.start("purchases", workers: 2, extra: extra)
                usleep(UInt32(50_000 + random.below(250_000)))
                process.kill9()
                _ = process.wait()
            }
            try harness.run("purchases", workers: 2, format: "json", extra: ["--max-batch-records", "5000"])
            let stored = try harness.count("SELECT count(*) FROM purchases")
            let distinct = try harness.count("SELECT count(*) FROM (SELECT DISTINCT topic, partition, \"offset\" FROM purchases) AS d")
            #expect(stored == distinct)
            #expect(stored == Int64(try purchasesInTopic(harness)))
        }
    }

    /// Counted by Kafka's own console consumer, not by the engine.
    private func purchasesInTopic(_ harness: JobHarness) throws -> Int {
        let text = try KafkaFixture.shared().run(
            "console-consumer", ["--topic", harness.topic, "--from-beginning", "--timeout-ms", "5000"])
        return text.split(separator: "\n").count { $0.contains("\"event_type\":\"purchase\"") }
    }

    @Test func `workers end with their parent, however it ends`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 1000)
        let process = try harness.start(workers: 2, untilCaughtUp: false)
        #expect(SluiceProcess.eventually { children(of: process.pid).count == 2 })
        let workers = children(of: process.pid)
        process.kill9()
        _ = process.wait()
        #expect(SluiceProcess.eventually { workers.allSatisfy { kill($0, 0) != 0 } }, "workers \(workers) are still there")
    }

    @Test(TestBroker.needsReal) func `SIGTERM drains: the open batch is finished and nothing stays planned`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 200_000)
        let process = try harness.start(workers: 2, untilCaughtUp: false, extra: ["--max-batch-records", "20000", "--interval", "0"])
        #expect(SluiceProcess.eventually { process.output.contains("batch 2 ") })
        process.terminate()
        let result = process.wait()
        #expect(result.status == 0, "\(result.errors)")
        let batches = try harness.sluice("batches", "campaign-views", "--last", "1000", "--json")
        #expect(!batches.output.contains("PLANNED"))
        try harness.run(workers: 2)
        try harness.expectExact()
    }
}
