import Engine
import Foundation
import TestSupport
import Testing

/// What happens to topics, partitions, offsets and brokers while a job runs or rests.
@Suite(.waits, .serialized, TestBroker.needsReal) struct SourceTroubleTests {
    private static let start = "2026-03-01T12:00:00Z"

    /// Moves the group with Kafka's own tool, which leaves no mark.
    private func move(_ topic: String, job: String, to offsets: [Int32: Int64]) throws {
        for (partition, offset) in offsets {
            try KafkaFixture.shared().run(
                "groups",
                ["--group", "sluice.\(job)", "--reset-offsets", "--topic", "\(topic):\(partition)", "--to-offset", "\(offset)", "--execute"])
        }
    }

    /// Both readers, each with a job and a topic of its own.
    @Test func `a broker that goes away under a standing job does not end it`() throws {
        let kafka = try KafkaFixture.own()
        let worlds = try ReaderKind.allCases.map { kind in
            let harness = try JobHarness(partitions: 2, topic: kafka.topic(partitions: 2), bootstrap: kafka.bootstrap, reader: kind)
            try harness.generate(events: 3000, extra: ["--start", Self.start])
            return (harness: harness, job: try harness.start(workers: 0, untilCaughtUp: false, extra: ["--interval", "100ms"]))
        }
        defer { for world in worlds { world.job.kill9() } }
        for (harness, _) in worlds {
            let first = try harness.expected().count
            #expect(SluiceProcess.eventually { (try? harness.campaignViews().count) == first })
        }
        try kafka.killBroker()
        for (_, job) in worlds {
            // Long enough for some questions to go unanswered.
            #expect(SluiceProcess.eventually { job.errors.contains("waits for the outside") }, "\(job.errors)")
            #expect(job.isRunning, "\(job.errors)")
        }
        // Health tells the truth, and whoever lists the jobs is told, too, by the driver that runs it.
        let shown = try worlds.map { try $0.harness.sluice("jobs", "show", "campaign-views").output }
        let addresses = try shown.map { try #require($0.split(whereSeparator: \.isWhitespace).first { $0.hasPrefix("http://") }.map(String.init)) }
        func ready() throws -> [String] {
            try addresses.map { try runTool("/usr/bin/curl", ["-s", "-w", " %{http_code}", $0 + "/v1/ready"]).output.replacing("\n", with: "") }
        }
        #expect(try ready() == ["1 of 1 jobs wait for the outside 503", "1 of 1 jobs wait for the outside 503"])
        for (text, (harness, _)) in zip(shown, worlds) {
            #expect(text.contains("waits for"), "\(text)")
            #expect(try harness.sluice("jobs").output.contains("campaign-views waits: "))
        }
        try kafka.startBroker()
        for (harness, job) in worlds {
            // The same ads, so that the lookup of the running job knows them.
            try harness.generate(events: 3000, extra: ["--start", "2026-03-02T00:00:00Z"], expected: "more.csv")
            let all = try harness.expected("expected.csv").count + harness.expected("more.csv").count
            #expect(
                SluiceProcess.eventually(timeoutMillis: 120_000) { (try? harness.campaignViews().count) == all }, "\(job.errors)")
        }
        #expect(try ready() == ["ready 200", "ready 200"])
        for (harness, job) in worlds {
            job.terminate()
            let ended = job.wait()
            #expect(ended.status == 0, "\(ended.errors)")
            try harness.sluice("audit", "campaign-views")
            // Nobody runs it: the topic is asked.
            #expect(try harness.sluice("jobs", "--json").output.contains("\"lag_offsets\":0"))
        }
        // That it does not answer is said.
        try kafka.killBroker()
        #expect(try worlds[0].harness.sluice("jobs").output.contains("Kafka at \(kafka.bootstrap) was not asked"))
    }

