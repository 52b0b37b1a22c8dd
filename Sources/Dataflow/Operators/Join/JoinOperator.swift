// Joins by equal keys, both sides kept.
//
// A chunk of one side is put into that side's rows and then meets the rows of the other as they are at that moment; so each pair is met
// once, whichever came first and in whatever order chunks come, and its weight is the product of both. Rows of a pair must also fulfil
// the further condition, which is asked for many pairs at once.
//
// What leaves beside pairs depends on whether a row has partners: the row with NULLs (outer), the row itself (semi: with, anti: without).
// Each row knows the weight of its partners (its degree); when the batch ends, what a touched row gives now is compared with what it
// gave before. NULL in a key of `=` meets nobody: such a row is not kept, and gives what a row without partners gives.
//
//   append out   pairs and rows leave as they are found
//   changes out  all is added up first, so that what came and went within the batch does not leave
//   lookup       rows of the left side are not kept: they see the right side as it is when they come

import SQLBinding
import Values

final class JoinOperator: Operator {
    private(set) var counts = OperatorCounts()
    private let plan: JoinPlan
    private let sides: [JoinSide]
    private let pool: BufferPool
    private let condition: Program?
    private let conditionColumns: Set<Int>
    private let errors = RowErrors()
    private let consolidator: Consolidator?
    private let savesState: Bool
    private var removed: StateDelta?
    private var batch: UInt32 = 0
    private var watermark: Int64?
    private let closings: [ClosingGroups]
    private let padding: [Vector]

    // Of one chunk.
    private var hashes = Scratch<UInt64>()
    private var rowHashes = Scratch<UInt64>()
    private var live = Scratch<Int32>()
    private var entries = Scratch<Int32>()
    private var heads = Scratch<Int32>()
    private var fresh = Scratch<UInt8>()
    private var pairRows = Scratch<Int32>()
    private var pairPlaces = Scratch<Int32>()
    private var pairPartners = Scratch<Int32>()
    private var matched: [Int64] = []
    private static let pairsAtOnce = 4096

    init(_ plan: JoinPlan, savesState: Bool, context: EvaluationContext, pool: BufferPool) {
        self.plan = plan
        self.savesState = savesState
        self.pool = pool
        sides = [JoinSide(plan.left), JoinSide(plan.right)]
        condition = plan.condition.map { Program([$0], context: context, pool: pool) }
        conditionColumns = plan.condition?.columns ?? []
        let types = plan.left.shown.map { plan.left.types[$0] } + plan.right.shown.map { plan.right.types[$0] }
        consolidator = plan.givesAppend ? nil : Consolidator(types, pool: pool)
        closings = [ClosingGroups(), ClosingGroups()]
        padding = types.map { Vector.constant(.null, $0, pool: pool) }
    }

    var stateBytes: Int { sides.reduce(0) { $0 + $1.byteCount } }

    private var givesPairs: Bool { plan.type != .semi && plan.type != .anti }

    /// Whether rows of a side leave by themselves, depending on their partners.
    private func watches(_ side: Int) -> Bool {
        switch plan.type {
        case .inner: false
        case .left, .semi, .anti: side == 0
        case .right: side == 1
        case .full: true
        }
    }

    /// What a row gives beside its pairs.
    @inline(__always)
    private func contribution(weight: Int64, degree: Int64) -> Int64 { (plan.type == .semi) == (degree > 0) ? weight : 0 }

    func begin(_ moment: BatchMoment) {
        counts = OperatorCounts()
        // Those of a pair that stopped the batch before.
        errors.removeAll()
        batch &+= 1
        watermark = plan.closing?.watermark.value(at: moment)
        removed = savesState ? StateDelta() : nil
    }

    // MARK: rows come

