import Testing
import Values

/// Expressions over small chunks: what is reached, what fails, what is shared, what is kept.
@Suite struct ProgramTests {
    private let build = ExpressionBuilder()
    private let pool = BufferPool()

    private func ints(_ values: Int64?...) -> Vector { .flat(values.map { $0.map { .word($0) } ?? .null }, .int4, pool: pool) }
    private func texts(_ values: String?...) -> Vector { .flat(values.map { $0.map { .text($0) } ?? .null }, .text, pool: pool) }

    private func run(_ expressions: [BoundExpression], _ columns: [Vector]) -> (values: [[Datum]], errors: [RowError]) {
        let count = columns.first?.count ?? 1
        let errors = RowErrors()
        var results: [Vector] = []
        Program(expressions, pool: pool).run(columns, count: count, .all(count), into: &results, errors: errors)
        return (results.map { result in (0..<count).map { result.datum($0) } }, errors.list)
    }

    private func run(_ expression: BoundExpression, _ columns: Vector...) -> (values: [Datum], errors: [RowError]) {
        let (values, errors) = run([expression], columns)
        return (values[0], errors)
    }

    private func kept(_ condition: BoundExpression, _ columns: Vector..., errors: RowErrors = RowErrors()) -> [Int] {
        let rows = Program([condition], pool: pool).filter(columns, count: columns[0].count, .all(columns[0].count), errors: errors)
        return withExtendedLifetime(rows) { (0..<rows.selection.count).map { rows.selection[$0] } }
    }

    private let a = BoundExpression.column(0, .int4)
    private let b = BoundExpression.column(1, .int4)
    private let s = BoundExpression.column(0, .text)

    private func number(_ value: Int) throws -> BoundExpression { try build.number("\(value)", at: 0) }
    private func quotient(at position: Int = 40) throws -> BoundExpression { try build.call("/", [number(10), a], at: position) }
    private func isPositive() throws -> BoundExpression { try build.call(">", [a, number(0)], at: 0) }

    @Test func `a sum is NULL where a side is NULL`() throws {
        let sum = try build.call("+", [a, b], at: 0)
        #expect(run(sum, ints(1, nil, 3), ints(10, 20, nil)).values == [.word(11), .null, .null])
    }

    @Test func `a failed row is NULL and is noted with the place of its call`() throws {
        let (values, errors) = run(try quotient(), ints(2, 0, 5))
        #expect(values == [.word(5), .null, .word(2)])
        #expect(errors == [RowError(row: 1, position: 40, fault: RowFault("22012", "division by zero"))])
    }

    @Test func `evaluation goes on around the smallest call that failed`() throws {
        let text = try build.coalesce([build.cast(quotient(), to: .text, at: 1), build.literal("none")], at: 2)
        let (values, errors) = run(text, ints(2, 0))
        #expect(values == [.text("5"), .text("none")] && errors.count == 1)
    }

    @Test func `the first fault of a row is the one that is reached first`() throws {
        let sum = try build.call("+", [quotient(at: 10), quotient(at: 20)], at: 15)
        let errors = RowErrors()
        var results: [Vector] = []
        let column = ints(0, 1)
        Program([sum], pool: pool).run([column], count: 2, .all(2), into: &results, errors: errors)
        #expect(errors.list.map(\.position) == [10, 20] && errors.firstOfEachRow.map(\.position) == [10])
    }

    @Test func `the right side of AND is reached where the left one is true or NULL`() throws {
        let condition = try build.and([isPositive(), build.call(">", [quotient(), number(1)], at: 0)], at: 0)
        // 0 is not positive: its division is never reached.
        #expect(run(condition, ints(0, 5, -5, nil)).values == [.bool(false), .bool(true), .bool(false), .null])
        #expect(run(condition, ints(0, 5, -5, nil)).errors.isEmpty)
        let reached = try build.and([build.call(">", [b, number(0)], at: 0), build.call(">", [quotient(), number(1)], at: 0)], at: 0)
        #expect(run(reached, ints(0, 0), ints(nil, -1)).errors.map(\.row) == [0])
    }

