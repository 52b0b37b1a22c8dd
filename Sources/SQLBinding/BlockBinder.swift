// One SELECT block: its clauses are bound in PostgreSQL's order, and what they found is put together at the end.
//
//   FROM, WHERE             over the rows of FROM
//   GROUP BY, aggregates    over the same rows
//   HAVING, SELECT, ORDER   over the groups where the block groups, else over the rows
//
// While clauses are bound, aggregates, ranks and scalar subqueries have numbers of their own (`Slot`): how many there are, and so which columns
// they will be, is known only when all clauses are through. `assembled` gives them their columns.
//
// In a grouping block an expression stands for a group's key where it is the same expression, whatever its spelling; a column that is then
// left outside of an aggregate has no single value, and is refused at its place.

import SQLSyntax
import Values

/// Columns that are not columns yet, numbered from these on.
private enum Slot {
    static let input = 2_000_000
    static let key = 3_000_000
    static let call = 4_000_000
    static let grouped = 5_000_000
    static let rank = 6_000_000
    static let partner = 7_000_000
}

final class BlockBinder: ExpressionSurroundings {
    private let binder: QueryBinder
    private let block: SelectBlock
    private let order: [OrderItem]
    private let scope: Scope
    private let source: Relation
    private let leaves: FromRows

    /// What WHERE asks of a row, in the order in which it is written: nothing is evaluated for rows that an earlier condition turned away.
    private enum Step {
        case filter(BoundExpression)
        case partner(Relation.JoinType, Relation, BoundExpression)
    }

    private var steps: [Step] = []
    private var inputJoins: [Relation] = []
    private var keys: [BoundExpression] = []
    /// The same without their places: what else is the same expression stands for a group's key.
    private var shapes: [BoundExpression] { keys.map(\.placeless) }
    private var calls: [AggregateCall] = []
    private var groupedJoins: [Relation] = []
    private var ranks: [RankCall] = []
    private let isGrouping: Bool

    /// - Parameter order: the query's ORDER BY, which may have aggregates, too.
    init(_ binder: QueryBinder, _ block: SelectBlock, order: [OrderItem]) throws(SQLFault) {
        self.binder = binder
        self.block = block
        self.order = order
        leaves = try binder.from(block.from)
        source = leaves.relation
        scope = Scope(tables: leaves.tables, outer: binder.outer)
        var expressions = block.items.compactMap { item -> ExpressionSyntax? in if case .expression(let expression, _) = item.kind { expression } else { nil } }
        if case .on(let keys) = block.distinct { expressions += keys }
        isGrouping = !block.groups.isEmpty || block.having != nil || (expressions + order.map(\.expression)).contains { $0.hasAggregate }
    }

    // MARK: the block

    func relation(limit: Int?) throws(SQLFault) -> Relation {
        try bindFilter()
        var items = try bindGroupsAndItems()
        let shown = items.count
        let having: BoundExpression? = if let having = block.having { try self.binder(.having).condition(having) } else { nil }
        var distinct: [Int] = []
        if case .on(let expressions) = block.distinct {
            for expression in expressions { distinct.append(try item(for: expression, in: .select, &items, shown, isOwn: true)) }
        }
        var sorts: [(item: OrderItem, index: Int)] = []
        for entry in order { sorts.append((entry, try item(for: entry.expression, in: .order, &items, shown, isOwn: block.distinct != .rows))) }
        var relation = try assembled(having: having).projected(items.map { (output($0.expression), $0.name) })
        if block.distinct != nil || limit != nil || items.count > shown { relation = try binder.typed(relation, at: block.place) }
        if block.distinct == .rows { relation = relation.withoutRepeats }
        let sortKeys = sorts.map { SortKey(.column($0.index, relation.columns[$0.index].type), $0.item) }
        if !distinct.isEmpty {
            guard limit == nil else { throw notYet("LIMIT of DISTINCT ON", at: block.place, hint: "write the DISTINCT ON as a query in FROM, and the LIMIT around it") }
            if let other = sorts.prefix(distinct.count).first(where: { !distinct.contains($0.index) }) {
                throw SQLFault(
                    "ORDER BY of DISTINCT ON begins with something else", at: other.item.expression.place, why: "the rows of a key must stand together",
                    hint: "order by the keys first")
            }
            relation = relation.top(keys: distinct.map { .column($0, relation.columns[$0].type) }, order: sortKeys, count: 1)
        } else if let limit {
            relation = relation.top(keys: [], order: sortKeys, count: limit)
        } else if !order.isEmpty {
            binder.environment.note(QueryEnvironment.orderNote)
        }
        binder.environment.order = sorts.allSatisfy { $0.index < shown } ? sorts.map { AnswerOrder($0.index, $0.item) } : nil
        return relation.columns.count == shown
            ? relation : relation.projected(relation.columns.prefix(shown).enumerated().map { (.column($0.offset, $0.element.type), $0.element.name) })
    }

