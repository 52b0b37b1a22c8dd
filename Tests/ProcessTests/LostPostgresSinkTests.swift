import Engine
import Foundation
import TestSupport
import Testing

extension OwnPostgresTests {
    /// What `LostSinkTests` does to a file, done to a PostgreSQL sink.
    @Suite(.waits) struct LostPostgresSinkTests {
        enum Loss: String, CaseIterable, CustomTestStringConvertible {
            case tableDropped, schemaDropped, tableTruncated, unloggedEmptied
            var testDescription: String { rawValue }

            var script: String {
                switch self {
                case .tableDropped: "DROP TABLE campaign_views"
                case .schemaDropped: "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
                case .tableTruncated: "TRUNCATE campaign_views"
                // Somebody wanted it quick; the crash comes below.
                case .unloggedEmptied: "ALTER TABLE campaign_views SET UNLOGGED"
                }
            }

            var words: String {
                switch self {
                case .tableDropped, .schemaDropped: "the table is not there any more"
                case .tableTruncated, .unloggedEmptied: "made anew or emptied"
                }
            }
        }

        private func change(_ url: String, _ script: String) throws {
            let database = try openDatabase(url)
            defer { database.close() }
            try database.executeScript(script)
        }

        private func threeBatches() throws -> JobHarness {
            let harness = try JobHarness(sink: OwnPostgresTests.server.get().newDatabase())
            try harness.generate(events: 6000, extra: ["--start", "2026-03-01T12:00:00Z"])
            try harness.run(workers: 0, extra: ["--max-batch-records", "2000"])
            return harness
        }

        @Test(arguments: Loss.allCases)
        func `a PostgreSQL sink that lost its rows stops the next start by name, and repair writes them`(loss: Loss) throws {
            let harness = try threeBatches()
            try change(harness.sink, loss.script)
            if loss == .unloggedEmptied {
                let server = try OwnPostgresTests.server.get()
                let unlogged = try harness.run(workers: 0, expecting: 1)
                #expect(unlogged.errors.contains("is unlogged"), "\(unlogged.errors)")
                try server.kill9()
                try server.start()
                #expect(try harness.count("SELECT count(*) FROM campaign_views") == 0)
            }
            let refused = try harness.run(workers: 0, expecting: 1)
            #expect(refused.errors.contains(loss.words) && refused.errors.contains("sluice repair campaign-views"), "\(refused.errors)")
            if loss == .unloggedEmptied { try change(harness.sink, "ALTER TABLE campaign_views SET LOGGED") }
            try harness.sluice("repair", "campaign-views", "--workers", "0")
            try harness.expectExact()
            try harness.run(workers: 0)
        }

        @Test func `an older copy of a PostgreSQL sink gets the batches that it lacks from the next start`() throws {
            let harness = try threeBatches()
            let tables = ["campaign_views", "sluice_jobs", "sluice_ledger", "sluice_claims"]
            try change(harness.sink, tables.map { "CREATE TABLE kept_\($0) AS SELECT * FROM \($0)" }.joined(separator: ";"))
            try harness.generate(events: 2000, extra: ["--start", "2026-03-02T00:00:00Z"], expected: "more.csv")
            try harness.run(workers: 0)
            try change(
                harness.sink,
                "BEGIN;" + tables.map { "DELETE FROM \($0); INSERT INTO \($0) SELECT * FROM kept_\($0);" }.joined() + "COMMIT")
            let whole = try harness.run(workers: 0)
            #expect(whole.errors.contains("written again"), "\(whole.errors)")
            #expect(try harness.campaignViews() == (harness.expected() + harness.expected("more.csv")).sorted())
            try harness.expectWhole(deep: true)
        }
    }
}
