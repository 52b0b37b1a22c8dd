// One column of a chunk: values of one type, as long as the chunk.
//
// A column is filled by one task and frozen when its chunk is handed on; from then on every reader may share it. That
// is the reason for `@unchecked Sendable` on the two storage classes, and the rule to keep when changing them: nobody
// appends to a column that another thread may see.
//
// Layout: fixed-width values in one aligned allocation; text as `count + 1` offsets into one byte buffer; validity as
// one byte a row (1 valid, 0 NULL), absent while no NULL was appended. Row loops take the raw pointers out once per
// chunk (`values`, `offsets`, `bytes`) and never touch the class per row.

/// Fixed-width values. Grows by doubling; `values` is valid until the next append.
public final class FixedColumn<Value: BitwiseCopyable & Sendable>: @unchecked Sendable {
    public private(set) var values: UnsafeMutablePointer<Value>
    public private(set) var validity: UnsafeMutablePointer<UInt8>?
    public private(set) var count = 0
    private var capacity: Int

    public init(capacity: Int = 1024) {
        self.capacity = max(capacity, 16)
        values = .allocate(capacity: self.capacity)
    }

    deinit {
        values.deallocate()
        validity?.deallocate()
    }

    /// Makes room for `extra` more values, so that `appendReserved` may follow.
    public func reserve(_ extra: Int) {
        if count + extra > capacity { grow(to: count + extra) }
    }

    public func append(_ value: Value) {
        reserve(1)
        setReserved(value)
    }

    /// Appends NULL; the value below it is `filler`.
    public func appendNull(filler: Value) {
        reserve(1)
        let row = count
        setReserved(filler)
        if validity == nil { makeValidity() }
        validity![row] = 0
    }

    /// Takes over `n` values that the caller wrote at `values + count` after `reserve(n)`.
    public func commit(_ n: Int) {
        precondition(count + n <= capacity)
        if let validity { (validity + count).update(repeating: 1, count: n) }
        count += n
    }

    /// The validity of the rows that the caller is about to write after `reserve`; from here on it writes one for each
    /// row and hands over with `commitWritten`.
    package func validityForWriting() -> UnsafeMutablePointer<UInt8> {
        if validity == nil { makeValidity() }
        return validity!
    }

    /// Takes over `n` values, and their validity if there is one, that the caller wrote after `reserve(n)`.
    package func commitWritten(_ n: Int) {
        precondition(count + n <= capacity)
        count += n
    }

    public func isNull(_ row: Int) -> Bool { validity.map { $0[row] == 0 } ?? false }

    /// Forgets all rows, keeps the memory.
    public func removeAll() {
        count = 0
        validity?.deallocate()
        validity = nil
    }

    private func setReserved(_ value: Value) {
        values[count] = value
        validity?[count] = 1
        count += 1
    }

    private func grow(to needed: Int) {
        let larger = max(needed, capacity * 2)
        let fresh = UnsafeMutablePointer<Value>.allocate(capacity: larger)
        fresh.update(from: values, count: count)
        values.deallocate()
        values = fresh
        if let validity {
            let freshValidity = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
            freshValidity.update(from: validity, count: count)
            validity.deallocate()
            self.validity = freshValidity
        }
        capacity = larger
    }

    private func makeValidity() {
        validity = .allocate(capacity: capacity)
        validity!.update(repeating: 1, count: capacity)
    }
}

/// Text as UTF-8: row `i` is `bytes[offsets[i] ..< offsets[i + 1]]`.
public final class TextColumn: @unchecked Sendable {
    /// Behind the bytes of any text so many may be read; what they hold says nothing.
    package static let slackBytes = 8

    public private(set) var offsets: UnsafeMutablePointer<Int32>
    public private(set) var bytes: UnsafeMutablePointer<UInt8>
    public private(set) var validity: UnsafeMutablePointer<UInt8>?
    public private(set) var count = 0
    public private(set) var byteCount = 0
    private var capacity: Int
    private var byteCapacity: Int

    public init(capacity: Int = 1024, byteCapacity: Int = 16_384) {
        self.capacity = max(capacity, 16)
        self.byteCapacity = max(byteCapacity, 64)
        offsets = .allocate(capacity: self.capacity + 1)
        bytes = .allocate(capacity: self.byteCapacity + Self.slackBytes)
        offsets[0] = 0
    }

    deinit {
        offsets.deallocate()
        bytes.deallocate()
        validity?.deallocate()
    }

    public func append(_ start: UnsafePointer<UInt8>, _ length: Int) {
        if count == capacity { growRows() }
        if byteCount + length > byteCapacity { growBytes(byteCount + length) }
        (bytes + byteCount).update(from: start, count: length)
        byteCount += length
        validity?[count] = 1
        count += 1
        offsets[count] = Int32(truncatingIfNeeded: byteCount)
    }

