// What is wrong with one row: PostgreSQL would stop the statement, a stream must not.
//
// A kernel throws a fault for a row, the program notes it with the row and with the place of the call in the text, and the
// row's value is NULL from there on. What becomes of the row is decided by the caller (`on_error`): under `null` each fault
// is one NULL, counted; under `quarantine` and `stop` the *first* fault of a row counts and all its values are forgotten.
// The first one noted is the first one reached, because a program reaches its expressions in the order that a query block
// has (see docs/decisions, "who owns a row error").
//
// Codes and messages are PostgreSQL's: a test compares the codes call by call. A message holds the value that failed, so it
// belongs into quarantine and never into a log.

/// What failed in one row: PostgreSQL's SQLSTATE and its message.
public struct RowFault: Error, Hashable, Sendable {
    /// Five characters, for example `22012`.
    public var sqlState: String
    public var message: String

    public init(_ sqlState: String, _ message: String) {
        self.sqlState = sqlState
        self.message = message
    }
}

/// A fault with its row and its place.
public struct RowError: Hashable, Sendable {
    /// Within the chunk.
    public var row: Int
    /// Byte offset of the failed call in the statement's text.
    public var position: Int
    public var fault: RowFault

    public init(row: Int, position: Int, fault: RowFault) {
        self.row = row
        self.position = position
        self.fault = fault
    }
}

extension RowFault {
    static let divisionByZero = RowFault("22012", "division by zero")
    static let floatOverflow = RowFault("22003", "value out of range: overflow")
    static let floatUnderflow = RowFault("22003", "value out of range: underflow")
    static let numericOverflow = RowFault("22003", "value has more than the 38 digits that a numeric holds here")
    static let timestampRange = RowFault("22008", "timestamp out of range")
    static let dateRange = RowFault("22008", "date out of range")
    static let intervalRange = RowFault("22008", "interval out of range")
    static let tooLong = RowFault("54000", "requested length too large")

    static func range(_ type: SQLType) -> RowFault { RowFault("22003", "\(type.name) out of range") }

    static func syntax(_ type: SQLType, _ text: UnsafeRawBufferPointer) -> RowFault {
        RowFault("22P02", "invalid input syntax for type \(type.name): \"\(String(decoding: text, as: UTF8.self))\"")
    }

    static func range(_ type: SQLType, _ text: UnsafeRawBufferPointer) -> RowFault {
        RowFault("22003", "value \"\(String(decoding: text, as: UTF8.self))\" is out of range for type \(type.name)")
    }

    static func timeSyntax(_ type: SQLType, _ text: UnsafeRawBufferPointer) -> RowFault {
        RowFault("22007", "invalid input syntax for type \(type.name): \"\(String(decoding: text, as: UTF8.self))\"")
    }

    static func timeField(_ text: UnsafeRawBufferPointer) -> RowFault {
        RowFault("22008", "date/time field value out of range: \"\(String(decoding: text, as: UTF8.self))\"")
    }

    static func parameter(_ message: String) -> RowFault { RowFault("22023", message) }

    static func unsupported(_ message: String) -> RowFault { RowFault("0A000", message) }
}
