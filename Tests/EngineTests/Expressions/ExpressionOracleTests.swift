// Filters, lookups and computed columns against the slow, obvious version: one boxed value at a time.
//
// Expressions are made at random from columns with the values at which kernels go wrong, bound into a job without groups
// and run through the source stage; what comes out must be what the evaluator below says of each row.

import Engine
import TestSupport
import Testing

private let fields = [
    Field("i", .int64, nullable: true), Field("j", .int64), Field("x", .float64, nullable: true), Field("y", .float64),
    Field("t", .text, nullable: true), Field("u", .text), Field("b", .bool, nullable: true), Field("at", .timestamp),
]

/// Makes expressions of a wanted type.
private struct ExpressionMaker {
    var random: SeededRandom

    mutating func make(_ type: ValueType, _ depth: Int) -> Expression {
        let columns = fields.filter { $0.type == type }.map { col($0.name) }
        if depth == 0 { return random.chance(0.7) ? random.pick(columns) : literal(type) ?? random.pick(columns) }
        switch type {
        case .bool:
            switch random.below(7) {
            case 0: return .and(make(.bool, depth - 1), make(.bool, depth - 1))
            case 1: return .or(make(.bool, depth - 1), make(.bool, depth - 1))
            case 2: return .not(make(.bool, depth - 1))
            case 3: return .isNull(make(random.pick([.int64, .float64, .text, .bool, .timestamp]), depth - 1))
            case 4: return .compare(random.pick([.equal, .notEqual]), make(.bool, depth - 1), make(.bool, depth - 1))
            default:
                let (left, right) = random.pick([
                    (ValueType.int64, ValueType.int64), (.int64, .float64), (.float64, .int64), (.float64, .float64),
                    (.text, .text), (.timestamp, .timestamp),
                ])
                return .compare(random.pick(Comparison.allCases), make(left, depth - 1), make(right, depth - 1))
            }
        case .int64:
            switch random.below(5) {
            case 0: return .cast(make(.float64, depth - 1), .int64)
            case 1: return .cast(make(.bool, depth - 1), .int64)
            case 2: return .nullIf(make(.int64, depth - 1), make(.int64, depth - 1))
            case 3: return .arithmetic(.subtract, make(.timestamp, depth - 1), make(.timestamp, depth - 1))
            default: return .arithmetic(random.pick(Arithmetic.allCases), make(.int64, depth - 1), make(.int64, depth - 1))
            }
        case .float64:
            let (left, right) = random.pick([(ValueType.float64, ValueType.float64), (.float64, .int64), (.int64, .float64)])
            if random.chance(0.2) { return .cast(make(.int64, depth - 1), .float64) }
            return .arithmetic(random.pick(Arithmetic.allCases), make(left, depth - 1), make(right, depth - 1))
        case .text: return .nullIf(make(.text, depth - 1), make(.text, depth - 1))
        case .timestamp:
            if random.chance(0.5) { return .tumble(make(.timestamp, depth - 1), lengthMillis: random.pick([1, 7, 10_000])) }
            return .arithmetic(random.pick([.add, .subtract]), make(.timestamp, depth - 1), make(.int64, depth - 1))
        }
    }

    private mutating func literal(_ type: ValueType) -> Expression? {
        switch type {
        case .int64: .literal(.int64(random.pick(edgeIntegers)))
        case .float64: .literal(.float64(random.pick(edgeDoubles)))
        case .text: .literal(.text(random.pick(edgeTexts)))
        case .bool: .literal(.bool(random.chance(0.5)))
        case .timestamp: nil
        }
    }
}

private let edgeIntegers: [Int64] = [.min, .min + 1, -10_001, -1, 0, 1, 2, 9_999, 1 << 53, (1 << 53) + 1, .max - 1, .max]
private let edgeDoubles: [Double] = [
    -.infinity, -1e300, -9.3e18, -1.5, -0.0, 0, 0.1, 1, 2, 9.2233720368547758e18, .greatestFiniteMagnitude, .infinity, .nan,
    .leastNonzeroMagnitude,
]
private let edgeTexts = ["", "a", "b", "view", "views", "12345678", "123456789", "é", "日本語の長いテキスト", "\u{1}", "view\u{1}"]

private func makeRow(_ random: inout SeededRandom, nullRate: Double) -> BenchRow {
    var row: BenchRow = [:]
    for field in fields {
        if field.nullable, random.chance(nullRate) {
            row[field.name] = .null
            continue
        }
        switch field.type {
        case .int64: row[field.name] = .int64(random.chance(0.5) ? random.pick(edgeIntegers) : Int64(random.below(5)))
        case .timestamp: row[field.name] = .timestamp(Int64(random.below(40_000)) - 20_000)
        case .float64: row[field.name] = .float64(random.chance(0.5) ? random.pick(edgeDoubles) : Double(random.below(8)) / 2)
        case .bool: row[field.name] = .bool(random.chance(0.5))
        case .text: row[field.name] = .text(random.pick(edgeTexts))
        }
    }
    return row
}

