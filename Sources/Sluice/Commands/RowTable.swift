// Rows as an aligned table: what `--print` shows. Keys whose rows go come before it, each as a line that begins with `-`.

import Engine

enum RowTable {
    static func print(_ chunks: [Chunk], _ terminal: Terminal) throws {
        for chunk in chunks where chunk.isDelete {
            try chunk.forEachSelectedRow { row in
                try terminal.line("- " + (chunk.columns.isEmpty ? "the row" : chunk.values(row).map(text).joined(separator: "  ")))
            }
        }
        let chunks = chunks.filter { !$0.isDelete }
        guard let schema = chunks.first?.schema else { return }
        var table = Table(
            schema.fields.map { field in
                switch field.type {
                case .int64, .float64: .number(field.name)
                case .text, .bool, .timestamp: .text(field.name)
                }
            })
        for chunk in chunks {
            chunk.forEachSelectedRow { row in table.add(chunk.values(row).map(text)) }
        }
        try terminal.table(table)
    }

    static func text(_ value: Value) -> String {
        switch value {
        case .null: "NULL"
        case .int64(let value): "\(value)"
        case .timestamp(let value): formatTime(value)
        case .float64(let value): "\(value)"
        case .bool(let value): value ? "true" : "false"
        case .text(let value): value
        }
    }
}
