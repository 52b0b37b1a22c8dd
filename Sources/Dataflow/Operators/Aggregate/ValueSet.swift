// The different values of one argument in each group, with their weights: what DISTINCT counts, and min and max over changes need.
//
// For DISTINCT equal values are one (1.0 and 1.00), whatever they look like; for the least and the greatest each look is a value of its own,
// so that the one that is shown does not depend on the order in which they came.
//
// A value is there while its weight is above zero; the caller is told when one comes and when one goes. Where the least or the greatest
// is asked for, the values of each group lie in a heap, each knowing its place, so that any of them can go. Values whose weight is zero
// at the end of a batch are forgotten.

import Values

final class ValueSet {
    private let table: KeyTable
    private let values: StoredColumn
    private var weights = EntryArray<Int64>(zero: 0)
    /// The batch in which an entry was last touched.
    private var marks = EntryArray<UInt32>(zero: 0)
    private var touched: [Int32] = []
    // The values of a group, one after the other; numbers plus one, 0 ends.
    private var firsts = EntryArray<Int32>(zero: 0)
    private var nexts = EntryArray<Int32>(zero: 0)
    private var lasts = EntryArray<Int32>(zero: 0)
    private var isLinked = EntryArray<UInt8>(zero: 0)
    let least: ValueHeap?
    let greatest: ValueHeap?
    private let pool: BufferPool

    init(_ type: SQLType, wantsLeast: Bool, wantsGreatest: Bool, pool: BufferPool) {
        table = KeyTable([.int8, type], sameness: wantsLeast || wantsGreatest ? .identical : .equal)
        values = table.store.columns[1]
        least = wantsLeast ? ValueHeap(values, sign: 1) : nil
        greatest = wantsGreatest ? ValueHeap(values, sign: -1) : nil
        self.pool = pool
    }

    var byteCount: Int { table.byteCount + (weights.capacity * 25) }

    /// Adds values to their groups.
    /// - Parameters:
    ///   - argument: the vector of the argument.
    ///   - changed: called for each value that comes (1) or goes (-1), with its row in the chunk.
    func add(_ added: AddedRows, _ argument: Vector, chunkCount: Int, batch: UInt32, changed: (_ row: Int, _ group: Int32, _ sign: Int64) -> Void) {
        // Rows with a value, and their groups as a column of their own.
        let (rowMemory, groupMemory, weightMemory) = (pool.take(max(added.count, 1) * 4), pool.take(max(chunkCount, 1) * 8), pool.take(max(added.count, 1) * 8))
        let rows = rowMemory.base.assumingMemoryBound(to: Int32.self)
        let groups = groupMemory.base.assumingMemoryBound(to: Int64.self)
        let changes = weightMemory.base.assumingMemoryBound(to: Int64.self)
        let probe = ChunkCells([argument], count: chunkCount)
        var count = 0
        added.forEach { row, group, weight in
            if probe.views[0].isNull(row) { return }
            groups[row] = Int64(group)
            rows[count] = Int32(truncatingIfNeeded: row)
            changes[count] = weight
            count += 1
        }
        if count == 0 { return }
        let keys = [Vector(.int8, count: chunkCount, values: groupMemory), argument]
        let cells = ChunkCells(keys, count: chunkCount)
        let (hashMemory, entryMemory) = (pool.take(count * 8), pool.take(count * 4))
        let hashes = hashMemory.base.assumingMemoryBound(to: UInt64.self)
        let entries = entryMemory.base.assumingMemoryBound(to: Int32.self)
        KeyOrder.hash(keys, Selection(rows: UnsafePointer(rows), count: count), into: hashes)
        table.assign(cells.views, UnsafePointer(rows), count: count, hashes: hashes, into: entries)
        reserve()
        for place in 0..<count {
            let entry = Int(entries[place])
            let (before, row) = (weights[entry], Int(rows[place]))
            let after = before &+ changes[place]
            weights[entry] = after
            if marks[entry] != batch {
                marks[entry] = batch
                touched.append(entries[place])
                if isLinked[entry] == 0 { link(entry, to: Int(groups[row])) }
            }
            let group = Int32(truncatingIfNeeded: groups[row])
            if before <= 0 && after > 0 {
                least?.insert(entry, group)
                greatest?.insert(entry, group)
                changed(row, group, 1)
            } else if before > 0 && after <= 0 {
                least?.remove(entry, group)
                greatest?.remove(entry, group)
                changed(row, group, -1)
            }
        }
        withExtendedLifetime((rowMemory, groupMemory, weightMemory, cells, probe, hashMemory, entryMemory)) {}
    }

    private func reserve() {
        let bound = table.store.bound
        weights.reserve(bound)
        marks.reserve(bound)
        nexts.reserve(bound)
        lasts.reserve(bound)
        isLinked.reserve(bound)
        least?.reserve(bound)
        greatest?.reserve(bound)
    }

    private func link(_ entry: Int, to group: Int) {
        firsts.reserve(group + 1)
        let first = firsts[group]
        nexts[entry] = first
        lasts[entry] = 0
        if first != 0 { lasts[Int(first) - 1] = Int32(entry + 1) }
        firsts[group] = Int32(entry + 1)
        isLinked[entry] = 1
    }

    private func forget(_ entry: Int) {
        let group = Int(table.store.columns[0].words[entry])
        if nexts[entry] != 0 { lasts[Int(nexts[entry]) - 1] = lasts[entry] }
        if lasts[entry] != 0 { nexts[Int(lasts[entry]) - 1] = nexts[entry] } else { firsts[group] = nexts[entry] }
        if weights[entry] > 0 {
            least?.remove(entry, Int32(group))
            greatest?.remove(entry, Int32(group))
        }
        weights[entry] = 0
        marks[entry] = 0
        isLinked[entry] = 0
        table.remove(entry)
    }

