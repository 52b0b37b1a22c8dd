// One column of a chunk while records are read into it: raw memory, known by pointers.
//
// A reader writes a value at its row and marks the slot with the record's stamp and what it found; nothing is written for a field that does not
// come. When the record is over, `TopicDecoder` looks at each slot once: one that is marked "value" for this stamp costs a comparison, all others
// (missing, null, failed) are settled off the fast path. So of a name that comes twice the last value counts, and rows that fail leave nothing
// behind but bytes that no row points to.
//
// Texts are written once, into the buffer that becomes the vector's; a list has a slot of its own for its elements. All memory is the pool's.
// Checklist: whoever writes bytes asks for room first, and every new layout has its place in `open`, `close` and `grow`.

import Values

/// How a value becomes a column, known to the compiler wherever a value is written.
enum Conversion: UInt8 {
    case bool, int2, int4, int8, float4, float8, numeric, text, bytea, jsonb, uuid, date, time, timestamp, timestamptz, interval, list
    /// Nothing is written: only whether there is a value counts.
    case presence

    init(_ type: SQLType) {
        switch type {
        case .bool: self = .bool
        case .int2: self = .int2
        case .int4: self = .int4
        case .int8: self = .int8
        case .float4: self = .float4
        case .float8: self = .float8
        case .numeric: self = .numeric
        case .text, .unknown: self = .text
        case .bytea: self = .bytea
        case .jsonb: self = .jsonb
        case .uuid: self = .uuid
        case .date: self = .date
        case .time: self = .time
        case .timestamp: self = .timestamp
        case .timestamptz: self = .timestamptz
        case .interval: self = .interval
        case .list: self = .list
        case .row: preconditionFailure("no column is a row")
        }
    }
}

/// What a record said of a slot: the low bits of `ValueSlot.mark`.
enum Found {
    static let value: UInt64 = 1
    static let null: UInt64 = 2
    static let failed: UInt64 = 3
    static let bits: UInt64 = 3
    /// Between the stamps of two records.
    static let step: UInt64 = 4
}

struct ValueSlot: BitwiseCopyable {
    var values: UnsafeMutableRawPointer
    /// The bytes of texts; the scales of numerics.
    var bytes: UnsafeMutablePointer<UInt8>
    var byteCount = 0
    var byteCapacity = 0
    /// A bit a row, 0 for NULL; nil while none is.
    var validity: UnsafeMutablePointer<UInt64>?
    /// Rows that get the column's DEFAULT; nil where it has none.
    var missing: UnsafeMutablePointer<Int32>?
    var missingCount: Int32 = 0
    /// Whether values lie in it as a start and a length.
    var hasSpans = false
    /// The stamp of the last record that said something, with what it said.
    var mark: UInt64 = 0
    /// Of a list: the slot of its elements. Of elements: how many there are, and for how many there is room.
    var child: Int32 = -1
    var entryCount: Int32 = 0
    var entryCapacity: Int32 = 0
    var conversion: Conversion

    @inline(__always)
    func set(_ value: Int64, _ row: Int) { values.assumingMemoryBound(to: Int64.self)[row] = value }
    @inline(__always)
    func set(_ value: Double, _ row: Int) { values.assumingMemoryBound(to: Double.self)[row] = value }
    @inline(__always)
    func set(_ value: Bool, _ row: Int) { values.assumingMemoryBound(to: Bool.self)[row] = value }
    @inline(__always)
    func set(_ value: Interval, _ row: Int) { values.assumingMemoryBound(to: Interval.self)[row] = value }
    @inline(__always)
    func set(_ value: UUIDWords, _ row: Int) { values.assumingMemoryBound(to: UUIDWords.self)[row] = value }
    @inline(__always)
    func set(_ value: Numeric, _ row: Int) {
        values.assumingMemoryBound(to: Int128.self)[row] = value.units
        bytes[row] = value.scale
    }
    /// A `Span`: a call into its module for each text would cost as much as the text.
    @inline(__always)
    func set(start: Int, count: Int, _ row: Int) {
        values.assumingMemoryBound(to: UInt64.self)[row] = (UInt64(UInt32(truncatingIfNeeded: start)) | UInt64(truncatingIfNeeded: count) &<< 32).littleEndian
    }
    /// The bytes that were written behind the others.
    @inline(__always)
    mutating func setBytes(_ count: Int, _ row: Int) {
        set(start: byteCount, count: count, row)
        byteCount &+= count
    }
}
