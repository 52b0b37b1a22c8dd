// Reading by fetch through TLS and each login, with right and wrong credentials, from a real secure Kafka.

import Engine
import TestSupport
import Testing

@Suite(.enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason))
struct FetchAccessTests {
    private static let secure = Result { try KafkaFixture.own(isSecure: true) }

    /// The secure listener with some properties changed; nil takes one away.
    func configuration(_ changes: [String: String?] = [:]) throws -> KafkaConfiguration {
        var configuration = try Self.secure.get().secureConfiguration()
        for (name, value) in changes { configuration.properties[name] = value }
        return configuration
    }

    func read(_ configuration: KafkaConfiguration, _ topic: String, timeoutMillis: Int = 20_000) throws -> [SeenRecord] {
        #expect(try ReaderChoice.of(.auto, properties: configuration.properties) == ReaderChoice(kind: .fetch))
        return try FetchReader(configuration, budgetBytes: 4 << 20).records(topic, 0, 3, timeoutMillis: timeoutMillis)
    }

    func topic() throws -> String {
        let kafka = try Self.secure.get()
        let topic = try kafka.topic()
        try KafkaProducer(kafka.configuration()).sendNumbers(3, topic: topic)
        return topic
    }

    @Test(arguments: ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
    func `a user is let in by each mechanism, and not with a wrong password`(mechanism: String) throws {
        let topic = try topic()
        let seen = try read(configuration(["sasl.mechanism": mechanism]), topic)
        #expect(seen.map(\.text) == ["0", "1", "2"])
        let failure = try #require(throws: Failure.self) {
            try read(configuration(["sasl.mechanism": mechanism, "sasl.password": "wrong"]), topic)
        }
        #expect(failure.code == .notAllowed, "\(failure)")
        #expect(!"\(failure)".contains("wrong"))
    }

    @Test func `a broker with a certificate of an unknown authority is not spoken to`() throws {
        let failure = try #require(throws: Failure.self) {
            try read(configuration(["ssl.ca.location": nil]), try topic(), timeoutMillis: 1500)
        }
        #expect(failure.code == .readTimeout)
        #expect(failure.why.contains("certificate verify failed"))
        #expect(failure.why.contains("kafka.ssl.ca.location") || failure.why.contains("authority"))
    }

    @Test func `a certificate without a check is taken when a person says so`() throws {
        let seen = try read(configuration(["ssl.ca.location": nil, "enable.ssl.certificate.verification": "false"]), try topic())
        #expect(seen.count == 3)
    }

    @Test func `a port that speaks no TLS is told from one that is away`() throws {
        var configuration = try configuration()
        configuration.bootstrap = try Self.secure.get().bootstrap
        let topic = try topic()
        let failure = try #require(throws: Failure.self) { try read(configuration, topic, timeoutMillis: 1500) }
        #expect(failure.code == .readTimeout)
        #expect(failure.why.contains("speaks no TLS"), "\(failure.why)")
    }

    @Test func `a plain reader at a TLS port is told so`() throws {
        let secure = try configuration()
        let plain = try KafkaConfiguration(bootstrap: secure.bootstrap)
        let failure = try #require(throws: Failure.self) { try read(plain, "any", timeoutMillis: 1500) }
        #expect(failure.why.contains("perhaps that port wants TLS or a login"), "\(failure.why)")
    }
}
