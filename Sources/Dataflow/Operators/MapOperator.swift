// Filters and projections, one after the other over one chunk.
//
// Steps run over the rows that are left of those before; rows are copied together once, at the end, where some were lost. A row that
// fails is gone for the whole block under `quarantine`, has a NULL under `null`, stops the job under `stop`. A row that is taken back
// fails as it did when it came, so both vanish; it is not counted again.

import Values

final class MapOperator: Operator {
    private struct Step {
        let work: MapStep.Work
        let policy: FaultPolicy
        let program: Program
    }

    private(set) var counts = OperatorCounts()
    private let steps: [Step]
    private let pool: BufferPool
    private let errors = RowErrors()
    private var results: [Vector] = []

    init(_ steps: [MapStep], context: EvaluationContext, pool: BufferPool) {
        self.pool = pool
        self.steps = steps.map { step in
            let expressions: [BoundExpression] =
                switch step.work {
                case .filter(let condition): [condition]
                case .compute(let items), .extend(let items): items
                }
            return Step(work: step.work, policy: step.policy, program: Program(expressions, context: context, pool: pool))
        }
    }

    func begin(_ moment: BatchMoment) {
        counts = OperatorCounts()
        // Those of a row that stopped the batch before.
        errors.removeAll()
    }

    func end(into output: ChunkList) {}

    func take(_ chunk: Chunk, input: Int, into output: ChunkList) throws(RowStop) {
        var columns = chunk.columns
        var selection = Selection.all(chunk.count)
        // What the selection lies in.
        var kept: KeptRows?
        var memory: Buffer?
        for step in steps {
            if selection.count == 0 { break }
            switch step.work {
            case .filter:
                let rows = step.program.filter(columns, count: chunk.count, selection, errors: errors)
                // A filter that keeps all rows leaves them where the one before it has put them.
                if !rows.isAsGiven { kept = rows }
                selection = rows.selection
            case .compute:
                step.program.run(columns, count: chunk.count, selection, into: &results, errors: errors)
                columns = results
            case .extend:
                step.program.run(columns, count: chunk.count, selection, into: &results, errors: errors)
                columns += results
            }
            if !errors.list.isEmpty {
                memory = try settle(step.policy, chunk, &selection) ?? memory
                errors.removeAll()
            }
        }
        withExtendedLifetime((kept, memory)) {
            if let rows = selection.rows, selection.count < chunk.count {
                if selection.count > 0 {
                    output.emit(Chunk(columns: columns, count: chunk.count, weights: chunk.weights, origins: chunk.origins).rows(rows, count: selection.count, pool: pool))
                }
            } else {
                output.emit(Chunk(columns: columns, count: chunk.count, weights: chunk.weights, origins: chunk.origins))
            }
        }
        results.removeAll(keepingCapacity: true)
    }

    /// Counts what failed, and takes rows that did out of the selection.
    /// - Returns: what the new selection lies in; nil where it is the old one.
    private func settle(_ policy: FaultPolicy, _ chunk: Chunk, _ selection: inout Selection) throws(RowStop) -> Buffer? {
        guard policy != .null else {
            for error in errors.list where chunk.weight(error.row) > 0 { counts.note(error, times: Int(chunk.weight(error.row))) }
            return nil
        }
        let failed = errors.firstOfEachRow
        if policy == .stop, let error = failed.first(where: { chunk.weight($0.row) > 0 }) { throw RowStop(error: error) }
        for error in failed where chunk.weight(error.row) > 0 { counts.note(error, times: Int(chunk.weight(error.row)), origin: chunk.origin(error.row)) }
        let buffer = pool.take(max(selection.count, 1) * 4)
        let rows = buffer.base.assumingMemoryBound(to: Int32.self)
        var (count, next) = (0, 0)
        for position in 0..<selection.count {
            let row = selection[position]
            while next < failed.count && failed[next].row < row { next += 1 }
            if next < failed.count && failed[next].row == row { continue }
            rows[count] = Int32(truncatingIfNeeded: row)
            count += 1
        }
        selection = Selection(rows: UnsafePointer(rows), count: count)
        return buffer
    }
}

/// Rows of constants, in the first batch.
final class ValuesOperator: Operator {
    private(set) var counts = OperatorCounts()
    private let columns: Int
    private let rows: Int
    private let program: Program
    private let types: [SQLType]
    private let pool: BufferPool
    private let policy: FaultPolicy
    private let group: Int
    private var isGiven = false
    private var isNew = false

    init(_ rows: [[BoundExpression]], types: [SQLType], policy: FaultPolicy, group: Int, context: EvaluationContext, pool: BufferPool) {
        self.group = group
        columns = types.count
        self.types = types
        self.rows = rows.count
        self.pool = pool
        self.policy = policy
        program = Program(rows.flatMap(\.self), context: context, pool: pool)
    }

    func begin(_ moment: BatchMoment) { counts = OperatorCounts() }
    func take(_ chunk: Chunk, input: Int, into output: ChunkList) {}

    func end(into output: ChunkList) throws(RowStop) {
        if isGiven || rows == 0 { return }
        (isGiven, isNew) = (true, true)
        let errors = RowErrors()
        var results: [Vector] = []
        program.run([], count: 1, .all(1), into: &results, errors: errors)
        if policy == .stop, let error = errors.list.first { throw RowStop(error: error) }
        for error in errors.list { counts.note(error, times: 1) }
        // A constant that fails fails the whole row set under quarantine, as PostgreSQL would the statement.
        if policy == .quarantine && !errors.list.isEmpty { return }
        var vectors: [Vector] = []
        for column in 0..<columns { vectors.append(Vector.flat((0..<rows).map { results[$0 * columns + column].datum(0) }, types[column], pool: pool)) }
        output.emit(Chunk(columns: vectors, count: rows))
    }

    func finish(into delta: inout StateDelta?) {
        if isNew { delta?.put(group, [0], [1]) }
        isNew = false
    }

    func load(_ entries: [StateDelta.Entry]) { isGiven = !entries.isEmpty }
}
