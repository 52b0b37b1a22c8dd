// Exact ranges from a real Kafka, by each reader: holes of every kind, lost records, following, replaying, small budgets.

import Engine
import Foundation
import TestSupport
import Testing

/// A record as a test sees it.
struct SeenRecord: Hashable {
    var offset: Int64
    var text: String?
}

extension RecordReader {
    /// Reads a range whole.
    func records(
        _ topic: String, partition: Int32 = 0, _ from: Int64, _ until: Int64, chunkRecords: Int = 1000,
        timeoutMillis: Int = 20_000
    ) throws -> [SeenRecord] {
        var seen: [SeenRecord] = []
        let range = OffsetRange(topic: topic, partition: partition, from: from, until: until)
        let result = try read(range, chunkRecords: chunkRecords, timeoutMillis: timeoutMillis) { chunk in
            #expect(chunk.count <= chunkRecords)
            for record in chunk {
                let bytes = record.payload.map { UnsafeBufferPointer(start: $0, count: record.length) }
                seen.append(SeenRecord(offset: record.offset, text: bytes.map { String(decoding: $0, as: UTF8.self) }))
            }
        }
        #expect(result.records == Int64(seen.count))
        #expect(result.tail?.offset == seen.last?.offset)
        return seen
    }
}

@Suite(.waits, .enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason))
struct RangeReaderTests {
    let kafka: KafkaFixture
    let producer: KafkaProducer

    init() throws {
        kafka = try KafkaFixture.shared()
        producer = try KafkaProducer(kafka.configuration())
    }

    func makeReader(
        _ kind: ReaderKind, megabytes: Int = 8, kilobytes: Int = 0, isolation: IsolationLevel = .readCommitted
    ) throws -> any RecordReader {
        try kind.make(
            kafka.configuration(), budgetBytes: kilobytes > 0 ? kilobytes << 10 : megabytes << 20, isolation: isolation)
    }

    /// Numbers at their own offsets.
    func numbers(_ from: Int64, _ until: Int64) -> [SeenRecord] {
        (from..<max(from, until)).map { SeenRecord(offset: $0, text: String($0)) }
    }

    @Test(arguments: [1, 7, 1000], ReaderKind.allCases)
    func `a range is delivered exactly wherever it lies in the topic`(chunkRecords: Int, kind: ReaderKind) throws {
        let topic = try kafka.topic()
        try producer.sendNumbers(100, topic: topic)
        let reader = try makeReader(kind)
        for (from, until) in [(0, 1), (0, 10), (10, 60), (60, 60), (99, 100), (0, 100), (42, 43)] as [(Int64, Int64)] {
            #expect(try reader.records(topic, from, until, chunkRecords: chunkRecords) == numbers(from, until))
        }
    }

    /// 0-4 committed, 5 marker, 6-10 aborted, 11 marker, 12-14 committed, 15 marker, 16-17 plain.
    func transactions() throws -> String {
        let topic = try kafka.topic()
        let transactional = try KafkaProducer(kafka.configuration(), transactionalID: "tx-\(topic)")
        try transactional.initTransactions()
        let queries = try OffsetQueries(kafka.configuration())
        let partition = TopicPartition(topic: topic, partition: 0)
        // A marker is written after the broker has answered the commit; what follows must come behind it.
        func wait(until end: Int64) throws {
            #expect(try eventually { try queries.ends([partition]) == [partition: end] })
        }
        try transactional.sendTransaction(5, from: 0, topic: topic, commit: true)
        try wait(until: 6)
        try transactional.sendTransaction(5, from: 6, topic: topic, commit: false)
        try wait(until: 12)
        try transactional.sendTransaction(3, from: 12, topic: topic, commit: true)
        try wait(until: 16)
        try producer.sendNumbers(2, from: 16, topic: topic)
        return topic
    }

