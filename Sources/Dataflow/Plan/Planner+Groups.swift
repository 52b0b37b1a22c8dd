// Operators that gather rows by keys: aggregates, DISTINCT, LIMIT and DISTINCT ON, ranks.

import SQLBinding
import Values

extension Planner {
    mutating func aggregated(_ inner: Relation, _ keys: [BoundExpression], _ calls: [AggregateCall], _ ask: Ask) -> Stream {
        let wanted = ask.columns.filter { $0 >= keys.count }.map { $0 - keys.count }.sorted()
        // FILTER is asked before the argument: what it turns away counts as NULL, which every aggregate passes over.
        let arguments = wanted.map { index -> BoundExpression? in
            let call = calls[index]
            guard let filter = call.filter else { return call.argument }
            return .choose([.init(condition: filter, value: call.argument ?? .constant(.bool(true), .bool))], otherwise: nil)
        }
        var stream = build(inner, Ask(Set((keys + arguments.compactMap(\.self)).flatMap(\.columns))))
        let policy = policy(over: stream)
        let keyItems = keys.map { stream.over($0) }
        let keyColumns = keyItems.map { stream.column(for: $0) }
        // One column for equal arguments.
        var items: [BoundExpression] = []
        let places = arguments.map { argument -> Int? in
            guard let argument else { return nil }
            let item = stream.over(argument)
            if let known = items.firstIndex(of: item) { return keys.count + known }
            items.append(item)
            return keys.count + items.count - 1
        }
        let itemColumns = items.map { stream.column(for: $0) }
        if policy == .null && keyItems.contains(where: \.canFail) {
            // A NULL that a failure left in a key would put the row into a group that it is not of.
            let start = stream.columns.count
            stream.steps.append(MapStep(work: .extend(keyItems), policy: stream.isRecord ? .quarantine : .null))
            let made: [BoundExpression] = keyItems.enumerated().map { .column(start + $0, $1.type) }
            stream.steps.append(MapStep(work: .compute(made + items), policy: policy))
        } else {
            stream.steps.append(MapStep(work: .compute(keyItems + items), policy: policy))
        }
        stream.columns = keyColumns + itemColumns
        let node = sealed(&stream, Array(stream.columns.indices))
        return group(
            node, keyCount: keys.count,
            calls: zip(wanted, places).map { index, place in
                AggregatePlan.Call(function: calls[index].function, argument: place, isDistinct: calls[index].isDistinct, type: calls[index].type)
            }, stream, ask, numbers: Array(keys.indices) + wanted.map { $0 + keys.count })
    }

    mutating func distinct(_ inner: Relation) -> Stream {
        let all = Array(inner.columns.indices)
        var stream = build(inner, Ask(Set(all)))
        let node = sealed(&stream, all.map { stream.places[$0]! })
        return group(node, keyCount: all.count, calls: [], stream, Ask(Set(all)), numbers: all)
    }

    /// - Parameter numbers: what of the relation each of the operator's columns is.
    private mutating func group(_ node: Int, keyCount: Int, calls: [AggregatePlan.Call], _ stream: Stream, _ ask: Ask, numbers: [Int]) -> Stream {
        let input = nodes[node].columns
        let isOverChanges = nodes[node].kind == .changes
        let timed = (0..<keyCount).filter { input[$0].watermark != nil }
        let closing = (timed.first { input[$0].watermark!.isWindowEnd } ?? timed.first).map { column in
            ClosingColumn(column: column, watermark: input[column].watermark!, judges: !stream.isJudged)
        }
        let plan = AggregatePlan(
            inputTypes: input.map(\.type), keyCount: keyCount, scales: input.map { $0.scale ?? -1 }, calls: calls, isOverChanges: isOverChanges,
            emission: ask.isFinal && closing != nil ? .final : .changes, closing: closing)
        let columns =
            (0..<keyCount).map { PlanColumn(input[$0].type, watermark: input[$0].watermark, scale: input[$0].scale) } + calls.map { PlanColumn($0.type) }
        let exchange: Exchange = keyCount == 0 ? .single : .hash(Array(0..<keyCount))
        let bound: StateBound = keyCount == 0 ? .none : closing != nil ? .watermark : .grows(with: "the groups")
        let failing: FaultPolicy = policy == .stop ? .stop : .null
        let above = add(
            .aggregate(plan, policy: failing), [PlanInput(node: node, exchange: exchange)], columns, plan.givesAppend ? .append : .changes, bound
        ) { spelling in
            spelling.add("aggregate")
            spelling.add(keyCount)
            spelling.add(described: plan.scales)
            for call in calls {
                spelling.add(call.function.rawValue)
                spelling.add(call.argument ?? -1)
                spelling.add(call.isDistinct ? 1 : 0)
                spelling.add(call.type.name)
            }
            spelling.add(plan.emission.rawValue)
            spelling.add(closing.map { $0.judges ? $0.column * 2 + 1 : $0.column * 2 } ?? -1)
            spelling.add(failing.rawValue)
        }
        return Stream(
            node: above, columns: columns, places: Dictionary(uniqueKeysWithValues: numbers.enumerated().map { ($1, $0) }), order: ask.isOrdered ? Array(0..<keyCount) : [],
            isRecord: false, isJudged: stream.isJudged || closing != nil, isFinal: plan.emission == .final)
    }

