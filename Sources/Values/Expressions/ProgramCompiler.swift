// From bound expressions to the steps of a program: equal ones are one step, constant ones are computed now.

struct ProgramCompiler {
    let context: EvaluationContext
    let pool: BufferPool
    var folds = true
    private var steps: [BoundExpression: Step] = [:]

    var shared: [Step] { steps.values.filter { $0.uses > 1 } }

    init(context: EvaluationContext, pool: BufferPool, folds: Bool = true) {
        self.context = context
        self.pool = pool
        self.folds = folds
    }

    /// The step of an expression; the same one for the same expression at the same place.
    mutating func step(_ expression: BoundExpression) -> Step {
        if let known = steps[expression] {
            known.uses += 1
            return known
        }
        let folded = folds ? fold(expression) : expression
        let step = make(folded)
        steps[expression] = step
        return step
    }

    private mutating func make(_ expression: BoundExpression) -> Step {
        let operation: Step.Operation
        switch expression {
        case .column(let number, _): operation = .column(number)
        case .constant(let value, let type): operation = .constant(Vector.constant(value, type, pool: pool))
        case .call(let overload, _, let position): operation = .call(overload, position: position)
        case .and: operation = .and
        case .or: operation = .or
        case .not: operation = .not
        case .test(_, let test): operation = .test(test)
        case .distinct: operation = .distinct
        case .nullWhere: operation = .nullWhere
        case .choose(_, let otherwise): operation = .choose(hasOtherwise: otherwise != nil)
        case .coalesce: operation = .coalesce
        case .extreme(let extreme, _): operation = .extreme(extreme)
        }
        let type = expression.type
        var parts: [Step] = []
        for part in expression.parts { parts.append(step(part)) }
        return Step(
            operation, type, parts: parts, canFail: expression.canFail, nothing: Vector.constant(.null, type, pool: pool))
    }

    /// The value of an expression without columns, as a constant; the expression itself where it fails or has some.
    private func fold(_ expression: BoundExpression) -> BoundExpression {
        if case .constant = expression { return expression }
        guard expression.isConstant else { return expression }
        let program = Program(unfolded: expression, context: context, pool: pool)
        let errors = RowErrors()
        var results: [Vector] = []
        program.run([], count: 1, .all(1), into: &results, errors: errors)
        return errors.list.isEmpty ? .constant(results[0].datum(0), expression.type) : expression
    }
}
