// Records of a topic, made of rows as texts: their values as JSON, their keys as the table reads them.

import Engine
import SQLBinding
import TestSupport
import Values

/// One record to be.
struct MadeRecord {
    var partition: Int32
    var offset: Int64
    var key: [UInt8]?
    var value: [UInt8]?

    init(partition: Int32 = 0, offset: Int64, key: String? = nil, _ value: String?) {
        self.partition = partition
        self.offset = offset
        self.key = key.map { Array($0.utf8) }
        self.value = value.map { Array($0.utf8) }
    }
}

/// Writes rows of a table into partitions; those of one key into one.
struct RecordWriter {
    let table: TableDefinition
    private let partitions: Int
    private var offsets: [Int64]
    private var random: SeededRandom

    init(_ table: TableDefinition, partitions: Int, seed: UInt64) {
        self.table = table
        self.partitions = partitions
        offsets = Array(repeating: 0, count: partitions)
        random = SeededRandom(seed: seed)
    }

    mutating func record(_ row: RigRow) throws -> MadeRecord {
        func value(_ index: Int) throws -> String { try Self.json(index < row.values.count ? row.values[index] : nil, table.columns[index].type) }
        func field(_ index: Int) throws -> String { "\(Self.quoted(table.columns[index].name)): \(try value(index))" }
        var key: String?
        if table.options[.mode] == "upsert" {
            key = table.key.count == 1 ? row.values[table.key[0]] : "{\(try table.key.map(field).joined(separator: ", "))}"
        }
        let partition = key.map { $0.utf8.reduce(0) { ($0 * 31 + Int($1)) % 9973 } % partitions } ?? random.below(partitions)
        defer { offsets[partition] += Int64(1 + (random.chance(0.1) ? random.below(5) : 0)) }
        return MadeRecord(
            partition: Int32(partition), offset: offsets[partition], key: key, row.weight < 0 ? nil : "{\(try table.columns.indices.map(field).joined(separator: ", "))}")
    }

    private static func quoted(_ text: String) -> String {
        let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n").replacing("\t", with: "\\t")
        return "\"\(escaped)\""
    }

    /// A value in the form that records bring it in.
    private static func json(_ text: String?, _ type: SQLType) throws -> String {
        guard let text else { return "null" }
        switch type {
        case .bool: return try TypeText.read(text, as: .bool, context: EvaluationContext()) == .bool(true) ? "true" : "false"
        case .jsonb: return text
        case .list: return text.replacing("{", with: "[").replacing("}", with: "]")
        case .date, .time, .timestamp, .timestamptz:
            let plain = TypeText.text(try TypeText.read(text, as: type, context: EvaluationContext()), as: type) ?? ""
            return quoted(plain.replacing(" ", with: "T").replacing("+00", with: "Z"))
        default: return quoted(text)
        }
    }
}
