// Typed expressions out of names and parts: what a binder calls, node by node, while it walks a parsed statement.
//
// Each function takes bound parts and gives a bound expression, or says what does not fit. It finds the overload, reads the text
// of literals as the type that is wanted, puts casts where PostgreSQL would, and brings branches to their common type. Names are
// PostgreSQL's inner ones (`~~` is LIKE, `timezone` AT TIME ZONE, `btrim` TRIM), as its parser gives them.

/// Makes bound expressions.
public struct ExpressionBuilder: Sendable {
    public let context: EvaluationContext
    private let table = FunctionTable.shared

    /// - Parameter context: the session's zone, in which literals of timestamptz are read.
    public init(context: EvaluationContext = EvaluationContext()) { self.context = context }

    // MARK: leaves

    /// A literal in quotes, whose type its use will say.
    public func literal(_ text: String) -> BoundExpression { .constant(.text(text), .unknown) }

    /// NULL, whose type its use will say.
    public var null: BoundExpression { .constant(.null, .unknown) }

    /// A number as it stands in the text: int4, int8 where that is too small, numeric for everything else.
    public func number(_ text: String, at position: Int) throws(BindError) -> BoundExpression {
        if let value = Int32(text) { return .constant(.word(Int64(value)), .int4) }
        if let value = Int64(text) { return .constant(.word(value), .int8) }
        return try read(text, as: .numeric, at: position)
    }

    public func bool(_ value: Bool) -> BoundExpression { .constant(.bool(value), .bool) }

    // MARK: calls

    /// A call of a function or an operator with one or two sides.
    /// - Parameter name: in lower case, or the operator's sign.
    public func call(_ name: String, _ arguments: [BoundExpression], at position: Int) throws(BindError) -> BoundExpression {
        do {
            if arguments.count == 1, table.overloads(name).isEmpty, let type = try? SQLType.named(name) {
                return try cast(arguments[0], to: type, at: position)
            }
            if name == "||", let texts = try asTexts(arguments, at: position) { return try call(name, texts, at: position) }
            let overload = try table.resolve(name: name, arguments: arguments.map(\.type))
            var sides: [BoundExpression] = []
            for (place, argument) in arguments.enumerated() {
                if place < overload.arguments.count {
                    sides.append(try coerce(argument, to: overload.arguments[place], context: .implicit, at: position))
                } else {
                    sides.append(try outputText(argument, at: position))
                }
            }
            return .call(overload, sides, at: position)
        } catch {
            throw error.at(position)
        }
    }

    /// `||` of a text and a value of another type takes the value's text, as PostgreSQL's `anynonarray` lines do; nil where it means
    /// something else.
    private func asTexts(_ sides: [BoundExpression], at position: Int) throws(BindError) -> [BoundExpression]? {
        guard sides.count == 2 else { return nil }
        let types = sides.map(\.type)
        guard types[0] != types[1], types.contains(.text), !types.contains(.unknown) else {
            // A literal beside a number is a text; beside bytea and jsonb it is one of these.
            guard types.contains(.unknown), let other = types.first(where: { $0 != .unknown }), ![.text, .bytea, .jsonb].contains(other), other.category != .array else {
                return nil
            }
            return [try cast(sides[0], to: .text, at: position), try cast(sides[1], to: .text, at: position)]
        }
        if types.contains(where: { $0.category == .array || $0.category == .composite }) { return nil }
        return [try cast(sides[0], to: .text, at: position), try cast(sides[1], to: .text, at: position)]
    }

    /// CAST(value AS type) and `value::type`.
    public func cast(
        _ value: BoundExpression, to type: SQLType, modifier: TypeModifier = .none, at position: Int
    ) throws(BindError) -> BoundExpression {
        try fit(try coerce(value, to: type, context: .explicit, at: position), modifier, context: .explicit, at: position)
    }

    /// A value for a column of `type`: what INSERT does.
    public func assign(
        _ value: BoundExpression, to type: SQLType, modifier: TypeModifier = .none, at position: Int
    ) throws(BindError) -> BoundExpression {
        try fit(try coerce(value, to: type, context: .assignment, at: position), modifier, context: .assignment, at: position)
    }

