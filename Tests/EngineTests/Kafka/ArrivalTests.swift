// What a reader tells of records that came by themselves, and that it hands them over like any others.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits, .enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason))
struct ArrivalTests {
    let kafka: KafkaFixture
    let producer: KafkaProducer
    let bell = ArrivalBell()

    init() throws {
        kafka = try KafkaFixture.shared()
        producer = try KafkaProducer(kafka.configuration())
    }

    func makeReader(_ kind: ReaderKind) throws -> any RecordReader {
        try kind.make(kafka.configuration(), budgetBytes: 8 << 20, isolation: .readCommitted, bell: bell)
    }

    func at(_ topic: String, _ positions: Int64...) -> [OffsetRange] {
        positions.enumerated().map { OffsetRange(topic: topic, partition: Int32($0), from: $1, until: $1) }
    }

    func numbers(_ from: Int64, _ until: Int64) -> [SeenRecord] {
        (from..<until).map { SeenRecord(offset: $0, text: String($0)) }
    }

    /// Waits for the bell and looks until the answer is the expected one; false after half a minute.
    func arrives(_ reader: any RecordReader, _ positions: [OffsetRange], _ ends: [Int64]) throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(30)
        while try reader.arrived(positions, most: 1000) != ends {
            if ContinuousClock.now > deadline { return false }
            _ = bell.wait(millis: 1000)
        }
        return true
    }

    @Test(arguments: ReaderKind.allCases) func `what has arrived is told, then read, each record once`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic(partitions: 2)
        let reader = try makeReader(kind)
        #expect(try reader.arrived(at(topic, 0, 0), most: 1000) == [0, 0])
        try producer.sendNumbers(5, topic: topic, partition: 0)
        #expect(try arrives(reader, at(topic, 0, 0), [5, 0]))
        #expect(try reader.records(topic, partition: 0, 0, 5) == numbers(0, 5))
        #expect(try reader.arrived(at(topic, 5, 0), most: 1000) == [5, 0])
        try producer.sendNumbers(2, from: 5, topic: topic, partition: 0)
        try producer.sendNumbers(3, topic: topic, partition: 1)
        #expect(try arrives(reader, at(topic, 5, 0), [7, 3]))
        // Less than has come, and then the rest with what came behind it.
        #expect(try reader.records(topic, partition: 1, 0, 2) == numbers(0, 2))
        try producer.sendNumbers(1, from: 3, topic: topic, partition: 1)
        #expect(try arrives(reader, at(topic, 5, 2), [7, 4]))
        #expect(try reader.records(topic, partition: 1, 2, 4) == numbers(2, 4))
        #expect(try reader.records(topic, partition: 0, 5, 7) == numbers(5, 7))
        #expect(reader.startCount == 2, "no position needed a new start")
    }

    @Test(arguments: ReaderKind.allCases) func `the bell rings for what comes next, however fast it came before`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic()
        let reader = try makeReader(kind)
        let isOver = Flag()
        let configuration = try kafka.configuration()
        Thread.detachNewThread {
            var number = 0
            guard let producer = try? KafkaProducer(configuration) else { return }
            while isOver.value == nil, (try? producer.sendNumbers(1, from: number, topic: topic)) != nil { number += 1 }
        }
        defer { isOver.set("over") }
        #expect(try eventually { try reader.arrived(at(topic, 0), most: 1_000_000) ?? [0] != [0] })
        // Whatever a look finds, the next record must ring: with nobody asking it would not come.
        var rings = 0
        for _ in 0..<300 {
            if bell.wait(millis: 5000) { rings += 1 } else { break }
            _ = try reader.arrived(at(topic, 0), most: 1_000_000)
        }
        #expect(rings == 300)
    }

    @Test(arguments: ReaderKind.allCases) func `a range that ends behind what has arrived waits for the rest`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic()
        let reader = try makeReader(kind)
        try producer.sendNumbers(5, topic: topic)
        #expect(try arrives(reader, at(topic, 0), [5]))
        try producer.sendNumbers(5, from: 5, topic: topic)
        #expect(try reader.records(topic, 0, 10) == numbers(0, 10))
    }

    @Test(arguments: ReaderKind.allCases) func `other positions than the reader's are started anew`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic()
        try producer.sendNumbers(9, topic: topic)
        let reader = try makeReader(kind)
        #expect(try arrives(reader, at(topic, 4), [9]))
        #expect(try arrives(reader, at(topic, 2), [9]))
        #expect(try reader.records(topic, 2, 9) == numbers(2, 9))
    }

    @Test(arguments: ReaderKind.allCases) func `more than may wait is left to the broker's answer, and nothing of it is lost`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic()
        try producer.sendNumbers(300, topic: topic)
        let reader = try makeReader(kind)
        #expect(try eventually { try reader.arrived(at(topic, 0), most: 100) == nil })
        #expect(try reader.records(topic, 0, 300, chunkRecords: 70) == numbers(0, 300))
    }

    @Test(arguments: ReaderKind.allCases) func `large records are bounded by their bytes`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic()
        for _ in 0..<30 { try producer.send(topic: topic, partition: 0, text: String(repeating: "x", count: 100_000)) }
        try producer.flush()
        let reader = try makeReader(kind)
        // A quarter of the reader's 8 MiB.
        #expect(try eventually { try reader.arrived(at(topic, 0), most: 1000) == nil })
        #expect(try reader.records(topic, 0, 30).count == 30)
    }

    @Test(arguments: ReaderKind.allCases) func `what a transaction leaves behind its rows is passed`(_ kind: ReaderKind) throws {
        let topic = try kafka.topic()
        let transactional = try KafkaProducer(kafka.configuration(), transactionalID: "tx-\(topic)")
        try transactional.initTransactions()
        let reader = try makeReader(kind)
        try transactional.sendTransaction(5, from: 0, topic: topic, commit: true)
        // Five rows and the marker.
        #expect(try arrives(reader, at(topic, 0), [6]))
        #expect(try reader.records(topic, 0, 6) == numbers(0, 5))
        try transactional.beginTransaction()
        try transactional.sendNumbers(3, from: 6, topic: topic)
        // Undecided rows have not arrived.
        _ = bell.wait(millis: 200)
        #expect(try reader.arrived(at(topic, 6), most: 1000) == [6])
        try transactional.abortTransaction()
        #expect(try arrives(reader, at(topic, 6), [10]))
        #expect(try reader.records(topic, 6, 10) == [])
    }

    @Test func `the bell keeps a ring until somebody waits, and makes one of several`() {
        let bell = ArrivalBell()
        #expect(!bell.wait(millis: 1))
        for _ in 0..<3 { bell.ring() }
        #expect(bell.wait(millis: 1000))
        #expect(!bell.wait(millis: 1))
    }
}
