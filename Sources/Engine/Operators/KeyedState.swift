// The state of a range of key groups in memory: for each key the accumulators over all batches so far.
//
// A value of version N is what batch N left. It changes only by `apply`, with a delta whose batch is DONE, and by
// `evict`; computing a batch reads it and makes a delta beside it. Which version it holds, and whether that is the right
// one, is the worker's business. Not thread-safe: one task at a time.
//
// A delta holds whole accumulators, not differences: applying it twice changes nothing.

package final class KeyedState {
    private let graph: StageGraph
    private let keyGroups: Int
    private let layout: AccumulatorLayout
    private var table: GroupTable
    private let scratch = Scratch(capacity: 64)
    /// No window in the table starts before this; `Int64.max` while there is none.
    private var oldestWindowMillis = Int64.max

    package init(graph: StageGraph, keyGroups: Int) {
        guard let grouping = graph.grouping else { preconditionFailure("a job without groups has no state") }
        self.graph = graph
        self.keyGroups = keyGroups
        layout = grouping.layout
        table = KeyedState.makeTable(graph, layout)
    }

    package var groupCount: Int { table.groupCount }
    package var byteCount: Int { table.byteCount }

    /// Replaces the accumulators of the delta's keys; rows of key groups outside `groups` are passed over.
    package func apply(delta: Chunk, groups: Range<Int>) {
        let keyGroups = keyGroups
        apply(delta) { groups.contains(KeyGroups.group($0, of: keyGroups)) }
    }

    /// The same with a file of a manifest, of which only the rows are read that its entries name it for.
    /// - Parameter fileKeyGroups: what the numbers of the entries count in.
    package func apply(file: Chunk, named entries: [Range<Int>], of fileKeyGroups: Int, groups: Range<Int>) {
        let keyGroups = keyGroups
        apply(file) { hash in
            let named = KeyGroups.group(hash, of: fileKeyGroups)
            return entries.contains { $0.contains(named) } && groups.contains(KeyGroups.group(hash, of: keyGroups))
        }
    }

    @inline(__always)
    private func apply(_ delta: Chunk, where isTaken: (UInt64) -> Bool) {
        let rowCount = delta.selectedCount
        if rowCount == 0 { return }
        let keys = Array(delta.columns[..<graph.keySchema.fields.count])
        scratch.reserve(rowCount)
        delta.withSelectedRows { selected in
            // All hashes first, then only those of our key groups, moved to the front with their rows.
            RowHash.hash(keys, selected, into: scratch.hashes)
            let (hashes, rows) = (scratch.hashes, scratch.rows)
            var count = 0
            selected.forEach { position, row in
                if isTaken(hashes[position]) {
                    hashes[count] = hashes[position]
                    rows[count] = Int32(truncatingIfNeeded: row)
                    count += 1
                }
            }
            let ours = SelectedRows(rows, count: count)
            table.assign(keys, ours, hashes: hashes, groups: scratch.groups)
            let numbers = scratch.groups
            guard let values = Accumulators(delta.columns[keys.count...], ours, layout) else {
                preconditionFailure("a delta that was checked when it was read holds a total that is no number")
            }
            for (column, value) in zip(table.accumulators.numbers, values.numbers) {
                let (to, from) = (column.values, value.values)
                ours.forEach { position, row in to[Int(numbers[position])] = from[row] }
            }
            for (rest, value) in zip(table.accumulators.rests, values.rests) where !(rest.isEmpty && value.isEmpty) {
                ours.forEach { position, row in rest[Int(numbers[position])] = value[row] }
            }
            if let window = graph.window {
                let starts = Kernels.int(keys[window.keyColumn]).values
                ours.forEach { _, row in oldestWindowMillis = Swift.min(oldestWindowMillis, starts[row]) }
            }
        }
    }

    /// Drops the windows that the watermark has closed.
    package func evict(watermarkMillis: Int64) {
        guard let window = graph.window else { return }
        let open = Kernels.windowStart(watermarkMillis, window.lengthMillis)
        guard oldestWindowMillis < open else { return }
        let starts = Kernels.int(table.keys[window.keyColumn]).values
        let stay = (0..<table.groupCount).filter { starts[$0] >= open }.map { Int32($0) }
        let old = table
        table = KeyedState.makeTable(graph, layout)
        oldestWindowMillis = .max
        if stay.isEmpty { return }
        let kept = stay.withUnsafeBufferPointer {
            chunk(of: old).gathered(SelectedRows($0.baseAddress!, count: $0.count))
        }
        apply(delta: kept, groups: 0..<keyGroups)
    }

    /// A copy of all groups.
    package func snapshot() -> Chunk { chunk(of: table).compacted() }

    /// A copy of all groups as they will be when `delta` is applied.
    package func snapshot(with delta: Chunk) -> Chunk {
        let next = KeyedState(graph: graph, keyGroups: keyGroups)
        next.apply(delta: chunk(of: table), groups: 0..<keyGroups)
        next.apply(delta: delta, groups: 0..<keyGroups)
        return next.chunk(of: next.table)
    }

    /// Merges what is stored for the keys of `rows` into the accumulators `into`, row by row.
    func merge(keys: [Column], into accumulators: Accumulators, count: Int) {
        if count == 0 || table.groupCount == 0 { return }
        scratch.reserve(count)
        let rows = SelectedRows(count: count)
        RowHash.hash(keys, rows, into: scratch.hashes)
        table.find(keys, rows, hashes: scratch.hashes, groups: scratch.groups)
        // The stored groups flow into the rows: each found group is a row of the table, each position a group of ours.
        var found: [Int32] = []
        var targets: [Int32] = []
        for position in 0..<count where scratch.groups[position] >= 0 {
            found.append(scratch.groups[position])
            targets.append(Int32(truncatingIfNeeded: position))
        }
        found.withUnsafeBufferPointer { found in
            targets.withUnsafeBufferPointer { targets in
                guard let base = found.baseAddress, let groups = targets.baseAddress else { return }
                layout.merge(
                    table.accumulators, SelectedRows(base, count: found.count), into: accumulators, groups: groups)
            }
        }
    }

    private func chunk(of table: GroupTable) -> Chunk {
        Chunk(
            schema: graph.accumulatorSchema, columns: table.keys + table.accumulators.columns(count: table.groupCount),
            rowCount: table.groupCount)
    }

    static func makeTable(_ graph: StageGraph, _ layout: AccumulatorLayout) -> GroupTable {
        GroupTable(keyTypes: graph.keySchema.fields.map(\.type), layout: layout)
    }
}