    func take(_ chunk: Chunk, input: Int, into output: ChunkList) throws(RowStop) {
        let (own, other) = (sides[input], sides[1 - input])
        let cells = ChunkCells(chunk.columns, count: chunk.count)
        let keyVectors = own.plan.keys.map { chunk.columns[$0] }
        let keys = ChunkCells(keyVectors, count: chunk.count)
        defer { withExtendedLifetime((cells, keys)) {} }
        let (rows, count) = meeting(chunk, keys, input, output)
        if count == 0 { return }
        let hashes = hashes.room(count)
        KeyOrder.hash(keyVectors, Selection(rows: rows, count: count), into: hashes)
        let (isKept, isMeeting) = (!plan.isLookup || input == 1, !plan.isLookup || input == 0)
        let entries = entries.room(count)
        let fresh = fresh.room(count)
        if isKept { keep(chunk, cells, keys, input, rows, count, hashes, entries, fresh) }
        guard isMeeting else { return }
        let heads = heads.room(count)
        other.heads(keys.views, rows, count: count, hashes: hashes, into: heads)
        if plan.isLookup { matched = Array(repeating: 0, count: count) }
        let (pairRows, pairPlaces, pairPartners) = (pairRows.room(Self.pairsAtOnce), pairPlaces.room(Self.pairsAtOnce), pairPartners.room(Self.pairsAtOnce))
        var pairs = 0
        let nexts = other.nexts
        for place in 0..<count {
            var next = heads[place]
            while next != 0 {
                let partner = Int(next) - 1
                next = nexts[partner]
                pairRows[pairs] = rows[place]
                pairPlaces[pairs] = Int32(truncatingIfNeeded: place)
                pairPartners[pairs] = Int32(truncatingIfNeeded: partner)
                pairs += 1
                if pairs == Self.pairsAtOnce {
                    try meet(chunk, input, pairs, entries, fresh, output)
                    pairs = 0
                }
            }
        }
        if pairs > 0 { try meet(chunk, input, pairs, entries, fresh, output) }
        if plan.isLookup { emitLookedUp(chunk, rows, count, output) }
    }

    /// The rows that can have partners and are not late. Those with a NULL key give what rows without partners give.
    private func meeting(_ chunk: Chunk, _ keys: ChunkCells, _ input: Int, _ output: ChunkList) -> (UnsafePointer<Int32>, Int) {
        let rows = live.room(chunk.count)
        let strict = plan.meetsNull.indices.filter { !plan.meetsNull[$0] && keys.views[$0].validity != nil }
        let late = plan.closing.flatMap { $0.judges ? watermark : nil }
        var alone: [Int32] = []
        var count = 0
        if strict.isEmpty && late == nil {
            for row in 0..<chunk.count { rows[row] = Int32(truncatingIfNeeded: row) }
            return (UnsafePointer(rows), chunk.count)
        }
        for row in 0..<chunk.count {
            if let late, !keys.views[plan.closing!.column].isNull(row), keys.views[plan.closing!.column].word(row) < late {
                counts.late += 1
                continue
            }
            if strict.contains(where: { keys.views[$0].isNull(row) }) {
                alone.append(Int32(truncatingIfNeeded: row))
                continue
            }
            rows[count] = Int32(truncatingIfNeeded: row)
            count += 1
        }
        if !alone.isEmpty && watches(input) && plan.type != .semi {
            let some = alone.withUnsafeBufferPointer { chunk.rows($0.baseAddress!, count: $0.count, pool: pool) }
            give(Chunk(columns: padded(some.columns, input), count: some.count, weights: some.weights), output)
        }
        return (UnsafePointer(rows), count)
    }

    /// Puts rows into their side.
    private func keep(
        _ chunk: Chunk, _ cells: ChunkCells, _ keys: ChunkCells, _ input: Int, _ rows: UnsafePointer<Int32>, _ count: Int, _ hashes: UnsafePointer<UInt64>,
        _ entries: UnsafeMutablePointer<Int32>, _ fresh: UnsafeMutablePointer<UInt8>
    ) {
        let side = sides[input]
        let rowHashes = rowHashes.room(count)
        KeyOrder.hash(chunk.columns, Selection(rows: rows, count: count), into: rowHashes)
        side.rows.assign(cells.views, rows, count: count, hashes: rowHashes, into: entries)
        side.reserve()
        // What only comes, alone, and is stored nowhere is not compared with anything.
        if savesState || watches(input) || side.plan.isChanging {
            for place in 0..<count { side.touch(Int(entries[place]), batch: batch) { contribution(weight: side.weights[$0], degree: side.degrees[$0]) } }
        }
        side.add(entries, rows, count: count, hashes: hashes, keys.views, chunk.weightWords, fresh)
        guard let closing = plan.closing else { return }
        for place in 0..<count where fresh[place] != 0 && !keys.views[closing.column].isNull(Int(rows[place])) {
            closings[input].add(entries[place], keys.views[closing.column].word(Int(rows[place])))
        }
    }

    // MARK: pairs