    @Test func `a filter notes what fails behind a NULL as PostgreSQL would`() throws {
        let condition = try build.and([build.call(">", [b, number(0)], at: 0), build.call(">", [quotient(), number(1)], at: 0)], at: 0)
        let errors = RowErrors()
        #expect(kept(condition, ints(0, 2, 2), ints(nil, 1, nil), errors: errors) == [1])
        #expect(errors.list.map(\.row) == [0])
    }

    @Test func `three-valued logic is SQL's`() throws {
        let (t, f, n) = (Datum.bool(true), Datum.bool(false), Datum.null)
        let left = Vector.flat([t, t, t, f, f, f, n, n, n], .bool, pool: pool)
        let right = Vector.flat([t, f, n, t, f, n, t, f, n], .bool, pool: pool)
        let (x, y) = (BoundExpression.column(0, .bool), BoundExpression.column(1, .bool))
        #expect(run(try build.and([x, y], at: 0), left, right).values == [t, f, n, f, f, f, n, f, n])
        #expect(run(try build.or([x, y], at: 0), left, right).values == [t, t, t, t, f, n, t, n, n])
        #expect(run(try build.not(y, at: 0), left, right).values == [f, t, n, f, t, n, f, t, n])
        #expect(run(try build.test(y, .isNotTrue, at: 0), left, right).values == [f, t, t, f, t, t, f, t, t])
        #expect(run(try build.test(y, .null, at: 0), left, right).values == [f, f, t, f, f, t, f, f, t])
        #expect(run(try build.distinct(x, y, at: 0), left, right).values == [f, t, t, t, f, t, t, t, f])
    }

    @Test func `CASE evaluates a branch only for the rows that take it`() throws {
        let safe = try build.choose(
            [.init(condition: build.call("=", [a, number(0)], at: 0), value: number(-1)), .init(condition: isPositive(), value: quotient())], otherwise: nil, at: 0)
        let (values, errors) = run(safe, ints(0, 5, -5, nil))
        #expect(values == [.word(-1), .word(2), .null, .null] && errors.isEmpty)
    }

    @Test func `CASE with a subject compares it with each value`() throws {
        let named = try build.choose(
            subject: a, [.init(condition: number(1), value: build.literal("one")), .init(condition: number(2), value: build.literal("two"))],
            otherwise: build.literal("many"), at: 0)
        #expect(run(named, ints(1, 2, 3, nil)).values == [.text("one"), .text("two"), .text("many"), .text("many")])
    }

    @Test func `COALESCE evaluates the next item only where all before are NULL`() throws {
        let filled = try build.coalesce([b, quotient()], at: 0)
        let (values, errors) = run(filled, ints(0, 0, 5), ints(7, nil, nil))
        #expect(values == [.word(7), .null, .word(2)] && errors.map(\.row) == [1])
    }

    @Test func `NULLIF computes its value once`() throws {
        let value = try build.nullIf(quotient(), number(5), at: 0)
        let (values, errors) = run(value, ints(2, 5, 0))
        #expect(values == [.null, .word(2), .null] && errors.count == 1)
    }

    @Test func `BETWEEN notes a failed value once`() throws {
        let inside = try build.between(quotient(), number(1), number(3), at: 0)
        let (values, errors) = run(inside, ints(5, 10, 1, 0))
        #expect(values == [.bool(true), .bool(true), .bool(false), .null] && errors.count == 1)
    }

    @Test func `IN is NULL where nothing is equal and something is NULL`() throws {
        let among = try build.among(a, [number(1), build.null, number(3)], at: 0)
        #expect(run(among, ints(1, 2, 3, nil)).values == [.bool(true), .null, .bool(true), .null])
    }

