// The rows of one side of a join, found by key and by themselves.
//
// Rows are keys of a table of their own, so that a row that is taken back is found at once; equal rows are one with a weight. The rows of
// a key are a chain, whose first one stands in the slots of the key index. A row whose weight is zero stays until the batch ends, because what it gave is still to be compared.

import CXXHash
import Values

final class JoinSide {
    let plan: JoinPlan.Side
    let rows: KeyTable
    private var weightsOf = EntryArray<Int64>(zero: 0)
    /// The weight of the partners that each row meets.
    private var degreesOf = EntryArray<Int64>(zero: 0)
    private var isLinked = EntryArray<UInt8>(zero: 0)
    private var tags = EntryArray<UInt32>(zero: 0)
    // The chain; numbers plus one, 0 ends.
    private var nextsOf = EntryArray<Int32>(zero: 0)
    private var lasts = EntryArray<Int32>(zero: 0)
    private var index = HashSlots()

    // Of the batch.
    private var marks = EntryArray<UInt32>(zero: 0)
    private(set) var touched: [(entry: Int32, before: Int64)] = []

    init(_ plan: JoinPlan.Side) {
        self.plan = plan
        rows = KeyTable(plan.types, sameness: .identical)
    }

    var byteCount: Int { rows.byteCount + index.byteCount + weightsOf.capacity * 33 }

    func reserve() {
        let bound = rows.store.bound
        weightsOf.reserve(bound)
        degreesOf.reserve(bound)
        isLinked.reserve(bound)
        tags.reserve(bound)
        nextsOf.reserve(bound)
        lasts.reserve(bound)
        marks.reserve(bound)
    }

    // Valid until rows are added.
    var weights: UnsafeMutablePointer<Int64> { weightsOf.base }
    var degrees: UnsafeMutablePointer<Int64> { degreesOf.base }
    var nexts: UnsafeMutablePointer<Int32> { nextsOf.base }

    func has(_ entry: Int) -> Bool { isLinked[entry] != 0 }

    /// Remembers what a row gave before the batch, at its first change.
    @inline(__always)
    func touch(_ entry: Int, batch: UInt32, _ before: (Int) -> Int64) {
        if marks[entry] == batch { return }
        marks[entry] = batch
        touched.append((Int32(truncatingIfNeeded: entry), before(entry)))
    }

    // MARK: the key index

    /// The first row of each key, numbers plus one; 0 where there is none.
    /// - Parameters:
    ///   - keys: cells of the probing rows' keys, in the order of this side's keys.
    func heads(_ keys: UnsafePointer<CellView>, _ list: UnsafePointer<Int32>, count: Int, hashes: UnsafePointer<UInt64>, into heads: UnsafeMutablePointer<Int32>) {
        let isLarge = index.isLarge
        let width = plan.keys.count
        let columns = plan.keys.map { rows.store.columns[$0] }
        if width == 1, let words = keys[0].plainWords, columns[0].kind == .word, columns[0].nulls == nil {
            let stored = columns[0].words
            find(list, count, hashes, heads, isLarge) { row, entry in
                words[row] == stored[entry]
            } soon: {
                sluice_prefetch(stored + $0)
            }
            return
        }
        find(list, count, hashes, heads, isLarge) { row, entry in
            for index in 0..<width where !columns[index].isEqual(entry, keys[index], row) { return false }
            return true
        } soon: { _ in
        }
    }

    @inline(__always)
    private func find(
        _ list: UnsafePointer<Int32>, _ count: Int, _ hashes: UnsafePointer<UInt64>, _ heads: UnsafeMutablePointer<Int32>, _ isLarge: Bool,
        _ isSame: (_ row: Int, _ entry: Int) -> Bool, soon: (Int) -> Void
    ) {
        let (slots, mask, last) = (index.base, index.mask, count - 1)
        for place in 0..<count {
            if isLarge {
                sluice_prefetch(slots + Int(truncatingIfNeeded: hashes[min(place &+ 16, last)] >> 32) & mask)
                let ahead = hashes[min(place &+ 8, last)] >> 32
                let slot = slots[Int(truncatingIfNeeded: ahead) & mask]
                if slot != 0 && slot >> 32 == ahead { soon(HashSlots.number(slot)) }
            }
            let tag = hashes[place] >> 32
            var at = Int(truncatingIfNeeded: tag) & mask
            heads[place] = 0
            while slots[at] != 0 {
                if slots[at] >> 32 == tag, isSame(Int(list[place]), HashSlots.number(slots[at])) {
                    heads[place] = Int32(truncatingIfNeeded: slots[at] & 0xffff_ffff)
                    break
                }
                at = (at &+ 1) & mask
            }
        }
    }

