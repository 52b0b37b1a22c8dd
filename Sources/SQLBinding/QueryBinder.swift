// A query becomes a relation: WITH, the block or the blocks of a UNION, ORDER BY and LIMIT.
//
// A literal in quotes has no type of its own until its use gives it one: columns of type `unknown` live as long as a query is inside
// of another (`bind`), and are text where it ends (`settled`).

import SQLSyntax
import Values

/// What a query can name beside its own tables.
final class QueryEnvironment {
    let builder: ExpressionBuilder
    private(set) var tables: [String: TableDefinition] = [:]
    private(set) var views: [String: Relation] = [:]
    private(set) var notes: [String] = []
    /// How the rows of the query that was bound last are ordered; nil where it is by something that is no column of its result.
    var order: [AnswerOrder]? = []
    private var read: Set<String> = []
    private var written: Set<String> = []

    init(zone: Zone = .utc) { builder = ExpressionBuilder(context: EvaluationContext(zone: zone)) }

    func declare(_ table: TableDefinition) { tables[table.name] = table }
    func declare(view name: String, as relation: Relation) { views[name] = relation }
    /// A job does not read what it writes: what it would read depends on the sink.
    func reads(_ table: Identifier) throws(SQLFault) {
        read.insert(table.text)
        if written.contains(table.text) { throw loop(table) }
    }

    func writes(_ table: Identifier) throws(SQLFault) {
        written.insert(table.text)
        if read.contains(table.text) { throw loop(table) }
    }

    private func loop(_ table: Identifier) -> SQLFault {
        SQLFault(
            "\"\(table.text)\" is read and written", at: table.place, why: "a table of a job is an input or an output",
            hint: "name the query in a view, and read that; or declare the topic twice, under two names")
    }

    static let orderNote = "ORDER BY without LIMIT has no effect: an output has no order"

    /// An answer has one.
    func forgetOrderNote() { notes.removeAll { $0 == Self.orderNote } }

    func note(_ note: String) { if !notes.contains(note) { notes.append(note) } }

    var names: [String] { (Array(tables.keys) + Array(views.keys)).sorted() }
}

struct QueryBinder {
    let environment: QueryEnvironment
    /// Queries of WITH, the innermost of a name.
    var common: [String: Relation] = [:]
    /// The scope of the query around it.
    var outer: Scope?

    var builder: ExpressionBuilder { environment.builder }

    /// The relation of a query, its literals settled.
    func settled(_ query: Query) throws(SQLFault) -> Relation {
        try typed(try bind(query), at: query.place)
    }

    /// The relation with text where a literal has found no type.
    func typed(_ relation: Relation, at place: Place) throws(SQLFault) -> Relation {
        try coerced(relation, to: relation.columns.map { $0.type == .unknown ? .text : $0.type }, at: place)
    }

    func bind(_ query: Query) throws(SQLFault) -> Relation {
        let binder = try with(query.with)
        if let offset = query.offset {
            throw SQLFault("OFFSET has no meaning on a stream", at: offset.place, why: "rows that were passed over would come back with every change", hint: "leave it out")
        }
        switch query.body {
        case .select(let block): return try BlockBinder(binder, block, order: query.order).relation(limit: try limit(query))
        case .union(let left, let right, let isAll):
            var relation = try binder.union(left, right, at: query.place)
            if !isAll { relation = relation.withoutRepeats }
            return try binder.ordered(relation, query)
        case .values(let rows): return try binder.ordered(try binder.values(rows), query)
        }
    }

    private func with(_ tables: [CommonTable]) throws(SQLFault) -> QueryBinder {
        var binder = self
        var names: Set<String> = []
        for table in tables {
            guard names.insert(table.name.text).inserted else {
                throw SQLFault("WITH names \"\(table.name.text)\" twice", at: table.name.place, why: "a name stands for one query", hint: "give one of them another name")
            }
            let relation = try binder.settled(table.query)
            binder.common[table.name.text] = try renamed(relation, table.columns, at: table.name)
        }
        return binder
    }

    /// The relation under names that were given to its first columns.
    func renamed(_ relation: Relation, _ names: [Identifier], at name: Identifier) throws(SQLFault) -> Relation {
        guard names.count <= relation.columns.count else {
            throw SQLFault(
                "\"\(name.text)\" names \(names.count) columns", at: name.place, why: "its query has \(relation.columns.count)", hint: "name no more than there are")
        }
        return relation.renamed(names.map(\.text))
    }

    private func values(_ rows: [[ExpressionSyntax]]) throws(SQLFault) -> Relation {
        let binder = ExpressionBinder(scope: Scope(outer: nil), clause: .values, surroundings: nil, builder: builder)
        var bound: [[BoundExpression]] = []
        for row in rows { bound.append(try binder.all(row)) }
        var columns: [OutputColumn] = []
        for index in rows[0].indices {
            let place = rows[0][index].place
            let column = try fitting { () throws(BindError) in try builder.matched(bound.map { $0[index] }, in: "VALUES", at: place.offset) }
            for row in bound.indices { bound[row][index] = column[row] }
            columns.append(OutputColumn(name: "column\(index + 1)", type: column[0].type, isNullable: column.contains { $0.isNullable(over: []) }))
        }
        return Relation(kind: .values(bound), columns: columns)
    }

