// GROUP BY, and DISTINCT, which is one without aggregates.
//
// Groups are keys of a table; accumulators lie in arrays over their numbers. When a batch first touches a group that was there before it,
// the answer that the group gave is put aside; at the end of the batch old and new answers of the touched groups are compared, and what
// differs leaves: the old row with -1, the new one with 1, in the order of keys. A group without rows is gone. The group of an
// aggregate without keys is there from the first batch on, and never gone.
//
//   changes   as above; over an edge on which rows only come, DISTINCT gives rows that only come
//   final     a group leaves once, when the watermark has passed its closing key, and is dropped
//
// Where a key is closed by the watermark, closed groups are dropped at the end of the batch, whatever the emission; a row whose group is
// closed when it comes is late: counted, and not added.

import SQLBinding
import Values

final class AggregateOperator: Operator {
    private(set) var counts = OperatorCounts()
    private let plan: AggregatePlan
    private let pool: BufferPool
    private let policy: FaultPolicy
    private let table: KeyTable
    private let state: AggregateState
    /// Groups whose row the next operator has.
    private var isShown = EntryArray<UInt8>(zero: 0)
    private var marks = EntryArray<UInt32>(zero: 0)
    private var batch: UInt32 = 0
    private var touched: [Int32] = []
    /// For each touched group its old answer among `olds`, or -1.
    private var oldRows: [Int32] = []
    private var olds: RowStore
    private let closings: ClosingGroups?
    private var watermark: Int64?
    /// Keys of groups that are gone in this batch, as they stand in state.
    private var removed: StateDelta?
    private let savesState: Bool
    /// The one group of an aggregate without keys belongs to one part.
    private let ownsGlobal: Bool
    private var stop: RowFault?

    private var hashes = Scratch<UInt64>()
    private var groups = Scratch<Int32>()
    private var rows = Scratch<Int32>()
    private var weights = Scratch<Int64>()
    private var list = Scratch<Int32>()

    init(_ plan: AggregatePlan, policy: FaultPolicy, ownsGlobal: Bool, savesState: Bool, pool: BufferPool) {
        self.ownsGlobal = ownsGlobal
        self.plan = plan
        self.policy = policy
        self.savesState = savesState
        self.pool = pool
        table = KeyTable(Array(plan.inputTypes.prefix(plan.keyCount)))
        state = AggregateState(plan, pool: pool)
        olds = RowStore(plan.calls.map(\.type))
        closings = plan.closing.map { _ in ClosingGroups() }
    }

    var stateBytes: Int { table.byteCount + state.byteCount + isShown.capacity + marks.capacity * 4 }

    func begin(_ moment: BatchMoment) {
        counts = OperatorCounts()
        batch &+= 1
        watermark = plan.closing?.watermark.value(at: moment)
        removed = savesState ? StateDelta() : nil
    }

    // MARK: rows come

    func take(_ chunk: Chunk, input: Int, into output: ChunkList) throws(RowStop) {
        let cells = ChunkCells(chunk.columns, count: chunk.count)
        let (selected, count) = accepted(chunk, cells)
        if count == 0 { return }
        let keys = Array(chunk.columns.prefix(plan.keyCount))
        let hashes = hashes.room(count)
        KeyOrder.hash(keys, Selection(rows: selected, count: count), into: hashes)
        let groups = groups.room(count)
        let before = table.store.bound
        table.assign(cells.views, selected, count: count, hashes: hashes, into: groups)
        let bound = table.store.bound
        if bound > before {
            state.reserve(bound)
            isShown.reserve(bound)
            marks.reserve(bound)
        }
        touch(groups, count)
        var weights = chunk.weightWords
        if let selected, let words = weights {
            let list = self.weights.room(count)
            for place in 0..<count { list[place] = words[Int(selected[place])] }
            weights = UnsafePointer(list)
        }
        state.add(AddedRows(rows: selected, groups: UnsafePointer(groups), weights: weights, count: count), chunk, cells, batch: batch)
        withExtendedLifetime(cells) {}
        try throwStop()
    }

