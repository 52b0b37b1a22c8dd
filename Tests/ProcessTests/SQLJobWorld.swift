// What tests of jobs written in SQL stand on: a topic of JSON, a database of PostgreSQL as sink and as judge, the job as a file.

import Engine
import Foundation
import TestSupport
import Testing

/// A job of SQL whose rows a real PostgreSQL judges: `events` there holds what the topic brought.
final class SQLJobWorld {
    let harness: JobHarness
    private let producer: KafkaProducer
    private let database: PostgresDatabase
    let partitions: Int

    init(partitions: Int = 3) throws {
        self.partitions = partitions
        harness = try JobHarness(partitions: partitions, sink: try postgresSink())
        producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        database = try PostgresDatabase(url: harness.sink)
        try database.execute("CREATE TABLE events (id int8, kind text, account int4, amount numeric(12, 2), at timestamptz, note jsonb)")
    }

    deinit { database.close() }

    /// What the job declares of the topic.
    func declared(_ options: String = "", mode: String = "append", key: String = "") -> String {
        """
        CREATE TABLE events (id int8\(key), kind text, account int4, amount numeric(12, 2), at timestamptz, note jsonb)
            WITH (connector = 'kafka', topic = '\(harness.topic)', format = 'json', mode = '\(mode)'\(options));

        """
    }

    func write(_ text: String, to name: String = "job.sql") throws {
        try text.write(toFile: harness.directory.file(name), atomically: true, encoding: .utf8)
    }

    struct Event {
        var id: Int64
        var kind: String?
        var account: Int64?
        var amount: String?
        var atMillis: Int64
        var note: String?

        fileprivate func cells(_ quote: (String) -> String) -> [String] {
            [
                "\(id)", kind.map(quote) ?? "null", account.map { "\($0)" } ?? "null", amount ?? "null", quote(formatTime(atMillis)), note ?? "null",
            ]
        }
    }

    static func events(_ count: Int, from first: Int = 0, seed: UInt64) -> [Event] {
        var random = SeededRandom(seed: seed)
        return (first..<first + count).map { number in
            Event(
                id: Int64(number), kind: [nil, "a", "b", "c", "d"][random.below(5)], account: random.below(12) == 0 ? nil : Int64(random.below(9)),
                amount: random.below(10) == 0 ? nil : "\(random.below(2000) - 700).\(["00", "25", "50"][random.below(3)])", atMillis: 1_790_000_000_000 + Int64(number) * 137,
                note: random.below(3) == 0 ? "{\"n\":\(random.below(4))}" : nil)
        }
    }

    /// Sends events, each to the partition of its id, and tells PostgreSQL.
    func send(_ events: [Event], keyed: Bool = false) throws {
        let names = ["id", "kind", "account", "amount", "at", "note"]
        for event in events {
            let cells = event.cells { "\"\($0)\"" }
            let text = "{" + zip(names, cells).map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
            try producer.send(topic: harness.topic, partition: Int32(event.id % Int64(partitions)), key: keyed ? "\(event.id)" : nil, text: text)
        }
        try producer.flush()
        if keyed {
            for event in events { try database.execute("DELETE FROM events WHERE id = $1", [.int(event.id)]) }
        }
        for start in stride(from: 0, to: events.count, by: 500) {
            let values = events[start..<min(start + 500, events.count)].map { event in
                let cells = event.cells { "'\($0)'" }
                return "(" + (cells.dropLast() + [event.note.map { "'\($0)'" } ?? "NULL"]).joined(separator: ", ") + ")"
            }
            try database.execute("INSERT INTO events VALUES " + values.joined(separator: ", "))
        }
    }

    /// Deletes rows of an upsert topic.
    func remove(_ ids: [Int64]) throws {
        for id in ids {
            try Array("\(id)".utf8).withUnsafeBufferPointer {
                try producer.send(topic: harness.topic, partition: Int32(id % Int64(partitions)), key: $0, value: nil)
            }
            try database.execute("DELETE FROM events WHERE id = $1", [.int(id)])
        }
        try producer.flush()
    }

    func arguments(_ file: String = "job.sql", workers: Int, untilCaughtUp: Bool = true, extra: [String] = []) -> [String] {
        ["run", file, "--bootstrap", harness.bootstrap, "--sink", harness.sink, "--workers", "\(workers)", "--log-level", "error"]
            + (untilCaughtUp ? ["--until-caught-up"] : []) + extra
    }

    @discardableResult
    func run(_ file: String = "job.sql", workers: Int = 0, extra: [String] = [], environment: [String: String] = [:], expecting status: Int32? = 0) throws -> ProcessResult {
        let result = try SluiceProcess.run(
            arguments(file, workers: workers, extra: extra), in: harness.directory.path, environment: harness.environment.merging(environment) { $1 })
        if let status { try #require(result.status == status, "run ended with \(result.status): \(result.output)\(result.errors)") }
        return result
    }

    func start(_ file: String = "job.sql", workers: Int, untilCaughtUp: Bool = true, extra: [String] = []) throws -> SluiceProcess {
        try SluiceProcess(
            arguments(file, workers: workers, untilCaughtUp: untilCaughtUp, extra: extra), in: harness.directory.path, environment: harness.environment)
    }

    /// A question to the sink has the answer that PostgreSQL gives to the query.
    func expect(_ question: String, equals query: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        func rows(_ sql: String) throws -> [String] { try database.execute("SELECT t::text FROM (\(sql)) AS t").map { "\($0[0])" }.sorted() }
        let (found, expected) = (try rows(question), try rows(query))
        let missing = Set(expected).subtracting(found).sorted()
        let extra = Set(found).subtracting(expected).sorted()
        #expect(
            missing.isEmpty && extra.isEmpty && found.count == expected.count,
            "missing \(missing.prefix(3)) (\(missing.count)), extra \(extra.prefix(3)) (\(extra.count)), rows \(found.count) of \(expected.count)",
            sourceLocation: sourceLocation)
    }

    func rows(_ sql: String) throws -> [[SQLValue]] { try database.execute(sql) }
}
