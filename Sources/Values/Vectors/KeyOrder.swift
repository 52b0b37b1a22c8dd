// Equality, order and hash of values, per type: what keys, `=`, `<`, DISTINCT, ORDER BY, GREATEST and routing all rest on.
//
// Equal values hash alike, whatever they look like: 1.0 and 1.00; 0 and -0; all NaN; an hour of 60 minutes and `1:00:00`; `24 hours`
// and `1 day`; jsonb numbers inside documents. Text compares by bytes (COLLATE "C"). NaN is above every number, as PostgreSQL has
// it. NULL equals NULL here (IS NOT DISTINCT FROM), and is above everything in order (NULLS LAST).
//
// The hash decides in which key group a row's state lies: it must not change between builds. It uses no seed and no hash of
// Swift's own. Checklist for a new type: `word(s)` below, an order, and a line in the decision note on canonical forms.

import CXXHash
import Glibc

extension UnsafeRawBufferPointer {
    /// The hash of some bytes.
    @inline(__always)
    static func digest(_ bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes { digest($0) } }

    @inline(__always)
    static func digest(_ bytes: UnsafeRawBufferPointer) -> UInt64 { XXH3_64bits(bytes.baseAddress, bytes.count) }

    /// -1, 0 or 1, by bytes.
    @inline(__always)
    static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        let shorter = Swift.min(a.count, b.count)
        let order = shorter == 0 ? 0 : memcmp(a.baseAddress!, b.baseAddress!, shorter)
        if order != 0 { return order < 0 ? -1 : 1 }
        return a.count == b.count ? 0 : a.count < b.count ? -1 : 1
    }
}

/// What two equal floats have in common, and how floats are ordered.
enum FloatOrder {
    @inline(__always)
    static func bits(_ value: Double) -> UInt64 { value == 0 ? 0 : value.isNaN ? Double.nan.bitPattern : value.bitPattern }

    @inline(__always)
    static func compare(_ a: Double, _ b: Double) -> Int {
        if a < b { return -1 }
        if a > b { return 1 }
        if a == b { return 0 }
        return a.isNaN ? b.isNaN ? 0 : 1 : -1
    }
}

extension Interval {
    /// Months of 30 days and days of 24 hours, in microseconds: equal where PostgreSQL calls intervals equal.
    @inline(__always)
    var span: Int128 { (Int128(months) * 30 + Int128(days)) * Int128(Calendar.microsPerDay) + Int128(micros) }

    /// The one look of all intervals equal to this one: whole months, whole days, the rest.
    package var canonical: Interval {
        let (days, micros) = span.quotientAndRemainder(dividingBy: Int128(Calendar.microsPerDay))
        let (months, rest) = days.quotientAndRemainder(dividingBy: 30)
        // The most days and microseconds make more months than 32 bits have by far less than the months themselves.
        guard let months = Int32(exactly: months) else { return self }
        return Interval(months: months, days: Int32(rest), micros: Int64(micros))
    }
}

/// Rows of some columns as keys.
public struct KeyOrder {
    // MARK: hash

    /// The hash of a row's values, for every position of the selection: equal keys, equal hashes.
    public static func hash(_ columns: [Vector], _ selection: Selection, into hashes: UnsafeMutablePointer<UInt64>) {
        hashes.update(repeating: seed, count: selection.count)
        for column in columns {
            let view = column.view
            switch column.type {
            case .bool: fold(view, selection, hashes) { view.bool($0) ? 1 : 0 }
            case .int2, .int4, .int8, .date, .time, .timestamp, .timestamptz: fold(view, selection, hashes) { UInt64(bitPattern: view.word($0)) }
            case .float4, .float8: fold(view, selection, hashes) { FloatOrder.bits(view.float($0)) }
            case .numeric:
                fold(view, selection, hashes) { row in
                    let value = view.numeric(row).canonical
                    let low = UInt64(truncatingIfNeeded: value.units) ^ (UInt64(value.scale) + 1) &* second
                    return mix(low, UInt64(truncatingIfNeeded: value.units >> 64) ^ third)
                }
            case .interval:
                fold(view, selection, hashes) { row in
                    let span = view.interval(row).span
                    return mix(UInt64(truncatingIfNeeded: span) ^ first, UInt64(truncatingIfNeeded: span >> 64) ^ third)
                }
            case .uuid:
                fold(view, selection, hashes) { row in
                    let value = view.uuid(row)
                    return mix(value.high ^ first, value.low ^ third)
                }
            case .unknown, .text, .bytea: fold(view, selection, hashes) { Bytes.digest(view.bytes($0)) }
            case .jsonb: fold(view, selection, hashes) { JSONOrder.hash(view.bytes($0)) }
            case .list, .row: fold(view, selection, hashes) { hash(of: column, $0) }
            }
        }
        for position in 0..<selection.count { hashes[position] = mix(hashes[position] ^ third, hashes[position] ^ second) ^ hashes[position] >> 32 }
    }

