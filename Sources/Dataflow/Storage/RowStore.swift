// Rows by number, in stored columns; numbers of rows that are gone are used again.

import Values

final class RowStore {
    let columns: [StoredColumn]
    /// Every number in use is below it.
    private(set) var bound = 0
    private(set) var count = 0
    private var freeEntries: [Int32] = []

    init(_ types: [SQLType]) { columns = types.map { StoredColumn($0) } }

    var byteCount: Int { columns.reduce(freeEntries.capacity * 4) { $0 + $1.byteCount } }

    /// A number whose row is to be written.
    func take() -> Int {
        count += 1
        if let entry = freeEntries.popLast() { return Int(entry) }
        precondition(bound < Int(Int32.max) - 1, "a store holds at most 2^31 rows")
        bound += 1
        for column in columns where column.capacity < bound { column.reserve(bound) }
        return bound - 1
    }

    /// A new row.
    func insert(_ views: UnsafePointer<CellView>, _ row: Int) -> Int {
        let entry = take()
        for index in columns.indices { columns[index].set(entry, views[index], row) }
        return entry
    }

    func free(_ entry: Int) {
        for column in columns { column.free(entry) }
        freeEntries.append(Int32(truncatingIfNeeded: entry))
        count -= 1
    }

    func isIdentical(_ entry: Int, _ views: UnsafePointer<CellView>, _ row: Int) -> Bool {
        for index in columns.indices where !columns[index].isIdentical(entry, views[index], row) { return false }
        return true
    }

    func gather(_ entries: UnsafePointer<Int32>, count: Int, pool: BufferPool) -> [Vector] {
        columns.map { $0.gather(entries, count: count, pool: pool) }
    }

    /// The order of two rows by all of their columns, total but for identical ones.
    func compare(_ a: Int, _ b: Int) -> Int {
        for column in columns {
            let order = column.compare(a, b)
            if order != 0 { return order }
        }
        for column in columns {
            let order = column.compareLooks(a, b)
            if order != 0 { return order }
        }
        return 0
    }

    func write(_ entry: Int, asKey: Bool, to sink: inout StateBytes) {
        for column in columns { column.write(entry, asKey: asKey, to: &sink) }
    }

    func read(_ entry: Int, from source: inout StateReader) throws(StateFault) {
        for column in columns { try column.read(entry, from: &source) }
    }

    /// Sorts entries by all columns; by one column of words without comparing through a switch.
    func sort(_ entries: inout [Int32]) {
        if columns.count == 1, columns[0].kind == .word, columns[0].nulls == nil {
            let words = columns[0].words
            entries.sort { words[Int($0)] < words[Int($1)] }
            return
        }
        entries.sort { compare(Int($0), Int($1)) < 0 }
    }
}

/// Memory that follows the numbers of a store: zero where nothing was written.
struct EntryArray<Element: BitwiseCopyable>: ~Copyable {
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var capacity: Int
    private let zero: Element

    init(zero: Element) {
        self.zero = zero
        capacity = 16
        base = .allocate(capacity: 16)
        base.initialize(repeating: zero, count: 16)
    }

    deinit { base.deallocate() }

    @inline(__always)
    mutating func reserve(_ count: Int) {
        if count > capacity { grow(count) }
    }

    private mutating func grow(_ count: Int) {
        let larger = max(count, capacity * 2)
        let fresh = UnsafeMutablePointer<Element>.allocate(capacity: larger)
        fresh.update(from: base, count: capacity)
        (fresh + capacity).initialize(repeating: zero, count: larger - capacity)
        base.deallocate()
        (base, capacity) = (fresh, larger)
    }

    @inline(__always)
    subscript(_ entry: Int) -> Element {
        get { base[entry] }
        nonmutating set { base[entry] = newValue }
    }
}