    /// The rows that are not late; nil for all.
    private func accepted(_ chunk: Chunk, _ cells: ChunkCells) -> (rows: UnsafePointer<Int32>?, count: Int) {
        guard let closing = plan.closing, closing.judges, let watermark else { return (nil, chunk.count) }
        let (view, kept) = (cells.views[closing.column], rows.room(chunk.count))
        var count = 0
        for row in 0..<chunk.count {
            kept[count] = Int32(truncatingIfNeeded: row)
            count &+= view.isNull(row) || view.word(row) >= watermark ? 1 : 0
        }
        if count == chunk.count { return (nil, count) }
        counts.late += chunk.count - count
        return (UnsafePointer(kept), count)
    }

    private func touch(_ groups: UnsafePointer<Int32>, _ count: Int) {
        let first = touched.count
        let (marks, batch, fresh) = (marks.base, batch, list.room(count))
        var more = 0
        for place in 0..<count {
            let group = Int(groups[place])
            if marks[group] != batch {
                marks[group] = batch
                fresh[more] = groups[place]
                more += 1
            }
        }
        if more == 0 { return }
        touched.append(contentsOf: UnsafeBufferPointer(start: fresh, count: more))
        if let closings {
            let key = table.store.columns[plan.closing!.column]
            for group in touched[first...] where isNew(group) { closings.add(group, key.isNull(Int(group)) ? nil : key.words[Int(group)]) }
        }
        keepOld(from: first)
    }

    /// Not there before this batch.
    private func isNew(_ group: Int32) -> Bool { isShown[Int(group)] == 0 && state.rows[Int(group)] == 0 }

    /// The answers that touched groups gave before the batch.
    private func keepOld(from first: Int) {
        guard plan.emission == .changes, !plan.givesAppend else { return }
        let (isShown, shown) = (isShown.base, list.room(touched.count - first))
        var (count, next) = (0, Int32(truncatingIfNeeded: olds.bound))
        oldRows.reserveCapacity(touched.count)
        for group in touched[first...] {
            let isOld = isShown[Int(group)] != 0
            oldRows.append(isOld ? next : -1)
            next += isOld ? 1 : 0
            shown[count] = group
            count += isOld ? 1 : 0
        }
        if count == 0 { return }
        let cells = ChunkCells(state.results(shown, count: count) { _ in }, count: count)
        olds.insert(cells.views, count: count)
        withExtendedLifetime(cells) {}
    }

    // MARK: the batch ends

    func end(into output: ChunkList) throws(RowStop) {
        if plan.isGlobal && ownsGlobal && table.count == 0 { makeGlobalGroup() }
        switch plan.emission {
        case .changes: emitChanges(into: output)
        case .final: break
        }
        endSets()
        if plan.closing != nil { close(into: output) }
        try throwStop()
    }

    private func makeGlobalGroup() {
        var (hash, group) = (UInt64(0), Int32(0))
        KeyOrder.hash([], .all(1), into: &hash)
        let cells = ChunkCells([], count: 1)
        table.assign(cells.views, nil, count: 1, hashes: &hash, into: &group)
        state.reserve(1)
        isShown.reserve(1)
        marks.reserve(1)
        touched.append(group)
        marks[0] = batch
        oldRows.append(-1)
        withExtendedLifetime(cells) {}
    }

    private func emitChanges(into output: ChunkList) {
        // The places of touched groups, in the order of their keys.
        let order = table.store.order(touched)
        if plan.givesAppend {
            var fresh = order.map { touched[Int($0)] }.filter { isShown[Int($0)] == 0 && state.rows[Int($0)] > 0 }
            for group in fresh { isShown[Int(group)] = 1 }
            if !fresh.isEmpty { output.emit(Chunk(columns: keyVectors(&fresh, fresh.count), count: fresh.count)) }
            return
        }
        let count = order.count
        if count == 0 { return }
        let groups = list.room(count)
        for place in 0..<count { groups[place] = touched[Int(order[place])] }
        let results = state.results(groups, count: count) { fault in note(fault) }
        let cells = ChunkCells(results, count: count)
        var leaving = compared(groups, count, order, cells)
        if leaving.groups.isEmpty { return }
        let keys = keyVectors(&leaving.groups, leaving.groups.count)
        var columns: [Vector] = []
        for index in results.indices { columns.append(merged(cells.views[index], olds.columns[index], leaving)) }
        output.emit(Chunk(columns: keys + columns, count: leaving.groups.count, weights: Weights.buffer(leaving.weights, pool)))
        withExtendedLifetime(cells) {}
    }