    /// For IN and EXISTS: the rows of the block without its projection, what of WHERE reads the query around it, and the items.
    fileprivate func partnerRows(wantsItem: Bool, at place: Place) throws(SQLFault) -> (relation: Relation, correlated: [BoundExpression], item: BoundExpression?) {
        scope.allowsOuter = true
        try bindFilter()
        scope.allowsOuter = false
        let items = try bindGroupsAndItems()
        // An order has no effect here, but what it names must be there.
        var ordered = items
        for entry in order { _ = try item(for: entry.expression, in: .order, &ordered, items.count, isOwn: true) }
        var correlated: [BoundExpression] = []
        var own: [Step] = []
        for step in steps {
            // What can fail stays behind what would have turned its row away.
            switch step {
            case .filter(let condition) where condition.readsOuter || (!correlated.isEmpty && condition.canFail): correlated.append(condition)
            case .partner(_, _, let condition) where !correlated.isEmpty && condition.canFail:
                throw notYet(
                    "a subquery that compares what can fail, behind a comparison with the query around it,", at: place,
                    hint: "write the inner IN or EXISTS first in its WHERE")
            default: own.append(step)
            }
        }
        steps = own
        if wantsItem, !correlated.isEmpty, !ranks.isEmpty {
            throw notYet(
                "a place among the rows that a comparison with the query around it leaves", at: place, hint: "rank in a query in FROM, or write a join")
        }
        let relation = try assembled(having: nil)
        return (relation, correlated.map(input), wantsItem ? output(items[0].expression) : nil)
    }

    /// True when its rows can be joined one by one: nothing gathers or cuts them.
    fileprivate var isPlain: Bool { !isGrouping && block.distinct == nil }

    private func binder(_ clause: Clause) -> ExpressionBinder {
        ExpressionBinder(scope: scope, clause: clause, surroundings: self, builder: binder.builder)
    }

    private func bindFilter() throws(SQLFault) {
        for condition in block.filter.map(\.conditions) ?? [] {
            if let (query, operand, isNegated) = condition.membership {
                try addPartner(query, operand, isNegated: isNegated, at: condition.place)
            } else {
                steps += try binder(.filter).condition(condition).conjuncts.map { .filter($0) }
            }
        }
        // What reads the query around it is compared when rows meet that query's, and joins none before.
        try leaves.checkJoins(and: steps.compactMap { if case .filter(let condition) = $0, !condition.readsOuter { condition } else { nil } })
    }

    private func bindGroupsAndItems() throws(SQLFault) -> [(expression: BoundExpression, name: String)] {
        for group in block.groups { keys.append(try typed(self.group(group), at: group.place)) }
        var items: [(expression: BoundExpression, name: String)] = []
        for item in block.items {
            switch item.kind {
            case .all(let path):
                for (expression, name) in try scope.all(of: path, at: item.place) {
                    guard isGrouping else {
                        items.append((expression, name))
                        continue
                    }
                    guard let key = shapes.firstIndex(of: expression.placeless) else { throw BlockFault.ungrouped(name, at: item.place) }
                    items.append((.column(Slot.key + key, expression.type), name))
                }
            case .expression(let expression, let alias): items.append((try binder(.select).bind(expression), alias?.text ?? expression.outputName))
            }
        }
        return items
    }

    /// What a part of GROUP BY means: a column's place in SELECT, a column of FROM, an alias of SELECT, or an expression.
    private func group(_ group: ExpressionSyntax) throws(SQLFault) -> BoundExpression {
        let columns = block.items.map { _ in OutputColumn(name: "", type: .unknown, isNullable: true) }
        if let index = try binder.position(group, of: columns, in: "GROUP BY") { return try groupItem(index, at: group.place) }
        if case .column(let path) = group.kind, path.count == 1, !scope.has(path[0].text) {
            let named = block.items.indices.filter { if case .expression(_, let alias?) = block.items[$0].kind { alias.text == path[0].text } else { false } }
            if named.count == 1 { return try groupItem(named[0], at: group.place) }
        }
        return try binder(.group).bind(group)
    }