    @Test(
        arguments: [
            (IsolationLevel.readCommitted, [0, 1, 2, 3, 4, 12, 13, 14, 16, 17]),
            (.readUncommitted, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 16, 17]),
        ] as [(IsolationLevel, [Int64])], ReaderKind.allCases)
    func `every range over markers and aborted rows holds exactly its visible records`(
        level: (isolation: IsolationLevel, visible: [Int64]), kind: ReaderKind
    ) throws {
        let topic = try transactions()
        let reader = try makeReader(kind, isolation: level.isolation)
        for from in 0...18 as ClosedRange<Int64> {
            for until in from...18 {
                let expected = level.visible.filter { from <= $0 && $0 < until }.map { SeenRecord(offset: $0, text: String($0)) }
                #expect(try reader.records(topic, from, until) == expected, "[\(from), \(until))")
            }
        }
    }

    @Test(arguments: ReaderKind.allCases) func `a record past the end of a range is kept for the next one`(_ kind: ReaderKind) throws {
        let topic = try transactions()
        let reader = try makeReader(kind)
        // 5, 11 and 15 are markers: each range can only end by a record that belongs to a later one.
        let cuts: [Int64] = [0, 6, 10, 11, 12, 16, 18]
        var seen: [Int64] = []
        for (from, until) in zip(cuts, cuts.dropFirst()) { seen += try reader.records(topic, from, until).map(\.offset) }
        #expect(seen == [0, 1, 2, 3, 4, 12, 13, 14, 16, 17])
        #expect(reader.startCount == 1, "no range needed a new start")
    }

    @Test(arguments: ReaderKind.allCases) func `a range in which compaction left holes ends by position`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic(config: [
            "cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01",
            "min.compaction.lag.ms": "0", "max.compaction.lag.ms": "100",
        ])
        for number in 0..<300 { try producer.send(topic: topic, key: "k\(number % 10)", text: String(number)) }
        try producer.flush()
        var left: [SeenRecord] = []
        var end: Int64 = 300
        // Each further record lets the broker roll the segment before it, which is then compacted.
        let compacted = try eventually(withinSeconds: 60) {
            try producer.send(topic: topic, key: "tick", text: "tick")
            try producer.flush()
            end += 1
            left = try makeReader(kind).records(topic, 0, 300)
            return left.count <= 10
        }
        #expect(compacted, "\(left.count) records left")
        #expect(!left.isEmpty)
        let reader = try makeReader(kind)
        for (from, until) in [(0, 300), (0, 150), (100, 200), (285, 295), (290, 300)] as [(Int64, Int64)] {
            #expect(try reader.records(topic, from, until) == left.filter { from <= $0.offset && $0.offset < until })
        }
    }

    @Test(arguments: ReaderKind.allCases) func `a range whose records were deleted is an error that says what is left`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic()
        try producer.sendNumbers(100, topic: topic)
        let request = #"{"partitions":[{"topic":"\#(topic)","partition":0,"offset":40}],"version":1}"#
        let file = NSTemporaryDirectory() + "/\(topic).json"
        try request.write(toFile: file, atomically: true, encoding: .utf8)
        defer { unlink(file) }
        try kafka.run("delete-records", ["--offset-json-file", file])
        let reader = try makeReader(kind)
        let failure = try #require(throws: Failure.self) { try reader.records(topic, 10, 60) }
        #expect(failure.code == .offsetsGone)
        #expect(failure.what.contains("[10, 60)"))
        #expect(failure.why.contains("begins at offset 40: 30 offsets"))
        #expect(try reader.records(topic, 40, 60) == numbers(40, 60), "the reader is usable afterwards")
        let beyond = try #require(throws: Failure.self) { try reader.records(topic, 150, 160) }
        #expect(beyond.code == .topicRecreated)
        let partition = TopicPartition(topic: topic, partition: 0)
        #expect(try reader.readOne(partition, offset: 10) == nil)
        #expect(try reader.readOne(partition, offset: 100) == nil)
        #expect(try reader.readOne(partition, offset: 150) == nil)
    }

    @Test(arguments: ReaderKind.allCases) func `a reader that follows starts each partition once`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic(partitions: 4)
        let reader = try makeReader(kind)
        try reader.follow((0..<4).map { OffsetRange(topic: topic, partition: $0, from: 0, until: 0) })
        for round in 0..<10 as Range<Int64> {
            for partition in 0..<4 as Range<Int32> {
                try producer.sendNumbers(50, from: Int(round) * 50, topic: topic, partition: partition)
            }
            for partition in 0..<4 as Range<Int32> {
                let seen = try reader.records(topic, partition: partition, round * 50, round * 50 + 50)
                #expect(seen == numbers(round * 50, round * 50 + 50))
            }
        }
        #expect(reader.startCount == 4)
        try reader.follow([OffsetRange(topic: topic, partition: 1, from: 500, until: 500)])
        #expect(reader.startCount == 4, "it stands there already")
        #expect(try reader.records(topic, partition: 0, 500, 500) == [])
        try reader.follow((0..<4).map { OffsetRange(topic: topic, partition: $0, from: 500, until: 500) })
        #expect(reader.startCount == 4, "a partition that was not named kept its place")
        #expect(try reader.records(topic, 7, 9) == numbers(7, 9))
        #expect(reader.startCount == 5)
        for _ in 0..<64 { try reader.follow([OffsetRange(topic: topic, partition: 1, from: 500, until: 500)]) }
        try reader.follow((1..<4).map { OffsetRange(topic: topic, partition: $0, from: 500, until: 500) })
        #expect(reader.startCount == 7, "two were let go, because they were not named for long")
    }

    @Test(arguments: ReaderKind.allCases) func `partitions that are named one at a time all keep their places`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic(partitions: 4)
        let reader = try makeReader(kind)
        // One record comes at a time, so each batch names one partition.
        func batches(_ rounds: Range<Int64>) throws {
            for round in rounds {
                for partition in 0..<4 as Range<Int32> {
                    try producer.sendNumbers(1, from: Int(round), topic: topic, partition: partition)
                    try reader.follow([OffsetRange(topic: topic, partition: partition, from: round, until: round + 1)])
                    #expect(try reader.records(topic, partition: partition, round, round + 1) == numbers(round, round + 1))
                }
            }
        }
        try batches(0..<2)
        let starts = reader.startCount
        #expect(starts <= 7, "the consumer grew from one share to two and four")
        try batches(2..<12)
        #expect(reader.startCount == starts)
    }

    @Test(arguments: ReaderKind.allCases) func `the pieces of a split range are read on from one start`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic()
        try producer.sendNumbers(100, topic: topic)
        let reader = try makeReader(kind)
        try reader.follow([(0, 30), (30, 60), (60, 100)].map { OffsetRange(topic: topic, partition: 0, from: $0, until: $1) })
        for (from, until) in [(0, 30), (30, 60), (60, 100)] as [(Int64, Int64)] {
            #expect(try reader.records(topic, from, until) == numbers(from, until))
        }
        #expect(reader.startCount == 1)
    }

    @Test(arguments: ReaderKind.allCases) func `more partitions than the budget allows are read in turns`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic(partitions: 6)
        for partition in 0..<6 as Range<Int32> { try producer.sendNumbers(3_000, topic: topic, partition: partition) }
        let reader = try makeReader(kind, kilobytes: 512)
        try reader.follow((0..<6).map { OffsetRange(topic: topic, partition: $0, from: 0, until: 0) })
        #expect(reader.startCount == 2, "as many as have a share")
        for cut in stride(from: 0, to: 3_000, by: 1_000) as StrideTo<Int64> {
            for partition in 0..<6 as Range<Int32> {
                #expect(try reader.records(topic, partition: partition, cut, cut + 1_000) == numbers(cut, cut + 1_000))
            }
        }
    }

    @Test(arguments: ReaderKind.allCases) func `a long range comes whole and in order through a small queue`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic()
        let count = 300_000
        try producer.sendNumbers(count, topic: topic)
        let reader = try makeReader(kind, megabytes: 2)
        var next: Int64 = 0
        var sum = 0
        let range = OffsetRange(topic: topic, partition: 0, from: 0, until: Int64(count))
        let result = try reader.read(range, chunkRecords: 10_000, timeoutMillis: 20_000) { chunk in
            for record in chunk {
                if record.offset != next { Issue.record("offset \(record.offset) where \(next) was due") }
                next = record.offset + 1
                var value = 0
                for byte in UnsafeBufferPointer(start: record.payload, count: record.length) {
                    value = value * 10 + Int(byte) - 48
                }
                sum += value
            }
        }
        #expect(result.records == Int64(count))
        #expect(sum == count * (count - 1) / 2)
    }

    /// While one partition is waited for, the answer under way may be full of the others'.
    @Test(arguments: ReaderKind.allCases) func `long ranges of several partitions are each read whole and in order`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic(partitions: 4)
        for partition in 0..<4 as Range<Int32> { try producer.sendNumbers(150_000, topic: topic, partition: partition) }
        let reader = try makeReader(kind, megabytes: 4)
        for cut in stride(from: 0, to: 150_000, by: 50_000) as StrideTo<Int64> {
            let ranges = (0..<4).map { OffsetRange(topic: topic, partition: $0, from: cut, until: cut + 50_000) }
            try reader.follow(ranges)
            for range in ranges {
                var next = range.from
                let result = try reader.read(range, chunkRecords: 2048, timeoutMillis: 20_000) { chunk in
                    for record in chunk {
                        if record.offset != next { Issue.record("offset \(record.offset) where \(next) was due") }
                        next = record.offset + 1
                    }
                }
                #expect(result.records == 50_000)
            }
        }
    }

    @Test(arguments: ReaderKind.allCases) func `a replay elsewhere never sees what was prefetched`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic()
        try producer.sendNumbers(50_000, topic: topic)
        let reader = try makeReader(kind)
        var random = SeededRandom(seed: 7)
        for _ in 0..<60 {
            let from = Int64.random(in: 0..<49_000, using: &random)
            let until = from + Int64.random(in: 1...1000, using: &random)
            #expect(try reader.records(topic, from, until) == numbers(from, until))
        }
        #expect(reader.startCount > 50)
    }

    @Test(arguments: ReaderKind.allCases) func `a range whose body fails or that is cancelled is read again from its start`(_ kind: ReaderKind) throws {
        struct Stop: Error {}
        let topic = try kafka.topic()
        try producer.sendNumbers(1000, topic: topic)
        let reader = try makeReader(kind)
        let range = OffsetRange(topic: topic, partition: 0, from: 0, until: 500)
        var chunks = 0
        #expect(throws: Stop.self) {
            try reader.read(range, chunkRecords: 100, timeoutMillis: 20_000) { _ in
                chunks += 1
                if chunks == 3 { throw Stop() }
            }
        }
        #expect(try reader.records(topic, 0, 500) == numbers(0, 500))
        #expect(code { _ = try reader.read(range, chunkRecords: 9, timeoutMillis: 9, cancelled: { true }) { _ in } } == .taskCancelled)
        #expect(try reader.records(topic, 0, 500) == numbers(0, 500))
        #expect(try reader.records(topic, 500, 1000) == numbers(500, 1000))
    }

    @Test(arguments: ReaderKind.allCases) func `a range that stands still fails after its time`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic()
        try producer.sendNumbers(10, topic: topic)
        let reader = try makeReader(kind)
        // A busy machine may take longer to open a connection.
        #expect(try reader.records(topic, 0, 10) == numbers(0, 10))
        let failure = try #require(throws: Failure.self) { try reader.records(topic, 0, 11, timeoutMillis: 1000) }
        #expect(failure.code == .readTimeout)
        #expect(failure.why.contains("offset 10"))
        try producer.sendNumbers(1, from: 10, topic: topic)
        #expect(try reader.records(topic, 0, 11) == numbers(0, 11))
    }

    @Test(arguments: ReaderKind.allCases) func `a zstd batch that unpacks to more than 64 MiB stops the read, and one of half of it is read`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic(partitions: 2)
        let bomber = try KafkaProducer(
            kafka.configuration([
                "compression.codec": "zstd", "message.max.bytes": "200000000", "batch.size": "200000000",
                "queue.buffering.max.kbytes": "400000", "linger.ms": "1500",
            ]))
        let zeros = [UInt8](repeating: 0, count: 1_000_000)
        // The client doubles its guess until it fits or is over the bound, so between half and the whole it depends.
        for (partition, count) in [(Int32(0), 80), (1, 30)] {
            for _ in 0..<count {
                try zeros.withUnsafeBufferPointer { try bomber.send(topic: topic, partition: partition, value: $0) }
            }
        }
        try bomber.flush()
        let reader = try makeReader(kind)
        let failure = #expect(throws: Failure.self) { try reader.records(topic, 0, 80) }
        #expect(failure?.code == .kafkaFatal)
        #expect(failure?.now.contains("kafka.receive.message.max.bytes") == true)
        let below = try makeReader(kind).read(
            OffsetRange(topic: topic, partition: 1, from: 0, until: 30), chunkRecords: 1000, timeoutMillis: 20_000
        ) { _ in }
        #expect(below.records == 30 && below.bytes == 30_000_000)
    }

    @Test(arguments: ReaderKind.allCases) func `a partition that is not there is an error at once`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic()
        #expect(code { _ = try makeReader(kind).records(topic, partition: 99, 0, 1, timeoutMillis: 30_000) } == .topicMissing)
    }

    @Test(arguments: ReaderKind.allCases) func `the tail's hash tells key and value apart and is found again by offset`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic()
        try producer.send(topic: topic, key: "a", text: "bc")
        try producer.send(topic: topic, key: "ab", text: "c")
        try producer.send(topic: topic, text: "abc")
        try producer.send(topic: topic, key: "a", text: "bc")
        try producer.send(topic: topic, partition: 0, key: nil, value: nil)
        try producer.flush()
        let reader = try makeReader(kind)
        let partition = TopicPartition(topic: topic, partition: 0)
        let hashes = try (0..<5 as Range<Int64>).map { offset in
            let range = OffsetRange(topic: topic, partition: 0, from: offset, until: offset + 1)
            let tail = try #require(try reader.read(range, chunkRecords: 9, timeoutMillis: 20_000) { _ in }.tail)
            #expect(tail.offset == offset)
            #expect(try reader.readOne(partition, offset: offset)?.hash == tail.hash)
            return tail.hash
        }
        #expect(Set(hashes[0..<3]).count == 3)
        #expect(hashes[3] == hashes[0])
        let second = try #require(try reader.readOne(partition, offset: 1))
        #expect(second.key == Array("ab".utf8) && second.value == Array("c".utf8))
        #expect(try reader.records(topic, 4, 5) == [SeenRecord(offset: 4, text: nil)], "a record without a value")
    }

    @Test(arguments: ReaderKind.allCases) func `a record's key and time come with it`(_ kind: ReaderKind) throws {
        struct Told: Hashable { var key: [UInt8]?, timeMillis: Int64 }
        func told(_ topic: String, _ count: Int64) throws -> [Told] {
            var found: [Told] = []
            let range = OffsetRange(topic: topic, partition: 0, from: 0, until: count)
            _ = try makeReader(kind).read(range, chunkRecords: 2, timeoutMillis: 20_000) { chunk in
                for record in chunk {
                    found.append(Told(key: record.key.map { Array(UnsafeBufferPointer(start: $0, count: record.keyLength)) }, timeMillis: record.timeMillis))
                }
            }
            return found
        }
        let topic = try kafka.topic()
        let sent: [(key: String?, millis: Int64)] = [(nil, 1_700_000_000_000), ("k", 1_600_000_000_000), ("", 1_650_000_000_001), ("long" + String(repeating: "y", count: 300), 1)]
        for codec in ["none", "zstd"] {
            let producer = try KafkaProducer(kafka.configuration(["compression.codec": codec]))
            for record in sent { try producer.send(topic: topic, key: record.key, text: "x", timestampMillis: record.millis) }
            try producer.flush()
        }
        let expected = sent.map { Told(key: $0.key.map { Array($0.utf8) }, timeMillis: $0.millis) }
        #expect(try told(topic, 8) == expected + expected)
        let before = Int64(Date().timeIntervalSince1970 * 1000)
        let stamped = try kafka.topic(config: ["message.timestamp.type": "LogAppendTime"])
        for _ in 0..<3 { try producer.send(topic: stamped, text: "x", timestampMillis: 5) }
        try producer.flush()
        #expect(try told(stamped, 3).allSatisfy { $0.key == nil && (before...before + 60_000).contains($0.timeMillis) })
    }

    @Test(arguments: ReaderKind.allCases) func `a marker is no record to find`(_ kind: ReaderKind) throws {
        let topic = try transactions()
        let partition = TopicPartition(topic: topic, partition: 0)
        #expect(try makeReader(kind).readOne(partition, offset: 4)?.value == Array("4".utf8))
        #expect(try makeReader(kind).readOne(partition, offset: 5) == nil)
        #expect(try makeReader(kind).readOne(partition, offset: 8) == nil)
    }
}
