// Outages told apart from refusals: what ends a job, and what it waits for.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits) struct KafkaTroubleTests {
    /// Numbers of the protocol; negative ones are the library's own.
    struct Case: Sendable, CustomStringConvertible {
        var trouble: KafkaTrouble
        var codes: [Int32]
        var description: String { "\(trouble)" }
    }

    static let cases = [
        Case(trouble: .silence, codes: [-195, -193, -192, -187, -185, -181, -180, -166, -197, -137]),
        Case(trouble: .unknownTopic, codes: [3, 100, 103, -188, -190]),
        Case(trouble: .login, codes: [33, 34, 58, -169]),
        Case(trouble: .foreignMembers, codes: [22, 25, 27, 68]),
        // Leaders and coordinators that move, load, wait for followers or are fenced; disks of brokers; quotas.
        Case(
            trouble: .weather,
            codes: [-1, 1, 5, 6, 7, 8, 9, 11, 13, 14, 15, 16, 19, 20, 41, 51, 56, 59, 60, 70, 71, 74, 75, 77, 78, 88, 89]),
        Case(trouble: .weather, codes: [-194, -184, -182, -178, -164, -163, -153, -152, -151, -146]),
        Case(trouble: .final, codes: [2, 12, 32, 35, 43, 47, 87, 90, -199, -165, -150, -144]),
        Case(trouble: .setting, codes: [17, 24, 37, 38, 40, 44, 50, -186]),
        Case(trouble: .tooLarge, codes: [10, 18]),
    ]

    @Test(arguments: cases) func `every code is the trouble that it is, and what may pass is weather`(_ c: Case) {
        for code in c.codes { #expect(KafkaTrouble(code: code) == c.trouble, "\(code)") }
    }

    @Test func `a number that no table knows is weather`() {
        for code in [99, 130, 999, -300] as [Int32] { #expect(KafkaTrouble(code: code) == .weather) }
    }

    @Test func `a topic is missing when brokers have said so twice with a pause between`() {
        var sighting = TopicSighting()
        #expect(sighting.answered(nil, nowMillis: 100) == .askAgain(afterMillis: TopicSighting.pauseMillis))
        #expect(sighting.answered(nil, nowMillis: 900) == .askAgain(afterMillis: TopicSighting.pauseMillis - 800))
        #expect(sighting.answered(nil, nowMillis: 100 + TopicSighting.pauseMillis) == .missing([]))
    }

    @Test func `a topic that one broker had not heard of yet is there`() {
        var sighting = TopicSighting(expected: [0, 2])
        #expect(sighting.answered(nil, nowMillis: 0) == .askAgain(afterMillis: TopicSighting.pauseMillis))
        #expect(sighting.answered([0, 1], nowMillis: 500) == .askAgain(afterMillis: TopicSighting.pauseMillis - 500))
        #expect(sighting.answered([0, 1, 2], nowMillis: 900) == .there([0, 1, 2]))
        // The pause begins anew.
        #expect(sighting.answered([0], nowMillis: 5000) == .askAgain(afterMillis: TopicSighting.pauseMillis))
        #expect(sighting.answered([0], nowMillis: 9000) == .missing([2]))
    }
}

@Suite(.waits, .enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason))
struct OutageTests {
    @Test func `with every broker away a topic is not missing, and is asked for again when they are back`() throws {
        let kafka = try KafkaFixture.own()
        let topic = try kafka.topic(partitions: 2)
        let partitions = (0..<2).map { TopicPartition(topic: topic, partition: $0) }
        let queries = try OffsetQueries(kafka.configuration(), timeoutMillis: 2_000)
        let group = "sluice.\(topic)"
        #expect(try queries.ends(partitions).count == 2)
        #expect(try queries.topicID(of: topic) != nil)
        try queries.commit(group: group, [KafkaPosition(partitions[0], offset: 0, metadata: "batch=1 epoch=1")])
        try kafka.killBroker()
        let fresh = try OffsetQueries(kafka.configuration(), timeoutMillis: 1_000)
        let outages: [Failure.Code?] = [.brokerUnreachable, .kafkaTransient]
        for asked in [queries, fresh] {
            #expect(outages.contains(code { _ = try asked.ends(partitions) }))
            #expect(outages.contains(code { _ = try asked.starts(partitions) }))
            #expect(outages.contains(code { _ = try asked.highWatermarks(partitions) }))
            #expect(outages.contains(code { _ = try asked.partitions(of: topic) }))
            #expect(outages.contains(code { _ = try asked.exists(topic) }))
            #expect(outages.contains(code { _ = try asked.topicID(of: topic) }))
            #expect(outages.contains(code { _ = try asked.identity(of: [topic], partitions) }))
            #expect(outages.contains(code { _ = try asked.settings(of: topic) }))
            #expect(outages.contains(code { _ = try asked.committed(group: group, partitions) }))
            #expect(outages.contains(code { try asked.commit(group: group, [KafkaPosition(partitions[0], offset: 0)]) }))
        }
        try kafka.startBroker()
        #expect(eventually { (try? queries.ends(partitions).count) == 2 })
        #expect(try queries.partitions(of: topic) == [0, 1])
        #expect(try queries.committed(group: group, partitions)[partitions[0]]?.metadata == "batch=1 epoch=1")
    }

