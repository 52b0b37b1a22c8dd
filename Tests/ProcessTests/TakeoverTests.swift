import Engine
import Foundation
import TestSupport
import Testing

/// Two drivers, lost catalogs, other builds: who may go on, and who is refused.
@Suite(.waits, .serialized) struct TakeoverTests {
    @Test func `a second driver of a job is refused with a clear word, or waits`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 1000)
        let first = try harness.start(workers: 0, untilCaughtUp: false)
        #expect(SluiceProcess.eventually { first.output.contains("batch 1 ") })
        let refused = try harness.run(workers: 0, expecting: 1)
        #expect(refused.errors.contains("already run by another driver"))
        #expect(refused.errors.contains("now:"))
        let waiting = try harness.start(workers: 0, extra: ["--wait"])
        #expect(SluiceProcess.eventually { waiting.errors.contains("waiting for the lease") })
        first.terminate()
        #expect(first.wait().status == 0)
        #expect(waiting.wait().status == 0)
        try harness.expectExact()
    }

    @Test(TestBroker.needsReal) func `a driver that wakes up after losing the lease adds nothing`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 100_000)
        let zombie = try harness.start(workers: 0, extra: ["--max-batch-records", "2000", "--interval", "0"])
        #expect(SluiceProcess.eventually { zombie.output.contains("batch 2 ") })
        try harness.takeOver(from: zombie, extra: ["--max-batch-records", "20000"])
        try harness.expectExact()
    }

    @Test func `a lost catalog refuses, and takes over only by flags`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 5000)
        try harness.run(workers: 1)
        try FileManager.default.removeItem(atPath: harness.directory.file(".sluice"))
        let refused = try harness.run(workers: 1, expecting: 1)
        #expect(refused.errors.contains("--adopt"), "\(refused.errors)")
        let again = try harness.run(workers: 1, extra: ["--adopt"], expecting: 1)
        #expect(again.errors.contains("--offsets kafka"), "\(again.errors)")
        try harness.run(workers: 1, extra: ["--adopt", "--offsets", "from"])
        try harness.expectExact()
    }

    @Test func `a second directory with the same sink is refused`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 5000)
        try harness.run(workers: 1)
        let other = try JobHarness(sink: harness.sink, topic: harness.topic)
        try FileManager.default.copyItem(atPath: harness.directory.file("ads.csv"), toPath: other.directory.file("ads.csv"))
        let refused = try other.run(workers: 1, expecting: 1)
        #expect(refused.errors.contains("another job named campaign-views"), "\(refused.errors)")
        try harness.expectExact()
    }

    /// A copy of the binary with one byte more is another build.
    private func otherBuild(_ harness: JobHarness) throws -> String {
        let path = harness.directory.file("sluice-other")
        try FileManager.default.copyItem(atPath: SluiceProcess.binary, toPath: path)
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data([0]))
        try handle.close()
        let library = (SluiceProcess.binary as NSString).deletingLastPathComponent + "/librdkafka.so.1"
        if FileManager.default.fileExists(atPath: library) {
            try FileManager.default.copyItem(atPath: library, toPath: harness.directory.file("librdkafka.so.1"))
        }
        return path
    }

    @Test func `another build plans an unsealed batch again and finishes it`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 5000)
        _ = try harness.run(workers: 1, environment: ["SLUICE_TEST_FAILPOINT": "before-seal"], expecting: nil)
        let result = try harness.run(workers: 1, binary: otherBuild(harness))
        #expect(result.errors.contains("planned again"), "\(result.errors)")
        try harness.expectExact()
    }

    @Test func `another build refuses a batch of which a part is sealed, and names the build that must finish it`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 5000)
        _ = try harness.run(workers: 2, environment: ["SLUICE_TEST_FAILPOINT": "part-sealed"], expecting: nil)
        let refused = try harness.run(workers: 2, binary: otherBuild(harness), expecting: 1)
        #expect(refused.errors.contains("must be finished by build"), "\(refused.errors)")
        try harness.run(workers: 2)
        try harness.expectExact()
    }

    @Test func `other settings while a batch is planned plan it again over the same ranges`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 5000)
        _ = try harness.run(workers: 2, environment: ["SLUICE_TEST_FAILPOINT": "planned"], expecting: nil)
        let before = try harness.sluice("batches", "campaign-views", "--json").output
        let result = try harness.run(workers: 2, extra: ["--lateness", "20s"])
        #expect(result.errors.contains("planned again"), "\(result.errors)")
        let after = try harness.sluice("batches", "campaign-views", "--json").output
        #expect(try ranges(of: 1, in: before) == ranges(of: 1, in: after))
        try harness.expectExact()
    }

    private func ranges(of batch: Int, in lines: String) throws -> [String: Int] {
        for line in lines.split(separator: "\n") {
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            if object["batch"] as? Int == batch { return try #require(object["until"] as? [String: Int]) }
        }
        Issue.record("batch \(batch) is not listed")
        return [:]
    }

    @Test func `fewer workers finish what more workers planned`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        _ = try harness.run(workers: 4, extra: ["--max-batch-records", "5000"], environment: ["SLUICE_TEST_FAILPOINT": "part-sealed@3"], expecting: nil)
        try harness.run(workers: 1, extra: ["--max-batch-records", "5000"])
        try harness.expectExact()
    }

    @Test(TestBroker.needsReal) func `offsets moved by hand refuse the start and name both positions`() throws {
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 5000)
        try harness.run(workers: 1)
        _ = try KafkaFixture.shared().run(
            "groups",
            ["--group", "sluice.campaign-views", "--topic", harness.topic, "--reset-offsets", "--to-offset", "1234", "--execute"])
        let refused = try harness.run(workers: 1, expecting: 1)
        #expect(refused.errors.contains("log 5000") && refused.errors.contains("Kafka 1234"), "\(refused.errors)")
        try harness.run(workers: 1, extra: ["--offsets", "log"])
        try harness.expectExact()
    }
}