    /// A literal that is compared with nothing is a text.
    private func typed(_ expression: BoundExpression, at place: Place) throws(SQLFault) -> BoundExpression {
        guard expression.type == .unknown else { return expression }
        return try fitting { () throws(BindError) in try binder.builder.coerce(expression, to: .text, context: .implicit, at: place.offset) }
    }

    private func groupItem(_ index: Int, at place: Place) throws(SQLFault) -> BoundExpression {
        guard case .expression(let expression, _) = block.items[index].kind else {
            throw SQLFault("GROUP BY names *", at: place, why: "a position stands for one expression", hint: "name the columns")
        }
        return try binder(.group).bind(expression)
    }

    /// The number of the item that an expression of ORDER BY or DISTINCT ON is; a new one behind those shown where it is none of them.
    private func item(
        for expression: ExpressionSyntax, in clause: Clause, _ items: inout [(expression: BoundExpression, name: String)], _ shown: Int, isOwn: Bool
    ) throws(SQLFault) -> Int {
        let columns = items.prefix(shown).map { OutputColumn(name: $0.name, type: $0.expression.type, isNullable: true) }
        if let index = try binder.position(expression, of: columns, in: clause.rawValue) { return index }
        if let index = named(expression, items.prefix(shown)) { return index }
        if let index = try binder.column(expression, of: columns) { return index }
        let bound = try binder(clause).bind(expression)
        if let index = items.firstIndex(where: { $0.expression.placeless == bound.placeless }) { return index }
        guard isOwn else {
            throw SQLFault(
                "ORDER BY of DISTINCT by something that is not selected", at: expression.place, why: "rows that became one may differ in it", hint: "select it, too")
        }
        items.append((bound, ""))
        return items.count - 1
    }

    /// The item that an alias names; several that are the same expression are one.
    private func named(_ expression: ExpressionSyntax, _ items: ArraySlice<(expression: BoundExpression, name: String)>) -> Int? {
        guard case .column(let path) = expression.kind, path.count == 1 else { return nil }
        let found = items.indices.filter { items[$0].name == path[0].text }
        return found.allSatisfy { items[$0].expression.placeless == items[found[0]].expression.placeless } ? found.first : nil
    }

    // MARK: putting it together

    private func assembled(having: BoundExpression?) throws(SQLFault) -> Relation {
        var relation = source
        for subquery in inputJoins { relation = relation.joined(.left, subquery, on: nil) }
        let width = relation.columns.count
        for step in steps {
            switch step {
            case .filter(let condition): relation = relation.filtered(input(condition))
            case .partner(let type, let partner, let condition):
                relation = relation.joined(type, partner, on: input(condition).mapColumns { .column($0 >= Slot.partner ? width + $0 - Slot.partner : $0, $1) })
            }
        }
        guard isGrouping else { return ranks.isEmpty ? relation : relation.ranked(ranks.map(settled)) }
        relation = relation.aggregated(
            keys: keys.map(input),
            calls: calls.map {
                AggregateCall(function: $0.function, argument: $0.argument.map(input), isDistinct: $0.isDistinct, filter: $0.filter.map(input), type: $0.type)
            })
        for subquery in groupedJoins { relation = relation.joined(.left, subquery, on: nil) }
        if let having { relation = relation.filtered(output(having)) }
        return ranks.isEmpty ? relation : relation.ranked(ranks.map(settled))
    }

    private func settled(_ rank: RankCall) -> RankCall {
        RankCall(
            function: rank.function, keys: rank.keys.map(output),
            order: rank.order.map { SortKey(expression: output($0.expression), isDescending: $0.isDescending, nullsFirst: $0.nullsFirst) })
    }

    /// Over the rows of FROM and the subqueries joined to them.
    private func input(_ expression: BoundExpression) -> BoundExpression {
        let width = source.columns.count
        return expression.mapColumns { .column(Slot.input..<Slot.key ~= $0 ? width + $0 - Slot.input : $0, $1) }
    }

    /// Over what SELECT sees.
    private func output(_ expression: BoundExpression) -> BoundExpression {
        let joined = source.columns.count + inputJoins.count
        let grouped = keys.count + calls.count
        let width = isGrouping ? grouped + groupedJoins.count : joined
        return expression.mapColumns { [source] number, type in
            let column =
                switch number {
                case Slot.rank...: width + number - Slot.rank
                case Slot.grouped...: grouped + number - Slot.grouped
                case Slot.call...: self.keys.count + number - Slot.call
                case Slot.key...: number - Slot.key
                case Slot.input...: source.columns.count + number - Slot.input
                default: number
                }
            return .column(column, type)
        }
    }

    // MARK: IN and EXISTS

