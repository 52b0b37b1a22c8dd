// FROM: tables, views, queries, windows of time and joins become one relation and the names of its columns.

import SQLSyntax
import Values
import Wording

/// What FROM gives.
struct FromRows {
    var relation: Relation
    var tables: [ScopeTable]
    /// The tables that only inner joins put together: each pair must be joined by an equality, here or in WHERE.
    var leaves: [Leaf]
    /// Conditions of those joins.
    var conditions: [BoundExpression] = []

    struct Leaf {
        let columns: Range<Int>
        let isOneRow: Bool
        let place: Place
        let name: String
    }
}

extension QueryBinder {
    func from(_ references: [TableReference]) throws(SQLFault) -> FromRows {
        guard let first = references.first else { return FromRows(relation: .oneRow, tables: [], leaves: []) }
        var rows = try self.rows(first)
        for reference in references.dropFirst() { rows = try joined(.inner, rows, try self.rows(reference), .none, at: reference.place) }
        return rows
    }

    private func rows(_ reference: TableReference) throws(SQLFault) -> FromRows {
        switch reference.kind {
        case .table(let name): return try leaf(try table(name), reference, name: name.text)
        case .subquery(let query):
            var inner = self
            inner.outer = nil
            return try leaf(try inner.settled(query), reference, name: reference.alias?.name ?? "")
        case .function(let call): return try leaf(try windowed(call), reference, name: reference.alias?.name ?? call.name.text)
        case .join(let kind, let left, let right, let condition):
            let rows = try joined(kind, try self.rows(left), try self.rows(right), condition, at: right.place)
            guard let alias = reference.alias else { return rows }
            return try renamed(rows, alias, at: reference.place)
        }
    }

    private func leaf(_ relation: Relation, _ reference: TableReference, name: String) throws(SQLFault) -> FromRows {
        let leaf = FromRows.Leaf(columns: 0..<relation.columns.count, isOneRow: relation.isOneRow, place: reference.place, name: reference.alias?.name ?? name)
        let rows = FromRows(relation: relation, tables: [Scope.columns(of: relation, named: name)], leaves: [leaf])
        guard let alias = reference.alias else { return rows }
        return try renamed(rows, alias, at: reference.place)
    }

    /// All columns under one name, the first ones renamed.
    private func renamed(_ rows: FromRows, _ alias: TableAlias, at place: Place) throws(SQLFault) -> FromRows {
        let shown = rows.tables.flatMap(\.columns).filter { !$0.isMerged }
        let visible = shown.filter { !$0.isHidden }
        guard alias.columns.count <= visible.count else {
            throw SQLFault(
                "\"\(alias.name)\" names \(alias.columns.count) columns", at: place, why: "there are \(visible.count)", hint: "name no more than there are")
        }
        var names = alias.columns[...]
        let columns = shown.map { column in
            column.isHidden || names.isEmpty ? column : ScopeColumn(name: names.removeFirst(), expression: column.expression, isHidden: false)
        }
        var renamed = rows
        renamed.tables = [ScopeTable(name: alias.name, columns: columns)]
        return renamed
    }

    /// A table, a view or a query of WITH.
    func table(_ name: Identifier) throws(SQLFault) -> Relation {
        if let relation = common[name.text] ?? environment.views[name.text] { return relation }
        guard let table = environment.tables[name.text] else {
            throw SQLFault(
                "there is no table \"\(name.text)\"", at: name.place, why: "neither a table nor a view of that name is declared before this",
                hint: nearestHint(to: name.text, among: environment.names + Array(common.keys), kind: "table"))
        }
        guard table.connector != .console && table.connector != .discard else {
            throw SQLFault(
                "\"\(name.text)\" cannot be read", at: name.place, why: "what is written to connector \(table.connector.rawValue) is gone", hint: "read what is inserted into it")
        }
        try environment.reads(name)
        return Relation(kind: .scan(table), columns: table.readable)
    }

