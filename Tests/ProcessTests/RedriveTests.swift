import Engine
import Foundation
import TestSupport
import Testing

/// `sluice redrive`: what was rejected becomes rows when the cause is gone, once.
@Suite(.waits, .serialized) struct RedriveTests {
    /// Half an hour ahead of now, as far as a broker takes it, and further than the jobs here allow.
    private let ahead = ["--start", formatTime(wallMillis() + 1_800_000), "--span", "5m"]
    private let strict = ["--set", "max_future=1s", "--set", "max_rejected_share=1", "--set", "max_rejected_batches=1000"]

    private func count(_ harness: JobHarness, _ sql: String) throws -> Int64 {
        let database = try openDatabase("sqlite:" + harness.directory.file(".sluice/catalog.db"))
        defer { database.close() }
        guard case .int(let value)? = try database.execute(sql).first?.first else { return -1 }
        return value
    }

    @Test func `records that were rejected for a setting are rows after a redrive without it, once`() throws {
        let harness = try JobHarness(partitions: 2)
        try harness.generate(events: 3000, extra: ahead)
        try harness.run("purchases", workers: 0, extra: ["--max-batch-records", "500"] + strict)
        #expect(try harness.count("SELECT count(*) FROM purchases") == 0)
        let plan = try harness.sluice("redrive", "purchases", "--plan")
        #expect(plan.output.contains("would process 3,000 records again"), "\(plan.output)")
        let still = try harness.sluice("redrive", "purchases", "--workers", "0")
        #expect(still.output.contains("3,000 rejected again"), "\(still.output)")
        let passed = try harness.sluice("redrive", "purchases", "--workers", "2", "--with", "max_future=1h")
        #expect(passed.output.contains("3,000 passed, 0 rejected again"), "\(passed.output)")
        let rows = try harness.count("SELECT count(*) FROM purchases")
        #expect(rows > 0)
        #expect(try count(harness, "SELECT count(*) FROM sluice_quarantine") == 0)
        let other = try harness.sluice("redrive", "purchases", "--with", "key_groups=7", expecting: 2)
        #expect(other.errors.contains("key_groups cannot be changed"), "\(other.errors)")
        let again = try harness.sluice("redrive", "purchases", "--with", "max_future=1h")
        #expect(again.output.contains("no rejected record"), "\(again.output)")
        #expect(try harness.count("SELECT count(*) FROM purchases") == rows)
        // The job has its own settings again, and goes on where it stood.
        #expect(try count(harness, "SELECT count(*) FROM sluice_registry WHERE settings LIKE '%\"max_future\":\"1h\"%'") == 0)
        try harness.generate(events: 500, seed: 2, expected: "more.csv")
        try harness.run("purchases", workers: 0, extra: strict)
        try harness.sluice("audit", "purchases")
        try harness.expectWhole("purchases")
    }

    @Test func `a redrive of a stateful job adds to the windows that are open, and one that is killed is finished by the next start`() throws {
        let harness = try JobHarness(partitions: 2)
        try harness.generate(events: 4000, extra: ahead)
        try harness.run(workers: 0, extra: ["--max-batch-records", "700"] + strict)
        #expect(try harness.count("SELECT count(*) FROM campaign_views") == 0)
        let killed = try SluiceProcess.run(
            ["redrive", "campaign-views", "--workers", "0", "--with", "max_future=1h"], in: harness.directory.path,
            environment: ["SLUICE_TEST_FAILPOINT": "part-sealed@1"])
        #expect(killed.status != 0)
        // Its plan is open under the settings of the redrive, and a part is sealed; whoever finishes it needs them.
        let refused = try harness.run(workers: 0, extra: ["--max-batch-records", "700"] + strict, expecting: 1)
        #expect(refused.errors.contains("sluice redrive campaign-views --with max_future="), "\(refused.errors)")
        try harness.sluice("redrive", "campaign-views", "--workers", "0", "--with", "max_future=1h")
        try harness.expectExact()
        try harness.expectWhole()
    }

