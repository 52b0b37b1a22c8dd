// Rows wait until the watermark has passed them, and leave once: `emit = 'final'` where no aggregate closes by itself.
//
// What is taken back before that never leaves. A row that comes when its time is passed is late, where nobody judged before.

import Values

final class HoldOperator: Operator {
    private(set) var counts = OperatorCounts()
    private let closing: ClosingColumn
    private let pool: BufferPool
    private let rows: KeyTable
    private var weights = EntryArray<Int64>(zero: 0)
    private var marks = EntryArray<UInt32>(zero: 0)
    private let times = ClosingGroups()
    private var batch: UInt32 = 0
    private var watermark: Int64?
    private var touched: [Int32] = []
    private var closed: [Int32] = []
    private var hashes = Scratch<UInt64>()
    private var numbers = Scratch<Int32>()
    private var accepted = Scratch<Int32>()

    init(_ types: [SQLType], _ closing: ClosingColumn, pool: BufferPool) {
        self.closing = closing
        self.pool = pool
        rows = KeyTable(types, sameness: .identical)
    }

    var stateBytes: Int { rows.byteCount + weights.capacity * 12 }

    func begin(_ moment: BatchMoment) {
        counts = OperatorCounts()
        batch &+= 1
        watermark = closing.watermark.value(at: moment)
    }

    func take(_ chunk: Chunk, input: Int, into output: ChunkList) {
        let cells = ChunkCells(chunk.columns, count: chunk.count)
        let view = cells.views[closing.column]
        let list = accepted.room(chunk.count)
        var count = 0
        for row in 0..<chunk.count {
            if closing.judges, let watermark, !view.isNull(row), view.word(row) < watermark {
                counts.late += 1
                continue
            }
            list[count] = Int32(truncatingIfNeeded: row)
            count += 1
        }
        if count == 0 { return }
        let (hashes, numbers) = (hashes.room(count), numbers.room(count))
        KeyOrder.hash(chunk.columns, Selection(rows: list, count: count), into: hashes)
        rows.assign(cells.views, list, count: count, hashes: hashes, into: numbers)
        weights.reserve(rows.store.bound)
        marks.reserve(rows.store.bound)
        for place in 0..<count {
            let entry = Int(numbers[place])
            if marks[entry] != batch {
                marks[entry] = batch
                touched.append(numbers[place])
                if weights[entry] == 0, !view.isNull(Int(list[place])) { times.add(numbers[place], view.word(Int(list[place]))) }
            }
            weights[entry] += chunk.weight(Int(list[place]))
        }
        withExtendedLifetime(cells) {}
    }

    func end(into output: ChunkList) {
        guard let watermark else { return }
        let column = rows.store.columns[closing.column]
        var seen: Set<Int32> = []
        for (time, list) in times.below(watermark) {
            for entry in list where !column.isNull(Int(entry)) && column.words[Int(entry)] == time && weights[Int(entry)] != 0 && seen.insert(entry).inserted {
                closed.append(entry)
            }
        }
        rows.store.sort(&closed)
        var given: [Int32] = []
        for entry in closed { for _ in 0..<max(weights[Int(entry)], 0) { given.append(entry) } }
        if !given.isEmpty {
            let columns = given.withUnsafeBufferPointer { rows.store.gather($0.baseAddress!, count: $0.count, pool: pool) }
            output.emit(Chunk(columns: columns, count: given.count))
        }
    }

    func finish(into delta: inout StateDelta?) {
        let gone = Set(closed)
        for entry in touched.filter({ !gone.contains($0) }) + closed {
            let isGone = gone.contains(entry) || weights[Int(entry)] == 0
            if delta != nil { write(Int(entry), isGone: isGone, to: &delta!) }
            if isGone {
                weights[Int(entry)] = 0
                marks[Int(entry)] = 0
                rows.remove(Int(entry))
            }
        }
        touched.removeAll(keepingCapacity: true)
        closed.removeAll(keepingCapacity: true)
    }

    private func write(_ entry: Int, isGone: Bool, to delta: inout StateDelta) {
        var (key, value) = (StateBytes(), StateBytes())
        rows.store.write(entry, asKey: false, to: &key)
        var list = Int32(entry)
        var hash: UInt64 = 0
        KeyOrder.hash(rows.store.gather(&list, count: 1, pool: pool), .all(1), into: &hash)
        if isGone { return delta.remove(KeyGroup.of(hash), key.array) }
        value.append(word: weights[entry])
        delta.put(KeyGroup.of(hash), key.array, value.array)
    }

    func load(_ entries: [StateDelta.Entry]) throws(StateFault) {
        batch &+= 1
        for entry in entries {
            guard let value = entry.value else { continue }
            let scratch = RowStore(rows.store.columns.map(\.type))
            var list = Int32(scratch.take())
            try StateReader.read(entry.key) { (reader) throws(StateFault) in
                try scratch.read(Int(list), from: &reader)
            }
            let weight = try StateReader.read(value) { (reader) throws(StateFault) -> Int64 in
                return try reader.word()
            }
            take(Chunk(columns: scratch.gather(&list, count: 1, pool: pool), count: 1, weights: Weights.buffer([weight], pool)), input: 0, into: ChunkList())
        }
        touched.removeAll()
    }
}
