import Engine
import Foundation
import TestSupport
import Testing

/// Records of which nothing can be read, in a job that stands.
@Suite(.waits, .serialized) struct UnreadableTests {
    @Test func `a standing job that can read nothing any more says so at each batch, and stops after some of them`() throws {
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 500)
        let job = try harness.start(
            workers: 1, untilCaughtUp: false, extra: ["--interval", "100ms", "--set", "max_rejected_batches=3"])
        defer { job.kill9() }
        #expect(try harness.waitForRows("expected.csv"), "\(job.errors)")
        let before = try harness.campaignViews()
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        func said() -> Int { job.errors.components(separatedBy: "unreadable batch").count - 1 }
        // One below the number from which the share of a batch stops the job.
        for number in 1...3 where job.isRunning {
            try producer.sendNumbers(99, topic: harness.topic)
            #expect(SluiceProcess.eventually { said() >= number || !job.isRunning }, "\(job.errors)")
        }
        let ended = job.wait(timeoutMillis: 30_000)
        #expect(ended.status == 1 && ended.errors.contains("no record of the last 3 batches could be decoded"), "\(ended.errors)")
        #expect(ended.errors.contains("max_rejected_batches") && ended.errors.contains("the first is \(harness.topic)/0 at"), "\(ended.errors)")
        #expect(said() >= 2, "\(ended.errors)")
        #expect(try harness.campaignViews() == before)
        // What was wrong is known by offset, and a mended build or another setting can take it in.
        let kept = try harness.sluice("quarantine", "campaign-views", "--limit", "1000", "--json").output
        #expect(kept.split(separator: "\n").count >= 99, "\(kept)")
        try harness.run(workers: 0, extra: ["--set", "max_rejected_batches=1000"])
        try harness.expectExact()
    }
}
