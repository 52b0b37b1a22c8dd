// A broker that lies: what a reader of it throws, and that nothing behind the bad place is delivered.

import CLZ4
import CSnappy
import CZstd
import Engine
import Foundation
import Synchronization
import TestSupport
import Testing

/// Reads a range of the scripted topic "t"; what was delivered before the error, and the error.
func readScripted(
    _ broker: ScriptedBroker, partition: Int32 = 0, _ from: Int64, _ until: Int64, timeoutMillis: Int = 2000,
    properties: [String: String] = [:]
) throws -> (seen: [SeenRecord], failure: Failure?) {
    defer { broker.end() }
    var properties = properties
    properties["fetch.error.backoff.ms"] = "5"
    properties["reconnect.backoff.ms"] = "5"
    let reader = FetchReader(
        try KafkaConfiguration(bootstrap: broker.bootstrap, properties: properties), budgetBytes: 4 << 20, isolation: .readCommitted)
    var seen: [SeenRecord] = []
    do {
        _ = try reader.read(
            OffsetRange(topic: "t", partition: partition, from: from, until: until), chunkRecords: 1000, timeoutMillis: timeoutMillis
        ) { chunk in
            for record in chunk {
                let bytes = record.payload.map { UnsafeBufferPointer(start: $0, count: record.length) }
                seen.append(SeenRecord(offset: record.offset, text: bytes.map { String(decoding: $0, as: UTF8.self) }))
            }
        }
        return (seen, nil)
    } catch let failure as Failure {
        return (seen, failure)
    }
}

@Suite(.waits) struct HostileBrokerTests {
    static func numbers(_ from: Int64, _ until: Int64) -> [SeenRecord] {
        (from..<max(from, until)).map { SeenRecord(offset: $0, text: String($0)) }
    }

    static func changed(_ numbers: Range<Int64>, _ change: (inout RecordBatchBytes) -> Void) -> RecordBatchBytes {
        var batch = RecordBatchBytes(numbers: numbers)
        change(&batch)
        return batch
    }

    @Test func `what the scripted broker holds is read`() throws {
        let broker = try ScriptedBroker(logs: [0: .init([.init(numbers: 0..<5), .init(numbers: 5..<10)])])
        let result = try readScripted(broker, 0, 10)
        #expect(result.failure == nil)
        #expect(result.seen == Self.numbers(0, 10))
    }

    struct BadBatch: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// Comes behind [0, 5).
        var batch: RecordBatchBytes
        var code = Failure.Code.kafkaFatal
        var why: String