    /// Rows that leave: the group, and its place in the old or in the new answers; the other one is -1.
    private struct Leaving {
        var groups: [Int32] = []
        var oldPlaces: [Int32] = []
        var newPlaces: [Int32] = []
        var weights: [Int64] = []

        init(capacity: Int) {
            groups.reserveCapacity(capacity)
            oldPlaces.reserveCapacity(capacity)
            newPlaces.reserveCapacity(capacity)
            weights.reserveCapacity(capacity)
        }

        mutating func add(_ group: Int32, old: Int32, new: Int32, weight: Int64) {
            groups.append(group)
            oldPlaces.append(old)
            newPlaces.append(new)
            weights.append(weight)
        }
    }

    /// What differs between the old and the new answers of some groups.
    private func compared(_ groups: UnsafePointer<Int32>, _ count: Int, _ order: [Int32], _ cells: ChunkCells) -> Leaving {
        var leaving = Leaving(capacity: count * 2)
        let (rows, shown) = (state.rows.base, isShown.base)
        for place in 0..<count {
            let group = Int(groups[place])
            let old = oldRows[Int(order[place])]
            let isThere = plan.isGlobal || rows[group] > 0
            if isThere && old >= 0 && olds.isIdentical(Int(old), cells.views, place) { continue }
            if old >= 0 { leaving.add(groups[place], old: old, new: -1, weight: -1) }
            if isThere { leaving.add(groups[place], old: -1, new: Int32(truncatingIfNeeded: place), weight: 1) }
            shown[group] = isThere ? 1 : 0
        }
        return leaving
    }

    /// Rows of the old answers where their place is not below zero, else of the new ones.
    private func merged(_ cells: CellView, _ old: StoredColumn, _ leaving: Leaving) -> Vector {
        // New answers go into the store of old ones, which is emptied behind the batch.
        let start = old.capacity
        var places = leaving.oldPlaces
        var next = start
        old.reserve(start + places.count)
        for row in places.indices where leaving.newPlaces[row] >= 0 {
            old.set(next, cells, Int(leaving.newPlaces[row]))
            places[row] = Int32(truncatingIfNeeded: next)
            next += 1
        }
        return old.gather(places, count: places.count, pool: pool)
    }

    private func keyVectors(_ groups: inout [Int32], _ count: Int) -> [Vector] {
        groups.withUnsafeBufferPointer { list in
            (0..<plan.keyCount).map { table.store.columns[$0].gather(list.baseAddress!, count: count, pool: pool, keyScale: plan.scales[$0]) }
        }
    }

    private func note(_ fault: RowFault) {
        counts.note(RowError(row: 0, position: 0, fault: fault), times: 1)
        if policy == .stop { stop = fault }
    }

    private func throwStop() throws(RowStop) {
        if let stop { throw RowStop(error: RowError(row: 0, position: 0, fault: stop)) }
    }

    // MARK: closing

    private func close(into output: ChunkList) {
        guard let watermark, let closings else { return }
        let key = table.store.columns[plan.closing!.column]
        var closed: [Int32] = []
        for (time, list) in closings.below(watermark) {
            // Numbers of groups that went are used again: only those that are still of this time are meant.
            for group in list where !key.isNull(Int(group)) && key.words[Int(group)] == time && isAlive(Int(group)) { closed.append(group) }
        }
        closed = Array(Set(closed))
        if closed.isEmpty { return }
        table.store.sort(&closed)
        if plan.emission == .final {
            var full = closed.filter { state.rows[Int($0)] > 0 }
            if !full.isEmpty {
                let keys = keyVectors(&full, full.count)
                let results = state.results(&full, count: full.count) { fault in note(fault) }
                output.emit(Chunk(columns: keys + results, count: full.count))
            }
        }
        for group in closed { drop(Int(group)) }
    }

    private func isAlive(_ group: Int) -> Bool { isShown[group] != 0 || state.rows[group] != 0 || marks[group] == batch }

    /// Ends a group; its number is free.
    private func drop(_ group: Int) {
        for (index, (_, set, _)) in state.sets.enumerated() { set.drop(group, tag: UInt8(index + 1), to: &removed) { self.key($0, &$1) } }
        if savesState {
            var sink = StateBytes()
            sink.append(byte: 0)
            let keyGroup = key(group, &sink)
            removed!.remove(keyGroup, sink.array)
        }
        state.clear(group)
        isShown[group] = 0
        marks[group] = 0
        table.remove(group)
    }

