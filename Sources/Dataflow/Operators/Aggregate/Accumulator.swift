// What an aggregate keeps for each group: arrays over the groups' numbers, zero where nothing was added yet.
//
// A chunk is added in one loop: rows that have a value, the groups they belong to, their weights. Everything adds and takes away
// exactly, so order, cuts and retractions leave nothing behind. Several calls share what they have in common: sum(x), avg(x) and
// count(x) one count of x. What is zero again is as if it had never been.

import Values

/// The rows of a chunk for one accumulator, all by place: `rows[p]` of the chunk belongs to `groups[p]` with `weights[p]`.
struct AddedRows {
    /// nil: row p.
    let rows: UnsafePointer<Int32>?
    let groups: UnsafePointer<Int32>
    /// nil: 1.
    let weights: UnsafePointer<Int64>?
    let count: Int

    @inline(__always)
    func forEach(_ body: (_ row: Int, _ group: Int, _ weight: Int64) -> Void) {
        if rows == nil && weights == nil {
            for place in 0..<count { body(place, Int(groups[place]), 1) }
        } else {
            for place in 0..<count { body(rows == nil ? place : Int(rows![place]), Int(groups[place]), weights == nil ? 1 : weights![place]) }
        }
    }
}

protocol Accumulator: AnyObject {
    /// Room for groups below the bound.
    func reserve(_ bound: Int)
    /// - Parameter cell: of the argument; NULLs are passed over.
    func add(_ added: AddedRows, _ cell: CellView)
    func clear(_ group: Int)
    func write(_ group: Int, to sink: inout StateBytes)
    func read(_ group: Int, from source: inout StateReader) throws(StateFault)
    var byteCount: Int { get }
}

/// The weights of rows: of all, of those with a value, or of those that are true.
final class CountAccumulator: Accumulator {
    enum What { case rows, values, trues }

    private let what: What
    private var counts = EntryArray<Int64>(zero: 0)

    init(_ what: What) { self.what = what }

    var byteCount: Int { counts.capacity * 8 }
    func reserve(_ bound: Int) { counts.reserve(bound) }
    func clear(_ group: Int) { counts[group] = 0 }
    subscript(_ group: Int) -> Int64 { counts[group] }
    /// Valid until there are more groups.
    var base: UnsafeMutablePointer<Int64> { counts.base }

    func add(_ added: AddedRows, _ cell: CellView) {
        let counts = counts.base
        switch what {
        case .rows: added.forEach { _, group, weight in counts[group] &+= weight }
        case .values:
            if cell.validity == nil {
                added.forEach { _, group, weight in counts[group] &+= weight }
            } else {
                added.forEach { row, group, weight in if !cell.isNull(row) { counts[group] &+= weight } }
            }
        case .trues: added.forEach { row, group, weight in if !cell.isNull(row) && cell.byte(row) != 0 { counts[group] &+= weight } }
        }
    }

    func write(_ group: Int, to sink: inout StateBytes) { sink.append(word: counts[group]) }
    func read(_ group: Int, from source: inout StateReader) throws(StateFault) { counts[group] = try source.word() }
}

/// Sums of integers in 128 bits.
final class IntegerTotals: Accumulator {
    private(set) var totals = EntryArray<Int128>(zero: 0)

    var byteCount: Int { totals.capacity * 16 }
    func reserve(_ bound: Int) { totals.reserve(bound) }
    func clear(_ group: Int) { totals[group] = 0 }

    func add(_ added: AddedRows, _ cell: CellView) {
        let totals = totals.base
        if let words = cell.plainWords, added.weights == nil {
            added.forEach { row, group, _ in totals[group] &+= Int128(words[row]) }
        } else {
            added.forEach { row, group, weight in if !cell.isNull(row) { totals[group] &+= Int128(cell.word(row)) * Int128(weight) } }
        }
    }

    func write(_ group: Int, to sink: inout StateBytes) { sink.append(wide: totals[group]) }
    func read(_ group: Int, from source: inout StateReader) throws(StateFault) { totals[group] = try source.wide() }
}