// MARK: the evaluator

private func evaluate(_ expression: Expression, _ row: BenchRow) -> Value {
    switch expression {
    case .named(let inner, _): return evaluate(inner, row)
    case .column(let name): return row[name]!
    case .literal(let value): return value
    case .isNull(let inner): return .bool(evaluate(inner, row) == .null)
    case .not(let inner):
        guard case .bool(let value) = evaluate(inner, row) else { return .null }
        return .bool(!value)
    case .and(let left, let right):
        let sides = [evaluate(left, row), evaluate(right, row)]
        return sides.contains(.bool(false)) ? .bool(false) : sides.contains(.null) ? .null : .bool(true)
    case .or(let left, let right):
        let sides = [evaluate(left, row), evaluate(right, row)]
        return sides.contains(.bool(true)) ? .bool(true) : sides.contains(.null) ? .null : .bool(false)
    case .compare(let comparison, let left, let right):
        return compare(comparison, evaluate(left, row), evaluate(right, row)).map { .bool($0) } ?? .null
    case .nullIf(let value, let other):
        let first = evaluate(value, row)
        return compare(.equal, first, evaluate(other, row)) == true ? .null : first
    case .arithmetic(let operation, let left, let right): return compute(operation, evaluate(left, row), evaluate(right, row))
    case .cast(let inner, let type):
        switch (evaluate(inner, row), type) {
        case (.float64(let value), .int64):
            let whole = value.rounded(.towardZero)
            return whole >= -0x1p63 && whole < 0x1p63 ? .int64(Int64(whole)) : .null
        case (.bool(let value), .int64): return .int64(value ? 1 : 0)
        case (.int64(let value), .float64): return .float64(Double(value))
        case (let value, _): return value
        }
    case .tumble(let inner, let length):
        guard case .timestamp(let time) = evaluate(inner, row) else { return .null }
        var start = time / length * length
        if start > time { start -= length }
        return .timestamp(max(start, rowTimes.lowerBound))
    }
}

private func compare(_ comparison: Comparison, _ left: Value, _ right: Value) -> Bool? {
    func holds<T: Comparable>(_ a: T, _ b: T) -> Bool {
        switch comparison {
        case .equal: a == b
        case .notEqual: a != b
        case .less: a < b
        case .lessOrEqual: a <= b
        case .greater: a > b
        case .greaterOrEqual: a >= b
        }
    }
    switch (left, right) {
    case (.null, _), (_, .null): return nil
    case (.int64(let a), .int64(let b)), (.timestamp(let a), .timestamp(let b)): return holds(a, b)
    case (.float64(let a), .float64(let b)): return holds(a, b)
    case (.int64(let a), .float64(let b)): return holds(Double(a), b)
    case (.float64(let a), .int64(let b)): return holds(a, Double(b))
    case (.bool(let a), .bool(let b)): return (a == b) == (comparison == .equal)
    case (.text(let a), .text(let b)):
        let (first, second) = (Array(a.utf8), Array(b.utf8))
        let order = first == second ? 0 : first.lexicographicallyPrecedes(second) ? -1 : 1
        return holds(order, 0)
    default: preconditionFailure("\(left) and \(right) are not compared")
    }
}

private func compute(_ operation: Arithmetic, _ left: Value, _ right: Value) -> Value {
    func whole(_ a: Int64, _ b: Int64) -> Int64? {
        let result: (partialValue: Int64, overflow: Bool) =
            switch operation {
            case .add: a.addingReportingOverflow(b)
            case .subtract: a.subtractingReportingOverflow(b)
            case .multiply: a.multipliedReportingOverflow(by: b)
            case .divide: b == 0 ? (0, true) : a.dividedReportingOverflow(by: b)
            }
        return result.overflow ? nil : result.partialValue
    }
    func float(_ a: Double, _ b: Double) -> Value {
        switch operation {
        case .add: .float64(a + b)
        case .subtract: .float64(a - b)
        case .multiply: .float64(a * b)
        case .divide: b == 0 ? .null : .float64(a / b)
        }
    }
    switch (left, right) {
    case (.null, _), (_, .null): return .null
    case (.int64(let a), .int64(let b)): return whole(a, b).map { .int64($0) } ?? .null
    case (.timestamp(let a), .timestamp(let b)): return whole(a, b).map { .int64($0) } ?? .null
    case (.timestamp(let a), .int64(let b)):
        return whole(a, b).flatMap { rowTimes.contains($0) ? .timestamp($0) : nil } ?? .null
    case (.float64(let a), .float64(let b)): return float(a, b)
    case (.int64(let a), .float64(let b)): return float(Double(a), b)
    case (.float64(let a), .int64(let b)): return float(a, Double(b))
    default: preconditionFailure("\(left) and \(right) are not computed")
    }
}

/// Equal, and one NaN like another.
private func isAlike(_ one: Value, _ other: Value) -> Bool {
    if case .float64(let a) = one, case .float64(let b) = other { return a == b || a.isNaN && b.isNaN }
    return one == other
}

// MARK: the tests

