// Joins with lookup tables, filled: whoever runs nodes asks for those among them whose tables have another content than before.
//
// A join that looks up keeps no row of the stream, so it may be made anew at any time. The rows of a table go through the nodes that stand
// still (filters and projections of it) once for each content.

import Dataflow
import Engine
import SQLBinding
import Values

final class LookupNodes {
    private let work: SQLWork
    private var known: [String: SQLLookup] = [:]

    init(_ work: SQLWork) { self.work = work }

    /// - Parameters:
    ///   - contents: of the batch.
    ///   - nodes: those that the caller runs.
    /// - Returns: joins that replace the ones before; none where nothing changed.
    func take(_ contents: [String: any LookupContent], among nodes: [Int], pool: BufferPool, at moment: BatchMoment) throws -> [Int: any Dataflow.Operator] {
        if work.cut.still.isEmpty { return [:] }
        let new = contents.compactMapValues { $0 as? SQLLookup }
        if new.count == known.count, new.allSatisfy({ known[$0.key] === $0.value }) { return [:] }
        var given: [Int: [Dataflow.Chunk]] = [:]
        func through(_ part: any Dataflow.Operator, _ chunks: [Dataflow.Chunk], input: Int) throws -> [Dataflow.Chunk] {
            let list = ChunkList()
            part.begin(moment)
            do {
                for chunk in chunks { try part.take(chunk, input: input, into: list) }
                try part.end(into: list)
            } catch {
                throw work.failure(error, what: "a row of a lookup table failed")
            }
            var none: StateDelta?
            part.finish(into: &none)
            return list.removeAll()
        }
        for number in work.cut.still {
            let node = work.plan.nodes[number]
            if case .read(let table, let columns) = node.operation {
                let source = work.plan.sources[table]
                guard let content = new[source.table.name] else { preconditionFailure("the lookup \(source.table.name) was not loaded") }
                given[number] = content.chunks.map { $0.picking(columns.map { source.columns.firstIndex(of: $0)! }) }
            } else {
                given[number] = try through(work.makeOperator(number, part: 0, parts: 1, pool: pool), given[node.inputs[0].node] ?? [], input: 0)
            }
        }
        var joins: [Int: any Dataflow.Operator] = [:]
        for number in nodes where work.plan.nodes[number].isLookupJoin {
            let join = work.makeOperator(number, part: 0, parts: 1, pool: pool)
            _ = try through(join, given[work.plan.nodes[number].inputs[1].node] ?? [], input: 1)
            joins[number] = join
        }
        // Only now: contents that could not be taken are no contents that are known.
        known = new
        return joins
    }
}
