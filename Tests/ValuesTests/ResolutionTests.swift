// Which overload a call means, and which type several values meet in: PostgreSQL is asked for every name and every pair of types.

import Foundation
import TestSupport
import Testing
import Values

@Suite(.enabled(if: PostgresFixture.missingReason == nil, "no PostgreSQL server")) struct ResolutionTests {
    private let types = SQLType.scalars + [.unknown]
    private let build = ExpressionBuilder()

    private func spelled(_ type: SQLType) -> String { type == .unknown ? "NULL" : "NULL::\(type.name)" }

    private func column(_ place: Int, _ type: SQLType) -> BoundExpression { type == .unknown ? build.null : .column(place, type) }

    /// What a call gives: the type's name, or nil.
    private func ours(_ name: String, _ sides: [SQLType]) -> String? {
        try? build.call(name, sides.enumerated().map { column($0, $1) }, at: 0).type.name
    }

    /// Types that PostgreSQL may answer with and that are not here.
    private let foreign: Set<String> = [
        "time with time zone", "character", "\"char\"", "name", "oid", "money", "bit", "point", "json", "box", "inet", "cidr", "tsvector", "tsquery", "regclass", "path", "lseg",
        "circle", "line", "polygon", "xid", "int2vector", "macaddr", "bit varying", "pg_lsn", "jsonpath", "tid", "cid", "anyarray", "\"any\"", "anyrange", "anymultirange",
    ]

    @Test(arguments: FunctionTable.shared.names) func `a call resolves as in PostgreSQL, or is refused as there`(_ name: String) throws {
        let oracle = try PostgresOracle.shared.get()
        let isOperator = FunctionTable.shared.overloads(name)[0].isOperator
        let counts = Set(FunctionTable.shared.overloads(name).map { $0.arguments.count }).filter { $0 > 0 && $0 < 3 }
        for count in counts {
            var (calls, texts): ([[SQLType]], [String]) = ([], [])
            for left in types {
                for right in count == 2 ? types : [.unknown] {
                    let sides = count == 2 ? [left, right] : [left]
                    let spelled = sides.map { self.spelled($0) }
                    calls.append(sides)
                    texts.append(
                        !isOperator
                            ? "pg_typeof(\"\(name)\"(\(spelled.joined(separator: ", "))))"
                            : count == 1 ? "pg_typeof(\(name) \(spelled[0]))" : "pg_typeof(\(spelled[0]) \(name) \(spelled[1]))")
                }
            }
            let theirs = try oracle.answers(texts)
            for (index, sides) in calls.enumerated() {
                let own = ours(name, sides)
                switch theirs[index] {
                case .value(let type):
                    // What is not here yet is refused; it must not mean something else.
                    if own == nil { continue }
                    #expect(own == type, "\(texts[index]) is \(type), here \(own!)")
                // Among types that are not here: it is not ambiguous without them.
                case .error("42725") where own != nil: continue
                default: #expect(own == nil, "\(texts[index]) is refused with \(theirs[index]), here it is \(own ?? "")")
                }
            }
        }
    }

    /// Whether the refusal is by name: "not there yet".
    private func isRefused(_ name: String, _ sides: [SQLType]) -> Bool {
        do {
            _ = try FunctionTable.shared.resolve(name: name, arguments: sides)
            return false
        } catch {
            return error.why == "it is not there yet"
        }
    }

    /// Calls that PostgreSQL takes, over the types that both have.
    @Test func `no operator over our types is refused here and not there, unless by name`() throws {
        let oracle = try PostgresOracle.shared.get()
        var (calls, texts): ([(String, [SQLType])], [String]) = ([], [])
        for name in FunctionTable.shared.names where FunctionTable.shared.overloads(name)[0].isOperator {
            for left in SQLType.scalars {
                for right in SQLType.scalars {
                    calls.append((name, [left, right]))
                    texts.append("pg_typeof(\(spelled(left)) \(name) \(spelled(right)))")
                }
            }
        }
        let theirs = try oracle.answers(texts)
        var missing: [String] = []
        for (index, call) in calls.enumerated() {
            guard case .value(let type) = theirs[index], !foreign.contains(type), ours(call.0, call.1) == nil else { continue }
            if !isRefused(call.0, call.1) { missing.append(texts[index]) }
        }
        #expect(missing.isEmpty, "\(missing.count) are missing: \(missing.prefix(40).joined(separator: "; "))")
    }

    @Test func `the common type of two values is PostgreSQL's`() throws {
        let oracle = try PostgresOracle.shared.get()
        var (pairs, texts): ([(SQLType, SQLType)], [String]) = ([], [])
        for left in types {
            for right in types {
                pairs.append((left, right))
                texts.append("pg_typeof(CASE WHEN true THEN \(spelled(left)) ELSE \(spelled(right)) END)")
            }
        }
        let theirs = try oracle.answers(texts)
        for (index, pair) in pairs.enumerated() {
            let branch = BoundExpression.Branch(condition: build.bool(true), value: column(0, pair.0))
            let own = try? build.choose([branch], otherwise: column(1, pair.1), at: 0).type.name
            if case .value(let type) = theirs[index] {
                #expect(own == type, "\(texts[index]) is \(type)")
            } else {
                #expect(own == nil, "\(texts[index]) is refused with \(theirs[index])")
            }
        }
    }

    @Test func `casts are implicit, by assignment or explicit as in pg_cast`() throws {
        let oracle = try PostgresOracle.shared.get()
        let names = Set(SQLType.scalars.map(\.name))
        for row in try oracle.rows("SELECT format_type(castsource, NULL), format_type(casttarget, NULL), castcontext::text FROM pg_cast WHERE castsource <> casttarget") {
            guard names.contains(row[0]), names.contains(row[1]) else { continue }
            let (source, target) = (try SQLType.named(row[0]), try SQLType.named(row[1]))
            let allowed: [CastContext] = [.implicit, .assignment, .explicit].filter {
                (try? build.coerce(.column(0, source), to: target, context: $0, at: 0)) != nil
            }
            let wanted: [CastContext] = row[2] == "i" ? [.implicit, .assignment, .explicit] : row[2] == "a" ? [.assignment, .explicit] : [.explicit]
            #expect(allowed == wanted, "\(source.name) to \(target.name)")
        }
    }

    @Test func `an unknown name is answered with the nearest ones and a wrong type with the overloads`() {
        let unknown = #expect(throws: BindError.self) { try FunctionTable.shared.resolve(name: "lenght", arguments: [.text]) }
        #expect(unknown?.now.contains("length") == true, "\(unknown?.description ?? "")")
        let wrong = #expect(throws: BindError.self) { try build.call("upper", [.column(0, .int4)], at: 17) }
        #expect(wrong?.now.contains("upper(text)") == true && wrong?.position == 17, "\(wrong?.description ?? "")")
    }
}
