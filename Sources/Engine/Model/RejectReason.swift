// Why records do not become rows: words that stand in the log, in the quarantine table and in messages of other builds.

/// Why a record did not become a row; the names are stored in the quarantine table.
public enum RejectReason: String, Sendable, Codable, CaseIterable {
    case empty, framing, unknownSchema, truncated, trailingBytes, invalidValue, invalidText, missingField, wrongType
    case nullField, tooDeep, tooLarge, futureTime
    /// No value at all: how a compacted topic deletes a key. Counted apart, and no bad record (protocol 11).
    case tombstone
    /// A time outside `rowTimes`.
    case timeOutOfRange
    /// A part of the key is NULL, or not a finite number: no row of a table could be found by it.
    case nullKey, notFiniteKey
    /// Of a table whose rows are replaced by key: the record's key cannot be read, or is not the one that its value has.
    case undecodableKey, otherKey
    /// An expression of the query failed for it.
    case expression
    /// The process that reads it ends. It is left out of the batch, by the plan (protocol 3).
    case crash
}
