import Engine
import Foundation
import TestSupport
import Testing

/// `sluice jobs pause|resume|stop|kill` without a driver's address, on every kind of catalog; and a catalog that a stopped
/// process keeps locked.
@Suite(.waits, .serialized) struct CatalogWishTests {
    static let catalogs = PostgresFixture.missingReason == nil ? ["SQLite", "PostgreSQL"] : ["SQLite"]

    @Test(arguments: catalogs) func `a running driver follows what is asked of its jobs in the catalog`(kind: String) throws {
        let harness = try JobHarness(environment: kind == "SQLite" ? [:] : ["SLUICE_CATALOG": postgresSink()])
        try harness.generate(events: 5000)
        let driver = try harness.begin("driver", "--listen", "127.0.0.1:0")
        #expect(SluiceProcess.eventually { driver.output.contains("driver listens on http://") }, "\(driver.errors)")
        let url = String(try #require(driver.output.split(whereSeparator: { " ,\n".contains($0) }).first { $0.hasPrefix("http://") }))
        let worker = try harness.begin("worker", "--driver", url)
        defer {
            worker.kill9()
            _ = worker.wait()
        }
        try harness.sluice(
            "submit", "campaign-views", "--driver", url, "--set", "bootstrap=\(harness.bootstrap)", "--set", "topic=\(harness.topic)",
            "--set", "sink=\(harness.sink)", "--set", "interval=20ms")
        func isRunning() throws -> Bool { try harness.sluice("jobs", "show", "campaign-views").output.contains("running") }
        #expect(try SluiceProcess.eventually { try isRunning() })
        // Each command waits until the driver has followed; twice as long as a driver may take, and a slow machine's share.
        for (action, words) in [
            ("pause", "is paused"), ("resume", "is running"), ("stop", "is stopped"), ("resume", "is running"),
            ("kill", "is stopped"), ("resume", "is running"),
        ] {
            let followed = try harness.sluice("jobs", action, "campaign-views", "--wait", "60s")
            #expect(followed.output.contains(words) && !followed.output.contains("nobody"), "\(action): \(followed.output)")
        }
        // Asked to rest and at once to go on: the loop that drains ends first, and another begins.
        try harness.sluice("jobs", "pause", "campaign-views", "--wait", "0s", expecting: nil)
        try harness.sluice("jobs", "resume", "campaign-views")
        #expect(try SluiceProcess.eventually { try isRunning() })
        try harness.generate(events: 5000, expected: "more.csv")
        #expect(try SluiceProcess.eventually { try harness.sluice("offsets", "campaign-views").output.contains("lag 0") }, "\(driver.errors)")
        driver.terminate()
        #expect(driver.wait().status == 0)
        try harness.sluice("audit", "campaign-views")
    }

    @Test(TestBroker.needsReal) func `a driver stopped inside a transaction is named with what to do`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 100_000)
        let zombie = try harness.start(workers: 0, extra: ["--max-batch-records", "200", "--interval", "0"])
        #expect(SluiceProcess.eventually { zombie.output.contains("batch 2 ") })
        harness.pause(zombie, insideTransaction: true)
        let refused = try harness.run(workers: 0, extra: ["--wait"], expecting: 1)
        #expect(refused.errors.contains("process \(zombie.pid)") && refused.errors.contains("is stopped"), "\(refused.errors)")
        #expect(refused.errors.contains("kill -CONT \(zombie.pid)"), "\(refused.errors)")
        zombie.kill9()
        _ = zombie.wait()
        try harness.run(workers: 0)
        try harness.expectExact()
    }
}
