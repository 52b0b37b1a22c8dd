// Adds up what a batch says of equal rows: those whose weights add up to nothing vanish, the others leave in the order of all their columns.

import Values

final class Consolidator {
    private let types: [SQLType]
    private let pool: BufferPool
    private var table: KeyTable
    private var weights = EntryArray<Int64>(zero: 0)
    private var hashes = Scratch<UInt64>()
    private var numbers = Scratch<Int32>()

    init(_ types: [SQLType], pool: BufferPool) {
        self.types = types
        self.pool = pool
        table = KeyTable(types, sameness: .identical)
    }

    func add(_ chunk: Chunk) {
        let cells = ChunkCells(chunk.columns, count: chunk.count)
        let (hashes, numbers) = (hashes.room(chunk.count), numbers.room(chunk.count))
        KeyOrder.hash(chunk.columns, .all(chunk.count), into: hashes)
        table.assign(cells.views, nil, count: chunk.count, hashes: hashes, into: numbers)
        self.weights.reserve(table.store.bound)
        let words = chunk.weightWords
        for row in 0..<chunk.count { self.weights[Int(numbers[row])] += words?[row] ?? 1 }
        withExtendedLifetime(cells) {}
    }

    /// The rows that are left, and nothing is kept.
    func end(into output: ChunkList) {
        var rows: [Int32] = []
        for entry in 0..<table.store.bound where weights[entry] != 0 { rows.append(Int32(entry)) }
        if !rows.isEmpty {
            table.store.sort(&rows)
            let left = rows.map { weights[Int($0)] }
            let columns = rows.withUnsafeBufferPointer { table.store.gather($0.baseAddress!, count: $0.count, pool: pool) }
            output.emit(Chunk(columns: columns, count: rows.count, weights: Weights.buffer(left, pool)))
        }
        if table.store.bound > 0 {
            table = KeyTable(types, sameness: .identical)
            weights = EntryArray(zero: 0)
        }
    }
}
