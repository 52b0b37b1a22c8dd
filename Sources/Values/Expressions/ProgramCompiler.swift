// From bound expressions to the steps of a program: equal ones are one step, constant ones are computed now.
//
// Bottom up: an expression is known by what it does and by the steps of its parts, so that it is looked at once, however deep it
// lies.

struct ProgramCompiler {
    let context: EvaluationContext
    let pool: BufferPool
    /// Constants stay as long as the program: they are not in the way of those who look for a free buffer.
    private let constants = BufferPool(keeps: false)
    private var nothings: [SQLType: Vector] = [:]
    private var steps: [Key: Step] = [:]

    private struct Key: Hashable {
        var shape: Shape
        var parts: [ObjectIdentifier]
    }

    /// An expression without its parts.
    private enum Shape: Hashable {
        case column(Int, SQLType)
        case constant(Datum, SQLType)
        case call(Overload, Int)
        case test(BoundExpression.Test)
        case choose(hasOtherwise: Bool)
        case extreme(BoundExpression.Extreme)
        case among([Datum])
        case and, or, not, distinct, nullWhere, coalesce
    }

    init(context: EvaluationContext, pool: BufferPool) {
        self.context = context
        self.pool = pool
    }

    var shared: [Step] { steps.values.filter { $0.uses > 1 } }

    /// The step of an expression; the same one for the same expression at the same place.
    mutating func step(_ expression: BoundExpression) -> Step {
        var parts: [Step] = []
        for part in expression.parts { parts.append(step(part)) }
        let key = Key(shape: Self.shape(expression), parts: parts.map { ObjectIdentifier($0) })
        if let known = steps[key] {
            known.uses += 1
            return known
        }
        let made = fold(make(expression, parts))
        steps[key] = made
        return made
    }

    private static func shape(_ expression: BoundExpression) -> Shape {
        switch expression {
        case .column(let number, let type): .column(number, type)
        case .constant(let value, let type): .constant(value, type)
        case .call(let overload, _, let position): .call(overload, position)
        case .and: .and
        case .or: .or
        case .not: .not
        case .test(_, let test): .test(test)
        case .distinct: .distinct
        case .among(_, let values): .among(values)
        case .nullWhere: .nullWhere
        case .choose(_, let otherwise): .choose(hasOtherwise: otherwise != nil)
        case .coalesce: .coalesce
        case .extreme(let extreme, _): .extreme(extreme)
        }
    }

    private mutating func nothing(_ type: SQLType) -> Vector {
        if let known = nothings[type] { return known }
        let made = Vector.constant(.null, type, pool: constants)
        nothings[type] = made
        return made
    }

    private mutating func make(_ expression: BoundExpression, _ parts: [Step]) -> Step {
        let operation: Step.Operation
        var canFail = parts.contains(where: \.canFail)
        switch expression {
        case .column(let number, _): operation = .column(number)
        case .constant(let value, let type): operation = .constant(Vector.constant(value, type, pool: constants))
        case .call(let overload, _, let position):
            operation = .call(overload, position: position)
            canFail = canFail || overload.canFail
        case .and: operation = .and
        case .or: operation = .or
        case .not: operation = .not
        case .test(_, let test): operation = .test(test)
        case .distinct: operation = .distinct
        case .among(let value, let values): operation = .among(Members(values, value.type, pool: constants))
        case .nullWhere: operation = .nullWhere
        case .choose(_, let otherwise): operation = .choose(hasOtherwise: otherwise != nil)
        case .coalesce: operation = .coalesce
        case .extreme(let extreme, _): operation = .extreme(extreme)
        }
        let type = expression.type
        return Step(operation, type, parts: parts, canFail: canFail, nothing: nothing(type))
    }

    /// A step whose parts are all constant, as a constant; itself where it is none, or fails: then it fails in each row that reaches it.
    private func fold(_ step: Step) -> Step {
        switch step.operation {
        case .column, .constant: return step
        default: break
        }
        guard step.parts.allSatisfy(\.isConstant) else { return step }
        let errors = RowErrors()
        var results: [Vector] = []
        Program(step, context: context, pool: pool).run([], count: 1, .all(1), into: &results, errors: errors)
        guard errors.list.isEmpty else { return step }
        let value = Vector.constant(results[0].datum(0), step.type, pool: constants)
        return Step(.constant(value), step.type, parts: [], canFail: false, nothing: step.nothing)
    }
}
