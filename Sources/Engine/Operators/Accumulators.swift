// What is kept of some groups: the columns that `AccumulatorLayout` names, and the totals that no window holds.
//
// Nearly every job has only the columns. A total of floats too large, too small or too fine for its window lies in `rests`
// under its group; it is made when it is needed, so a sum that never needs one costs nothing here.

/// The totals of one sum of floats that are beyond their windows, by group.
final class ExactRests {
    private var numbers: [Int32: ExactNumber] = [:]

    init() {}

    /// From the texts of a block or a state file.
    /// - Returns: nil when one of them is not what `ExactNumber.text` writes.
    init?(_ texts: TextColumn, _ rows: SelectedRows) {
        var isWhole = true
        rows.forEach { _, row in
            let text = texts.slice(row)
            if text.isEmpty { return }
            guard let number = ExactNumber(text: text) else {
                isWhole = false
                return
            }
            numbers[Int32(truncatingIfNeeded: row)] = number
        }
        if !isWhole { return nil }
    }

    var isEmpty: Bool { numbers.isEmpty }
    /// About what a number takes with its entry.
    var byteCount: Int { numbers.count * 400 }
    var groups: [Int] { numbers.keys.map { Int($0) }.sorted() }

    subscript(group: Int) -> ExactNumber? {
        get { numbers.isEmpty ? nil : numbers[Int32(truncatingIfNeeded: group)] }
        set { numbers[Int32(truncatingIfNeeded: group)] = newValue }
    }

    func add(_ value: Double, to group: Int) { numbers[Int32(truncatingIfNeeded: group), default: ExactNumber()].add(value) }
    func add(_ window: ExactWindow, to group: Int) { numbers[Int32(truncatingIfNeeded: group), default: ExactNumber()].add(window) }
    func add(_ number: ExactNumber, to group: Int) { numbers[Int32(truncatingIfNeeded: group), default: ExactNumber()].add(number) }

    func texts(count: Int) -> TextColumn {
        let column = TextColumn(capacity: count, byteCapacity: 64)
        if numbers.isEmpty {
            column.reserve(rows: count, bytes: 0)
            (column.offsets + 1).update(repeating: 0, count: count)
            column.commitWritten(count)
        } else {
            for group in 0..<count { column.append(self[group]?.text ?? "") }
        }
        return column
    }

    /// Those of the chosen rows, under their positions.
    func gathered(_ rows: SelectedRows) -> ExactRests {
        let result = ExactRests()
        if !isEmpty { rows.forEach { position, row in if let number = self[row] { result[position] = number } } }
        return result
    }
}

struct Accumulators {
    var numbers: [FixedColumn<Int64>]
    var rests: [ExactRests]

    init(_ layout: AccumulatorLayout?) {
        numbers = layout.map { $0.merges.map { _ in FixedColumn(capacity: 16) } } ?? []
        rests = layout.map { $0.restFields.map { _ in ExactRests() } } ?? []
    }

    private init(numbers: [FixedColumn<Int64>], rests: [ExactRests]) {
        self.numbers = numbers
        self.rests = rests
    }

    /// The accumulators of a chunk, which stand behind its keys.
    /// - Returns: nil when the text of a total is none.
    init?(_ columns: ArraySlice<Column>, _ rows: SelectedRows, _ layout: AccumulatorLayout) {
        let count = layout.merges.count
        numbers = columns.prefix(count).map { Kernels.int($0) }
        rests = []
        for column in columns.dropFirst(count) {
            guard case .text(let texts) = column, let rest = ExactRests(texts, rows) else { return nil }
            rests.append(rest)
        }
    }

    var byteCount: Int { rests.reduce(0) { $0 + $1.byteCount } }

    /// As they stand in blocks and state; `settle` must have been called.
    func columns(count: Int) -> [Column] { numbers.map { .int64($0) } + rests.map { .text($0.texts(count: count)) } }

    func gathered(_ rows: SelectedRows) -> Accumulators {
        Accumulators(
            numbers: numbers.map { column in
                let chosen = FixedColumn<Int64>(capacity: rows.count)
                chosen.append(rows, of: column)
                return chosen
            }, rests: rests.map { $0.gathered(rows) })
    }

    /// Puts every total where it belongs: into its window where it fits, else whole into its rest.
    func settle(_ layout: AccumulatorLayout) {
        for case let feed in layout.feeds where feed.kind == .exactSum && !rests[feed.rest].isEmpty {
            let rest = rests[feed.rest]
            for group in rest.groups {
                guard var total = rest[group] else { continue }
                total.add(window(feed.column, group))
                let window = total.window
                rest[group] = window == nil ? total : nil
                set(window ?? ExactWindow(), feed.column, group)
            }
        }
    }

    @inline(__always)
    func window(_ column: Int, _ group: Int) -> ExactWindow {
        ExactWindow(
            low: UInt64(bitPattern: numbers[column].values[group]),
            middle: UInt64(bitPattern: numbers[column + 1].values[group]), high: numbers[column + 2].values[group])
    }

    func set(_ window: ExactWindow, _ column: Int, _ group: Int) {
        numbers[column].values[group] = Int64(bitPattern: window.low)
        numbers[column + 1].values[group] = Int64(bitPattern: window.middle)
        numbers[column + 2].values[group] = window.high
    }
}
