// What a chunk costs in allocations: none a row, and few a chunk, in the steady state. Every allocation of the thread counts, whoever makes it.

import CAllocations
import Testing
import Values

@Suite struct AllocationTests {
    private static let context = EvaluationContext()

    /// Allocations of one run over `count` rows after some before it; nil where a row fails, which may allocate.
    private static func count(_ expression: BoundExpression, _ values: [[Datum]], _ types: [SQLType], rows count: Int) -> Int64? {
        let pool = BufferPool()
        let columns = zip(values, types).map { values, type in Vector.flat((0..<count).map { values[$0 % values.count] }, type, pool: pool) }
        let program = Program([expression], context: context, pool: pool)
        let errors = RowErrors()
        var results: [Vector] = []
        for _ in 0..<3 { program.run(columns, count: count, .all(count), into: &results, errors: errors) }
        if !errors.list.isEmpty { return nil }
        allocations_begin()
        program.run(columns, count: count, .all(count), into: &results, errors: errors)
        return allocations_end()
    }

    @Test func `an allocation anywhere is counted`() {
        allocations_begin()
        let array = (0..<3).map { [Int](repeating: $0, count: 100) }
        let text = String(repeating: "x", count: 100)
        let count = allocations_end()
        #expect(count >= 5 && array.count == 3 && text.count == 100, "\(count)")
        allocations_begin()
        #expect(allocations_end() == 0)
    }

    /// Calls that allocate for each row, and why that is so.
    private static let allocating: [String: String] = [
        "real to text": "the shortest digits of a float come as Swift's text",
        "double precision to text": "the shortest digits of a float come as Swift's text",
        "text to date": "the parser of times makes fields of a text",
        "text to time without time zone": "the parser of times makes fields of a text",
        "text to timestamp without time zone": "the parser of times makes fields of a text",
        "text to timestamp with time zone": "the parser of times makes fields of a text",
        "text to interval": "the parser of times makes fields of a text",
        "text to jsonb": "members of an object are brought into order",
        "||(jsonb, jsonb)": "members of an object are brought into order",
        "timezone(text, timestamp without time zone)": "the zone is another one in each row here",
        "timezone(text, timestamp with time zone)": "the zone is another one in each row here",
        "date_trunc(text, timestamp with time zone, text)": "the zone is another one in each row here",
    ]

    @Test(arguments: FunctionTable.shared.all) func `no kernel allocates for a row`(_ overload: Overload) throws {
        let cases = FunctionCases(overload)
        let types = overload.arguments + (overload.takesMore ? [.text, .text] : [])
        let call = BoundExpression.call(overload, types.enumerated().map { .column($0, $1) }, at: 7)
        // Rows that do not fail, as columns.
        let rows = cases.rows.compactMap { row -> [Datum]? in
            guard !row.contains(nil) else { return nil }
            let values = zip(row, types).compactMap { try? TypeText.read($0 ?? "", as: $1, context: Self.context) }
            guard values.count == row.count else { return nil }
            return Self.count(call, values.map { [$0] }, types, rows: 1) == nil ? nil : values
        }
        try #require(!rows.isEmpty || types.isEmpty)
        let columns = types.indices.map { place in rows.map { $0[place] } }
        let few = try #require(Self.count(call, columns, types, rows: 128))
        let many = try #require(Self.count(call, columns, types, rows: 1024))
        if Self.allocating[overload.signature] == nil {
            #expect(many <= few, "\(overload.signature): \(few) allocations for 128 rows, \(many) for 1024")
        } else {
            #expect(many > few + 100, "\(overload.signature) allocates for no row any more: it is not to be listed")
        }
    }

    @Test func `a unit and a zone that are constants are looked up once for a chunk`() throws {
        let build = ExpressionBuilder(context: Self.context)
        let (moments, locals) = (BoundExpression.column(0, .timestamptz), BoundExpression.column(0, .timestamp))
        let (unit, zone) = (build.literal("microseconds"), build.literal("America/New_York"))
        let calls: [(BoundExpression, SQLType)] = [
            (try build.call("date_trunc", [unit, moments, zone], at: 0), .timestamptz), (try build.call("date_trunc", [unit, moments], at: 0), .timestamptz),
            (try build.call("extract", [unit, moments], at: 0), .timestamptz), (try build.call("date_part", [unit, locals], at: 0), .timestamp),
            (try build.call("timezone", [zone, moments], at: 0), .timestamptz), (try build.call("timezone", [zone, locals], at: 0), .timestamp),
        ]
        for (call, type) in calls {
            let values = [try TypeText.read("2026-03-01 12:00", as: type, context: Self.context)]
            let few = try #require(Self.count(call, [values], [type], rows: 128))
            let many = try #require(Self.count(call, [values], [type], rows: 1024))
            #expect(many <= few, "\(few) allocations for 128 rows, \(many) for 1024")
        }
    }

    @Test(arguments: SQLType.scalars) func `no cast allocates for a row`(_ source: SQLType) throws {
        let build = ExpressionBuilder(context: Self.context)
        for target in SQLType.scalars where target != source {
            guard let cast = try? build.cast(.column(0, source), to: target, at: 0) else { continue }
            let values = CastCases.texts(source, target).compactMap { try? TypeText.read($0, as: source, context: Self.context) }
                .filter { Self.count(cast, [[$0]], [source], rows: 1) != nil }
            guard !values.isEmpty else { continue }
            let few = try #require(Self.count(cast, [values], [source], rows: 128))
            let many = try #require(Self.count(cast, [values], [source], rows: 1024))
            let name = "\(source.name) to \(target.name)"
            if Self.allocating[name] == nil {
                #expect(many <= few, "\(name): \(few) allocations for 128 rows, \(many) for 1024")
            } else {
                #expect(many > few + 100, "\(name) allocates for no row any more: it is not to be listed")
            }
        }
    }

    @Test(arguments: SQLType.scalars) func `what compares rows allocates for none`(_ type: SQLType) throws {
        let build = ExpressionBuilder(context: Self.context)
        let (a, b) = (BoundExpression.column(0, type), BoundExpression.column(1, type))
        let values = try BoundaryValues.texts(type).map { try TypeText.read($0, as: type, context: Self.context) } + [.null]
        let others = Array(values.reversed())
        let expressions = [
            try build.distinct(a, b, at: 0), try build.extreme(.greatest, [a, b], at: 0), .among(a, values.filter { !$0.isNull }),
            try build.coalesce([a, b], at: 0), try build.choose([.init(condition: build.test(a, .null, at: 0), value: b)], otherwise: a, at: 0),
        ]
        for expression in expressions {
            let few = try #require(Self.count(expression, [values, others], [type, type], rows: 128))
            let many = try #require(Self.count(expression, [values, others], [type, type], rows: 1024))
            #expect(many <= few, "\(type.name) \(expression): \(few) allocations for 128 rows, \(many) for 1024")
        }
    }
}
