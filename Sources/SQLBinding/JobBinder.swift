// The statements of a text become a job: tables and views by name, outputs with their relations, settings.
//
// Names are declared before they are used. Everything that can be known without the outside world is refused here, with line, column, caret,
// reason and what works; whether topics and sink tables are there is looked up by others.

import SQLSyntax
import Values
import Wording

extension BoundJob {
    /// Settings that SQL itself gives a meaning to.
    public static let settingNames: Set<String> = ["on_error", "timezone", "visible", "max_state"]

    /// Binds a text.
    /// - Parameter settings: further settings that a job has.
    /// - Throws: the first thing that is wrong.
    public init(binding script: Script, settings: Set<String> = []) throws(SQLError) {
        var binder = JobBinder(known: Self.settingNames.union(settings))
        do throws(SQLFault) {
            for statement in script.statements { try binder.bind(statement) }
            self = try binder.job(of: script.text)
        } catch {
            throw error.error(in: script.text)
        }
    }
}

private struct JobBinder {
    let known: Set<String>
    private var environment = QueryEnvironment()
    private var tables: [TableDefinition] = []
    private var outputs: [JobOutput] = []
    private var question: Relation?
    private var order: [AnswerOrder] = []
    private var settings: [String: String] = [:]

    init(known: Set<String>) { self.known = known }

    private var queries: QueryBinder { QueryBinder(environment: environment) }

    func job(of text: SourceText) throws(SQLFault) -> BoundJob {
        guard !outputs.isEmpty || question != nil else {
            throw SQLFault(
                "a text without an output", at: Place(text.text.utf8.count), why: "nothing would be computed",
                hint: "write CREATE MATERIALIZED VIEW, INSERT INTO ... SELECT, or SELECT")
        }
        return BoundJob(text: text, tables: tables, outputs: outputs, question: question, order: order, settings: settings, notes: environment.notes)
    }

    mutating func bind(_ statement: Statement) throws(SQLFault) {
        switch statement.kind {
        case .createTable(let create):
            try checkFree(create.name)
            let table = try TableBinder(builder: environment.builder).bind(create)
            tables.append(table)
            environment.declare(table)
        case .createView(let create): try bind(create, at: statement.place)
        case .insert(let insert): try bind(insert, at: statement.place)
        case .set(let setting): try set(setting, at: statement.place)
        case .select(let query):
            guard question == nil else {
                throw SQLFault("a second SELECT", at: statement.place, why: "a text asks one question", hint: "write CREATE MATERIALIZED VIEW name AS before it")
            }
            let isNoted = environment.notes.contains(QueryEnvironment.orderNote)
            question = try queries.settled(query)
            guard let found = environment.order else { return }
            order = found
            if !isNoted { environment.forgetOrderNote() }
        }
    }

    private func checkFree(_ name: Identifier) throws(SQLFault) {
        guard environment.names.contains(name.text) else { return }
        throw SQLFault("\"\(name.text)\" is declared twice", at: name.place, why: "a name stands for one table or view", hint: "give one of them another name")
    }

    private mutating func set(_ setting: Setting, at place: Place) throws(SQLFault) {
        guard known.contains(setting.key) else {
            throw SQLFault(
                "there is no setting \"\(setting.key)\"", at: place, why: "no setting of a job has that name",
                hint: nearestHint(to: setting.key, among: Array(known), kind: "setting"))
        }
        guard settings[setting.key] == nil else {
            throw SQLFault("\(setting.key) is set twice", at: place, why: "a setting holds for the whole job", hint: "leave one out")
        }
        func check(_ isGood: Bool, _ hint: String) throws(SQLFault) {
            if !isGood { throw SQLFault("\(setting.key) = '\(setting.value)' is not understood", at: place, why: "it is none of its values", hint: hint) }
        }
        switch setting.key {
        case "on_error": try check(["quarantine", "null", "stop"].contains(setting.value), "write 'quarantine', 'null' or 'stop'")
        case "visible": try check(["batch", "part"].contains(setting.value), "write 'batch' or 'part'")
        case "max_state": try check(byteCount(setting.value) != nil, "write '512 MiB' or '2 GiB'")
        case "timezone":
            guard tables.isEmpty && outputs.isEmpty && question == nil && environment.names.isEmpty else {
                throw SQLFault("timezone behind other statements", at: place, why: "literals before it would be read in another zone", hint: "write it first")
            }
            guard let zone = try? Zone.named(setting.value) else {
                throw SQLFault("there is no time zone \"\(setting.value)\"", at: place, why: "the zone data does not have it", hint: "write a name as 'Europe/Berlin', or 'UTC'")
            }
            environment = QueryEnvironment(zone: zone)
        default: break
        }
        settings[setting.key] = setting.value
    }

