import Engine
import Foundation
import TestSupport
import Testing

/// Sums and means at the ends of their types, from the record to the table, over two batches and a restart.
@Suite(.waits) struct SumTests {
    private static let binary = SluiceProcess.beside("jobs-of-tests")

    private func send(_ harness: JobHarness, _ rows: [(key: String, n: String, x: String)]) throws {
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        for (number, row) in rows.enumerated() {
            let record = Array(#"{"k":"\#(row.key)","t":1772366400000,"n":\#(row.n),"x":\#(row.x)}"#.utf8)
            try record.withUnsafeBufferPointer {
                try producer.send(
                    topic: harness.topic, partition: Int32(number % harness.partitions), value: $0, timestampMillis: 1_772_366_400_000)
            }
        }
        try producer.flush()
    }

    @Test func `two of the largest int64 summed to -1, the mean of 6e23 was NULL, that of 6e-34 was 0`() throws {
        let harness = try JobHarness(partitions: 2)
        let arguments = [
            "run", "sums", "--bootstrap", harness.bootstrap, "--topic", harness.topic, "--sink", harness.sink, "--workers", "2", "--until-caught-up",
        ]
        func run() throws {
            let result = try SluiceProcess.run(arguments, in: harness.directory.path, binary: Self.binary)
            try #require(result.status == 0, "\(result.errors)")
        }
        try send(harness, [("wide", "9223372036854775807", "6e23"), ("back", "9223372036854775807", "1e308"), ("tiny", "1", "6e-34")])
        try run()
        #expect(try harness.rows("SELECT n_sum, x_avg FROM sums WHERE k = 'tiny'") == [[.int(1), .double(6e-34)]])
        #expect(try harness.rows("SELECT n_sum, n_avg, x_avg FROM sums WHERE k = 'wide'") == [[.int(.max), .double(Double(Int64.max)), .double(6e23)]])
        // In a second process, on the state that the first one left.
        try send(
            harness,
            [
                ("wide", "9223372036854775807", "6e23"), ("back", "9223372036854775807", "1e308"), ("back", "-9223372036854775807", "-1e308"),
                ("tiny", "2", "6e-34"),
            ])
        try run()
        #expect(
            try harness.rows("SELECT k, n_sum, n_avg, x_sum, x_avg FROM sums ORDER BY k") == [
                [.text("back"), .int(.max), .double(Double(Int64.max) / 3), .double(1e308), .double(1e308 / 3)],
                [.text("tiny"), .int(3), .double(1.5), .double(1.2e-33), .double(6e-34)],
                // What no int64 holds is no number: never a wrapped one.
                [.text("wide"), .null, .double(Double(Int64.max)), .double(1.2e24), .double(6e23)],
            ])
        try harness.sluiceAudit(Self.binary)
    }
}

extension JobHarness {
    fileprivate func sluiceAudit(_ binary: String) throws {
        let result = try SluiceProcess.run(["fsck", "sums", "--deep", "--log-level", "error"], in: directory.path, binary: binary)
        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }
}
