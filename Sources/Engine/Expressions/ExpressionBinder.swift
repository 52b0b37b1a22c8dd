// From names to slots and types: checks an expression against the columns that are there, before the first row.
//
// A scope lists the columns by name with the slot of the `Frame` in which their values will be found. Binding resolves
// names, infers types, widens int64 to float64 where they meet, reads a text literal as a time where it meets a
// time, and refuses everything else with the field and the valid choices in the message. After that kernels may
// trust the types: a mismatch there is a defect of ours.

/// One column that an expression may name.
package struct ScopeColumn: Sendable {
    package var name: String
    package var slot: Int
    package var type: ValueType
    package var nullable: Bool
}

/// An expression over slots, typed.
struct BoundExpression: Sendable {
    indirect enum Node: Sendable {
        case slot(Int)
        case literal(Value)
        /// Both sides have the same type.
        case compare(Comparison, BoundExpression, BoundExpression)
        case compareLiteral(Comparison, BoundExpression, Value)
        case integer(Arithmetic, BoundExpression, BoundExpression)
        case float(Arithmetic, BoundExpression, BoundExpression)
        case and(BoundExpression, BoundExpression)
        case or(BoundExpression, BoundExpression)
        case not(BoundExpression)
        case isNull(BoundExpression)
        /// The first value, NULL where the second expression (a comparison) is true.
        case nullWhere(BoundExpression, BoundExpression)
        case intToFloat(BoundExpression)
        case floatToInt(BoundExpression)
        case boolToInt(BoundExpression)
        /// int64 and timestamp are the same numbers; a number that is no time of a row becomes NULL.
        case retype(BoundExpression)
        case tumble(BoundExpression, lengthMillis: Int64)
    }
    var node: Node
    var type: ValueType
    var nullable: Bool

    /// Whether the value may be NULL because of what it is made from, and not only where a result does not fit its type.
    /// - Parameter isNullable: whether the slot may be NULL in that sense.
    func isNullable(_ isNullable: (Int) -> Bool) -> Bool {
        switch node {
        case .slot(let slot): return isNullable(slot)
        case .literal, .isNull: return false
        case .nullWhere: return true
        case .compareLiteral(_, let inner, _), .not(let inner), .intToFloat(let inner), .floatToInt(let inner),
            .boolToInt(let inner), .retype(let inner), .tumble(let inner, _):
            return inner.isNullable(isNullable)
        case .compare(_, let left, let right), .integer(_, let left, let right), .float(_, let left, let right),
            .and(let left, let right), .or(let left, let right):
            return left.isNullable(isNullable) || right.isNullable(isNullable)
        }
    }

    /// The slots that are not NULL in any row for which this condition is true.
    func slotsKnown(_ body: (Int) -> Void) {
        switch node {
        case .and(let left, let right):
            left.slotsKnown(body)
            right.slotsKnown(body)
        case .not(let inner):
            if case .isNull(let value) = inner.node, case .slot(let slot) = value.node { body(slot) }
        case .compareLiteral(_, let inner, _):
            if case .slot(let slot) = inner.node { body(slot) }
        case .compare(_, let left, let right):
            for side in [left, right] { if case .slot(let slot) = side.node { body(slot) } }
        case .slot, .literal, .integer, .float, .or, .isNull, .nullWhere, .intToFloat, .floatToInt, .boolToInt, .retype,
            .tumble:
            break
        }
    }

    /// Every slot that the expression reads.
    func visitSlots(_ body: (Int) -> Void) {
        switch node {
        case .slot(let slot): body(slot)
        case .literal: break
        case .compareLiteral(_, let inner, _), .not(let inner), .isNull(let inner), .intToFloat(let inner),
            .floatToInt(let inner), .boolToInt(let inner), .retype(let inner), .tumble(let inner, _):
            inner.visitSlots(body)
        case .compare(_, let left, let right), .integer(_, let left, let right), .float(_, let left, let right),
            .and(let left, let right), .or(let left, let right), .nullWhere(let left, let right):
            left.visitSlots(body)
            right.visitSlots(body)
        }
    }
}

struct ExpressionBinder {
    var scope: [ScopeColumn]
    /// Where the expression stands, for messages: "the filter", "column views".
    var place: String

