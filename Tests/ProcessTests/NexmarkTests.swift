import Engine
import Foundation
import TestSupport
import Testing

/// The queries of Nexmark as they are shipped, run by the real binary over a real Kafka, and judged by a real PostgreSQL that is
/// asked the same in other words.
@Suite(.waits, .serialized, .enabled(if: PostgresFixture.missingReason == nil && KafkaFixture.isAvailable, "no PostgreSQL or no Kafka"))
struct NexmarkTests {
    @Test(arguments: NexmarkJudge.queries) func `a query of Nexmark has PostgreSQL's answer`(query: NexmarkJudge.Query) throws {
        let world = try NexmarkWorld.shared.get()
        let directory = try TemporaryDirectory("nexmark")
        try world.write(query.name, into: directory)
        let result = try SluiceProcess.run(
            [
                "run", query.name + ".sql", "--bootstrap", world.bootstrap, "--sink", world.database, "--workers", "2", "--log-level", "error",
                "--until-caught-up", "--max-batch-records", "4000", "--interval", "0",
            ], in: directory.path)
        try #require(result.status == 0, "run ended with \(result.status): \(result.output)\(result.errors)")
        #expect(result.output.contains("5 batches, 20,000 records") && result.output.contains(" 0 late, 0 rejected"), "\(result.output)")

        let database = try PostgresDatabase(url: world.database)
        defer { database.close() }
        func rows(_ sql: String) throws -> [String] { try database.execute("SELECT t::text FROM (\(sql)) AS t").map { "\($0[0])" }.sorted() }
        let found = try rows("SELECT \(query.columns) FROM \(query.name)")
        let expected = try rows(query.words)
        let missing = Self.difference(expected, found)
        let extra = Self.difference(found, expected)
        #expect(
            missing.isEmpty && extra.isEmpty && !expected.isEmpty,
            "missing \(missing.prefix(3)) (\(missing.count)), extra \(extra.prefix(3)) (\(extra.count)), rows \(found.count) of \(expected.count)")
    }

    @Test func `every shipped query has its judge`() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: NexmarkWorld.jobs)
        #expect(files.sorted() == NexmarkJudge.queries.map { $0.name + ".sql" }.sorted())
    }

    /// What is in a sorted list more often than in another.
    private static func difference(_ left: [String], _ right: [String]) -> [String] {
        var counts: [String: Int] = [:]
        for row in right { counts[row, default: 0] += 1 }
        return left.filter { row in
            counts[row, default: 0] -= 1
            return counts[row]! < 0
        }
    }
}

/// 20,000 events in a topic, and the same ones in a database, read back from there; made by the first that asks.
struct NexmarkWorld {
    static let shared = Result { try NexmarkWorld() }
    static let jobs = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../conf/jobs/nexmark").standardized.path

    let bootstrap: String
    let database: String
    private let topic: String

    private init() throws {
        bootstrap = try KafkaFixture.shared().bootstrap
        topic = "nexmark-\(UInt64.random(in: 0 ... .max))"
        database = try postgresSink()
        let folder = try TemporaryDirectory("nexmark")
        let result = try SluiceProcess.run(
            [
                "generate", "nexmark", "--bootstrap", bootstrap, "--topic", topic, "--partitions", "3", "--events", "20000", "--span", "200s", "--start",
                "2026-03-01T12:00:00Z",
            ], in: folder.path)
        try #require(result.status == 0, "generate: \(result.errors)")

        let judge = try PostgresDatabase(url: database)
        defer { judge.close() }
        try judge.execute("CREATE TABLE events (part int4, place int8, event jsonb)")
        let reader = try RangeReader(KafkaConfiguration(bootstrap: bootstrap), budgetBytes: 16 << 20, isolation: .readCommitted)
        defer { reader.close() }
        var read = 0
        for (partition, count) in [6_667, 6_667, 6_666].enumerated() {
            let range = OffsetRange(topic: topic, partition: Int32(partition), from: 0, until: Int64(count))
            _ = try reader.read(range, chunkRecords: 500, timeoutMillis: 20_000) { chunk in
                let rows = try chunk.map { record in
                    let text = String(decoding: UnsafeBufferPointer(start: try #require(record.payload), count: record.length), as: UTF8.self)
                    return "(\(partition), \(record.offset), '\(text.replacing("'", with: "''"))')"
                }
                try judge.execute("INSERT INTO events VALUES " + rows.joined(separator: ", "))
                read += rows.count
            }
        }
        try #require(read == 20_000)
        try judge.executeScript(NexmarkJudge.tables)
    }

    /// The shipped file, with the topic of this world, and what it looks up.
    func write(_ query: String, into directory: TemporaryDirectory) throws {
        let text = try String(contentsOfFile: Self.jobs + "/" + query + ".sql", encoding: .utf8)
        let own = text.replacing("topic = 'nexmark'", with: "topic = '\(topic)'")
        try #require(own != text)
        try own.write(toFile: directory.file(query + ".sql"), atomically: true, encoding: .utf8)
        let side = try SQLiteDatabase(path: directory.file("side_input.db"))
        defer { side.close() }
        try side.executeScript(
            """
            CREATE TABLE side_input (key INTEGER PRIMARY KEY, value TEXT NOT NULL);
            WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9999) INSERT INTO side_input SELECT n, 'value ' || n FROM numbers;
            """)
    }
}
