// The stage after the exchange: partial groups of a batch, merged, added to the state, and turned into sink rows.
//
//   blocks, in any order -> groups of this batch -> + state of the batch before = delta -> project -> output
//
// The state is read and not changed: `delta` holds the changed keys with their new totals, and becomes part of the state
// when the batch is DONE (protocol 5). Output and delta are sorted by key, and all merging is exact and order-free
// (`AccumulatorLayout`), so that a task that runs again, with blocks arriving otherwise, gives equal bytes.

/// What a part made of its blocks.
package struct MergeResult: Sendable {
    /// Rows for the sink; empty when there are none.
    package var output: [Chunk]
    /// The changed keys with their new accumulators, in `StageGraph.accumulatorSchema`.
    package var delta: Chunk
    package var rowsOut: Int
}

package final class MergePipeline {
    private let graph: StageGraph
    private let layout: AccumulatorLayout
    private let table: GroupTable
    private let scratch = Scratch(capacity: 64)

    package init(graph: StageGraph, context: TaskContext, keyGroups: Int) {
        guard let grouping = graph.grouping else { preconditionFailure("a job without groups has nothing to merge") }
        self.graph = graph
        layout = grouping.layout
        table = KeyedState.makeTable(graph, layout)
    }

    /// Takes one block.
    /// - Throws: `schemaMismatch` when it is a block of another plan.
    package func process(block: Chunk) throws {
        guard block.schema == graph.accumulatorSchema else {
            throw Failure(
                .schemaMismatch, "a block of job \(graph.job) has other columns than its plan",
                why: "it holds \(block.schema.names.joined(separator: ", ")); the plan has "
                    + graph.accumulatorSchema.names.joined(separator: ", "),
                now: "run driver and workers from the same build")
        }
        if block.selectedCount == 0 { return }
        Failpoint.trap(onGroups: block)
        try checkRoom(table.byteCount + block.byteCount, "the groups of one part in this batch")
        let keyCount = graph.keySchema.fields.count
        let keys = Array(block.columns[..<keyCount])
        scratch.reserve(block.selectedCount)
        try block.withSelectedRows { rows in
            guard let values = Accumulators(block.columns[keyCount...], rows, layout) else {
                throw ChunkCodec.broken("a total in it is no number")
            }
            RowHash.hash(keys, rows, into: scratch.hashes)
            table.assign(keys, rows, hashes: scratch.hashes, groups: scratch.groups)
            layout.merge(values, rows, into: table.accumulators, groups: scratch.groups)
        }
    }

    /// Adds what `state` holds of this batch's keys. Does not change `state`; the pipeline is used up.
    /// - Parameter mode: what of it goes to the sink: the changed keys, nothing, or every key of state and batch.
    package func finish(state: KeyedState, output mode: BatchPlan.OutputMode = .changes) throws -> MergeResult {
        var result = try changes(state: state)
        switch mode {
        case .changes: return result
        case .nothing: result.output = []
        case .complete:
            // A snapshot with the delta holds a changed key once, with its new total.
            let whole = state.snapshot(with: result.delta).compacted()
            let keyCount = graph.keySchema.fields.count
            let order = KeyOrder.sorted(Array(whole.columns[..<keyCount]), count: whole.rowCount)
            let sorted = order.withUnsafeBufferPointer { order in
                order.isEmpty ? whole : whole.gathered(SelectedRows(order.baseAddress!, count: order.count))
            }
            let rows = SelectedRows(count: sorted.rowCount)
            guard let values = Accumulators(sorted.columns[keyCount...], rows, layout) else {
                preconditionFailure("a state that was checked when it was read holds a total that is no number")
            }
            let output = project(
                Array(sorted.columns[..<keyCount]), layout.finish(values, count: sorted.rowCount), sorted.rowCount)
            result.output = output.selectedCount == 0 ? [] : [output]
        }
        result.rowsOut = result.output.reduce(0) { $0 + $1.selectedCount }
        return result
    }

    /// A part is read back as one snapshot: what is larger than that could never be read again.
    private func checkRoom(_ bytes: Int, _ what: String) throws {
        guard bytes > Limits.blockBytes else { return }
        throw Failure(
            .limitExceeded, "\(what) of job \(graph.job) are too many",
            why: "they take \(formatSize(Int64(bytes))), and a part holds \(formatSize(Int64(Limits.blockBytes)))",
            now: "give the job more slots, which are more parts; or group by shorter keys or shorter windows")
    }

    private func changes(state: KeyedState) throws -> MergeResult {
        try checkRoom(table.byteCount + state.byteCount, "the groups of one part, with its state,")
        let count = table.groupCount
        if count == 0 {
            return MergeResult(output: [], delta: Chunk(schema: graph.accumulatorSchema, capacity: 16), rowsOut: 0)
        }
        let order = KeyOrder.sorted(table.keys, count: count)
        let (keys, accumulators) = order.withUnsafeBufferPointer { order in
            let rows = SelectedRows(order.baseAddress!, count: count)
            return (table.keys.map { $0.gathered(rows) }, table.accumulators.gathered(rows))
        }
        state.merge(keys: keys, into: accumulators, count: count)
        accumulators.settle(layout)
        let delta = Chunk(
            schema: graph.accumulatorSchema, columns: keys + accumulators.columns(count: count), rowCount: count)
        let output = project(keys, layout.finish(accumulators, count: count), count)
        return MergeResult(
            output: output.selectedCount == 0 ? [] : [output], delta: delta, rowsOut: output.selectedCount)
    }

    private func project(_ keys: [Column], _ aggregates: [Column], _ count: Int) -> Chunk {
        let frame = Frame(slotCount: graph.projection.slotCount)
        frame.start(rowCount: count)
        for (slot, column) in (keys + aggregates).enumerated() { frame.set(slot, column) }
        let rows = SelectedRows(count: count)
        for step in graph.projection.steps { frame.set(step.slot, step.expression.evaluate(frame, rows)) }
        return Chunk(
            schema: graph.sink.schema, columns: graph.projection.outputSlots.map { frame.column($0) }, rowCount: count)
    }
}
