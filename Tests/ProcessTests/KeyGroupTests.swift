import Engine
import Foundation
import TestSupport
import Testing

/// Another number of key groups than the state has.
@Suite(.waits, .serialized) struct KeyGroupTests {
    /// The expected answer when the same events came twice.
    private func doubled(_ harness: JobHarness) throws -> [String] {
        try harness.expected().map { line in
            let cells = line.split(separator: ",")
            return "\(cells[0]),\(cells[1]),\(2 * (Int(cells[2]) ?? 0))"
        }.sorted()
    }

    @Test(arguments: [256, 100, 1]) func `with another number of key groups half of the totals began at zero`(keyGroups: Int) throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000, extra: ["--start", "2026-03-01T12:00:00Z"])
        let extra = ["--max-batch-records", "9000", "--set", "lateness=30d"]
        try harness.run(workers: 2, extra: extra)
        try harness.generate(events: 20_000, extra: ["--start", "2026-03-01T12:00:00Z"])
        try harness.run(workers: 2, extra: extra + ["--set", "key_groups=\(keyGroups)"])
        let expected = try doubled(harness)
        #expect(try harness.campaignViews() == expected)
        let catalog = try openDatabase("sqlite:" + harness.directory.file(".sluice/catalog.db"))
        let kinds = try catalog.execute("SELECT kind, rows_in FROM sluice_batches ORDER BY batch")
        catalog.close()
        #expect(kinds.map { $0[0] } == [.text("live"), .text("live"), .text("live"), .text("rehash"), .text("live"), .text("live"), .text("live")])
        #expect(kinds[3][1] == .int(0))
        try harness.sluice("audit", "campaign-views")
        // The batch before it, itself and the one behind it.
        for batch in 3...5 { try harness.sluice("replay", "campaign-views", "--batch", "\(batch)", "--local") }
        try harness.expectWhole(deep: true)
        // And back: nothing is read, the state is written anew all the same, and then nothing more.
        for _ in 0..<2 { try harness.run(workers: 1, extra: extra + ["--set", "key_groups=128"]) }
        #expect(try harness.campaignViews() == expected)
        try harness.expectWhole(deep: true)
    }

    @Test func `the open batch is finished in the key groups that it was planned in`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000, extra: ["--start", "2026-03-01T12:00:00Z"])
        let extra = ["--max-batch-records", "5000", "--set", "lateness=30d"]
        try harness.run(workers: 2, extra: extra, environment: ["SLUICE_TEST_FAILPOINT": "done@2"], expecting: nil)
        #expect(try harness.count("SELECT count(*) FROM campaign_views") > 0)
        try harness.run(workers: 2, extra: extra + ["--set", "key_groups=256"])
        try harness.expectExact()
        try harness.expectWhole(deep: true)
    }

    @Test(TestBroker.needsReal) func `a topic whose partitions follow the key groups is not given others`() throws {
        let harness = try JobHarness(sink: "kafka:" + TestBroker.topic(partitions: 2))
        try harness.generate(events: 5000)
        try harness.run(workers: 1)
        let refused = try harness.run(workers: 1, extra: ["--set", "key_groups=256"], expecting: 1)
        #expect(refused.errors.contains("state in 128 key groups") && refused.errors.contains("key_groups=128"), "\(refused.errors)")
        // The refusal changed nothing.
        try harness.run(workers: 1)
        try harness.sluice("audit", "campaign-views")
    }
}
