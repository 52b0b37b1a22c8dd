// Offsets of one partition as the fewest ranges, in bounded memory.
//
// Offsets come nearly in order: within a chunk the decoder's rejections come before the pipeline's. So those of a chunk are
// gathered, sorted, and added behind the ranges of the chunks before. Ranges beyond what a row of the log names are packed for a
// file (`OffsetFile`), and beyond a bound on that offsets are only counted.

package struct OffsetRanges: Sendable {
    package private(set) var ranges: [OffsetRange] = []
    /// Ranges behind those, for a file.
    package private(set) var rest = PackedRanges()
    /// Offsets that are in neither, because there are too many ranges.
    package private(set) var unlisted: Int64 = 0
    private let whole: OffsetRange
    private let limit: Int
    private let packedLimit: Int
    private var chunk: [Int64] = []

    /// - Parameters:
    ///   - limit: so many ranges are listed.
    ///   - packedLimit: bytes of the ranges behind them.
    package init(of whole: OffsetRange, limit: Int, packedLimit: Int = Limits.packedRangeBytes) {
        self.whole = whole
        self.limit = limit
        self.packedLimit = packedLimit
    }

    package mutating func add(_ offset: Int64) { chunk.append(offset) }

    /// Ends a chunk: what follows has higher offsets.
    package mutating func endChunk() {
        if chunk.isEmpty { return }
        for range in OffsetRange.covering(chunk, of: whole) {
            if rest.isEmpty, let last = ranges.last, last.until == range.from {
                ranges[ranges.count - 1].until = range.until
            } else if ranges.count < limit {
                ranges.append(range)
            } else if unlisted == 0, rest.bytes.count < packedLimit, range.from >= rest.until {
                rest.append(range)
            } else {
                unlisted = unlisted.plus(range.count)
            }
        }
        chunk.removeAll(keepingCapacity: true)
    }
}
