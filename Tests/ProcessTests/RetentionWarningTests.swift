import Engine
import Foundation
import TestSupport
import Testing

/// A standing job whose topic is about to lose records that it has not read says so, in its log and in `/metrics`.
@Suite(.waits, .serialized, TestBroker.needsReal) struct RetentionWarningTests {
    private func value(_ name: String, _ page: String) -> Double? {
        page.split(separator: "\n").first { $0.hasPrefix(name + "{") }?.split(separator: " ").last.flatMap { Double($0) }
    }

    /// A driver whose job begins with what is unread now, until it has said what it is about to lose.
    private func warning(_ harness: JobHarness, submits: Bool) throws -> (said: String, metrics: String) {
        let cluster = try Cluster(harness)
        let worker = try cluster.worker()
        defer {
            worker.kill9()
            _ = worker.wait()
        }
        if submits { _ = try cluster.submit() }
        #expect(SluiceProcess.eventually { cluster.driver.errors.contains("topic needs a look") }, "\(cluster.driver.errors)")
        let metrics = try cluster.metrics()
        let shown = try harness.sluice("jobs", "--driver", cluster.url)
        #expect(shown.output.contains("are deleted from"), "\(shown.output)")
        #expect(try SluiceProcess.eventually { try cluster.lag() == 0 }, "\(cluster.driver.errors)")
        #expect(cluster.stop().status == 0)
        return (cluster.driver.errors, metrics)
    }

    @Test func `records that are about to be deleted unread, by their age or the size of the topic, are said`() throws {
        let kafka = try KafkaFixture.shared()
        let topic = try kafka.topic(partitions: 1, config: ["retention.ms": "3600000"])
        let harness = try JobHarness(partitions: 1, topic: topic)
        try harness.generate(events: 500, extra: ["--start", "-50m", "--span", "1m"])
        let now = Date().timeIntervalSince1970
        let aged = try warning(harness, submits: true)
        #expect(aged.said.contains("records that are not read yet are deleted from") && aged.said.contains("by age"), "\(aged.said)")
        #expect(value("sluice_retention_urgent", aged.metrics) == 1, "\(aged.metrics)")
        let from = try #require(value("sluice_unread_deleted_from_seconds", aged.metrics))
        #expect(abs(from - now - 600) < 120, "\(from - now)")
        // Kafka deletes whole segments, so it keeps these for now; what is written is more than may lie there.
        try kafka.run(
            "configs", ["--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", "retention.ms=-1,retention.bytes=20000"])
        try harness.generate(events: 500, extra: ["--start", "-5m", "--span", "1m"], expected: "more.csv")
        let sized = try warning(harness, submits: false)
        #expect(sized.said.contains("records that are not read yet are deleted from") && sized.said.contains("by size"), "\(sized.said)")
        #expect(value("sluice_retention_urgent", sized.metrics) == 1, "\(sized.metrics)")
    }
}
