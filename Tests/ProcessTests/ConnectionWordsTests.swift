import Engine
import Foundation
import TestSupport
import Testing

extension OwnKafkaTests {
    /// What is said, and how soon, when a set-up does not fit the broker.
    @Suite(.waits) struct ConnectionWordsTests {
        private func timed(_ body: () throws -> ProcessResult) rethrows -> (result: ProcessResult, took: Duration) {
            let began = ContinuousClock.now
            let result = try body()
            return (result, .now - began)
        }

        /// The secure listener's settings, the password in a file.
        private func secure(_ harness: JobHarness, password: String) throws -> [String] {
            let kafka = try OwnKafkaTests.kafka.get()
            let file = harness.directory.file("password")
            try password.write(toFile: file, atomically: true, encoding: .utf8)
            #expect(chmod(file, 0o600) == 0)
            return [
                "--bootstrap", try kafka.secureConfiguration().bootstrap, "--kafka.security.protocol=sasl_ssl",
                "--kafka.sasl.mechanism=SCRAM-SHA-256", "--kafka.sasl.username=alice", "--kafka.sasl.password=file:\(file)",
                "--kafka.ssl.ca.location=\(kafka.folder)/tls/ca.crt",
            ]
        }

        private func arguments(_ harness: JobHarness, _ flags: [String]) -> [String] {
            [
                "run", "campaign-views", "--topic", harness.topic, "--sink", harness.sink, "--workers", "0", "--ads", "ads.csv",
                "--until-caught-up",
            ] + flags
        }

        @Test func `a plain client on a port that wants TLS is told so within its patience`() throws {
            let harness = try OwnKafkaTests.harness()
            try harness.generate(events: 100)
            let port = try OwnKafkaTests.kafka.get().secureConfiguration().bootstrap
            let (refused, took) = try timed {
                try SluiceProcess.run(arguments(harness, ["--bootstrap", port, "--set", "patience=2s"]), in: harness.directory.path)
            }
            #expect(refused.status == 1)
            #expect(
                refused.errors.contains("wants TLS or a login") && refused.errors.contains("kafka.security.protocol"), "\(refused.errors)")
            #expect(!refused.errors.contains("handle destroyed") && took < .seconds(30), "\(took) \(refused.errors)")
        }

        @Test func `a wrong password is said at once, and does not stick once it is right`() throws {
            let harness = try OwnKafkaTests.harness()
            try harness.generate(events: 2000)
            let wrong = try secure(harness, password: "not-this-one")
            let (refused, took) = try timed { try SluiceProcess.run(arguments(harness, wrong), in: harness.directory.path) }
            #expect(refused.status == 1)
            #expect(refused.errors.contains("did not let us in") && refused.errors.contains("check user, password"), "\(refused.errors)")
            #expect(!refused.errors.contains("not-this-one") && took < .seconds(30), "\(took) \(refused.errors)")
            let right = try SluiceProcess.run(arguments(harness, secure(harness, password: "alice-secret")), in: harness.directory.path)
            #expect(right.status == 0, "\(right.errors)")
            #expect(!right.errors.contains("did not let us in"), "\(right.errors)")
            try harness.expectExact()
        }

        @Test func `others in the job's group are named, and do not hold its end up`() throws {
            let kafka = try OwnKafkaTests.kafka.get()
            let harness = try OwnKafkaTests.harness()
            try harness.generate(events: 1000, extra: ["--start", "2026-03-01T12:00:00Z"])
            try harness.run(workers: 0)
            let group = "sluice.campaign-views"
            let launcher = try #require(KafkaLauncher.found)
            let other = try launcher.start(
                ["console-consumer", kafka.folder, "--topic", harness.topic, "--group", group], in: harness.directory.path)
            defer { other.endGroup() }
            let queries = try OffsetQueries(kafka.configuration())
            let place = TopicPartition(topic: harness.topic, partition: 0)
            #expect(
                eventually(withinSeconds: 60) {
                    do {
                        // As an older commit of ours, which proves nothing.
                        try queries.commit(group: group, [KafkaPosition(place, offset: 0, metadata: "batch=1 epoch=1")])
                        return false
                    } catch { return (error as? Failure)?.code == .notPossible }
                })
            try harness.generate(events: 1000, extra: ["--start", "2026-03-02T00:00:00Z"], expected: "more.csv")
            let (ended, took) = try timed { try harness.run(workers: 0) }
            #expect(ended.errors.contains("others consume under that group's name"), "\(ended.errors)")
            #expect(took < .seconds(8), "\(took)")
            #expect(try harness.campaignViews() == (harness.expected() + harness.expected("more.csv")).sorted())
        }
    }
}
