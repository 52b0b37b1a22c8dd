// A cluster whose brokers are killed, frozen, moved and come back with less than they had, read by both readers side by side, of the
// newest release and an older one.

import Engine
import Foundation
import TestSupport
import Testing

/// Three brokers of a release, stopped with the value.
final class KafkaTrio {
    let folder: TemporaryDirectory
    let bootstrap: String
    private let launcher: KafkaLauncher

    /// A dead broker is found so within three seconds; readers near a replica may read from it.
    private static let settings = [
        "broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=300", "unclean.leader.election.interval.ms=500",
        "replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector", "auto.leader.rebalance.enable=false",
    ]

    init(release: String?) throws {
        launcher = try #require(KafkaLauncher.found)
        folder = try TemporaryDirectory()
        let arguments =
            ["start", folder.path, "--brokers", "3"] + (release.map { ["--release", $0] } ?? [])
            + Self.settings.flatMap { ["--set", $0] }
        let started = try launcher.run(arguments)
        guard started.status == 0 else { Issue.record("\(started.output)"); throw CancellationError() }
        bootstrap = try String(contentsOfFile: folder.path + "/bootstrap", encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    deinit { _ = try? launcher.run(["kill", folder.path]) }

    @discardableResult
    func run(_ arguments: String...) throws -> String {
        let result = try launcher.run([arguments[0], folder.path] + arguments.dropFirst())
        #expect(result.status == 0, "\(arguments): \(result.output)")
        return result.output
    }

    /// The numbers of the brokers that hold partition 0, the leader's first, and those that are in step.
    func replicas(of topic: String) throws -> (leader: Int, others: [Int], inStep: Set<Int>) {
        let text = try run("topics", "--describe", "--topic", topic)
        func numbers(behind word: String) throws -> [Int] {
            let tail = try #require(text.range(of: word), "\(text)").upperBound
            return text[tail...].prefix { $0.isNumber || $0 == "," }.split(separator: ",").compactMap { Int($0) }
        }
        let leader = try numbers(behind: "Leader: ").first ?? -1
        return (leader, try numbers(behind: "Replicas: ").filter { $0 != leader }, Set(try numbers(behind: "Isr: ")))
    }

    /// Starts the brokers that do not run, one of them with a rack of its own.
    func start(near broker: Int? = nil) throws {
        if let broker {
            let file = folder.file("broker-\(broker)/server.properties")
            try (String(contentsOfFile: file, encoding: .utf8) + "broker.rack=near\n").write(toFile: file, atomically: true, encoding: .utf8)
        }
        try run("start", "--brokers", "3")
    }

    /// Starts the brokers that do not run, but for this one.
    func start(without broker: Int) throws {
        let (here, away) = (folder.file("broker-\(broker)"), folder.file("away"))
        try FileManager.default.moveItem(atPath: here, toPath: away)
        defer { try? FileManager.default.moveItem(atPath: away, toPath: here) }
        try run("start", "--brokers", "3")
    }
}

/// Both readers of a cluster, which must always see the same.
private struct ReaderPair {
    let readers: [any RecordReader]

    init(_ trio: KafkaTrio, rack: String? = nil) throws {
        // Nobody says that a frozen broker no longer leads: a reader asks when an answer is overdue.
        var properties = ["socket.timeout.ms": "2000"]
        properties["client.rack"] = rack
        let configuration = try KafkaConfiguration(bootstrap: trio.bootstrap, properties: properties)
        readers = ReaderKind.allCases.map { $0.make(configuration, budgetBytes: 4 << 20) }
    }

    /// At the same time, so that a cluster in trouble is read by both.
    func outcomes(_ topic: String, _ from: Int64, _ until: Int64, timeoutMillis: Int = 60_000) -> [Result<[SeenRecord], any Error>] {
        sideBySide(readers.map { reader in { try reader.records(topic, from, until, timeoutMillis: timeoutMillis) } })
    }

    func expectNumbers(_ topic: String, _ from: Int64, _ until: Int64, timeoutMillis: Int = 60_000) throws {
        let expected = (from..<until).map { SeenRecord(offset: $0, text: String($0)) }
        for (kind, outcome) in zip(ReaderKind.allCases, outcomes(topic, from, until, timeoutMillis: timeoutMillis)) {
            #expect(try outcome.get() == expected, "\(kind)")
        }
    }

    func close() { for reader in readers { reader.close() } }
}

@Suite(.waits, .enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason), .serialized)
struct ReaderClusterTests {
    @Test(arguments: [nil, "3.9"] as [String?])
    func `brokers that are killed, frozen or moved cost no record and no order, a near replica is read, lost records stop`(release: String?) throws {
        let trio = try KafkaTrio(release: release)
        try keepOrder(trio)
        if release == nil { try stopWhereRecordsWereLost(trio) }
    }

