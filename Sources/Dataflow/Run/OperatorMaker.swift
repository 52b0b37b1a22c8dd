// From what a plan says of an operator to the operator of one part.

import Values

package enum OperatorMaker {
    /// - Parameters:
    ///   - part: of `parts`, by whose keys the operator works.
    ///   - savesState: whether somebody stores its state.
    ///   - pool: of the part.
    package static func make(
        _ node: PlanNode, columnsOf inputs: [[PlanColumn]], part: Int, parts: Int, savesState: Bool, context: EvaluationContext, pool: BufferPool
    ) -> any Operator {
        let ownsAll = KeyGroup.part(of: KeyGroup.ofNothing, parts: parts) == part
        switch node.operation {
        case .read, .union: return PassOperator()
        case .values(let rows, let policy):
            return ValuesOperator(ownsAll ? rows : [], types: node.columns.map(\.type), policy: policy, group: KeyGroup.ofNothing, context: context, pool: pool)
        case .map(let steps): return MapOperator(steps, context: context, pool: pool)
        case .aggregate(let plan, let policy): return AggregateOperator(plan, policy: policy, ownsGlobal: ownsAll, savesState: savesState, pool: pool)
        case .latest(let key): return LatestOperator(node.columns.map(\.type), key: key, pool: pool)
        case .join(let plan): return JoinOperator(plan, savesState: savesState, context: context, pool: pool)
        case .rank(let plan): return RankOperator(plan, pool: pool)
        case .window(let plan): return WindowOperator(plan, pool: pool)
        case .session(let plan): return SessionOperator(plan, pool: pool)
        case .hold(let closing): return HoldOperator(node.columns.map(\.type), closing, pool: pool)
        }
    }
}

/// Hands on what comes: rows of a table, or of several branches.
final class PassOperator: Operator {
    let counts = OperatorCounts()
    func begin(_ moment: BatchMoment) {}
    func take(_ chunk: Chunk, input: Int, into output: ChunkList) { output.emit(chunk) }
    func end(into output: ChunkList) {}
}
