// Reading by fetch from a cluster whose brokers are killed, frozen and come back, of the newest release and an older one.

import Engine
import Foundation
import TestSupport
import Testing

/// Three brokers of a release, stopped with the value.
final class KafkaTrio {
    let folder: TemporaryDirectory
    let bootstrap: String
    private let launcher: String

    init(release: String?) throws {
        launcher = try #require(KafkaFixture.launcherPath)
        folder = try TemporaryDirectory()
        let arguments = ["start", folder.path, "--brokers", "3"] + (release.map { ["--release", $0] } ?? [])
        let started = try runTool(launcher, arguments)
        guard started.status == 0 else { Issue.record("\(started.output)"); throw CancellationError() }
        bootstrap = try String(contentsOfFile: folder.path + "/bootstrap", encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    deinit { _ = try? runTool(launcher, ["kill", folder.path]) }

    @discardableResult
    func run(_ arguments: String...) throws -> String {
        try runTool(launcher, [arguments[0], folder.path] + arguments.dropFirst()).output
    }

    /// The number of the broker that leads partition 0.
    func leader(of topic: String) throws -> String {
        let text = try run("topics", "--describe", "--topic", topic)
        let tail = try #require(text.range(of: "Leader: ")).upperBound
        return String(text[tail...].prefix { $0.isNumber })
    }
}

@Suite(.enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason), .serialized)
struct FetchClusterTests {
    @Test(arguments: [nil, "3.9"] as [String?])
    func `a leader that is killed or frozen costs no record and no order`(release: String?) throws {
        let trio = try KafkaTrio(release: release)
        let configuration = try KafkaConfiguration(bootstrap: trio.bootstrap)
        try TopicAdmin(configuration).createTopic("moved", partitions: 1, replication: 3, config: ["min.insync.replicas": "1"])
        let producer = try KafkaProducer(configuration)
        let reader = FetchReader(configuration, budgetBytes: 4 << 20)
        defer { reader.close() }
        var next: Int64 = 0
        func round() throws {
            try producer.sendNumbers(500, from: Int(next), topic: "moved")
            let seen = try reader.records("moved", next, next + 500, timeoutMillis: 60_000)
            #expect(seen == (next..<next + 500).map { SeenRecord(offset: $0, text: String($0)) })
            next += 500
        }
        try round()
        let first = try trio.leader(of: "moved")
        try trio.run("kill", first)
        try round()
        try round()
        let second = try trio.leader(of: "moved")
        #expect(second != first)
        try trio.run("start", "--brokers", "3")
        // What is frozen has the records, and so have the others; a producer would wait for the frozen one much longer.
        try producer.sendNumbers(500, from: Int(next), topic: "moved")
        try trio.run("pause", second)
        defer { _ = try? trio.run("resume", second) }
        let seen = try reader.records("moved", next, next + 500, timeoutMillis: 90_000)
        #expect(seen == (next..<next + 500).map { SeenRecord(offset: $0, text: String($0)) })
        next += 500
        #expect(reader.startCount == 1, "no position was given up")
        // Every offset again, from whoever leads now.
        let again = FetchReader(configuration, budgetBytes: 4 << 20)
        #expect(try again.records("moved", 0, next, timeoutMillis: 90_000).count == Int(next))
    }
}
