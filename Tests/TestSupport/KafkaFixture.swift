// A real Kafka for the tests of this process: started when the first test asks, stopped when the process ends.
//
// The broker runs from `kafka` (a launcher beside the repository, or in SLUICE_KAFKA_HOME) in a temporary folder. A
// watchdog holds the other end of a pipe: when this process ends in whatever way, the pipe closes, and the watchdog
// stops the broker and removes the folder. Tests share the one broker and take topics of their own.
//
// Where there is no launcher, tests that need a real Kafka are to be skipped by name, with `KafkaFixture.reason`:
//     @Test(.enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason)) func ...

import Engine
import Foundation
import Synchronization
import Testing

package final class KafkaFixture: Sendable {
    package let bootstrap: String
    package let folder: String
    private let launcher: KafkaLauncher
    private let topicCount = Atomic<Int>(0)
    private let admin: TopicAdmin

    package static let reason: Comment = "needs a real Kafka (../shared/kafka or SLUICE_KAFKA_HOME)"
    package static let isAvailable = KafkaLauncher.found != nil

    /// The process's broker, started by the first use.
    /// - Throws: when there is a launcher and the broker does not start; guard with `isAvailable`.
    package static func shared() throws -> KafkaFixture { try started.get() }
    private static let started = Result { try KafkaFixture() }

    /// A broker for one test that kills it or needs other settings; it lives until the process ends, like the shared one.
    /// - Parameter isSecure: with a listener that speaks SASL_SSL, too; see `secureConfiguration`.
    package static func own(settings: [String] = [], isSecure: Bool = false, brokers: Int = 1) throws -> KafkaFixture {
        try KafkaFixture(settings: settings, isSecure: isSecure, brokers: brokers)
    }

    /// kill -9 of one broker (they count from 1) or of all, and the start of all that do not run, on the same ports with the
    /// data that they had.
    package func killBroker(_ number: Int? = nil) throws { try run("kill", number.map { ["\($0)"] } ?? []) }
    package func startBroker() throws {
        let port = bootstrap.split(separator: ":").last.map(String.init) ?? "0"
        try run("start", ["--port", port] + Self.settings)
    }

    /// A configuration for clients of this broker.
    package func configuration(_ properties: [String: String] = [:]) throws -> KafkaConfiguration {
        try KafkaConfiguration(bootstrap: bootstrap, properties: properties)
    }

    /// For clients of the secure listener, as the user alice.
    package func secureConfiguration(password: String = "alice-secret") throws -> KafkaConfiguration {
        let bootstrap = try String(contentsOfFile: folder + "/bootstrap.secure", encoding: .utf8)
        return try KafkaConfiguration(
            bootstrap: bootstrap.trimmingCharacters(in: .whitespacesAndNewlines),
            properties: [
                "security.protocol": "sasl_ssl", "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "alice",
                "sasl.password": password, "ssl.ca.location": folder + "/tls/ca.crt",
            ])
    }

    /// Creates a topic with a name of its own.
    package func topic(partitions: Int = 1, replication: Int = 1, config: [String: String] = [:]) throws -> String {
        let number = topicCount.add(1, ordering: .relaxed).newValue
        let name = "test-\(getpid())-\(number)"
        try admin.createTopic(name, partitions: partitions, replication: replication, config: config)
        return name
    }

    /// Runs one of Kafka's own tools (`delete-records`, `groups`, ...) against the broker.
    /// - Returns: what it printed.
    @discardableResult
    package func run(_ tool: String, _ arguments: [String]) throws -> String {
        let result = try launcher.run([tool, folder] + arguments)
        guard result.status == 0 else {
            throw ToolError(text: "kafka \(tool) ended with \(result.status): \(result.output)")
        }
        return result.output
    }

    /// Made-up record times must not expire; the cleaner must not pause, so that compaction can be waited for; a quota is that of one
    /// second and not of ten, so that it can be waited for, too.
    private static let settings = ["log.retention.ms=-1", "log.cleaner.backoff.ms=100", "quota.window.num=2"].flatMap { ["--set", $0] }

    private init(settings: [String] = [], isSecure: Bool = false, brokers: Int = 1) throws {
        guard let launcher = KafkaLauncher.found else { throw ToolError(text: "there is no launcher of Kafka") }
        self.launcher = launcher
        folder = NSTemporaryDirectory() + "/sluice-kafka-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try Self.watch(launcher: launcher.path, folder: folder)
        var tries = 0
        while true {
            // The broker's random cluster id now and then begins with a dash, which its own formatting tool refuses.
            let result = try launcher.run(
                ["start", folder, "--brokers", "\(brokers)"] + (isSecure ? ["--secure"] : []) + Self.settings + settings.flatMap { ["--set", $0] })
            if result.status == 0 { break }
            tries += 1
            guard tries < 3 else { throw ToolError(text: "Kafka does not start: \(result.output)") }
            _ = try launcher.run(["kill", folder])
            try? FileManager.default.removeItem(atPath: folder)
        }
        bootstrap = try String(contentsOfFile: folder + "/bootstrap", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        // A thousand partitions take their time on a busy machine.
        admin = try TopicAdmin(KafkaConfiguration(bootstrap: bootstrap), timeoutMillis: 60_000)
    }

    /// Starts the process that outlives us and cleans up.
    private static func watch(launcher: String, folder: String) throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw ToolError(text: "no pipe for the watchdog") }
        // Only this process may hold the writing end; it is never written to, and closes with the process.
        _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
        defer { close(ends[0]) }
        let clean = "trap '' INT TERM; cat >/dev/null; \"$0\" kill \"$1\"; rm -rf \"$1\""
        // In a session of its own, so that an interrupt at the terminal does not reach it.
        _ = try spawnTool("/usr/bin/setsid", ["bash", "-c", clean, launcher, folder], input: ends[0], output: nil)
    }
}

extension TopicAdmin {
    /// Deletes a topic and makes another one of its name, with one partition.
    ///
    /// The controller takes both at once, and the brokers hear of it a moment later: a record sent in between would go into the old one.
    package func remakeTopic(_ topic: String) throws {
        guard eventually({ (try? deleteTopic(topic)) != nil }), try eventually({ try !exists(topic) }),
            eventually({ (try? createTopic(topic, partitions: 1, replication: 1)) != nil })
        else { throw ToolError(text: "topic \(topic) could not be made again") }
    }
}
