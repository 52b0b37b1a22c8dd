import Engine
import Foundation
import TestSupport
import Testing

extension OwnKafkaTests {
    /// The broker goes away, or is away, and comes back as it was or with other topics.
    @Suite(.waits) struct KafkaAwayTests {
        private static let start = "2026-03-01T12:00:00Z"

        @Test func `Kafka that is away when a standing job starts is waited for, also by the next driver`() throws {
            let kafka = try OwnKafkaTests.kafka.get()
            let harness = try OwnKafkaTests.harness()
            try harness.generate(events: 3000, extra: ["--start", Self.start])
            try kafka.killBroker()
            let first = try harness.start(workers: 0, untilCaughtUp: false)
            defer { first.kill9() }
            #expect(SluiceProcess.eventually { first.errors.contains("waits for the outside") }, "\(first.errors)")
            // Asked more than once and not given up: its row still says that it is to run.
            #expect(first.isRunning)
            first.kill9()
            _ = first.wait()
            let cluster = try Cluster(harness)
            let worker = try cluster.worker()
            defer {
                worker.kill9()
                _ = worker.wait()
            }
            #expect(SluiceProcess.eventually { cluster.driver.errors.contains("waits for the outside") }, "\(cluster.driver.errors)")
            let shown = try harness.sluice("jobs", "--driver", cluster.url)
            #expect(shown.output.contains("did not list the partitions"), "\(shown.output)")
            try kafka.startBroker()
            #expect(try harness.waitForRows("expected.csv"), "\(cluster.driver.errors)")
            #expect(SluiceProcess.eventually { cluster.driver.errors.contains("the outside is back") }, "\(cluster.driver.errors)")
            #expect(try cluster.state() == "running")
            #expect(cluster.stop().status == 0)
            try harness.expectExact()
        }

        @Test func `a topic made again and filled while its broker was away is not read into the log`() throws {
            let kafka = try OwnKafkaTests.kafka.get()
            let harness = try OwnKafkaTests.harness(partitions: 1)
            try harness.generate(events: 200, extra: ["--start", Self.start])
            let job = try harness.start(workers: 1, untilCaughtUp: false, extra: ["--interval", "100ms"])
            defer { job.kill9() }
            #expect(try harness.waitForRows("expected.csv"), "\(job.errors)")
            let before = try harness.campaignViews()
            try kafka.killBroker()
            #expect(SluiceProcess.eventually { job.errors.contains("waits for the outside") }, "\(job.errors)")
            try kafka.startBroker()
            let admin = try TopicAdmin(kafka.configuration())
            try admin.remakeTopic(harness.topic)
            try harness.generate(events: 500, seed: 9, extra: ["--start", "2026-03-02T00:00:00Z"], expected: "other.csv")
            let ended = job.wait(timeoutMillis: 60_000)
            #expect(ended.status == 1, "\(ended.errors)")
            // It may look while there is none.
            #expect(
                ["deleted and made again", "made again, or truncated", "There is no topic"].contains { ended.errors.contains($0) },
                "\(ended.errors)")
            #expect(!ended.errors.contains("--accept-loss"))
            #expect(try harness.campaignViews() == before)
            try harness.sluice("audit", "campaign-views")
        }
    }
}