    mutating func top(_ inner: Relation, _ keys: [BoundExpression], _ order: [SortKey], _ count: Int, _ ask: Ask) -> Stream {
        var below = Ask(ask.columns.union((keys + order.map(\.expression)).flatMap(\.columns)))
        below.isOrdered = true
        let stream = build(inner, below)
        return rank(stream, keys: keys, order: order, functions: [], numbers: [], limit: count, limitFunction: .rowNumber, ask)
    }

    mutating func ranked(_ inner: Relation, _ calls: [RankCall], _ ask: Ask) -> Stream {
        let width = inner.columns.count
        let wanted = ask.columns.filter { $0 >= width }.map { $0 - width }.sorted()
        var below = Ask(ask.columns.filter { $0 < width }.union(wanted.flatMap { calls[$0].keys + calls[$0].order.map(\.expression) }.flatMap(\.columns)))
        below.isOrdered = true
        var stream = build(inner, below)
        var rest = wanted
        while let first = rest.first {
            // Calls over the same rows in the same order are one operator.
            let same = rest.filter { calls[$0].keys == calls[first].keys && calls[$0].order == calls[first].order }
            rest.removeAll { same.contains($0) }
            var all = ask
            all.columns.formUnion(below.columns)
            let limited = rest.isEmpty && wanted.count == same.count ? same.first { ask.limits[width + $0] != nil } : nil
            stream = rank(
                stream, keys: calls[first].keys, order: calls[first].order, functions: same.map { calls[$0].function }, numbers: same.map { width + $0 },
                limit: limited.map { ask.limits[width + $0]! }, limitFunction: limited.map { calls[$0].function } ?? .rowNumber, all)
        }
        return stream
    }

    private mutating func rank(
        _ below: Stream, keys: [BoundExpression], order: [SortKey], functions: [RankCall.Function], numbers: [Int], limit: Int?, limitFunction: RankCall.Function, _ ask: Ask
    ) -> Stream {
        var stream = below
        let items = (keys + order.map(\.expression)).map { stream.over($0) }
        var columns: [Int] = []
        var computed: [BoundExpression] = []
        for item in items {
            if case .column(let number, _) = item {
                columns.append(number)
            } else {
                columns.append(stream.columns.count + computed.count)
                computed.append(item)
            }
        }
        if !computed.isEmpty {
            stream.steps.append(MapStep(work: .extend(computed), policy: policy(over: stream)))
            stream.columns += computed.map { PlanColumn($0.type) }
        }
        // Wanted columns, what ranks need, what completes the order, each once.
        let kept = Array(Set(stream.places.values).union(columns).union(stream.order)).sorted()
        func place(_ column: Int) -> Int { kept.firstIndex(of: column)! }
        let node = sealed(&stream, kept)
        let input = nodes[node].columns
        var sorts = order.enumerated().map { RankPlan.Order(column: place(columns[keys.count + $0]), isDescending: $1.isDescending, nullsFirst: $1.nullsFirst) }
        let ranked = sorts.count
        for column in stream.order { sorts.append(RankPlan.Order(column: place(column), isDescending: false, nullsFirst: false)) }
        let shown = Array(Set(stream.places.values).union(ask.isOrdered || !functions.isEmpty ? stream.order : [])).sorted().map(place)
        let plan = RankPlan(
            types: input.map(\.type), keys: columns.prefix(keys.count).map(place), order: sorts, ranked: ranked, shown: shown, functions: functions, limit: limit,
            limitFunction: limitFunction, isOverChanges: nodes[node].kind == .changes)
        let outputs = shown.map { PlanColumn(input[$0].type, scale: input[$0].scale) } + functions.map { _ in PlanColumn(.int8) }
        let bound: StateBound =
            limit != nil && !plan.isOverChanges ? (keys.isEmpty ? .none : .grows(with: "the keys, \(limit!) rows each")) : .grows(with: "all rows")
        let above = add(
            .rank(plan), [PlanInput(node: node, exchange: keys.isEmpty ? .single : .hash(plan.keys))], outputs, .changes, bound
        ) { spelling in
            spelling.add("rank")
            for column in plan.keys { spelling.add(column) }
            for sort in sorts {
                spelling.add(sort.column)
                spelling.add((sort.isDescending ? 1 : 0) + (sort.nullsFirst ? 2 : 0))
            }
            spelling.add(ranked)
            spelling.add(described: shown)
            spelling.add(described: functions.map(\.rawValue))
            spelling.add(limit ?? -1)
            spelling.add(limitFunction.rawValue)
        }
        var places = stream.places.mapValues { shown.firstIndex(of: place($0))! }
        for (index, number) in numbers.enumerated() { places[number] = shown.count + index }
        let completing = ask.isOrdered || !functions.isEmpty ? stream.order.map { shown.firstIndex(of: place($0))! } : []
        return Stream(node: above, columns: outputs, places: places, order: completing, isRecord: stream.isRecord, isJudged: stream.isJudged)
    }
}