    private func addPartner(_ query: Query, _ operand: ExpressionSyntax?, isNegated: Bool, at place: Place) throws(SQLFault) {
        let operands: [ExpressionSyntax] = if let operand { if case .row(let fields) = operand.kind { fields } else { [operand] } } else { [] }
        guard operands.count <= 1 else { throw notYet("a row IN (SELECT ...)", at: place, hint: "write EXISTS with the comparisons in its WHERE") }
        let value: BoundExpression? = if let operand = operands.first { try binder(.filter).bind(operand) } else { nil }
        if value?.readsOuter == true {
            throw notYet(
                "a column of the query around this one, looked for in another one,", at: place,
                hint: "write this IN in the WHERE of the query that has the column, or as a join")
        }
        let (relation, correlated, item) = try partner(of: query, wantsItem: value != nil, at: place)
        // What the partner reads of the rows around it are columns of those; its own columns come behind them.
        func shifted(_ expression: BoundExpression) -> BoundExpression {
            expression.mapColumns { .column($0 >= outerColumns ? $0 - outerColumns : $0 + Slot.partner, $1) }
        }
        var conditions = correlated.map(shifted)
        if let value, let item {
            let isNullable = value.isNullable(over: source.columns) || item.isNullable(over: relation.columns)
            if isNegated && isNullable {
                throw SQLFault(
                    "NOT IN over values that may be NULL", at: place, why: "one NULL among them, and no row is left",
                    hint: "write NOT EXISTS (SELECT 1 FROM ... WHERE x = y), or declare both NOT NULL")
            }
            let equal = try fitting { () throws(BindError) in try binder.builder.call("=", [value, shifted(item)], at: place.offset) }
            // SELECT comes behind WHERE: what it computes is not reached for pairs that WHERE turns away.
            conditions.insert(equal, at: item.canFail ? conditions.count : 0)
        }
        let condition = conditions.isEmpty ? nil : try fitting { () throws(BindError) in try binder.builder.and(conditions, at: place.offset) }
        guard let condition, condition.joins(0..<Slot.partner, Slot.partner..<Int.max) else {
            throw JoinFault.withoutEquality(at: place, kind: value == nil ? "this EXISTS" : "this IN")
        }
        steps.append(.partner(isNegated ? .anti : .semi, relation, condition))
    }

    private func partner(of query: Query, wantsItem: Bool, at place: Place) throws(SQLFault) -> (relation: Relation, correlated: [BoundExpression], item: BoundExpression?) {
        var inner = binder
        inner.outer = scope
        if case .select(let block) = query.body, query.with.isEmpty, query.limit == nil, query.offset == nil {
            let rows = try BlockBinder(inner, block, order: query.order)
            if rows.isPlain {
                if wantsItem { try checkOneColumn(block.items.count, at: place) }
                return try rows.partnerRows(wantsItem: wantsItem, at: place)
            }
        }
        let relation = try inner.settled(query)
        if wantsItem { try checkOneColumn(relation.columns.count, at: place) }
        return (relation, [], wantsItem ? .column(0, relation.columns[0].type) : nil)
    }

    private func checkOneColumn(_ count: Int, at place: Place) throws(SQLFault) {
        guard count == 1 else {
            throw SQLFault("a subquery of \(count) columns where one is wanted", at: place, why: "it is compared with one value", hint: "select one column")
        }
    }

    // MARK: what expressions ask

    func substitute(_ expression: ExpressionSyntax, in clause: Clause) throws(SQLFault) -> BoundExpression? {
        guard isGrouping, clause == .having || clause == .select || clause == .order || clause == .window else { return nil }
        let plain = ExpressionBinder(scope: scope, clause: .group, surroundings: nil, builder: binder.builder)
        if case .column(let path) = expression.kind {
            let column = try scope.resolve(path)
            if let key = shapes.firstIndex(of: column.placeless) { return .column(Slot.key + key, column.type) }
            throw BlockFault.ungrouped(path.map(\.text).joined(separator: "."), at: expression.place)
        }
        if case .literal = expression.kind { return nil }
        // What has an aggregate in it cannot be bound so, and is no key.
        guard let bound = try? plain.bind(expression), let key = shapes.firstIndex(of: bound.placeless) else { return nil }
        return .column(Slot.key + key, bound.type)
    }

