// Cuts the records of one chunk so that decoding them takes bounded memory.
//
// A chunk is so many records, whatever their size: thousands of records of a megabyte are gigabytes, and each text column
// is reserved for all of them. Ordinary chunks are far below the bound and stay whole. Cost: an addition a record.

extension UnsafeBufferPointer<RawRecord> {
    /// Calls `body` with consecutive pieces, each of at most `maxBytes` bytes or one record.
    /// - Parameter excluded: offsets whose records are in no piece; `leftOut` is told of them.
    package func forEachPiece(
        maxBytes: Int = Limits.decodeBytes, excluding excluded: [OffsetRange] = [], leftOut: (RawRecord) -> Void = { _ in },
        _ body: (Self) throws -> Void
    ) rethrows {
        var from = 0
        var bytes = 0
        for index in 0..<count {
            let offset = self[index].offset
            if !excluded.isEmpty, excluded.contains(where: { $0.from <= offset && offset < $0.until }) {
                if index > from { try body(Self(rebasing: self[from..<index])) }
                leftOut(self[index])
                from = index + 1
                bytes = 0
                continue
            }
            let length = self[index].length
            if bytes + length > maxBytes && index > from {
                try body(Self(rebasing: self[from..<index]))
                from = index
                bytes = 0
            }
            bytes += length
        }
        if from < count { try body(Self(rebasing: self[from...])) }
    }
}
