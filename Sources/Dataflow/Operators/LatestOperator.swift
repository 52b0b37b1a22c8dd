// The last row of each key: what a table is whose records put and delete.
//
// A record with weight 1 puts its row, one with -1 deletes the row of its key. Records of a key come in the order in which they count. When the
// batch ends, the kept row of each touched key is compared with the one before the batch: the old one is taken back, the new one comes.

import Values

final class LatestOperator: Operator {
    private(set) var counts = OperatorCounts()
    private let types: [SQLType]
    private let key: [Int]
    private let pool: BufferPool
    private let keys: KeyTable
    private let rows: RowStore
    /// The row of each key, numbers plus one; 0 for none.
    private var current = EntryArray<Int32>(zero: 0)
    /// The same before the batch, of touched keys.
    private var befores = EntryArray<Int32>(zero: 0)
    private var marks = EntryArray<UInt32>(zero: 0)
    private var batch: UInt32 = 0
    private var touched: [Int32] = []
    private var hashes = Scratch<UInt64>()
    private var numbers = Scratch<Int32>()

    init(_ types: [SQLType], key: [Int], pool: BufferPool) {
        self.types = types
        self.key = key
        self.pool = pool
        keys = KeyTable(key.map { types[$0] })
        rows = RowStore(types)
    }

    var stateBytes: Int { keys.byteCount + rows.byteCount + current.capacity * 8 }

    func begin(_ moment: BatchMoment) { batch &+= 1 }

    func take(_ chunk: Chunk, input: Int, into output: ChunkList) {
        let keyVectors = key.map { chunk.columns[$0] }
        let (cells, keyCells) = (ChunkCells(chunk.columns, count: chunk.count), ChunkCells(keyVectors, count: chunk.count))
        let (hashes, numbers) = (hashes.room(chunk.count), numbers.room(chunk.count))
        KeyOrder.hash(keyVectors, .all(chunk.count), into: hashes)
        keys.assign(keyCells.views, nil, count: chunk.count, hashes: hashes, into: numbers)
        current.reserve(keys.store.bound)
        befores.reserve(keys.store.bound)
        marks.reserve(keys.store.bound)
        for row in 0..<chunk.count {
            let number = Int(numbers[row])
            let held = current[number]
            if marks[number] != batch {
                marks[number] = batch
                befores[number] = held
                touched.append(numbers[row])
            } else if held != 0 {
                // One that came in this batch: the one before it is kept until the end.
                rows.free(Int(held) - 1)
            }
            current[number] = chunk.weight(row) > 0 ? Int32(rows.insert(cells.views, row) + 1) : 0
        }
        withExtendedLifetime((cells, keyCells)) {}
    }

    func end(into output: ChunkList) {
        touched.sort { keys.store.compare(Int($0), Int($1)) < 0 }
        var (entries, weights): ([Int32], [Int64]) = ([], [])
        for number in touched {
            let (now, before) = (current[Int(number)], befores[Int(number)])
            if now == before || (now != 0 && before != 0 && areIdentical(Int(now) - 1, Int(before) - 1)) { continue }
            if before != 0 {
                entries.append(before - 1)
                weights.append(-1)
            }
            if now != 0 {
                entries.append(now - 1)
                weights.append(1)
            }
        }
        if entries.isEmpty { return }
        let columns = entries.withUnsafeBufferPointer { rows.gather($0.baseAddress!, count: $0.count, pool: pool) }
        output.emit(Chunk(columns: columns, count: entries.count, weights: Weights.buffer(weights, pool)))
    }

    private func areIdentical(_ a: Int, _ b: Int) -> Bool { rows.columns.allSatisfy { $0.compare(a, b) == 0 && $0.compareLooks(a, b) == 0 } }

    func finish(into delta: inout StateDelta?) {
        for number in touched {
            let (now, before) = (current[Int(number)], befores[Int(number)])
            if delta != nil { write(Int(number), now, to: &delta!) }
            if before != 0 && before != now { rows.free(Int(before) - 1) }
            if now == 0 {
                marks[Int(number)] = 0
                keys.remove(Int(number))
            }
        }
        touched.removeAll(keepingCapacity: true)
    }

    private func write(_ number: Int, _ row: Int32, to delta: inout StateDelta) {
        var (key, value) = (StateBytes(), StateBytes())
        keys.store.write(number, asKey: true, to: &key)
        var list = Int32(number)
        var hash: UInt64 = 0
        KeyOrder.hash(keys.store.gather(&list, count: 1, pool: pool), .all(1), into: &hash)
        if row == 0 { return delta.remove(KeyGroup.of(hash), key.array) }
        rows.write(Int(row) - 1, asKey: false, to: &value)
        delta.put(KeyGroup.of(hash), key.array, value.array)
    }

    func load(_ entries: [StateDelta.Entry]) throws(StateFault) {
        for entry in entries {
            guard let value = entry.value else { continue }
            let row = rows.take()
            try StateReader.read(value) { (reader) throws(StateFault) in
                try rows.read(row, from: &reader)
            }
            var list = Int32(row)
            let vectors = key.map { rows.columns[$0].gather(&list, count: 1, pool: pool) }
            let cells = ChunkCells(vectors, count: 1)
            var hash: UInt64 = 0
            KeyOrder.hash(vectors, .all(1), into: &hash)
            keys.assign(cells.views, nil, count: 1, hashes: &hash, into: &list)
            current.reserve(keys.store.bound)
            befores.reserve(keys.store.bound)
            marks.reserve(keys.store.bound)
            current[Int(list)] = Int32(row + 1)
            withExtendedLifetime(cells) {}
        }
    }
}
