// A job in this process, batch by batch: for tests, `query`, and whatever wants an answer without a cluster.
//
// The plan's nodes run one after the other over whole batches, each in as many parts as asked for, with real exchanges between them: a key
// belongs to one of 128 groups, a group to a part. Nothing is decided here: operators are those that workers run. A lookup's rows come
// before the rows that see them, so inputs of a node are fed from the last to the first.
//
// What a batch changed in the state of operators can be asked for, and a run can begin with state that another one left, at any number
// of parts.

import SQLBinding
import Values

/// What a batch brings.
package struct BatchRows {
    /// Of each table, with the columns that the plan's source names; weights only where the table's rows change.
    package var rows: [String: [Chunk]]
    package var watermarks: [String: Int64]
    package var time: Int64

    package init(rows: [String: [Chunk]], watermarks: [String: Int64] = [:], time: Int64 = 0) {
        self.rows = rows
        self.watermarks = watermarks
        self.time = time
    }
}

package final class LocalRun {
    package let plan: Plan
    private let parts: Int
    private let chunkRows: Int
    private let savesState: Bool
    private let context: EvaluationContext
    private var operators: [[any Operator]] = []
    private let pools: [BufferPool]
    private let consolidators: [Consolidator]
    private var routers: [Exchange: ExchangeRouter] = [:]
    private var number = 0
    package private(set) var state = StoredState()

    /// - Parameters:
    ///   - chunkRows: no chunk between two nodes is longer.
    ///   - state: what another run left; nil begins anew, and stores nothing.
    package init(
        _ plan: Plan, parts: Int = 1, chunkRows: Int = 4096, state: StoredState? = nil, batches: Int = 0, context: EvaluationContext = EvaluationContext()
    ) throws(StateFault) {
        self.plan = plan
        self.parts = parts
        self.chunkRows = chunkRows
        savesState = state != nil
        self.context = context
        number = batches
        pools = (0..<parts).map { _ in BufferPool() }
        let outputPool = BufferPool()
        consolidators = plan.outputs.map { Consolidator($0.columns.map(\.type), pool: outputPool) }
        for node in plan.nodes {
            let inputs = node.inputs.map { plan.nodes[$0.node].columns }
            var made: [any Operator] = []
            for part in 0..<parts {
                made.append(
                    OperatorMaker.make(node, columnsOf: inputs, part: part, parts: parts, savesState: savesState, context: context, pool: pools[part]))
            }
            operators.append(made)
        }
        if let state {
            self.state = state
            for part in 0..<parts {
                var merge = try state.merge(KeyGroup.groups(of: part, parts: parts))
                for (index, node) in plan.nodes.enumerated() {
                    let entries = merge.entries(of: node.id)
                    if !entries.isEmpty { try operators[index][part].load(entries) }
                }
            }
        }
    }

    /// Bytes of all operators' state in memory.
    package var stateBytes: Int { operators.flatMap(\.self).reduce(0) { $0 + $1.stateBytes } }

    /// What the operators of each node met in the last batch.
    package var counts: [OperatorCounts] {
        operators.map { parts in parts.reduce(into: OperatorCounts()) { $0.add($1.counts) } }
    }

    /// Runs a batch.
    /// - Returns: of each output the rows that came, or its changes, consolidated; the order of chunks and parts says nothing.
    package func run(_ batch: BatchRows) throws(RowStop) -> [[Chunk]] {
        number += 1
        let moment = BatchMoment(number: number, watermarks: batch.watermarks, time: batch.time, context: context)
        // What each node gave, by part.
        var given: [[[Chunk]]] = []
        for (index, node) in plan.nodes.enumerated() {
            var outputs: [[Chunk]] = []
            let inputs = feeds(node, batch, given)
            for part in 0..<parts {
                let worker = operators[index][part]
                let list = ChunkList()
                worker.begin(moment)
                for input in inputs.indices.reversed() {
                    for chunk in inputs[input][part] { try worker.take(chunk, input: input, into: list) }
                }
                try worker.end(into: list)
                outputs.append(list.removeAll())
            }
            given.append(outputs)
        }
        for part in 0..<parts {
            var changes: [(id: OperatorID, delta: StateDelta)] = []
            for (index, node) in plan.nodes.enumerated() {
                var delta: StateDelta? = savesState ? StateDelta() : nil
                operators[index][part].finish(into: &delta)
                if let delta { changes.append((node.id, delta)) }
            }
            state.apply(changes)
        }
        return plan.outputs.enumerated().map { index, output in
            let chunks = given[output.node].flatMap(\.self)
            if plan.nodes[output.node].kind == .append || plan.nodes[output.node].operation.consolidates { return chunks }
            let consolidator = consolidators[index]
            for chunk in chunks { consolidator.add(chunk) }
            let list = ChunkList()
            consolidator.end(into: list)
            return list.removeAll()
        }
    }

    /// The chunks of each input of a node, by part.
    private func feeds(_ node: PlanNode, _ batch: BatchRows, _ given: [[[Chunk]]]) -> [[[Chunk]]] {
        if case .read(let table, let columns) = node.operation {
            let source = plan.sources[table]
            let places = columns.map { source.columns.firstIndex(of: $0)! }
            // Splits of a source go to parts by turns.
            var feed: [[Chunk]] = Array(repeating: [], count: parts)
            let isOrdered = node.kind == .changes
            for (turn, chunk) in (batch.rows[source.table.name] ?? []).enumerated() { feed[isOrdered ? 0 : turn % parts] += cut(chunk.picking(places)) }
            return [feed]
        }
        return node.inputs.map { input in exchanged(given[input.node], input.exchange) }
    }

    private func exchanged(_ chunks: [[Chunk]], _ exchange: Exchange) -> [[Chunk]] {
        if exchange == .none || parts == 1 { return chunks.map { $0.flatMap(cut) } }
        if routers[exchange] == nil { routers[exchange] = ExchangeRouter(exchange, parts: parts) }
        var routed: [[Chunk]] = Array(repeating: [], count: parts)
        for chunk in chunks.flatMap(\.self) {
            routers[exchange]!.route(chunk) { part, rows, count in
                routed[part] += cut(rows.map { chunk.rows($0, count: count, pool: pools[part]) } ?? chunk)
            }
        }
        return routed
    }

    private func cut(_ chunk: Chunk) -> [Chunk] {
        if chunk.count <= chunkRows { return chunk.count == 0 ? [] : [chunk] }
        return stride(from: 0, to: chunk.count, by: chunkRows).map { start in
            let rows = (start..<min(start + chunkRows, chunk.count)).map { Int32($0) }
            return rows.withUnsafeBufferPointer { chunk.rows($0.baseAddress!, count: $0.count, pool: pools[0]) }
        }
    }
}