    func bind(_ expression: Expression) throws -> BoundExpression {
        switch expression {
        case .named(let inner, _): return try bind(inner)
        case .column(let name):
            guard let column = scope.last(where: { $0.name == name }) else {
                throw mismatch(
                    "\(place) names the column \(name)", why: "there is no such column",
                    now: "use one of: \(scope.map(\.name).joined(separator: ", "))")
            }
            return BoundExpression(node: .slot(column.slot), type: column.type, nullable: column.nullable)
        case .literal(let value): return try literal(value)
        case .compare(let comparison, let left, let right): return try compare(comparison, left, right)
        case .arithmetic(let operation, let left, let right): return try arithmetic(operation, left, right)
        case .and(let left, let right):
            let sides = (try bool(left), try bool(right))
            return BoundExpression(
                node: .and(sides.0, sides.1), type: .bool, nullable: sides.0.nullable || sides.1.nullable)
        case .or(let left, let right):
            let sides = (try bool(left), try bool(right))
            return BoundExpression(
                node: .or(sides.0, sides.1), type: .bool, nullable: sides.0.nullable || sides.1.nullable)
        case .not(let inner):
            let bound = try bool(inner)
            return BoundExpression(node: .not(bound), type: .bool, nullable: bound.nullable)
        case .isNull(let inner): return BoundExpression(node: .isNull(try bind(inner)), type: .bool, nullable: false)
        case .nullIf(let value, let other):
            let bound = try bind(value)
            let condition = try compare(.equal, value, other)
            return BoundExpression(node: .nullWhere(bound, condition), type: bound.type, nullable: true)
        case .cast(let inner, let type): return try cast(try bind(inner), to: type, inner)
        case .tumble(let inner, let lengthMillis):
            let bound = try bind(inner)
            guard bound.type == .timestamp else {
                throw mismatch(
                    "\(place) puts \(inner) into windows", why: "it is \(bound.type.rawValue), not a timestamp",
                    now: "use a column of type timestamp: \(names(of: .timestamp))")
            }
            guard (1...longestSpanMillis).contains(lengthMillis) else {
                throw mismatch(
                    "\(place) asks for windows of \(formatDuration(lengthMillis))",
                    why: "a window is at least one millisecond and at most 100 years long", now: "give another length")
            }
            return BoundExpression(
                node: .tumble(bound, lengthMillis: lengthMillis), type: .timestamp, nullable: bound.nullable)
        }
    }

    /// Binds a condition.
    func bool(_ expression: Expression) throws -> BoundExpression {
        let bound = try bind(expression)
        guard bound.type == .bool else {
            throw mismatch(
                "\(place) uses \(expression) as a condition", why: "it is \(bound.type.rawValue), not bool",
                now: "compare it with something, as in \(expression) == ...")
        }
        return bound
    }

    private func literal(_ value: Value) throws -> BoundExpression {
        let type: ValueType
        switch value {
        case .null:
            throw mismatch(
                "\(place) uses NULL as a value", why: "a bare NULL has no type", now: "use isNull or nullIf")
        case .int64: type = .int64
        case .timestamp: type = .timestamp
        case .float64: type = .float64
        case .bool: type = .bool
        case .text(let text):
            guard !text.utf8.contains(0) else {
                throw mismatch(
                    "\(place) uses a text with the character U+0000", why: "no record can hold it, and PostgreSQL cannot store it",
                    now: "write the text without it")
            }
            type = .text
        }
        return BoundExpression(node: .literal(value), type: type, nullable: false)
    }

