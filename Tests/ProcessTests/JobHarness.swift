// What every process test stands on: a directory of its own, a topic of its own on the shared Kafka, made traffic with
// its exact answer, and the sink's content to compare.

import Engine
import Foundation
import Synchronization
import TestSupport
import Testing

/// One job's world: directory, topic, lookup file and expected answer.
final class JobHarness: Sendable {
    let directory: TemporaryDirectory
    let bootstrap: String
    let topic: String
    let partitions: Int
    let sink: String
    /// Variables that every process gets.
    let environment: [String: String]
    /// Who reads; nil for whoever a job gets by itself.
    let reader: ReaderKind?

    /// `SLUICE_TEST_READER=librdkafka swift test --filter ProcessTests` runs every job of these tests with that reader.
    static let usualReader = ProcessInfo.processInfo.environment["SLUICE_TEST_READER"].flatMap(ReaderKind.init)

    /// - Parameter sink: an address; the default is the directory's own SQLite file.
    /// - Parameter bootstrap: of another Kafka than the shared one; then with a topic of it.
    init(
        partitions: Int = 4, sink: String? = nil, topic: String? = nil, bootstrap: String? = nil,
        environment: [String: String] = [:], reader: ReaderKind? = usualReader
    ) throws {
        self.environment = environment
        self.reader = reader
        directory = try TemporaryDirectory("sluice-job")
        self.bootstrap = try bootstrap ?? TestBroker.bootstrap()
        self.partitions = partitions
        self.topic = try topic ?? TestBroker.topic(partitions: partitions)
        self.sink = sink ?? "sqlite:" + directory.path + "/sink.db"
    }

    func generate(
        events: Int, format: String = "avro", seed: Int = 1, extra: [String] = [], expected: String = "expected.csv"
    ) throws {
        let result = try SluiceProcess.run(
            [
                "generate", "ad-events", "--bootstrap", bootstrap, "--topic", topic, "--partitions", "\(partitions)",
                "--events", "\(events)", "--format", format, "--seed", "\(seed)", "--ads", "ads.csv", "--expected",
                expected,
            ] + extra, in: directory.path)
        try #require(result.status == 0, "generate: \(result.errors)")
    }

    /// The arguments of `sluice run` for this harness.
    func runArguments(
        _ job: String = "campaign-views", workers: Int = 2, format: String = "avro", untilCaughtUp: Bool = true,
        extra: [String] = []
    ) -> [String] {
        ["run", job, "--bootstrap", bootstrap, "--topic", topic, "--format", format, "--sink", sink, "--workers", "\(workers)"]
            + (job == "purchases" ? [] : ["--ads", "ads.csv"]) + (untilCaughtUp ? ["--until-caught-up"] : [])
            + (reader.map { ["--reader", $0.rawValue] } ?? []) + extra
    }

    @discardableResult
    func run(
        _ job: String = "campaign-views", workers: Int = 2, format: String = "avro", extra: [String] = [],
        environment: [String: String] = [:], binary: String? = nil, expecting status: Int32? = 0
    ) throws -> ProcessResult {
        let result = try SluiceProcess.run(
            runArguments(job, workers: workers, format: format, extra: extra), in: directory.path,
            environment: self.environment.merging(environment) { $1 }, binary: binary)
        if let status { try #require(result.status == status, "run ended with \(result.status): \(result.errors)") }
        return result
    }

    /// Log, ledger, sink, state, group and topic say the same of the job.
    func expectWhole(
        _ job: String = "campaign-views", deep: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let result = try SluiceProcess.run(
            ["fsck", job, "--log-level", "error"] + (deep ? ["--deep"] : []), in: directory.path, environment: environment)
        #expect(result.status == 0, "\(result.output)\(result.errors)", sourceLocation: sourceLocation)
        #expect(!result.output.contains("skip"), "\(result.output)", sourceLocation: sourceLocation)
    }

    func start(
        _ job: String = "campaign-views", workers: Int = 2, format: String = "avro", untilCaughtUp: Bool = true, extra: [String] = [],
        environment: [String: String] = [:]
    ) throws -> SluiceProcess {
        try SluiceProcess(
            runArguments(job, workers: workers, format: format, untilCaughtUp: untilCaughtUp, extra: extra), in: directory.path,
            environment: self.environment.merging(environment) { $1 })
    }

    /// Starts any other command in the harness's directory.
    func begin(_ arguments: String...) throws -> SluiceProcess {
        try SluiceProcess(arguments, in: directory.path, environment: environment)
    }

    /// Runs any other command in the harness's directory.
    @discardableResult
    func sluice(_ arguments: String..., expecting status: Int32? = 0) throws -> ProcessResult {
        let result = try SluiceProcess.run(arguments, in: directory.path, environment: environment)
        if let status {
            try #require(result.status == status, "\(arguments.joined(separator: " ")) ended with \(result.status): \(result.output)\(result.errors)")
        }
        return result
    }

    /// Stops the driver `zombie`, lets another one take its job over and finish it, wakes the first one up, and expects it to
    /// notice.
    func takeOver(_ job: String = "campaign-views", from zombie: SluiceProcess, extra: [String]) throws {
        pause(zombie, insideTransaction: false)
        // The holder lives, so its lease must run out first.
        let next = try start(job, workers: 2, extra: ["--wait"] + extra)
        let finished = next.wait()
        #expect(finished.status == 0, "\(finished.errors)")
        zombie.resume()
        let late = zombie.wait()
        #expect(late.status == 1)
        #expect(late.errors.contains("no longer holds") || late.errors.contains("epoch") || late.errors.contains("lease"), "\(late.errors)")
    }

    /// Stops a driver inside a transaction on a SQLite file, which it then keeps locked for ever, or outside.
    func pause(_ driver: SluiceProcess, insideTransaction: Bool) {
        #expect(
            SluiceProcess.eventually {
                driver.pause()
                if isLocked == insideTransaction { return true }
                driver.resume()
                return false
            })
    }

