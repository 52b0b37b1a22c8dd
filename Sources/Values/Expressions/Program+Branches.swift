// AND, OR, CASE, COALESCE and their like: each next part is evaluated only over the rows that the parts before left open.
//
// In a filter AND narrows the selection itself. A row whose left side is NULL reaches the right side too, as in PostgreSQL, and
// can fail there; where the right side cannot fail, such a row is dropped at once, because it cannot become TRUE any more.

extension Program {
    // MARK: filters

    func trueRows(_ step: Step, _ rows: ActiveRows) -> ActiveRows {
        if case .and = step.operation, !step.parts[1].canFail {
            return trueRows(step.parts[1], trueRows(step.parts[0], rows))
        }
        let view = evaluate(step, rows)
        let values = view.view
        if values.validity == nil { return narrow(rows) { values.bool($0) } }
        return narrow(rows) { !values.isNull($0) && values.bool($0) }
    }

    // MARK: three-valued logic

    /// AND (`deciding` false) and OR (`deciding` true): a side that is `deciding` decides.
    func decide(_ step: Step, _ rows: ActiveRows, by deciding: Bool) -> Vector {
        let leftVector = evaluate(step.parts[0], rows)
        let left = leftVector.view
        let open = narrow(rows) { left.isNull($0) || left.bool($0) != deciding }
        if open.selection.count == 0 { return leftVector }
        let rightVector = evaluate(step.parts[1], open)
        let right = rightVector.view
        if open.selection.count == rows.selection.count && left.validity == nil { return rightVector }
        var output = VectorWriter(.bool, count: rowCount, pool: pool)
        rows.selection.forEach { output.store($0, deciding) }
        open.selection.forEach { row in
            let rightIsNull = right.isNull(row)
            if !rightIsNull && right.bool(row) == deciding { return }
            if rightIsNull || left.isNull(row) { output.setNull(row) } else { output.store(row, !deciding) }
        }
        return output.finish()
    }

    func negate(_ vector: Vector, _ rows: ActiveRows) -> Vector {
        let view = vector.view
        var output = VectorWriter(.bool, count: rowCount, pool: pool)
        if view.validity == nil {
            rows.selection.forEach { output.store($0, !view.bool($0)) }
        } else {
            rows.selection.forEach { row in if view.isNull(row) { output.setNull(row) } else { output.store(row, !view.bool(row)) } }
        }
        return output.finish()
    }

    func tested(_ vector: Vector, _ test: BoundExpression.Test, _ rows: ActiveRows) -> Vector {
        let view = vector.view
        var output = VectorWriter(.bool, count: rowCount, pool: pool)
        func fill(_ body: (Int) -> Bool) { rows.selection.forEach { output.store($0, body($0)) } }
        switch test {
        case .null: fill { view.isNull($0) }
        case .notNull: fill { !view.isNull($0) }
        case .isTrue: fill { !view.isNull($0) && view.bool($0) }
        case .isNotTrue: fill { view.isNull($0) || !view.bool($0) }
        case .isFalse: fill { !view.isNull($0) && !view.bool($0) }
        case .isNotFalse: fill { view.isNull($0) || view.bool($0) }
        }
        return output.finish()
    }

    func distinct(_ step: Step, _ rows: ActiveRows) -> Vector {
        let (left, right) = (evaluate(step.parts[0], rows), evaluate(step.parts[1], rows))
        var loop = DistinctLoop(rows: rows.selection, output: VectorWriter(.bool, count: rowCount, pool: pool))
        KeyOrder.run(step.parts[0].type, left, right, &loop)
        return loop.output.finish()
    }

    // MARK: choices

    func nullWhere(_ step: Step, _ rows: ActiveRows) -> Vector {
        let conditionVector = evaluate(step.parts[0], rows)
        let condition = conditionVector.view
        let value = evaluate(step.parts[1], rows)
        var merge = Merge(step.type, self)
        merge.take(value, narrow(rows) { condition.isNull($0) || !condition.bool($0) }, all: rows)
        merge.takeNull(narrow(rows) { !condition.isNull($0) && condition.bool($0) })
        return merge.finish()
    }

    func choose(_ step: Step, _ hasOtherwise: Bool, _ rows: ActiveRows) -> Vector {
        var (open, merge) = (rows, Merge(step.type, self))
        for branch in 0..<(step.parts.count / 2) {
            if open.selection.count == 0 { break }
            let conditionVector = evaluate(step.parts[branch * 2], open)
            let condition = conditionVector.view
            let taken = narrow(open) { !condition.isNull($0) && condition.bool($0) }
            let rest = narrow(open) { condition.isNull($0) || !condition.bool($0) }
            if taken.selection.count > 0 { merge.take(evaluate(step.parts[branch * 2 + 1], taken), taken, all: rows) }
            open = rest
        }
        if open.selection.count > 0 {
            if hasOtherwise { merge.take(evaluate(step.parts[step.parts.count - 1], open), open, all: rows) } else { merge.takeNull(open) }
        }
        return merge.finish()
    }

