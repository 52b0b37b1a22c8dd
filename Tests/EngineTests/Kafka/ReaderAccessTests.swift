// Reading through mutual TLS and each login, with right and wrong credentials, from a real secure Kafka, by each reader.
//
// The listener demands a certificate of its authority, and every login is over after two seconds.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits, .enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason))
struct ReaderAccessTests {
    private static let secure = Result {
        try KafkaFixture.own(
            settings: ["listener.name.sasl_ssl.ssl.client.auth=required", "listener.name.sasl_ssl.connections.max.reauth.ms=2000"],
            isSecure: true)
    }

    /// The secure listener with some properties changed; nil takes one away.
    func configuration(_ changes: [String: String?] = [:]) throws -> KafkaConfiguration {
        let kafka = try Self.secure.get()
        var configuration = try kafka.secureConfiguration()
        configuration.properties["ssl.certificate.location"] = kafka.folder + "/tls/client.crt"
        configuration.properties["ssl.key.location"] = kafka.folder + "/tls/client.key"
        for (name, value) in changes { configuration.properties[name] = value }
        return configuration
    }

    func read(_ kind: ReaderKind, _ configuration: KafkaConfiguration, _ topic: String, timeoutMillis: Int = 20_000) throws -> [SeenRecord] {
        #expect(try ReaderChoice.of(.auto, properties: configuration.properties) == ReaderChoice(kind: .fetch))
        return try kind.make(configuration, budgetBytes: 4 << 20).records(topic, 0, 3, timeoutMillis: timeoutMillis)
    }

    func topic() throws -> String {
        let kafka = try Self.secure.get()
        let topic = try kafka.topic()
        try KafkaProducer(kafka.configuration()).sendNumbers(3, topic: topic)
        return topic
    }

    @Test(arguments: ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
    func `a user is let in by each mechanism, and not with a wrong password or name`(mechanism: String) throws {
        let topic = try topic()
        for kind in ReaderKind.allCases {
            #expect(try read(kind, configuration(["sasl.mechanism": mechanism]), topic).map(\.text) == ["0", "1", "2"])
        }
        let wrong = [["sasl.password": "mistaken"], ["sasl.username": "mallory"]]
        expectFailures(wrong.map { $0.merging(["sasl.mechanism": mechanism]) { $1 } }, topic) { failure in
            #expect(failure.code == .notAllowed, "\(failure)")
            #expect(!"\(failure)".contains("mistaken") && !"\(failure)".contains("alice-secret"))
        }
    }

    /// Each change with each reader, all at once.
    private func expectFailures(
        _ changes: [[String: String?]], _ topic: String, timeoutMillis: Int = 20_000, _ check: (Failure) -> Void
    ) {
        let works = ReaderKind.allCases.flatMap { kind in
            changes.map { changes in { try read(kind, configuration(changes), topic, timeoutMillis: timeoutMillis) } }
        }
        for outcome in sideBySide(works) {
            if let failure = #expect(throws: Failure.self, performing: { try outcome.get() }) { check(failure) }
        }
    }

    @Test func `a login that is over is made again, and reading goes on`() throws {
        let topic = try topic()
        let readers = try ReaderKind.allCases.map { try $0.make(configuration(), budgetBytes: 4 << 20) }
        defer { for reader in readers { reader.close() } }
        let producer = try KafkaProducer(Self.secure.get().configuration())
        let start = ContinuousClock.now
        var next: Int64 = 0
        // Over two logins' time, a record at a time.
        while ContinuousClock.now - start < .milliseconds(4500) {
            if next > 2 { try producer.sendNumbers(1, from: Int(next), topic: topic) }
            for reader in readers { #expect(try reader.records(topic, next, next + 1) == [SeenRecord(offset: next, text: "\(next)")]) }
            next += 1
            usleep(50_000)
        }
        #expect(readers.allSatisfy { $0.startCount == 1 })
    }

    @Test func `who shows no certificate of the broker's authority is not let in, and is told what it is about`() throws {
        let strangers = try TestCertificates()
        let wrong: [[String: String?]] = [
            ["ssl.certificate.location": nil, "ssl.key.location": nil],
            ["ssl.certificate.location": strangers.file("stranger.pem"), "ssl.key.location": strangers.file("stranger.key")],
        ]
        expectFailures(wrong, try topic(), timeoutMillis: 2500) { failure in
            #expect(failure.code == .readTimeout, "\(failure)")
            #expect(
                failure.why.contains("the certificate that this client shows") && failure.now.contains("kafka.ssl.certificate.location"),
                "\(failure)")
        }
    }

    @Test func `a broker with a certificate of an unknown authority is not spoken to`() throws {
        expectFailures([["ssl.ca.location": nil]], try topic(), timeoutMillis: 1500) { failure in
            #expect(failure.code == .readTimeout)
            #expect(failure.why.contains("certificate verify failed"), "\(failure)")
            #expect(failure.now.contains("kafka.ssl.ca.location"), "\(failure)")
        }
    }

    @Test(arguments: ReaderKind.allCases) func `a certificate without a check is taken when a person says so`(_ kind: ReaderKind) throws {
        let seen = try read(kind, configuration(["ssl.ca.location": nil, "enable.ssl.certificate.verification": "false"]), try topic())
        #expect(seen.count == 3)
    }

    @Test func `a port that speaks no TLS is told from one that is away, and a port that does`() throws {
        let topic = try topic()
        var encrypted = try configuration()
        encrypted.bootstrap = try Self.secure.get().bootstrap
        let plain = try KafkaConfiguration(bootstrap: configuration().bootstrap)
        let cases = [(encrypted, "speaks no TLS"), (plain, "perhaps that port wants TLS or a login")]
        for (configuration, words) in cases {
            for outcome in sideBySide(ReaderKind.allCases.map { kind in { try read(kind, configuration, topic, timeoutMillis: 1500) } }) {
                let failure = #expect(throws: Failure.self) { try outcome.get() }
                #expect(failure?.code == .readTimeout)
                #expect(failure?.why.contains(words) == true && failure?.now.contains("kafka.security.protocol") == true, "\(String(describing: failure))")
            }
        }
    }
}