    private func union(_ left: Query, _ right: Query, at place: Place) throws(SQLFault) -> Relation {
        let (left, right) = (try bind(left), try bind(right))
        guard left.columns.count == right.columns.count else {
            throw SQLFault(
                "UNION of queries with different columns", at: place, why: "the left one has \(left.columns.count), the right one \(right.columns.count)",
                hint: "select as many columns in both")
        }
        var types: [SQLType] = []
        for (index, columns) in zip(left.columns, right.columns).enumerated() {
            let pair: [BoundExpression] = [.column(0, columns.0.type), .column(1, columns.1.type)]
            do {
                let matched = try builder.matched(pair.map { $0.type == .unknown ? builder.null : $0 }, in: "UNION", at: place.offset)
                types.append(matched[0].type)
            } catch {
                throw SQLFault(
                    "column \(index + 1) of UNION is \(columns.0.type.name) and \(columns.1.type.name)", at: place, why: "neither becomes the other by itself",
                    hint: "cast one of them")
            }
        }
        let sides = (try coerced(left, to: types, at: place), try coerced(right, to: types, at: place))
        let columns = zip(sides.0.columns, sides.1.columns).map { left, right in
            OutputColumn(name: left.name, type: left.type, isNullable: left.isNullable || right.isNullable, eventTime: min(left.eventTime, right.eventTime))
        }
        return Relation(kind: .union(sides.0, sides.1), columns: columns)
    }

    /// The relation with columns of these types, cast where need be.
    func coerced(_ relation: Relation, to types: [SQLType], at place: Place) throws(SQLFault) -> Relation {
        if relation.columns.map(\.type) == types { return relation }
        var (base, items) = (relation, relation.columns.enumerated().map { BoundExpression.column($0.offset, $0.element.type) })
        if case .project(let inner, let expressions) = relation.kind { (base, items) = (inner, expressions) }
        var named: [(expression: BoundExpression, name: String)] = []
        for (index, item) in items.enumerated() {
            let value = try fitting { () throws(BindError) in try builder.coerce(item, to: types[index], context: .implicit, at: place.offset) }
            named.append((value, relation.columns[index].name))
        }
        return base.projected(named)
    }

    /// ORDER BY and LIMIT of a query that is no single block: by its own columns only.
    private func ordered(_ relation: Relation, _ query: Query) throws(SQLFault) -> Relation {
        let settled = try typed(relation, at: query.place)
        var keys: [SortKey] = []
        var order: [AnswerOrder] = []
        for item in query.order {
            var found = try position(item.expression, of: settled.columns, in: "ORDER BY")
            if found == nil { found = try column(item.expression, of: settled.columns) }
            guard let index = found else {
                throw SQLFault(
                    "ORDER BY of a UNION by an expression", at: item.expression.place, why: "only the columns of its result can be named there",
                    hint: "write the UNION as a query in FROM, and order around it")
            }
            keys.append(SortKey(.column(index, settled.columns[index].type), item))
            order.append(AnswerOrder(index, item))
        }
        environment.order = order
        guard let count = try limit(query) else {
            if !keys.isEmpty { environment.note(QueryEnvironment.orderNote) }
            return settled
        }
        return settled.top(keys: [], order: keys, count: count)
    }

    /// The column that an alias of the result names.
    func column(_ expression: ExpressionSyntax, of columns: [OutputColumn]) throws(SQLFault) -> Int? {
        guard case .column(let path) = expression.kind, path.count == 1 else { return nil }
        let found = columns.indices.filter { columns[$0].name == path[0].text }
        if found.count > 1 {
            throw SQLFault(
                "\"\(path[0].text)\" is ambiguous", at: expression.place, why: "\(found.count) columns of the result have that name", hint: "give them different names with AS")
        }
        return found.first
    }

    /// The column that a whole number names, from 1.
    func position(_ expression: ExpressionSyntax, of columns: [OutputColumn], in clause: String) throws(SQLFault) -> Int? {
        guard case .literal(let literal) = expression.kind else { return nil }
        guard case .number(let text) = literal, !text.contains(where: { $0 == "." || $0 == "e" }) else {
            throw SQLFault("\(clause) a constant", at: expression.place, why: "all rows are alike in it", hint: "name a column, or its position as a whole number")
        }
        guard let number = Int(text), (1...columns.count).contains(number) else {
            throw SQLFault("\(clause) \(text) names no column", at: expression.place, why: "the result has columns 1 to \(columns.count)", hint: "name one of them")
        }
        return number - 1
    }

    /// The number behind LIMIT, which needs an ORDER BY.
    private func limit(_ query: Query) throws(SQLFault) -> Int? {
        guard let limit = query.limit else { return nil }
        guard let count = limit.wholeNumber, count > 0 else {
            throw SQLFault(
                "LIMIT without a whole number above zero", at: limit.place, why: "how many rows are kept is part of the plan", hint: "write a number, or give it as ${name}")
        }
        var isDistinctOn = false
        if case .select(let block) = query.body, case .on? = block.distinct { isDistinctOn = true }
        guard !query.order.isEmpty || isDistinctOn else {
            throw SQLFault(
                "LIMIT without ORDER BY", at: limit.place, why: "which rows come first would depend on how the stream is cut", hint: "say which rows are kept with ORDER BY")
        }
        return count
    }
}

extension ExpressionSyntax {
    /// A number, or its text: what `${name}` puts in.
    fileprivate var wholeNumber: Int? {
        switch kind {
        case .literal(.number(let text)), .literal(.text(let text)): Int(text)
        default: nil
        }
    }
}

extension AnswerOrder {
    init(_ column: Int, _ item: OrderItem) {
        self.init(column: column, isDescending: item.isDescending, nullsFirst: item.nullsFirst ?? item.isDescending)
    }
}

extension SortKey {
    init(_ expression: BoundExpression, _ item: OrderItem) {
        self.init(expression: expression, isDescending: item.isDescending, nullsFirst: item.nullsFirst ?? item.isDescending)
    }
}