    private func joined(_ kind: JoinKind, _ left: FromRows, _ right: FromRows, _ condition: JoinCondition, at place: Place) throws(SQLFault) -> FromRows {
        let width = left.relation.columns.count
        let shifted = right.tables.map { table in
            ScopeTable(
                name: table.name,
                columns: table.columns.map { column in
                    ScopeColumn(
                        name: column.name, expression: column.expression.mapColumns { .column($0 + width, $1) }, isHidden: column.isHidden, isMerged: column.isMerged)
                })
        }
        if let twice = shifted.compactMap(\.name).first(where: { name in left.tables.contains { $0.name == name } }) {
            throw SQLFault("\"\(twice)\" stands twice in FROM", at: place, why: "its columns could not be told apart", hint: "give one of them another name with AS")
        }
        var tables = left.tables + shifted
        var bound: BoundExpression?
        switch condition {
        case .none: break
        case .on(let expression):
            let binder = ExpressionBinder(scope: Scope(tables: tables, outer: nil), clause: .on, surroundings: JoinSurroundings.shared, builder: builder)
            bound = try binder.condition(expression)
        case .using(let names): (bound, tables) = try merged(names, kind, left.tables, shifted, at: place)
        case .natural:
            let names = left.tables.visibleNames.filter { shifted.visibleNames.contains($0) }
            if !names.isEmpty { (bound, tables) = try merged(names, kind, left.tables, shifted, at: place) }
        }
        let type: Relation.JoinType =
            switch kind {
            case .inner: .inner
            case .left: .left
            case .right: .right
            case .full: .full
            }
        let relation = left.relation.joined(type, right.relation, on: bound)
        if kind == .inner {
            let leaves = right.leaves.map {
                FromRows.Leaf(columns: $0.columns.lowerBound + width..<$0.columns.upperBound + width, isOneRow: $0.isOneRow, place: $0.place, name: $0.name)
            }
            let conditions = left.conditions + right.conditions.map { $0.mapColumns { .column($0 + width, $1) } } + (bound.map { [$0] } ?? [])
            return FromRows(relation: relation, tables: tables, leaves: left.leaves + leaves, conditions: conditions)
        }
        try left.checkJoins(and: [])
        try right.checkJoins(and: [])
        guard bound?.joins(0..<width, width..<relation.columns.count) == true || left.relation.isOneRow || right.relation.isOneRow else {
            throw JoinFault.withoutEquality(at: place, kind: "\(type.rawValue.uppercased()) JOIN")
        }
        let whole = FromRows.Leaf(columns: 0..<relation.columns.count, isOneRow: relation.isOneRow, place: place, name: left.leaves.first?.name ?? "the join")
        return FromRows(relation: relation, tables: tables, leaves: [whole])
    }

    /// USING: a column for both, found first.
    private func merged(
        _ names: [String], _ kind: JoinKind, _ left: [ScopeTable], _ right: [ScopeTable], at place: Place
    ) throws(SQLFault) -> (BoundExpression?, [ScopeTable]) {
        var equal: [BoundExpression] = []
        var columns: [ScopeColumn] = []
        for name in names {
            let identifier = Identifier(name, at: place)
            let sides = (try Scope(tables: left, outer: nil).resolve([identifier]), try Scope(tables: right, outer: nil).resolve([identifier]))
            let both = try fitting { () throws(BindError) in try builder.matched([sides.0, sides.1], in: "USING", at: place.offset) }
            equal.append(try fitting { () throws(BindError) in try builder.call("=", both, at: place.offset) })
            let expression: BoundExpression =
                switch kind {
                case .inner, .left: both[0]
                case .right: both[1]
                case .full: .coalesce(both)
                }
            columns.append(ScopeColumn(name: name, expression: expression, isHidden: false))
        }
        let hidden = (left + right).map { table in
            ScopeTable(
                name: table.name,
                columns: table.columns.map { column in
                    ScopeColumn(name: column.name, expression: column.expression, isHidden: column.isHidden, isMerged: column.isMerged || names.contains(column.name))
                })
        }
        let condition = try fitting { () throws(BindError) in try builder.and(equal, at: place.offset) }
        // A column that an inner USING made is not one of its tables any more when another takes its name.
        return (condition, [ScopeTable(name: nil, columns: columns)] + hidden.map { $0.name == nil ? $0.without(names) : $0 })
    }
}