    @inline(__always)
    private static func fold(
        _ view: VectorView, _ selection: Selection, _ hashes: UnsafeMutablePointer<UInt64>, _ word: (Int) -> UInt64
    ) {
        for position in 0..<selection.count {
            let row = selection[position]
            let value = view.isNull(row) ? null : word(row)
            hashes[position] = mix(hashes[position] ^ first, value ^ second)
        }
    }

    /// The hash of a nested value: through the same loops, over its parts.
    private static func hash(of column: Vector, _ row: Int) -> UInt64 {
        let view = column.view
        var rows: [Int32]
        if case .list = column.type {
            let span = view.span(row)
            rows = (0..<Int32(span.count)).map { Int32(span.start) + $0 }
        } else {
            rows = [Int32(view.place(row))]
        }
        var all = [UInt64](repeating: 0, count: rows.count)
        rows.withUnsafeBufferPointer { rows in
            all.withUnsafeMutableBufferPointer { hashes in
                guard let base = hashes.baseAddress else { return }
                hash(column.children, Selection(rows: rows.baseAddress, count: rows.count), into: base)
            }
        }
        return all.reduce(UInt64(all.count)) { mix($0 ^ first, $1 ^ second) }
    }

    @inline(__always)
    private static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    // Odd numbers with about as many ones as zeros: the fractional digits of pi.
    private static let seed: UInt64 = 0x243f_6a88_85a3_08d3
    private static let first: UInt64 = 0x1319_8a2e_0370_7345
    private static let second: UInt64 = 0xa409_3822_299f_31d1
    private static let third: UInt64 = 0x082e_fa98_ec4e_6c89
    private static let null: UInt64 = 0xbe54_66cf_34e9_0c6d

    // MARK: order

    /// How two values of one type stand to each other: -1, 0 or 1. For row loops: taken once per chunk.
    package static func comparison(_ type: SQLType) -> (_ a: Vector, _ b: Vector) -> ((_ row: Int, _ other: Int) -> Int) {
        { a, b in
            let (x, y) = (a.view, b.view)
            let value: (Int, Int) -> Int =
                switch type {
                case .bool: { Int(x.bool($0) ? 1 : 0) - Int(y.bool($1) ? 1 : 0) }
                case .int2, .int4, .int8, .date, .time, .timestamp, .timestamptz: { order(x.word($0), y.word($1)) }
                case .float4, .float8: { FloatOrder.compare(x.float($0), y.float($1)) }
                case .numeric: { Numeric.compare(x.numeric($0), y.numeric($1)) }
                case .interval: { order(x.interval($0).span, y.interval($1).span) }
                case .uuid: { UUIDWords.compare(x.uuid($0), y.uuid($1)) }
                case .unknown, .text, .bytea: { Bytes.compare(x.bytes($0), y.bytes($1)) }
                case .jsonb: { JSONOrder.compare(x.bytes($0), y.bytes($1)) }
                case .list(let element):
                    {
                        let compare = comparison(element)(a.children[0], b.children[0])
                        let (left, right) = (x.span($0), y.span($1))
                        for index in 0..<min(left.count, right.count) {
                            let order = compare(Int(left.start + index), Int(right.start + index))
                            if order != 0 { return order }
                        }
                        return order(left.count, right.count)
                    }
                case .row(let fields):
                    {
                        for (index, field) in fields.enumerated() {
                            let order = comparison(field.type)(a.children[index], b.children[index])(x.place($0), y.place($1))
                            if order != 0 { return order }
                        }
                        return 0
                    }
                }
            if x.validity == nil && y.validity == nil { return value }
            return { row, other in
                switch (x.isNull(row), y.isNull(other)) {
                case (true, true): 0
                case (true, false): 1
                case (false, true): -1
                case (false, false): value(row, other)
                }
            }
        }
    }

    @inline(__always)
    private static func order<T: Comparable>(_ a: T, _ b: T) -> Int { a < b ? -1 : a == b ? 0 : 1 }
}

extension UUIDWords {
    static func compare(_ a: UUIDWords, _ b: UUIDWords) -> Int {
        if a.high != b.high { return a.high < b.high ? -1 : 1 }
        return a.low == b.low ? 0 : a.low < b.low ? -1 : 1
    }
}
