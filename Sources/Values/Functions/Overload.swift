// One function for one list of argument types: a line of the table.

/// A function or operator over certain types.
public struct Overload: Sendable {
    /// Runs over a chunk.
    package typealias Kernel = @Sendable (inout KernelCall) -> Void

    /// What a NULL argument does.
    public enum NullRule: Sendable, Hashable {
        /// The result is NULL and the kernel does not see the row.
        case strict
        /// The kernel looks at NULLs itself.
        case own
    }

    /// How often PostgreSQL's planner may be asked for the same arguments with another answer.
    public enum Volatility: Sendable, Hashable {
        /// The arguments decide alone.
        case immutable
        /// The session's zone decides too.
        case stable
    }

    /// Lower case; an operator's sign for operators.
    public let name: String
    public let arguments: [SQLType]
    /// Any number of arguments of any type may follow; each is handed over as its output text.
    public let takesMore: Bool
    public let result: SQLType
    public let nulls: NullRule
    public let volatility: Volatility
    /// Whether it can fail for a row: nothing that can fail is evaluated for rows that do not reach it.
    public let canFail: Bool
    package let kernel: Kernel
    /// What to do instead, for a line that is known and not there yet.
    var refusal: String?

    /// `name(type, type)`, the line's key in the cost table.
    public var signature: String {
        "\(name)(\(arguments.map(\.name).joined(separator: ", "))\(takesMore ? ", ..." : ""))"
    }

    public var isOperator: Bool { !(name.first!.isLetter || name.first! == "_") }
}

extension Overload: Hashable {
    /// The table has each signature once; casts differ in their results.
    public static func == (left: Overload, right: Overload) -> Bool {
        left.name == right.name && left.arguments == right.arguments && left.result == right.result
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(arguments)
        hasher.combine(result)
    }
}