    private mutating func bind(_ create: CreateView, at place: Place) throws(SQLFault) {
        try checkFree(create.name)
        let options = try TableOptions(create.options, of: .view, columns: [])
        let relation = try queries.renamed(queries.settled(create.query), create.columns, at: create.name)
        try checkNames(relation, at: create.query.place)
        environment.declare(view: create.name.text, as: relation)
        guard create.isMaterialized else { return }
        try checkEmission(relation, options, at: create.name.place)
        let keyed = try self.keyed(relation, options, create.name)
        try checkAlone(.view(create.name.text), at: create.name.place)
        outputs.append(JobOutput(target: .view(create.name.text), relation: keyed, options: options, place: create.name.place))
    }

    /// A view whose rows may be taken back has a key, if need be in further columns.
    private func keyed(_ relation: Relation, _ options: TableOptions, _ name: Identifier) throws(SQLFault) -> Relation {
        let isFinal = options[.emit] == "final"
        let changing: String? = if options[.early] != nil { "early, which shows rows that are not final" } else { isFinal ? nil : relation.changing }
        guard let changing else { return relation }
        guard let keyed = relation.withKey() else {
            throw SQLFault(
                "view \"\(name.text)\" has no key, and its rows change", at: name.place, why: "what changes them is \(changing)",
                hint:
                    "group by some columns, or take each row once with SELECT DISTINCT\(relation.canBeFinal && !isFinal ? ", or write emit = 'final' so that each comes once" : "")"
            )
        }
        let added = keyed.columns[relation.columns.count...].map { "\"\($0.name)\"" }
        if !added.isEmpty { environment.note("view \"\(name.text)\" has further columns for its key: \(added.joined(separator: ", "))") }
        return keyed
    }

    /// Two queries into one keyed table could have one key, and a row of one would replace that of the other.
    private func checkAlone(_ target: JobOutput.Target, at place: Place) throws(SQLFault) {
        guard let own = destination(target) else { return }
        for output in outputs {
            guard let other = destination(output.target), own.isSame(as: other), own.isKeyed || other.isKeyed else { continue }
            throw SQLFault(
                "two queries write \"\(own.name)\"", at: place, why: "a row of one would replace a row of the other that has its key",
                hint: "write one query that has the rows of both, such as GROUP BY over a UNION ALL, or give each a table of its own")
        }
    }

    private func destination(_ target: JobOutput.Target) -> Destination? {
        switch target {
        case .view(let name): Destination(name: name, kind: .view(name), isKeyed: true)
        case .table(let name, _): environment.tables[name].flatMap { Destination($0) }
        }
    }

    /// The columns of a table must have names, each another one.
    private func checkNames(_ relation: Relation, at place: Place) throws(SQLFault) {
        for (index, column) in relation.columns.enumerated() {
            if column.name == "?column?" {
                throw SQLFault("column \(index + 1) has no name", at: place, why: "the columns of a view are named by others", hint: "give it one with AS")
            }
            if relation.columns[..<index].contains(where: { $0.name == column.name }) {
                throw SQLFault(
                    "two columns are called \"\(column.name)\"", at: place, why: "the columns of a view are named by others", hint: "give one of them another name with AS")
            }
        }
    }

    /// `final` needs a column whose watermark passes; without it a row would never be finished.
    private func checkEmission(_ relation: Relation, _ options: TableOptions, at place: Place) throws(SQLFault) {
        if options[.emit] == "final", !relation.canBeFinal {
            if let loss = relation.watermarkLoss {
                throw SQLFault(
                    "emit = 'final' without a watermark", at: place, why: "a row is final when the watermark has passed it, and none is left behind \(loss.what)",
                    hint: loss.hint)
            }
            throw SQLFault(
                "emit = 'final' without an event time among the columns", at: place, why: "a row is final when the watermark has passed it, and none belongs to these columns",
                hint: "select window_end, or the event time of a source")
        }
        if options[.early] != nil, options[.emit] != "final" {
            throw SQLFault("early without emit = 'final'", at: place, why: "rows that may still change are shown anyway", hint: "add emit = 'final', or leave early out")
        }
    }

    private mutating func bind(_ insert: Insert, at place: Place) throws(SQLFault) {
        let name = insert.table.text
        guard let table = environment.tables[name] else {
            let isView = environment.views[name] != nil
            throw SQLFault(
                isView ? "\"\(name)\" is a view" : "there is no table \"\(name)\"", at: insert.table.place,
                why: isView ? "its rows are those of its query" : "no table of that name is declared before this",
                hint: isView ? "insert into a table" : nearestHint(to: name, among: Array(environment.tables.keys), kind: "table"))
        }
        let relation = try queries.bind(insert.query)
        try environment.writes(insert.table)
        let columns = try targets(insert, table, count: relation.columns.count)
        let fitted = try fit(relation, to: table, columns, at: insert.query.place)
        try checkEmission(fitted, table.options, at: insert.table.place)
        try checkKey(fitted, table, columns, at: insert.table.place)
        try checkAlone(.table(name, columns: columns), at: insert.table.place)
        outputs.append(JobOutput(target: .table(name, columns: columns), relation: fitted, options: table.options, place: place))
    }

