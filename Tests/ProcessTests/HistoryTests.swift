import Engine
import Foundation
import TestSupport
import Testing

/// Replay, audit, backfill, quarantine: questions to the log.
@Suite(.waits, .serialized) struct HistoryTests {
    private static let start = "2026-03-01T12:00:00Z"

    @Test func `every recorded batch replays to its own digest, alone and on workers, and touches no sink`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        try harness.run(workers: 2, extra: ["--max-batch-records", "6000"])
        let before = try harness.campaignViews()
        for batch in 1...3 {
            let result = try harness.sluice("replay", "campaign-views", "--batch", "\(batch)", "--local")
            #expect(result.output.contains("gives the same rows"))
        }
        try harness.sluice("replay", "campaign-views", "--batch", "2", "--workers", "2", "--set", "bootstrap=\(harness.bootstrap)")
        #expect(try harness.campaignViews() == before)
        let printed = try harness.sluice("replay", "campaign-views", "--batch", "1", "--local", "--print")
        #expect(printed.output.contains("campaign_id"))
    }

    @Test func `a replay sees the lookup that its batch saw, whatever the file says now`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 5000)
        try harness.run(workers: 1)
        try "ad_id,campaign_id\nx,y\n".write(toFile: harness.directory.file("ads.csv"), atomically: true, encoding: .utf8)
        try harness.sluice("replay", "campaign-views", "--batch", "1", "--local")
    }

    @Test func `audit names the exact range that is missing`() throws {
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 3000)
        try harness.run(workers: 1, extra: ["--max-batch-records", "1000"])
        let database = try openDatabase("sqlite:" + harness.directory.file(".sluice/catalog.db"))
        try database.execute("UPDATE sluice_batches SET ranges = '{}' WHERE batch = 2")
        database.close()
        let result = try harness.sluice("audit", "campaign-views", expecting: 1)
        #expect((result.output + result.errors).contains("1000") && (result.output + result.errors).contains("2000"), "\(result.output)\(result.errors)")
    }

    @Test(TestBroker.needsReal) func `the state of a backfill that ended stayed on disk for ever`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000, extra: ["--start", Self.start, "--span", "10m"])
        try harness.run(workers: 2, extra: ["--set", "state_inline=0"])
        func folders() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: harness.directory.file(".sluice/state")) }
        let live = try folders()
        #expect(live.count == 1)
        let backfill = try SluiceProcess.run(
            [
                "backfill", "campaign-views", "--from", "2026-03-01T12:02:00Z", "--to", "2026-03-01T12:05:00Z", "--workers", "2", "--sink",
                "sqlite:again.db", "--max-batch-records", "7000",
            ], in: harness.directory.path)
        #expect(backfill.status == 0, "\(backfill.errors)")
        #expect(try folders() == live)
        try harness.expectWhole()
    }

    @Test(TestBroker.needsReal) func `a backfill beside the live job gives the live job's rows`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 60_000, extra: ["--start", Self.start, "--span", "10m"])
        try harness.run(workers: 2)
        let live = try harness.campaignViews()
        let args = ["backfill", "campaign-views", "--from", "2026-03-01T12:02:00Z", "--to", "2026-03-01T12:05:00Z"]
        let plan = try SluiceProcess.run(args + ["--plan"], in: harness.directory.path)
        #expect(plan.status == 0 && plan.output.contains("offsets in at least"), "\(plan.output)\(plan.errors)")
        let elsewhere = try SluiceProcess.run(
            args + ["--workers", "2", "--sink", "sqlite:again.db", "--max-batch-records", "7000"], in: harness.directory.path)
        #expect(elsewhere.status == 0, "\(elsewhere.errors)")
        let database = try openDatabase("sqlite:" + harness.directory.file("again.db"))
        let again = try database.execute("SELECT campaign_id, window_start, views FROM campaign_views")
            .map { row in
                row.map { value in
                    switch value {
                    case .text(let t): t;
                    case .int(let n): "\(n)";
                    default: "?"
                    }
                }.joined(separator: ",")
            }.sorted()
        database.close()
        let wanted = live.filter { line in
            let time = line.split(separator: ",")[1]
            return time >= "2026-03-01T12:02:00.000Z" && time < "2026-03-01T12:05:00.000Z"
        }
        #expect(again == wanted && !wanted.isEmpty, "\(again.count) rows, wanted \(wanted.count)")
        // Into the live table: the same rows, so nothing changes.
        let same = try SluiceProcess.run(args + ["--workers", "1"], in: harness.directory.path)
        #expect(same.status == 0, "\(same.errors)")
        #expect(try harness.campaignViews() == live)
        try harness.sluice("audit", "campaign-views")
    }

    @Test(TestBroker.needsReal) func `a backfill past the live watermark is refused`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 5000, extra: ["--start", Self.start, "--span", "2m"])
        try harness.run(workers: 1)
        let result = try harness.sluice(
            "backfill", "campaign-views", "--from", Self.start, "--to", "2026-03-01T13:00:00Z", expecting: 1)
        #expect(result.errors.contains("watermark"), "\(result.errors)")
    }

    @Test(TestBroker.needsReal) func `a backfill over deleted input names what would shrink and refuses without the flag`() throws {
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 20_000, extra: ["--start", Self.start, "--span", "10m"])
        try harness.run(workers: 1)
        let live = try harness.campaignViews()
        let json = "{\"partitions\":[{\"topic\":\"\(harness.topic)\",\"partition\":0,\"offset\":5100}],\"version\":1}"
        try json.write(toFile: harness.directory.file("delete.json"), atomically: true, encoding: .utf8)
        _ = try KafkaFixture.shared().run("delete-records", ["--offset-json-file", harness.directory.file("delete.json")])
        let args = ["backfill", "campaign-views", "--from", "2026-03-01T12:02:00Z", "--to", "2026-03-01T12:05:00Z"]
        // A plan computes here, and leaves nothing of itself in catalog, sink or state.
        func traces() throws -> [Int64] {
            let catalog = try openDatabase("sqlite:" + harness.directory.file(".sluice/catalog.db"))
            defer { catalog.close() }
            guard case .int(let jobs)? = try catalog.execute("SELECT count(*) FROM sluice_registry").first?.first else { return [] }
            return try [jobs] + ["sluice_jobs", "sluice_claims", "sluice_ledger"].map { try harness.count("SELECT count(*) FROM \($0)") }
        }
        let before = try traces()
        let plan = try SluiceProcess.run(args + ["--plan"], in: harness.directory.path)
        #expect(plan.output.contains("would shrink"), "\(plan.output)\(plan.errors)")
        #expect(try traces() == before)
        let refused = try SluiceProcess.run(args, in: harness.directory.path)
        #expect(refused.status == 1 && refused.errors.contains("--allow-shrink"), "\(refused.errors)")
        #expect(try harness.campaignViews() == live)
        let allowed = try SluiceProcess.run(args + ["--allow-shrink"], in: harness.directory.path)
        #expect(allowed.status == 0, "\(allowed.errors)")
        #expect(try harness.campaignViews() != live)
        // In the sink neither the one that was refused nor the one that ended is known any more.
        #expect(try Array(traces().dropFirst()) == Array(before.dropFirst()))
    }

    @Test(TestBroker.needsReal) func `a backfill over partitions that were read unevenly gives every row`() throws {
        let harness = try JobHarness(partitions: 2)
        try "ad_id,campaign_id\na,c\n".write(toFile: harness.directory.file("ads.csv"), atomically: true, encoding: .utf8)
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        // An hour of each; the first partition is read by the first batch, the other one by twenty. Stamps tell nothing.
        for (partition, count) in [(Int32(0), 120), (1, 6000)] {
            for number in 0..<count {
                let time = 1_772_366_400_000 + Int64(number) * 3_600_000 / Int64(count)
                try producer.send(
                    topic: harness.topic, partition: partition,
                    text: #"{"user_id":"u","page_id":"p","ad_id":"a","ad_type":"mail","event_type":"view","event_time":\#(time),"ip_address":"1.1.1.1"}"#,
                    timestampMillis: 1000)
            }
        }
        try producer.flush()
        try harness.run(workers: 1, format: "json", extra: ["--max-batch-records", "300"])
        let args = ["backfill", "campaign-views", "--from", "2026-03-01T12:30:00Z", "--to", "2026-03-01T12:40:00Z", "--sink", "sqlite:again.db"]
        let result = try SluiceProcess.run(args, in: harness.directory.path)
        #expect(result.status == 0, "\(result.errors)")
        let database = try openDatabase("sqlite:" + harness.directory.file("again.db"))
        defer { database.close() }
        let again = try database.execute("SELECT window_start, views FROM campaign_views ORDER BY 1")
        let span = "window_start >= '2026-03-01T12:30:00.000Z' AND window_start < '2026-03-01T12:40:00.000Z'"
        #expect(try again == harness.rows("SELECT window_start, views FROM campaign_views WHERE \(span) ORDER BY 1"))
        let views = again.reduce(Int64(0)) { if case .int(let count) = $1[1] { $0 + count } else { $0 } }
        #expect(again.count == 60 && views == 1020, "\(views) views in \(again.count) windows")
    }

    @Test(TestBroker.needsReal) func `a backfill that was killed leaves nothing behind when the next one starts`() throws {
        let harness = try JobHarness(partitions: 2)
        try harness.generate(events: 20_000, extra: ["--start", Self.start, "--span", "10m"])
        try harness.run(workers: 1, extra: ["--set", "state_inline=0"])
        func folders() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: harness.directory.file(".sluice/state")).count }
        let args = ["backfill", "campaign-views", "--from", "2026-03-01T12:02:00Z", "--to", "2026-03-01T12:05:00Z", "--max-batch-records", "2000"]
        let killed = try SluiceProcess.run(args, in: harness.directory.path, environment: ["SLUICE_TEST_FAILPOINT": "done@2"])
        #expect(killed.status != 0)
        #expect(try folders() == 2)
        let whole = try SluiceProcess.run(args, in: harness.directory.path)
        #expect(whole.status == 0, "\(whole.errors)")
        #expect(try folders() == 1 && harness.count("SELECT count(*) FROM sluice_jobs") == 1)
        #expect(try harness.sluice("jobs").output.contains("the process of backfill"))
        try harness.expectExact()
    }

    @Test func `records that cannot be decoded are kept apart with their coordinates and the stream goes on`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000, extra: ["--bad-share", "0.01"])
        let result = try harness.run(workers: 2)
        #expect(result.output.contains("rejected"))
        try harness.expectExact()
        let lines = try harness.sluice("quarantine", "campaign-views", "--limit", "1000", "--json").output.split(separator: "\n")
        #expect(lines.count > 100)
        let first = try #require(try JSONSerialization.jsonObject(with: Data(lines[0].utf8)) as? [String: Any])
        #expect(first["topic"] as? String == harness.topic && first["offset"] is Int && first["reason"] is String)
    }

    @Test func `too many bad records stop the job before anything is written`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000, format: "json")
        let refused = try harness.run(workers: 2, format: "avro", expecting: 1)
        #expect(refused.errors.contains("could not be decoded"), "\(refused.errors)")
        #expect(try harness.count("SELECT count(*) FROM campaign_views") == 0)
        // The same log goes on when the format is corrected: the open batch is planned again.
        try harness.run(workers: 2, format: "json")
        try harness.expectExact()
    }

    @Test(TestBroker.needsReal) func `late rows are counted and change nothing that is on time`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 40_000, extra: ["--start", Self.start, "--late-share", "0.02", "--disorder", "500ms"])
        let result = try harness.run(workers: 2, extra: ["--max-batch-records", "10000"])
        #expect(result.output.contains("late"))
        let expected = try harness.expected()
        let onTime = try harness.campaignViews().filter { $0.split(separator: ",")[1] >= "2026-03-01T11:59:00" }
        #expect(onTime == expected)
    }
}
