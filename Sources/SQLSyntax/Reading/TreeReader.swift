// libpg_query's tree becomes ours: what is common to all of its nodes.
//
// The reader takes what Sluice understands and refuses everything else by name. It is the only place that knows PostgreSQL's nodes, and it
// must look at every field of a node that it takes: a field not looked at is a clause that the user wrote and nobody obeys. Extensions of
// it read statements, queries and expressions.
//
// The tree is left-deep where operators are (`1+1+1`): `depth` bounds it, so that whoever walks the tree later may recurse.

import CPGQuery

typealias NodePointer = UnsafeMutablePointer<PgQuery__Node>

struct TreeReader {
    /// Levels of expressions and queries in one another.
    static let mostDepth = 250

    let text: FilledText
    private var depth = 0

    init(text: FilledText) { self.text = text }

    /// Runs one level deeper.
    mutating func nested<Result>(_ place: Place, _ body: (inout TreeReader) throws(SQLFault) -> Result) throws(SQLFault) -> Result {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.mostDepth else {
            throw SQLFault(
                "nested too deeply", at: place, why: "more than \(Self.mostDepth) levels are in one another",
                hint: "name parts of it in WITH or in views of their own")
        }
        return try body(&self)
    }

    /// The place of a node's location; the node around it where it has none.
    func place(_ location: Int32, or around: Place = Place(0)) -> Place { location < 0 ? around : text.place(Int(location)) }

    /// Identifiers of a list of strings.
    func names(_ nodes: [NodePointer], at place: Place) throws(SQLFault) -> [Identifier] {
        var names: [Identifier] = []
        for node in nodes {
            guard node.pointee.node_case == PG_QUERY__NODE__NODE_STRING else { throw notYet("a name of this kind", at: place) }
            names.append(Identifier(String(cString: node.pointee.string.pointee.sval), at: place))
        }
        return names
    }

    /// The one name of a list, without `pg_catalog`, which the grammar puts before names of its own; another schema is refused.
    func name(_ nodes: [NodePointer], at place: Place, kind: String) throws(SQLFault) -> Identifier {
        var names = try names(nodes, at: place)
        if names.count == 2, names[0].text == "pg_catalog" { names.removeFirst() }
        guard names.count == 1 else {
            throw SQLFault(
                "\(kind) \(names.map(\.text).joined(separator: ".")) with a schema", at: place, why: "a job's names have no schemas",
                hint: "leave out what stands before the last point")
        }
        return names[0]
    }

    func tableName(_ table: UnsafeMutablePointer<PgQuery__RangeVar>) throws(SQLFault) -> Identifier {
        let place = place(table.pointee.location)
        let name = String(cString: table.pointee.relname)
        guard !table.pointee.schemaname.isPresent, !table.pointee.catalogname.isPresent else {
            throw SQLFault(
                "table \(String(cString: table.pointee.schemaname)).\(name) with a schema", at: place, why: "a job's names have no schemas",
                hint: "leave out what stands before the last point")
        }
        guard table.pointee.inh != 0 else { throw notYet("ONLY", at: place) }
        return Identifier(name, at: place)
    }

    func alias(_ alias: UnsafeMutablePointer<PgQuery__Alias>?, at place: Place) throws(SQLFault) -> TableAlias? {
        guard let alias else { return nil }
        let columns = try names(nodes(alias.pointee.colnames, alias.pointee.n_colnames), at: place)
        return TableAlias(name: String(cString: alias.pointee.aliasname), columns: columns.map(\.text))
    }
}

/// What the grammar takes and this engine will understand one day.
func notYet(_ what: String, at place: Place, hint: String = "leave it out") -> SQLFault {
    SQLFault("\(what) is not there yet", at: place, why: "it is PostgreSQL's grammar, and not understood here so far", hint: hint)
}

/// What the grammar takes and has no meaning in a job.
func outOfPlace(_ what: String, at place: Place, why: String, hint: String) -> SQLFault {
    SQLFault("\(what) has no place here", at: place, why: why, hint: hint)
}

func nodes(_ start: UnsafeMutablePointer<NodePointer?>?, _ count: Int) -> [NodePointer] {
    guard let start else { return [] }
    return (0..<count).compactMap { start[$0] }
}

extension NodePointer {
    /// The items of a List node; none of any other.
    var listItems: [NodePointer] {
        guard pointee.node_case == PG_QUERY__NODE__NODE_LIST else { return [] }
        return nodes(pointee.list.pointee.items, pointee.list.pointee.n_items)
    }
}

extension UnsafeMutablePointer<CChar>? {
    /// True for a text that says something.
    var isPresent: Bool { self.map { $0.pointee != 0 } ?? false }
}