    /// Writes the touched values of the batch behind their group's key, and forgets those that are gone.
    /// - Parameter key: appends the key of a group, and says in which key group it is.
    func endBatch(tag: UInt8, to delta: inout StateDelta?, key: (_ group: Int, _ sink: inout StateBytes) -> Int) {
        var sink = StateBytes()
        touched.sort { table.store.compare(Int($0), Int($1)) < 0 }
        for entry in touched where isLinked[Int(entry)] != 0 {
            if delta != nil {
                sink.removeAll()
                sink.append(byte: tag)
                let group = key(Int(table.store.columns[0].words[Int(entry)]), &sink)
                values.write(Int(entry), asKey: least == nil && greatest == nil, to: &sink)
                if weights[Int(entry)] == 0 {
                    delta!.remove(group, sink.array)
                } else {
                    var value = StateBytes()
                    value.append(word: weights[Int(entry)])
                    values.write(Int(entry), asKey: false, to: &value)
                    delta!.put(group, sink.array, value.array)
                }
            }
            if weights[Int(entry)] == 0 { forget(Int(entry)) }
        }
        touched.removeAll(keepingCapacity: true)
    }

    /// Forgets all values of a group.
    func drop(_ group: Int, tag: UInt8, to delta: inout StateDelta?, key: (_ group: Int, _ sink: inout StateBytes) -> Int) {
        guard group < firsts.capacity else { return }
        while firsts[group] != 0 {
            let entry = Int(firsts[group]) - 1
            if delta != nil {
                var sink = StateBytes()
                sink.append(byte: tag)
                let keyGroup = key(group, &sink)
                values.write(entry, asKey: least == nil && greatest == nil, to: &sink)
                delta!.remove(keyGroup, sink.array)
            }
            forget(entry)
        }
    }

    /// Puts a value back that a delta held.
    func load(_ group: Int, weight: Int64, from source: inout StateReader) throws(StateFault) {
        let scratch = RowStore([.int8, values.type])
        let row = scratch.take()
        scratch.columns[0].words[row] = Int64(group)
        try scratch.columns[1].read(row, from: &source)
        var entry: [Int32] = [Int32(row)]
        let vectors = scratch.gather(&entry, count: 1, pool: pool)
        let cells = ChunkCells(vectors, count: 1)
        var hash: UInt64 = 0
        KeyOrder.hash(vectors, .all(1), into: &hash)
        table.assign(cells.views, nil, count: 1, hashes: &hash, into: &entry)
        reserve()
        let number = Int(entry[0])
        weights[number] = weight
        link(number, to: group)
        if weight > 0 {
            least?.insert(number, Int32(group))
            greatest?.insert(number, Int32(group))
        }
        withExtendedLifetime(cells) {}
    }

    /// The first in order of each group; NULL where there is none.
    func extremes(_ heap: ValueHeap, _ groups: UnsafePointer<Int32>, count: Int) -> Vector {
        let memory = pool.take(max(count, 1) * 4)
        let entries = memory.base.assumingMemoryBound(to: Int32.self)
        for place in 0..<count { entries[place] = heap.first(Int(groups[place])) }
        return withExtendedLifetime(memory) { values.gather(entries, count: count, pool: pool) }
    }
}

/// A heap of values for each group; every value knows its place.
final class ValueHeap {
    private let values: StoredColumn
    private let sign: Int
    private var heaps: [[Int32]] = []
    private var places = EntryArray<Int32>(zero: 0)

    /// - Parameter sign: 1 for the least first, -1 for the greatest.
    init(_ values: StoredColumn, sign: Int) {
        self.values = values
        self.sign = sign
    }

    func reserve(_ bound: Int) { places.reserve(bound) }

    /// -1 where there is none.
    func first(_ group: Int) -> Int32 { group < heaps.count ? heaps[group].first ?? -1 : -1 }

    func insert(_ entry: Int, _ group: Int32) {
        while heaps.count <= Int(group) { heaps.append([]) }
        heaps[Int(group)].append(Int32(entry))
        places[entry] = Int32(heaps[Int(group)].count - 1)
        rise(Int(group), heaps[Int(group)].count - 1)
    }

    func remove(_ entry: Int, _ group: Int32) {
        let (group, place) = (Int(group), Int(places[entry]))
        let last = heaps[group].removeLast()
        guard Int(last) != entry else { return }
        heaps[group][place] = last
        places[Int(last)] = Int32(place)
        rise(group, place)
        sink(group, Int(places[Int(last)]))
    }

    private func isBefore(_ a: Int32, _ b: Int32) -> Bool {
        let order = values.compare(Int(a), Int(b))
        return order != 0 ? order * sign < 0 : values.compareLooks(Int(a), Int(b)) < 0
    }

    private func rise(_ group: Int, _ start: Int) {
        var place = start
        while place > 0, isBefore(heaps[group][place], heaps[group][(place - 1) / 2]) {
            swap(group, place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    private func sink(_ group: Int, _ start: Int) {
        var place = start
        while true {
            let left = place * 2 + 1
            guard left < heaps[group].count else { return }
            let smaller = left + 1 < heaps[group].count && isBefore(heaps[group][left + 1], heaps[group][left]) ? left + 1 : left
            guard isBefore(heaps[group][smaller], heaps[group][place]) else { return }
            swap(group, place, smaller)
            place = smaller
        }
    }

    private func swap(_ group: Int, _ a: Int, _ b: Int) {
        heaps[group].swapAt(a, b)
        places[Int(heaps[group][a])] = Int32(a)
        places[Int(heaps[group][b])] = Int32(b)
    }
}
