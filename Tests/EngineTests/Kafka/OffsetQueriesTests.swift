// What the driver asks of a real Kafka: topics, ends, times, a group's positions.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits, .enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason))
struct OffsetQueriesTests {
    let kafka: KafkaFixture
    let queries: OffsetQueries

    init() throws {
        kafka = try KafkaFixture.shared()
        queries = try OffsetQueries(kafka.configuration())
    }

    @Test func `a topic that is not there is missing and one that is has its partitions`() throws {
        #expect(code { _ = try queries.partitions(of: "no-such-topic") } == .topicMissing)
        #expect(try queries.exists("no-such-topic") == false)
        let topic = try kafka.topic(partitions: 7)
        #expect(try queries.partitions(of: topic) == [0, 1, 2, 3, 4, 5, 6])
        #expect(try queries.brokers() == [kafka.bootstrap])
    }

    @Test func `ends of many partitions come from one call`() throws {
        let topic = try kafka.topic(partitions: 3)
        let producer = try KafkaProducer(kafka.configuration())
        try producer.sendNumbers(10, topic: topic, partition: 0)
        try producer.sendNumbers(5, topic: topic, partition: 2)
        let partitions = (0..<3).map { TopicPartition(topic: topic, partition: $0) }
        #expect(try queries.ends(partitions) == [partitions[0]: 10, partitions[1]: 0, partitions[2]: 5])
        #expect(try queries.starts(partitions) == [partitions[0]: 0, partitions[1]: 0, partitions[2]: 0])
        let missing = TopicPartition(topic: topic, partition: 3)
        #expect(code { _ = try queries.ends(partitions + [missing]) } == .topicMissing)
    }

    @Test func `the end under read_committed is before the first open transaction`() throws {
        let topic = try kafka.topic()
        let partition = TopicPartition(topic: topic, partition: 0)
        try KafkaProducer(kafka.configuration()).sendNumbers(4, topic: topic)
        let producer = try KafkaProducer(kafka.configuration(), transactionalID: "open-\(topic)")
        try producer.initTransactions()
        try producer.beginTransaction()
        try producer.sendNumbers(3, topic: topic)
        let uncommitted = try OffsetQueries(kafka.configuration().with(isolation: .readUncommitted))
        #expect(try queries.ends([partition]) == [partition: 4])
        #expect(try uncommitted.ends([partition]) == [partition: 7])
        try producer.commitTransaction()
        // Three records and the marker, which the broker writes after it has answered.
        #expect(try eventually { try queries.ends([partition]) == [partition: 8] })
    }

    @Test func `offsets by time are the first records not older`() throws {
        let topic = try kafka.topic()
        let partition = TopicPartition(topic: topic, partition: 0)
        let producer = try KafkaProducer(kafka.configuration())
        for number in 0..<10 {
            try producer.send(topic: topic, text: "x", timestampMillis: 1_700_000_000_000 + Int64(number) * 1000)
        }
        try producer.flush()
        let cases: [(Int64, Int64)] = [(0, 0), (1_700_000_003_000, 3), (1_700_000_003_001, 4), (1_800_000_000_000, 10)]
        for (time, offset) in cases {
            #expect(try queries.offsets(atTimeMillis: time, [partition]) == [partition: offset])
        }
    }

    @Test func `a group without members keeps positions and metadata that Kafka's tools show`() throws {
        let topic = try kafka.topic(partitions: 2)
        let partitions = (0..<2).map { TopicPartition(topic: topic, partition: $0) }
        try KafkaProducer(kafka.configuration()).sendNumbers(10, topic: topic)
        let group = "sluice.\(topic)"
        #expect(try queries.committed(group: group, partitions).isEmpty)
        try queries.commit(group: group, [KafkaPosition(partitions[0], offset: 7, metadata: "batch=3 epoch=1")])
        var found = try queries.committed(group: group, partitions)
        #expect(found.count == 1)
        #expect(found[partitions[0]]?.offset == 7)
        #expect(found[partitions[0]]?.metadata == "batch=3 epoch=1")
        try queries.commit(group: group, [KafkaPosition(partitions[0], offset: 9), KafkaPosition(partitions[1], offset: 0)])
        found = try OffsetQueries(kafka.configuration()).committed(group: group, partitions)
        #expect(found[partitions[0]]?.offset == 9)
        #expect(found[partitions[1]]?.offset == 0)
        let described = try kafka.run("groups", ["--describe", "--group", group])
        let line = described.split(separator: "\n").first { $0.contains("\(topic) ") && $0.contains(" 9 ") }
        let words = try #require(line, "\(described)").split(separator: " ")
        #expect(Array(words[2...5]) == ["0", "9", "10", "1"], "partition, position, end, lag")
    }

    @Test func `a recreated topic has another id`() throws {
        let admin = try TopicAdmin(kafka.configuration())
        let topic = try kafka.topic()
        let first = try queries.topicID(of: topic)
        #expect((first != nil) == (KafkaVersion.loaded >= KafkaVersion(2, 3, 0)))
        #expect(try queries.topicID(of: topic) == first)
        #expect(code { try admin.createTopic(topic, partitions: 1) } == .notPossible)
        try admin.remakeTopic(topic)
        if first != nil { #expect(try queries.topicID(of: topic) != first) }
    }

    @Test func `a producer counts every record into Kafka`() throws {
        let topic = try kafka.topic(partitions: 4)
        let producer = try KafkaProducer(kafka.configuration())
        let value = [UInt8](repeating: 65, count: 150)
        let count = 400_000
        try value.withUnsafeBufferPointer { value in
            for number in 0..<count { try producer.send(topic: topic, partition: Int32(number % 4), value: value) }
        }
        try producer.flush()
        let partitions = (0..<4).map { TopicPartition(topic: topic, partition: $0) }
        #expect(producer.sentRecords == Int64(count))
        #expect(try queries.ends(partitions).values.reduce(0, +) == Int64(count))
    }

    @Test func `a record too large for the broker is an error of the flush`() throws {
        let topic = try kafka.topic(config: ["max.message.bytes": "1000"])
        let producer = try KafkaProducer(kafka.configuration())
        try producer.send(topic: topic, text: String(repeating: "x", count: 5000))
        #expect(throws: Failure.self) { try producer.flush() }
    }
}
