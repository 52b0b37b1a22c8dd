// A place for sink tests: a fresh database of each kind, with a second way to look into it.

import Engine
import TestSupport
import Testing

enum SinkKind: String, CaseIterable, CustomTestStringConvertible {
    case sqlite, postgres
    var testDescription: String { rawValue }
}

final class SinkPlace {
    let kind: SinkKind
    let address: String
    private let directory: TemporaryDirectory

    /// Outside of the initialiser, which would have to clean up behind a call that never comes back.
    private static func skipWithoutPostgres() throws {
        if let reason = PostgresFixture.missingReason { try Test.cancel("\(reason)") }
    }

    init(_ kind: SinkKind) throws {
        self.kind = kind
        directory = try TemporaryDirectory("sink")
        switch kind {
        case .sqlite: address = "sqlite:" + directory.file("deep/sink.db")
        case .postgres:
            try Self.skipWithoutPostgres()
            address = try PostgresFixture.shared().newDatabase()
        }
    }

    func open(_ table: SinkTable) throws -> any Sink { try openSink(address: address, table: table) }

    /// A sink that `identity` has claimed.
    func claimed(_ table: SinkTable, _ identity: SinkIdentity) throws -> any Sink {
        let sink = try open(table)
        try sink.claim(identity, adopt: false)
        return sink
    }

    func ask(_ sql: String, _ parameters: [SQLValue] = []) throws -> [[SQLValue]] {
        try openDatabase(address).execute(sql, parameters)
    }

    func run(_ script: String) throws { try openDatabase(address).executeScript(script) }

    /// Everything a job can have left behind, to compare before and after.
    func contents(of table: SinkTable) throws -> [[[SQLValue]]] {
        try [
            ask("SELECT * FROM \"\(table.name)\" ORDER BY 1, 2, 3"), ask("SELECT * FROM sluice_ledger ORDER BY 1, 2, 3"),
            ask("SELECT * FROM sluice_jobs ORDER BY 1"),
        ]
    }
}

func rows(_ table: SinkTable, _ rows: [[Value]]) -> Chunk {
    var chunk = Chunk(schema: table.schema)
    for row in rows {
        for (column, value) in zip(chunk.columns, row) { column.append(value) }
    }
    chunk.rowCount = rows.count
    return chunk
}

/// Keys of `table` whose rows go.
func deleted(_ table: SinkTable, _ keys: [[Value]]) -> Chunk {
    var chunk = Chunk(schema: Schema(table.key.map { name in table.schema.fields.first { $0.name == name }! }))
    for key in keys {
        for (column, value) in zip(chunk.columns, key) { column.append(value) }
    }
    chunk.rowCount = keys.count
    chunk.isDelete = true
    return chunk
}

extension SinkTable {
    /// Keyed, as `campaign_views`.
    static let views = SinkTable(
        name: "campaign_views",
        schema: Schema([Field("campaign_id", .text), Field("window_start", .timestamp), Field("views", .int64, nullable: true)]),
        key: ["campaign_id", "window_start"], mode: .keyedUpsert)
    /// Appended with source coordinates, as `purchases`.
    static let purchases = SinkTable(
        name: "purchases",
        schema: Schema([
            Field("topic", .text), Field("partition", .int64), Field("offset", .int64), Field("user_id", .text, nullable: true),
        ]), key: ["topic", "partition", "offset"], mode: .append)
    /// Appended without a key: nothing but the ledger keeps rows from coming twice.
    static let bare = SinkTable(
        name: "bare", schema: Schema([Field("a", .int64), Field("b", .text, nullable: true), Field("c", .int64)]), key: [],
        mode: .append)
    /// One column of each type.
    static let types = SinkTable(
        name: "types",
        schema: Schema([
            Field("k", .int64), Field("i", .int64, nullable: true), Field("f", .float64, nullable: true),
            Field("b", .bool, nullable: true), Field("t", .timestamp, nullable: true), Field("s", .text, nullable: true),
        ]), key: ["k"], mode: .keyedUpsert)

    func identity(_ id: String = "a", epoch: Epoch = 1, job: String = "job") -> SinkIdentity {
        SinkIdentity(job: job, jobID: JobID(text: String(repeating: id, count: 32)), epoch: epoch, sink: name)
    }
}

extension Sink {
    /// A seal of a plan that names no predecessors.
    func seal(_ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String, rows: [Chunk]) throws -> Sealed {
        try seal(identity, part: part, batch: batch, digest: digest, after: .unknown, rows: rows)
    }
}
