// The rows of one part as one sequence over its chunks, so that halves of them can be written apart.
//
// Keys whose rows go come before the rows that are written, so that what a deleted row held (a value of another unique index) is
// free when its successor comes. Within a part a key is deleted or written, not both.

struct PartRows {
    private let chunks: [(chunk: Chunk, columns: [Column], from: Int)]
    let count: Int
    /// Rows below this number are keys whose rows go.
    let deleted: Int

    /// - Parameter columns: for each chunk, those to take; all of them by default.
    init(_ rows: [Chunk], columns: [[Column]]? = nil) {
        var from = 0
        var deleted = 0
        var chunks: [(Chunk, [Column], Int)] = []
        for isDelete in [true, false] {
            for (index, chunk) in rows.enumerated() where chunk.selectedCount > 0 && chunk.isDelete == isDelete {
                chunks.append((chunk, columns?[index] ?? chunk.columns, from))
                from += chunk.selectedCount
            }
            if isDelete { deleted = from }
        }
        self.chunks = chunks
        self.deleted = deleted
        count = from
    }

    /// The last row that is written.
    var last: [Value]? { count > deleted ? values(count - 1) : nil }

    /// The values of the `index`-th row; of a deleted one those of its key.
    func values(_ index: Int) -> [Value] {
        let holder = chunks.last { $0.from <= index }!
        let selected = holder.chunk.selection.map { UnsafePointer($0.rows) }
        return withExtendedLifetime(holder.chunk) {
            let row = Chunk.row(index - holder.from, selected)
            return holder.columns.map { $0.value(row) }
        }
    }

    func deleted(in range: Range<Int>) -> Range<Int> { range.clamped(to: 0..<deleted) }
    func written(in range: Range<Int>) -> Range<Int> { range.clamped(to: deleted..<count) }

    /// Hands over each chunk that has rows of `range`, with which of its selected rows they are.
    func forEachChunk(of range: Range<Int>, _ body: (Chunk, [Column], Range<Int>) throws -> Void) rethrows {
        for (chunk, columns, from) in chunks {
            let part = range.clamped(to: from..<from + chunk.selectedCount)
            if !part.isEmpty { try body(chunk, columns, part.lowerBound - from..<part.upperBound - from) }
        }
    }

    /// - Throws: what is wrong with deleted keys that `table` is given.
    static func checkDeletes(_ rows: [Chunk], of table: SinkTable, place: String) throws {
        for chunk in rows where chunk.isDelete {
            guard table.mode == .keyedUpsert else { throw SinkRefusal.deletes(table, place) }
            guard chunk.schema.names == table.key else { throw SinkRefusal.wrongKey(table, chunk.schema.names) }
        }
    }
}

extension RefusedRows {
    /// The last written row that was not refused.
    func lastGood(of all: PartRows) -> [Value]? {
        let refused = Set(rows.map(\.number))
        return (all.deleted..<all.count).last { !refused.contains($0) }.map(all.values)
    }
}
