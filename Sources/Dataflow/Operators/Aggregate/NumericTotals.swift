// Sums of numeric: whole units, exact whatever comes and goes.
//
// A group whose values have all one scale, and whose total fits 128 bits, is a struct. Others have a total and a count for each scale
// in 256 bits (`WideNumeric`), so that the scale of the answer is the greatest one among the values that are still there. NaN and
// the infinities are counted apart.

import Values

struct NumericTotal: BitwiseCopyable {
    var units: Int128 = 0
    var count: Int64 = 0
    var scale: UInt8 = 0
    /// The total is among the wide ones.
    var isWide = false
}

/// A signed number of 256 bits.
struct WideUnits: Hashable {
    var low: UInt128 = 0
    var high: Int128 = 0

    init() {}
    init(_ value: Int128) { (low, high) = (UInt128(truncatingIfNeeded: value), value < 0 ? -1 : 0) }

    mutating func add(_ other: WideUnits) {
        let (sum, isOver) = low.addingReportingOverflow(other.low)
        low = sum
        high = high &+ other.high &+ (isOver ? 1 : 0)
    }

    /// The product with a weight.
    init(_ value: Int128, times weight: Int64) {
        let product = value.magnitude.multipliedFullWidth(by: UInt128(weight.magnitude))
        (low, high) = (product.low, Int128(truncatingIfNeeded: product.high))
        if (value < 0) != (weight < 0) { negate() }
    }

    mutating func negate() {
        low = ~low &+ 1
        high = ~high &+ (low == 0 ? 1 : 0)
    }

    /// Times ten; nil where it does not fit.
    var timesTen: WideUnits? {
        var (value, isNegative) = (self, high < 0)
        if isNegative { value.negate() }
        let product = value.low.multipliedFullWidth(by: 10)
        let (top, isOver) = UInt128(truncatingIfNeeded: value.high).multipliedReportingOverflow(by: 10)
        let (high, isMore) = top.addingReportingOverflow(product.high)
        guard !isOver, !isMore, high < UInt128(1) << 126 else { return nil }
        value.low = product.low
        value.high = Int128(high)
        if isNegative { value.negate() }
        isNegative = false
        return value
    }

    /// The same in 128 bits, where it fits.
    var small: Int128? {
        let value = Int128(truncatingIfNeeded: low)
        return high == (value < 0 ? -1 : 0) ? value : nil
    }
}

/// Totals by scale, and what is no number.
struct WideNumeric {
    var totals: [UInt8: (units: WideUnits, count: Int64)] = [:]
    var nans: Int64 = 0
    var infinities: Int64 = 0
    var negativeInfinities: Int64 = 0

    var isEmpty: Bool { totals.isEmpty && nans == 0 && infinities == 0 && negativeInfinities == 0 }

    mutating func add(_ units: Int128, _ scale: UInt8, _ weight: Int64) {
        if scale == 255 {
            switch units {
            case 0: nans += weight
            case 1: infinities += weight
            default: negativeInfinities += weight
            }
            return
        }
        add(WideUnits(units, times: weight), scale, weight)
    }

    mutating func add(_ units: WideUnits, _ scale: UInt8, _ count: Int64) {
        var total = totals[scale] ?? (WideUnits(), 0)
        total.units.add(units)
        total.count += count
        totals[scale] = total.count == 0 && total.units == WideUnits() ? nil : total
    }

    /// The sum; nil where it has more digits than a numeric.
    var sum: Numeric? {
        if nans > 0 || (infinities > 0 && negativeInfinities > 0) { return .nan }
        if infinities > 0 { return .infinity }
        if negativeInfinities > 0 { return Numeric(units: -1, scale: 255) }
        let scales = totals.keys.sorted()
        guard let greatest = scales.last else { return Numeric.zero }
        var whole = WideUnits()
        for scale in scales {
            var part = totals[scale]!.units
            for _ in scale..<greatest {
                guard let more = part.timesTen else { return nil }
                part = more
            }
            whole.add(part)
        }
        guard let units = whole.small, units.magnitude < NumericTotals.limit else { return nil }
        return Numeric(units: units, scale: greatest)
    }
}