    @Test func `offsets moved back with Kafka's own tool to the end of an earlier batch are followed, once`() throws {
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 6000)
        try harness.run("purchases", workers: 0, extra: ["--max-batch-records", "2000"])
        let rows = try harness.count("SELECT count(*) FROM purchases")
        try move(harness.topic, job: "purchases", to: [0: 2000])
        #expect(try harness.sluice("fsck", "purchases", expecting: 1).output.contains("was moved by hand to 2000"))
        let refused = try harness.run("purchases", workers: 0, expecting: 1)
        #expect(refused.errors.contains("moved by hand") && refused.errors.contains("--offsets kafka"), "\(refused.errors)")
        let followed = try harness.run("purchases", workers: 0, extra: ["--offsets", "kafka", "--max-batch-records", "2000"])
        #expect(followed.errors.contains("position moved") || followed.output.contains("2000"), "\(followed.errors)")
        let database = try openDatabase("sqlite:" + harness.directory.file(".sluice/catalog.db"))
        let jumps = try database.execute("SELECT old_position, new_position FROM sluice_jumps")
        let batches = try database.execute("SELECT max(batch) FROM sluice_batches")
        database.close()
        #expect(jumps == [[.int(6000), .int(2000)]])
        #expect(batches == [[.int(5)]])
        #expect(try harness.count("SELECT count(*) FROM purchases") == rows)
        // The flag is used up: the group has our mark again.
        try harness.run("purchases", workers: 0)
        try harness.sluice("audit", "purchases")
    }

    @Test func `with a plan open, offsets that were moved are taken when its batch is finished, and not written over by it`() throws {
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 6000)
        let killed = try harness.run(
            "purchases", workers: 0, extra: ["--max-batch-records", "2000"], environment: ["SLUICE_TEST_FAILPOINT": "planned@2"],
            expecting: nil)
        #expect(killed.status == 128 + SIGKILL, "\(killed.errors)")
        try move(harness.topic, job: "purchases", to: [0: 1000])
        let refused = try harness.run("purchases", workers: 0, expecting: 1)
        #expect(refused.errors.contains("moved by hand"), "\(refused.errors)")
        try harness.run("purchases", workers: 0, extra: ["--offsets", "kafka", "--max-batch-records", "2000"])
        let database = try openDatabase("sqlite:" + harness.directory.file(".sluice/catalog.db"))
        let jumps = try database.execute("SELECT after_batch, old_position, new_position FROM sluice_jumps")
        database.close()
        // Batch 2 was planned up to 4000; behind it the job went where it was sent.
        #expect(jumps == [[.int(2), .int(4000), .int(1000)]])
        #expect(try harness.count("SELECT count(*) - count(DISTINCT \"offset\") FROM purchases") == 0)
        let audit = try harness.sluice("audit", "purchases")
        #expect(audit.output.contains("5 DONE batches"), "\(audit.output)")
        try harness.run("purchases", workers: 0)
    }

    @Test func `a stateful job goes to the newest kept version before the moved offsets, and the answer stays whole`() throws {
        let harness = try JobHarness(partitions: 2)
        try harness.generate(events: 8000)
        try harness.run(workers: 0, extra: ["--max-batch-records", "2000"])
        try move(harness.topic, job: "campaign-views", to: [0: 1500, 1: 2600])
        let followed = try harness.run(workers: 0, extra: ["--offsets", "kafka", "--max-batch-records", "2000"])
        #expect(followed.errors.contains("the newest kept state before it is that of batch 1"), "\(followed.errors)")
        try harness.expectExact()
        // To the very beginning: everything is counted anew.
        try move(harness.topic, job: "campaign-views", to: [0: 0, 1: 0])
        try harness.run(workers: 0, extra: ["--offsets", "kafka"])
        try harness.expectExact()
        try harness.run(workers: 0)
    }

    @Test func `an accepted log is the group's, too, so that the next plain start is not refused`() throws {
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 2000)
        try harness.run(workers: 0)
        try move(harness.topic, job: "campaign-views", to: [0: 700])
        try harness.run(workers: 0, expecting: 1)
        try harness.run(workers: 0, extra: ["--offsets", "log"])
        try harness.run(workers: 0)
        try harness.expectExact()
    }

    @Test func `a topic made again and filled while a standing job and its readers rested is not read into its log`() throws {
        let kafka = try KafkaFixture.shared()
        let worlds = try ReaderKind.allCases.map { kind in
            let harness = try JobHarness(partitions: 1, reader: kind)
            try harness.generate(events: 2000)
            return (harness: harness, job: try harness.start(workers: 0, untilCaughtUp: false, extra: ["--interval", "5s"]))
        }
        defer { for world in worlds { world.job.kill9() } }
        let admin = try TopicAdmin(kafka.configuration())
        var before: [[String]] = []
        for (harness, _) in worlds {
            let expected = try harness.expected().count
            #expect(SluiceProcess.eventually { (try? harness.campaignViews().count) == expected })
            before.append(try harness.campaignViews())
            try admin.remakeTopic(harness.topic)
            // Longer than what was read: no end and no offset tells.
            try harness.generate(events: 5000, seed: 9, extra: ["--start", "2026-03-02T00:00:00Z"], expected: "other.csv")
        }
        for (index, (harness, job)) in worlds.enumerated() {
            let ended = job.wait()
            #expect(ended.status == 1, "\(ended.errors)")
            #expect(
                ended.errors.contains("deleted and made again") || ended.errors.contains("There is no topic")
                    || ended.errors.contains("made again, or truncated"), "\(ended.errors)")
            #expect(!ended.errors.contains("--accept-loss"))
            #expect(try harness.campaignViews() == before[index])
            try harness.sluice("audit", "campaign-views")
            let refused = try harness.run(workers: 0, extra: ["--accept-topic"], expecting: 1)
            #expect(refused.errors.contains("cannot be accepted"), "\(refused.errors)")
        }
    }

    @Test(arguments: ReaderKind.allCases) func `rows of a partition that is added while the job runs are on time in it`(_ kind: ReaderKind) throws {
        let kafka = try KafkaFixture.shared()
        let harness = try JobHarness(partitions: 1, reader: kind)
        let ad = "ad-1"
        try "ad_id,campaign_id\n\(ad),c1\n".write(toFile: harness.directory.file("ads.csv"), atomically: true, encoding: .utf8)
        func send(_ partition: Int32, seconds: Int) throws {
            let time = 1_772_366_400_000 + Int64(seconds) * 1000
            let text = """
                {"user_id":"u","page_id":"p","ad_id":"\(ad)","ad_type":"banner","event_type":"view","event_time":\(time),"ip_address":"1.2.3.4"}
                """
            // One that knows the partitions of now.
            let producer = try KafkaProducer(kafka.configuration())
            try producer.send(topic: harness.topic, partition: partition, text: text)
            try producer.flush()
        }
        try send(0, seconds: 1)
        let job = try SluiceProcess(
            harness.runArguments(workers: 0, format: "json", untilCaughtUp: false, extra: ["--interval", "50ms", "--lateness", "0s"]),
            in: harness.directory.path)
        defer { job.kill9() }
        func views() -> Int64 { (try? harness.count("SELECT coalesce(sum(views), 0) FROM campaign_views")) ?? 0 }
        #expect(SluiceProcess.eventually { views() == 1 }, "\(job.errors)")
        // The new partition has rows for the window that the old one is about to leave.
        try kafka.run("topics", ["--alter", "--topic", harness.topic, "--partitions", "2"])
        #expect(try eventually { try OffsetQueries(kafka.configuration()).partitions(of: harness.topic).count == 2 })
        #expect(eventually { (try? send(1, seconds: 2)) != nil })
        try send(0, seconds: 25)
        #expect(SluiceProcess.eventually { views() >= 2 }, "\(job.errors)")
        try send(0, seconds: 26)
        #expect(SluiceProcess.eventually { views() == 4 }, "\(views()) \(job.errors)")
        job.terminate()
        #expect(job.wait().status == 0)
    }

    @Test func `a backfill over records of which one is stamped an hour ahead reads them all`() throws {
        let kafka = try KafkaFixture.shared()
        let harness = try JobHarness(partitions: 2)
        try harness.generate(events: 3000, extra: ["--start", Self.start, "--span", "10m"])
        let producer = try KafkaProducer(kafka.configuration())
        try producer.send(
            topic: harness.topic, text: "stamped ahead", timestampMillis: Int64(Date().timeIntervalSince1970 * 1000) + 3_600_000)
        try producer.flush()
        try harness.generate(events: 3000, seed: 1, extra: ["--start", "2026-03-01T12:10:00Z", "--span", "10m"], expected: "more.csv")
        try harness.run(workers: 0, extra: ["--max-batch-records", "1000"])
        let live = try harness.campaignViews()
        let again = try harness.sluice(
            "backfill", "campaign-views", "--from", "2026-03-01T12:05:00Z", "--to", "2026-03-01T12:15:00Z", "--sink", "sqlite:again.db")
        _ = again
        let database = try openDatabase("sqlite:" + harness.directory.file("again.db"))
        let found = try database.execute("SELECT coalesce(sum(views), 0) FROM campaign_views")
        database.close()
        let wanted = live.filter { line in
            let time = line.split(separator: ",")[1]
            return time >= "2026-03-01T12:05:00.000Z" && time < "2026-03-01T12:15:00.000Z"
        }.reduce(Int64(0)) { $0 + (Int64($1.split(separator: ",")[2]) ?? 0) }
        #expect(found == [[.int(wanted)]] && wanted > 0, "\(found) of \(wanted)")
    }

    @Test func `an empty span of a backfill is an error`() throws {
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 2000, extra: ["--start", Self.start, "--span", "10m"])
        try harness.run(workers: 0)
        let nothing = try harness.sluice(
            "backfill", "campaign-views", "--from", "2026-03-01T14:00:00Z", "--to", "2026-03-01T15:00:00Z", "--sink", "sqlite:again.db",
            expecting: nil)
        #expect(nothing.status == 1 || nothing.output.contains("offsets in at least"), "\(nothing.output)\(nothing.errors)")
    }

    @Test func `records behind a hanging transaction are no lag, and are shown by offsets and doctor`() throws {
        let kafka = try KafkaFixture.shared()
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 500)
        try harness.run(workers: 0)
        let producer = try KafkaProducer(kafka.configuration(), transactionalID: "hang-\(harness.topic)")
        try producer.initTransactions()
        try producer.beginTransaction()
        try producer.sendNumbers(300, topic: harness.topic)
        let shown = try harness.sluice("offsets", "campaign-views")
        #expect(shown.output.contains("lag 0"), "\(shown.output)")
        #expect(shown.output.contains("300 offsets are hidden behind an open transaction since"), "\(shown.output)")
        let listed = try harness.sluice("jobs").output
        #expect(listed.contains("campaign-views: 300 offsets are hidden behind an open transaction since"), "\(listed)")
        let doctor = try harness.sluice("doctor", "--bootstrap", harness.bootstrap, "--topic", harness.topic, expecting: nil)
        #expect(doctor.output.contains("300 offsets in 1 partition are hidden") && !doctor.output.contains("nothing is wrong"), "\(doctor.output)")
        try producer.abortTransaction()
        #expect(try eventually { try !harness.sluice("offsets", "campaign-views").output.contains("hidden") })
    }

    @Test func `retention tells from when on unread records are deleted, and warns before`() throws {
        let kafka = try KafkaFixture.shared()
        let topic = try kafka.topic(partitions: 1, config: ["retention.ms": "36000000000"])
        let harness = try JobHarness(partitions: 1, topic: topic)
        try harness.generate(events: 500)
        try harness.run(workers: 0)
        let read = try harness.sluice("retention", "campaign-views")
        #expect(read.output.contains("nothing is unread"), "\(read.output)")
        try harness.generate(events: 500, seed: 2, extra: ["--start", "2026-03-02T00:00:00Z"])
        let calm = try harness.sluice("retention", "campaign-views", expecting: nil)
        #expect(calm.output.contains("age"), "\(calm.output)\(calm.errors)")
        try kafka.run("configs", ["--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", "retention.ms=-1"])
        #expect(try eventually { try harness.sluice("retention", "campaign-views", expecting: nil).output.contains("never") })
    }

    @Test func `doctor and run say that a broker does not answer at the address that it gives to clients`() throws {
        let kafka = try KafkaFixture.own()
        let harness = try JobHarness(partitions: 1, topic: kafka.topic(), bootstrap: kafka.bootstrap)
        try harness.generate(events: 100)
        // The topic is there, and from now on the broker sends its clients elsewhere.
        try kafka.killBroker()
        let file = kafka.folder + "/broker-1/server.properties"
        let settings = try String(contentsOfFile: file, encoding: .utf8)
        try (settings + "\nadvertised.listeners=PLAINTEXT://127.0.0.1:9\n").write(toFile: file, atomically: true, encoding: .utf8)
        try kafka.startBroker()
        let began = ContinuousClock.now
        let run = try harness.run(workers: 0, extra: ["--set", "patience=2s"], expecting: 1)
        #expect(run.errors.contains("127.0.0.1:9") && !run.errors.contains("handle destroyed"), "\(run.errors)")
        #expect(ContinuousClock.now - began < .seconds(45), "\(ContinuousClock.now - began)")
        let doctor = try SluiceProcess.run(["doctor", "--bootstrap", kafka.bootstrap], in: harness.directory.path)
        #expect(doctor.status == 1)
        #expect(doctor.output.contains("advertised.listeners") && doctor.output.contains("127.0.0.1:9"), "\(doctor.output)")
    }
}