    /// Whether somebody holds a write lock on the sink or on the catalog. A server would take it away from who is stopped.
    private var isLocked: Bool {
        [sink, "sqlite:" + directory.file(".sluice/catalog.db")].contains { address in
            guard address.hasPrefix("sqlite:"), FileManager.default.fileExists(atPath: String(address.dropFirst(7))) else {
                return false
            }
            guard let database = try? openDatabase(address) else { return true }
            defer { database.close() }
            return (try? database.transaction {}) == nil
        }
    }

    // MARK: what the sink holds

    func rows(_ sql: String) throws -> [[SQLValue]] {
        let database = try openDatabase(sink)
        defer { database.close() }
        return try database.execute(sql)
    }

    func count(_ sql: String) throws -> Int64 {
        guard case .int(let value)? = try rows(sql).first?.first else { return 0 }
        return value
    }

    /// `campaign_id,window_start,views`, sorted: the sink in the form of the expected file.
    func campaignViews() throws -> [String] {
        try rows("SELECT campaign_id, window_start, views FROM campaign_views").map { row in
            row.map { value in
                switch value {
                case .text(let text): text
                case .int(let number): "\(number)"
                default: "\(value)"
                }
            }.joined(separator: ",")
        }.sorted()
    }

    func expected(_ file: String = "expected.csv") throws -> [String] {
        let text = try String(contentsOfFile: directory.file(file), encoding: .utf8)
        return text.split(separator: "\n").dropFirst().map(String.init).sorted()
    }

    /// The sink equals the expected answer, the log has no gap, and `fsck` finds no fault.
    func expectExact(_ file: String = "expected.csv", sourceLocation: SourceLocation = #_sourceLocation) throws {
        let expected = try expected(file)
        let found = try campaignViews()
        let missing = Set(expected).subtracting(found).sorted()
        let extra = Set(found).subtracting(expected).sorted()
        #expect(
            missing.isEmpty && extra.isEmpty && found.count == expected.count,
            "missing \(missing.prefix(3)) (\(missing.count)), extra \(extra.prefix(3)) (\(extra.count)), rows \(found.count) of \(expected.count)",
            sourceLocation: sourceLocation)
        try sluice("audit", "campaign-views")
        let whole = try SluiceProcess.run(["fsck", "campaign-views", "--log-level", "error"], in: directory.path, environment: environment)
        #expect(whole.status == 0, "\(whole.output)\(whole.errors)", sourceLocation: sourceLocation)
    }
}

/// The Kafka of the process tests: a real one where there is one, otherwise the embedded broker, which can show the
/// same but for what it does not have (time look-up, Kafka's own tools, room for more than about 5 MB a partition).
enum TestBroker {
    /// For tests that only a real Kafka can show; they are counted as skipped, by name, without one.
    static let needsReal = ConditionTrait.enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason)

    private static let embedded = Result { try EmbeddedBroker() }
    private static let count = Mutex(0)

    static func bootstrap() throws -> String {
        KafkaFixture.isAvailable ? try KafkaFixture.shared().bootstrap : try embedded.get().bootstrap
    }

    static func topic(partitions: Int) throws -> String {
        if KafkaFixture.isAvailable { return try KafkaFixture.shared().topic(partitions: partitions) }
        let number = count.withLock { count in
            count += 1
            return count
        }
        let name = "test-\(number)"
        try embedded.get().createTopic(name, partitions: partitions)
        return name
    }
}

/// The processes that a process started.
func children(of pid: Int32) -> [Int32] {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)) ?? ""
    return text.split(separator: " ").compactMap { Int32($0) }
}

/// PostgreSQL databases for tests, when a server is there.
func postgresSink() throws -> String { try PostgresFixture.shared().newDatabase() }
