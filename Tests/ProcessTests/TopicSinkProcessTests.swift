import Engine
import Foundation
import TestSupport
import Testing

/// Jobs that write to a topic: killed, fenced, starved of their broker; then a reader with read_committed is asked what is
/// there.
@Suite(.waits, .serialized, TestBroker.needsReal) struct TopicSinkProcessTests {
    @Test func `twenty kills of driver and workers at random moments leave every purchase once`() throws {
        let world = try TopicWorld(events: 150_000)
        var random = SeededRandom(seed: 31)
        let extra = ["--max-batch-records", "3000", "--interval", "0", "--format", "json"]
        var sealed = 0
        for round in 0..<20 {
            let process = try world.harness.start("purchases", workers: 2, extra: extra)
            // A moment anywhere: half of the rounds wait for a batch of this run, so that seals are hit as well as starts.
            if round % 2 == 0 { _ = SluiceProcess.eventually { process.output.contains("batch ") || !process.isRunning } }
            usleep(UInt32(20_000 + random.below(400_000)))
            let victim = round % 4 < 2 ? process.pid : (process.children.randomElement(using: &random) ?? process.pid)
            kill(victim, SIGKILL)
            if victim != process.pid { usleep(UInt32(random.below(600_000))) }
            process.kill9()
            _ = process.wait()
            sealed += process.output.split(separator: "\n").count { $0.hasPrefix("batch ") }
        }
        #expect(sealed >= 10, "the kills came before the batches")
        _ = try world.run(["--max-batch-records", "20000"])
        try world.expectEachPurchaseOnce()
    }

    @Test func `a worker killed with its rows in an open transaction leaves them to nobody`() throws {
        let world = try TopicWorld(events: 20_000)
        // Four parts are claimed in this one process first: the fifth is the first part of the first batch.
        let killed = try world.harness.run(
            "purchases", workers: 0, format: "json", environment: ["SLUICE_TEST_FAILPOINT": "topic-written@5"], expecting: nil)
        #expect(killed.status == 128 + SIGKILL)
        let reader = try OffsetQueries(KafkaConfiguration(bootstrap: world.kafka.bootstrap).with(isolation: .readUncommitted))
        let partitions = (0..<4).map { TopicPartition(topic: world.output, partition: $0) }
        // A claim writes no record and so no commit marker: whatever is there is of the open transaction.
        #expect(try reader.ends(partitions).values.reduce(0, +) > 100, "no row was under way")
        _ = try world.run()
        try world.expectEachPurchaseOnce()
    }

    @Test func `a broker that is killed in the middle costs time and nothing else`() throws {
        let kafka = try KafkaFixture.own()
        let world = try TopicWorld(events: 100_000, kafka: kafka)
        let process = try world.harness.start(
            "purchases", workers: 2, extra: ["--max-batch-records", "5000", "--interval", "0", "--format", "json"])
        #expect(SluiceProcess.eventually { process.output.contains("batch 4 ") })
        try kafka.killBroker()
        try kafka.startBroker()
        let result = process.wait()
        #expect(result.status == 0, "\(result.errors)")
        try world.expectEachPurchaseOnce()
    }

    @Test func `a driver that wakes up after losing the lease adds nothing`() throws {
        let world = try TopicWorld(events: 60_000)
        let extra = ["--max-batch-records", "2000", "--interval", "0", "--format", "json"]
        let zombie = try world.harness.start("purchases", workers: 0, extra: extra)
        #expect(SluiceProcess.eventually { zombie.output.contains("batch 3 ") })
        try world.harness.takeOver("purchases", from: zombie, extra: ["--max-batch-records", "20000", "--format", "json"])
        try world.expectEachPurchaseOnce()
    }

    @Test func `a lost catalog and a second directory are refused until the topic is adopted`() throws {
        let world = try TopicWorld(events: 5000)
        _ = try world.run()
        try FileManager.default.removeItem(atPath: world.harness.directory.file(".sluice"))
        let refused = try world.run(expecting: 1)
        #expect(refused.errors.contains("--adopt") && refused.errors.contains("another job named purchases"), "\(refused.errors)")
        // Every offset has been read: nothing comes twice.
        _ = try world.run(["--adopt", "--offsets", "kafka"])
        try world.expectEachPurchaseOnce()
    }

    @Test func `a batch runs again with the same rows and touches no topic`() throws {
        let world = try TopicWorld(events: 20_000)
        _ = try world.run(["--max-batch-records", "8000"])
        let result = try world.harness.sluice("replay", "purchases", "--batch", "2", "--local")
        #expect(result.output.contains("gives the same rows"), "\(result.output)")
        try world.expectEachPurchaseOnce()
    }

    @Test func `a topic that is missing or has too few partitions is refused with a way out`() throws {
        let world = try TopicWorld(events: 1000, outputPartitions: 2)
        let few = try world.run(expecting: 1)
        #expect(few.errors.contains("has 2 partitions") && few.errors.contains("at least 4 partitions"), "\(few.errors)")
        let missing = try SluiceProcess.run(
            [
                "run", "purchases", "--bootstrap", world.kafka.bootstrap, "--topic", world.harness.topic, "--format", "json",
                "--sink", "kafka:there-is-none-\(world.output)", "--name", "other", "--until-caught-up",
            ],
            in: world.harness.directory.path)
        #expect(missing.status == 1 && missing.errors.contains("there is no topic") && missing.errors.contains("create it"), "\(missing.errors)")
    }

    @Test func `an idle job renews its markers and goes on`() throws {
        let world = try TopicWorld(events: 2000)
        let process = try world.harness.start(
            "purchases", workers: 2, untilCaughtUp: false, extra: ["--sink-renew", "1s", "--format", "json"])
        #expect(SluiceProcess.eventually { process.errors.split(separator: "\n").count { $0.contains("sink renewed") } >= 2 })
        try world.harness.generate(events: 2000, format: "json", seed: 2)
        #expect(SluiceProcess.eventually { process.output.contains("batch 2 ") })
        process.terminate()
        #expect(process.wait().status == 0, "\(process.errors)")
        _ = try world.run()
        try world.expectEachPurchaseOnce()
    }

    @Test func `a keyed job leaves the right last row of every key, in one partition, through kills`() throws {
        let world = try TopicWorld(events: 60_000, outputPartitions: 3)
        var random = SeededRandom(seed: 5)
        let extra = ["--max-batch-records", "4000", "--interval", "0", "--format", "json"]
        for round in 0..<6 {
            // Another number of workers must not move a key to another partition.
            let process = try world.harness.start("campaign-views", workers: 1 + round % 3, extra: extra)
            if round % 2 == 0 { _ = SluiceProcess.eventually { process.output.contains("batch ") || !process.isRunning } }
            usleep(UInt32(50_000 + random.below(300_000)))
            process.kill9()
            _ = process.wait()
        }
        try world.harness.run("campaign-views", workers: 1, format: "json", extra: ["--max-batch-records", "20000"])
        var last: [String: (partition: Int, views: Int)] = [:]
        for record in try world.read(world.output) {
            let millis = try #require(record.value["window_start"] as? Int64)
            let key = "\(record.value["campaign_id"] ?? ""),\(formatTime(millis))"
            if let before = last[key] { #expect(before.partition == record.partition, "\(key) moved") }
            last[key] = (record.partition, try #require(record.value["views"] as? Int))
        }
        #expect(try last.map { "\($0.key),\($0.value.views)" }.sorted() == world.harness.expected())
        #expect(Set(last.values.map(\.partition)) == [0, 1, 2])
    }
}
