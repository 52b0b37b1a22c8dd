// Several tables of a case as one topic: a table with all their columns and a column that says which table a row is of, and a view for each.
//
// Where one of them is replaced by key, the topic is; rows that only come have a key of their own there. One event time serves all.

import Engine
import SQLBinding
import SQLSyntax
import TestSupport
import Values

struct OneTopic {
    /// CREATE TABLE of the topic and CREATE VIEW of the others.
    let text: String
    /// Tables that are read as they are.
    private let tables: [TableDefinition]
    private let isUpsert: Bool
    private let time: String?
    private var number = 0

    init(_ tables: [TableDefinition]) throws {
        self.tables = tables
        isUpsert = tables.contains { $0.options[.mode] == "upsert" }
        let times = Set(tables.compactMap { $0.options[.eventTime] })
        if times.count > 1 || (isUpsert && !times.isEmpty) { throw RigError.wrong("one topic cannot have these event times") }
        time = times.first
        let time = time
        var columns = ["side text NOT NULL"]
        if isUpsert { columns.append("n text NOT NULL") }
        if let time { columns.append("\(time) timestamptz") }
        var views: [String] = []
        for table in tables {
            var shown: [String] = []
            for column in table.columns {
                if column.name == time {
                    shown.append(column.name)
                    continue
                }
                let modifier = if case .digits(let precision, let scale) = column.modifier { "(\(precision), \(scale))" } else { "" }
                columns.append("\(table.name)_\(column.name) \(column.type.name)\(modifier)\(column.isNotNull && table.key.isEmpty ? " NOT NULL DEFAULT 0" : "")")
                shown.append("\(table.name)_\(column.name) AS \(column.name)")
            }
            views.append("CREATE VIEW \(table.name) AS SELECT \(shown.joined(separator: ", ")) FROM all_rows WHERE side = '\(table.name)';")
        }
        if isUpsert { columns.append("PRIMARY KEY (side, n)") }
        let options = (isUpsert ? ", mode = 'upsert', key_format = 'json'" : "") + (time.map { ", event_time = '\($0)'" } ?? "")
        text = "CREATE TABLE all_rows (\(columns.joined(separator: ", "))) WITH (connector = 'kafka', topic = 'all', format = 'json'\(options));\n" + views.joined(separator: "\n")
    }

    func has(_ name: String) -> Bool { tables.contains { $0.name == name } }

    /// A row of one of the tables as a row of the topic's.
    mutating func row(_ row: RigRow) -> RigRow {
        number += 1
        var values: [String?] = [row.table]
        let own = tables.first { $0.name == row.table }!
        if isUpsert { values.append(own.key.isEmpty ? "\(number)" : row.values[own.key[0]]) }
        if let time { values.append(own.columns.firstIndex { $0.name == time }.flatMap { $0 < row.values.count ? row.values[$0] : nil }) }
        for table in tables {
            for (index, column) in table.columns.enumerated() where column.name != time {
                let value = table.name == row.table && index < row.values.count ? row.values[index] : nil
                values.append(value ?? (column.isNotNull && table.key.isEmpty ? "0" : nil))
            }
        }
        return RigRow(table: "all_rows", weight: row.weight, values: values)
    }
}
