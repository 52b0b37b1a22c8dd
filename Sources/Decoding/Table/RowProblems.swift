// What is wrong with rows of the chunk that is being made.
//
// A row stands until the chunk is done, whatever is wrong with it: its event time may still move the watermark. Then each record that has
// something is rejected with the first thing; what is wrong with a key goes before all else, because such a record must change nothing.

import Values

struct RowProblem {
    let record: Int32
    /// -1 where the record became no row at all.
    let row: Int32
    let reason: RowRejectReason
    let column: Int?
    let fault: RowFault
    let value: [UInt8]

    var isOfKey: Bool {
        switch reason {
        case .keyMissing, .keyUndecodable, .keyDiffers: true
        case .undecodable, .null, .nullEventTime, .tooFarAhead, .tombstone: false
        }
    }
}

extension RowProblem {
    /// The beginning of some bytes.
    static func shown(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { Array(bytes.prefix(RecordLimits.shownBytes)) }
    static func shown(_ start: Place?, _ count: Int) -> [UInt8] { shown(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count)) }
}

extension RowFault {
    static let tooLarge = RowFault("54000", "the record has more than \(RecordLimits.recordBytes) bytes")
    static let noKey = RowFault("23502", "the record has no key")
    static let nullKey = RowFault("23502", "the key is NULL")
    static let keyDiffers = RowFault("23514", "the record's key is another one than its value has")
    static let tombstone = RowFault("00000", "the record has no value")
    static let nullEventTime = RowFault("23502", "the event time is NULL")
    static let tooFarAhead = RowFault("22008", "the event time is further ahead of the batch's time than max_future")
    static func null(_ column: String) -> RowFault { RowFault("23502", "null value in column \"\(column)\" violates not-null constraint") }
}

/// What becomes of a row.
enum RowFate {
    static let put: UInt8 = 0
    /// It deletes the row of its key, and has no values.
    static let delete: UInt8 = 1
    /// It leaves no row.
    static let drop: UInt8 = 2
}
