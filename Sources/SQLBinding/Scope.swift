// Which names can be read where, and what they stand for.
//
// A scope is what FROM gives: tables under their names, with their columns. `a JOIN b USING (k)` adds a column `k` that belongs to neither
// and is found first; `a.k` still names one of them. A scope knows the one around it: a subquery may read a row of the query around
// it, and such a column is numbered from `outerColumns` on, for whoever joins the two.

import SQLSyntax
import Values
import Wording

/// Columns of the query around a subquery are numbered from here.
let outerColumns = 1_000_000

struct ScopeColumn: Sendable {
    let name: String
    let expression: BoundExpression
    let isHidden: Bool
    /// A column of USING stands for it where it is named alone.
    var isMerged = false
}

struct ScopeTable: Sendable {
    /// Nil for the columns that USING made.
    let name: String?
    var columns: [ScopeColumn]
}

final class Scope {
    let tables: [ScopeTable]
    let outer: Scope?
    /// Columns of the query around it can be read now: in a WHERE whose rows are joined to that query's.
    var allowsOuter = false

    init(tables: [ScopeTable] = [], outer: Scope?) {
        self.tables = tables
        self.outer = outer
    }

    /// A scope of one table's columns.
    static func columns(of relation: Relation, named name: String?, from first: Int = 0) -> ScopeTable {
        let columns = relation.columns.enumerated().map { index, column in
            ScopeColumn(name: column.name, expression: .column(first + index, column.type), isHidden: column.isHidden)
        }
        return ScopeTable(name: name, columns: columns)
    }

    /// True when a table has a column of this name.
    func has(_ name: String) -> Bool { tables.contains { $0.columns.contains { $0.name == name } } }

    /// What a name stands for.
    func resolve(_ path: [Identifier]) throws(SQLFault) -> BoundExpression {
        if let found = try find(path) { return found }
        let name = path.map(\.text).joined(separator: ".")
        if let outer, let found = try outer.find(path) {
            guard allowsOuter else {
                throw notYet(
                    "column \"\(name)\" of the query around this one, in this place,", at: path[0].place,
                    hint: "compare it in the WHERE of an EXISTS or IN without aggregates, or write a join")
            }
            return found.mapColumns { .column($0 + outerColumns, $1) }
        }
        if let further = outer?.outer, (try? further.find(path)) ?? nil != nil {
            throw SQLFault(
                "\(name) stands two queries further out", at: path[0].place, why: "a subquery reads its own tables and those of the query right around it",
                hint: "write one of the subqueries as a join")
        }
        throw unknown(path)
    }

    private func find(_ path: [Identifier]) throws(SQLFault) -> BoundExpression? {
        let name = path[path.count - 1]
        guard path.count <= 2 else {
            throw SQLFault(
                "a name of \(path.count) parts", at: path[0].place, why: "a job's names have no schemas", hint: "write table.column; a field of a row is (table.column).field")
        }
        if path.count == 2 {
            let named = tables.filter { $0.name == path[0].text }
            guard let table = named.first else { return nil }
            let found = table.columns.filter { $0.name == name.text }
            if found.count > 1 { throw ambiguous(name, found.map { _ in path.map(\.text).joined(separator: ".") }) }
            if found.isEmpty { throw unknown(path) }
            return found[0].expression
        }
        let found = tables.flatMap { table in table.columns.filter { $0.name == name.text && !$0.isMerged }.map { (table.name, $0) } }
        if found.count > 1 { throw ambiguous(name, found.map { "\($0.0.map { "\($0)." } ?? "")\(name.text)" }) }
        return found.first?.1.expression
    }

    private func ambiguous(_ name: Identifier, _ places: [String]) -> SQLFault {
        let repeated = Set(places).count < places.count
        return SQLFault(
            "column \"\(name.text)\" is ambiguous", at: name.place, why: "it can be \(listed(places, by: "or"))",
            hint: repeated ? "give the columns different names with AS" : "write the table before it: \(places[0])")
    }

    private func unknown(_ path: [Identifier]) -> SQLFault {
        let name = path[path.count - 1]
        let all = tables + (outer?.tables ?? [])
        if path.count == 2, !all.contains(where: { $0.name == path[0].text }) {
            return SQLFault(
                "there is no table \"\(path[0].text)\" in FROM", at: path[0].place, why: "\(path.map(\.text).joined(separator: ".")) names a table that this query does not read",
                hint: nearestHint(to: path[0].text, among: all.compactMap(\.name), kind: "table"))
        }
        if path.count == 1, all.contains(where: { $0.name == name.text }) {
            return SQLFault(
                "\"\(name.text)\" is a table and not a column", at: name.place, why: "a whole row as a value is not there yet", hint: "name its columns: \(name.text).column")
        }
        let columns = all.filter { path.count == 1 || $0.name == path[0].text }.flatMap(\.columns)
        let near = nearestNames(to: name.text, among: Set(columns.map(\.name)))
        let shown = near.isEmpty ? columns.filter { !$0.isHidden }.map(\.name) : near
        let typed = shown.prefix(8).compactMap { name in columns.first { $0.name == name }.map { "\(name) \($0.expression.type.name)" } }
        return SQLFault(
            "there is no column \"\(path.map(\.text).joined(separator: "."))\"", at: name.place,
            why: columns.isEmpty ? "this query reads no table" : "no table in FROM has it",
            hint: typed.isEmpty ? "name a table in FROM" : near.isEmpty ? "there is \(typed.joined(separator: ", "))" : "did you mean \(typed.joined(separator: " or "))?")
    }

    /// What `*` or `t.*` stands for.
    func all(of path: [Identifier], at place: Place) throws(SQLFault) -> [(expression: BoundExpression, name: String)] {
        var chosen = tables
        if let table = path.last {
            chosen = tables.filter { $0.name == table.text }
            if chosen.isEmpty {
                throw SQLFault(
                    "there is no table \"\(table.text)\" in FROM", at: table.place, why: "\(table.text).* names a table that this query does not read",
                    hint: nearestHint(to: table.text, among: tables.compactMap(\.name), kind: "table"))
            }
        } else if tables.isEmpty {
            throw SQLFault("* without FROM", at: place, why: "there is no table whose columns it could stand for", hint: "name a table in FROM, or columns")
        }
        return chosen.flatMap(\.columns).filter { !$0.isHidden && (!$0.isMerged || !path.isEmpty) }.map { ($0.expression, $0.name) }
    }
}
