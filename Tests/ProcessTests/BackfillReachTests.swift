import Engine
import Foundation
import TestSupport
import Testing

/// Which records a backfill reads, where the times that Kafka stamped on them say nothing about their event times.
@Suite(.waits, .serialized, TestBroker.needsReal) struct BackfillReachTests {
    /// The rows of `live` that a span of event times must give again.
    private func within(_ from: String, _ to: String, _ live: [String]) -> [String] {
        live.filter { line in
            let time = line.split(separator: ",")[1]
            return time >= from && time < to
        }
    }

    private func rows(_ harness: JobHarness, in file: String) throws -> [String] {
        let again = try JobHarness(sink: "sqlite:" + harness.directory.file(file), topic: harness.topic, bootstrap: harness.bootstrap)
        return try again.campaignViews()
    }

    @Test func `a backfill over history that was loaded later reads all of it`() throws {
        let harness = try JobHarness(partitions: 2)
        try harness.generate(events: 2000, extra: ["--start", "2026-03-01T12:30:00Z", "--span", "10m"])
        try harness.run(workers: 0)
        // Behind everything that the job has read, and late for it.
        try harness.generate(events: 3000, extra: ["--start", "2026-03-01T12:00:00Z", "--span", "10m"], expected: "history.csv")
        let late = try harness.run(workers: 0, extra: ["--max-batch-records", "1000"])
        #expect(late.output.contains("3,000 late") || late.output.contains(" late"), "\(late.output)")
        let before = try harness.campaignViews()
        let span = ["backfill", "campaign-views", "--from", "2026-03-01T12:00:00Z", "--to", "2026-03-01T12:10:00Z"]
        let again = try SluiceProcess.run(span + ["--sink", "sqlite:again.db"], in: harness.directory.path)
        #expect(again.status == 0, "\(again.output)\(again.errors)")
        #expect(try rows(harness, in: "again.db") == harness.expected("history.csv"))
        // Into the live table: the history is there from now on, and nothing else has changed.
        let live = try SluiceProcess.run(span, in: harness.directory.path)
        #expect(live.status == 0, "\(live.output)\(live.errors)")
        #expect(try harness.campaignViews() == (before + harness.expected("history.csv")).sorted())
    }

    @Test func `a backfill over a topic that stamps records when it stores them reads all of its span`() throws {
        let kafka = try KafkaFixture.shared()
        let topic = try kafka.topic(partitions: 2, config: ["message.timestamp.type": "LogAppendTime"])
        let harness = try JobHarness(partitions: 2, topic: topic)
        try harness.generate(events: 6000, extra: ["--start", "2026-03-01T12:00:00Z", "--span", "10m"])
        try harness.run(workers: 0, extra: ["--max-batch-records", "1000"])
        try harness.expectExact()
        let live = try harness.campaignViews()
        let wanted = within("2026-03-01T12:02:00.000Z", "2026-03-01T12:05:00.000Z", live)
        let span = ["backfill", "campaign-views", "--from", "2026-03-01T12:02:00Z", "--to", "2026-03-01T12:05:00Z"]
        let again = try SluiceProcess.run(span + ["--sink", "sqlite:again.db"], in: harness.directory.path)
        #expect(again.status == 0, "\(again.output)\(again.errors)")
        #expect(try rows(harness, in: "again.db") == wanted && !wanted.isEmpty)
        // Not everything was read for it: the log knows where the span lies.
        #expect(!again.output.contains("6,000 offsets"), "\(again.output)")
        let same = try SluiceProcess.run(span, in: harness.directory.path)
        #expect(same.status == 0, "\(same.errors)")
        #expect(try harness.campaignViews() == live)
    }
}
