// What the tests of a Kafka sink stand on: an input topic of which every purchase is known, an output topic, and what a
// reader with read_committed gets of it.

import Engine
import Foundation
import TestSupport
import Testing

/// Input in JSON and an output topic, on the shared Kafka or on one of the test's own.
struct TopicWorld {
    let harness: JobHarness
    let output: String
    let kafka: KafkaFixture

    init(events: Int, outputPartitions: Int = 4, kafka: KafkaFixture? = nil, extra: [String] = []) throws {
        self.kafka = try kafka ?? KafkaFixture.shared()
        output = try self.kafka.topic(partitions: outputPartitions)
        harness = try JobHarness(
            sink: "kafka:\(output)", topic: self.kafka.topic(partitions: 4), bootstrap: self.kafka.bootstrap)
        try harness.generate(events: events, format: "json", extra: extra)
    }

    /// What a reader with read_committed gets of a topic up to its end, once no transaction is open any more.
    func read(_ topic: String) throws -> [(partition: Int, offset: Int, value: [String: Any])] {
        let committed = try OffsetQueries(kafka.configuration().with(isolation: .readCommitted))
        let all = try OffsetQueries(kafka.configuration().with(isolation: .readUncommitted))
        let partitions = try all.partitions(of: topic).map { TopicPartition(topic: topic, partition: $0) }
        #expect(try eventually { try committed.ends(partitions) == all.ends(partitions) }, "a transaction is open")
        let reader = try RangeReader(kafka.configuration(), budgetBytes: 16 << 20, isolation: .readCommitted)
        defer { reader.close() }
        var records: [(partition: Int, offset: Int, value: [String: Any])] = []
        for (place, end) in try committed.ends(partitions).sorted(by: { $0.key < $1.key }) where end > 0 {
            var texts: [(offset: Int, bytes: Data)] = []
            _ = try reader.read(
                OffsetRange(topic: topic, partition: place.partition, from: 0, until: end), chunkRecords: 8192,
                timeoutMillis: 20_000
            ) { chunk in
                for record in chunk {
                    texts.append((Int(record.offset), Data(bytes: try #require(record.payload), count: record.length)))
                }
            }
            records += try texts.map { text in
                let object = try JSONSerialization.jsonObject(with: text.bytes)
                return (Int(place.partition), text.offset, try #require(object as? [String: Any]))
            }
        }
        return records
    }

    private static func line(_ partition: Any?, _ offset: Any?, _ value: [String: Any]) -> String {
        "\(partition ?? "-") \(offset ?? "-") \(value["user_id"] ?? "-") \(value["ad_id"] ?? "-") \(value["event_time"] ?? "-")"
    }

    /// Every purchase of the input is in the output once, in the partition that it came from, and nothing else is.
    func expectEachPurchaseOnce(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let expected = try read(harness.topic).filter { $0.value["event_type"] as? String == "purchase" }
            .map { Self.line($0.partition, $0.offset, $0.value) }
        let records = try read(output)
        let found = records.map { Self.line($0.value["partition"], $0.value["offset"], $0.value) }
        #expect(!expected.isEmpty && records.allSatisfy { $0.value["partition"] as? Int == $0.partition })
        #expect(
            found.sorted() == expected.sorted(),
            "\(expected.count) purchases, \(found.count) rows, \(Set(found).count) different ones",
            sourceLocation: sourceLocation)
        try harness.sluice("audit", "purchases")
    }

    func run(_ extra: [String] = [], environment: [String: String] = [:], expecting status: Int32? = 0) throws -> ProcessResult {
        try harness.run("purchases", workers: 2, format: "json", extra: extra, environment: environment, expecting: status)
    }
}
