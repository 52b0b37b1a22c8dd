// Rows to the standard output, as aligned lines: for looking, not for keeping.
//
// At least once: what was printed cannot be taken back, and nothing outlives the process that would know it. A part is
// printed once within this process; after a crash, or when another worker repeats it, it appears again. There is no
// owner, no epoch, and no row to look up. A key whose row goes is a line that begins with `-`.

import Foundation
import Synchronization

package final class ConsoleSink: Sink {
    private let table: SinkTable
    private let descriptor: Int32
    private var sealed: [Int: (batch: BatchNumber, digest: String)] = [:]
    /// Parts of several slots print whole blocks, one after the other.
    private static let turn = Mutex<Void>(())

    package init(table: SinkTable, descriptor: Int32 = 1) {
        self.table = table
        self.descriptor = descriptor
    }

    package func owner(job: String) throws -> SinkOwner { .nobody }
    package func sight(_ identity: SinkIdentity) throws -> SinkSight? { nil }
    package func claim(_ identity: SinkIdentity, _ claim: SinkClaim) throws {}
    package func sealedBatches(_ identity: SinkIdentity) throws -> [Int: BatchNumber] { sealed.mapValues(\.batch) }
    package func existing(keysOf rows: Chunk) throws -> [[Value]?] { Array(repeating: nil, count: rows.selectedCount) }
    package func close() {}

    package func seal(
        _ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String, after: Predecessor, rows: [Chunk]
    ) throws -> Sealed {
        if let last = sealed[part], last.batch == batch, last.digest == digest { return .alreadySealed }
        let lines = Self.deleted(rows) + Self.lines(rows.filter { !$0.isDelete }, table.schema.fields)
        if !lines.isEmpty {
            let block = "\(table.name), batch \(batch), part \(part)\n" + lines.map { $0 + "\n" }.joined()
            try Self.turn.withLock { _ in try write(Array(block.utf8)) }
        }
        sealed[part] = (batch, digest)
        return .written
    }

    /// A heading and one line a row, columns padded to their widest text; numbers to the right. Empty without rows.
    private static func lines(_ rows: [Chunk], _ fields: [Field]) -> [String] {
        var lines: [[String]] = []
        for chunk in rows {
            chunk.forEachSelectedRow { row in lines.append(chunk.values(row).map(shown)) }
        }
        if lines.isEmpty { return [] }
        lines.insert(fields.map(\.name), at: 0)
        let widths = fields.indices.map { column in lines.reduce(0) { max($0, $1[column].count) } }
        return lines.map { line in
            let padded = line.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - line[column].count)
                let isNumber = fields[column].type == .int64 || fields[column].type == .float64
                if isNumber { return padding + line[column] }
                return column == line.count - 1 ? line[column] : line[column] + padding
            }
            return padded.joined(separator: "  ")
        }
    }

    /// The empty key is that of the only row.
    private static func deleted(_ rows: [Chunk]) -> [String] {
        var lines: [String] = []
        for chunk in rows where chunk.isDelete {
            chunk.forEachSelectedRow { row in
                lines.append("- " + (chunk.columns.isEmpty ? "the row" : chunk.values(row).map(shown).joined(separator: "  ")))
            }
        }
        return lines
    }

    private static func shown(_ value: Value) -> String {
        switch value {
        case .null: "NULL"
        case .int64(let value): String(value)
        case .float64(let value): String(value)
        case .bool(let value): String(value)
        case .timestamp(let millis): formatTime(millis)
        case .text(let text): String(String.UnicodeScalarView(text.unicodeScalars.flatMap(harmless)))
        }
    }

    /// Control characters are escaped: a text out of a topic must not steer the terminal.
    private static func harmless(_ scalar: Unicode.Scalar) -> [Unicode.Scalar] {
        switch scalar.properties.generalCategory {
        case .control, .format: Array(scalar.escaped(asASCII: true).unicodeScalars)
        default: [scalar]
        }
    }

    private func write(_ bytes: [UInt8]) throws {
        var start = 0
        while start < bytes.count {
            let written = bytes[start...].withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if written > 0 {
                start += written
            } else if errno != EINTR {
                throw Failure(
                    .limitExceeded, "cannot print the rows of \(table.name)", why: "the standard output was closed or is full",
                    now: "keep the reader of the output running, or name another sink")
            }
        }
    }
}
