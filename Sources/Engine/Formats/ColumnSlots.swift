// Where decoders write: the raw memory of all columns, taken out once per chunk and handed back once per chunk.
//
// `open` reserves rows and text bytes for the worst case, so that the row loops need no bounds check on the way out, and
// fills one slot a column. A row is written at `row`, counted from the first row of the call; text starts where the row
// before it ended. A row becomes real only when the loop moves on to `row + 1`: a record that fails halfway is rolled
// back by writing the next one over it. `close` hands the rows over.
//
// When changing this file: text writers may write up to `slack` bytes past their text; whoever calls
// `setNull` for a column calls `setValid` for its other rows, because an abandoned row may have left a 0.

/// One column while it is being filled.
struct ColumnSlot {
    /// Fixed-width values from the first row of the call on; unused for text.
    var values: UnsafeMutableRawPointer
    /// Text: ends of rows, so that row r is `bytes[offsets[r] ..< offsets[r + 1]]`; unused for fixed-width values.
    var offsets: UnsafeMutablePointer<Int32>
    var bytes: UnsafeMutablePointer<UInt8>
    /// One byte a row once a NULL was seen; nil before.
    var validity: UnsafeMutablePointer<UInt8>?
    /// The record that last set this column in its row, and what was wrong with the value.
    var stamp: Int32
    var problem: RejectReason?
    let type: ValueType
    let nullable: Bool

    @inline(__always)
    func set(_ value: Int64, _ row: Int) { values.storeBytes(of: value, toByteOffset: row &<< 3, as: Int64.self) }

    @inline(__always)
    func set(_ value: Double, _ row: Int) { values.storeBytes(of: value, toByteOffset: row &<< 3, as: Double.self) }

    @inline(__always)
    func set(_ value: Bool, _ row: Int) { values.storeBytes(of: value ? 1 : 0, toByteOffset: row, as: UInt8.self) }

    @inline(__always)
    func setValid(_ row: Int) { if let validity { validity[row] = 1 } }
}

final class ColumnSlots {
    /// Bytes that may be written past the end of a text.
    static let slack = 16

    let slots: UnsafeMutablePointer<ColumnSlot>
    let count: Int
    private var columns: [Column] = []
    /// Stands in for memory that a type does not have.
    private let nowhere: UnsafeMutableRawPointer

    init(_ schema: Schema) {
        count = schema.fields.count
        slots = .allocate(capacity: max(count, 1))
        nowhere = .allocate(byteCount: 16, alignment: 16)
        for (index, field) in schema.fields.enumerated() {
            (slots + index).initialize(
                to: ColumnSlot(
                    values: nowhere, offsets: nowhere.assumingMemoryBound(to: Int32.self),
                    bytes: nowhere.assumingMemoryBound(to: UInt8.self), validity: nil, stamp: -1, problem: nil,
                    type: field.type, nullable: field.nullable))
        }
    }

    deinit {
        slots.deallocate()
        nowhere.deallocate()
    }

    /// Reserves room for `rows` rows with at most `textBytes` bytes in each text column, and points the slots there.
    func open(_ columns: [Column], rows: Int, textBytes: Int) {
        precondition(columns.count == count, "\(columns.count) columns were given for \(count) fields")
        self.columns = columns
        for index in 0..<count {
            slots[index].stamp = -1
            precondition(columns[index].type == slots[index].type, "column \(index) has another type than its field")
            switch columns[index] {
            case .int64(let column), .timestamp(let column): openFixed(column, index, rows)
            case .float64(let column): openFixed(column, index, rows)
            case .bool(let column): openFixed(column, index, rows)
            case .text(let column):
                column.reserve(rows: rows, bytes: textBytes + Self.slack)
                slots[index].offsets = column.offsets + column.count
                slots[index].bytes = column.bytes
                slots[index].validity = column.validity.map { $0 + column.count }
            }
            slots[index].validity?.update(repeating: 1, count: rows)
        }
    }

    /// Makes the first `rows` rows real and lets go of the columns.
    func close(rows: Int) {
        for column in columns {
            switch column {
            case .int64(let column), .timestamp(let column): closeFixed(column, rows)
            case .float64(let column): closeFixed(column, rows)
            case .bool(let column): closeFixed(column, rows)
            case .text(let column): column.commitWritten(rows)
            }
        }
        columns = []
    }

    /// Writes NULL into `row` of column `index`.
    @inline(__always)
    func setNull(_ index: Int, _ row: Int) {
        if slots[index].validity == nil { makeValidity(index) }
        slots[index].validity![row] = 0
        switch slots[index].type {
        case .text: slots[index].offsets[row + 1] = slots[index].offsets[row]
        case .bool: slots[index].set(false, row)
        case .float64: slots[index].set(0.0, row)
        case .int64, .timestamp: slots[index].set(Int64(0), row)
        }
    }

    @inline(never)
    private func makeValidity(_ index: Int) {
        switch columns[index] {
        case .int64(let column), .timestamp(let column):
            slots[index].validity = column.validityForWriting() + column.count
        case .float64(let column): slots[index].validity = column.validityForWriting() + column.count
        case .bool(let column): slots[index].validity = column.validityForWriting() + column.count
        case .text(let column): slots[index].validity = column.validityForWriting() + column.count
        }
    }

    private func openFixed<Value>(_ column: FixedColumn<Value>, _ index: Int, _ rows: Int) {
        column.reserve(rows)
        slots[index].values = UnsafeMutableRawPointer(column.values + column.count)
        slots[index].validity = column.validity.map { $0 + column.count }
    }

    private func closeFixed<Value>(_ column: FixedColumn<Value>, _ rows: Int) { column.commitWritten(rows) }
}

/// The names of `needed`, each once; a decoder has one slot per name.
func requireDistinctNames(_ needed: Schema) throws {
    var seen: Set<String> = []
    for name in needed.names where !seen.insert(name).inserted {
        throw Failure(
            .schemaMismatch, "the columns to read cannot be set up", why: "the field \(name) is asked for twice",
            now: "ask for each field once")
    }
}