    @Test func `a long list of constants is one look for each row`() throws {
        let items = try (0..<20_000).map { try number($0 * 2) } + [build.null]
        #expect(run(try build.among(a, items, at: 0), ints(39_998, 3, nil, 0)).values == [.bool(true), .null, .null, .bool(true)])
        #expect(run(try build.among(a, Array(items.dropLast()), at: 0), ints(39_998, 3, nil)).values == [.bool(true), .bool(false), .null])
    }

    @Test func `a list is looked through by value, not by look`() throws {
        let n = BoundExpression.column(0, .numeric)
        let items = try ["1", "2.50", "3"].map { try build.number($0, at: 0) }
        let values = Vector.flat([.numeric(Numeric(units: 100, scale: 2)), .numeric(Numeric(units: 25, scale: 1)), .numeric(Numeric(units: 26, scale: 1))], .numeric, pool: pool)
        #expect(run(try build.among(n, items, at: 0), values).values == [.bool(true), .bool(true), .bool(false)])
    }

    @Test func `a list with columns is compared item by item, and no deeper than its logarithm`() throws {
        let items = try (0..<2_000).map { try number($0 * 2) } + [b]
        #expect(run(try build.among(a, items, at: 0), ints(3_998, 3, 5), ints(0, 0, 5)).values == [.bool(true), .bool(false), .bool(true)])
    }

    @Test func `GREATEST and LEAST pass over NULL`() throws {
        #expect(run(try build.extreme(.greatest, [a, b], at: 0), ints(1, nil, 3, nil), ints(2, 5, nil, nil)).values == [.word(2), .word(5), .word(3), .null])
        #expect(run(try build.extreme(.least, [a, b], at: 0), ints(1, nil, 3, nil), ints(2, 5, nil, nil)).values == [.word(1), .word(5), .word(3), .null])
    }

    @Test func `what does not depend on a row is computed once, and fails in each row that reaches it`() throws {
        let failing = try build.call("/", [number(1), number(0)], at: 9)
        let guarded = try build.choose([.init(condition: isPositive(), value: failing)], otherwise: number(4), at: 0)
        let (values, errors) = run(guarded, ints(0, 1, 2))
        #expect(values == [.word(4), .null, .null] && errors.map(\.row) == [1, 2])
        #expect(run(try build.call("+", [number(1), number(2)], at: 0)).values == [.word(3)])
    }

    @Test func `branches of text are put together`() throws {
        let shout = try build.choose(
            [.init(condition: build.call("=", [build.call("length", [s], at: 0), number(1)], at: 0), value: build.call("upper", [s], at: 0))],
            otherwise: build.call("||", [s, build.literal("!")], at: 0), at: 0)
        #expect(run(shout, texts("a", "bc", nil, "")).values == [.text("A"), .text("bc!"), .null, .text("!")])
    }

    @Test func `a filter keeps what is true, in order`() throws {
        #expect(kept(try isPositive(), ints(3, nil, -1, 4)) == [0, 3])
        #expect(kept(try build.and([isPositive(), build.call("<", [a, number(4)], at: 0)], at: 0), ints(3, nil, -1, 4)) == [0])
        #expect(kept(try isPositive(), ints(nil, -1)) == [])
    }

    @Test func `after the first chunks all buffers are used again`() throws {
        let program = Program(
            [
                try build.choose(
                    [.init(condition: isPositive(), value: build.call("||", [build.cast(a, to: .text, at: 0), build.literal("x")], at: 0))], otherwise: build.literal("-"), at: 0),
                try build.call("*", [a, quotient()], at: 0),
            ], pool: pool)
        let column = Vector.flat((0..<1024).map { $0 % 7 == 0 ? .null : .word(Int64($0)) }, .int4, pool: pool)
        let errors = RowErrors()
        var results: [Vector] = []
        for _ in 0..<3 { program.run([column], count: 1024, .all(1024), into: &results, errors: errors) }
        let before = pool.allocations
        for _ in 0..<50 { program.run([column], count: 1024, .all(1024), into: &results, errors: errors) }
        #expect(pool.allocations == before)
        #expect(results[0].datum(1) == .text("1x") && results[0].datum(7) == .text("-") && results[1].datum(2) == .word(10))
    }

