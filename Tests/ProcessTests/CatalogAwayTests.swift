import Engine
import Foundation
import TestSupport
import Testing

extension OwnPostgresTests {
    /// The server of sink or catalog goes away, or is away.
    @Suite(.waits) struct CatalogAwayTests {
        private static let start = "2026-03-01T12:00:00Z"

        @Test func `a sink that is away when a standing job starts is waited for`() throws {
            let server = try OwnPostgresTests.server.get()
            let harness = try JobHarness(partitions: 2, sink: server.newDatabase())
            try harness.generate(events: 2000)
            try server.stop()
            let job = try harness.start(workers: 1, untilCaughtUp: false)
            defer { job.kill9() }
            #expect(SluiceProcess.eventually { job.errors.contains("waits for the outside") }, "\(job.errors)")
            #expect(job.isRunning)
            try server.start()
            #expect(try harness.waitForRows("expected.csv"), "\(job.errors)")
            #expect(job.errors.contains("the outside is back"), "\(job.errors)")
            harness.drain(job)
            try harness.expectExact()
        }

        @Test func `a driver whose catalog is away when it starts says so, is not ready, and goes on by itself`() throws {
            let server = try OwnPostgresTests.server.get()
            let harness = try JobHarness(partitions: 2, environment: ["SLUICE_CATALOG": server.newDatabase()])
            try server.stop()
            // A port that was free a moment ago: where the driver listens is printed when it has a catalog.
            let port = try PostgresFixture.freePort()
            let driver = try SluiceProcess(
                ["driver", "--listen", "127.0.0.1:\(port)"], in: harness.directory.path, environment: harness.environment)
            defer { driver.kill9() }
            func status(_ path: String) throws -> String {
                try runTool("/usr/bin/curl", ["-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:\(port)\(path)"]).output
            }
            #expect(SluiceProcess.eventually { driver.errors.contains("waits for the catalog") }, "\(driver.errors)")
            #expect(try status("/v1/health") == "200" && status("/v1/ready") == "503")
            #expect(driver.isRunning && !driver.output.contains("driver listens"))
            try server.start()
            #expect(SluiceProcess.eventually { driver.output.contains("driver listens") }, "\(driver.errors)")
            #expect(try status("/v1/ready") == "200" && driver.errors.contains("the catalog is back"))
            driver.terminate()
            #expect(driver.wait().status == 0)
        }

        /// The driver of `drivers` that the catalog names as the one that runs the job.
        private func holder(_ harness: JobHarness, _ drivers: [Cluster]) throws -> Int? {
            let shown = try harness.sluice("jobs", "show", "campaign-views", expecting: nil).output
            let line = shown.split(separator: "\n").first { $0.hasPrefix("run by") } ?? ""
            let found = drivers.indices.filter { line.contains("process \(drivers[$0].driver.pid) ") }
            return found.count == 1 ? found[0] : nil
        }

        @Test func `a catalog that is away for ten seconds ends neither the driver of a job nor the one that waits for it`() throws {
            let server = try OwnPostgresTests.server.get()
            let harness = try JobHarness(partitions: 2, environment: ["SLUICE_CATALOG": server.newDatabase()])
            try harness.generate(events: 2000, extra: ["--start", Self.start])
            let first = try Cluster(harness)
            let worker = try first.worker()
            _ = try first.submit()
            #expect(try harness.waitForRows("expected.csv"), "\(first.driver.errors)")
            let second = try Cluster(harness)
            let other = try second.worker()
            let drivers = [first, second]
            defer {
                for process in [worker, other] + drivers.map(\.driver) { process.kill9() }
                for process in [worker, other] + drivers.map(\.driver) { _ = process.wait() }
            }
            #expect(SluiceProcess.eventually { second.driver.errors.contains("waiting for the lease") }, "\(second.driver.errors)")
            #expect(try holder(harness, drivers) == 0)
            try server.stop()
            try harness.generate(events: 2000, extra: ["--start", "2026-03-02T00:00:00Z"], expected: "more.csv")
            // Twice as long as the lease: nobody holds the job any more, and nobody ends.
            let ends = ContinuousClock.now + .seconds(10)
            let hasEnded = SluiceProcess.eventually(timeoutMillis: 10_000) {
                ContinuousClock.now < ends && !drivers.allSatisfy { $0.driver.isRunning }
            }
            #expect(!hasEnded && first.driver.errors.contains("the lease is taken again"), "\(drivers.map(\.driver.errors))")
            #expect(second.driver.errors.components(separatedBy: "catalog not looked at").count < 5, "\(second.driver.errors)")
            let silent = try harness.sluice("jobs", expecting: 1)
            #expect(silent.errors.contains("now: "), "\(silent.errors)")
            try server.start()
            #expect(try harness.waitForRows("expected.csv", "more.csv"), "\(drivers.map(\.driver.errors))")
            // One of them runs it, and says so where it is asked and in the catalog.
            var found: Int?
            #expect(
                try SluiceProcess.eventually {
                    found = try holder(harness, drivers)
                    return found != nil
                })
            let runs = try #require(found)
            #expect(try first.state() == "running")
            func view(_ driver: Int) throws -> String { try harness.sluice("jobs", "--driver", drivers[driver].url).output }
            let (running, waiting) = (try view(runs), try view(1 - runs))
            // It may wait for the catalog a moment longer, by its pauses, and says so.
            let states = waiting.split(separator: "\n").filter { !$0.contains(" waits: ") }
            #expect(running.contains("running") && !states.contains { $0.contains("failed") }, "\(running)\(waiting)")
            // Both live: the one that waits goes on when the other is gone.
            drivers[runs].driver.kill9()
            _ = drivers[runs].driver.wait()
            try harness.generate(events: 2000, extra: ["--start", "2026-03-03T00:00:00Z"], expected: "third.csv")
            #expect(try harness.waitForRows("expected.csv", "more.csv", "third.csv"), "\(drivers.map(\.driver.errors))")
            #expect(try holder(harness, drivers) == 1 - runs)
            #expect(drivers[1 - runs].stop().status == 0)
            let whole = try ["expected.csv", "more.csv", "third.csv"].flatMap { try harness.expected($0) }
            #expect(try harness.campaignViews() == whole.sorted())
            try harness.sluice("audit", "campaign-views")
        }
    }
}
