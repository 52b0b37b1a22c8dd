// Rows kept by key in an order: what ranks and sessions stand on.
//
// Equal rows are one with a weight. Each key has a list of its rows, always in order. At the first change of a key in a batch the caller
// puts aside what the key gave; a row whose weight is zero stays until the batch ends, but is in no list. State is a row and its weight.

import Values

final class KeyedRows {
    let types: [SQLType]
    let keys: [Int]
    let rows: KeyTable
    let groups: KeyTable
    private(set) var weights = EntryArray<Int64>(zero: 0)
    private var isListed = EntryArray<UInt8>(zero: 0)
    private var rowMarks = EntryArray<UInt32>(zero: 0)
    private var groupMarks = EntryArray<UInt32>(zero: 0)
    private var lists: [[Int32]] = []
    private var touchedRows: [Int32] = []
    private(set) var touchedGroups: [Int32] = []
    private let comesBefore: (KeyedRows, Int, Int) -> Bool
    private let pool: BufferPool
    private var hashes = Scratch<UInt64>()
    private var numbers = Scratch<Int32>()
    private var groupNumbers = Scratch<Int32>()

    /// - Parameter comesBefore: a total order of different rows.
    init(_ types: [SQLType], keys: [Int], pool: BufferPool, comesBefore: @escaping (KeyedRows, Int, Int) -> Bool) {
        self.types = types
        self.keys = keys
        self.pool = pool
        self.comesBefore = comesBefore
        rows = KeyTable(types, sameness: .identical)
        groups = KeyTable(keys.map { types[$0] })
    }

    var byteCount: Int { rows.byteCount + groups.byteCount + weights.capacity * 17 + lists.count * 24 }
    var store: RowStore { rows.store }

    /// The rows of a group, in order.
    func list(_ group: Int) -> [Int32] { lists[group] }

    /// Adds rows of a chunk.
    /// - Parameter willChange: told of each group before its first change in the batch.
    func add(_ chunk: Chunk, _ selected: UnsafePointer<Int32>?, count: Int, batch: UInt32, willChange: (Int) -> Void) {
        if count == 0 { return }
        let (cells, selection) = (ChunkCells(chunk.columns, count: chunk.count), Selection(rows: selected, count: count))
        let keyVectors = keys.map { chunk.columns[$0] }
        let keyCells = ChunkCells(keyVectors, count: chunk.count)
        let (hashes, numbers, groupNumbers) = (hashes.room(count), numbers.room(count), groupNumbers.room(count))
        KeyOrder.hash(keyVectors, selection, into: hashes)
        groups.assign(keyCells.views, selected, count: count, hashes: hashes, into: groupNumbers)
        KeyOrder.hash(chunk.columns, selection, into: hashes)
        rows.assign(cells.views, selected, count: count, hashes: hashes, into: numbers)
        reserve()
        let words = chunk.weightWords
        for place in 0..<count {
            let (entry, group) = (Int(numbers[place]), Int(groupNumbers[place]))
            if groupMarks[group] != batch {
                groupMarks[group] = batch
                touchedGroups.append(groupNumbers[place])
                willChange(group)
            }
            if rowMarks[entry] != batch {
                rowMarks[entry] = batch
                touchedRows.append(numbers[place])
            }
            weights[entry] += words?[selection[place]] ?? 1
            list(entry, in: group)
        }
        withExtendedLifetime((cells, keyCells)) {}
    }

    private func reserve() {
        weights.reserve(rows.store.bound)
        isListed.reserve(rows.store.bound)
        rowMarks.reserve(rows.store.bound)
        groupMarks.reserve(groups.store.bound)
        while lists.count < groups.store.bound { lists.append([]) }
    }

    /// In the list while its weight is above zero.
    private func list(_ entry: Int, in group: Int) {
        let belongs = weights[entry] > 0
        if belongs == (isListed[entry] != 0) { return }
        isListed[entry] = belongs ? 1 : 0
        let place = place(of: entry, in: group)
        if belongs { lists[group].insert(Int32(entry), at: place) } else { lists[group].remove(at: place) }
    }

