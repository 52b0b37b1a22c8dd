// Every function and operator that SQL can call here, in one table.
//
// A line is an overload: name, argument types, result, NULL rule, whether it can fail, one kernel. The parts of the table stand in
// `Functions+*.swift` by subject; each is a list of lines, read once when the process starts. What the grammar has words for
// (AND, CASE, COALESCE, IS NULL ...) is in `BoundExpression`, casts are in `Casts.swift`.
//
// When adding a line: `FunctionOracleTests` find it by themselves and compare it with a real PostgreSQL over boundary values; a
// type without boundary values, or a line that PostgreSQL does not have, fails there.

import Wording

/// The functions by name.
public struct FunctionTable: Sendable {
    public static let shared: FunctionTable = {
        var table = FunctionTable()
        table.addComparisons()
        table.addIntegers()
        table.addFloats()
        table.addNumerics()
        table.addTexts()
        table.addPatterns()
        table.addByteFunctions()
        table.addTimes()
        table.addIntervals()
        table.addZones()
        table.addJSON()
        table.addJSONChanges()
        table.addRefusals()
        return table
    }()

    private var byName: [String: [Overload]] = [:]

    /// Every line, by name and types.
    public var all: [Overload] { byName.keys.sorted().flatMap { byName[$0]! }.filter { $0.refusal == nil } }

    /// The names of what can be called.
    public var names: [String] { byName.keys.filter { name in byName[name]!.contains { $0.refusal == nil } }.sorted() }

    public func overloads(_ name: String) -> [Overload] { byName[name] ?? [] }

    /// The overload that a call means.
    ///
    /// - Parameters:
    ///   - name: a function's name in lower case, or an operator's sign.
    ///   - arguments: their types; `unknown` for a literal in quotes, a parameter or NULL.
    /// - Returns: the overload; its `arguments` are the types to which the caller must bring the arguments.
    /// - Throws: no such function, or several that fit equally well, with the nearest ones and their types.
    public func resolve(name: String, arguments: [SQLType]) throws(BindError) -> Overload {
        guard let candidates = byName[name] else {
            throw BindError(
                "there is no function \(name)", why: "no function has that name",
                now: "the nearest names are \(closestNames(to: name, among: names).joined(separator: ", "))")
        }
        switch Resolution(candidates: candidates, types: arguments).answer(isOperator: candidates[0].isOperator) {
        case .one(let overload):
            guard let instead = overload.refusal else { return overload }
            throw BindError("\(overload.signature) is not supported", why: "it is not there yet", now: instead)
        case .none:
            throw BindError(
                "there is no \(Self.call(name, arguments))", why: "no overload of \(name) takes these types",
                now: "use one of \(Self.list(candidates)), or cast the arguments")
        case .several(let left):
            throw BindError(
                "\(Self.call(name, arguments)) is ambiguous", why: "\(Self.list(left)) fit equally well",
                now: "cast the arguments to the types that are meant")
        }
    }

    private static func call(_ name: String, _ types: [SQLType]) -> String {
        "\(name)(\(types.map(\.name).joined(separator: ", ")))"
    }

    private static func list(_ overloads: [Overload]) -> String {
        let shown = overloads.prefix(8).map(\.signature).joined(separator: ", ")
        return overloads.count > 8 ? shown + ", ..." : shown
    }

    /// Adds a line that PostgreSQL has and we do not: it is found, so that no other line is taken in its place, and refused.
    private mutating func refuse(_ name: String, _ arguments: [SQLType], _ result: SQLType, _ instead: String) {
        add(name, arguments, result) { _ in preconditionFailure("\(name) was refused when it was bound") }
        byName[name]![byName[name]!.count - 1].refusal = instead
    }

    private mutating func addRefusals() {
        for name in ["exp", "ln", "log", "log10"] {
            refuse(name, [.numeric], .numeric, "cast the argument to double precision, or round the result of \(name) over double precision")
        }
        for name in ["power", "pow", "^", "log"] {
            refuse(name, [.numeric, .numeric], .numeric, "cast the arguments to double precision")
        }
        for name in ["~", "!~", "~*", "!~*"] { refuse(name, [.text, .text], .bool, "use LIKE or ILIKE where the pattern allows it") }
    }

    /// Adds a line.
    mutating func add(
        _ name: String, _ arguments: [SQLType], _ result: SQLType, more: Bool = false, nulls: Overload.NullRule = .strict,
        volatility: Overload.Volatility = .immutable, fails: Bool = false, _ kernel: @escaping Overload.Kernel
    ) {
        let overload = Overload(
            name: name, arguments: arguments, takesMore: more, result: result, nulls: nulls, volatility: volatility, canFail: fails,
            kernel: kernel)
        precondition(!overloads(name).contains(overload), "\(overload.signature) is in the table twice")
        byName[name, default: []].append(overload)
    }
}