    @Test func `a topic that was deleted is missing by the word of the brokers`() throws {
        let kafka = try KafkaFixture.shared()
        let topic = try kafka.topic(partitions: 2)
        let partitions = (0..<2).map { TopicPartition(topic: topic, partition: $0) }
        let queries = try OffsetQueries(kafka.configuration())
        #expect(try queries.ends(partitions).count == 2)
        try TopicAdmin(kafka.configuration()).deleteTopic(topic)
        // The brokers are told of it one after the other.
        #expect(eventually { code { _ = try queries.ends(partitions) } == .topicMissing })
        #expect(code { _ = try queries.identity(of: [topic], partitions) } == .topicMissing)
        let other = try kafka.topic()
        let fewer = [0, 1].map { TopicPartition(topic: other, partition: $0) }
        let failure = try #require(throws: Failure.self) { try queries.ends(fewer) }
        #expect(failure.code == .topicMissing)
        #expect(failure.what.contains("\(other)/1") && !failure.what.contains("\(other)/0"))
    }
}

@Suite(.waits) struct GoneOffsetsTests {
    private let range = OffsetRange(topic: "t", partition: 0, from: 100, until: 200)

    @Test func `only records that lie before the partition's beginning are a loss to accept`() {
        let deleted = GoneOffsets.failure(range, held: 150..<900)
        #expect(deleted.code == .offsetsGone && deleted.why.contains("50 offsets") && deleted.now.contains("--accept-loss"))
        let emptied = GoneOffsets.failure(range, held: 500..<500)
        #expect(emptied.code == .offsetsGone && emptied.why.contains("100 offsets"))
    }

    @Test func `a topic that was truncated or made again while it was read is not told as deleted records`() {
        for held in [0..<99, 0..<0, 0..<5000, 100..<100] as [Range<Int64>] {
            let other = GoneOffsets.failure(range, held: held)
            #expect(other.code == .topicRecreated, "\(held)")
            #expect(other.why.contains("made again, or truncated") && !other.description.contains("accept"), "\(other)")
        }
    }

    @Test func `where Kafka does not tell what is left nothing is decided`() {
        #expect(GoneOffsets.failure(range, held: nil).code == .kafkaTransient)
    }
}

@Suite(.waits) struct ConnectionHintTests {
    /// The words of librdkafka 2.16, as real brokers caused them.
    @Test(arguments: [
        ("127.0.0.1:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 1ms in state APIVERSION_QUERY)", "wants TLS"),
        (
            "ssl://127.0.0.1:1/bootstrap: SSL handshake failed: Disconnected: SSL connection closed by peer: connecting to a PLAINTEXT broker listener? (after 4ms in state SSL_HANDSHAKE)",
            "speaks no TLS"
        ),
        (
            "sasl_ssl://127.0.0.1:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified",
            "no authority"
        ),
        (
            "sasl_ssl://127.0.0.1:1/bootstrap: Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42 (after 0ms in state APIVERSION_QUERY)",
            "the certificate that this client shows"
        ),
        ("SSL receive failed: error:0A000416:SSL routines::sslv3 alert certificate unknown, in state APIVERSION_QUERY", "the certificate that this client shows"),
    ])
    func `a port that speaks TLS or does not is named as the cause`(words: String, cause: String) {
        #expect(ConnectionHint.of(words)?.why.contains(cause) == true)
    }

    @Test func `an address that the cluster named is told from one that was given`() {
        #expect(ConnectionHint.isOfNamedBroker("127.0.0.1:9/1: Connect to ipv4#127.0.0.1:9 failed: Connection refused (after 0ms in state CONNECT)"))
        #expect(!ConnectionHint.isOfNamedBroker("127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)"))
        #expect(!ConnectionHint.isOfNamedBroker("sasl_ssl://h:9/3: SSL handshake failed: certificate verify failed"))
    }

