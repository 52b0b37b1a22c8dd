// Rows that a database does not take: kept beside the others, in the transaction that stores the good ones.
//
// A time that PostgreSQL cannot hold, a text with U+0000, a constraint, a number that overflows, a row that others refer to and
// that was to go: one such row must not keep the rest of its part away for ever. It goes to `sluice_refused` with its coordinates (topic, partition and offset where the
// row has those columns, else its key) and the reason, under (job id, sink, part, batch, number of the row in its part), so a
// batch that is sealed again finds it there. Digests cover the computed rows, refused ones included.
//
// Too many are no accident but a wrong table, so the limits of bad records hold here too; then nothing of the part is
// written. Keys are JSON: PostgreSQL could not store U+0000 here either.

import Foundation

/// How many of a part's rows may be refused before the batch stops the job.
public struct RefusalLimit: Sendable, Hashable {
    public var share: Double
    /// Refused rows below which the share is not looked at.
    public var minimum: Int64

    /// What the settings say by default.
    package static let usual = RefusalLimit(share: 0.5, minimum: 100)

    public init(share: Double, minimum: Int64) {
        self.share = share
        self.minimum = minimum
    }

    /// - Parameter isFirst: the first batch of a job counts without the minimum: it would be wrong from the start.
    func isExceeded(refused: Int, of rows: Int, isFirst: Bool) -> Bool {
        (isFirst || Int64(refused) >= minimum) && Double(refused) > share * Double(rows)
    }
}

/// The refused rows of one part while it is sealed.
struct RefusedRows {
    private(set) var rows: [Row] = []
    let table: SinkTable
    let total: Int
    let limit: RefusalLimit
    let batch: BatchNumber

    struct Row {
        /// In its part, keys whose rows go before the others.
        var number: Int
        /// Of all columns; of a key whose row was to go, those of the key.
        var values: [Value]
        var isDelete: Bool
        var reason: Failure
    }

    static let create = """
        CREATE TABLE sluice_refused (job_id text NOT NULL, sink text NOT NULL, part bigint NOT NULL, batch bigint NOT NULL,
            number bigint NOT NULL, topic text, "partition" bigint, "offset" bigint, row_key text, reason text NOT NULL,
            PRIMARY KEY (job_id, sink, part, batch, number))
        """

    init(_ table: SinkTable, total: Int, limit: RefusalLimit, batch: BatchNumber) {
        self.table = table
        self.total = total
        self.limit = limit
        self.batch = batch
    }

    /// - Throws: `tooManyRejected`.
    mutating func add(_ number: Int, _ values: [Value], isDelete: Bool, _ reason: Failure) throws {
        rows.append(Row(number: number, values: values, isDelete: isDelete, reason: reason))
        guard limit.isExceeded(refused: rows.count, of: total, isFirst: batch == 1) else { return }
        throw Failure(
            .tooManyRejected, "the sink refused \(rows.count) of the \(total) rows of batch \(batch) that were looked at",
            why: "\(reason.why); more than the share \(limit.share) that max_rejected_share allows",
            now: "look at the constraints of \(table.name); nothing of this part was written. Raise max_rejected_share to go on")
    }

    /// Inside the sealing transaction.
    func store(_ identity: SinkIdentity, part: Int, in database: any SQLDatabase) throws {
        // What the first try met may not be there any more.
        guard let first = rows.first else { return }
        for row in rows {
            try database.execute(
                """
                INSERT INTO sluice_refused (job_id, sink, part, batch, number, topic, "partition", "offset", row_key, reason)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                ON CONFLICT (job_id, sink, part, batch, number) DO UPDATE SET reason = excluded.reason
                """,
                [
                    .text(identity.jobID.text), .text(identity.sink), .int(Int64(part)), .int(batch),
                    .int(Int64(row.number)), cell("topic", .text, row), cell("partition", .int64, row), cell("offset", .int64, row),
                    .text(key(row)), .text((row.isDelete ? "its row could not be deleted: " : "") + row.reason.why),
                ])
        }
        Log.warning(
            "the sink refused rows",
            [
                ("job", identity.job), ("batch.id", "\(batch)"), ("part", "\(part)"), ("rows", "\(rows.count)"),
                ("why", first.reason.why), ("kept_in", "sluice_refused"),
            ])
    }

    private func cell(_ name: String, _ type: ValueType, _ row: Row) -> SQLValue {
        guard let index = table.schema.index(of: name), table.schema.fields[index].type == type, let value = value(name, row) else {
            return .null
        }
        // A topic's name has no U+0000; whatever else stands in a column of this name is in the key.
        if case .text(let text) = value, text.utf8.contains(0) { return .null }
        return sqlValue(value)
    }

    private func value(_ name: String, _ row: Row) -> Value? {
        (row.isDelete ? table.key.firstIndex(of: name) : table.schema.index(of: name)).map { row.values[$0] }
    }

    /// The row's key, or all of it where the table has none, as a JSON object.
    private func key(_ row: Row) -> String {
        let names = table.key.isEmpty && !row.isDelete ? table.schema.names : table.key
        let pairs = names.map { name in
            let value: String =
                switch value(name, row) ?? .null {
                case .null: "null"
                case .int64(let number): "\(number)"
                case .timestamp(let millis): "\(millis)"
                case .float64(let number): number.isFinite ? "\(number)" : "\"\(number)\""
                case .bool(let flag): "\(flag)"
                case .text(let text): Self.quoted(String(text.prefix(Self.maxKeyCharacters)))
                }
            return "\(Self.quoted(name)):\(value)"
        }
        return "{" + pairs.joined(separator: ",") + "}"
    }

    /// Of one text of a key; what is longer can be read again by its coordinates.
    private static let maxKeyCharacters = 8192

    private static func quoted(_ text: String) -> String {
        guard let json = try? JSONEncoder().encode(text) else { return "null" }
        return String(decoding: json, as: UTF8.self)
    }
}
