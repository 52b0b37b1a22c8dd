// How operators see the values of a chunk: pointers by kind of cell, taken once per chunk.
//
// A kind is what decides how a value is copied, compared and written into state. Lists and rows are boxed: they are rare as keys and in
// state, and their loops may be slow. Readers are inlined here because a loop over another module's accessors would call them.

import Glibc
import Values

/// How a value lies, and when two are equal.
enum CellKind: UInt8 {
    case byte, word, float, interval, uuid, numeric, bytes, json, boxed

    init(_ type: SQLType) {
        switch type {
        case .bool: self = .byte
        case .int2, .int4, .int8, .date, .time, .timestamp, .timestamptz: self = .word
        case .float4, .float8: self = .float
        case .numeric: self = .numeric
        case .interval: self = .interval
        case .uuid: self = .uuid
        case .unknown, .text, .bytea: self = .bytes
        case .jsonb: self = .json
        case .list, .row: self = .boxed
        }
    }

    /// Bytes a value in memory; boxed ones lie elsewhere.
    var width: Int {
        switch self {
        case .byte: 1
        case .word, .float, .bytes, .json: 8
        case .interval, .uuid, .numeric: 16
        case .boxed: 0
        }
    }
}

/// The values of a vector of lists or rows, one by one.
final class BoxedCells {
    let values: [Datum]
    init(_ vector: Vector, count: Int) { values = (0..<count).map { vector.datum(vector.form == .constant ? 0 : $0) } }
}

/// Where the cells of a chunk's column lie; valid while its `ChunkCells` lives.
struct CellView: BitwiseCopyable {
    let kind: CellKind
    let values: UnsafeRawPointer
    let extra: UnsafeRawPointer
    let validity: UnsafePointer<UInt64>?
    let codes: UnsafePointer<Int32>?
    let mask: Int
    let boxes: Unmanaged<BoxedCells>?

    @inline(__always)
    func place(_ row: Int) -> Int { codes == nil ? row & mask : Int(codes![row]) }

    @inline(__always)
    func isNull(_ row: Int) -> Bool {
        guard let validity else { return false }
        let place = place(row)
        return validity[place >> 6] >> UInt64(place & 63) & 1 == 0
    }

    @inline(__always)
    func word(_ row: Int) -> Int64 { values.assumingMemoryBound(to: Int64.self)[place(row)] }
    @inline(__always)
    func float(_ row: Int) -> Double { values.assumingMemoryBound(to: Double.self)[place(row)] }
    @inline(__always)
    func byte(_ row: Int) -> UInt8 { values.assumingMemoryBound(to: UInt8.self)[place(row)] }
    @inline(__always)
    func wide(_ row: Int) -> Int128 { values.assumingMemoryBound(to: Int128.self)[place(row)] }
    @inline(__always)
    func scale(_ row: Int) -> UInt8 { extra.load(fromByteOffset: place(row), as: UInt8.self) }
    @inline(__always)
    func interval(_ row: Int) -> Interval { values.assumingMemoryBound(to: Interval.self)[place(row)] }
    @inline(__always)
    func bytes(_ row: Int) -> UnsafeRawBufferPointer {
        let span = values.assumingMemoryBound(to: UInt64.self)[place(row)]
        return UnsafeRawBufferPointer(start: extra + Int(span & 0xffff_ffff), count: Int(span >> 32))
    }
    func datum(_ row: Int) -> Datum { boxes!._withUnsafeGuaranteedRef { $0.values[mask == 0 ? 0 : row] } }
    /// Words that lie one after the other, without NULL; nil for others.
    var plainWords: UnsafePointer<Int64>? {
        (kind == .word) && validity == nil && codes == nil && mask != 0 ? values.assumingMemoryBound(to: Int64.self) : nil
    }
}

/// The cells of some vectors, and what keeps them alive.
final class ChunkCells {
    let vectors: [Vector]
    let views: UnsafeMutablePointer<CellView>
    private var boxes: [BoxedCells] = []
    /// What nobody reads: a column without bytes has them here.
    nonisolated(unsafe) private static let nothing = UnsafeRawPointer(UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16))

    init(_ vectors: [Vector], count: Int) {
        self.vectors = vectors
        views = .allocate(capacity: max(vectors.count, 1))
        for (index, vector) in vectors.enumerated() {
            let (kind, view) = (CellKind(vector.type), vector.view)
            var box: Unmanaged<BoxedCells>?
            if kind == .boxed {
                boxes.append(BoxedCells(vector, count: count))
                box = Unmanaged.passUnretained(boxes[boxes.count - 1])
            }
            (views + index).initialize(
                to: CellView(
                    kind: kind, values: view.values, extra: view.extra ?? Self.nothing, validity: view.validity, codes: view.codes, mask: view.mask, boxes: box))
        }
    }

    deinit { views.deallocate() }
}

/// What equal cells have in common, and how cells are ordered.
enum CellRules {
    @inline(__always)
    static func floatBits(_ value: Double) -> UInt64 { value == 0 ? 0 : value.isNaN ? Double.nan.bitPattern : value.bitPattern }

    @inline(__always)
    static func span(_ value: Interval) -> Int128 {
        (Int128(value.months) * 30 + Int128(value.days)) * 86_400_000_000 + Int128(value.micros)
    }

    @inline(__always)
    static func areSame(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        a.count == b.count && (a.count == 0 || memcmp(a.baseAddress!, b.baseAddress!, a.count) == 0)
    }

    static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        let shorter = min(a.count, b.count)
        let order = shorter == 0 ? 0 : memcmp(a.baseAddress!, b.baseAddress!, shorter)
        return order != 0 ? (order < 0 ? -1 : 1) : (a.count < b.count ? -1 : a.count == b.count ? 0 : 1)
    }

    static func compare(_ a: Double, _ b: Double) -> Int {
        a < b ? -1 : a > b ? 1 : a == b ? 0 : a.isNaN ? (b.isNaN ? 0 : 1) : -1
    }

    @inline(__always)
    static func compare<T: Comparable>(_ a: T, _ b: T) -> Int { a < b ? -1 : a == b ? 0 : 1 }
}