    /// Adds the weights of rows, and puts new ones into the chains of their keys.
    /// - Parameters:
    ///   - entries: the numbers of the rows, by place.
    ///   - hashes: of their keys.
    ///   - words: their weights by row; nil for 1.
    ///   - fresh: set to 1 for rows that were not there.
    func add(
        _ entries: UnsafePointer<Int32>, _ list: UnsafePointer<Int32>, count: Int, hashes: UnsafePointer<UInt64>, _ keys: UnsafePointer<CellView>,
        _ words: UnsafePointer<Int64>?, _ fresh: UnsafeMutablePointer<UInt8>
    ) {
        let (weights, linked, last) = (weightsOf.base, isLinked.base, count - 1)
        let isLarge = index.isLarge
        for place in 0..<count {
            if isLarge { sluice_prefetch(index.base + Int(truncatingIfNeeded: hashes[min(place &+ 12, last)] >> 32) & index.mask) }
            let (entry, row) = (Int(entries[place]), Int(list[place]))
            let isNew = linked[entry] == 0
            fresh[place] = isNew ? 1 : 0
            if isNew { link(entry, hash: hashes[place], keys, row) }
            weights[entry] &+= words == nil ? 1 : words![row]
        }
    }

    /// Puts a new row into the chain of its key.
    /// - Parameter hash: of its key.
    func link(_ entry: Int, hash: UInt64, _ keys: UnsafePointer<CellView>, _ row: Int) {
        let tag = hash >> 32
        let (slots, mask, nexts, lasts) = (index.base, index.mask, nextsOf.base, lasts.base)
        tags[entry] = UInt32(truncatingIfNeeded: tag)
        isLinked[entry] = 1
        lasts[entry] = 0
        nexts[entry] = 0
        var at = Int(truncatingIfNeeded: tag) & mask
        while slots[at] != 0 {
            if slots[at] >> 32 == tag {
                let head = HashSlots.number(slots[at])
                if isSameKey(head, keys, row) {
                    // Behind the first one: the slot stays as it is.
                    nexts[entry] = nexts[head]
                    lasts[entry] = Int32(truncatingIfNeeded: head &+ 1)
                    if nexts[head] != 0 { lasts[Int(nexts[head]) &- 1] = Int32(truncatingIfNeeded: entry &+ 1) }
                    nexts[head] = Int32(truncatingIfNeeded: entry &+ 1)
                    return
                }
            }
            at = (at &+ 1) & mask
        }
        _ = index.put(entry, tag: tag, at: at)
    }

    private func isSameKey(_ entry: Int, _ keys: UnsafePointer<CellView>, _ row: Int) -> Bool {
        for (index, column) in plan.keys.enumerated() where !rows.store.columns[column].isEqual(entry, keys[index], row) { return false }
        return true
    }

    private func unlink(_ entry: Int) {
        let (next, last) = (nextsOf[entry], lasts[entry])
        if next != 0 { lasts[Int(next) - 1] = last }
        if last != 0 {
            nextsOf[Int(last) - 1] = next
        } else {
            let place = index.place(of: entry, tag: tags[entry])
            if next != 0 { index.replace(at: place, with: Int(next) - 1) } else { index.remove(at: place) }
        }
        isLinked[entry] = 0
    }

    /// A row is gone; its number is free.
    func remove(_ entry: Int) {
        unlink(entry)
        weights[entry] = 0
        degrees[entry] = 0
        marks[entry] = 0
        rows.remove(entry)
    }

    /// The batch is over. Rows without weight go.
    /// - Parameter each: told of each touched row before that.
    func endBatch(_ each: (Int) -> Void) {
        for (entry, _) in touched where isLinked[Int(entry)] != 0 {
            each(Int(entry))
            if weights[Int(entry)] == 0 { remove(Int(entry)) }
        }
        touched.removeAll(keepingCapacity: true)
    }
}
