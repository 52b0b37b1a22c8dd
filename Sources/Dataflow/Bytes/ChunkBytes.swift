// A chunk as bytes, for its way to another worker; whoever sends it frames, compresses and checks it.
//
//   chunk    rows, number of columns, columns, weights
//   weights  0 none | 1 a word each | 2 a byte each, where all fit
//   column   head: the type's tag, the form, whether entries are NULL; a row's number of fields; then
//              flat        an entry a row
//              constant    one entry
//              dictionary  how many entries, codes of 1, 2 or 4 bytes, entries
//   entries  a bit each where some are NULL, then by layout:
//              bool        a bit each
//              words, floats, uuids, intervals   as they lie in memory, zero where NULL: one copy where the rows are all rows
//              numerics    how, a scale for all or one each, units of 8 bytes or 16
//              bytes       lengths of 1, 2 or 4 bytes, then the bytes
//              list        lengths in the same way, then the child as a column
//              row         each field as a column
//
// Entries that nobody sees (under NULL, of rows that are not listed, of a dictionary that no row names) are not written, so equal rows
// out of flat vectors are equal bytes. A dictionary stays one where that is smaller. The reader knows the types, and is told them again
// by tags: bytes of another plan are refused, not read as something else. Reading asks for at most some eight times the memory that the
// bytes take (a bool has a byte a row, a bit here), whatever they claim.
//
// When changing the form: raise `version`, which the caller puts where it frames; `ColumnWriter` and `ColumnReader` mirror each other.

import Values

package enum ChunkBytes {
    /// Of the form below.
    package static let version = 1
    /// Rows have numbers of 32 bits.
    static let mostRows = Int(Int32.max)

    /// Appends all rows.
    package static func append(_ chunk: Chunk, to bytes: inout [UInt8]) { append(chunk, nil, chunk.count, to: &bytes) }

    /// Appends the rows of a list.
    package static func append(_ chunk: Chunk, rows: UnsafePointer<Int32>, count: Int, to bytes: inout [UInt8]) { append(chunk, rows, count, to: &bytes) }

    /// Appends a number to stand before a chunk: that of the edge it belongs to. `ByteReader.number` reads it.
    package static func append(number: Int, to bytes: inout [UInt8]) { bytes.append(number: number) }

    private static func append(_ chunk: Chunk, _ rows: UnsafePointer<Int32>?, _ count: Int, to bytes: inout [UInt8]) {
        precondition(count <= mostRows, "a chunk of \(count) rows, more than row numbers reach")
        bytes.append(number: count)
        bytes.append(number: chunk.columns.count)
        for column in chunk.columns { ColumnWriter.append(column, EntryList(rows, count: count), to: &bytes) }
        guard let weights = chunk.weightWords else { return bytes.append(0) }
        let list = EntryList(rows, count: count)
        var (least, most): (Int64, Int64) = (0, 0)
        for place in 0..<count { (least, most) = (min(least, weights[list[place]]), max(most, weights[list[place]])) }
        let fits = least >= Int64(Int8.min) && most <= Int64(Int8.max)
        bytes.append(fits ? 2 : 1)
        if fits {
            bytes.extend(count) { to in for place in 0..<count { to.storeBytes(of: Int8(truncatingIfNeeded: weights[list[place]]), toByteOffset: place, as: Int8.self) } }
        } else {
            bytes.extend(count * 8) { to in list.copy(weights, zero: 0, to: to) }
        }
    }

    /// Reads one chunk; what stands behind it is left.
    /// - Parameter types: of its columns.
    package static func read(_ types: [SQLType], from reader: inout ByteReader, pool: BufferPool) throws(BytesFault) -> Chunk {
        let count = try reader.number(atMost: mostRows, "rows")
        let width = try reader.number()
        guard width == types.count else { throw BytesFault(what: "\(width) columns, expected are \(types.count)") }
        var columns: [Vector] = []
        columns.reserveCapacity(types.count)
        for type in types { columns.append(try ColumnReader.column(type, count, &reader, pool)) }
        return Chunk(columns: columns, count: count, weights: try weights(count, &reader, pool))
    }

    private static func weights(_ count: Int, _ reader: inout ByteReader, _ pool: BufferPool) throws(BytesFault) -> Buffer? {
        let kind = try reader.byte()
        guard kind <= 2 else { throw BytesFault(what: "weights of kind \(kind)") }
        if kind == 0 { return nil }
        let from = try reader.take(kind == 1 ? count * 8 : count)
        let buffer = pool.take(max(count, 1) * 8)
        guard let base = from.baseAddress, count > 0 else { return buffer }
        if kind == 1 {
            buffer.base.copyMemory(from: base, byteCount: count * 8)
        } else {
            let words = buffer.base.assumingMemoryBound(to: Int64.self)
            for place in 0..<count { words[place] = Int64(base.load(fromByteOffset: place, as: Int8.self)) }
        }
        return buffer
    }
}

/// The first byte of a column.
enum ColumnHead {
    static let constant: UInt8 = 0x20
    static let dictionary: UInt8 = 0x40
    static let forms: UInt8 = 0x60
    static let hasNulls: UInt8 = 0x80

    /// What tells types apart; never changed.
    static func tag(_ type: SQLType) -> UInt8 {
        switch type {
        case .unknown: 0
        case .bool: 1
        case .int2: 2
        case .int4: 3
        case .int8: 4
        case .float4: 5
        case .float8: 6
        case .numeric: 7
        case .text: 8
        case .bytea: 9
        case .date: 10
        case .time: 11
        case .timestamp: 12
        case .timestamptz: 13
        case .interval: 14
        case .uuid: 15
        case .jsonb: 16
        case .list: 17
        case .row: 18
        }
    }
}

/// How the numerics of a column lie.
enum NumericHead {
    /// Units of 64 bits.
    static let narrow: UInt8 = 1
    static let oneScale: UInt8 = 2
}

/// Entries of a vector to be written, in order; a number below zero is an entry that is NULL.
struct EntryList {
    /// nil: the entries 0 ..< count.
    let entries: UnsafePointer<Int32>?
    let count: Int
    let hasHoles: Bool

    @inline(__always)
    init(_ entries: UnsafePointer<Int32>?, count: Int, hasHoles: Bool = false) {
        self.entries = entries
        self.count = count
        self.hasHoles = hasHoles
    }

    @inline(__always)
    subscript(place: Int) -> Int { entries == nil ? place : Int(entries![place]) }

    /// Copies elements, which may lie anywhere.
    @inline(__always)
    func copy<Element: BitwiseCopyable>(_ from: UnsafePointer<Element>, zero: Element, to: UnsafeMutableRawPointer) {
        let size = MemoryLayout<Element>.stride
        guard let entries else { return to.copyMemory(from: from, byteCount: count * size) }
        if hasHoles {
            for place in 0..<count { to.storeBytes(of: entries[place] < 0 ? zero : from[Int(entries[place])], toByteOffset: place * size, as: Element.self) }
        } else {
            for place in 0..<count { to.storeBytes(of: from[Int(entries[place])], toByteOffset: place * size, as: Element.self) }
        }
    }
}
