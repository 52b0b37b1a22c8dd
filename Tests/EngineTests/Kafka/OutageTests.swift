// Outages told apart from refusals: what ends a job, and what it waits for.

import Engine
import Foundation
import TestSupport
import Testing

struct KafkaTroubleTests {
    /// Numbers of the protocol; negative ones are the library's own.
    struct Case: Sendable, CustomStringConvertible {
        var trouble: KafkaTrouble
        var codes: [Int32]
        var description: String { "\(trouble)" }
    }

    static let cases = [
        Case(trouble: .silence, codes: [-195, -193, -192, -187, -185, -181, -180, -166, -197]),
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

@Suite(.enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason))
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
            #expect(outages.contains(code { _ = try asked.identity(of: topic, partitions) }))
            #expect(outages.contains(code { _ = try asked.settings(of: topic) }))
            #expect(outages.contains(code { _ = try asked.committed(group: group, partitions) }))
            #expect(outages.contains(code { try asked.commit(group: group, [KafkaPosition(partitions[0], offset: 0)]) }))
        }
        try kafka.startBroker()
        #expect(try eventually { (try? queries.ends(partitions).count) == 2 })
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
        #expect(try eventually { code { _ = try queries.ends(partitions) } == .topicMissing })
        #expect(code { _ = try queries.identity(of: topic, partitions) } == .topicMissing)
        let other = try kafka.topic()
        let fewer = [0, 1].map { TopicPartition(topic: other, partition: $0) }
        let failure = try #require(throws: Failure.self) { try queries.ends(fewer) }
        #expect(failure.code == .topicMissing)
        #expect(failure.what.contains("\(other)/1") && !failure.what.contains("\(other)/0"))
    }
}
