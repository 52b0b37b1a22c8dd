// Random chunks of every type beside the same rows as boxed values, for the tests of what works on whole chunks.

import Engine
import TestSupport
import Testing

let everyType = Schema([
    Field("t", .text, nullable: true), Field("i", .int64, nullable: true), Field("x", .float64, nullable: true),
    Field("b", .bool, nullable: true), Field("at", .timestamp, nullable: true), Field("key", .text),
])

struct OracleChunk {
    var chunk: Chunk
    /// The selected rows.
    var rows: [[Value]]
}

/// - Parameter selectedShare: nil for a chunk without a selection.
func oracleChunk(_ random: inout SeededRandom, rows count: Int, nullRate: Double, selectedShare: Double?) -> OracleChunk {
    var chunk = Chunk(schema: everyType, capacity: 16)
    var rows: [[Value]] = []
    for _ in 0..<count {
        let row = everyType.fields.map { field -> Value in
            if field.nullable, random.chance(nullRate) { return .null }
            switch field.type {
            case .text: return .text(String(repeating: random.pick(["a", "é", "日", "0"]), count: random.below(40)))
            case .int64: return .int64(Int64(bitPattern: random.next()) >> Int64(random.below(64)))
            case .timestamp: return .timestamp(Int64(random.below(1_000_000)) - 500_000)
            case .float64: return .float64(random.pick([0, -0.0, 1.5, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude]))
            case .bool: return .bool(random.chance(0.5))
            }
        }
        for (column, value) in zip(chunk.columns, row) { column.append(value) }
        rows.append(row)
    }
    chunk.rowCount = count
    guard let selectedShare else { return OracleChunk(chunk: chunk, rows: rows) }
    let selection = Selection(capacity: count)
    var selected = 0
    for row in 0..<count where random.chance(selectedShare) {
        selection.rows[selected] = Int32(row)
        selected += 1
    }
    selection.commit(selected)
    chunk.selection = selection
    return OracleChunk(chunk: chunk, rows: (0..<selected).map { rows[Int(selection.rows[$0])] })
}

func selectedValues(_ chunk: Chunk) -> [[Value]] {
    var rows: [[Value]] = []
    chunk.forEachSelectedRow { rows.append(chunk.values($0)) }
    return rows
}

struct ChunkShape: Sendable, CustomTestStringConvertible {
    var rows: Int
    var nullRate: Double
    var selectedShare: Double?
    var testDescription: String { "\(rows) rows, \(nullRate) NULL, \(selectedShare.map { "\($0)" } ?? "all") selected" }

    static let all: [ChunkShape] = oracleChunkSizes.flatMap { rows in
        oracleNullRates.flatMap { nullRate in
            [nil, 0.0, 0.3, 1.0].map { ChunkShape(rows: rows, nullRate: nullRate, selectedShare: $0) }
        }
    }
    var seed: UInt64 { UInt64(rows) * 100 + UInt64(nullRate * 10) + UInt64((selectedShare ?? 2) * 10) }
}
