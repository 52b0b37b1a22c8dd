// No value may trap: every function and cast over values from the whole range of their types and over damaged texts.
//
// What they answer is `FunctionOracleTests`' matter. Here a call that ends the process is what is looked for, and a failed row that
// has a value.

import TestSupport
import Testing
import Values

@Suite struct RandomValueTests {
    private let context = EvaluationContext()

    @Test(arguments: [1, 2, 3] as [UInt64]) func `no value of any type ends the process`(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let build = ExpressionBuilder(context: context)
        for overload in FunctionTable.shared.all where !["repeat", "lpad", "rpad"].contains(overload.name) {
            let types = overload.arguments + (overload.takesMore ? [.text] : [])
            let call = BoundExpression.call(overload, types.enumerated().map { .column($0, $1) }, at: 0)
            let shown = call.type == .text ? call : try build.cast(call, to: .text, at: 0)
            try run(shown, types.enumerated().map { place, type in column(type, extra: BoundaryValues.extra(overload.name, place, type), &random) })
        }
        for source in SQLType.scalars {
            for target in SQLType.scalars where target != source {
                guard let cast = try? build.cast(.column(0, source), to: target, at: 0) else { continue }
                let shown = target == .text ? cast : try build.cast(cast, to: .text, at: 0)
                let column = source == .text ? (0..<24).map { _ in .text(damagedText(target, &random)) } : column(source, extra: [], &random)
                try run(shown, [column])
            }
        }
    }

    private func run(_ expression: BoundExpression, _ columns: [[Datum]]) throws {
        let pool = BufferPool()
        let errors = RowErrors()
        var results: [Vector] = []
        let vectors = zip(columns, types(expression)).map { Vector.flat($0, $1, pool: pool) }
        Program([expression], context: context, pool: pool).run(vectors, count: 24, .all(24), into: &results, errors: errors)
        for error in errors.list { #expect(results[0].datum(error.row) == .null, "a failed row has a value") }
    }

    private func types(_ expression: BoundExpression) -> [SQLType] {
        var types: [Int: SQLType] = [:]
        func walk(_ part: BoundExpression) {
            if case .column(let number, let type) = part { types[number] = type }
            part.parts.forEach(walk)
        }
        walk(expression)
        return types.sorted { $0.key < $1.key }.map(\.value)
    }

    private func column(_ type: SQLType, extra: [String], _ random: inout SeededRandom) -> [Datum] {
        (0..<24).map { _ in
            if !extra.isEmpty && random.chance(0.7), let value = read(random.pick(extra), type) { return value }
            return value(type, &random)
        }
    }

    private func read(_ text: String, _ type: SQLType) -> Datum? { try? TypeText.read(text, as: type, context: context) }

    private func value(_ type: SQLType, _ random: inout SeededRandom) -> Datum {
        if random.chance(0.08) { return .null }
        if random.chance(0.3), let value = read(random.pick(BoundaryValues.texts(type)), type) { return value }
        let word = Int64(bitPattern: random.next()) >> Int64(random.below(64))
        if random.chance(0.5) {
            switch type {
            case .int2: return .word(Int64(Int16(truncatingIfNeeded: word)))
            case .int4: return .word(Int64(Int32(truncatingIfNeeded: word)))
            case .int8: return .word(word)
            case .float8: return .float(Double(bitPattern: random.next()))
            case .float4: return .float(Double(Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))))
            case .interval:
                return .interval(Interval(months: Int32(truncatingIfNeeded: random.next()), days: Int32(truncatingIfNeeded: word >> 3), micros: word))
            case .numeric:
                let digits = (0..<(1 + random.below(38))).map { _ in "\(random.below(10))" }.joined()
                let cut = random.below(digits.count + 1)
                if let value = read("\(random.chance(0.5) ? "-" : "")\(digits.prefix(cut)).\(digits.dropFirst(cut))", type) { return value }
            case .timestamp, .timestamptz:
                if let value = read("\(1 + random.below(294_246))-\(1 + random.below(12))-\(1 + random.below(28)) \(random.below(24)):\(random.below(60))", type) { return value }
            default: break
            }
        }
        for _ in 0..<4 { if let value = read(damagedText(type, &random), type) { return value } }
        return .null
    }

    /// A text of the type with some characters changed.
    private func damagedText(_ type: SQLType, _ random: inout SeededRandom) -> String {
        let known = BoundaryValues.texts(type) + InputTexts.texts(type)
        var letters = Array(random.pick(known))
        for _ in 0..<random.below(4) {
            let letter = Character(Unicode.Scalar(UInt8(32 + random.below(95))))
            switch random.below(4) {
            case 0: letters.insert(letter, at: random.below(letters.count + 1))
            case 1 where !letters.isEmpty: letters.remove(at: random.below(letters.count))
            case 2 where !letters.isEmpty: letters[random.below(letters.count)] = letter
            default: letters += random.pick(known).prefix(random.below(12))
            }
        }
        return String(letters)
    }
}