    private func meet(_ chunk: Chunk, _ input: Int, _ candidates: Int, _ entries: UnsafePointer<Int32>, _ fresh: UnsafePointer<UInt8>, _ output: ChunkList) throws(RowStop) {
        let (own, other) = (sides[input], sides[1 - input])
        let (rows, places, partners) = (pairRows.room(0), pairPlaces.room(0), pairPartners.room(0))
        let pairs = try fulfilling(chunk, input, candidates, rows, places, partners)
        if pairs == 0 { return }
        let words = chunk.weightWords
        if plan.isLookup {
            for pair in 0..<pairs { matched[Int(places[pair])] += other.weights[Int(partners[pair])] }
        } else {
            if watches(1 - input) {
                for pair in 0..<pairs {
                    let partner = Int(partners[pair])
                    other.touch(partner, batch: batch) { contribution(weight: other.weights[$0], degree: other.degrees[$0]) }
                    other.degrees[partner] += words?[Int(rows[pair])] ?? 1
                }
            }
            if watches(input) {
                for pair in 0..<pairs where fresh[Int(places[pair])] != 0 { own.degrees[Int(entries[Int(places[pair])])] += other.weights[Int(partners[pair])] }
            }
        }
        guard givesPairs else { return }
        let ownColumns = own.plan.shown.map { Gathering.rows(of: chunk.columns[$0], rows, count: pairs, pool: pool) }
        let otherColumns = other.plan.shown.map { other.rows.store.columns[$0].gather(partners, count: pairs, pool: pool) }
        let columns = input == 0 ? ownColumns + otherColumns : otherColumns + ownColumns
        let buffer = pool.take(pairs * 8)
        let weights = buffer.base.assumingMemoryBound(to: Int64.self)
        var isPlain = true
        let partnerWeights = other.weights
        for pair in 0..<pairs {
            weights[pair] = (words == nil ? 1 : words![Int(rows[pair])]) * partnerWeights[Int(partners[pair])]
            if weights[pair] != 1 { isPlain = false }
        }
        if plan.givesAppend && !isPlain { return repeated(Chunk(columns: columns, count: pairs, weights: buffer), output) }
        give(Chunk(columns: columns, count: pairs, weights: isPlain ? nil : buffer), output)
    }

    /// Asks the further condition, and moves the pairs for which it holds to the front.
    private func fulfilling(
        _ chunk: Chunk, _ input: Int, _ candidates: Int, _ rows: UnsafeMutablePointer<Int32>, _ places: UnsafeMutablePointer<Int32>,
        _ partners: UnsafeMutablePointer<Int32>
    ) throws(RowStop) -> Int {
        guard let condition else { return candidates }
        let width = plan.left.types.count
        let other = sides[1 - input]
        var columns: [Vector] = []
        for number in 0..<width + plan.right.types.count {
            let side = number < width ? 0 : 1
            let column = number < width ? number : number - width
            if !conditionColumns.contains(number) {
                columns.append(Vector.constant(.null, sides[side].plan.types[column], pool: pool))
            } else if side == input {
                columns.append(Gathering.rows(of: chunk.columns[column], rows, count: candidates, pool: pool))
            } else {
                columns.append(other.rows.store.columns[column].gather(partners, count: candidates, pool: pool))
            }
        }
        let kept = condition.filter(columns, count: candidates, .all(candidates), errors: errors)
        var failed: Set<Int> = []
        for error in errors.firstOfEachRow {
            failed.insert(error.row)
            let weight = chunk.weight(Int(rows[error.row])) * other.weights[Int(partners[error.row])]
            if weight > 0 {
                if plan.policy == .stop { throw RowStop(error: error) }
                counts.note(error, times: Int(weight))
            }
        }
        errors.removeAll()
        var count = 0
        for position in 0..<kept.selection.count {
            let pair = kept.selection[position]
            if !failed.isEmpty && failed.contains(pair) { continue }
            (rows[count], places[count], partners[count]) = (rows[pair], places[pair], partners[pair])
            count += 1
        }
        withExtendedLifetime(kept) {}
        return count
    }

    /// The rows of a lookup that leave by themselves.
    private func emitLookedUp(_ chunk: Chunk, _ rows: UnsafePointer<Int32>, _ count: Int, _ output: ChunkList) {
        guard watches(0) else { return }
        let some = (0..<count).filter { contribution(weight: 1, degree: matched[$0]) != 0 }.map { rows[$0] }
        if some.isEmpty { return }
        let left = some.withUnsafeBufferPointer { chunk.rows($0.baseAddress!, count: $0.count, pool: pool) }
        give(Chunk(columns: padded(left.columns, 0), count: left.count, weights: left.weights), output)
    }

    /// The shown columns of one side's rows, and NULL for the other's.
    private func padded(_ columns: [Vector], _ side: Int) -> [Vector] {
        let own = sides[side].plan.shown.map { columns[$0] }
        let width = plan.left.shown.count
        return side == 0 ? own + padding[width...] : padding[..<width] + own
    }

    private func give(_ chunk: Chunk, _ output: ChunkList) {
        if let consolidator { consolidator.add(chunk) } else { output.emit(chunk) }
    }

