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
    private let outputWindows: Range<Int64>?

    /// - Parameter outputWindows: if given, only windows that lie wholly inside are written (a backfill's).
    package init(graph: StageGraph, context: TaskContext, keyGroups: Int, outputWindows: Range<Int64>? = nil) {
        guard let grouping = graph.grouping else { preconditionFailure("a job without groups has nothing to merge") }
        precondition(outputWindows == nil || graph.window != nil, "output windows need a windowed job")
        self.graph = graph
        layout = grouping.layout
        table = KeyedState.makeTable(graph, layout)
        self.outputWindows = outputWindows
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
        let keyCount = graph.keySchema.fields.count
        let keys = Array(block.columns[..<keyCount])
        let values = block.columns[keyCount...].map { Kernels.int($0) }
        scratch.reserve(block.selectedCount)
        block.withSelectedRows { rows in
            RowHash.hash(keys, rows, into: scratch.hashes)
            table.assign(keys, rows, hashes: scratch.hashes, groups: scratch.groups)
            layout.merge(values, rows, into: table.accumulators, groups: scratch.groups)
        }
    }

    /// Adds what `state` holds of this batch's keys. Neither changes `state`; the pipeline is used up.
    package func finish(state: KeyedState) throws -> MergeResult {
        let count = table.groupCount
        if count == 0 {
            return MergeResult(output: [], delta: Chunk(schema: graph.accumulatorSchema, capacity: 16), rowsOut: 0)
        }
        let order = KeyOrder.sorted(table.keys, count: count)
        let (keys, accumulators) = order.withUnsafeBufferPointer { order in
            let rows = SelectedRows(order.baseAddress!, count: count)
            return (
                table.keys.map { $0.gathered(rows) },
                table.accumulators.map { column in
                    let sorted = FixedColumn<Int64>(capacity: count)
                    sorted.append(rows, of: column)
                    return sorted
                }
            )
        }
        state.merge(keys: keys, into: accumulators, count: count)
        let delta = Chunk(
            schema: graph.accumulatorSchema, columns: keys + accumulators.map { .int64($0) }, rowCount: count)
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
        let output = Chunk(
            schema: graph.sink.schema, columns: graph.projection.outputSlots.map { frame.column($0) }, rowCount: count)
        guard let outputWindows, let window = graph.window else { return output }
        let starts = Kernels.int(keys[window.keyColumn]).values
        let inside = (0..<count).filter {
            starts[$0] >= outputWindows.lowerBound && starts[$0] + window.lengthMillis <= outputWindows.upperBound
        }.map { Int32($0) }
        if inside.count == count { return output }
        if inside.isEmpty { return Chunk(schema: graph.sink.schema, capacity: 16) }
        return inside.withUnsafeBufferPointer { output.gathered(SelectedRows($0.baseAddress!, count: $0.count)) }
    }
}
