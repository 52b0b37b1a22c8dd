// Bound expressions as steps over chunks.
//
// Made once per task out of bound expressions; run once per chunk. A step gives one vector, valid for the rows of the selection
// that it was asked for and undefined elsewhere. Dispatch is per step and chunk; all memory is the pool's, so the steady state
// allocates nothing.
//
//   constant      made once; never a column of equal values
//   call          arguments, then one kernel over the rows in which no argument is NULL (for strict functions)
//   AND, OR, CASE, COALESCE
//                 the left part over all rows, the next one over those that it did not decide (`Program+Branches.swift`)
//   shared        an expression that stands in several places at one position is computed once for a selection and what is
//                 narrowed from it
//
// What does not depend on a row is computed when the program is made, unless it fails: then it fails in each row that reaches it.
//
// Rows that fail are NULL from there on and are noted in `errors`, in the order in which they are reached. So under `null` the
// answer is ready, and under `quarantine` the first fault of each row counts. Expressions of one program are reached in their
// order, each over the whole selection: WHERE must have been run, and its failed rows removed, before SELECT is.
//
// Belongs to one thread. Nothing here survives a chunk, so nothing survives a crash. Checklist when changing it: no evaluation
// of what can fail for rows that PostgreSQL would not reach (`ProgramTests` count calls), and every buffer let go by the end of a run.

/// Runs bound expressions.
public final class Program {
    let pool: BufferPool
    let context: EvaluationContext
    private let roots: [Step]
    /// Those that stand in several places.
    private let shared: [Step]

    // Of one run.
    var columns: [Vector] = []
    var rowCount = 0
    var errors = RowErrors()
    /// Every vector and selection that a step gave: a view of one must not outlive it, and the run is short.
    private var heldVectors: [Vector] = []
    private var heldSelections: [Buffer] = []
    /// The selection that each one was narrowed from; 0 is the caller's.
    private var parents: [Int] = []

    /// - Parameters:
    ///   - expressions: in the order in which a row reaches them.
    ///   - pool: where results come from; one per task.
    public init(_ expressions: [BoundExpression], context: EvaluationContext = EvaluationContext(), pool: BufferPool) {
        self.pool = pool
        self.context = context
        var compiler = ProgramCompiler(context: context, pool: pool)
        roots = expressions.map { compiler.step($0) }
        shared = compiler.shared
    }

    /// For one step over constants: the compiler's own use.
    init(_ step: Step, context: EvaluationContext, pool: BufferPool) {
        self.pool = pool
        self.context = context
        roots = [step]
        shared = []
    }

    /// Computes every expression.
    ///
    /// - Parameters:
    ///   - columns: what `BoundExpression.column` numbers, aligned; `count` rows each.
    ///   - selection: the rows that are looked at; results are undefined elsewhere.
    ///   - results: one vector an expression, in place of what is there.
    ///   - errors: where failed rows are noted.
    public func run(
        _ columns: [Vector], count: Int, _ selection: Selection, into results: inout [Vector], errors: RowErrors
    ) {
        begin(columns, count, errors)
        results.removeAll(keepingCapacity: true)
        let rows = ActiveRows(selection: selection, number: 0, memory: nil)
        for root in roots { results.append(evaluate(root, rows)) }
        end()
    }

    /// The rows for which the first expression, a condition, is TRUE.
    public func filter(_ columns: [Vector], count: Int, _ selection: Selection, errors: RowErrors) -> KeptRows {
        begin(columns, count, errors)
        let kept = trueRows(roots[0], ActiveRows(selection: selection, number: 0, memory: nil))
        end()
        return KeptRows(selection: kept.selection, memory: kept.memory)
    }

    private func begin(_ columns: [Vector], _ count: Int, _ errors: RowErrors) {
        precondition(count <= Int32.max, "a chunk of \(count) rows")
        self.columns = columns
        self.errors = errors
        rowCount = count
        parents.removeAll(keepingCapacity: true)
        parents.append(-1)
    }

    private func end() {
        for step in shared { step.known = nil }
        heldVectors.removeAll(keepingCapacity: true)
        heldSelections.removeAll(keepingCapacity: true)
        columns.removeAll()
    }

    // MARK: selections

    /// Room for a part of `rows`; whoever fills it hands over with `narrowed`.
    func room(_ rows: ActiveRows) -> Buffer {
        let memory = pool.take(max(rows.selection.count, 1) * 4)
        heldSelections.append(memory)
        return memory
    }

    func narrowed(_ rows: ActiveRows, _ memory: Buffer, _ count: Int) -> ActiveRows {
        if count == rows.selection.count { return rows }
        parents.append(rows.number)
        let selection = Selection(rows: UnsafePointer(memory.base.assumingMemoryBound(to: Int32.self)), count: count)
        return ActiveRows(selection: selection, number: parents.count - 1, memory: memory)
    }