    /// Rows that only come have no weights: a weight of two is two rows.
    private func repeated(_ chunk: Chunk, _ output: ChunkList) {
        var rows: [Int32] = []
        for row in 0..<chunk.count { for _ in 0..<max(chunk.weight(row), 0) { rows.append(Int32(row)) } }
        let plain = Chunk(columns: chunk.columns, count: chunk.count)
        if !rows.isEmpty { output.emit(rows.withUnsafeBufferPointer { plain.rows($0.baseAddress!, count: $0.count, pool: pool) }) }
    }

    // MARK: the batch ends

    func end(into output: ChunkList) {
        for side in [0, 1] where watches(side) && !plan.isLookup { giveAlone(side, output) }
        consolidator?.end(into: output)
    }

    /// What rows give beside their pairs, where that is another amount than before the batch.
    private func giveAlone(_ number: Int, _ output: ChunkList) {
        let side = sides[number]
        var (entries, weights): ([Int32], [Int64]) = ([], [])
        for (entry, before) in side.touched {
            let change = contribution(weight: side.weights[Int(entry)], degree: side.degrees[Int(entry)]) - before
            if change != 0 {
                entries.append(entry)
                weights.append(change)
            }
        }
        if entries.isEmpty { return }
        if plan.givesAppend { side.rows.store.sort(&entries) }
        let columns = entries.withUnsafeBufferPointer { side.rows.store.gather($0.baseAddress!, count: $0.count, pool: pool) }
        let chunk = Chunk(columns: padded(columns, number), count: entries.count, weights: Weights.buffer(weights, pool))
        if plan.givesAppend { repeated(chunk, output) } else { give(chunk, output) }
    }

    // MARK: state

    func finish(into delta: inout StateDelta?) {
        var changed = StateDelta()
        let writes = delta != nil
        for (number, side) in sides.enumerated() {
            if let watermark { close(number, below: watermark) }
            side.endBatch { entry in
                if writes { write(number, entry, isGone: side.weights[entry] == 0, to: &changed) }
            }
        }
        if let removed { delta?.add(removed) }
        delta?.add(changed)
        removed = nil
    }

    private func close(_ number: Int, below watermark: Int64) {
        let side = sides[number]
        let key = side.rows.store.columns[side.plan.keys[plan.closing!.column]]
        for (time, entries) in closings[number].below(watermark) {
            for entry in entries.map(Int.init) where side.has(entry) && !key.isNull(entry) && key.words[entry] == time {
                if removed != nil { write(number, entry, isGone: true, to: &removed!) }
                side.remove(entry)
            }
        }
    }

    private func write(_ number: Int, _ entry: Int, isGone: Bool, to delta: inout StateDelta) {
        let side = sides[number]
        var (key, value) = (StateBytes(), StateBytes())
        key.append(byte: UInt8(number))
        side.rows.store.write(entry, asKey: false, to: &key)
        var list = Int32(entry)
        let vectors = side.plan.keys.map { side.rows.store.columns[$0].gather(&list, count: 1, pool: pool) }
        var hash: UInt64 = 0
        KeyOrder.hash(vectors, .all(1), into: &hash)
        if isGone { return delta.remove(KeyGroup.of(hash), key.array) }
        value.append(word: side.weights[entry])
        value.append(word: side.degrees[entry])
        delta.put(KeyGroup.of(hash), key.array, value.array)
    }

    func load(_ entries: [StateDelta.Entry]) throws(StateFault) {
        for entry in entries {
            guard let value = entry.value, let number = entry.key.first, number < 2 else { throw StateFault(what: "an entry of no side of a join") }
            let side = sides[Int(number)]
            let scratch = RowStore(side.plan.types)
            var list = Int32(scratch.take())
            try StateReader.read(entry.key) { (reader) throws(StateFault) in
                _ = try reader.byte()
                try scratch.read(Int(list), from: &reader)
            }
            let vectors = scratch.gather(&list, count: 1, pool: pool)
            let keyVectors = side.plan.keys.map { vectors[$0] }
            let (cells, keys) = (ChunkCells(vectors, count: 1), ChunkCells(keyVectors, count: 1))
            var (rowHash, keyHash): (UInt64, UInt64) = (0, 0)
            KeyOrder.hash(vectors, .all(1), into: &rowHash)
            KeyOrder.hash(keyVectors, .all(1), into: &keyHash)
            side.rows.assign(cells.views, nil, count: 1, hashes: &rowHash, into: &list)
            side.reserve()
            side.link(Int(list), hash: keyHash, keys.views, 0)
            if let closing = plan.closing, !keys.views[closing.column].isNull(0) { closings[Int(number)].add(list, keys.views[closing.column].word(0)) }
            try StateReader.read(value) { (reader) throws(StateFault) in
                side.weights[Int(list)] = try reader.word()
                side.degrees[Int(list)] = try reader.word()
            }
            withExtendedLifetime((cells, keys)) {}
        }
    }
}
