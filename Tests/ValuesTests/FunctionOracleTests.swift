// Every line of the function table and every cast against a real PostgreSQL.
//
// The table is asked for its lines: a function without cases does not exist. Each line is called with all combinations of the
// boundary values of its types, and NULL, as columns in one chunk; the values, the NULLs and the errors' codes must be PostgreSQL's.
// The same calls through dictionaries, over a selection and as constants must agree with the flat ones.

import Foundation
import TestSupport
import Testing
import Values

@Suite(.enabled(if: PostgresFixture.missingReason == nil, "no PostgreSQL server")) struct FunctionOracleTests {
    static let overloads = FunctionTable.shared.all

    /// The zone of most calls: UTC. One pass is made in another, for what depends on it.
    private func check(_ overload: Overload, zone: String) throws {
        let oracle = try PostgresOracle.shared.get()
        let cases = FunctionCases(overload)
        #expect(cases.rows.count > 0, "\(overload.signature) has no cases: a type without boundary values")
        let ours = try cases.answers(context: EvaluationContext(zone: try Zone.named(zone)))
        let theirs = try oracle.answers(cases.texts, zone: zone)
        var different: [String] = []
        for (row, answer) in ours.enumerated() where answer != theirs[row] { different.append(KnownDifferences.line(cases.texts[row], answer, theirs[row])) }
        KnownDifferences.check(different, of: "\(overload.signature) in \(zone)")
    }

    @Test(arguments: overloads) func `each overload answers as PostgreSQL does`(_ overload: Overload) throws { try check(overload, zone: "UTC") }

    @Test(arguments: overloads.filter { $0.volatility == .stable }) func `what depends on the session's zone answers as PostgreSQL does there`(_ overload: Overload) throws {
        try check(overload, zone: "America/New_York")
    }

    @Test(arguments: SQLType.scalars) func `each cast answers as PostgreSQL does, and what cannot be cast there cannot here`(_ source: SQLType) throws {
        let oracle = try PostgresOracle.shared.get()
        let build = ExpressionBuilder()
        for target in SQLType.scalars where target != source {
            let texts = CastCases.texts(source, target).map { CastCases.literal($0, source) + "::\(target.name)" } + ["NULL::\(source.name)::\(target.name)"]
            let theirs = try oracle.answers(texts)
            guard let cast = try? build.cast(.column(0, source), to: target, at: 7) else {
                // 42846: there is no such cast.
                #expect(theirs.allSatisfy { $0 == .error("42846") }, "\(source.name) to \(target.name) is missing: \(texts[0]) is \(theirs[0])")
                continue
            }
            let shown = target == .text ? cast : try build.cast(cast, to: .text, at: 3)
            let ours = try Evaluated.answers(shown, columns: [CastCases.texts(source, target) + [nil]], types: [source])
            var different: [String] = []
            for (row, answer) in ours.enumerated() where answer != theirs[row] { different.append(KnownDifferences.line(texts[row], answer, theirs[row])) }
            KnownDifferences.check(different, of: "\(source.name) to \(target.name)")
        }
    }

    @Test func `each known difference is one of a call or a cast that is there`() {
        let calls = Self.overloads.flatMap { overload in ["UTC", "America/New_York"].map { "\(overload.signature) in \($0)" } }
        let casts = SQLType.scalars.flatMap { source in SQLType.scalars.map { "\(source.name) to \($0.name)" } }
        #expect(Set(KnownDifferences.sections.keys).subtracting(calls + casts) == [])
        #expect(!KnownDifferences.sections.isEmpty)
    }

    @Test func `every line of the table is a line of PostgreSQL's, with its result`() throws {
        let oracle = try PostgresOracle.shared.get()
        var theirs: [String: String] = [:]
        for row in try oracle.rows(
            """
            SELECT proname || '(' || coalesce((SELECT string_agg(format_type(t, NULL), ', ' ORDER BY n) FROM unnest(proargtypes) WITH ORDINALITY u(t, n)), '') || ')',
              format_type(prorettype, NULL) FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
            UNION ALL
            SELECT oprname || '(' || CASE WHEN oprleft = 0 THEN '' ELSE format_type(oprleft, NULL) || ', ' END || format_type(oprright, NULL) || ')',
              format_type(oprresult, NULL) FROM pg_operator
            """)
        { theirs[row[0]] = row[1] }
        for overload in Self.overloads where !overload.takesMore {
            #expect(theirs[overload.signature] == overload.result.name, "\(overload.signature) gives \(overload.result.name)")
        }
    }

    @Test func `at least 80 functions and operators are there`() {
        #expect(FunctionTable.shared.names.count >= 80)
    }
}