    private func place(of entry: Int, in group: Int) -> Int {
        var (low, high) = (0, lists[group].count)
        while low < high {
            let middle = (low + high) / 2
            if comesBefore(self, Int(lists[group][middle]), entry) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Forgets rows of a group that can never matter again.
    func drop(_ entries: ArraySlice<Int32>, of group: Int, batch: UInt32) {
        for entry in entries {
            weights[Int(entry)] = 0
            isListed[Int(entry)] = 0
            if rowMarks[Int(entry)] != batch {
                rowMarks[Int(entry)] = batch
                touchedRows.append(entry)
            }
            if groupMarks[group] != batch {
                groupMarks[group] = batch
                touchedGroups.append(Int32(group))
            }
        }
        lists[group].removeSubrange(entries.startIndex..<entries.endIndex)
    }

    /// The groups that were touched, in the order of their keys.
    func sortedGroups() -> [Int32] { touchedGroups.sorted { groups.store.compare(Int($0), Int($1)) < 0 } }

    /// Every group there is.
    var allGroups: [Int] { lists.indices.filter { !lists[$0].isEmpty } }

    // MARK: state

    func finish(into delta: inout StateDelta?) {
        touchedRows.sort { rows.store.compare(Int($0), Int($1)) < 0 }
        for entry in touchedRows {
            if delta != nil { write(Int(entry), to: &delta!) }
            if weights[Int(entry)] == 0 {
                rowMarks[Int(entry)] = 0
                rows.remove(Int(entry))
            }
        }
        for group in touchedGroups where lists[Int(group)].isEmpty {
            groupMarks[Int(group)] = 0
            groups.remove(Int(group))
        }
        touchedRows.removeAll(keepingCapacity: true)
        touchedGroups.removeAll(keepingCapacity: true)
    }

    private func write(_ entry: Int, to delta: inout StateDelta) {
        var (key, value) = (StateBytes(), StateBytes())
        rows.store.write(entry, asKey: false, to: &key)
        var list = Int32(entry)
        let vectors = keys.map { rows.store.columns[$0].gather(&list, count: 1, pool: pool) }
        var hash: UInt64 = 0
        KeyOrder.hash(vectors, .all(1), into: &hash)
        if weights[entry] == 0 { return delta.remove(KeyGroup.of(hash), key.array) }
        value.append(word: weights[entry])
        delta.put(KeyGroup.of(hash), key.array, value.array)
    }

    func load(_ entries: [StateDelta.Entry]) throws(StateFault) {
        for entry in entries {
            guard let value = entry.value else { continue }
            let scratch = RowStore(types)
            var list = Int32(scratch.take())
            try StateReader.read(entry.key) { (reader) throws(StateFault) in
                try scratch.read(Int(list), from: &reader)
            }
            let weight = try StateReader.read(value) { (reader) throws(StateFault) -> Int64 in
                return try reader.word()
            }
            let chunk = Chunk(columns: scratch.gather(&list, count: 1, pool: pool), count: 1, weights: Weights.buffer([weight], pool))
            add(chunk, nil, count: 1, batch: 0) { _ in }
        }
        touchedRows.removeAll()
        touchedGroups.removeAll()
    }
}

/// What some keys gave and give, as rows with numbers behind them: only what differs leaves.
struct GivenRows {
    /// A row and what stands behind it.
    struct Given: Hashable {
        let entry: Int32
        let numbers: [Int64]
    }

    private(set) var entries: [Int32] = []
    private(set) var numbers: [[Int64]] = []
    private(set) var weights: [Int64] = []

    /// - Returns: nothing; what is taken back stands before what comes.
    mutating func add(old: [(Given, Int64)], new: [(Given, Int64)]) {
        var change: [Given: Int64] = [:]
        for (given, weight) in old { change[given, default: 0] -= weight }
        for (given, weight) in new { change[given, default: 0] += weight }
        for (list, sign) in [(old, Int64(-1)), (new, 1)] {
            for (given, _) in list {
                guard let weight = change[given], weight * sign > 0 else { continue }
                entries.append(given.entry)
                numbers.append(given.numbers)
                weights.append(weight)
                change[given] = nil
            }
        }
    }

    /// The rows that leave, with some of their columns and the numbers behind them.
    func chunk(_ store: RowStore, _ shown: [Int], numberTypes: [SQLType], pool: BufferPool) -> Chunk {
        let columns = entries.withUnsafeBufferPointer { list in shown.map { store.columns[$0].gather(list.baseAddress!, count: list.count, pool: pool) } }
        let behind = numberTypes.enumerated().map { index, type in
            let buffer = pool.take(max(entries.count, 1) * 8)
            let words = buffer.base.assumingMemoryBound(to: Int64.self)
            for row in numbers.indices { words[row] = numbers[row][index] }
            return Vector(type, count: entries.count, values: buffer)
        }
        return Chunk(columns: columns + behind, count: entries.count, weights: Weights.buffer(weights, pool))
    }
}
