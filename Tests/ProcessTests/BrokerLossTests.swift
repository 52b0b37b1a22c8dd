import Engine
import Foundation
import TestSupport
import Testing

/// A cluster of three brokers under a standing job.
@Suite(.waits, .serialized, TestBroker.needsReal) struct BrokerLossTests {
    @Test func `one broker of three that stops is not noticed, and all three are waited for`() throws {
        let kafka = try KafkaFixture.own(brokers: 3)
        let harness = try JobHarness(partitions: 3, topic: kafka.topic(partitions: 3, replication: 3), bootstrap: kafka.bootstrap)
        try harness.generate(events: 3000, extra: ["--start", "2026-03-01T12:00:00Z"])
        let job = try harness.start(workers: 1, untilCaughtUp: false, extra: ["--interval", "100ms"])
        defer { job.kill9() }
        #expect(try harness.waitForRows("expected.csv"), "\(job.errors)")
        // Each broker leads a partition of the three.
        try kafka.killBroker(2)
        // The generator asks once; until the cluster has noticed, a partition is led by nobody.
        #expect(
            SluiceProcess.eventually(timeoutMillis: 60_000) {
                (try? kafka.run("topics", ["--describe", "--topic", harness.topic]).contains("Leader: 2")) == false
            })
        try harness.generate(events: 3000, extra: ["--start", "2026-03-02T00:00:00Z"], expected: "more.csv")
        #expect(try harness.waitForRows("expected.csv", "more.csv"), "\(job.errors)")
        // All rows may be there before all records are read; one that is being read stands still for longer than this waits.
        #expect(SluiceProcess.eventually { (try? harness.sluice("jobs", "--json").output.contains("\"lag_offsets\":0")) ?? false })
        try kafka.killBroker()
        #expect(SluiceProcess.eventually(timeoutMillis: 60_000) { job.errors.contains("waits for the outside") }, "\(job.errors)")
        #expect(job.isRunning, "\(job.errors)")
        try kafka.startBroker()
        try harness.generate(events: 3000, extra: ["--start", "2026-03-03T00:00:00Z"], expected: "third.csv")
        #expect(try harness.waitForRows("expected.csv", "more.csv", "third.csv"), "\(job.errors)")
        harness.drain(job)
        let whole = try ["expected.csv", "more.csv", "third.csv"].flatMap { try harness.expected($0) }
        #expect(try harness.campaignViews() == whole.sorted())
        try harness.sluice("audit", "campaign-views")
    }
}
