// What is wrong with one worker alone costs that worker its tasks, and not the job.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits, .serialized) struct WorkerTroubleTests {
    private static let mayMount = ConditionTrait.enabled(if: geteuid() == 0, "a mount of one process takes the rights of root")

    /// A worker whose spill directory has room for next to nothing.
    private func cramped(_ cluster: Cluster) throws -> SluiceProcess {
        let place = cluster.harness.directory.file("cramped-\(UInt32.random(in: 0...UInt32.max))")
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        return try SluiceProcess(
            [
                "-m", "sh", "-c",
                "mount -t tmpfs -o size=4k none \(place) && TMPDIR=\(place) exec \(SluiceProcess.binary) worker --driver \(cluster.url) --slots 2 --block-memory 0",
            ], in: cluster.harness.directory.path, binary: "/usr/bin/unshare")
    }

    private func with(_ body: (JobHarness, Cluster, (SluiceProcess) -> Void) throws -> Void) throws {
        let harness = try JobHarness()
        try harness.generate(events: 60_000)
        let cluster = try Cluster(harness)
        var workers: [SluiceProcess] = []
        defer {
            for worker in workers { worker.kill9() }
            for worker in workers { _ = worker.wait() }
            _ = cluster.stop()
        }
        try body(harness, cluster) { worker in
            workers.append(worker)
            #expect(SluiceProcess.eventually { worker.errors.contains("registered") }, "\(worker.errors)")
        }
    }

    @Test(mayMount) func `a full spill disk of one of two workers stopped the job`() throws {
        try with { harness, cluster, join in
            join(try cramped(cluster))
            join(try cluster.worker(slots: 2, ["--block-memory", "0"]))
            _ = try cluster.submit("campaign-views", ["--set", "max_batch_records=20000"])
            #expect(try SluiceProcess.eventually { try cluster.lag() == 0 }, "\(cluster.driver.errors)")
            #expect(try cluster.state() == "running")
            #expect(cluster.driver.errors.contains("worker avoided") && cluster.driver.errors.contains("No space left"), "\(cluster.driver.errors)")
            try harness.sluice("jobs", "stop", "campaign-views", "--driver", cluster.url)
            try harness.expectExact()
        }
    }

    @Test(mayMount) func `when every worker has trouble of its own the job waits, and goes on with one that has none`() throws {
        try with { harness, cluster, join in
            for _ in 0..<2 { join(try cramped(cluster)) }
            _ = try cluster.submit("campaign-views", ["--set", "max_batch_records=20000"])
            #expect(SluiceProcess.eventually { cluster.driver.errors.contains("waits for the outside") }, "\(cluster.driver.errors)")
            #expect(try cluster.state() == "running")
            join(try cluster.worker(slots: 2, ["--block-memory", "0"]))
            #expect(try SluiceProcess.eventually(timeoutMillis: 60_000) { try cluster.lag() == 0 }, "\(cluster.driver.errors)")
            try harness.sluice("jobs", "stop", "campaign-views", "--driver", cluster.url)
            try harness.expectExact()
        }
    }
}
