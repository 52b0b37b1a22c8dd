// Which overload a call means: PostgreSQL's rules (parse_func.c, parse_oper.c), step by step.
//
// 1. An overload with exactly these types; for an operator a literal of unknown type counts as the other side's type.
// 2. Those whose types the arguments become by themselves; one left: that.
// 3. Those with the most exact matches; then those with the most matches that are exact or the preferred type of the
//    argument's category.
// 4. For literals: the string category if one accepts it, else the one category that all accept; a preferred type there wins.
// 5. If all known arguments have one type, the literals are taken for it.
// What is then still several is ambiguous, as it is there.

struct Resolution {
    let candidates: [Overload]
    let types: [SQLType]

    enum Answer {
        case one(Overload)
        case none
        case several([Overload])
    }

    func answer(isOperator: Bool) -> Answer {
        let fitting = candidates.filter { $0.takesMore ? $0.arguments.count < types.count : $0.arguments.count == types.count }
        if isOperator && types.count == 2 && types.contains(.unknown) && types != [.unknown, .unknown] {
            let known = types.first { $0 != .unknown }!
            if let exact = fitting.first(where: { $0.arguments == [known, known] }) { return .one(exact) }
        }
        if let exact = fitting.first(where: { $0.arguments == types }) { return .one(exact) }
        let able = fitting.filter { overload in
            zip(types, overload.arguments).allSatisfy { TypeRules.coerces($0, to: $1) }
        }
        if able.count <= 1 { return able.first.map { .one($0) } ?? .none }
        return select(able)
    }

    private func select(_ able: [Overload]) -> Answer {
        let known = types.indices.filter { types[$0] != .unknown }
        var left = best(able) { overload in known.count { at(overload, $0) == types[$0] } }
        if left.count == 1 { return .one(left[0]) }
        left = best(left) { overload in
            known.count { place in
                let type = at(overload, place)
                return type == types[place] || (type.category == types[place].category && type.isPreferred)
            }
        }
        if left.count == 1 { return .one(left[0]) }
        let unknown = types.indices.filter { types[$0] == .unknown }
        if unknown.isEmpty { return .several(left) }
        if let kept = byCategory(left, unknown) {
            left = kept
            if left.count == 1 { return .one(left[0]) }
        }
        let kinds = Set(known.map { types[$0] })
        if kinds.count == 1, let type = kinds.first {
            let taking = left.filter { overload in unknown.allSatisfy { TypeRules.coerces(type, to: at(overload, $0)) } }
            if taking.count == 1 { return .one(taking[0]) }
        }
        return .several(left)
    }

    /// The candidates left when each literal's category is decided; nil where it cannot be.
    private func byCategory(_ candidates: [Overload], _ unknown: [Int]) -> [Overload]? {
        var wanted: [(place: Int, category: TypeCategory, preferred: Bool)] = []
        for place in unknown {
            let kinds = Set(candidates.map { at($0, place).category })
            let category: TypeCategory
            if kinds.contains(.string) {
                category = .string
            } else if kinds.count == 1 {
                category = kinds.first!
            } else {
                return nil
            }
            let preferred = candidates.contains { at($0, place).category == category && at($0, place).isPreferred }
            wanted.append((place, category, preferred))
        }
        let kept = candidates.filter { overload in
            wanted.allSatisfy { want in
                let type = at(overload, want.place)
                return type.category == want.category && (!want.preferred || type.isPreferred)
            }
        }
        return kept.isEmpty ? nil : kept
    }

    private func at(_ overload: Overload, _ place: Int) -> SQLType {
        place < overload.arguments.count ? overload.arguments[place] : types[place]
    }

    /// Those with the highest score.
    private func best(_ candidates: [Overload], _ score: (Overload) -> Int) -> [Overload] {
        let scores = candidates.map(score)
        let highest = scores.max()!
        return zip(candidates, scores).filter { $0.1 == highest }.map(\.0)
    }
}