extension ScopeTable {
    fileprivate func without(_ names: [String]) -> ScopeTable { ScopeTable(name: name, columns: columns.filter { !names.contains($0.name) }) }
}

extension [ScopeTable] {
    fileprivate var visibleNames: [String] { flatMap(\.columns).filter { !$0.isHidden && !$0.isMerged }.map(\.name) }
}

extension FromRows {
    /// Every table must be joined to the others by an equality, or be one row.
    /// - Parameter filters: what WHERE adds to the conditions of the joins.
    func checkJoins(and filters: [BoundExpression]) throws(SQLFault) {
        var groups = leaves.map { [$0.columns] }
        let equalities = (conditions + filters).flatMap(\.conjuncts).compactMap(\.equalitySides)
        // Each side of an equality must be of tables that are joined already; tables of one row stand beside any.
        func places(_ columns: [Int]) -> Set<Int> {
            Set(groups.indices.filter { index in groups[index].contains { range in columns.contains { range.contains($0) } } && !isOneRow(groups[index]) })
        }
        var joined = true
        while joined {
            joined = false
            for (left, right) in equalities {
                let (lefts, rights) = (places(left), places(right))
                guard lefts.count == 1, rights.count == 1, lefts != rights else { continue }
                let touched = lefts.union(rights)
                groups = groups.indices.filter { !touched.contains($0) }.map { groups[$0] } + [touched.sorted().flatMap { groups[$0] }]
                joined = true
            }
        }
        func isOneRow(_ group: [Range<Int>]) -> Bool { leaves.contains { $0.isOneRow && group == [$0.columns] } }
        let alone = groups.filter { !isOneRow($0) }
        guard alone.count > 1 else { return }
        let first = leaves[0].columns
        let lost = leaves.first { leaf in !leaf.isOneRow && !(alone.first { $0.contains(first) } ?? alone[0]).contains(leaf.columns) }
        throw JoinFault.withoutEquality(at: lost?.place ?? leaves[0].place, kind: "the join with \"\(lost?.name ?? leaves[0].name)\"")
    }
}

enum JoinFault {
    static func withoutEquality(at place: Place, kind: String) -> SQLFault {
        SQLFault(
            "\(kind) has no equality", at: place, why: "rows find their partners by equal values, unless one side is one row",
            hint: "compare a column of each side with = or IS NOT DISTINCT FROM, joined to other conditions by AND")
    }
}

extension BoundExpression {
    /// The columns of both sides of an equality that has columns on both.
    fileprivate var equalitySides: ([Int], [Int])? {
        let sides: [BoundExpression]
        switch self {
        case .call(let overload, let arguments, _) where overload.name == "=" && arguments.count == 2: sides = arguments
        case .not(.distinct(let left, let right)): sides = [left, right]
        default: return nil
        }
        let (left, right) = (sides[0].columns.sorted(), sides[1].columns.sorted())
        return left.isEmpty || right.isEmpty ? nil : (left, right)
    }

    /// True when one of the conjuncts equates something of one range with something of the other.
    func joins(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
        conjuncts.contains { conjunct in
            guard let (a, b) = conjunct.equalitySides else { return false }
            return (a.allSatisfy(left.contains) && b.allSatisfy(right.contains)) || (a.allSatisfy(right.contains) && b.allSatisfy(left.contains))
        }
    }
}

/// In ON stand neither aggregates nor subqueries.
private final class JoinSurroundings: ExpressionSurroundings, Sendable {
    static let shared = JoinSurroundings()

    func substitute(_ expression: ExpressionSyntax, in clause: Clause) throws(SQLFault) -> BoundExpression? { nil }
    func aggregate(_ call: FunctionCall, _ function: AggregateFunction, in clause: Clause) throws(SQLFault) -> BoundExpression {
        throw BlockFault.aggregate(call, in: clause)
    }
    func rank(_ call: FunctionCall, in clause: Clause) throws(SQLFault) -> BoundExpression { throw BlockFault.rank(call, in: clause) }
    func scalar(_ query: Query, in clause: Clause, at place: Place) throws(SQLFault) -> BoundExpression {
        throw notYet("a subquery in ON", at: place, hint: "join with it: JOIN (SELECT ...) AS name ON ...")
    }
}
