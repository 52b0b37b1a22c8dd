// Rows into PostgreSQL by key: the sink against the same statements by hand, on the same server.
//
// Each side has a table of its own with 100,000 rows and replaces 10,000 of them in each of 30 batches, one transaction a
// batch, each with its fsync. By hand that is: COPY in binary form into a temporary table of the connection, then one
// INSERT ... ON CONFLICT; no ledger, no lock, no check, no order. Only the batches are timed.

import Dispatch
import Engine

enum UpsertCase {
    private static let keys = 100_000
    private static let batchRows = 10_000
    private static let batches = 30
    private static let startMillis: Int64 = 1_700_000_000_000

    private static let table = SinkTable(
        name: "bench_sink",
        schema: Schema([Field("campaign_id", .text), Field("window_start", .timestamp), Field("views", .int64)]),
        key: ["campaign_id", "window_start"], mode: .keyedUpsert)

    static func byHand(_ address: String) throws -> SpeedSample {
        let database = try PostgresDatabase(url: address)
        defer { database.close() }
        try prepare("bench_hand", database)
        try database.execute(
            "CREATE TEMPORARY TABLE bench_rows (campaign_id text, window_start timestamptz, views bigint) ON COMMIT DELETE ROWS")
        return try timed { batch in
            var bytes = Array("PGCOPY\n".utf8) + [0xff, 0x0d, 0x0a, 0x00] + [UInt8](repeating: 0, count: 8)
            bytes.reserveCapacity(batchRows * 72)
            for row in 0..<batchRows {
                let (id, millis, views) = Self.row(row, batch)
                append(Int16(3), to: &bytes)
                append(Int32(id.utf8.count), to: &bytes)
                bytes += id.utf8
                append(Int32(8), to: &bytes)
                append((millis - 946_684_800_000) * 1000, to: &bytes)
                append(Int32(8), to: &bytes)
                append(views, to: &bytes)
            }
            append(Int16(-1), to: &bytes)
            try database.transaction {
                try bytes.withUnsafeBufferPointer {
                    try database.copyIn("COPY bench_rows FROM STDIN (FORMAT binary)", $0)
                }
                try database.execute(
                    """
                    INSERT INTO bench_hand SELECT * FROM bench_rows
                    ON CONFLICT (campaign_id, window_start) DO UPDATE SET views = excluded.views
                    """)
            }
        }
    }

    static func throughSink(_ address: String) throws -> SpeedSample {
        let database = try PostgresDatabase(url: address)
        defer { database.close() }
        try prepare("bench_sink", database)
        let sink = try openSink(address: address, table: table)
        defer { sink.close() }
        let identity = SinkIdentity(job: "bench-upsert", jobID: .random(), epoch: 1, sink: table.name)
        try sink.claim(identity, adopt: true)
        let sample = try timed { batch in
            var chunk = Chunk(schema: table.schema, capacity: batchRows)
            for row in 0..<batchRows {
                let (id, millis, views) = Self.row(row, batch)
                chunk.columns[0].append(.text(id))
                chunk.columns[1].append(.timestamp(millis))
                chunk.columns[2].append(.int64(views))
            }
            chunk.rowCount = batchRows
            let outcome = try sink.seal(identity, part: 0, batch: Int64(batch) + 1, digest: "\(batch)", after: .unknown, rows: [chunk])
            precondition(outcome == .written, "batch \(batch) of the bench was sealed before")
        }
        guard try count("bench_sink", database) == keys else {
            throw Failure(.internal, "the sink wrote rows that it was not given", why: "of the bench's own", now: "report this")
        }
        return sample
    }

    /// Distinct within a batch, and all there before.
    private static func row(_ row: Int, _ batch: Int) -> (id: String, millis: Int64, views: Int64) {
        let key = (batch * 7 + row * 10) % keys
        return ("campaign-\(key % 1000)-of-the-bench", startMillis + Int64(key / 1000) * 10_000, Int64(batch * 1000 + row % 7))
    }

    private static func prepare(_ name: String, _ database: PostgresDatabase) throws {
        try database.executeScript(
            """
            DROP TABLE IF EXISTS \(name);
            CREATE TABLE \(name) (campaign_id text NOT NULL, window_start timestamptz NOT NULL, views bigint,
                PRIMARY KEY (campaign_id, window_start));
            INSERT INTO \(name) SELECT 'campaign-' || (k % 1000) || '-of-the-bench',
                to_timestamp(\(startMillis / 1000) + (k / 1000) * 10), 0 FROM generate_series(0, \(keys - 1)) k;
            ANALYZE \(name)
            """)
        // What the preparation wrote shall not be flushed while a batch is timed.
        try database.execute("CHECKPOINT")
        guard try count(name, database) == keys else {
            throw Failure(.internal, "the bench's table has not its rows", why: "\(name)", now: "report this")
        }
    }

    private static func count(_ name: String, _ database: PostgresDatabase) throws -> Int {
        guard case .int(let rows)?? = try database.execute("SELECT count(*) FROM \(name)").first?.first else { return -1 }
        return Int(rows)
    }

    private static func timed(_ body: (Int) throws -> Void) throws -> SpeedSample {
        let began = ContinuousClock.now
        for batch in 0..<batches { try body(batch) }
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        return SpeedSample(perSecond: Double(batches * batchRows) / seconds)
    }

    private static func append<Number: FixedWidthInteger>(_ number: Number, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.bigEndian) { bytes += $0 }
    }
}
