// Keys to numbers: the hash table below grouping, multisets and what was emitted.
//
// Keys are rows of a `RowStore`, found by `HashSlots`; whatever belongs to a key lies in arrays over the same numbers. The number of a key
// that is removed is used again.
//
// A table beyond the caches waits for memory at each step (slot, key), so each is asked for some rows ahead. Keys of words alone have
// a loop of their own; for the others a row's columns are compared one after the other, the quick kinds without a call.

import CXXHash
import Values

final class KeyTable {
    /// When two keys are one.
    enum Sameness { case equal, identical }

    let store: RowStore
    private let sameness: Sameness
    private var index = HashSlots()
    /// The upper half of each key's hash.
    private var tags = EntryArray<UInt32>(zero: 0)

    init(_ types: [SQLType], sameness: Sameness = .equal) {
        store = RowStore(types)
        self.sameness = sameness
    }

    var count: Int { store.count }
    var byteCount: Int { store.byteCount + index.byteCount + tags.capacity * 4 }

    /// Writes the number of each row's key, new ones for new keys.
    /// - Parameters:
    ///   - rows: nil for the rows 0 ..< count.
    ///   - hashes: one for each row of the list, by place.
    func assign(_ cells: UnsafePointer<CellView>, _ rows: UnsafePointer<Int32>?, count: Int, hashes: UnsafePointer<UInt64>, into numbers: UnsafeMutablePointer<Int32>) {
        probe(cells, rows, count, hashes, numbers, inserting: true)
    }

    /// The same without new keys: -1 where there is none.
    func find(_ cells: UnsafePointer<CellView>, _ rows: UnsafePointer<Int32>?, count: Int, hashes: UnsafePointer<UInt64>, into numbers: UnsafeMutablePointer<Int32>) {
        probe(cells, rows, count, hashes, numbers, inserting: false)
    }

    private func probe(
        _ cells: UnsafePointer<CellView>, _ rows: UnsafePointer<Int32>?, _ count: Int, _ hashes: UnsafePointer<UInt64>, _ numbers: UnsafeMutablePointer<Int32>,
        inserting: Bool
    ) {
        let columns = store.columns
        if columns.count <= 2, columns.count > 0, columns.indices.allSatisfy({ cells[$0].plainWords != nil && columns[$0].kind == .word && columns[$0].nulls == nil }) {
            let (first, last) = (cells[0].plainWords!, cells[columns.count - 1].plainWords!)
            var (firstKeys, lastKeys) = (columns[0].words, columns[columns.count - 1].words)
            run(rows, count, hashes, numbers, inserting) { entry, row in
                first[row] == firstKeys[entry] && last[row] == lastKeys[entry]
            } soon: { entry in
                sluice_prefetch(firstKeys + entry)
                sluice_prefetch(lastKeys + entry)
            } insert: { row in
                let entry = self.store.take()
                (firstKeys, lastKeys) = (columns[0].words, columns[columns.count - 1].words)
                firstKeys[entry] = first[row]
                lastKeys[entry] = last[row]
                return entry
            }
            return
        }
        withUnsafeTemporaryAllocation(of: KeyPair.self, capacity: max(columns.count, 1)) { buffer in
            let (pairs, width, isIdentity) = (buffer.baseAddress!, columns.count, sameness == .identical)
            for index in columns.indices { (pairs + index).initialize(to: KeyPair(cells[index], columns[index], isIdentity)) }
            run(rows, count, hashes, numbers, inserting) { entry, row in
                for index in 0..<width where !pairs[index].isSame(entry, row) { return false }
                return true
            } soon: { entry in
                for index in 0..<width { pairs[index].ask(entry) }
            } insert: { row in
                let entry = self.store.insert(cells, row)
                for index in 0..<width { pairs[index] = KeyPair(cells[index], columns[index], isIdentity) }
                return entry
            }
        }
    }

    @inline(__always)
    private func run(
        _ rows: UnsafePointer<Int32>?, _ count: Int, _ hashes: UnsafePointer<UInt64>, _ numbers: UnsafeMutablePointer<Int32>, _ inserting: Bool,
        _ isSame: (Int, Int) -> Bool, soon: (Int) -> Void, insert: (Int) -> Int
    ) {
        var (slots, mask, isLarge) = (index.base, index.mask, index.isLarge)
        let last = count &- 1
        for position in 0..<count {
            if isLarge {
                sluice_prefetch(slots + Int(truncatingIfNeeded: hashes[min(position &+ 16, last)] >> 32) & mask)
                let ahead = hashes[min(position &+ 8, last)] >> 32
                let slot = slots[Int(truncatingIfNeeded: ahead) & mask]
                if slot >> 32 == ahead && slot & 0xffff_ffff != 0 { soon(HashSlots.number(slot)) }
            }
            let row = rows == nil ? position : Int(rows![position])
            let tag = hashes[position] >> 32
            var at = Int(truncatingIfNeeded: tag) & mask
            while true {
                let slot = slots[at]
                if slot == 0 {
                    guard inserting else {
                        numbers[position] = -1
                        break
                    }
                    let entry = insert(row)
                    numbers[position] = Int32(truncatingIfNeeded: entry)
                    tags.reserve(entry + 1)
                    tags[entry] = UInt32(truncatingIfNeeded: tag)
                    if index.put(entry, tag: tag, at: at) { (slots, mask, isLarge) = (index.base, index.mask, index.isLarge) }
                    break
                }
                if slot >> 32 == tag {
                    let entry = HashSlots.number(slot)
                    if isSame(entry, row) {
                        numbers[position] = Int32(truncatingIfNeeded: entry)
                        break
                    }
                }
                at = (at &+ 1) & mask
            }
        }
    }

    /// Removes a key; its number is free.
    func remove(_ entry: Int) {
        index.remove(at: index.place(of: entry, tag: tags[entry]))
        store.free(entry)
    }
}

/// A key column of a chunk and the stored one that it is compared with.
private struct KeyPair: BitwiseCopyable {
    let cells: CellView
    let stored: StoredView
    let column: Unmanaged<StoredColumn>
    let isIdentity: Bool

    init(_ cells: CellView, _ column: StoredColumn, _ isIdentity: Bool) {
        self.cells = cells
        stored = column.view
        self.column = .passUnretained(column)
        self.isIdentity = isIdentity
    }

    @inline(__always)
    func isSame(_ entry: Int, _ row: Int) -> Bool {
        let isNothing = cells.isNull(row)
        let isNothingStored = stored.nulls != nil && stored.nulls![entry] != 0
        if isNothing || isNothingStored { return isNothing == isNothingStored }
        switch cells.kind {
        case .word: return cells.word(row) == stored.values.assumingMemoryBound(to: Int64.self)[entry]
        case .bytes: return CellRules.areSame(cells.bytes(row), stored.bytes(entry))
        case .byte: return cells.byte(row) == stored.values.load(fromByteOffset: entry, as: UInt8.self)
        case .float, .interval, .uuid, .numeric, .json, .boxed: return isSameSlowly(entry, row)
        }
    }

    private func isSameSlowly(_ entry: Int, _ row: Int) -> Bool {
        column._withUnsafeGuaranteedRef { isIdentity ? $0.isIdentical(entry, cells, row) : $0.isEqual(entry, cells, row) }
    }

    @inline(__always)
    func ask(_ entry: Int) {
        switch cells.kind {
        case .byte: sluice_prefetch(stored.values + entry)
        case .word, .float, .bytes, .json: sluice_prefetch(stored.values + entry &<< 3)
        case .interval, .uuid, .numeric: sluice_prefetch(stored.values + entry &<< 4)
        case .boxed: break
        }
    }
}
