// The short form of the bench on a real Kafka: that rows have not become slow, and that the bench's answers are right.
//
// Only ratios of sides that were measured in turn, with a margin of two: absolute times belong to a machine.

import Foundation
import TestSupport
import Testing

@Suite struct SpeedTests {
    @Test(TestBroker.needsReal)
    func `the short bench reaches half of every expected ratio and tells what it measured`() throws {
        let folder = try TemporaryDirectory("sluice-bench-test")
        let result = try SluiceProcess.run(
            [
                "bench", "campaign-views-avro", "campaign-views-json", "--short", "--bootstrap", TestBroker.bootstrap(),
                "--json", "bench.json",
            ], in: folder.path)
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        let report = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: folder.file("bench.json"))))
        let results = try #require((report as? [String: Any])?["results"] as? [[String: Any]])
        #expect(
            results.compactMap { $0["name"] as? String }
                == [
                    "campaign-views-avro", "campaign-views-avro, processor time", "campaign-views-avro, bare loop", "campaign-views-avro, cores in use",
                    "campaign-views-json",
                ])
    }

    @Test func `without a real Kafka the bench says what it needs`() throws {
        let folder = try TemporaryDirectory("sluice-bench-test")
        let result = try SluiceProcess.run(["bench"], in: folder.path)
        #expect(result.status == 2)
        #expect(result.errors.contains("the bench needs a real Kafka"))
    }

    @Test func `the cases are listed without a broker`() throws {
        let folder = try TemporaryDirectory("sluice-bench-test")
        let result = try SluiceProcess.run(["bench", "campaign-views", "--list"], in: folder.path)
        #expect(result.status == 0)
        #expect(result.output.contains("campaign-views-avro-zstd") && !result.output.contains("postgres"))
    }
}
