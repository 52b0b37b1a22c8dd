// CREATE TABLE becomes a table: columns with types, a key, and options that fit the connector and each other.

import SQLSyntax
import Values
import Wording

struct TableBinder {
    let builder: ExpressionBuilder

    func bind(_ create: CreateTable) throws(SQLFault) -> TableDefinition {
        let name = create.name
        guard let option = create.options.first(where: { $0.key.text == "connector" }) else {
            throw SQLFault(
                "table \"\(name.text)\" has no connector", at: name.place, why: "nothing says where its rows come from or go to",
                hint: "write WITH (connector = '...'): \(Connector.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard let connector = Connector(rawValue: option.value) else {
            throw SQLFault(
                "there is no connector \"\(option.value)\"", at: option.key.place, why: "no connector has that name",
                hint: nearestHint(to: option.value, among: Connector.allCases.map(\.rawValue), kind: "connector"))
        }
        let names = create.columns.map(\.name.text)
        for (index, column) in create.columns.enumerated() where names[..<index].contains(column.name.text) {
            throw SQLFault("column \"\(column.name.text)\" stands twice", at: column.name.place, why: "a name stands for one column", hint: "give one of them another name")
        }
        let options = try TableOptions(create.options, of: .table(connector), columns: names)
        let columns = try self.columns(create)
        var key: [Int] = []
        for column in create.primaryKey ?? [] {
            guard let index = names.firstIndex(of: column.text) else {
                throw SQLFault(
                    "there is no column \"\(column.text)\"", at: column.place, why: "PRIMARY KEY names columns of this table",
                    hint: nearestHint(to: column.text, among: names, kind: "column"))
            }
            key.append(index)
        }
        let table = TableDefinition(name: name.text, connector: connector, columns: columns, key: key, options: options, place: name.place)
        try check(table, create)
        return table
    }

    private func columns(_ create: CreateTable) throws(SQLFault) -> [TableColumn] {
        var types: [(SQLType, TypeModifier)] = []
        for column in create.columns { types.append(try boundType(column.type)) }
        // A generated column is computed of the others, and not of generated ones.
        let plain = create.columns.indices.filter { create.columns[$0].generated == nil }
        let readable = plain.map { ScopeColumn(name: create.columns[$0].name.text, expression: .column($0, types[$0].0), isHidden: false) }
        let scope = Scope(tables: [ScopeTable(name: create.name.text, columns: readable)], outer: nil)
        var columns: [TableColumn] = []
        for (column, (type, modifier)) in zip(create.columns, types) {
            func value(_ expression: ExpressionSyntax?, _ clause: Clause, _ scope: Scope) throws(SQLFault) -> BoundExpression? {
                guard let expression else { return nil }
                let bound = try ExpressionBinder(scope: scope, clause: clause, surroundings: nil, builder: builder).bind(expression)
                return try fitting { () throws(BindError) in try builder.assign(bound, to: type, modifier: modifier, at: expression.place.offset) }
            }
            columns.append(
                TableColumn(
                    name: column.name.text, type: type, modifier: modifier, isNotNull: column.isNotNull,
                    defaultValue: try value(column.defaultValue, .defaultValue, Scope(outer: nil)), generated: try value(column.generated, .generated, scope)))
        }
        return columns
    }

    private func check(_ table: TableDefinition, _ create: CreateTable) throws(SQLFault) {
        func missing(_ name: OptionName, _ why: String) -> SQLFault {
            SQLFault("table \"\(table.name)\" has no \(name.rawValue)", at: table.place, why: why, hint: "add \(name.rawValue) = '...' to its WITH")
        }
        func place(_ name: OptionName) -> Place { create.options.first { $0.key.text == name.rawValue }?.key.place ?? table.place }
        switch table.connector {
        case .kafka:
            if table.options[.topic] == nil { throw missing(.topic, "a table of kafka is a topic") }
            if table.options[.format] == nil { throw missing(.format, "records are read by a format: json, avro, raw") }
            if table.options[.mode] == "lookup" {
                throw SQLFault(
                    "mode = 'lookup' of connector kafka", at: place(.mode), why: "a topic is a stream",
                    hint: "take mode 'append' or 'upsert'; lookup tables are of postgres and sqlite")
            }
        case .postgres, .sqlite:
            if table.options[.url] == nil { throw missing(.url, "nothing says which database it is in") }
            if table.options[.table] == nil { throw missing(.table, "nothing says which of the database's tables it is") }
        case .console, .discard: break
        }
        if table.options[.format] == "raw", table.columns.map(\.name) != ["value"] || table.columns[0].type != .bytea {
            throw SQLFault("format = 'raw' with other columns", at: place(.format), why: "a raw record is one column", hint: "declare (value bytea)")
        }
        if let name = table.options[.eventTime], let column = table.columns.first(where: { $0.name == name }), column.type != .timestamptz, column.type != .timestamp {
            throw SQLFault(
                "event time \"\(name)\" is \(column.type.name)", at: place(.eventTime), why: "an event time is a timestamp",
                hint: "declare it timestamptz, or compute one: GENERATED ALWAYS AS (...) STORED")
        }
        if table.options[.lateness] != nil, table.options[.eventTime] == nil {
            throw SQLFault("lateness without an event time", at: place(.lateness), why: "rows are late by their event time", hint: "add event_time = 'column'")
        }
        if table.options[.mode] == "upsert" && table.key.isEmpty && table.connector == .kafka {
            throw SQLFault("mode = 'upsert' without a key", at: place(.mode), why: "a record replaces the row of its key", hint: "declare PRIMARY KEY (...)")
        }
        if table.connector == .kafka, table.options[.mode] != "upsert", let key = create.primaryKey?.first {
            let names = table.key.map { table.columns[$0].name }.joined(separator: ", ")
            throw SQLFault(
                "PRIMARY KEY of a topic that is appended to", at: key.place, why: "producers write a record again when they are not sure, so keys repeat",
                hint: "add mode = 'upsert', or leave the key out and take one row of each: SELECT DISTINCT ON (\(names)) * FROM \(table.name) ORDER BY \(names), ...")
        }
        if table.options[.early] != nil && table.key.isEmpty {
            throw SQLFault(
                "early of a table without a key", at: place(.early), why: "a row that is not final is replaced later, which needs its key",
                hint: "declare PRIMARY KEY (...), or leave early out")
        }
        for name in [OptionName.version, .deleteKeep] where table.options[name] != nil && table.options[.mode] != "upsert" {
            throw SQLFault("\(name.rawValue) of a table that is no upsert", at: place(name), why: "only replaced rows have versions", hint: "add mode = 'upsert', or leave it out")
        }
    }
}
