// Sums of floats: exact, rounded once when they are read.
//
// An ordinary total is three words (`ExactWindow`); what does not fit there goes into a number with a bit for every place that a double
// can have (`ExactNumber`), for that group alone. NaN and the infinities are counted apart, so taking one back leaves nothing behind.

import Values

/// What a window does not hold.
struct FloatRest: Hashable {
    var number: ExactNumber?
    var nans: Int64 = 0
    var infinities: Int64 = 0
    var negativeInfinities: Int64 = 0

    var isEmpty: Bool { (number?.isZero ?? true) && nans == 0 && infinities == 0 && negativeInfinities == 0 }
}

final class FloatTotals: Accumulator {
    private var windows = EntryArray<ExactWindow>(zero: ExactWindow())
    private var rests: [Int32: FloatRest] = [:]

    var byteCount: Int { windows.capacity * 24 + rests.count * 400 }
    func reserve(_ bound: Int) { windows.reserve(bound) }

    func clear(_ group: Int) {
        windows[group] = ExactWindow()
        if !rests.isEmpty { rests[Int32(group)] = nil }
    }

    func add(_ added: AddedRows, _ cell: CellView) {
        let windows = windows.base
        added.forEach { row, group, weight in
            if cell.isNull(row) { return }
            let value = cell.float(row)
            if value == 0 { return }
            if weight == 1, ExactWindow.fits(value), windows[group].add(value) { return }
            addSlowly(group, value, weight)
        }
    }

    private func addSlowly(_ group: Int, _ value: Double, _ weight: Int64) {
        var rest = rests[Int32(group)] ?? FloatRest()
        if value.isNaN {
            rest.nans += weight
        } else if value.isInfinite {
            if value > 0 { rest.infinities += weight } else { rest.negativeInfinities += weight }
        } else {
            let signed = weight < 0 ? -value : value
            for _ in 0..<weight.magnitude where !(ExactWindow.fits(signed) && windows.base[group].add(signed)) {
                if rest.number == nil { rest.number = ExactNumber() }
                rest.number!.add(signed)
            }
        }
        rests[Int32(group)] = rest.isEmpty ? nil : rest
    }

    /// The total divided by a count; nil where it is beyond the largest float.
    func sum(_ group: Int, dividedBy count: Int64 = 1) -> Double? {
        let divisor = UInt64(max(count, 1))
        guard !rests.isEmpty, let rest = rests[Int32(group)] else { return windows[group].rounded(dividedBy: divisor) }
        if rest.nans > 0 || (rest.infinities > 0 && rest.negativeInfinities > 0) { return .nan }
        if rest.infinities > 0 { return .infinity }
        if rest.negativeInfinities > 0 { return -.infinity }
        guard var number = rest.number else { return windows[group].rounded(dividedBy: divisor) }
        number.add(windows[group])
        return number.rounded(dividedBy: divisor)
    }

    func write(_ group: Int, to sink: inout StateBytes) {
        let window = windows[group]
        sink.append(word: Int64(bitPattern: window.low))
        sink.append(word: Int64(bitPattern: window.middle))
        sink.append(word: window.high)
        guard let rest = rests[Int32(group)] else {
            sink.append(byte: 0)
            return
        }
        sink.append(byte: rest.number == nil ? 1 : 2)
        for count in [rest.nans, rest.infinities, rest.negativeInfinities] { sink.append(word: count) }
        for word in rest.number?.words ?? [] { sink.append(word: Int64(bitPattern: word)) }
    }

    func read(_ group: Int, from source: inout StateReader) throws(StateFault) {
        var window = ExactWindow()
        window.low = UInt64(bitPattern: try source.word())
        window.middle = UInt64(bitPattern: try source.word())
        window.high = try source.word()
        windows[group] = window
        let tag = try source.byte()
        if tag == 0 { return }
        var rest = FloatRest()
        rest.nans = try source.word()
        rest.infinities = try source.word()
        rest.negativeInfinities = try source.word()
        if tag == 2 {
            var words: [UInt64] = []
            for _ in 0..<ExactNumber.wordCount { words.append(UInt64(bitPattern: try source.word())) }
            rest.number = ExactNumber(words: words)
        }
        rests[Int32(group)] = rest
    }
}