/// The calls of one overload.
struct FunctionCases {
    let overload: Overload
    /// One text or NULL an argument.
    let rows: [[String?]]
    private let types: [SQLType]

    private static let maxRows = 700

    init(_ overload: Overload) {
        self.overload = overload
        // What takes more takes two texts more.
        types = overload.arguments + (overload.takesMore ? [.text, .text] : [])
        let choices = types.enumerated().map { place, type in
            let extra = BoundaryValues.extra(overload.name, place, type)
            return (extra.count > 6 ? extra : extra + BoundaryValues.texts(type)).map { Optional($0) } + [nil]
        }
        let total = choices.reduce(1) { $0 * $1.count }
        guard choices.allSatisfy({ $0.count > 1 }) else {
            rows = []
            return
        }
        // All of them, or as many spread over all.
        let step = max(total / Self.maxRows, 1) | 1
        rows = stride(from: 0, to: total, by: step).map { number in
            var rest = number
            return choices.map { choice in
                defer { rest /= choice.count }
                return choice[rest % choice.count]
            }
        }
    }

    /// PostgreSQL's spelling of each call.
    var texts: [String] {
        rows.map { row in
            let sides = zip(row, types).map { CastCases.literal($0, $1) }
            if !overload.isOperator { return "pg_catalog.\"\(overload.name)\"(\(sides.joined(separator: ", ")))" }
            return sides.count == 1 ? "(\(overload.name) \(sides[0]))" : "(\(sides[0]) OPERATOR(pg_catalog.\(overload.name)) \(sides[1]))"
        }
    }

    func answers(context: EvaluationContext) throws -> [Answer] {
        let build = ExpressionBuilder(context: context)
        let sides = types.enumerated().map { BoundExpression.column($0, $1) }
        let call = BoundExpression.call(overload, sides, at: 7)
        let shown = call.type == .text ? call : try build.cast(call, to: .text, at: 3)
        let columns = types.indices.map { place in rows.map { $0[place] } }
        return try Evaluated.answers(shown, columns: columns, types: types, context: context, rowCount: rows.count)
    }
}

enum CastCases {
    static func literal(_ text: String?, _ type: SQLType) -> String {
        guard let text else { return "NULL::\(type.name)" }
        return "E'\(text.replacing("\\", with: "\\\\").replacing("'", with: "\\'"))'::\(type.name)"
    }

    static func texts(_ source: SQLType, _ target: SQLType) -> [String] {
        guard source == .text else { return BoundaryValues.texts(source) }
        return BoundaryValues.texts(.text) + InputTexts.texts(target) + BoundaryValues.texts(target)
    }
}