    func coalesce(_ step: Step, _ rows: ActiveRows) -> Vector {
        var (open, merge) = (rows, Merge(step.type, self))
        for (index, part) in step.parts.enumerated() {
            if open.selection.count == 0 { break }
            let vector = evaluate(part, open)
            let view = vector.view
            if view.validity == nil || index == step.parts.count - 1 {
                merge.take(vector, open, all: rows)
                return merge.finish()
            }
            let known = narrow(open) { !view.isNull($0) }
            if known.selection.count > 0 { merge.take(vector, known, all: rows) }
            open = narrow(open) { view.isNull($0) }
        }
        return merge.finish()
    }

    func extreme(_ step: Step, _ extreme: BoundExpression.Extreme, _ rows: ActiveRows) -> Vector {
        var best = evaluate(step.parts[0], rows)
        for part in step.parts.dropFirst() {
            let other = evaluate(part, rows)
            var split = BetterRows(program: self, rows: rows, best: best.view, other: other.view, wanted: extreme == .greatest ? -1 : 1)
            let (better, rest) = KeyOrder.run(step.type, best, other, &split)
            if better.selection.count == 0 { continue }
            var merge = Merge(step.type, self)
            merge.take(other, better, all: rows)
            merge.take(best, rest, all: rows)
            best = hold(merge.finish())
        }
        return best
    }
}

private struct DistinctLoop: RowOrderLoop {
    let rows: Selection
    var output: VectorWriter

    mutating func run<Order: RowOrder>(_ order: Order) { rows.forEach { output.store($0, order.compare($0, $0) != 0) } }
}

/// The rows in which another value is better than the best one so far, and the others. NULL is never better.
private struct BetterRows: RowOrderLoop {
    let program: Program
    let rows: ActiveRows
    let best: VectorView
    let other: VectorView
    /// How the best one then stands to the other.
    let wanted: Int

    mutating func run<Order: RowOrder>(_ order: Order) -> (better: ActiveRows, rest: ActiveRows) {
        (program.narrow(rows) { isBetter($0, order) }, program.narrow(rows) { !isBetter($0, order) })
    }

    @inline(__always)
    private func isBetter<Order: RowOrder>(_ row: Int, _ order: Order) -> Bool {
        !other.isNull(row) && (best.isNull(row) || order.compare(row, row) == wanted)
    }
}

/// Rows of several vectors put into one; where one gives them all, it is the answer itself.
private struct Merge {
    private let type: SQLType
    private let program: Program
    private var whole: Vector?
    private var output: VectorWriter?
    /// Nested values are put together as boxed ones: they are rare, and their children would have to be joined.
    private var boxed: [Datum]?

    init(_ type: SQLType, _ program: Program) {
        self.type = type
        self.program = program
    }

    mutating func take(_ vector: Vector, _ rows: ActiveRows, all: ActiveRows) {
        if rows.selection.count == all.selection.count {
            whole = vector
            return
        }
        switch type {
        case .list, .row:
            if boxed == nil { boxed = Array(repeating: .null, count: program.rowCount) }
            rows.selection.forEach { boxed![$0] = vector.datum($0) }
        default:
            prepare()
            output!.copy(vector.view, rows.selection)
        }
    }

    mutating func takeNull(_ rows: ActiveRows) {
        if boxed != nil { return }
        prepare()
        rows.selection.forEach { output!.setNull($0) }
    }

    private mutating func prepare() {
        if output == nil { output = VectorWriter(type, count: program.rowCount, pool: program.pool) }
    }

    func finish() -> Vector {
        if let whole { return whole }
        if let boxed { return Vector.flat(boxed, type, pool: program.pool) }
        return output!.finish()
    }
}

extension VectorWriter {
    /// Copies the selected rows of a vector of the same type, NULLs included; not for lists and rows.
    mutating func copy(_ view: VectorView, _ selection: Selection) {
        func each(_ body: (Int) -> Void) {
            guard view.validity != nil else { return selection.forEach(body) }
            selection.forEach { row in if view.isNull(row) { setNull(row) } else { body(row) } }
        }
        switch type.layout {
        case .bool: each { store($0, view.bool($0)) }
        case .word: each { store($0, view.word($0)) }
        case .float: each { store($0, view.float($0)) }
        case .wide:
            if type == .numeric { each { store($0, view.numeric($0)) } } else { each { store($0, view.uuid($0)) } }
        case .bytes: each { storeBytes($0, view.bytes($0)) }
        case .list, .row: preconditionFailure("\(type.name) is merged as boxed values")
        }
    }
}