    /// The rows for which `keep` is true.
    @inline(__always)
    func narrow(_ rows: ActiveRows, _ keep: (Int) -> Bool) -> ActiveRows {
        let memory = room(rows)
        let kept = memory.base.assumingMemoryBound(to: Int32.self)
        var count = 0
        rows.selection.forEach { row in
            kept[count] = Int32(truncatingIfNeeded: row)
            count &+= keep(row) ? 1 : 0
        }
        return narrowed(rows, memory, count)
    }

    // MARK: steps

    func evaluate(_ step: Step, _ rows: ActiveRows) -> Vector {
        guard step.uses > 1 else { return hold(compute(step, rows)) }
        if let known = step.known {
            var number = rows.number
            while number >= 0 {
                if number == known.number { return known.vector }
                number = parents[number]
            }
        }
        let vector = hold(compute(step, rows))
        step.known = (rows.number, vector)
        return vector
    }

    func hold(_ vector: Vector) -> Vector {
        heldVectors.append(vector)
        return vector
    }

    private func compute(_ step: Step, _ rows: ActiveRows) -> Vector {
        switch step.operation {
        case .column(let number): return columns[number]
        case .constant(let vector): return vector
        case .call(let overload, let position): return call(step, overload, position, rows)
        case .and: return decide(step, rows, by: false)
        case .or: return decide(step, rows, by: true)
        case .not: return negate(evaluate(step.parts[0], rows), rows)
        case .test(let test): return tested(evaluate(step.parts[0], rows), test, rows)
        case .distinct: return distinct(step, rows)
        case .among(let members): return members.look(evaluate(step.parts[0], rows), rows.selection, count: rowCount, pool: pool)
        case .nullWhere: return nullWhere(step, rows)
        case .choose(let hasOtherwise): return choose(step, hasOtherwise, rows)
        case .coalesce: return coalesce(step, rows)
        case .extreme(let extreme): return self.extreme(step, extreme, rows)
        }
    }

    private func call(_ step: Step, _ overload: Overload, _ position: Int, _ rows: ActiveRows) -> Vector {
        for part in step.parts { step.arguments.append(evaluate(part, rows)) }
        defer { step.arguments.removeAll(keepingCapacity: true) }
        for (place, argument) in step.arguments.enumerated() { step.views[place] = argument.view }
        if overload.nulls == .strict && step.arguments.contains(where: { $0.form == .constant && $0.view.isNull(0) }) { return step.nothing }
        var output = VectorWriter(step.type, count: rowCount, pool: pool)
        var seen = rows
        if overload.nulls == .strict && step.arguments.contains(where: { $0.validity != nil }) {
            let (views, count) = (step.views, step.arguments.count)
            seen = narrow(rows) { row in
                for place in 0..<count where views[place].isNull(row) {
                    output.setNull(row)
                    return false
                }
                return true
            }
        }
        return step.arguments.withUnsafeBufferPointer { vectors in
            // A function without arguments never looks at them.
            let first = vectors.baseAddress ?? UnsafePointer(step.noVectors)
            var call = KernelCall(
                arguments: UnsafePointer(step.views), vectors: first, argumentCount: vectors.count, selection: seen.selection,
                context: context, pool: pool, position: position, output: output, errors: errors)
            overload.kernel(&call)
            return call.answer ?? call.output.finish()
        }
    }
}

/// Rows that a filter kept, with the memory that they lie in.
public struct KeptRows {
    public let selection: Selection
    let memory: Buffer?

    /// All were kept: the selection is the one that was given, in the memory of whoever gave it.
    package var isAsGiven: Bool { memory == nil }
}

/// A selection during a run: its number tells what it was narrowed from.
struct ActiveRows {
    let selection: Selection
    let number: Int
    let memory: Buffer?
}

/// One step of a program.
final class Step {
    enum Operation {
        case column(Int)
        case constant(Vector)
        case call(Overload, position: Int)
        case and, or, not
        case test(BoundExpression.Test)
        case distinct, nullWhere, coalesce
        case among(Members)
        case choose(hasOtherwise: Bool)
        case extreme(BoundExpression.Extreme)
    }

    let operation: Operation
    let type: SQLType
    let parts: [Step]
    /// Whether some row may fail in it or below.
    let canFail: Bool
    var isConstant: Bool { if case .constant = operation { true } else { false } }
    /// In how many places it stands.
    var uses = 1
    /// What it gave in this run, and for which selection.
    var known: (number: Int, vector: Vector)?
    /// The vector that is NULL in every row.
    let nothing: Vector
    /// Scratch of a call.
    var arguments: [Vector] = []
    let views: UnsafeMutablePointer<VectorView>
    let noVectors: UnsafeMutablePointer<Vector>

    init(_ operation: Operation, _ type: SQLType, parts: [Step], canFail: Bool, nothing: Vector) {
        self.operation = operation
        self.type = type
        self.parts = parts
        self.canFail = canFail
        self.nothing = nothing
        arguments.reserveCapacity(parts.count)
        views = .allocate(capacity: max(parts.count, 1))
        noVectors = .allocate(capacity: 1)
    }

    deinit {
        views.deallocate()
        noVectors.deallocate()
    }
}
