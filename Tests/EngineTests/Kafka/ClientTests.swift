// What needs no broker: settings, versions, and the embedded broker for plain reading and writing.

import Engine
import TestSupport
import Testing

/// The code of the failure that `body` throws; nil when it throws none.
func code(of body: () throws -> Void) -> Failure.Code? {
    do {
        try body()
        return nil
    } catch let failure as Failure {
        return failure.code
    } catch {
        Issue.record("not a Failure: \(error)")
        return nil
    }
}

/// A port on which nothing listens.
let unusedAddress = "127.0.0.1:9"

struct ClientTests {
    @Test(arguments: ["enable.auto.commit", "auto.offset.reset", "group.id", "transactional.id", "bootstrap.servers"])
    func `a property that the engine decides is refused by name`(name: String) {
        #expect(throws: Failure.self) { try KafkaConfiguration(bootstrap: "b:9092", properties: [name: "x"]) }
        #expect(code { _ = try KafkaConfiguration(bootstrap: "b:9092", properties: [name: "x"]) } == .invalidSetting)
    }

    @Test(arguments: [
        ("no.such.property", "1", "No such configuration property"),
        ("fetch.wait.max.ms", "soon", "Invalid value"),
    ])
    func `a property that librdkafka does not take is refused in its own words`(
        name: String, value: String, words: String
    ) throws {
        let configuration = try KafkaConfiguration(bootstrap: unusedAddress, properties: [name: value])
        let failure = try #require(throws: Failure.self) { try OffsetQueries(configuration) }
        #expect(failure.code == .invalidSetting)
        #expect(failure.what.contains(name))
        #expect(failure.why.contains(words))
    }

    @Test func `the value of a secret property is in no error`() throws {
        let configuration = try KafkaConfiguration(
            bootstrap: unusedAddress, properties: ["ssl.key.pem": "hunter2", "security.protocol": "ssl"])
        let failure = try #require(throws: Failure.self) { try OffsetQueries(configuration) }
        #expect(!failure.description.contains("hunter2"))
    }

    @Test func `the isolation level is read_committed unless set otherwise`() throws {
        #expect(try KafkaConfiguration(bootstrap: "b").isolation == .readCommitted)
        let other = try KafkaConfiguration(bootstrap: "b", properties: ["isolation.level": "read_uncommitted"])
        #expect(other.isolation == .readUncommitted)
        #expect(code { _ = try KafkaConfiguration(bootstrap: "b", properties: ["isolation.level": "x"]) } == .invalidSetting)
    }

    @Test(arguments: [
        (KafkaVersion(2, 0, 2), true, true, true), (KafkaVersion(2, 2, 0), false, false, true),
        (KafkaVersion(2, 6, 0), false, false, true), (KafkaVersion(2, 6, 1), false, false, false),
        (KafkaVersion(2, 16, 0), false, false, false),
    ])
    func `known defects follow the version`(version: KafkaVersion, skips: Bool, stalls: Bool, scram: Bool) {
        let defects = version.knownDefects.joined(separator: "\n")
        #expect(defects.contains("skipped") == skips)
        #expect(defects.contains("stands still") == stalls)
        #expect(defects.contains("SCRAM") == scram)
        #expect(version.knownDefects.isEmpty == (version >= KafkaVersion.minimum))
    }

    @Test func `a version is read from the library's number`() {
        #expect(KafkaVersion(number: 0x0200_02ff) == KafkaVersion(2, 0, 2))
        #expect(KafkaVersion(number: 0x0210_00ff).description == "2.16.0")
        #expect(KafkaVersion.loaded > KafkaVersion(1, 9, 0))
    }

    @Test func `a broker that is not there is named with the reason`() throws {
        let queries = try OffsetQueries(KafkaConfiguration(bootstrap: unusedAddress), timeoutMillis: 1_000)
        let failure = try #require(throws: Failure.self) { try queries.partitions(of: "t") }
        #expect(failure.code == .brokerUnreachable)
        #expect(failure.what.contains(unusedAddress))
        #expect(failure.why.contains("refused"))
        #expect(code { _ = try queries.ends([TopicPartition(topic: "t", partition: 0)]) } == .brokerUnreachable)
        let commit = [KafkaPosition(TopicPartition(topic: "t", partition: 0), offset: 1)]
        #expect(code { try queries.commit(group: "g", commit) } == .brokerUnreachable)
    }

    @Test func `the embedded broker has its topics and takes records`() throws {
        let broker = try EmbeddedBroker(topics: [("a", 4), ("b", 1)])
        let configuration = try KafkaConfiguration(bootstrap: broker.bootstrap)
        let queries = try OffsetQueries(configuration)
        #expect(try queries.partitions(of: "a") == [0, 1, 2, 3])
        let producer = try KafkaProducer(configuration)
        for number in 0..<1000 {
            try Array("value \(number)".utf8).withUnsafeBufferPointer {
                try producer.send(topic: "a", partition: Int32(number % 4), value: $0)
            }
        }
        try producer.flush()
        let partitions = (0..<4).map { TopicPartition(topic: "a", partition: $0) }
        #expect(try queries.ends(partitions) == Dictionary(uniqueKeysWithValues: partitions.map { ($0, 250) }))
        #expect(try queries.starts(partitions) == Dictionary(uniqueKeysWithValues: partitions.map { ($0, 0) }))
    }

    @Test func `records that no broker confirmed are an error`() throws {
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: unusedAddress))
        try [UInt8](repeating: 1, count: 10).withUnsafeBufferPointer { try producer.send(topic: "t", value: $0) }
        #expect(code { try producer.flush(timeoutMillis: 300) } == .brokerUnreachable)
    }

    @Test func `ranges of the embedded broker are delivered exactly`() throws {
        let broker = try EmbeddedBroker(topics: [("a", 2)])
        let configuration = try KafkaConfiguration(bootstrap: broker.bootstrap)
        let producer = try KafkaProducer(configuration)
        for partition in 0..<2 as Range<Int32> { try producer.sendNumbers(1000, topic: "a", partition: partition) }
        let reader = RangeReader(configuration, budgetBytes: 4 << 20)
        for (from, until) in [(0, 400), (400, 1000), (0, 1000), (999, 1000)] as [(Int64, Int64)] {
            for partition in 0..<2 as Range<Int32> {
                let seen = try reader.records("a", partition: partition, from, until)
                #expect(seen == (from..<until).map { SeenRecord(offset: $0, text: String($0)) })
            }
        }
    }
}
