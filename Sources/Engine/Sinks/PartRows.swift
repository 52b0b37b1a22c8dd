// The rows of one part as one sequence over its chunks, so that halves of them can be written apart.

struct PartRows {
    private let chunks: [(chunk: Chunk, columns: [Column], from: Int)]
    let count: Int

    /// - Parameter columns: for each chunk, those to take; all of them by default.
    init(_ rows: [Chunk], columns: [[Column]]? = nil) {
        var from = 0
        var chunks: [(Chunk, [Column], Int)] = []
        for (index, chunk) in rows.enumerated() where chunk.selectedCount > 0 {
            chunks.append((chunk, columns?[index] ?? chunk.columns, from))
            from += chunk.selectedCount
        }
        self.chunks = chunks
        count = from
    }

    var last: [Value]? { count > 0 ? values(count - 1) : nil }

    /// The values of the `index`-th row.
    func values(_ index: Int) -> [Value] {
        let holder = chunks.last { $0.from <= index }!
        let selected = holder.chunk.selection.map { UnsafePointer($0.rows) }
        return withExtendedLifetime(holder.chunk) {
            let row = Chunk.row(index - holder.from, selected)
            return holder.columns.map { $0.value(row) }
        }
    }

    /// Hands over each chunk that has rows of `range`, with which of its selected rows they are.
    func forEachChunk(of range: Range<Int>, _ body: (Chunk, [Column], Range<Int>) throws -> Void) rethrows {
        for (chunk, columns, from) in chunks {
            let part = range.clamped(to: from..<from + chunk.selectedCount)
            if !part.isEmpty { try body(chunk, columns, part.lowerBound - from..<part.upperBound - from) }
        }
    }
}

extension RefusedRows {
    /// The last row that was not refused.
    func lastGood(of all: PartRows) -> [Value]? {
        let refused = Set(rows.map(\.number))
        return (0..<all.count).last { !refused.contains($0) }.map(all.values)
    }
}