    /// The value under `type`, where `context` allows the cast.
    public func coerce(
        _ value: BoundExpression, to type: SQLType, context castContext: CastContext, at position: Int
    ) throws(BindError) -> BoundExpression {
        if value.type == type { return value }
        if case .constant(let datum, .unknown) = value {
            switch datum {
            case .text(let text): return try read(text, as: type, at: position)
            default: return .constant(.null, type)
            }
        }
        if value.type == .unknown { return try coerce(try coerce(value, to: .text, context: castContext, at: position), to: type, context: .explicit, at: position) }
        guard let cast = Casts.find(from: value.type, to: type), cast.context <= castContext else {
            throw BindError(
                "a \(value.type.name) cannot become a \(type.name) here",
                why: Casts.find(from: value.type, to: type) == nil ? "there is no such cast" : "this cast must be asked for",
                now: Casts.find(from: value.type, to: type) == nil ? "use a value of type \(type.name)" : "write CAST(... AS \(type.name))",
                at: position)
        }
        return .call(cast.overload, [value], at: position)
    }

    /// The value brought to the length that a type name says.
    private func fit(
        _ value: BoundExpression, _ modifier: TypeModifier, context castContext: CastContext, at position: Int
    ) throws(BindError) -> BoundExpression {
        func constants(_ numbers: Int...) -> [BoundExpression] { numbers.map { .constant(.word(Int64($0)), .int4) } }
        switch modifier {
        case .none: return value
        case .digits(let precision, let scale):
            return .call(Casts.fitDigits, [value] + constants(precision, scale), at: position)
        case .length(let length):
            return .call(castContext == .explicit ? Casts.cutLength : Casts.fitLength, [value] + constants(length), at: position)
        case .fraction(let digits):
            guard let overload = Casts.fitFraction(of: value.type) else { return value }
            return .call(overload, [value] + constants(digits), at: position)
        }
    }

    /// The value as its type's output writes it; `true` is `t`.
    private func outputText(_ value: BoundExpression, at position: Int) throws(BindError) -> BoundExpression {
        if value.type == .unknown || value.type == .text { return try coerce(value, to: .text, context: .implicit, at: position) }
        return .call(Casts.output(of: value.type), [value], at: position)
    }

    /// A literal's text as a value.
    private func read(_ text: String, as type: SQLType, at position: Int) throws(BindError) -> BoundExpression {
        do {
            return .constant(try TypeText.read(text, as: type, context: context), type)
        } catch {
            throw BindError(
                "the literal '\(text)' is no \(type.name)", why: error.message, now: "write it as PostgreSQL reads a \(type.name)",
                at: position)
        }
    }

    // MARK: what the grammar has words for

    /// The items are reached from left to right.
    public func and(_ items: [BoundExpression], at position: Int) throws(BindError) -> BoundExpression {
        var sides: [BoundExpression] = []
        for item in items { sides.append(try condition(item, of: "AND", at: position)) }
        return Self.balanced(sides[...]) { .and($0, $1) }
    }

    public func or(_ items: [BoundExpression], at position: Int) throws(BindError) -> BoundExpression {
        var sides: [BoundExpression] = []
        for item in items { sides.append(try condition(item, of: "OR", at: position)) }
        return Self.balanced(sides[...]) { .or($0, $1) }
    }

    /// Many items in a tree of little depth, in their order: a list of ten thousand must not need as many calls deep.
    private static func balanced(
        _ items: ArraySlice<BoundExpression>, _ join: (BoundExpression, BoundExpression) -> BoundExpression
    ) -> BoundExpression {
        if items.count == 1 { return items[items.startIndex] }
        let middle = items.startIndex + (items.count + 1) / 2
        return join(balanced(items[..<middle], join), balanced(items[middle...], join))
    }

    public func not(_ value: BoundExpression, at position: Int) throws(BindError) -> BoundExpression {
        .not(try condition(value, of: "NOT", at: position))
    }

    /// A condition: of AND, WHERE, CASE and others.
    public func condition(_ value: BoundExpression, of construct: String, at position: Int) throws(BindError) -> BoundExpression {
        guard value.type == .bool || value.type == .unknown else {
            throw BindError(
                "the argument of \(construct) is \(value.type.name)", why: "a condition is boolean",
                now: "compare it with something, or cast it to boolean", at: position)
        }
        return try coerce(value, to: .bool, context: .implicit, at: position)
    }

    public func test(_ value: BoundExpression, _ test: BoundExpression.Test, at position: Int) throws(BindError) -> BoundExpression {
        switch test {
        case .null, .notNull: .test(value.type == .unknown ? try coerce(value, to: .text, context: .implicit, at: position) : value, test)
        case .isTrue, .isNotTrue, .isFalse, .isNotFalse: .test(try condition(value, of: "IS TRUE", at: position), test)
        }
    }