    // MARK: state

    /// Appends the key of a group; the key group that it belongs to.
    private func key(_ group: Int, _ sink: inout StateBytes) -> Int {
        table.store.write(group, asKey: true, to: &sink)
        var entry = [Int32(group)]
        let keys = table.store.gather(&entry, count: 1, pool: pool)
        var hash: UInt64 = 0
        KeyOrder.hash(keys, .all(1), into: &hash)
        return KeyGroup.of(hash)
    }

    private func endSets() {
        for (index, (_, set, _)) in state.sets.enumerated() { set.endBatch(tag: UInt8(index + 1), to: &removed) { self.key($0, &$1) } }
    }

    func finish(into delta: inout StateDelta?) {
        if delta != nil { save(into: &delta!) }
        forget()
    }

    private func save(into delta: inout StateDelta) {
        if let removed { delta.add(removed) }
        for group in table.store.order(touched).map({ touched[Int($0)] }) where marks[Int(group)] == batch {
            var (sink, value) = (StateBytes(), StateBytes())
            sink.append(byte: 0)
            let keyGroup = key(Int(group), &sink)
            if isAlone(Int(group)) {
                delta.remove(keyGroup, sink.array)
                continue
            }
            value.append(byte: isShown[Int(group)])
            table.store.write(Int(group), asKey: false, to: &value)
            state.write(Int(group), to: &value)
            delta.put(keyGroup, sink.array, value.array)
        }
    }

    private func isAlone(_ group: Int) -> Bool { !plan.isGlobal && isShown[group] == 0 && state.rows[group] == 0 }

    /// Groups without rows go, and what was kept for the batch.
    private func forget() {
        for group in touched where marks[Int(group)] == batch && isAlone(Int(group)) {
            state.clear(Int(group))
            marks[Int(group)] = 0
            table.remove(Int(group))
        }
        touched.removeAll(keepingCapacity: true)
        oldRows.removeAll(keepingCapacity: true)
        if olds.bound > 0 { olds = RowStore(plan.calls.map(\.type)) }
        removed = nil
    }

    func load(_ entries: [StateDelta.Entry]) throws(StateFault) {
        // The groups first, then the values that belong to them.
        for entry in entries where entry.key.first == 0 {
            guard let bytes = entry.value else { continue }
            try StateReader.read(bytes) { (reader) throws(StateFault) in
                let shown = try reader.byte()
                let group = try self.group(&reader)
                isShown[group] = shown
                try state.read(group, from: &reader)
                if let closings {
                    let key = table.store.columns[plan.closing!.column]
                    closings.add(Int32(group), key.isNull(group) ? nil : key.words[group])
                }
            }
        }
        for entry in entries {
            guard let tag = entry.key.first, tag > 0, let value = entry.value else { continue }
            guard Int(tag) <= state.sets.count else { throw StateFault(what: "an entry of value set \(tag)") }
            let group: Int = try StateReader.read(entry.key) { (reader) throws(StateFault) -> Int in
                _ = try reader.byte()
                return try self.group(&reader)
            }
            try StateReader.read(value) { (reader) throws(StateFault) in
                let weight = try reader.word()
                try state.sets[Int(tag) - 1].set.load(group, weight: weight, from: &reader)
            }
        }
    }

    /// The number of the group whose key is read.
    private func group(_ reader: inout StateReader) throws(StateFault) -> Int {
        let scratch = RowStore(Array(plan.inputTypes.prefix(plan.keyCount)))
        var entry: [Int32] = [Int32(scratch.take())]
        try scratch.read(Int(entry[0]), from: &reader)
        let keys = scratch.gather(&entry, count: 1, pool: pool)
        let cells = ChunkCells(keys, count: 1)
        var hash: UInt64 = 0
        KeyOrder.hash(keys, .all(1), into: &hash)
        table.assign(cells.views, nil, count: 1, hashes: &hash, into: &entry)
        withExtendedLifetime(cells) {}
        state.reserve(table.store.bound)
        isShown.reserve(table.store.bound)
        marks.reserve(table.store.bound)
        return Int(entry[0])
    }
}
