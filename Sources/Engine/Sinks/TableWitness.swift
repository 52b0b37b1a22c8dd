// The witness of a part: a row that the part wrote last, kept beside its ledger row and looked up now and then.
//
// A ledger says what was written, not what is still there. TRUNCATE, DELETE, a table put back from an older copy, and an
// unlogged table after a server's crash all leave the ledger as it was. So each seal keeps one of its rows: the last, which
// for a keyed table is the one that counts for its key. It is looked up at a claim and before the first seal of a connection;
// a keyed table is asked by its key, a table without one only whether it is empty, because a search would read all of it.
// Where the database says that the table is another than before, the whole row is compared (and searched for).
//
// A witness is never a row that a seal has deleted. It is one that its batch wrote, and a seal that deletes keys takes back the
// witnesses of these keys, in its own transaction and whichever part or job of the same table wrote them: with another number of
// parts a key is another part's, a repair has a part of its own, a backfill a ledger of its own. A part has none then until it writes
// again. A table with the empty key has one row, so each seal that writes it takes back all witnesses but its own.
//
// What it does not see: single rows that were removed, and a table without a key that was emptied and filled by others; and one
// of which all witnesses were taken back. Keys are the same by their values: the engine has one form of equal ones.
// Kept in the text of a row: `i12`, `d` and the bits, `tTEXT`, null.

import Foundation

struct TableWitness {
    let text: SinkTableText
    let database: any SQLDatabase

    /// Rows with more than this in their texts are kept by their key alone.
    private static let maxTextBytes = 4096
    /// Times that every sink reads back as it stores them: the years 1 to 9999.
    private static let plainTimes: ClosedRange<Int64> = -62_135_596_800_000...253_402_300_799_999

    /// The witness that a row makes; nil for one that cannot be asked for.
    static func made(of row: [Value], _ table: SinkTable) -> String? {
        func isPlain(_ value: Value) -> Bool {
            switch value {
            case .timestamp(let millis): plainTimes.contains(millis)
            case .float64(let number): number.isFinite
            case .null, .int64, .bool, .text: true
            }
        }
        func bytes(_ values: [Value]) -> Int {
            values.reduce(0) { if case .text(let text) = $1 { $0 + text.utf8.count } else { $0 } }
        }
        var kept = zip(row, table.schema.fields).map(asStored)
        if bytes(row) > maxTextBytes || !row.allSatisfy(isPlain) { kept = table.key(of: kept) }
        guard !kept.isEmpty, bytes(kept) <= maxTextBytes, kept.allSatisfy(isPlain) else { return nil }
        let cells: [String?] = kept.map { value in
            switch sqlValue(value) {
            case .null, .blob: nil
            case .int(let number): "i\(number)"
            case .double(let number): "d\(number.bitPattern)"
            case .text(let text): "t\(text)"
            }
        }
        guard let json = try? JSONEncoder().encode(cells) else { return nil }
        return String(decoding: json, as: UTF8.self)
    }

    /// - Parameter isOther: the table is not the one that the row was written to, as far as the database knows.
    func look(_ witness: String?, isOther: Bool) throws -> SinkSight.Witness {
        guard let witness, let cells = Self.cells(witness) else { return .unknown }
        let table = text.table
        let isWhole = cells.count == table.schema.fields.count
        guard table.isSingleRow || !table.key.isEmpty else {
            if !isOther { return try database.execute(text.selectAny).isEmpty ? .gone : .found }
            return isWhole ? try database.execute(text.selectRow, cells).isEmpty ? .gone : .found : .unknown
        }
        guard let key = key(of: cells) else { return .unknown }
        guard let stored = try database.execute(text.selectKey, key).first else { return .gone }
        return !isWhole || stored == cells ? .found : .changed
    }

    private func key(of cells: [SQLValue]) -> [SQLValue]? {
        let names = text.table.schema.names
        let key = cells.count == names.count ? text.table.key.map { cells[names.firstIndex(of: $0)!] } : cells
        return key.count == text.table.key.count ? key : nil
    }

    /// A value as it is read back: a `real` has fewer digits.
    private static func asStored(_ value: Value, _ field: Field) -> Value {
        if case .float64(let number) = value, field.sqlType == "real" { return .float64(Double(Float(number))) }
        return value
    }

    /// Inside the sealing transaction, behind the rows of `part`.
    func takeBack(_ identity: SinkIdentity, part: Int, _ rows: PartRows) throws {
        guard rows.deleted > 0 || text.table.isSingleRow && rows.count > 0 else { return }
        let own = [SQLValue.text(identity.jobID.text), .int(Int64(part))]
        var holders: [[SQLValue]: [[SQLValue]]] = [:]
        for row in try database.execute(
            "SELECT job_id, part, witness FROM sluice_ledger WHERE sink = $1 AND witness IS NOT NULL ORDER BY job_id, part",
            [.text(identity.sink)])
        {
            guard case .text(let witness) = row[2], let key = Self.cells(witness).flatMap(key) else { continue }
            // The only row was replaced by ours.
            if text.table.isSingleRow && rows.count > rows.deleted && Array(row[..<2]) == own { continue }
            holders[key, default: []].append(row)
        }
        var gone: [[SQLValue]] = text.table.isSingleRow ? holders[[]] ?? [] : []
        if !holders.isEmpty, !text.table.isSingleRow {
            let fields = text.table.keyFields
            for number in 0..<rows.deleted {
                let key = zip(rows.values(number), fields).map { sqlValue(Self.asStored($0, $1)) }
                if let found = holders.removeValue(forKey: key) { gone += found }
            }
        }
        for row in gone {
            try database.execute(
                "UPDATE sluice_ledger SET witness = NULL WHERE sink = $1 AND job_id = $2 AND part = $3 AND witness = $4",
                [.text(identity.sink)] + row)
        }
    }

    private static func cells(_ witness: String) -> [SQLValue]? {
        guard let cells = try? JSONDecoder().decode([String?].self, from: Data(witness.utf8)) else { return nil }
        return cells.map { cell in
            guard let cell, let kind = cell.first else { return .null }
            let rest = String(cell.dropFirst())
            switch kind {
            case "i": return Int64(rest).map { .int($0) } ?? .null
            case "d": return UInt64(rest).map { .double(Double(bitPattern: $0)) } ?? .null
            default: return .text(rest)
            }
        }
    }
}
