import Engine
import Foundation
import TestSupport
import Testing

/// Rows that wait for the next stage or for the sink, beyond a worker's memory.
@Suite(.waits, .serialized) struct SpillTests {
    @Test(arguments: ["0", "16KiB"]) func `blocks beyond the budget go to disk and the answer is exact`(budget: String) throws {
        let harness = try JobHarness()
        try harness.generate(events: 100_000)
        try harness.run(workers: 2, extra: ["--max-batch-records", "50000", "--block-memory", budget])
        try harness.expectExact()
    }

    /// The most memory that the only worker of a run had, when one batch of this many records is in the sink.
    private func peakOfWorker(_ harness: JobHarness, budget: String, name: String, rows: Int64) throws -> Int {
        let run = try harness.start(
            "purchases", workers: 1, untilCaughtUp: false,
            extra: ["--block-memory", budget, "--max-batch-records", "10000000", "--name", name])
        defer {
            run.terminate()
            _ = run.wait()
        }
        let isDone = try SluiceProcess.eventually(timeoutMillis: 60_000) {
            try FileManager.default.fileExists(atPath: harness.directory.file("sink.db"))
                && harness.count("SELECT count(*) FROM sqlite_master WHERE name = 'purchases'") == 1
                && harness.count("SELECT count(*) FROM purchases") == rows
        }
        #expect(isDone, "\(run.errors)")
        let worker = try #require(
            try FileManager.default.contentsOfDirectory(atPath: "/proc").first { name in
                guard let status = FileManager.default.contents(atPath: "/proc/\(name)/status") else { return false }
                return String(decoding: status, as: UTF8.self).contains("PPid:\t\(run.pid)\n")
            })
        let status = String(decoding: try #require(FileManager.default.contents(atPath: "/proc/\(worker)/status")), as: UTF8.self)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        return try #require(Int(line.filter(\.isNumber))) * 1024
    }

    @Test(TestBroker.needsReal) func `rows of many times the budget are all sealed, in memory that does not hold them`() throws {
        let source = try JobHarness(partitions: 8)
        try source.generate(events: 1_600_000)
        try source.run("purchases", workers: 0, extra: ["--name", "counted"])
        let rows = try source.count("SELECT count(*) FROM purchases")
        #expect(rows > 500_000)
        let (large, small) = (
            try JobHarness(partitions: 8, topic: source.topic), try JobHarness(partitions: 8, topic: source.topic)
        )
        let whole = try peakOfWorker(large, budget: "1GiB", name: "whole", rows: rows)
        let bounded = try peakOfWorker(small, budget: "1MiB", name: "bounded", rows: rows)
        // The rows are some 60 MiB; of those on disk one part at a time is read back.
        #expect(whole - bounded > 24 << 20, "peak \(whole >> 10) KiB with everything in memory, \(bounded >> 10) KiB within 1 MiB")
    }
}
