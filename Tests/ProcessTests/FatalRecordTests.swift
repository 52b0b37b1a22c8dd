// Records that end the process of whoever decodes them, as a defect in native code does.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits, .serialized) struct FatalRecordTests {
    private static let trap = ["SLUICE_TEST_TRAP": "fatal-"]

    private func event(_ user: String) -> String {
        #"{"user_id":"\#(user)","page_id":"p","ad_id":"a","ad_type":"mail","event_type":"purchase","event_time":1772366400000,"ip_address":"1.1.1.1"}"#
    }

    /// `count` events in each of two partitions, those of `fatal` in the first one being fatal.
    private func send(_ harness: JobHarness, count: Int, fatal: Set<Int>) throws {
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        for number in 0..<count {
            try producer.send(topic: harness.topic, partition: 0, text: event(fatal.contains(number) ? "fatal-\(number)" : "u\(number)"))
            try producer.send(topic: harness.topic, partition: 1, text: event("v\(number)"))
        }
        try producer.flush()
    }

    @Test(arguments: [[499], [0], [7, 8, 123]] as [Set<Int>]) func `a record that crashes workers stopped its job after five of them`(fatal: Set<Int>) throws {
        let harness = try JobHarness(partitions: 2)
        try send(harness, count: 500, fatal: fatal)
        let result = try harness.run("purchases", workers: 2, format: "json", environment: Self.trap)
        #expect(try harness.count("SELECT count(*) FROM purchases") == Int64(1000 - fatal.count))
        #expect(result.output.contains("\(fatal.count) rejected"), "\(result.output)")
        #expect(result.errors.components(separatedBy: "worker process ended").count <= 3, "\(result.errors)")
        // Exactly these offsets are in the log and in quarantine.
        let kept = try harness.rows("SELECT user_id FROM purchases WHERE user_id LIKE 'u%'").count
        #expect(kept == 500 - fatal.count)
        let catalog = try openDatabase("sqlite:" + harness.directory.file(".sluice/catalog.db"))
        let quarantined = try catalog.execute("SELECT partition, record_offset FROM sluice_quarantine WHERE reason = 'crash' ORDER BY 2")
        let plans = try catalog.execute("SELECT epoch, plan FROM sluice_batches")
        catalog.close()
        #expect(quarantined == fatal.sorted().map { [.int(0), .int(Int64($0))] })
        #expect(plans.count == 1 && plans[0][0] == .int(2) && "\(plans[0][1])".contains("excluded"), "\(plans)")
        // A replay leaves the same out; it would not survive otherwise.
        let replay = try SluiceProcess.run(
            ["replay", "purchases", "--batch", "1", "--local"], in: harness.directory.path, environment: Self.trap)
        #expect(replay.status == 0 && replay.output.contains("gives the same rows"), "\(replay.output)\(replay.errors)")
        try harness.sluice("audit", "purchases")
        try harness.expectWhole("purchases")
        // And the stream goes on.
        try send(harness, count: 10, fatal: [])
        try harness.run("purchases", workers: 1, format: "json", environment: Self.trap)
        #expect(try harness.count("SELECT count(*) FROM purchases") == Int64(1020 - fatal.count))
    }

    @Test func `with on_crash=stop the job ends and names the record, and nothing of the batch is written`() throws {
        let harness = try JobHarness(partitions: 2)
        try send(harness, count: 300, fatal: [200])
        let stopped = try harness.run(
            "purchases", workers: 2, format: "json", extra: ["--set", "on_crash=stop"], environment: Self.trap, expecting: 1)
        #expect(stopped.errors.contains("\(harness.topic)/0 offset 200") && stopped.errors.contains("on_crash"), "\(stopped.errors)")
        #expect(try harness.count("SELECT count(*) FROM purchases") == 0)
        // A build that can read it finishes the same plan, with the record.
        try harness.run("purchases", workers: 2, format: "json")
        #expect(try harness.count("SELECT count(*) FROM purchases") == 600)
    }

    @Test(TestBroker.needsReal) func `another job on the same workers is undisturbed`() throws {
        let harness = try JobHarness(partitions: 2)
        try send(harness, count: 2000, fatal: [777])
        let other = try JobHarness()
        try other.generate(events: 40_000)
        for file in ["ads.csv", "expected.csv"] {
            try FileManager.default.copyItem(atPath: other.directory.file(file), toPath: harness.directory.file(file))
        }
        let cluster = try Cluster(harness)
        let workers = try (0..<3).map { _ in try cluster.worker(environment: Self.trap) }
        defer {
            for worker in workers { worker.kill9() }
            for worker in workers { _ = worker.wait() }
            _ = cluster.stop()
        }
        #expect(SluiceProcess.eventually { workers.allSatisfy { $0.errors.contains("registered") } })
        _ = try cluster.submit("campaign-views", ["--set", "topic=\(other.topic)", "--set", "max_batch_records=2000"])
        _ = try cluster.submit("purchases", ["--set", "format=json"])
        #expect(try SluiceProcess.eventually(timeoutMillis: 60_000) { try cluster.lag("purchases") == 0 }, "\(cluster.driver.errors)")
        #expect(try SluiceProcess.eventually(timeoutMillis: 60_000) { try cluster.lag() == 0 }, "\(cluster.driver.errors)")
        #expect(try harness.count("SELECT count(*) FROM purchases") == 3999)
        #expect(try cluster.state() == "running" && cluster.state("purchases") == "running")
        #expect(workers.filter(\.isRunning).count == 1, "two workers die before anything is known, and no more")
        try harness.sluice("jobs", "stop", "campaign-views", "--driver", cluster.url)
        try harness.expectExact()
    }

    /// One record in `count` whose group ends whoever merges it.
    private func sendViews(_ harness: JobHarness, count: Int, fatal: Int) throws {
        try "ad_id,campaign_id\na,c\nb,fatal-group\n".write(toFile: harness.directory.file("ads.csv"), atomically: true, encoding: .utf8)
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        for number in 0..<count {
            for partition: Int32 in [0, 1] {
                let ad = number == fatal && partition == 0 ? "b" : "a"
                try producer.send(
                    topic: harness.topic, partition: partition,
                    text: #"{"user_id":"u","page_id":"p","ad_id":"\#(ad)","ad_type":"mail","event_type":"view","event_time":1772366400000,"ip_address":"1.1.1.1"}"#)
            }
        }
        try producer.flush()
    }

    @Test func `a record that is fatal only where its group is merged is found and left out, too`() throws {
        let harness = try JobHarness(partitions: 2)
        let trap = ["SLUICE_TEST_TRAP_MERGE": "fatal-"]
        // A state from before, which every probe loads.
        try sendViews(harness, count: 20, fatal: -1)
        try harness.run(workers: 2, format: "json", environment: trap)
        try sendViews(harness, count: 200, fatal: 77)
        let result = try harness.run(workers: 2, format: "json", environment: trap)
        #expect(result.output.contains("1 rejected"), "\(result.output)\(result.errors)")
        #expect(result.errors.contains("\(harness.topic)/0 offset 97"), "\(result.errors)")
        #expect(try harness.rows("SELECT views FROM campaign_views") == [[.int(439)]])
        try harness.expectWhole()
    }

    @Test func `in one process a fatal record is found by the third start`() throws {
        let harness = try JobHarness(partitions: 2)
        try send(harness, count: 300, fatal: [123])
        for _ in 0..<2 {
            let died = try harness.run("purchases", workers: 0, format: "json", environment: Self.trap, expecting: nil)
            #expect(died.status != 0)
        }
        let found = try harness.run("purchases", workers: 0, format: "json", environment: Self.trap)
        #expect(found.errors.contains("looking for a record that ends workers") && found.errors.contains("\(harness.topic)/0 offset 123"), "\(found.errors)")
        #expect(try harness.count("SELECT count(*) FROM purchases") == 599)
        try harness.expectWhole("purchases")
    }
}