    /// IS DISTINCT FROM; NOT of it is IS NOT DISTINCT FROM.
    public func distinct(_ left: BoundExpression, _ right: BoundExpression, at position: Int) throws(BindError) -> BoundExpression {
        let sides = try compared(left, right, at: position)
        return .distinct(sides.0, sides.1)
    }

    public func nullIf(_ value: BoundExpression, _ other: BoundExpression, at position: Int) throws(BindError) -> BoundExpression {
        let equal = try call("=", [value, other], at: position)
        let typed = value.type == .unknown ? try coerce(value, to: .text, context: .implicit, at: position) : value
        return .nullWhere(equal, value: typed)
    }

    /// CASE; with a subject it is compared with each condition.
    public func choose(
        subject: BoundExpression? = nil, _ branches: [BoundExpression.Branch], otherwise: BoundExpression?, at position: Int
    ) throws(BindError) -> BoundExpression {
        // PostgreSQL lets ELSE say the type first.
        let type = try common((otherwise.map { [$0] } ?? []) + branches.map(\.value), in: "CASE", at: position)
        var typed: [BoundExpression.Branch] = []
        for branch in branches {
            let condition: BoundExpression =
                if let subject { try call("=", [subject, branch.condition], at: position) } else {
                    try self.condition(branch.condition, of: "CASE/WHEN", at: position)
                }
            typed.append(.init(condition: condition, value: try coerce(branch.value, to: type, context: .implicit, at: position)))
        }
        guard let otherwise else { return .choose(typed, otherwise: nil) }
        return .choose(typed, otherwise: try coerce(otherwise, to: type, context: .implicit, at: position))
    }

    public func coalesce(_ items: [BoundExpression], at position: Int) throws(BindError) -> BoundExpression {
        .coalesce(try matched(items, in: "COALESCE", at: position))
    }

    public func extreme(
        _ extreme: BoundExpression.Extreme, _ items: [BoundExpression], at position: Int
    ) throws(BindError) -> BoundExpression {
        .extreme(extreme, try matched(items, in: extreme == .greatest ? "GREATEST" : "LEAST", at: position))
    }

    /// `value IN (items)`.
    public func among(_ value: BoundExpression, _ items: [BoundExpression], at position: Int) throws(BindError) -> BoundExpression {
        // As there: all sides meet in one type where they have one, else each is compared by itself.
        var sides = [value] + items
        if let type = try? TypeRules.common(sides.map(\.type), in: "IN") {
            sides = []
            for side in [value] + items { sides.append(try coerce(side, to: type, context: .implicit, at: position)) }
            let constants = sides.dropFirst().compactMap { constant($0) }
            if constants.count == items.count && constants.count > 2 { return .among(sides[0], constants) }
        }
        var equals: [BoundExpression] = []
        for item in sides.dropFirst() { equals.append(try call("=", [sides[0], item], at: position)) }
        return try or(equals, at: position)
    }

    /// The value of an expression without columns; nil for others, and where it fails.
    public func constant(_ expression: BoundExpression) -> Datum? {
        if case .constant(let value, _) = expression { return value }
        guard expression.isConstant else { return nil }
        let errors = RowErrors()
        var results: [Vector] = []
        Program([expression], context: context, pool: BufferPool()).run([], count: 1, .all(1), into: &results, errors: errors)
        return errors.list.isEmpty ? results[0].datum(0) : nil
    }

    /// `value BETWEEN low AND high`.
    public func between(
        _ value: BoundExpression, _ low: BoundExpression, _ high: BoundExpression, at position: Int
    ) throws(BindError) -> BoundExpression {
        .and(try call(">=", [value, low], at: position), try call("<=", [value, high], at: position))
    }

    /// All items under their common type.
    public func matched(_ items: [BoundExpression], in construct: String, at position: Int) throws(BindError) -> [BoundExpression] {
        let type = try common(items, in: construct, at: position)
        var typed: [BoundExpression] = []
        for item in items { typed.append(try coerce(item, to: type, context: .implicit, at: position)) }
        return typed
    }

    private func common(_ items: [BoundExpression], in construct: String, at position: Int) throws(BindError) -> SQLType {
        do { return try TypeRules.common(items.map(\.type), in: construct) } catch { throw error.at(position) }
    }

    /// Two sides as `=` would compare them.
    private func compared(
        _ left: BoundExpression, _ right: BoundExpression, at position: Int
    ) throws(BindError) -> (BoundExpression, BoundExpression) {
        guard case .call(_, let sides, _) = try call("=", [left, right], at: position) else { preconditionFailure("a call is a call") }
        let both = try matched(sides, in: "IS DISTINCT FROM", at: position)
        return (both[0], both[1])
    }
}
