// Joins: equalities become keys, what one side alone says of its rows is asked there where it cannot fail, the rest belongs to pairs.

import SQLBinding
import Values

extension Planner {
    mutating func joined(_ type: Relation.JoinType, _ left: Relation, _ right: Relation, _ conditions: [BoundExpression], _ ask: Ask) -> Stream {
        let width = left.columns.count
        let isHalf = type == .semi || type == .anti
        func isLeft(_ expression: BoundExpression) -> Bool { expression.columns.allSatisfy { $0 < width } }
        func isRight(_ expression: BoundExpression) -> Bool { expression.columns.allSatisfy { $0 >= width } }
        func lowered(_ expression: BoundExpression) -> BoundExpression { expression.mapColumns { .column($0 - width, $1) } }

        var (leftKeys, rightKeys, meetsNull): ([BoundExpression], [BoundExpression], [Bool]) = ([], [], [])
        var (leftOnly, rightOnly, rest): ([BoundExpression], [BoundExpression], [BoundExpression]) = ([], [], [])
        for condition in conditions {
            if let (a, b, meets) = condition.equality, !a.columns.isEmpty, !b.columns.isEmpty {
                let sides = isLeft(a) && isRight(b) ? (a, b) : isLeft(b) && isRight(a) ? (b, a) : nil
                if let (a, b) = sides {
                    leftKeys.append(a)
                    rightKeys.append(lowered(b))
                    meetsNull.append(meets)
                    continue
                }
            }
            // Rows that meet nobody for it can go before they are kept, where the join does not show them alone.
            let isFree = !condition.canFail && !rest.contains { $0.canFail } && !condition.columns.isEmpty
            if isFree && isLeft(condition) && (type == .inner || type == .right || type == .semi) {
                leftOnly.append(condition)
            } else if isFree && isRight(condition) && type != .right && type != .full {
                rightOnly.append(lowered(condition))
            } else {
                rest.append(condition)
            }
        }
        var leftAsk = Ask(ask.columns.filter { $0 < width }.union((leftKeys + leftOnly + rest).flatMap(\.columns).filter { $0 < width }))
        var rightAsk = Ask(Set((rightKeys + rightOnly).flatMap(\.columns)).union(rest.flatMap(\.columns).filter { $0 >= width }.map { $0 - width }))
        if !isHalf { rightAsk.columns.formUnion(ask.columns.filter { $0 >= width }.map { $0 - width }) }
        leftAsk.isOrdered = ask.isOrdered
        rightAsk.isOrdered = ask.isOrdered && !isHalf
        let a = side(left, leftAsk, leftKeys, leftOnly)
        let b = side(right, rightAsk, rightKeys, rightOnly)

        let leftColumns = nodes[a.node].columns
        let rightColumns = nodes[b.node].columns
        // The condition over the columns that both sides keep.
        let condition = rest.map { $0.mapColumns { number, type in .column(number < width ? a.places[number]! : leftColumns.count + b.places[number - width]!, type) } }
        let joined: BoundExpression? = condition.isEmpty ? nil : condition.dropFirst().reduce(condition[0]) { .and($0, $1) }
        let leftShown = Array(Set(ask.columns.filter { $0 < width }.map { a.places[$0]! } + a.order)).sorted()
        let rightShown = isHalf ? [] : Array(Set(ask.columns.filter { $0 >= width }.map { b.places[$0 - width]! } + b.order)).sorted()
        let closings = leftKeys.indices.compactMap { index -> ClosingColumn? in
            guard let x = leftColumns[a.keys[index]].watermark, let y = rightColumns[b.keys[index]].watermark else { return nil }
            return ClosingColumn(column: index, watermark: x == y ? x : .least(x, y), judges: !a.isJudged && !b.isJudged)
        }
        let isLookup = right.isLookupSide && !nodes[a.node].kind.isChanging && [.inner, .left, .semi, .anti].contains(type)
        let plan = JoinPlan(
            type: type, left: .init(types: leftColumns.map(\.type), keys: a.keys, shown: leftShown, isChanging: nodes[a.node].kind.isChanging),
            right: .init(types: rightColumns.map(\.type), keys: b.keys, shown: rightShown, isChanging: nodes[b.node].kind.isChanging), meetsNull: meetsNull,
            condition: joined, policy: policy == .stop ? .stop : .quarantine, isLookup: isLookup,
            closing: isLookup ? nil : closings.first { $0.watermark.isWindowEnd } ?? closings.first)
        // A kept row meets partners for ever: its columns have no watermark any more, but the key that closes.
        func shown(_ columns: [PlanColumn], _ keys: [Int], _ numbers: [Int], keeps: Bool) -> [PlanColumn] {
            numbers.map { number in
                var column = columns[number]
                if keeps { return column }
                let closing = plan.closing.flatMap { keys[$0.column] == number ? $0.watermark : nil }
                column.watermark = column.watermark == nil ? nil : closing
                return column
            }
        }
        let columns = shown(leftColumns, a.keys, leftShown, keeps: isLookup) + shown(rightColumns, b.keys, rightShown, keeps: false)
        let exchange: (([Int]) -> Exchange) = { $0.isEmpty ? .single : .hash($0) }
        let bound: StateBound = plan.closing != nil ? .watermark : .grows(with: isLookup ? "the looked up rows" : "the rows of both sides")
        let node = add(
            .join(plan), [PlanInput(node: a.node, exchange: exchange(a.keys)), PlanInput(node: b.node, exchange: exchange(b.keys))], columns,
            plan.givesAppend ? .append : .changes, bound
        ) { spelling in
            spelling.add("join")
            spelling.add(type.rawValue)
            for side in [plan.left, plan.right] {
                spelling.add(described: side.keys)
                spelling.add(described: side.shown)
            }
            spelling.add(described: meetsNull)
            spelling.add(joined.map { [$0] } ?? [])
            spelling.add(plan.policy.rawValue)
            spelling.add(isLookup ? 1 : 0)
            spelling.add(plan.closing.map { $0.judges ? $0.column * 2 + 1 : $0.column * 2 } ?? -1)
        }
        var places: [Int: Int] = [:]
        for number in ask.columns {
            places[number] = number < width ? leftShown.firstIndex(of: a.places[number]!)! : leftShown.count + rightShown.firstIndex(of: b.places[number - width]!)!
        }
        let order = ask.isOrdered ? a.order.map { leftShown.firstIndex(of: $0)! } + (isHalf ? [] : b.order.map { leftShown.count + rightShown.firstIndex(of: $0)! }) : []
        return Stream(
            node: node, columns: columns, places: places, order: order, isRecord: a.isRecord && (isHalf || b.isRecord),
            isJudged: a.isJudged || b.isJudged || plan.closing?.judges == true)
    }