let oracleChunkSizes = [1, 2, 7, 64, 1000, 65_536]
let oracleNullRates = [0.0, 0.1, 0.5, 1.0]

struct ExpressionOracleTests {
    @Test(arguments: oracleChunkSizes, oracleNullRates)
    func `filters and computed columns give what single values give`(chunkRows: Int, nullRate: Double) throws {
        var maker = ExpressionMaker(random: SeededRandom(seed: UInt64(chunkRows) * 10 + UInt64(nullRate * 10)))
        let rows = (0..<400).map { _ in makeRow(&maker.random, nullRate: nullRate) }
        for _ in 0..<40 {
            let condition = maker.make(.bool, 3)
            let second = maker.make(.bool, 2)
            var computed = [ValueType.int64, .float64, .text, .bool, .timestamp].map { maker.make($0, 3) }
            // A window as a column of its own needs a watermark; inside other expressions it does not.
            computed[4] = .arithmetic(.add, computed[4], maker.make(.int64, 1))
            let columns = computed
            let bench = BenchRun(
                graph: try graph { job in
                    try job.stream(.kafka("t", format: .json, schema: fields)).filter(condition).filter(second)
                        .select(
                            col("j"), columns[0].as("c0"), columns[1].as("c1"), columns[2].as("c2"), columns[3].as("c3"),
                            columns[4].as("c4")
                        )
                        .write(to: .append("out"))
                }, chunkRows: chunkRows)
            let result = bench.source(rows)
            let got = result.output.flatMap { chunk in (0..<chunk.rowCount).map { chunk.values($0) } }
            let expected = rows.filter { evaluate(condition, $0) == .bool(true) && evaluate(second, $0) == .bool(true) }
                .map { row in [row["j"]!] + computed.map { evaluate($0, row) } }
            #expect(got.count == expected.count, "\(condition) and \(second)")
            for (one, other) in zip(got, expected) where !zip(one, other).allSatisfy({ isAlike($0, $1) }) {
                Issue.record("\(one) is not \(other) for \(computed)")
                return
            }
        }
    }

    @Test(arguments: 0...18)
    func `a text passes when every byte of it is the literal's, and no more`(length: Int) throws {
        let bytes = (0..<length).map { UInt8(ascii: "a") + UInt8($0) }
        let literal = String(decoding: bytes, as: UTF8.self)
        var texts = [literal, literal + "x", literal + literal]
        if length > 0 { texts += [String(literal.dropLast()), String(literal.dropFirst())] }
        for place in 0..<length {
            var other = bytes
            other[place] = UInt8(ascii: "~")
            texts.append(String(decoding: other, as: UTF8.self))
        }
        let rows: [BenchRow] = texts.map { ["u": .text($0)] }
        for (names, wanted) in [(texts, 1), (texts + texts, 2)] {
            let bench = BenchRun(
                graph: try graph { job in
                    try job.stream(.kafka("t", format: .json, schema: [Field("u", .text)])).filter(col("u") == .literal(.text(literal)))
                        .select(col("u")).write(to: .append("out"))
                }, chunkRows: 1000)
            let result = bench.source(wanted == 1 ? rows : rows + rows)
            let got = result.output.flatMap { chunk in (0..<chunk.rowCount).map { chunk.values($0) } }
            #expect(got == Array(repeating: [.text(literal)], count: length == 0 ? wanted * 2 : wanted), "\(names)")
        }
    }

    @Test(arguments: oracleChunkSizes, oracleNullRates)
    func `a lookup gives what a dictionary gives`(chunkRows: Int, nullRate: Double) throws {
        var random = SeededRandom(seed: UInt64(chunkRows) + UInt64(nullRate * 10))
        let keys = edgeTexts + (0..<300).map { "key \($0) with a tail as long as a uuid has" }
        let pairs = keys.filter { _ in random.chance(0.6) }.enumerated().map { ($1, "value \($0 % 7)") }
        let valueOf = Dictionary(uniqueKeysWithValues: pairs)
        let rows: [BenchRow] = (0..<1500).map { number in
            ["k": random.chance(nullRate) ? .null : .text(random.pick(keys)), "n": .int64(Int64(number))]
        }
        let bench = BenchRun(
            graph: try graph { job in
                let table = job.table(.file("values.csv"), name: "values", columns: ["k", "value"])
                try job.stream(.kafka("t", format: .json, schema: [Field("k", .text, nullable: true), Field("n", .int64)]))
                    .join(table, on: "k").select(col("n"), col("value")).write(to: .append("out"))
            }, lookups: ["values": try lookupTable("values", pairs)], chunkRows: chunkRows)
        let result = bench.source(rows)
        let expected = rows.compactMap { row -> [Value]? in
            guard case .text(let key)? = row["k"], let value = valueOf[key] else { return nil }
            return [row["n"]!, .text(value)]
        }
        #expect(result.output.flatMap { chunk in (0..<chunk.rowCount).map { chunk.values($0) } } == expected)
        #expect(result.unmatched == rows.count - expected.count)
    }
}