        init(_ name: String, _ batch: RecordBatchBytes, why: String) {
            (testDescription, self.batch, self.why) = (name, batch, why)
        }
    }

    static let badBatches: [BadBatch] = [
        BadBatch("old format", changed(5..<10) { $0.format = 1 }, why: "record format 1"),
        BadBatch("unknown format", changed(5..<10) { $0.format = 3 }, why: "its format is 3"),
        BadBatch("begins below the one before", changed(5..<10) { $0.baseOffset = 3 }, why: "it begins below 5"),
        BadBatch("checksum", changed(5..<10) { $0.breaksChecksum = true }, why: "checksum"),
        BadBatch(
            "more records than it has",
            changed(5..<10) {
                $0.recordCount = 7; $0.lastOffsetDelta = 9
            }, why: "fewer records"),
        BadBatch("more records than offsets", changed(5..<10) { $0.recordCount = 50 }, why: "50 records up to delta 4"),
        BadBatch("negative count", changed(5..<10) { $0.recordCount = -1 }, why: "-1 records"),
        BadBatch("negative last delta", changed(5..<10) { $0.lastOffsetDelta = -2 }, why: "last offset delta is -2"),
        BadBatch("deltas go back", changed(5..<10) { $0.deltas = [0, 2, 1, 3, 4] }, why: "offset delta 1 behind 2"),
        BadBatch("a delta twice", changed(5..<10) { $0.deltas = [0, 1, 1, 3, 4] }, why: "offset delta 1 behind 1"),
        BadBatch(
            "a delta beyond the last",
            changed(5..<10) {
                $0.deltas = [0, 1, 2, 3, 9]; $0.lastOffsetDelta = 4
            }, why: "offset delta 9"),
        BadBatch("bytes behind the records", changed(5..<10) { $0.trailer = [1, 2, 3] }, why: "3 bytes behind"),
        BadBatch("a record longer than the batch", changed(5..<10) { $0.body = [0xfe, 0xff, 0x03] }, why: "a record of"),
        BadBatch("a varint without an end", changed(5..<10) { $0.body = [UInt8](repeating: 0xff, count: 40) }, why: "a record of"),
        BadBatch("a key longer than its record", changed(5..<6) { $0.body = [0x0c, 0, 0, 0, 0x7e, 0, 0] }, why: "a key of 63 bytes"),
        BadBatch("a value longer than its record", changed(5..<6) { $0.body = [0x0c, 0, 0, 0, 1, 0x7e, 0] }, why: "a value of 63 bytes"),
        BadBatch("an unknown codec", changed(5..<10) { $0.attributes = 6 }, why: "number 6"),
        BadBatch("gzip that is none", changed(5..<10) { $0.attributes = 1 }, why: "gzip data are broken"),
        BadBatch(
            "snappy that is none",
            changed(5..<10) {
                $0.attributes = 2; $0.body = [0xff, 0xff, 0xff, 0xff, 0x0f]
            }, why: "snappy data are broken"),
        BadBatch("lz4 that is none", changed(5..<10) { $0.attributes = 3 }, why: "lz4 data are broken"),
        BadBatch("zstd that is none", changed(5..<10) { $0.attributes = 4 }, why: "zstd data are broken"),
    ]

    @Test(arguments: badBatches) func `a bad batch ends the range by name, and nothing behind it is delivered`(bad: BadBatch) throws {
        var log = ScriptedBroker.Log([.init(numbers: 0..<5), bad.batch, .init(numbers: 60..<70)], end: 70)
        // Whoever asks again at the bad place gets it again.
        log.batches[1].end = 60
        let result = try readScripted(try ScriptedBroker(logs: [0: log]), 0, 70)
        let failure = try #require(result.failure)
        #expect(failure.code == bad.code, "\(failure)")
        #expect(failure.why.contains(bad.why), "\(failure.why)")
        #expect(failure.what.contains("t/0"))
        #expect(result.seen.allSatisfy { $0.offset < 10 })
        #expect(result.seen == Self.numbers(0, Int64(result.seen.count)), "what came was in order")
    }

    @Test func `a batch that came damaged once is asked for again over a new connection`() throws {
        let broken = Self.changed(0..<5) { $0.breaksChecksum = true }
        let connections = Mutex<Set<Int>>([])
        let broker = try ScriptedBroker(logs: [0: .init([.init(numbers: 0..<5)])]) { request in
            guard request.call == .fetch else { return .usual }
            connections.withLock { _ = $0.insert(request.connection) }
            return request.number == 0 ? .body(ScriptedBroker.fetched([(0, .init([broken]))])) : .usual
        }
        let result = try readScripted(broker, 0, 5)
        #expect(result.failure == nil)
        #expect(result.seen == Self.numbers(0, 5))
        #expect(connections.withLock { $0.count } == 2)
    }

    @Test func `without check.crcs a wrong checksum is not looked at`() throws {
        let broken = Self.changed(0..<5) { $0.breaksChecksum = true }
        let result = try readScripted(
            try ScriptedBroker(logs: [0: .init([broken])]), 0, 5, properties: ["check.crcs": "false"])
        #expect(result.seen == Self.numbers(0, 5))
    }

    @Test func `rows of aborted transactions are hidden, interleaved ones too`() throws {
        func batch(_ numbers: Range<Int64>, _ producer: Int64) -> RecordBatchBytes {
            Self.changed(numbers) {
                $0.producerID = producer
                $0.attributes = 0x10
            }
        }
        // Producer 1 aborts, producer 2 commits, then 1 commits another; an aborting producer's plain row stays.
        var log = ScriptedBroker.Log([
            batch(0..<2, 1), batch(2..<4, 2), batch(4..<6, 1), .marker(at: 6, producerID: 1, isCommit: false), batch(7..<8, 1),
            .marker(at: 8, producerID: 2, isCommit: true), .marker(at: 9, producerID: 1, isCommit: true),
            Self.changed(10..<11) { $0.producerID = 1 },
        ])
        log.aborted = [AbortedTransaction(producerID: 1, firstOffset: 0)]
        let result = try readScripted(try ScriptedBroker(logs: [0: log]), 0, 11)
        #expect(result.failure == nil)
        #expect(result.seen.map(\.offset) == [2, 3, 7, 10])
    }

    @Test func `empty batches, holes and a batch that begins before the range`() throws {
        let empty = Self.changed(10..<11) { batch in
            batch.values = []
            batch.lastOffsetDelta = 9
        }
        let log = ScriptedBroker.Log([.init(numbers: 0..<10), empty, .init(numbers: 25..<30)])
        let result = try readScripted(try ScriptedBroker(logs: [0: log]), 7, 28)
        #expect(result.failure == nil)
        #expect(result.seen == Self.numbers(7, 10) + Self.numbers(25, 28))
    }

    @Test func `a hole at the log's end is passed by the range after the one that read up to it`() throws {
        let batch = Self.changed(0..<8) { $0.lastOffsetDelta = 9 }
        let broker = try ScriptedBroker(logs: [0: .init([batch])])
        defer { broker.end() }
        let reader = FetchReader(try KafkaConfiguration(bootstrap: broker.bootstrap), budgetBytes: 4 << 20)
        #expect(try reader.records("t", 0, 8) == Self.numbers(0, 8))
        #expect(try reader.records("t", 8, 10, timeoutMillis: 1000) == [])
    }

    typealias BadFrame = @Sendable (ScriptedBroker.Request, [UInt8]) -> [UInt8]

    static let badFrames: [(name: String, frame: BadFrame)] = [
        (
            "an answer to another request",
            { @Sendable request, body in
                var other = request
                other.correlation += 1
                return ScriptedBroker.frame(other, body)
            }
        ),
        ("a length beyond every bound", { @Sendable _, _ in [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0] }),
        ("a negative length", { @Sendable _, _ in [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0] }),
        (
            "more topics than bytes",
            { @Sendable request, body in
                ScriptedBroker.frame(request, Array(body[..<10]) + [0x7f, 0xff, 0xff, 0xff] + Array(body[14...]))
            }
        ),
        ("bytes behind the answer", { @Sendable request, body in ScriptedBroker.frame(request, body + [1, 2, 3]) }),
        (
            "records longer than the answer",
            { @Sendable request, body in
                var body = body
                body[body.count - 5] = 0x7f
                return ScriptedBroker.frame(request, body)
            }
        ),
    ]

    @Test(arguments: badFrames)
    func `an answer that cannot be is refused, and the right one is read over a new connection`(name: String, frame: @escaping BadFrame) throws {
        let empty = ScriptedBroker.fetched([(0, .init())])
        let broker = try ScriptedBroker(logs: [0: .init([.init(numbers: 0..<5)])]) { request in
            request.call == .fetch && request.number == 0 ? .raw(frame(request, empty + [])) : .usual
        }
        let result = try readScripted(broker, 0, 5)
        #expect(result.failure == nil)
        #expect(result.seen == Self.numbers(0, 5))
    }

    @Test func `an answer cut at any byte costs nothing but a new connection`() throws {
        let whole = ScriptedBroker.fetched([(0, .init([.init(numbers: 0..<5)]))])
        for place in stride(from: 0, to: whole.count + 8, by: 11) {
            let broker = try ScriptedBroker(logs: [0: .init([.init(numbers: 0..<5)])]) { request in
                guard request.call == .fetch && request.number == 0 else { return .usual }
                return .cut(Array(ScriptedBroker.frame(request, whole).prefix(place)))
            }
            let result = try readScripted(broker, 0, 5)
            #expect(result.failure == nil && result.seen == Self.numbers(0, 5), "cut at \(place)")
        }
    }

    @Test func `a broker that never answers stands still by name, and other partitions are read on`() throws {
        let broker = try ScriptedBroker(logs: [0: .init([.init(numbers: 0..<5)])]) { request in request.call == .fetch ? .silence : .usual }
        let start = ContinuousClock.now
        let result = try readScripted(broker, 0, 5, timeoutMillis: 500)
        #expect(result.failure?.code == .readTimeout)
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test func `metadata that change with each question end in a standstill`() throws {
        let broker = try ScriptedBroker(logs: [0: .init([.init(numbers: 0..<5)])]) { request in
            request.call == .metadata ? .body((0..<40).map { UInt8(truncatingIfNeeded: ($0 * 37 + request.number * 11) % 251) }) : .usual
        }
        let result = try readScripted(broker, 0, 5, timeoutMillis: 500)
        #expect(result.failure?.code == .readTimeout)
        #expect(result.failure?.why.contains("cannot be") == true, "\(result.failure?.why ?? "")")
    }

    @Test func `offsets that go back are refused`() throws {
        let broker = try ScriptedBroker(logs: [0: .init([.init(numbers: 0..<20)])]) { request in
            guard request.call == .fetch else { return .usual }
            return .body(ScriptedBroker.fetched([(0, .init([.init(numbers: 0..<5)], end: 20))]))
        }
        let result = try readScripted(broker, 0, 20)
        #expect(result.failure?.code == .kafkaFatal)
        #expect(result.seen == Self.numbers(0, 5))
    }

    @Test func `a broken partition leaves the others alone`() throws {
        let broker = try ScriptedBroker(logs: [
            0: .init([.init(numbers: 0..<5), Self.changed(5..<10) { $0.breaksChecksum = true }]), 1: .init([.init(numbers: 0..<5)]),
        ])
        defer { broker.end() }
        let reader = FetchReader(try KafkaConfiguration(bootstrap: broker.bootstrap), budgetBytes: 4 << 20)
        try reader.follow((0..<2).map { OffsetRange(topic: "t", partition: $0, from: 0, until: 0) })
        #expect(throws: Failure.self) { try reader.records("t", 0, 10) }
        #expect(try reader.records("t", partition: 1, 0, 5) == Self.numbers(0, 5))
    }
}