/// The fields of a sum of intervals: each by itself, as PostgreSQL adds them.
struct IntervalTotal: BitwiseCopyable {
    var micros: Int128 = 0
    var days: Int64 = 0
    var months: Int64 = 0

    /// nil where a field is too large.
    var interval: Interval? {
        guard let micros = Int64(exactly: micros), let days = Int32(exactly: days), let months = Int32(exactly: months) else { return nil }
        return Interval(months: months, days: days, micros: micros)
    }
}

final class IntervalTotals: Accumulator {
    private(set) var totals = EntryArray<IntervalTotal>(zero: IntervalTotal())

    var byteCount: Int { totals.capacity * 32 }
    func reserve(_ bound: Int) { totals.reserve(bound) }
    func clear(_ group: Int) { totals[group] = IntervalTotal() }

    func add(_ added: AddedRows, _ cell: CellView) {
        let totals = totals.base
        added.forEach { row, group, weight in
            if cell.isNull(row) { return }
            let value = cell.interval(row)
            totals[group].micros &+= Int128(value.micros) * Int128(weight)
            totals[group].days &+= Int64(value.days) * weight
            totals[group].months &+= Int64(value.months) * weight
        }
    }

    func write(_ group: Int, to sink: inout StateBytes) {
        sink.append(wide: totals[group].micros)
        sink.append(word: totals[group].days)
        sink.append(word: totals[group].months)
    }

    func read(_ group: Int, from source: inout StateReader) throws(StateFault) {
        let micros = try source.wide()
        let days = try source.word()
        totals[group] = IntervalTotal(micros: micros, days: days, months: try source.word())
    }
}

/// The least or greatest value that ever came: over edges on which rows only come.
final class FirstInOrder: Accumulator {
    private let values: StoredColumn
    private let sign: Int
    private var has = EntryArray<UInt8>(zero: 0)

    init(_ type: SQLType, isGreatest: Bool) {
        values = StoredColumn(type)
        sign = isGreatest ? 1 : -1
    }

    var byteCount: Int { values.byteCount + has.capacity }
    func reserve(_ bound: Int) {
        values.reserve(bound)
        has.reserve(bound)
    }

    func clear(_ group: Int) {
        if has[group] != 0 { values.free(group) }
        has[group] = 0
    }

    func add(_ added: AddedRows, _ cell: CellView) {
        let (has, sign) = (has.base, sign)
        if cell.kind == .word {
            let best = values.words
            added.forEach { row, group, _ in
                if cell.isNull(row) { return }
                let value = cell.word(row)
                if has[group] == 0 || (sign > 0 ? value > best[group] : value < best[group]) {
                    best[group] = value
                    has[group] = 1
                }
            }
            return
        }
        // The other candidate lies in an entry of its own beside the others.
        let candidate = StoredColumn(values.type, capacity: 1)
        added.forEach { row, group, _ in
            if cell.isNull(row) { return }
            if has[group] != 0 {
                candidate.set(0, cell, row)
                let order = values.compare(group, with: candidate, 0)
                // Among equal values the look that comes first in an order of looks.
                let isKept = order != 0 ? order * sign > 0 : values.compareLooks(group, with: candidate, 0) <= 0
                candidate.free(0)
                if isKept { return }
                values.free(group)
            }
            values.set(group, cell, row)
            has[group] = 1
        }
    }

    /// A vector of the best of the groups; NULL where there is none.
    func gather(_ groups: UnsafePointer<Int32>, count: Int, pool: BufferPool) -> Vector {
        let entries = pool.take(max(count, 1) * 4)
        let list = entries.base.assumingMemoryBound(to: Int32.self)
        for place in 0..<count { list[place] = has[Int(groups[place])] != 0 ? groups[place] : -1 }
        return withExtendedLifetime(entries) { values.gather(list, count: count, pool: pool) }
    }

    func write(_ group: Int, to sink: inout StateBytes) {
        sink.append(byte: has[group])
        if has[group] != 0 { values.write(group, asKey: false, to: &sink) }
    }

    func read(_ group: Int, from source: inout StateReader) throws(StateFault) {
        has[group] = try source.byte()
        if has[group] != 0 { try values.read(group, from: &source) }
    }
}
