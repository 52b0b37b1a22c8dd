import Engine
import Foundation
import TestSupport
import Testing

/// A lookup file that changes under a standing job.
@Suite(.waits, .serialized) struct LookupTests {
    private func send(_ harness: JobHarness, _ count: Int) throws {
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        for _ in 0..<count {
            try producer.send(
                topic: harness.topic, partition: 0,
                text: #"{"user_id":"u","page_id":"p","ad_id":"a","ad_type":"mail","event_type":"view","event_time":1772366400000,"ip_address":"1.1.1.1"}"#)
        }
        try producer.flush()
    }

    private func write(_ harness: JobHarness, campaign: String) throws {
        // Whoever replaces a file whole is never seen half way.
        let file = harness.directory.file("ads.csv")
        try "ad_id,campaign_id\na,\(campaign)\n".write(toFile: file, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: -5)], ofItemAtPath: file)
    }

    private func views(_ harness: JobHarness) throws -> [String: Int64] {
        try harness.rows("SELECT campaign_id, views FROM campaign_views").reduce(into: [:]) {
            if case .text(let campaign) = $1[0], case .int(let views) = $1[1] { $0[campaign] = views }
        }
    }

    @Test func `with lookup_refresh later batches join with the new file, and each is replayed with what it saw`() throws {
        let harness = try JobHarness(partitions: 1)
        try write(harness, campaign: "old")
        try send(harness, 10)
        let job = try harness.start(workers: 0, format: "json", untilCaughtUp: false, extra: ["--interval", "100ms", "--set", "lookup_refresh=1s"])
        defer { job.kill9() }
        #expect(SluiceProcess.eventually { (try? views(harness)) == ["old": 10] }, "\(job.errors)")
        try write(harness, campaign: "new")
        #expect(SluiceProcess.eventually { job.errors.contains("lookup taken in") }, "\(job.errors)")
        try send(harness, 5)
        #expect(SluiceProcess.eventually { (try? views(harness)) == ["old": 10, "new": 5] }, "\(job.errors)")
        job.terminate()
        #expect(job.wait().status == 0)
        try harness.sluice("replay", "campaign-views", "--batch", "1", "--local")
        try harness.expectWhole(deep: true)
    }

    @Test func `without it a changed file is said, and joined with from the next start on`() throws {
        let harness = try JobHarness(partitions: 1)
        try write(harness, campaign: "old")
        try send(harness, 10)
        let job = try harness.start(workers: 0, format: "json", untilCaughtUp: false, extra: ["--interval", "100ms"])
        defer { job.kill9() }
        #expect(SluiceProcess.eventually { (try? views(harness)) == ["old": 10] }, "\(job.errors)")
        try write(harness, campaign: "new")
        #expect(SluiceProcess.eventually { job.errors.contains("lookup file changed") }, "\(job.errors)")
        try send(harness, 5)
        #expect(SluiceProcess.eventually { (try? views(harness)) == ["old": 15] }, "\(job.errors)")
        job.terminate()
        #expect(job.wait().status == 0)
        try send(harness, 2)
        try harness.run(workers: 0, format: "json")
        #expect(try views(harness) == ["old": 15, "new": 2])
    }
}
