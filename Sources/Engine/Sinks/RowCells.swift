// The memory of a chunk's columns as row loops of sinks read it: taken out once a chunk, no class touched per row.
//
// Valid as long as the chunk that they were taken from lives; use inside `withExtendedLifetime(chunk)`.

/// One column's memory. Which pointers mean something depends on `type`.
struct RowCells {
    let type: ValueType
    private let values: UnsafeRawPointer
    private let bytes: UnsafePointer<UInt8>
    private let validity: UnsafePointer<UInt8>?

    init(_ column: Column) {
        type = column.type
        switch column {
        case .int64(let column), .timestamp(let column):
            values = UnsafeRawPointer(column.values)
            validity = UnsafePointer(column.validity)
        case .float64(let column):
            values = UnsafeRawPointer(column.values)
            validity = UnsafePointer(column.validity)
        case .bool(let column):
            values = UnsafeRawPointer(column.values)
            validity = UnsafePointer(column.validity)
        case .text(let column):
            values = UnsafeRawPointer(column.offsets)
            validity = UnsafePointer(column.validity)
            bytes = UnsafePointer(column.bytes)
            return
        }
        bytes = values.assumingMemoryBound(to: UInt8.self)
    }

    @inline(__always) func isNull(_ row: Int) -> Bool { validity.map { $0[row] == 0 } ?? false }
    @inline(__always) func int64(_ row: Int) -> Int64 { values.assumingMemoryBound(to: Int64.self)[row] }
    @inline(__always) func float64(_ row: Int) -> Double { values.assumingMemoryBound(to: Double.self)[row] }
    @inline(__always) func bool(_ row: Int) -> Bool { values.assumingMemoryBound(to: UInt8.self)[row] != 0 }
    @inline(__always) func text(_ row: Int) -> (start: UnsafePointer<UInt8>, count: Int) {
        let offsets = values.assumingMemoryBound(to: Int32.self)
        return (bytes + Int(offsets[row]), Int(offsets[row + 1] - offsets[row]))
    }
}

extension Chunk {
    /// The `index`-th selected row's number.
    @inline(__always) static func row(_ index: Int, _ selected: UnsafePointer<Int32>?) -> Int {
        selected.map { Int($0[index]) } ?? index
    }
}

/// A value as databases bind it and give it back.
func sqlValue(_ value: Value) -> SQLValue {
    switch value {
    case .null: .null
    case .int64(let number): .int(number)
    case .float64(let number): .double(number)
    case .bool(let flag): .int(flag ? 1 : 0)
    case .timestamp(let millis): .text(formatTime(millis))
    case .text(let text): .text(text)
    }
}

/// A database's answer as a value of a field's type.
func value(_ answer: SQLValue, of field: Field) throws -> Value {
    switch (field.type, answer) {
    case (_, .null): return .null
    case (.int64, .int(let value)): return .int64(value)
    case (.bool, .int(let value)): return .bool(value != 0)
    case (.float64, .double(let value)): return .float64(value)
    case (.float64, .int(let value)): return .float64(Double(value))
    case (.text, .text(let value)): return .text(value)
    case (.timestamp, .text(let text)):
        if let millis = parseTime(text) { return .timestamp(millis) }
    default: break
    }
    throw Failure(
        .sinkMismatch, "a stored row cannot be read back", why: "a value of column \(field.name) is no \(field.type.rawValue)",
        now: "look for rows that were not written by the job")
}
