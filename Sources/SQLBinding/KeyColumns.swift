// A view whose rows change is a keyed table: key columns that its query does not select are kept behind its own, as `key_1`, `key_2`, ...
//
// They are carried from where the key is known up through what stands above it, always behind the columns that are there, so that no number
// changes for whoever reads the relation. A UNION ALL has no key that columns could carry.

import Values

extension Relation {
    /// The relation with a key among its columns, behind them those that it lacked; nil where no key can be derived.
    func withKey() -> Relation? {
        guard let relation = carryingKey() else { return nil }
        let names = Set(columns.map(\.name))
        var further = (1...).lazy.map { "key_\($0)" }.filter { !names.contains($0) }.makeIterator()
        return relation.renamed(relation.columns.indices.map { $0 < columns.count ? columns[$0].name : further.next() ?? "" })
    }

    private func carryingKey() -> Relation? {
        if !keys.isEmpty { return self }
        switch kind {
        case .scan, .values, .aggregate, .distinct, .union: return nil
        case .filter(let inner, let condition): return inner.carryingKey()?.filtered(condition)
        case .top(let inner, let keys, let order, let count): return inner.carryingKey()?.top(keys: keys, order: order, count: count)
        case .windowed(let inner, let window): return inner.carryingKey().map { $0.windowed(window).moved(inner.columns.count..<$0.columns.count, over: 2) }
        case .ranked(let inner, let calls): return inner.carryingKey().map { $0.ranked(calls).moved(inner.columns.count..<$0.columns.count, over: calls.count) }
        case .project(let inner, let expressions):
            guard let inner = inner.carryingKey(), let key = inner.shortestKey() else { return nil }
            let missing = key.filter { column in !expressions.contains { $0.sameAsColumn == column } }
            return inner.projected(
                zip(expressions, columns).map { ($0, $1.name) } + missing.map { (.column($0, inner.columns[$0].type), "") })
        case .join(let type, let left, let right, let condition):
            guard let wide = left.carryingKey(), let other = type == .semi || type == .anti ? right : right.carryingKey() else { return nil }
            let (width, added) = (left.columns.count, wide.columns.count - left.columns.count)
            let joined = wide.joined(type, other, on: condition?.mapColumns { .column($0 < width ? $0 : $0 + added, $1) })
            return (type == .semi || type == .anti ? joined : joined.moved(width..<wide.columns.count, over: right.columns.count)).ifKeyed
        }
    }

    private var ifKeyed: Relation? { keys.isEmpty ? nil : self }

    /// The shortest of the keys that lie within some columns, of those the first by its columns.
    package func shortestKey(within shown: Set<Int>? = nil) -> [Int]? {
        keys.filter { shown.map($0.isSubset) ?? true }.map { $0.sorted() }.min { $0.count != $1.count ? $0.count < $1.count : $0.lexicographicallyPrecedes($1) }
    }

    /// The columns of a range moved behind those that follow it.
    private func moved(_ range: Range<Int>, over count: Int) -> Relation {
        if range.isEmpty { return self }
        let next = range.upperBound..<range.upperBound + count
        let order = Array(0..<range.lowerBound) + Array(next) + Array(range) + Array(next.upperBound..<columns.count)
        return projected(order.map { (.column($0, columns[$0].type), columns[$0].name) })
    }
}