    private func compare(_ comparison: Comparison, _ left: Expression, _ right: Expression) throws -> BoundExpression {
        var (a, b) = (try bind(left), try bind(right))
        a = try readAsTime(a, meeting: b)
        b = try readAsTime(b, meeting: a)
        if a.type == .int64, b.type == .float64 { a = widened(a) }
        if b.type == .int64, a.type == .float64 { b = widened(b) }
        guard a.type == b.type else {
            throw mismatch(
                "\(place) compares \(left) with \(right)",
                why: "\(left) is \(a.type.rawValue) and \(right) is \(b.type.rawValue)",
                now: "compare values of one type, or cast one of them")
        }
        if a.type == .bool, comparison != .equal, comparison != .notEqual {
            throw mismatch(
                "\(place) orders \(left) and \(right)", why: "bool values have no order", now: "use == or !=")
        }
        let nullable = a.nullable || b.nullable
        if case .literal(let value) = b.node {
            return BoundExpression(node: .compareLiteral(comparison, a, value), type: .bool, nullable: nullable)
        }
        if case .literal(let value) = a.node {
            return BoundExpression(node: .compareLiteral(comparison.mirrored, b, value), type: .bool, nullable: nullable)
        }
        return BoundExpression(node: .compare(comparison, a, b), type: .bool, nullable: nullable)
    }

    private func arithmetic(_ operation: Arithmetic, _ left: Expression, _ right: Expression) throws -> BoundExpression {
        let (a, b) = (try bind(left), try bind(right))
        let nullable = a.nullable || b.nullable
        switch (a.type, b.type) {
        case (.int64, .int64):
            return BoundExpression(node: .integer(operation, a, b), type: .int64, nullable: true)
        case (.float64, .float64), (.float64, .int64), (.int64, .float64):
            return BoundExpression(
                node: .float(operation, widened(a), widened(b)), type: .float64,
                nullable: nullable || operation == .divide)
        case (.timestamp, .int64) where operation == .add || operation == .subtract,
            (.int64, .timestamp) where operation == .add:
            return BoundExpression(node: .integer(operation, a, b), type: .timestamp, nullable: true)
        case (.timestamp, .timestamp) where operation == .subtract:
            return BoundExpression(node: .integer(operation, a, b), type: .int64, nullable: true)
        default:
            throw mismatch(
                "\(place) computes \(left) \(operation.rawValue) \(right)",
                why: "\(left) is \(a.type.rawValue) and \(right) is \(b.type.rawValue)",
                now: "use int64 or float64 values; a time takes + and - of milliseconds")
        }
    }

    private func cast(_ inner: BoundExpression, to type: ValueType, _ written: Expression) throws -> BoundExpression {
        let node: BoundExpression.Node
        var nullable = inner.nullable
        switch (inner.type, type) {
        case (let from, let to) where from == to: return inner
        case (.int64, .float64): node = .intToFloat(inner)
        case (.float64, .int64):
            node = .floatToInt(inner)
            nullable = true
        case (.int64, .timestamp):
            node = .retype(inner)
            nullable = true
        case (.timestamp, .int64): node = .retype(inner)
        case (.bool, .int64): node = .boolToInt(inner)
        default:
            throw mismatch(
                "\(place) casts \(written) to \(type.rawValue)",
                why: "\(inner.type.rawValue) cannot be cast to \(type.rawValue)",
                now: "these casts are known: int64 to float64 and back, int64 to timestamp and back, bool to int64")
        }
        return BoundExpression(node: node, type: type, nullable: nullable)
    }

    private func widened(_ bound: BoundExpression) -> BoundExpression {
        guard bound.type == .int64 else { return bound }
        if case .literal(.int64(let value)) = bound.node {
            return BoundExpression(node: .literal(.float64(Double(value))), type: .float64, nullable: false)
        }
        return BoundExpression(node: .intToFloat(bound), type: .float64, nullable: bound.nullable)
    }

    private func readAsTime(_ bound: BoundExpression, meeting other: BoundExpression) throws -> BoundExpression {
        guard other.type == .timestamp, case .literal(.text(let text)) = bound.node else { return bound }
        guard let millis = parseTime(text), millis.isRowTime else {
            throw mismatch(
                "\(place) compares a time with \"\(text)\"", why: "that is not a time of the years 1 to 9999",
                now: "write it as 2026-03-01T12:00:00Z")
        }
        return BoundExpression(node: .literal(.timestamp(millis)), type: .timestamp, nullable: false)
    }

    private func names(of type: ValueType) -> String {
        let names = scope.filter { $0.type == type }.map(\.name)
        return names.isEmpty ? "there is none" : names.joined(separator: ", ")
    }

    private func mismatch(_ what: String, why: String, now: String) -> Failure {
        Failure(.schemaMismatch, what, why: why, now: now)
    }
}
