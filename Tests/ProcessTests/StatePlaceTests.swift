// The state place as workers see it.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits, .serialized) struct StatePlaceTests {
    private static let mayMount = ConditionTrait.enabled(if: geteuid() == 0, "a mount of one process takes the rights of root")

    /// A worker for which an empty directory is mounted over the state place.
    private func blindWorker(_ cluster: Cluster, _ place: String) throws -> SluiceProcess {
        try SluiceProcess(
            ["-m", "sh", "-c", "mount -t tmpfs none \(place) && exec \(SluiceProcess.binary) worker --driver \(cluster.url) --slots 2"],
            in: cluster.harness.directory.path, binary: "/usr/bin/unshare")
    }

    @Test(mayMount, arguments: [true, false])
    func `a worker that does not see the state gets no task, whether it was there first or joins later`(isFirst: Bool) throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        let place = harness.directory.file("place")
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        let cluster = try Cluster(harness)
        var workers: [SluiceProcess] = []
        defer {
            for worker in workers { worker.kill9() }
            for worker in workers { _ = worker.wait() }
            _ = cluster.stop()
        }
        func join(_ worker: SluiceProcess) {
            workers.append(worker)
            #expect(SluiceProcess.eventually { worker.errors.contains("registered") }, "\(worker.errors)")
        }
        if isFirst { join(try blindWorker(cluster, place)) } else { join(try cluster.worker()) }
        // All of the state goes into files, so that whoever does not see them cannot go on.
        _ = try cluster.submit("campaign-views", ["--set", "state=file:\(place)", "--set", "state_inline=0", "--set", "max_batch_records=2000"])
        if isFirst {
            #expect(SluiceProcess.eventually { cluster.driver.errors.contains("does not reach the state") }, "\(cluster.driver.errors)")
            join(try cluster.worker())
        } else {
            join(try blindWorker(cluster, place))
        }
        let blind = try #require(isFirst ? workers.first : workers.last)
        #expect(SluiceProcess.eventually { blind.errors.contains("state place is not reached here") }, "\(blind.errors)")
        #expect(try SluiceProcess.eventually { try cluster.lag() == 0 }, "\(cluster.driver.errors)")
        #expect(try cluster.state() == "running")
        try harness.sluice("jobs", "stop", "campaign-views", "--driver", cluster.url)
        try harness.expectExact()
        #expect(!cluster.driver.errors.contains("attempt failed"), "\(cluster.driver.errors)")
    }

    @Test func `a place that is gone with state in it is waited for, and not made anew`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        let extra = ["--set", "state=file:place", "--set", "state_inline=0", "--set", "lateness=30d", "--max-batch-records", "7000"]
        try harness.run(workers: 1, extra: extra)
        let place = harness.directory.file("place")
        try FileManager.default.moveItem(atPath: place, toPath: place + "-away")
        let run = try harness.start(workers: 1, extra: extra)
        #expect(SluiceProcess.eventually { run.errors.contains("is not there") }, "\(run.errors)")
        #expect(!FileManager.default.fileExists(atPath: place))
        try FileManager.default.moveItem(atPath: place + "-away", toPath: place)
        let result = run.wait()
        #expect(result.status == 0, "\(result.errors)")
        try harness.expectExact()
        try harness.expectWhole()
    }

    @Test func `a place that is not mounted, of which the mount point is there, is waited for, and nothing is written into it`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        let extra = ["--set", "state=file:place", "--set", "state_inline=0", "--set", "lateness=30d", "--max-batch-records", "7000"]
        try harness.run(workers: 1, extra: extra)
        let place = harness.directory.file("place")
        try FileManager.default.moveItem(atPath: place, toPath: place + "-away")
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
        try harness.generate(events: 2000, seed: 2, expected: "more.csv")
        let run = try harness.start(workers: 1, extra: extra)
        #expect(SluiceProcess.eventually { run.errors.contains("holds nothing of job") }, "\(run.errors)")
        #expect(run.isRunning, "\(run.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: place) == [])
        try FileManager.default.removeItem(atPath: place)
        try FileManager.default.moveItem(atPath: place + "-away", toPath: place)
        let result = run.wait()
        #expect(result.status == 0, "\(result.errors)")
        try harness.expectWhole(deep: true)
    }
}
