// What a broker that lets nobody in, or not everything be done, is told as: words for a person.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits, .serialized, .enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason))
struct RefusalTests {
    private static let broker = Result {
        try KafkaFixture.own(
            settings: [
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:ANONYMOUS",
            ], isSecure: true)
    }

    private func failure(_ body: () throws -> Void) throws -> Failure { try #require(throws: Failure.self) { try body() } }

    @Test func `a right that an access list denies is named with what it is for`() throws {
        let kafka = try Self.broker.get()
        let topic = try kafka.topic()
        let place = TopicPartition(topic: topic, partition: 0)
        let alice = try OffsetQueries(kafka.secureConfiguration())
        for asked in [
            try failure { _ = try alice.partitions(of: topic) }, try failure { _ = try alice.topicID(of: topic) },
        ] {
            #expect(asked.code == .notAllowed && asked.now.contains("the right Read on that topic"), "\(asked)")
        }
        let committed = try failure { _ = try alice.committed(group: "sluice.x", [place]) }
        #expect(committed.code == .notAllowed && committed.now.contains("the right Read on that group"), "\(committed)")
        #expect(committed.what.contains("sluice.x"))
        let settings = try failure { _ = try alice.settings(of: topic) }
        #expect(settings.code == .notAllowed && settings.now.contains("DescribeConfigs"), "\(settings)")
        let producer = try KafkaProducer(kafka.secureConfiguration(), transactionalID: "sluice.x")
        let transaction = try failure { try producer.initTransactions(timeoutMillis: 10_000) }
        #expect(transaction.code == .notAllowed && transaction.now.contains("transactional ids"), "\(transaction)")
    }

    @Test func `a reader without the right to read is told so, and never that the topic is missing`() throws {
        let kafka = try Self.broker.get()
        let topic = try kafka.topic()
        let configuration = try kafka.secureConfiguration()
        let outcomes = sideBySide(
            ReaderKind.allCases.map { kind in
                { try kind.make(configuration, budgetBytes: 1 << 20).records(topic, 0, 1, timeoutMillis: 10_000) }
            })
        for (kind, outcome) in zip(ReaderKind.allCases, outcomes) {
            let refused = try failure { _ = try outcome.get() }
            #expect(refused.code == .notAllowed && refused.now.contains("the right Read on that topic"), "\(kind): \(refused)")
        }
    }

    @Test func `a plain client on a port that speaks TLS is told so, and the reverse`() throws {
        let kafka = try Self.broker.get()
        let secure = try KafkaConfiguration(bootstrap: kafka.secureConfiguration().bootstrap)
        let plain = try failure { _ = try OffsetQueries(secure, timeoutMillis: 3_000).brokers() }
        #expect(plain.code == .brokerUnreachable && plain.why.contains("wants TLS"), "\(plain)")
        #expect(plain.now.contains("kafka.security.protocol"))
        let reverse = try KafkaConfiguration(
            bootstrap: kafka.bootstrap, properties: ["security.protocol": "ssl", "ssl.ca.location": kafka.folder + "/tls/ca.crt"])
        let encrypted = try failure { _ = try OffsetQueries(reverse, timeoutMillis: 3_000).brokers() }
        #expect(encrypted.code == .brokerUnreachable && encrypted.why.contains("speaks no TLS"), "\(encrypted)")
    }

    @Test func `a wrong password is told as one, and no longer once the right one is known`() throws {
        let kafka = try Self.broker.get()
        let wrong = try OffsetQueries(kafka.secureConfiguration(password: "alice-new"), timeoutMillis: 5_000)
        let refused = try failure { _ = try wrong.brokers() }
        #expect(refused.code == .notAllowed && refused.now.contains("password"), "\(refused)")
        // The broker learns the password; the client's next try gets in.
        try kafka.run(
            "configs",
            [
                "--alter", "--entity-type", "users", "--entity-name", "alice", "--add-config",
                "SCRAM-SHA-256=[password=alice-new]",
            ])
        #expect(eventually(withinSeconds: 30) { (try? wrong.brokers().count) == 1 })
        try kafka.killBroker()
        let away = try failure { _ = try wrong.brokers() }
        #expect(away.code == .brokerUnreachable, "what was refused once is remembered: \(away)")
    }
}