    @Test func `rows that the sink refused are written when its constraint is gone`() throws {
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 600)
        try harness.run("purchases", workers: 0, extra: ["--max-batch-records", "100"])
        let database = try openDatabase(harness.sink)
        let all = try database.execute("SELECT count(*) FROM purchases")
        try database.executeScript(
            "CREATE TRIGGER picky BEFORE INSERT ON purchases WHEN NEW.\"offset\" % 2 = 0 BEGIN SELECT RAISE(ABORT, 'odd only'); END")
        database.close()
        try harness.generate(events: 600, seed: 2, expected: "more.csv")
        try harness.run("purchases", workers: 0, extra: ["--set", "max_rejected_share=1"])
        let refused = try harness.count("SELECT count(*) FROM sluice_refused")
        #expect(refused > 0)
        let stays = try harness.sluice("redrive", "purchases", "--workers", "0")
        #expect(stays.output.contains("rows written"), "\(stays.output)")
        #expect(try harness.count("SELECT count(*) FROM sluice_refused") == refused)
        let free = try openDatabase(harness.sink)
        try free.executeScript("DROP TRIGGER picky")
        free.close()
        try harness.sluice("redrive", "purchases", "--workers", "0")
        #expect(try harness.count("SELECT count(*) FROM sluice_refused") == 0)
        guard case .int(let before)? = all.first?.first else { return }
        #expect(try harness.count("SELECT count(*) FROM purchases") > before + refused - 1)
        #expect(try harness.sluice("redrive", "purchases").output.contains("no rejected record"))
    }

    @Test func `every offset of a batch of which each second record is bad is listed, in a file beyond a thousand ranges, and redriven`() throws {
        let harness = try JobHarness(partitions: 2)
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        let now = wallMillis()
        for partition: Int32 in [0, 1] {
            for number in 0..<3000 {
                let time = number % 2 == 0 ? now - 1000 : now + 1_800_000
                try producer.send(
                    topic: harness.topic, partition: partition,
                    text: #"{"user_id":"u","page_id":"p","ad_id":"a","ad_type":"mail","event_type":"purchase","event_time":\#(time),"ip_address":"1.1.1.1"}"#)
            }
        }
        try producer.flush()
        try harness.run("purchases", workers: 2, format: "json", extra: strict)
        #expect(try harness.count("SELECT count(*) FROM purchases") == 3000)
        let listed = try harness.sluice("quarantine", "purchases", "--offsets", "rejected", "--json").output
        #expect(listed.split(separator: "\n").count == 3000)
        #expect(listed.contains("\"from\":2999,") && listed.contains("\"from\":1,") && !listed.contains("\"from\":2,"))
        #expect(try count(harness, "SELECT max(length(outcome)) FROM sluice_batches") < 60_000)
        try harness.expectWhole("purchases")
        // Of most of them nothing says for what reason.
        let some = try harness.sluice("redrive", "purchases", "--plan", "--reason", "futureTime").output
        #expect(some.contains("would process 200 records again") && some.contains("2,800 more are left out"), "\(some)")
        // What the log names and nobody has any more is a fault by name.
        let folder = harness.directory.file(".sluice/state/") + (try FileManager.default.contentsOfDirectory(atPath: harness.directory.file(".sluice/state")))[0]
        let name = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first { $0.hasPrefix("r") })
        try FileManager.default.moveItem(atPath: folder + "/" + name, toPath: folder + "/aside")
        #expect(try harness.sluice("fsck", "purchases", expecting: 1).output.contains(name))
        #expect(try harness.sluice("redrive", "purchases", expecting: 1).errors.contains(name))
        try FileManager.default.moveItem(atPath: folder + "/aside", toPath: folder + "/" + name)
        let passed = try harness.sluice("redrive", "purchases", "--workers", "0", "--with", "max_future=1h")
        #expect(passed.output.contains("3,000 passed, 0 rejected again"), "\(passed.output)")
        #expect(try harness.count("SELECT count(*) FROM purchases") == 6000)
        #expect(try harness.sluice("redrive", "purchases", "--with", "max_future=1h").output.contains("no rejected record"))
    }
}
