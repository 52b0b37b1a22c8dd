// Which type becomes which without being asked: PostgreSQL's implicit and assignment casts, and the common type of several.

/// When a cast may be taken.
public enum CastContext: Int, Sendable, Comparable {
    /// In any expression.
    case implicit
    /// For a value that goes into a column.
    case assignment
    /// By CAST or `::`.
    case explicit

    public static func < (left: CastContext, right: CastContext) -> Bool { left.rawValue < right.rawValue }
}

public enum TypeRules {
    /// The types that a value becomes by itself.
    static func implicitTargets(of type: SQLType) -> [SQLType] {
        switch type {
        case .int2: [.int4, .int8, .float4, .float8, .numeric]
        case .int4: [.int8, .float4, .float8, .numeric]
        case .int8: [.float4, .float8, .numeric]
        case .numeric: [.float4, .float8]
        case .float4: [.float8]
        case .date: [.timestamp, .timestamptz]
        case .timestamp: [.timestamptz]
        case .time: [.interval]
        default: []
        }
    }

    /// Whether a value of `source` can stand where `target` is wanted. A literal can stand everywhere: its text is read.
    public static func coerces(_ source: SQLType, to target: SQLType) -> Bool {
        source == target || source == .unknown || implicitTargets(of: source).contains(target)
    }

    /// The type in which all of `types` meet: in CASE, COALESCE, GREATEST, IN, VALUES, UNION.
    /// - Throws: where two of them are of different categories, or none becomes the other.
    public static func common(_ types: [SQLType], in construct: String) throws(BindError) -> SQLType {
        guard var chosen = types.first(where: { $0 != .unknown }) else { return .text }
        for type in types where type != .unknown && type != chosen {
            guard type.category == chosen.category else { throw mismatch(chosen, type, construct) }
            if !chosen.isPreferred && coerces(chosen, to: type) && !coerces(type, to: chosen) { chosen = type }
        }
        for type in types where !coerces(type, to: chosen) { throw mismatch(chosen, type, construct) }
        return chosen
    }

    private static func mismatch(_ a: SQLType, _ b: SQLType, _ construct: String) -> BindError {
        BindError(
            "\(construct) types \(a.name) and \(b.name) cannot be matched", why: "neither becomes the other by itself",
            now: "cast one of them to the type that is meant")
    }
}
