// Records that do not become rows: why, and what a person needs to find and mend them.
//
// A record is rejected once, with the first thing that is wrong with it in the order of the table's columns. Messages and values hold what the
// record said: they belong into quarantine and never into a log.

import Values

package enum RowRejectReason: String, Sendable, Hashable, CaseIterable {
    /// The record is not in its format (no column), or a value does not become its column's type.
    case undecodable
    /// NULL in a column that is NOT NULL.
    case null
    case nullEventTime
    case tooFarAhead
    /// No key, or NULL in it.
    case keyMissing
    case keyUndecodable
    /// The key is another one than the value has.
    case keyDiffers
    /// No value, in a table whose rows only come: how a compacted topic deletes. No error, and never a reason to stop.
    case tombstone
}

package struct RejectedRow: Sendable, Hashable {
    /// Number of the record within its run.
    package let record: Int
    package let offset: Int64
    package let reason: RowRejectReason
    /// Number among the table's columns; nil where the whole record is meant.
    package let column: Int?
    package let fault: RowFault
    /// The beginning of the value, or of the record.
    package let value: [UInt8]
}

/// What `on_error = 'stop'` stops with: the first record that is wrong.
package struct DecodeStop: Error, Hashable, CustomStringConvertible {
    package let topic: String
    package let partition: Int32
    package let rejected: RejectedRow
    /// The name of `rejected.column`.
    package let column: String?

    package var description: String {
        "the record at \(topic) \(partition) \(rejected.offset) is no row\(column.map { ", for its column \($0)" } ?? ""): \(rejected.fault.message) "
            + "(\(rejected.fault.sqlState)), and on_error is 'stop' (now: mend the record, or set on_error = 'quarantine')"
    }
}

/// How many records became what.
package struct DecodeCounts: Sendable, Hashable {
    /// Rows of all chunks, deletes among them.
    package var rows = 0
    /// Rows that delete.
    package var deletes = 0
    /// Values that failed and are NULL, under `on_error = 'null'`, by the number of their column.
    package var nulled: [Int: Int] = [:]
    private var rejected = [Int](repeating: 0, count: RowRejectReason.allCases.count)

    package init() {}

    /// How many records were rejected for a reason.
    package subscript(reason: RowRejectReason) -> Int { rejected[RowRejectReason.allCases.firstIndex(of: reason)!] }

    mutating func note(_ reason: RowRejectReason) { rejected[RowRejectReason.allCases.firstIndex(of: reason)!] += 1 }

    package mutating func add(_ other: DecodeCounts) {
        rows += other.rows
        deletes += other.deletes
        nulled.merge(other.nulled) { $0 + $1 }
        for index in rejected.indices { rejected[index] += other.rejected[index] }
    }
}

/// Why a table cannot be decoded at all: said before the first record.
package struct DecodingError: Error, Hashable, CustomStringConvertible {
    package let what: String
    package let why: String
    package let now: String

    package init(_ what: String, why: String, now: String) {
        self.what = what
        self.why = why
        self.now = now
    }

    package var description: String { "\(what): \(why) (now: \(now))" }
}