    private struct Side {
        let node: Int
        /// Where the relation's columns are among the node's.
        let places: [Int: Int]
        let keys: [Int]
        let order: [Int]
        let isRecord: Bool
        let isJudged: Bool
    }

    /// One side's rows with its keys as columns.
    private mutating func side(_ relation: Relation, _ ask: Ask, _ keys: [BoundExpression], _ filters: [BoundExpression]) -> Side {
        var stream = build(relation, ask)
        for filter in filters { stream.steps.append(MapStep(work: .filter(stream.over(filter)), policy: policy(over: stream))) }
        var columns: [Int] = []
        var computed: [BoundExpression] = []
        for key in keys.map({ stream.over($0) }) {
            if case .column(let number, _) = key {
                columns.append(number)
            } else {
                columns.append(stream.columns.count + computed.count)
                computed.append(key)
            }
        }
        if !computed.isEmpty {
            // A key that failed is none: the row is not one of the block, whatever `null` does elsewhere.
            let made = computed.map { stream.column(for: $0) }
            stream.steps.append(MapStep(work: .extend(computed), policy: policy == .null ? .quarantine : policy))
            stream.columns += made
        }
        let kept = Array(Set(stream.places.values).union(columns).union(stream.order)).sorted()
        let node = sealed(&stream, kept)
        func place(_ column: Int) -> Int { kept.firstIndex(of: column)! }
        return Side(
            node: node, places: stream.places.mapValues(place), keys: columns.map(place), order: stream.order.map(place), isRecord: stream.isRecord,
            isJudged: stream.isJudged)
    }
}

extension EdgeKind {
    var isChanging: Bool { self == .changes }
}

extension Relation {
    /// Rows of a lookup table, perhaps chosen or computed.
    fileprivate var isLookupSide: Bool {
        switch kind {
        case .scan(let table): table.isLookup
        case .filter(let inner, _), .project(let inner, _): inner.isLookupSide
        default: false
        }
    }
}