    @Test func `a broker that is only away gets no hint`() {
        #expect(ConnectionHint.of("127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)") == nil)
    }
}

/// What records are hidden, how old they are, and what a broker says of a topic.
@Suite(.waits, .enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason))
struct SourceQuestionTests {
    @Test func `records behind a hanging transaction are seen in the high watermark, with their time`() throws {
        let kafka = try KafkaFixture.shared()
        let topic = try kafka.topic()
        let place = TopicPartition(topic: topic, partition: 0)
        let queries = try OffsetQueries(kafka.configuration())
        try KafkaProducer(kafka.configuration()).sendNumbers(4, topic: topic)
        let producer = try KafkaProducer(kafka.configuration(), transactionalID: "hang-\(topic)")
        try producer.initTransactions()
        try producer.beginTransaction()
        let stamped: Int64 = 1_700_000_000_000
        try producer.send(topic: topic, text: "hidden", timestampMillis: stamped)
        try producer.sendNumbers(9, topic: topic)
        #expect(try queries.ends([place]) == [place: 4])
        #expect(try queries.highWatermarks([place]) == [place: 14])
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        // The first four are stamped later: Kafka's retention goes by the largest up to an offset.
        let times = try queries.times(at: [place: 0], nowMillis: now)
        #expect(abs((times[place] ?? 0) - now) < 600_000)
        try producer.abortTransaction()
    }

    @Test func `the time of an offset is found without reading it`() throws {
        let kafka = try KafkaFixture.shared()
        let topic = try kafka.topic()
        let place = TopicPartition(topic: topic, partition: 0)
        let producer = try KafkaProducer(kafka.configuration())
        let first: Int64 = 1_700_000_000_000
        for number in 0..<10 as Range<Int64> {
            try producer.send(topic: topic, text: "x", timestampMillis: first + number * 60_000)
        }
        try producer.flush()
        let queries = try OffsetQueries(kafka.configuration())
        for offset in [0, 3, 9] as [Int64] {
            let found = try #require(try queries.times(at: [place: offset], nowMillis: first + 86_400_000)[place])
            #expect(abs(found - (first + offset * 60_000)) <= 1000, "\(offset): \(found)")
        }
        #expect(try queries.times(at: [place: 10], nowMillis: first + 86_400_000)[place].map { abs($0 - first - 540_000) <= 1000 } ?? true)
        let empty = TopicPartition(topic: try kafka.topic(), partition: 0)
        #expect(try queries.times(at: [empty: 0], nowMillis: first).isEmpty)
    }

    @Test func `how a topic is kept is told, and its identity changes with it`() throws {
        let kafka = try KafkaFixture.shared()
        let topic = try kafka.topic(config: ["retention.ms": "3600000", "retention.bytes": "1000000", "segment.bytes": "1048576"])
        let place = TopicPartition(topic: topic, partition: 0)
        let queries = try OffsetQueries(kafka.configuration())
        let settings = try queries.settings(of: topic)
        #expect(settings.retentionMillis == 3_600_000 && settings.retentionBytes == 1_000_000)
        #expect(settings.segmentBytes == 1_048_576 && settings.isDeleted)
        #expect(try queries.settings(of: kafka.topic(config: ["cleanup.policy": "compact", "retention.ms": "-1"])).retentionMillis == nil)
        let before = try queries.identity(of: [topic], [place])
        #expect(before.topicID != nil && before.ends == [place: 0] && before.leaderEpochs == [place: 0])
        let admin = try TopicAdmin(kafka.configuration())
        try admin.remakeTopic(topic)
        #expect(eventually { (try? queries.identity(of: [topic], [place]).topicID).flatMap { $0 } != before.topicID })
    }

    @Test func `others in a job's group are named at once and not waited for`() throws {
        let kafka = try KafkaFixture.shared()
        let topic = try kafka.topic()
        let place = TopicPartition(topic: topic, partition: 0)
        let group = "sluice.\(topic)"
        let folder = try TemporaryDirectory()
        let consumer = try #require(KafkaLauncher.found).start(["console-consumer", kafka.folder, "--topic", topic, "--group", group], in: folder.path)
        defer { consumer.endGroup() }
        let queries = try OffsetQueries(kafka.configuration())
        var found: Failure?
        #expect(
            try eventually(withinSeconds: 60) {
                do {
                    try queries.commit(group: group, [KafkaPosition(place, offset: 0, metadata: "batch=1 epoch=1")])
                    return false
                } catch let failure as Failure {
                    found = failure
                    return failure.code == .notPossible
                }
            })
        #expect(found?.why.contains("others consume under that group's name") == true, "\(String(describing: found))")
    }
}
