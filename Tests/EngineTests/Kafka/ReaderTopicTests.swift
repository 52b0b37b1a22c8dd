// Topics of every shape from a real Kafka, by each reader: mixed codecs, large records, a thousand partitions, a quota, and what
// happens to a topic while somebody stands in it.

import CXXHash
import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits, .enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason))
struct ReaderTopicTests {
    let kafka: KafkaFixture

    init() throws { kafka = try KafkaFixture.shared() }

    func reader(_ kind: ReaderKind, megabytes: Int = 8, _ properties: [String: String] = [:]) throws -> any RecordReader {
        try kind.make(kafka.configuration(properties), budgetBytes: megabytes << 20, isolation: .readCommitted)
    }

    func numbers(_ from: Int64, _ until: Int64) -> [SeenRecord] {
        (from..<until).map { SeenRecord(offset: $0, text: String($0)) }
    }

    @Test func `batches of every codec in one partition are read alike`() throws {
        let topic = try kafka.topic()
        let producers = try ["none", "gzip", "snappy", "lz4", "zstd"].map { codec in
            try KafkaProducer(kafka.configuration(["compression.codec": codec]))
        }
        var expected: [SeenRecord] = []
        // From one record to thousands, so that packed batches are smaller and larger than the usual guess.
        for count in [1, 2, 50, 3000, 7] {
            for producer in producers {
                for _ in 0..<count {
                    let text = "\(expected.count) " + String(repeating: "abc", count: expected.count % 40)
                    try producer.send(topic: topic, key: expected.count % 3 == 0 ? nil : "k\(expected.count)", text: text)
                    expected.append(SeenRecord(offset: Int64(expected.count), text: text))
                }
                try producer.flush()
            }
        }
        for kind in ReaderKind.allCases {
            let reader = try reader(kind)
            #expect(try reader.records(topic, 0, Int64(expected.count)) == expected, "\(kind)")
            #expect(try reader.records(topic, 40, 300, chunkRecords: 7) == Array(expected[40..<300]), "\(kind)")
            #expect(try reader.readOne(TopicPartition(topic: topic, partition: 0), offset: 4321)?.value == expected[4321].text.map { Array($0.utf8) })
        }
    }

    @Test func `records up to 16 MiB come whole beside small ones, with a budget smaller than one`() throws {
        let topic = try kafka.topic(config: ["max.message.bytes": "17000000"])
        var random = SeededRandom(seed: 3)
        // Random, so that a packed one is as large.
        let pool = (0..<(16 << 20) / 8).map { _ in random.next() }
        let sizes = [10, 16 << 20, 10, 5 << 20, 1, 16 << 20, 900_000, 10]
        for codec in ["none", "zstd"] {
            let producer = try KafkaProducer(kafka.configuration(["message.max.bytes": "17000000", "compression.codec": codec]))
            for size in sizes {
                try pool.withUnsafeBytes { bytes in
                    try producer.send(topic: topic, partition: 0, value: UnsafeBufferPointer(rebasing: bytes.bindMemory(to: UInt8.self)[..<size]))
                }
                try producer.flush()
            }
        }
        let expected = pool.withUnsafeBytes { bytes in (sizes + sizes).map { XXH64(bytes.baseAddress, $0, 1) } }
        for kind in ReaderKind.allCases {
            var hashes: [UInt64] = []
            let range = OffsetRange(topic: topic, partition: 0, from: 0, until: Int64(expected.count))
            _ = try reader(kind, megabytes: 4).read(range, chunkRecords: 100, timeoutMillis: 20_000) { chunk in
                for record in chunk { hashes.append(XXH64(record.payload, record.length, 1)) }
            }
            #expect(hashes == expected, "\(kind)")
        }
    }

