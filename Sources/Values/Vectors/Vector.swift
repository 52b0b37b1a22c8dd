// One column of a chunk: values of one type, flat, constant or through a dictionary.
//
//   flat        entry r is row r
//   constant    entry 0 is every row
//   dictionary  entry codes[r] is row r; NULL is an entry too
//
// Entries lie in one buffer: a word, a float, a byte (bool), 16 bytes (wide), or a span. A span is a start and a length in a
// second buffer of bytes (text, bytea, jsonb) or in a child vector (list): rows can be written in any order, a part of a text
// costs no copy, and a dictionary becomes flat by copying spans. A numeric has its scales in the second buffer, one byte an
// entry. Validity is one bit an entry, absent where no entry is NULL.
//
// A vector is frozen when it is handed on; everybody may read it then, through `view`: expressions, encoders, sinks and keys
// alike. A view is pointers only, valid while its vector lives. It is taken once per chunk; no row loop touches a vector.

/// A start and a length: in bytes, or in entries of a child.
package struct Span: Hashable, Sendable, BitwiseCopyable {
    package var start: UInt32
    package var count: UInt32

    @inline(__always)
    package init(start: Int, count: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.count = UInt32(truncatingIfNeeded: count)
    }
}

/// A column of a chunk.
public struct Vector: Sendable {
    public enum Form: Sendable, Hashable { case flat, constant, dictionary }

    public let type: SQLType
    public let form: Form
    /// How many rows; a constant has as many as anybody asks for.
    public let count: Int
    package let values: Buffer
    /// The bytes of spans, the scales of numerics.
    package let extra: Buffer?
    package let validity: Buffer?
    package let codes: Buffer?
    /// The child of a list, the fields of a row.
    package let children: [Vector]

    package init(
        _ type: SQLType, form: Form = .flat, count: Int, values: Buffer, extra: Buffer? = nil, validity: Buffer? = nil,
        codes: Buffer? = nil, children: [Vector] = []
    ) {
        self.type = type
        self.form = form
        self.count = count
        self.values = values
        self.extra = extra
        self.validity = validity
        self.codes = codes
        self.children = children
    }

    /// Rows that are entries of `entries`, a flat vector.
    /// - Parameter codes: one `Int32` a row, each below the number of entries.
    public init(dictionary entries: Vector, codes: Buffer, count: Int) {
        precondition(entries.form == .flat, "a dictionary's entries are a flat vector")
        self.init(
            entries.type, form: .dictionary, count: count, values: entries.values, extra: entries.extra, validity: entries.validity,
            codes: codes, children: entries.children)
    }

    /// The caller keeps the vector alive as long as it uses the view.
    public var view: VectorView {
        VectorView(
            values: UnsafeRawPointer(values.base), extra: extra.map { UnsafeRawPointer($0.base) },
            validity: validity.map { UnsafePointer($0.base.assumingMemoryBound(to: UInt64.self)) },
            codes: codes.map { UnsafePointer($0.base.assumingMemoryBound(to: Int32.self)) }, mask: form == .constant ? 0 : -1)
    }
}

/// Where the values of a vector lie; valid while the vector lives.
public struct VectorView: @unchecked Sendable {
    package let values: UnsafeRawPointer
    package let extra: UnsafeRawPointer?
    package let validity: UnsafePointer<UInt64>?
    package let codes: UnsafePointer<Int32>?
    /// 0 for a constant, all ones for others.
    package let mask: Int

    /// The entry of a row.
    @inline(__always)
    package func place(_ row: Int) -> Int { codes.map { Int($0[row]) } ?? row & mask }

    @inline(__always)
    public func isNull(_ row: Int) -> Bool { validity.map { !Bitmap.isSet($0, place(row)) } ?? false }

    @inline(__always)
    public func word(_ row: Int) -> Int64 { values.assumingMemoryBound(to: Int64.self)[place(row)] }
    @inline(__always)
    public func float(_ row: Int) -> Double { values.assumingMemoryBound(to: Double.self)[place(row)] }
    @inline(__always)
    public func bool(_ row: Int) -> Bool { values.assumingMemoryBound(to: Bool.self)[place(row)] }
    @inline(__always)
    public func interval(_ row: Int) -> Interval { values.assumingMemoryBound(to: Interval.self)[place(row)] }
    @inline(__always)
    public func uuid(_ row: Int) -> UUIDWords { values.assumingMemoryBound(to: UUIDWords.self)[place(row)] }
    @inline(__always)
    public func numeric(_ row: Int) -> Numeric {
        let place = place(row)
        return Numeric(units: values.assumingMemoryBound(to: Int128.self)[place], scale: extra!.load(fromByteOffset: place, as: UInt8.self))
    }
    /// The bytes of a text, bytea or jsonb.
    @inline(__always)
    public func bytes(_ row: Int) -> UnsafeRawBufferPointer {
        let span = span(row)
        return UnsafeRawBufferPointer(start: extra! + Int(span.start), count: Int(span.count))
    }
    @inline(__always)
    package func span(_ row: Int) -> Span { values.assumingMemoryBound(to: Span.self)[place(row)] }
}
