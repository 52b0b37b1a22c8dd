// Offsets of one partition as the fewest ranges, in bounded memory.
//
// Offsets come nearly in order: within a chunk the decoder's rejections come before the pipeline's. So those of a chunk are
// gathered, sorted, and added behind the ranges of the chunks before. Beyond the bound offsets are only counted.

package struct OffsetRanges: Sendable {
    package private(set) var ranges: [OffsetRange] = []
    /// Offsets that are in no range, because there are too many of those.
    package private(set) var unlisted: Int64 = 0
    private let whole: OffsetRange
    private let limit: Int
    private var chunk: [Int64] = []

    package init(of whole: OffsetRange, limit: Int = Limits.listedRanges) {
        self.whole = whole
        self.limit = limit
    }

    package mutating func add(_ offset: Int64) { chunk.append(offset) }

    /// Ends a chunk: what follows has higher offsets.
    package mutating func endChunk() {
        if chunk.isEmpty { return }
        for range in OffsetRange.covering(chunk, of: whole) {
            if let last = ranges.last, last.until == range.from {
                ranges[ranges.count - 1].until = range.until
            } else if ranges.count < limit {
                ranges.append(range)
            } else {
                unlisted = unlisted.plus(range.count)
            }
        }
        chunk.removeAll(keepingCapacity: true)
    }
}
