// Answers to Fetch taken apart in pieces of every size, and what a reader makes of a broker's errors.

import Engine
import Foundation
import Synchronization
import TestSupport
import Testing

/// Keeps what a parser says.
final class AnswerSink: FetchAnswerReceiver {
    struct Part: Equatable {
        var topic: String?
        var topicID: TopicID
        var partition: Int32
        var error: Int16
        var highWatermark: Int64
        var aborted: [AbortedTransaction]
        var diverging: Int64?
        var leader: Int32?
        var records: [UInt8]
    }
    var parts: [Part] = []
    var brokers: [Int32: BrokerAddress] = [:]

    func recordsCome(of partition: FetchedPartition) -> FetchBuffer? { FetchBuffer(capacity: 8) }

    func partitionCame(_ partition: FetchedPartition, records: FetchBuffer?) {
        parts.append(
            Part(
                topic: partition.topic, topicID: partition.topicID, partition: partition.partition, error: partition.error,
                highWatermark: partition.highWatermark, aborted: partition.aborted, diverging: partition.diverging?.endOffset,
                leader: partition.currentLeader?.broker, records: records.map { Array($0.bytes) } ?? []))
    }

    func brokerNamed(_ broker: Int32, at address: BrokerAddress) { brokers[broker] = address }
}

/// Feeds an answer in pieces of so many bytes.
/// - Returns: what came of it, and the error that ended it.
func parse(_ frame: [UInt8], version: Int16, correlation: Int32, piece: Int) -> (sink: AnswerSink, isDone: Bool, error: WireError?) {
    let parser = FetchAnswerParser()
    let sink = AnswerSink()
    parser.begin(version: version, correlation: correlation, mostBytes: 1 << 20)
    var place = 0
    do {
        while !parser.isDone && place < frame.count {
            let room = parser.room()
            let count = min(piece, room.count, frame.count - place)
            frame.withUnsafeBytes { room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[place..<place + count])) }
            place += count
            try parser.received(count, sink)
        }
        return (sink, parser.isDone, nil)
    } catch {
        return (sink, false, error as? WireError)
    }
}

@Suite(.waits) struct FetchAnswerTests {
    /// Version 16: two partitions of a topic with an id, one with records and aborted transactions, one with an epoch that
    /// diverges and a leader hint, and the leader's address.
    static let flexible: [UInt8] = {
        var body = NetworkBytes()
        body.int32(5)
        body.int8(0)
        body.int32(0)
        body.int16(0)
        body.int32(0)
        body.int8(2)
        body.int64(0x0102_0304_0506_0708)
        body.int64(9)
        body.int8(3)
        body.int32(0)
        body.int16(0)
        for offset in [40, 40, 0] as [Int64] { body.int64(offset) }
        body.int8(2)
        body.int64(7)
        body.int64(3)
        body.int8(0)
        body.int32(-1)
        body.int8(6)
        body.bytes += [1, 2, 3, 4, 5]
        body.int8(0)
        body.int32(1)
        body.int16(6)
        for offset in [-1, -1, -1] as [Int64] { body.int64(offset) }
        body.int8(0)
        body.int32(-1)
        body.int8(1)
        body.int8(2)
        body.bytes += [0, 13]
        body.int32(4)
        body.int64(77)
        body.int8(0)
        body.bytes += [1, 9]
        body.int32(2)
        body.int32(8)
        body.int8(0)
        body.int8(0)
        // The answer's own tag 0: where broker 2 is.
        body.int8(1)
        body.bytes += [0, 13, 2]
        body.int32(2)
        body.bytes += [2, UInt8(ascii: "h")]
        body.int32(9092)
        body.bytes += [0, 0]
        var frame = NetworkBytes()
        frame.int32(body.bytes.count)
        return frame.bytes + body.bytes
    }()