/// An expression over columns of texts, in several forms that must agree.
enum Evaluated {
    static func answers(
        _ expression: BoundExpression, columns: [[String?]], types: [SQLType], context: EvaluationContext = EvaluationContext(), rowCount: Int? = nil
    ) throws -> [Answer] {
        let count = rowCount ?? columns[0].count
        let pool = BufferPool()
        var data: [[Datum]] = []
        for (column, type) in zip(columns, types) {
            data.append(try column.map { try $0.map { try TypeText.read($0, as: type, context: context) } ?? .null })
        }
        let flat = zip(data, types).map { Vector.flat($0, $1, pool: pool) }
        let program = Program([expression], context: context, pool: pool)
        let all = answers(program, flat, count, .all(count))

        // The same entries behind codes, in reverse order.
        let coded = zip(data, types).map { values, type in
            let codes = pool.take(max(count * 4, 4))
            for row in 0..<count { codes.base.assumingMemoryBound(to: Int32.self)[row] = Int32(count - 1 - row) }
            return Vector(dictionary: Vector.flat(values.reversed(), type, pool: pool), codes: codes, count: count)
        }
        #expect(answers(program, coded, count, .all(count)) == all, "dictionary and flat differ")

        // Every third row, and a few calls with constants only.
        let some = stride(from: 0, to: count, by: 3).map { Int32($0) }
        some.withUnsafeBufferPointer { rows in
            let part = answers(program, flat, count, Selection(rows: rows.baseAddress, count: rows.count))
            for row in some { #expect(part[Int(row)] == all[Int(row)], "row \(row) of a selection differs") }
        }
        for row in stride(from: 0, to: count, by: 41) {
            let folded = replaceColumns(expression) { .constant(data[$0][row], types[$0]) }
            let constant = answers(Program([folded], context: context, pool: pool), [], 1, .all(1))[0]
            #expect(constant == all[row], "row \(row) as constants is \(constant), as columns \(all[row])")
        }
        return all
    }

    private static func answers(_ program: Program, _ columns: [Vector], _ count: Int, _ selection: Selection) -> [Answer] {
        let errors = RowErrors()
        var results: [Vector] = []
        program.run(columns, count: count, selection, into: &results, errors: errors)
        var answers = [Answer](repeating: .null, count: count)
        selection.forEach { row in
            if case .text(let text) = results[0].datum(row) { answers[row] = .value(text) }
        }
        for error in errors.firstOfEachRow { answers[error.row] = .error(error.fault.sqlState) }
        return answers
    }

    private static func replaceColumns(_ expression: BoundExpression, _ body: (Int) -> BoundExpression) -> BoundExpression {
        switch expression {
        case .column(let number, _): body(number)
        case .call(let overload, let arguments, let position): .call(overload, arguments.map { replaceColumns($0, body) }, at: position)
        default: expression
        }
    }
}

/// Where we differ from PostgreSQL, call by call, with both answers: `known-differences.txt`. A section is a line of the table or a cast, behind
/// `@`; its reason stands behind `#`. A difference that is not there fails, and so does one that is there and does not occur.
enum KnownDifferences {
    static let sections: [String: Set<String>] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "known-differences.txt")
        var sections: [String: Set<String>] = [:]
        var section = ""
        for line in ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: "\n") {
            if line.hasPrefix("@ ") { section = String(line.dropFirst(2)) } else if !line.hasPrefix("#") { sections[section, default: []].insert(String(line)) }
        }
        return sections
    }()

    static func line(_ call: String, _ ours: Answer, _ theirs: Answer) -> String {
        // The one word that means something else each time.
        let answer = call.contains("'now'") ? "the present" : short(theirs)
        return "\(call): ours \(short(ours)), PostgreSQL \(answer)".replacing("\n", with: "\\n")
    }

    /// PostgreSQL's numeric may have thousands of digits.
    private static func short(_ answer: Answer) -> String {
        let text = "\(answer)"
        return text.count <= 120 ? text : "\(text.prefix(80))... of \(text.count) characters"
    }

    static func check(_ different: [String], of section: String) {
        let (found, known) = (Set(different), sections[section] ?? [])
        let (new, gone) = (found.subtracting(known).sorted(), known.subtracting(found).sorted())
        #expect(new.isEmpty, "@ \(section)\n\(new.joined(separator: "\n"))")
        #expect(gone.isEmpty, "not different any more: @ \(section)\n\(gone.joined(separator: "\n"))")
    }
}
