// The rows of an answer: folded where they may be taken back, in the order that was asked for, printed as a table, as CSV or as JSON.
//
// Rows that only come are printed as they come, in CSV and JSON without an order; all others are kept until the end. Without an order, rows
// that were folded stand in the order of their columns, so that the same question has the same answer, byte for byte.

import Dataflow
import Engine
import SQLBinding
import Values

final class QueryAnswer {
    enum Format: String, CaseIterable { case table, csv, json }

    private let columns: [OutputColumn]
    private let order: [AnswerOrder]
    private let format: Format
    private let isChanging: Bool
    private let context: EvaluationContext
    private let terminal: Terminal
    private var folded: [[Datum]: Int64] = [:]
    private var rows: [[Datum]] = []
    private(set) var count: Int64 = 0

    init(
        _ columns: [OutputColumn], order: [AnswerOrder], format: Format, isChanging: Bool, context: EvaluationContext, terminal: Terminal
    ) throws {
        self.columns = columns
        self.order = order
        self.format = format
        self.isChanging = isChanging
        self.context = context
        self.terminal = terminal
        if format == .csv { try terminal.line(columns.map { Self.field($0.name) }.joined(separator: ",")) }
    }

    private var streams: Bool { !isChanging && order.isEmpty && format != .table }

    func take(_ chunk: Dataflow.Chunk) throws {
        for row in 0..<chunk.count {
            let values = columns.indices.map { chunk.columns[$0].datum(row) }
            let weight = chunk.weight(row)
            if isChanging {
                let sum = (folded[values] ?? 0) + weight
                folded[values] = sum == 0 ? nil : sum
            } else {
                for _ in 0..<weight { if streams { try show(values) } else { rows.append(values) } }
            }
        }
    }

    func end() throws {
        if isChanging {
            for (row, weight) in folded {
                guard weight > 0 else {
                    throw Failure(
                        .internal, "the answer takes a row back that it never had", why: texts(row).map { $0 ?? "NULL" }.joined(separator: ", "),
                        now: "report it with the query")
                }
                for _ in 0..<weight { rows.append(row) }
            }
        }
        guard !streams else { return }
        sort()
        guard format == .table else { return try rows.forEach(show) }
        var table = Table(columns.map { $0.type.isNumber ? .number($0.name) : .text($0.name) })
        for row in rows { table.add(texts(row).map { $0 ?? "" }) }
        count = Int64(rows.count)
        try terminal.table(table)
    }

    /// By the order that was asked for, and where rows are equal in it, or none was, by all columns; what only came stays as it came.
    private func sort() {
        var by = order
        if isChanging { by += columns.indices.map { AnswerOrder(column: $0, isDescending: false, nullsFirst: false) } }
        if by.isEmpty { return }
        let pool = BufferPool()
        let keys = by.map { key in
            let vector = Vector.flat(rows.map { $0[key.column] }, columns[key.column].type, pool: pool)
            return (order: key, vector: vector, rows: KeyOrder.rows(vector.type, vector, vector))
        }
        let sorted = rows.indices.sorted { left, right in
            for (order, vector, rows) in keys {
                let (isLeftNull, isRightNull) = (vector.view.isNull(left), vector.view.isNull(right))
                if isLeftNull != isRightNull { return isLeftNull == order.nullsFirst }
                if isLeftNull { continue }
                let found = rows.compare(left, right)
                if found != 0 { return (found < 0) != order.isDescending }
            }
            return left < right
        }
        rows = sorted.map { rows[$0] }
    }

    private func texts(_ row: [Datum]) -> [String?] { zip(row, columns).map { TypeText.text($0, as: $1.type, context: context) } }

    private func show(_ row: [Datum]) throws {
        count += 1
        let texts = texts(row)
        switch format {
        case .csv: try terminal.line(texts.map { $0.map(Self.field) ?? "" }.joined(separator: ","))
        default:
            let fields = zip(columns, texts).map { column, text in
                Self.string(column.name) + ":" + (text.map { Self.json($0, column.type) } ?? "null")
            }
            try terminal.line("{\(fields.joined(separator: ","))}")
        }
    }

    /// NULL is nothing between two commas, an empty text two quotes.
    private static func field(_ text: String) -> String {
        let isQuoted = text.isEmpty || text.contains { $0 == "," || $0 == "\"" || $0.isNewline }
        return isQuoted ? "\"\(text.replacing("\"", with: "\"\""))\"" : text
    }

    private static func json(_ text: String, _ type: SQLType) -> String {
        switch type {
        case .bool: text == "t" ? "true" : "false"
        case .jsonb: text
        case .int2, .int4, .int8, .numeric, .float4, .float8:
            // What is no number in JSON is a text.
            text.contains { $0 == "N" || $0 == "I" } ? string(text) : text
        default: string(text)
        }
    }

    private static func string(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F: out += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}

extension SQLType {
    fileprivate var isNumber: Bool {
        switch self {
        case .int2, .int4, .int8, .numeric, .float4, .float8: true
        default: false
        }
    }
}