    @Test(arguments: [1, 2, 3, 5, 7, 64, 5000]) func `an answer cut anywhere gives the same parts`(piece: Int) {
        let (sink, isDone, error) = parse(Self.flexible, version: 16, correlation: 5, piece: piece)
        #expect(error == nil && isDone)
        let id = TopicID(high: 0x0102_0304_0506_0708, low: 9)
        #expect(
            sink.parts == [
                .init(
                    topic: nil, topicID: id, partition: 0, error: 0, highWatermark: 40,
                    aborted: [AbortedTransaction(producerID: 7, firstOffset: 3)], diverging: nil, leader: nil, records: [1, 2, 3, 4, 5]),
                .init(
                    topic: nil, topicID: id, partition: 1, error: 6, highWatermark: -1, aborted: [], diverging: 77, leader: 2, records: []),
            ])
        #expect(sink.brokers == [2: BrokerAddress(host: "h", port: 9092)])
    }

    @Test func `an answer that ends early is not done, and one with a wrong length is malformed`() {
        for count in 0..<Self.flexible.count {
            let (_, isDone, error) = parse(Array(Self.flexible[..<count]), version: 16, correlation: 5, piece: 100)
            #expect(!isDone && error == nil, "cut at \(count)")
        }
        for length in stride(from: 4, to: Self.flexible.count - 4, by: 1) {
            var frame = Self.flexible
            frame[3] = UInt8(length)
            let (_, isDone, error) = parse(frame, version: 16, correlation: 5, piece: 100)
            #expect(!isDone && error != nil, "length \(length)")
        }
    }

    @Test(arguments: 0..<flexible.count) func `a wrong byte is an error or other contents, never more than the frame`(place: Int) {
        for value in [0, 1, 0x7f, 0x80, 0xff] as [UInt8] {
            var frame = Self.flexible
            frame[place] = value
            let (sink, _, _) = parse(frame, version: 16, correlation: 5, piece: 9)
            #expect(sink.parts.count <= 3)
            #expect(sink.parts.allSatisfy { $0.records.count < frame.count })
        }
    }

    // MARK: errors of a broker

    @Test(arguments: [3, 5, 6, 9, 56, 74, 75, 78, 7, 100, 12_345] as [Int16])
    func `an error that passes is asked again`(code: Int16) throws {
        let broker = try ScriptedBroker(logs: [0: .init([.init(numbers: 0..<5)])]) { request in
            guard request.call == .fetch, request.number < 3 else { return .usual }
            var log = ScriptedBroker.Log()
            log.error = code
            return .body(ScriptedBroker.fetched([(0, log)]))
        }
        let result = try readScripted(broker, 0, 5, timeoutMillis: 5000)
        #expect(result.failure == nil, "\(FetchTrouble.name(code))")
        #expect(result.seen == HostileBrokerTests.numbers(0, 5))
    }

    @Test(arguments: [(29, Failure.Code.notAllowed), (35, .kafkaFatal), (76, .kafkaFatal), (2, .kafkaFatal)] as [(Int16, Failure.Code)])
    func `an error that stays ends the range by name`(code: Int16, expected: Failure.Code) throws {
        var log = ScriptedBroker.Log([.init(numbers: 0..<5)])
        log.error = code
        log.batches = []
        let result = try readScripted(try ScriptedBroker(logs: [0: log]), 0, 5)
        #expect(result.failure?.code == expected)
        #expect(result.failure?.what.contains("t/0") == true)
    }

    @Test(arguments: [
        (Int64(40), Int64(100), Failure.Code.offsetsGone), (0, 8, .topicRecreated), (0, 100, .topicRecreated),
    ]) func `an offset that is not there is explained by what the leader holds`(start: Int64, end: Int64, code: Failure.Code) throws {
        var log = ScriptedBroker.Log()
        (log.error, log.start, log.end) = (1, start, end)
        let result = try readScripted(try ScriptedBroker(logs: [0: log]), 10, 60)
        #expect(result.failure?.code == code, "\(result.failure.map { "\($0)" } ?? "")")
    }

    @Test func `a throttled connection is left alone for that time`() throws {
        let times = Mutex<[ContinuousClock.Instant]>([])
        let broker = try ScriptedBroker(logs: [0: .init([.init(numbers: 0..<5)])]) { request in
            guard request.call == .fetch else { return .usual }
            times.withLock { $0.append(.now) }
            if request.number > 0 { return .usual }
            var body = ScriptedBroker.fetched([(0, .init())])
            body[2] = 1
            return .body(body)
        }
        let result = try readScripted(broker, 0, 5, timeoutMillis: 5000)
        #expect(result.seen.count == 5)
        let asked = times.withLock { $0 }
        #expect(asked[1] - asked[0] >= .milliseconds(250))
    }

    @Test func `the prompt connection is free for the next range while records of this one are here`() throws {
        let asked = Mutex<[(connection: Int, partition: Int32, offset: Int64)]>([])
        let logs = Dictionary(uniqueKeysWithValues: (0..<3).map { (Int32($0), ScriptedBroker.Log([.init(numbers: 0..<5)])) })
        let broker = try ScriptedBroker(logs: logs) { request in
            guard request.call == .fetch else { return .usual }
            let wanted = ScriptedBroker.asked(request)
            asked.withLock { asked in asked += wanted.map { (request.connection, $0.partition, $0.offset) } }
            // The patient one stands at the end for ever.
            return wanted.contains { $0.partition == 0 && $0.offset == 5 } ? .silence : .usual
        }
        defer { broker.end() }
        let reader = FetchReader(try KafkaConfiguration(bootstrap: broker.bootstrap), budgetBytes: 4 << 20)
        for partition in [0, 1, 2] as [Int32] {
            #expect(try reader.records("t", partition: partition, 0, 5) == HostileBrokerTests.numbers(0, 5))
        }
        let prompt = asked.withLock { asked in asked.filter { $0.partition > 0 } }
        #expect(prompt.map(\.offset) == [0, 0])
        #expect(Set(prompt.map(\.connection)).count == 1)
    }

    @Test func `a connection whose login is about to end is left for another in time`() throws {
        let lifetime = Duration.milliseconds(400)
        let asked = Mutex<[Int: [(call: WireCall, at: ContinuousClock.Instant)]]>([:])
        let broker = try ScriptedBroker(logs: [0: .init([.init(numbers: 0..<5)])]) { request in
            asked.withLock { $0[request.connection, default: []].append((request.call, .now)) }
            return request.call == .saslAuthenticate ? .body(ScriptedBroker.letIn(request, lifetimeMillis: 400)) : .usual
        }
        defer { broker.end() }
        let access = [
            "security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "u", "sasl.password": "p",
            "metadata.max.age.ms": "100",
        ]
        let reader = FetchReader(try KafkaConfiguration(bootstrap: broker.bootstrap, properties: access), budgetBytes: 4 << 20)
        let start = ContinuousClock.now
        for cut in [0, 5, 10] as [Int64] {
            broker.change(0) { $0 = .init([.init(numbers: 0..<5), .init(numbers: 5..<10), .init(numbers: 10..<15)].dropLast(2 - Int(cut / 5))) }
            #expect(try reader.records("t", cut, cut + 5) == HostileBrokerTests.numbers(cut, cut + 5))
            // Longer than a login lasts, and never asked in vain: a broker would hang up.
            while ContinuousClock.now - start < lifetime * (2 + Double(cut / 5)) * 0.6 { usleep(5_000) }
        }
        let connections = asked.withLock { $0 }
        #expect(connections.count >= 4, "two of the reader's at least, and of who asks for metadata")
        for (number, requests) in connections {
            guard let login = requests.first(where: { $0.call == .saslAuthenticate }) else { continue }
            #expect(requests.allSatisfy { $0.at - login.at < lifetime }, "connection \(number)")
        }
    }

    /// As of records in a slower tier, or of a follower that is behind. Kafka's own plugin for tiers is in none of its releases.
    @Test func `answers without records, although some are there, are neither an end nor asked for without a pause`() throws {
        let start = ContinuousClock.now
        let broker = try ScriptedBroker(logs: [0: .init([.init(numbers: 0..<5)])]) { request in
            guard request.call == .fetch, ContinuousClock.now - start < .milliseconds(300) else { return .usual }
            var log = ScriptedBroker.Log()
            log.end = 5
            return .body(ScriptedBroker.fetched([(0, log)], version: request.version))
        }
        let result = try readScripted(broker, 0, 5, timeoutMillis: 5000)
        #expect(result.failure == nil && result.seen == HostileBrokerTests.numbers(0, 5))
        #expect(broker.count(.fetch) < 100)
    }

    @Test func `a partition that metadata do not list is missing`() throws {
        // Version 8 of Metadata has no ids: an unknown topic that stays unknown is missing.
        let broker = try ScriptedBroker(logs: [:])
        let result = try readScripted(broker, 0, 5, timeoutMillis: 8000)
        #expect(result.failure?.code == .topicMissing)
    }
}