    /// The number of the table's column for each of the query's.
    private func targets(_ insert: Insert, _ table: TableDefinition, count: Int) throws(SQLFault) -> [Int] {
        let names = table.columns.map(\.name)
        var columns: [Int] = []
        for column in insert.columns {
            guard let index = names.firstIndex(of: column.text) else {
                throw SQLFault(
                    "there is no column \"\(column.text)\"", at: column.place, why: "table \"\(table.name)\" does not have it",
                    hint: nearestHint(to: column.text, among: names, kind: "column"))
            }
            guard !columns.contains(index) else {
                throw SQLFault("column \"\(column.text)\" stands twice", at: column.place, why: "it has one value", hint: "name it once")
            }
            columns.append(index)
        }
        if insert.columns.isEmpty { columns = Array(table.columns.indices.filter { table.columns[$0].generated == nil }.prefix(max(count, 0))) }
        guard columns.count == count else {
            throw SQLFault(
                "\(count) columns for \(columns.count) of \"\(table.name)\"", at: insert.table.place, why: "each column of the query goes into one of the table",
                hint: "the table has \(table.columns.map { "\($0.name) \($0.type.name)" }.joined(separator: ", "))")
        }
        if let generated = columns.first(where: { table.columns[$0].generated != nil }) {
            throw SQLFault("column \"\(names[generated])\" is generated", at: insert.table.place, why: "its value is always computed", hint: "leave it out")
        }
        if let missing = table.columns.indices.first(where: {
            table.columns[$0].isNotNull && table.columns[$0].defaultValue == nil && table.columns[$0].generated == nil && !columns.contains($0)
        }) {
            throw SQLFault("nothing for column \"\(names[missing])\"", at: insert.table.place, why: "it is NOT NULL and has no default", hint: "select a value for it")
        }
        return columns
    }

    /// The query's columns as the table's types.
    private func fit(_ relation: Relation, to table: TableDefinition, _ columns: [Int], at place: Place) throws(SQLFault) -> Relation {
        var (base, items) = (relation, relation.columns.enumerated().map { BoundExpression.column($0.offset, $0.element.type) })
        if case .project(let inner, let expressions) = relation.kind { (base, items) = (inner, expressions) }
        var named: [(expression: BoundExpression, name: String)] = []
        for (item, index) in zip(items, columns) {
            let column = table.columns[index]
            do {
                named.append((try environment.builder.assign(item, to: column.type, modifier: column.modifier, at: place.offset), column.name))
            } catch {
                throw SQLFault(
                    "column \"\(column.name)\" is \(column.type.name), the query gives \(item.type.name)", at: place, why: error.why,
                    hint: "the table has \(table.columns.map { "\($0.name) \($0.type.name)" }.joined(separator: ", ")); the query gives \(relation.header)")
            }
        }
        return base.projected(named)
    }

    /// A declared key must be one of the query's; without a key rows can only be added.
    private func checkKey(_ relation: Relation, _ table: TableDefinition, _ columns: [Int], at place: Place) throws(SQLFault) {
        let isFinal = table.options[.emit] == "final"
        guard !table.key.isEmpty else {
            guard let changing = relation.changing, !isFinal, table.connector != .console, table.connector != .discard else { return }
            throw SQLFault(
                "table \"\(table.name)\" has no key, and rows of the query change", at: place, why: "what changes them is \(changing)",
                hint: "declare PRIMARY KEY (...) so that rows are replaced\(relation.canBeFinal ? ", or emit = 'final' so that each comes once" : "")")
        }
        let key = Set(table.key.compactMap { columns.firstIndex(of: $0) })
        guard key.count == table.key.count else {
            throw SQLFault("nothing for the key of \"\(table.name)\"", at: place, why: "each row needs its key", hint: "select a value for every column of it")
        }
        guard relation.keys.contains(where: { $0.isSubset(of: key) }) else {
            func names(_ key: Set<Int>) -> String { "(\(key.sorted().map { relation.columns[$0].name }.joined(separator: ", ")))" }
            let known = relation.keys.map(names)
            throw SQLFault(
                "\(names(key)) is not a key of the query", at: place, why: "two of its rows may have equal values there, and one would replace the other",
                hint: known.isEmpty ? "group by these columns, or take the first row of each with DISTINCT ON" : "the query has the key \(known.joined(separator: " or "))")
        }
    }
}

extension Relation {
    /// A column says when a row is over.
    fileprivate var canBeFinal: Bool { columns.contains { $0.eventTime == .watermarked } }
}
