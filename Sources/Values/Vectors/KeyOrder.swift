// Equality, order and hash of values, per type: what keys, `=`, `<`, DISTINCT, ORDER BY, GREATEST and routing all rest on.
//
// Equal values hash alike, whatever they look like: 1.0 and 1.00; 0 and -0; all NaN; an hour of 60 minutes and `1:00:00`; `24 hours`
// and `1 day`; jsonb numbers inside documents. Text compares by bytes (COLLATE "C"). NaN is above every number, as PostgreSQL has
// it. NULL equals NULL here (IS NOT DISTINCT FROM), and is above everything in order (NULLS LAST).
//
// The hash decides in which key group a row's state lies: it must not change between builds. It uses no seed and no hash of
// Swift's own. Checklist for a new type: `word(s)` below, an order in `ValueOrder`, and a line in the decision note on canonical forms.

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

    /// Equal, or in one place.
    @inline(__always)
    func isSame(as other: UnsafeRawBufferPointer) -> Bool {
        count == other.count && (baseAddress == other.baseAddress || UnsafeRawBufferPointer.compare(self, other) == 0)
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
}