    public func append(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            if let base = utf8.baseAddress { append(base, utf8.count) } else { appendEmpty() }
        }
    }

    public func appendNull() {
        appendEmpty()
        if validity == nil {
            validity = .allocate(capacity: capacity)
            validity!.update(repeating: 1, count: capacity)
        }
        validity![count - 1] = 0
    }

    /// Makes room for `extra` more rows with `extraBytes` more bytes, for a caller that writes `offsets` and `bytes`
    /// itself and hands over with `commitWritten`.
    package func reserve(rows extra: Int, bytes extraBytes: Int) {
        while count + extra > capacity { growRows() }
        if byteCount + extraBytes > byteCapacity { growBytes(byteCount + extraBytes) }
    }

    /// The validity of the rows that the caller is about to write after `reserve`; from here on it writes one for each
    /// row.
    package func validityForWriting() -> UnsafeMutablePointer<UInt8> {
        if validity == nil {
            validity = .allocate(capacity: capacity)
            validity!.update(repeating: 1, count: capacity)
        }
        return validity!
    }

    /// Takes over `n` rows whose ends the caller wrote to `offsets[count + 1 ... count + n]`, with their bytes and, if
    /// there is one, their validity.
    package func commitWritten(_ n: Int) {
        let end = Int(offsets[count + n])
        precondition(count + n <= capacity && end >= byteCount && end <= byteCapacity)
        count += n
        byteCount = end
    }

    public func isNull(_ row: Int) -> Bool { validity.map { $0[row] == 0 } ?? false }

    /// The bytes of one row.
    public func slice(_ row: Int) -> UnsafeBufferPointer<UInt8> {
        let start = Int(offsets[row])
        return UnsafeBufferPointer(start: UnsafePointer(bytes) + start, count: Int(offsets[row + 1]) - start)
    }

    /// One row as a `String`: for edges (sinks, prints, tests), never in a row loop.
    public func string(_ row: Int) -> String { String(decoding: slice(row), as: UTF8.self) }

    public func removeAll() {
        count = 0
        byteCount = 0
        validity?.deallocate()
        validity = nil
    }

    private func appendEmpty() {
        if count == capacity { growRows() }
        validity?[count] = 1
        count += 1
        offsets[count] = Int32(truncatingIfNeeded: byteCount)
    }

    private func growRows() {
        let larger = capacity * 2
        let fresh = UnsafeMutablePointer<Int32>.allocate(capacity: larger + 1)
        fresh.update(from: offsets, count: count + 1)
        offsets.deallocate()
        offsets = fresh
        if let validity {
            let freshValidity = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
            freshValidity.update(from: validity, count: count)
            validity.deallocate()
            self.validity = freshValidity
        }
        capacity = larger
    }

    private func growBytes(_ needed: Int) {
        precondition(needed <= Int(Int32.max), "a text column holds at most 2 GiB, asked for \(needed) bytes")
        let larger = max(needed, byteCapacity * 2)
        let fresh = UnsafeMutablePointer<UInt8>.allocate(capacity: larger + Self.slackBytes)
        fresh.update(from: bytes, count: byteCount)
        bytes.deallocate()
        bytes = fresh
        byteCapacity = larger
    }
}

/// A column of any type; switched on once per chunk, never per row.
public enum Column: Sendable {
    case int64(FixedColumn<Int64>)
    case timestamp(FixedColumn<Int64>)
    case float64(FixedColumn<Double>)
    case bool(FixedColumn<Bool>)
    case text(TextColumn)

    public init(_ type: ValueType, capacity: Int = 1024) {
        switch type {
        case .int64: self = .int64(FixedColumn(capacity: capacity))
        case .timestamp: self = .timestamp(FixedColumn(capacity: capacity))
        case .float64: self = .float64(FixedColumn(capacity: capacity))
        case .bool: self = .bool(FixedColumn(capacity: capacity))
        case .text: self = .text(TextColumn(capacity: capacity))
        }
    }

    public var type: ValueType {
        switch self {
        case .int64: .int64
        case .timestamp: .timestamp
        case .float64: .float64
        case .bool: .bool
        case .text: .text
        }
    }

    public var count: Int {
        switch self {
        case .int64(let column), .timestamp(let column): column.count
        case .float64(let column): column.count
        case .bool(let column): column.count
        case .text(let column): column.count
        }
    }

    public func isNull(_ row: Int) -> Bool {
        switch self {
        case .int64(let column), .timestamp(let column): column.isNull(row)
        case .float64(let column): column.isNull(row)
        case .bool(let column): column.isNull(row)
        case .text(let column): column.isNull(row)
        }
    }

    /// One value, boxed: for edges (sinks, prints, tests), never in a row loop.
    public func value(_ row: Int) -> Value {
        if isNull(row) { return .null }
        switch self {
        case .int64(let column): return .int64(column.values[row])
        case .timestamp(let column): return .timestamp(column.values[row])
        case .float64(let column): return .float64(column.values[row])
        case .bool(let column): return .bool(column.values[row])
        case .text(let column): return .text(column.string(row))
        }
    }

    /// Appends one boxed value of the column's own type or NULL: for edges, never in a row loop.
    public func append(_ value: Value) {
        switch (self, value) {
        case (.int64(let column), .int64(let v)), (.timestamp(let column), .timestamp(let v)): column.append(v)
        case (.float64(let column), .float64(let v)): column.append(v)
        case (.bool(let column), .bool(let v)): column.append(v)
        case (.text(let column), .text(let v)): column.append(v)
        case (.int64(let column), .null), (.timestamp(let column), .null): column.appendNull(filler: 0)
        case (.float64(let column), .null): column.appendNull(filler: 0)
        case (.bool(let column), .null): column.appendNull(filler: false)
        case (.text(let column), .null): column.appendNull()
        default: preconditionFailure("a \(type) column was given \(value)")
        }
    }
}

/// One value outside a row loop.
public enum Value: Sendable, Hashable {
    case null
    case int64(Int64)
    case timestamp(Int64)
    case float64(Double)
    case bool(Bool)
    case text(String)
}

extension Column {
    /// Forgets all rows, keeps the memory.
    package func removeAll() {
        switch self {
        case .int64(let column), .timestamp(let column): column.removeAll()
        case .float64(let column): column.removeAll()
        case .bool(let column): column.removeAll()
        case .text(let column): column.removeAll()
        }
    }
}
