import Engine
import Foundation
import TestSupport
import Testing

/// The whole answer on a real Kafka: whatever the number of workers, the format and the sink, the rows are exact.
@Suite(.waits, .serialized) struct AnswerTests {
    struct Case: Sendable, CustomStringConvertible {
        var format: String
        var workers: Int
        var isPostgres: Bool
        var description: String { "\(format), \(workers) workers, \(isPostgres ? "PostgreSQL" : "SQLite")" }
    }

    static let events = 2_000_000

    /// Traffic is made once a format; every case reads it with a sink and a catalog of its own.
    @Test(TestBroker.needsReal, arguments: ["avro", "json"]) func `two million events give exactly the expected answer`(format: String) throws {
        let source = try JobHarness(partitions: 4)
        try source.generate(events: Self.events, format: format)
        for isPostgres in [false, true] where !isPostgres || (PostgresFixture.missingReason == nil) {
            for workers in [1, 2, 4] {
                let harness = try JobHarness(partitions: 4, sink: isPostgres ? postgresSink() : nil, topic: source.topic)
                for file in ["ads.csv", "expected.csv"] {
                    try FileManager.default.copyItem(atPath: source.directory.file(file), toPath: harness.directory.file(file))
                }
                // Each is a job of its own: the group of one must not look like the lost log of another.
                let name = "views-\(workers)-\(isPostgres)-\(format)"
                try harness.run(workers: workers, format: format, extra: ["--name", name])
                let found = try harness.campaignViews()
                let expected = try harness.expected()
                #expect(found == expected, "\(Case(format: format, workers: workers, isPostgres: isPostgres))")
                try harness.sluice("audit", name)
            }
        }
    }

    @Test func `one process without workers gives the same answer`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 50_000)
        try harness.run(workers: 0)
        try harness.expectExact()
    }

    @Test func `windows whose events arrive in several batches and several runs end with the right total`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 60_000)
        try harness.run(workers: 2, extra: ["--max-batch-records", "7000"])
        #expect(try harness.count("SELECT count(*) FROM campaign_views") > 0)
        try harness.expectExact()
        let again = try harness.run(workers: 1)
        #expect(!again.output.contains("batch 1 "), "nothing new must make no batch: \(again.output)")
        try harness.expectExact()
    }
}