    func aggregate(_ call: FunctionCall, _ function: AggregateFunction, in clause: Clause) throws(SQLFault) -> BoundExpression {
        let place = call.name.place
        guard clause == .having || clause == .select || clause == .order || clause == .window else { throw BlockFault.aggregate(call, in: clause) }
        precondition(isGrouping, "a block with an aggregate groups")
        if !call.order.isEmpty { throw notYet("ORDER BY in \(function.rawValue)", at: place, hint: "leave it out: \(function.rawValue) gives the same in every order") }
        if call.isWithinGroup { throw notYet("WITHIN GROUP of \(function.rawValue)", at: place) }
        guard call.isStar ? function == .count && !call.isDistinct : call.arguments.count == 1 && call.arguments[0].name == nil else {
            throw SQLFault(
                "\(function.rawValue) with other arguments", at: place, why: "it takes one\(function == .count ? ", or *" : "")",
                hint: "write \(function.rawValue)(\(function == .count ? "*" : "column"))")
        }
        let inside = binder(.argument)
        var result: SQLType = .int8
        var argument: BoundExpression?
        if !call.isStar {
            let value = try inside.bind(call.arguments[0].value)
            guard let types = function.types(of: value.type) else {
                throw SQLFault(
                    "\(function.rawValue) of \(value.type.name)", at: place, why: "there is no \(function.rawValue)(\(value.type.name))",
                    hint: "cast the argument to a type that it takes")
            }
            argument = try fitting { () throws(BindError) in try binder.builder.coerce(value, to: types.argument, context: .implicit, at: place.offset) }
            result = types.result
        }
        let filter: BoundExpression? = if let filter = call.filter { try inside.condition(filter) } else { nil }
        let bound = AggregateCall(function: function, argument: argument, isDistinct: call.isDistinct, filter: filter, type: result)
        // Two of one spelling are one, which fails where the first one stands.
        let index = calls.firstIndex { $0.placeless == bound.placeless } ?? calls.count
        if index == calls.count { calls.append(bound) }
        return .column(Slot.call + index, result)
    }

    func rank(_ call: FunctionCall, in clause: Clause) throws(SQLFault) -> BoundExpression {
        let place = call.name.place
        guard let function = RankCall.Function(rawValue: call.name.text) else {
            throw notYet("\(call.name.text) OVER (...)", at: place, hint: "use row_number, rank or dense_rank")
        }
        guard let window = call.window else {
            throw SQLFault(
                "\(function.rawValue) without OVER", at: place, why: "a place is one among other rows", hint: "write \(function.rawValue)() OVER (PARTITION BY ... ORDER BY ...)")
        }
        guard clause == .select || clause == .order else { throw BlockFault.rank(call, in: clause) }
        guard call.arguments.isEmpty, !call.isStar, !call.isDistinct, call.filter == nil, call.order.isEmpty else {
            throw SQLFault("\(function.rawValue) with arguments", at: place, why: "it has none", hint: "write \(function.rawValue)() OVER (...)")
        }
        guard !window.order.isEmpty else {
            throw SQLFault(
                "\(function.rawValue) without ORDER BY", at: window.place, why: "which row comes first would depend on how the stream is cut", hint: "write ORDER BY in OVER (...)")
        }
        let inside = binder(.window)
        var order: [SortKey] = []
        for item in window.order { order.append(SortKey(try typed(inside.bind(item.expression), at: item.expression.place).placeless, item)) }
        var keys: [BoundExpression] = []
        for key in window.partition { keys.append(try typed(inside.bind(key), at: key.place).placeless) }
        let bound = RankCall(function: function, keys: keys, order: order)
        let index = ranks.firstIndex(of: bound) ?? ranks.count
        if index == ranks.count { ranks.append(bound) }
        return .column(Slot.rank + index, .int8)
    }

    func scalar(_ query: Query, in clause: Clause, at place: Place) throws(SQLFault) -> BoundExpression {
        var inner = binder
        inner.outer = scope
        let relation = try inner.settled(query)
        try checkOneColumn(relation.columns.count, at: place)
        guard relation.isOneRow else {
            throw SQLFault(
                "a subquery that may give several rows", at: place, why: "where one value is wanted, at most one row must be proved",
                hint: "aggregate without GROUP BY, or ORDER BY and LIMIT 1")
        }
        let isAfterGroups = isGrouping && (clause == .having || clause == .select || clause == .order || clause == .window)
        if isAfterGroups {
            groupedJoins.append(relation)
            return .column(Slot.grouped + groupedJoins.count - 1, relation.columns[0].type)
        }
        inputJoins.append(relation)
        return .column(Slot.input + inputJoins.count - 1, relation.columns[0].type)
    }
}

extension BoundExpression {
    /// A column of the query around it is in it.
    fileprivate var readsOuter: Bool { columns.contains { outerColumns..<Slot.input ~= $0 } }
}