final class NumericTotals: Accumulator {
    /// Ten to the power of 38.
    static let limit: UInt128 = (0..<38).reduce(1) { value, _ in value * 10 }

    private var totals = EntryArray<NumericTotal>(zero: NumericTotal())
    private var wide: [Int32: WideNumeric] = [:]

    var byteCount: Int { totals.capacity * 32 + wide.count * 200 }
    func reserve(_ bound: Int) { totals.reserve(bound) }

    func clear(_ group: Int) {
        if totals[group].isWide { wide[Int32(group)] = nil }
        totals[group] = NumericTotal()
    }

    func add(_ added: AddedRows, _ cell: CellView) {
        let totals = totals.base
        added.forEach { row, group, weight in
            if cell.isNull(row) { return }
            let (units, scale) = (cell.wide(row), cell.scale(row))
            if !totals[group].isWide, scale == totals[group].scale || totals[group].count == 0, scale != 255 {
                let (product, isOver) = weight == 1 ? (units, false) : units.multipliedReportingOverflow(by: Int128(weight))
                let (sum, isMore) = (totals[group].count == 0 ? 0 : totals[group].units).addingReportingOverflow(product)
                // A count of zero with a total left is one that was taken back before it came: the other way keeps it.
                if !isOver && !isMore && (totals[group].count != 0 || totals[group].units == 0) {
                    totals[group].units = sum
                    totals[group].count &+= weight
                    totals[group].scale = scale
                    return
                }
            }
            addWide(group, units, scale, weight)
        }
    }

    private func addWide(_ group: Int, _ units: Int128, _ scale: UInt8, _ weight: Int64) {
        var total = wide[Int32(group)] ?? WideNumeric()
        if !totals[group].isWide {
            if totals[group].count != 0 || totals[group].units != 0 { total.add(WideUnits(totals[group].units), totals[group].scale, totals[group].count) }
            totals[group] = NumericTotal(isWide: true)
        }
        total.add(units, scale, weight)
        wide[Int32(group)] = total
    }

    /// nil where the sum has more digits than a numeric.
    func sum(_ group: Int) -> Numeric? {
        let total = totals[group]
        if total.isWide { return (wide[Int32(group)] ?? WideNumeric()).sum }
        return total.units.magnitude < Self.limit ? Numeric(units: total.units, scale: total.scale) : nil
    }

    func write(_ group: Int, to sink: inout StateBytes) {
        let total = totals[group]
        sink.append(byte: total.isWide ? 1 : 0)
        guard total.isWide, let wide = wide[Int32(group)] else {
            sink.append(wide: total.units)
            sink.append(word: total.count)
            sink.append(byte: total.scale)
            return
        }
        for count in [wide.nans, wide.infinities, wide.negativeInfinities, Int64(wide.totals.count)] { sink.append(word: count) }
        for scale in wide.totals.keys.sorted() {
            let part = wide.totals[scale]!
            sink.append(byte: scale)
            sink.append(wide: Int128(truncatingIfNeeded: part.units.low))
            sink.append(wide: part.units.high)
            sink.append(word: part.count)
        }
    }

    func read(_ group: Int, from source: inout StateReader) throws(StateFault) {
        if try source.byte() == 0 {
            let units = try source.wide()
            let count = try source.word()
            totals[group] = NumericTotal(units: units, count: count, scale: try source.byte())
            return
        }
        var total = WideNumeric()
        total.nans = try source.word()
        total.infinities = try source.word()
        total.negativeInfinities = try source.word()
        for _ in 0..<max(try source.word(), 0) {
            let scale = try source.byte()
            var units = WideUnits()
            units.low = UInt128(truncatingIfNeeded: try source.wide())
            units.high = try source.wide()
            total.totals[scale] = (units, try source.word())
        }
        totals[group] = NumericTotal(isWide: true)
        wide[Int32(group)] = total
    }
}