    @Test func `a result stays whole while later chunks are computed`() throws {
        let program = Program([try build.cast(a, to: .text, at: 0)], pool: pool)
        let errors = RowErrors()
        var (first, second): ([Vector], [Vector]) = ([], [])
        program.run([ints(1, 2, 3)], count: 3, .all(3), into: &first, errors: errors)
        for _ in 0..<5 { program.run([ints(4, 5, 6)], count: 3, .all(3), into: &second, errors: errors) }
        #expect((0..<3).map { first[0].datum($0) } == [.text("1"), .text("2"), .text("3")])
    }

    @Test func `a text is cut without a copy`() throws {
        let program = Program([try build.call("left", [s, number(2)], at: 0)], pool: pool)
        var results: [Vector] = []
        let column = texts("abcdef", "x")
        program.run([column], count: 2, .all(2), into: &results, errors: RowErrors())
        #expect(results[0].datum(0) == .text("ab") && results[0].datum(1) == .text("x"))
        #expect(results[0].extra === column.extra)
    }

    /// apache/datafusion#8909: the branch was computed while the plan was simplified.
    @Test func `a constant branch that fails and is never taken does no harm`() throws {
        let failing = try build.call("/", [number(42), number(0)], at: 9)
        let value = try build.choose(subject: number(1), [.init(condition: number(2), value: failing)], otherwise: nil, at: 0)
        let (values, errors) = run(value)
        #expect(values == [.null] && errors.isEmpty)
    }

    private func moment(_ text: String, add: String? = nil, trunc: String? = nil) throws -> String? {
        let zoned = ExpressionBuilder(context: EvaluationContext(zone: try Zone.named("US/Pacific")))
        var value = try zoned.cast(zoned.literal(text), to: .timestamptz, at: 0)
        if let add { value = try zoned.call("+", [value, zoned.cast(zoned.literal(add), to: .interval, at: 0)], at: 0) }
        if let trunc { value = try zoned.call("date_trunc", [zoned.literal(trunc), value], at: 0) }
        return TypeText.text(run(try zoned.call("extract", [zoned.literal("epoch"), value], at: 0)).values[0], as: .numeric)
    }

    /// risingwavelabs/risingwave#12072 and #13201: both hours became the later one.
    @Test func `the hour that comes twice keeps its offset when it is cut or moved by minutes`() throws {
        #expect(try moment("2023-11-05 01:40:00-07", trunc: "hour") == "1699171200.000000")
        #expect(try moment("2023-11-05 01:40:00-08", trunc: "hour") == "1699174800.000000")
        #expect(try moment("2023-11-05 01:40:00-07", add: "5 minutes") == "1699173900.000000")
    }

    @Test func `a bin or a moment beyond all times is a row error`() throws {
        let stamps = Vector.flat([try TypeText.read("4713-11-24 00:00 BC", as: .timestamp, context: EvaluationContext())], .timestamp, pool: pool)
        let bin = try build.call(
            "date_bin",
            [build.cast(build.literal("100000000 days"), to: .interval, at: 0), .column(0, .timestamp), build.cast(build.literal("294246-01-01"), to: .timestamp, at: 0)], at: 0)
        #expect(run(bin, stamps).errors.map(\.fault.sqlState) == ["22008"])
        let spans = Vector.flat([.interval(Interval(micros: .max)), .interval(Interval(micros: .min))], .interval, pool: pool)
        let shifted = try build.call("timezone", [.column(0, .interval), build.cast(build.literal("2026-01-01"), to: .timestamp, at: 0)], at: 0)
        #expect(run(shifted, spans).errors.map(\.fault.sqlState) == ["22008", "22008"])
        let rounded = try build.cast(.column(0, .interval), to: .interval, modifier: .fraction(0), at: 0)
        #expect(run(rounded, spans).errors.map(\.fault.sqlState) == ["22008", "22008"])
    }
}
