// What is known of a relation without looking at a row: whether rows only come, which columns are a key, whether it is one row at most.
//
// Facts are proofs: a fact that is not derived may still hold, one that is derived must. Sinks rely on them (a key that is not one would lose
// rows), so does every subquery that stands for a value.

import Values

extension Relation {
    /// At most one row.
    package var isOneRow: Bool {
        switch kind {
        case .values(let rows): rows.count <= 1
        case .aggregate(_, let keys, _): keys.isEmpty
        case .top(let inner, let keys, _, let count): (keys.isEmpty && count == 1) || inner.isOneRow
        case .filter(let inner, _), .project(let inner, _), .distinct(let inner), .ranked(let inner, _): inner.isOneRow
        case .join(.semi, let left, _, _), .join(.anti, let left, _, _): left.isOneRow
        // Two rows that are no partners leave a full join as two.
        case .join(.full, _, _, _): false
        case .join(_, let left, let right, _): left.isOneRow && right.isOneRow
        case .scan, .union, .windowed: false
        }
    }

    /// What makes changes: an operator whose rows may be taken back, in words; nil where rows only come.
    public var changing: String? {
        switch kind {
        case .scan(let table):
            // Only beside a stream does a lookup table stand still.
            table.isLookup
                ? "lookup table \"\(table.name)\", of which new versions come"
                : table.options[.mode] == "upsert" ? "table \"\(table.name)\", whose rows are replaced" : nil
        case .values: nil
        case .filter(let inner, _), .project(let inner, _), .distinct(let inner): inner.changing
        case .windowed(let inner, let window): inner.changing ?? (window.isSession ? "a session, which grows with its rows" : nil)
        case .aggregate(let inner, let keys, _): inner.changing ?? (keys.isEmpty ? "an aggregate over all rows" : "GROUP BY, whose groups grow")
        case .top: "LIMIT or DISTINCT ON, whose rows give way to others"
        case .ranked: "a rank, which changes when other rows come"
        case .union(let left, let right): left.changing ?? right.changing
        case .join(let type, let left, let right, _):
            // A row of a lookup table is met or not when the other row comes, and that stays.
            if right.isLookup && type != .right && type != .full {
                left.changing
            } else if left.isLookup && (type == .inner || type == .right) {
                right.changing
            } else {
                left.changing ?? right.changing
                    ?? (type == .inner || type == .semi
                        ? nil : "\(type == .anti ? "NOT EXISTS" : "a \(type.rawValue) join"), whose rows without a partner find one later")
            }
        }
    }

    /// Rows of a lookup table that a row of a stream meets as they are in its batch.
    var isLookup: Bool {
        switch kind {
        case .scan(let table): table.isLookup && table.options[.changes] != "true"
        case .filter(let inner, _), .project(let inner, _): inner.isLookup
        default: false
        }
    }

    /// Sets of columns of which no two rows have equal values.
    public var keys: [Set<Int>] {
        switch kind {
        case .scan(let table): return (table.key.isEmpty ? [] : [Set(table.key)]) + table.coordinates
        case .values(let rows): return rows.count <= 1 ? [[]] : []
        case .filter(let inner, _), .join(.semi, let inner, _, _), .join(.anti, let inner, _, _): return inner.keys
        case .project(let inner, let expressions):
            return inner.keys.compactMap { key in
                let places = key.map { column in expressions.firstIndex { $0.sameAsColumn == column } }
                return places.contains(nil) ? nil : Set(places.compactMap(\.self))
            }
        case .aggregate(_, let keys, _): return [Set(keys.indices)]
        case .distinct(let inner): return inner.keys + [Set(columns.indices)]
        case .top(let inner, let keys, _, let count):
            let own = keys.compactMap { if case .column(let number, _) = $0 { number } else { nil } }
            return inner.keys + (count == 1 && own.count == keys.count ? [Set(own)] : [])
        case .ranked(let inner, _): return inner.keys
        case .windowed(let inner, let window):
            if case .tumble = window.shape { return inner.keys }
            return inner.keys.map { $0.union([inner.columns.count, inner.columns.count + 1]) }
        case .union: return []
        case .join(let type, let left, let right, let condition): return Self.joinKeys(type, left, right, condition)
        }
    }

    /// The keys of both sides together; one side's alone where each of its rows meets one row of the other at most.
    ///
    /// A full join gives rows with NULLs for either side. Two of those are alike where the keys of both are NULL, so one column must be
    /// that never is.
    private static func joinKeys(_ type: JoinType, _ left: Relation, _ right: Relation, _ condition: BoundExpression?) -> [Set<Int>] {
        let width = left.columns.count
        let equal =
            condition?.conjuncts.compactMap { conjunct -> (Int, Int)? in
                guard case .call(let overload, let sides, _) = conjunct, overload.name == "=", sides.count == 2, case .column(let a, let type) = sides[0],
                    case .column(let b, let other) = sides[1], type == other || (type.isInteger && other.isInteger)
                else { return nil }
                return a < width && b >= width ? (a, b - width) : b < width && a >= width ? (b, a - width) : nil
            } ?? []
        let rightKeys = right.keys
        let leftKeys = left.keys
        let rightIsUnique = right.isOneRow || rightKeys.contains { $0.isSubset(of: equal.map(\.1)) }
        let leftIsUnique = left.isOneRow || leftKeys.contains { $0.isSubset(of: equal.map(\.0)) }
        var keys: [Set<Int>] = []
        if rightIsUnique && (type == .inner || type == .left) { keys += leftKeys }
        if leftIsUnique && (type == .inner || type == .right) { keys += rightKeys.map { Set($0.map { $0 + width }) } }
        for leftKey in leftKeys {
            for rightKey in rightKeys
            where type != .full || leftKey.contains(where: { !left.columns[$0].isNullable }) || rightKey.contains(where: { !right.columns[$0].isNullable }) {
                keys.append(leftKey.union(rightKey.map { $0 + width }))
            }
        }
        return keys
    }
}

extension BoundExpression {
    /// The column whose values it tells apart: itself, or under a wider type of whole numbers.
    var sameAsColumn: Int? {
        switch self {
        case .column(let number, _): return number
        case .call(let overload, let arguments, _) where overload.name == "cast" && arguments.count == 1:
            let widths: [SQLType] = [.int2, .int4, .int8, .numeric]
            guard let from = widths.firstIndex(of: arguments[0].type), let to = widths.firstIndex(of: overload.result), from <= to else { return nil }
            return arguments[0].sameAsColumn
        default: return nil
        }
    }
}

extension SQLType {
    /// Integers of all widths are equal as numbers. Times of different types are not one to one: two local times may be one moment.
    fileprivate var isInteger: Bool { self == .int2 || self == .int4 || self == .int8 }
}

extension TimeWindow {
    var isSession: Bool { if case .session = shape { true } else { false } }
}

extension TableDefinition {
    /// Where a record stands tells it from every other one of its topic, or of its topics.
    fileprivate var coordinates: [Set<Int>] {
        guard connector == .kafka else { return [] }
        let names = readable.map(\.name)
        let parts = (isOneTopic ? [] : ["source_topic"]) + ["source_partition", "source_offset"]
        return [Set(parts.compactMap { names.lastIndex(of: $0) })]
    }

    /// False where it may be several topics: a list, or a pattern.
    private var isOneTopic: Bool {
        options[.topic]?.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        } ?? false
    }

    /// Looked up by other rows instead of being a stream of its own.
    package var isLookup: Bool { options[.mode] == "lookup" || (options[.mode] == nil && (connector == .postgres || connector == .sqlite)) }
}