    @Test func `a thousand partitions are each read whole, again and again, within the budget of one`() throws {
        let count = 1000
        let topic = try kafka.topic(partitions: count)
        let producer = try KafkaProducer(kafka.configuration())
        for number in 0..<6 {
            for partition in 0..<count as Range<Int> { try producer.send(topic: topic, partition: Int32(partition), text: String(number)) }
        }
        try producer.flush()
        for kind in ReaderKind.allCases {
            let reader = try reader(kind)
            for cut in [0, 3] as [Int64] {
                // Each new assignment of the library waits for a fetch; some more than fit the budget at once show as much.
                let ranges = stride(from: 0, to: count, by: kind == .fetch ? 1 : 20).map {
                    OffsetRange(topic: topic, partition: Int32($0), from: cut, until: cut + 3)
                }
                try reader.follow(ranges)
                for range in ranges {
                    let seen = try reader.records(topic, partition: range.partition, range.from, range.until)
                    if seen != numbers(cut, cut + 3) { Issue.record("\(kind) \(range): \(seen)") }
                }
            }
        }
    }

    @Test func `a partition that was added since is read, though the reader knew the topic before`() throws {
        let topic = try kafka.topic()
        try KafkaProducer(kafka.configuration()).sendNumbers(3, topic: topic)
        let readers = try ReaderKind.allCases.map { try reader($0) }
        for reader in readers { #expect(try reader.records(topic, 0, 3) == numbers(0, 3)) }
        try kafka.run("topics", ["--alter", "--topic", topic, "--partitions", "2"])
        #expect(eventually { (try? KafkaProducer(kafka.configuration()).sendNumbers(3, topic: topic, partition: 1)) != nil })
        for reader in readers {
            let start = ContinuousClock.now
            #expect(try reader.records(topic, partition: 1, 0, 3) == numbers(0, 3))
            #expect(try reader.records(topic, 0, 3) == numbers(0, 3))
            #expect(ContinuousClock.now - start < .seconds(5))
        }
    }

    @Test func `a topic that was made again is not read on where the old one ended`() throws {
        let topic = try kafka.topic()
        try KafkaProducer(kafka.configuration()).sendNumbers(100, topic: topic)
        let readers = try ReaderKind.allCases.map { try reader($0) }
        for reader in readers { #expect(try reader.records(topic, 0, 100) == numbers(0, 100)) }
        let admin = try TopicAdmin(kafka.configuration())
        try admin.remakeTopic(topic)
        try KafkaProducer(kafka.configuration()).sendNumbers(60, topic: topic)
        for (kind, reader) in zip(ReaderKind.allCases, readers) {
            #expect(code { _ = try reader.records(topic, 100, 110) } == .topicRecreated, "\(kind)")
        }
        // A longer one hides it from every offset; by its id it is found all the same.
        let fetch = try reader(.fetch)
        #expect(try fetch.records(topic, 0, 60) == numbers(0, 60))
        try admin.remakeTopic(topic)
        try KafkaProducer(kafka.configuration()).sendNumbers(200, topic: topic)
        #expect(code { _ = try fetch.records(topic, 60, 70) } == .topicRecreated)
    }

    @Test func `a quota makes a reader slow and nothing else`() throws {
        let topic = try kafka.topic(partitions: 2)
        let producer = try KafkaProducer(kafka.configuration())
        let value = [UInt8](repeating: 7, count: 10_000)
        let count = 180
        for partition in 0..<2 {
            for _ in 0..<count { try value.withUnsafeBufferPointer { try producer.send(topic: topic, partition: Int32(partition), value: $0) } }
        }
        try producer.flush()
        try kafka.run(
            "configs",
            ["--alter", "--entity-type", "clients", "--entity-name", topic, "--add-config", "consumer_byte_rate=1000000"])
        for (partition, kind) in ReaderKind.allCases.enumerated() {
            let range = OffsetRange(topic: topic, partition: Int32(partition), from: 0, until: Int64(count))
            // The broker hears of the quota a moment after the tool has ended.
            let isHeldBack = try eventually {
                let start = ContinuousClock.now
                var next: Int64 = 0
                let result = try reader(kind, ["client.id": topic, "fetch.message.max.bytes": "200000"])
                    .read(range, chunkRecords: 100, timeoutMillis: 30_000) { chunk in
                        for record in chunk {
                            if record.offset != next || record.length != 10_000 { Issue.record("\(record.offset) where \(next) was due") }
                            next = record.offset + 1
                        }
                    }
                #expect(result.records == range.count, "\(kind)")
                return ContinuousClock.now - start > .milliseconds(500)
            }
            #expect(isHeldBack, "\(kind) was not held back")
        }
    }
}
