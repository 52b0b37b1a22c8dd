import Testing
import Values

/// Expressions over small chunks: what is reached, what fails, what is shared.
@Suite struct ProgramTests {
    private let build = ExpressionBuilder()
    private let pool = BufferPool()

    private func ints(_ values: Int64?...) -> Vector {
        .flat(values.map { $0.map { .word($0) } ?? .null }, .int4, pool: pool)
    }

    private func run(_ expression: BoundExpression, _ columns: Vector...) -> (values: [Datum], errors: [RowError]) {
        let count = columns.first?.count ?? 1
        let errors = RowErrors()
        var results: [Vector] = []
        Program([expression], pool: pool).run(columns, count: count, .all(count), into: &results, errors: errors)
        return ((0..<count).map { results[0].datum($0) }, errors.list)
    }

    private let a = BoundExpression.column(0, .int4)
    private let b = BoundExpression.column(1, .int4)

    private func number(_ value: Int) throws -> BoundExpression { try build.number("\(value)", at: 0) }

    @Test func `a sum is NULL where a side is NULL`() throws {
        let sum = try build.call("+", [a, b], at: 0)
        #expect(run(sum, ints(1, nil, 3), ints(10, 20, nil)).values == [.word(11), .null, .null])
    }
}