    private func keepOrder(_ trio: KafkaTrio) throws {
        let configuration = try KafkaConfiguration(bootstrap: trio.bootstrap)
        try TopicAdmin(configuration).createTopic("moved", partitions: 1, replication: 3, config: ["min.insync.replicas": "1"])
        let producer = try KafkaProducer(configuration)
        let pair = try ReaderPair(trio)
        let near = try ReaderPair(trio, rack: "near")
        defer {
            pair.close()
            near.close()
        }
        var next: Int64 = 0
        func send() throws { try producer.sendNumbers(500, from: Int(next), topic: "moved") }
        func round() throws {
            try send()
            try pair.expectNumbers("moved", next, next + 500)
            next += 500
        }
        try round()
        let first = try trio.replicas(of: "moved").leader
        try trio.run("kill", "\(first)")
        try round()
        try round()
        let second = try trio.replicas(of: "moved").leader
        #expect(second != first)

        // What is back stands near; the records are there when it is in step.
        try trio.start(near: first)
        #expect(try eventually(withinSeconds: 60) { try trio.replicas(of: "moved").inStep.count == 3 })
        try near.expectNumbers("moved", 0, next)
        let before = next
        try send()
        try near.expectNumbers("moved", before, before + 500)
        try trio.run("pause", "\(second)")
        let frozen = ContinuousClock.now
        // The leader answers nobody, and its session is not over: only a replica can give these.
        try near.expectNumbers("moved", before - 200, before)
        #expect(ContinuousClock.now - frozen < .milliseconds(2500))
        try pair.expectNumbers("moved", next, next + 500)
        next += 500
        try trio.run("resume", "\(second)")
        #expect(pair.readers.allSatisfy { $0.startCount == 1 }, "no position was given up")

        // Away from a leader that lives, to one that alone keeps it.
        let now = try trio.replicas(of: "moved")
        let plan = #"{"version":1,"partitions":[{"topic":"moved","partition":0,"replicas":[\#(now.others[0])]}]}"#
        try plan.write(toFile: trio.folder.file("plan.json"), atomically: true, encoding: .utf8)
        try trio.run("reassign", "--execute", "--reassignment-json-file", trio.folder.file("plan.json"))
        try round()
        #expect(try eventually(withinSeconds: 60) { try trio.replicas(of: "moved").leader == now.others[0] })
        try round()
        #expect(pair.readers.allSatisfy { $0.startCount == 1 })

        // Every offset again, from whoever leads now.
        let again = try ReaderPair(trio)
        defer { again.close() }
        try again.expectNumbers("moved", 0, next)
    }

    /// An unclean election takes back what both readers have read.
    private func stopWhereRecordsWereLost(_ trio: KafkaTrio) throws {
        let configuration = try KafkaConfiguration(bootstrap: trio.bootstrap)
        try TopicAdmin(configuration).createTopic(
            "lost", partitions: 1, replication: 2, config: ["min.insync.replicas": "1", "unclean.leader.election.enable": "true"])
        let pair = try ReaderPair(trio)
        defer { pair.close() }
        let producer = try KafkaProducer(configuration)
        try producer.sendNumbers(100, topic: "lost")
        try pair.expectNumbers("lost", 0, 100)
        let replicas = try trio.replicas(of: "lost")
        let behind = try #require(replicas.others.first)
        try trio.run("kill", "\(behind)")
        try producer.sendNumbers(100, from: 100, topic: "lost")
        try pair.expectNumbers("lost", 100, 200)
        try trio.run("kill", "\(replicas.leader)")
        try trio.start(without: replicas.leader)
        #expect(try eventually(withinSeconds: 60) { try trio.replicas(of: "lost").leader == behind })
        // The new log grows beyond where we stand: no offset tells.
        try KafkaProducer(configuration).sendNumbers(200, from: 5000, topic: "lost")
        for (kind, outcome) in zip(ReaderKind.allCases, pair.outcomes("lost", 200, 250)) {
            let failure = #expect(throws: Failure.self, "\(kind)") { try outcome.get() }
            #expect(failure?.code == .topicRecreated, "\(kind): \(String(describing: failure))")
        }
    }
}
