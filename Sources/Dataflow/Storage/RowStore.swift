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

    /// The first rows of some cells, one after the other, column by column; nothing was freed before.
    func insert(_ views: UnsafePointer<CellView>, count: Int) {
        precondition(freeEntries.isEmpty)
        for index in columns.indices {
            let (column, view) = (columns[index], views[index])
            column.reserve(bound + count)
            for row in 0..<count { column.set(bound + row, view, row) }
        }
        bound += count
        self.count += count
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

    /// The places of a list of entries in the order of all columns.
    func order(_ entries: [Int32]) -> [Int32] {
        if !columns.isEmpty, columns.allSatisfy({ $0.kind == .word && $0.nulls == nil }) {
            return WordSort.places(entries, by: columns.map { UnsafePointer($0.words) })
        }
        return (0..<Int32(entries.count)).sorted { compare(Int(entries[Int($0)]), Int(entries[Int($1)])) < 0 }
    }

    func sort(_ entries: inout [Int32]) {
        if entries.count < 2 { return }
        let old = entries
        entries = order(old).map { old[Int($0)] }
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
