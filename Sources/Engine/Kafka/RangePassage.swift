// Decides when a range has been read: the rule of the whole Kafka source, as a value without I/O.
//
// Offsets have holes (transaction markers, aborted rows, compaction), so a range is never complete by a count. It is
// complete at the first record at or past its end, which belongs to the next range, or when the partition's end is
// reached at or past it (protocol 6). Records below the range or out of order cannot be explained by holes: the client
// has failed, and the range must not be delivered.

package struct RangePassage: Sendable {
    package enum Verdict: Sendable { case deliver, beyond, disorder }

    package let until: Int64
    /// The lowest offset that the next record may have.
    package private(set) var next: Int64
    package private(set) var isComplete: Bool

    package init(from: Int64, until: Int64) {
        next = from
        self.until = until
        isComplete = until <= from
    }

    /// A record arrived. After `beyond` the passage is complete.
    @inline(__always)
    package mutating func record(at offset: Int64) -> Verdict {
        if offset >= until {
            isComplete = true
            return .beyond
        }
        if offset < next { return .disorder }
        next = offset + 1
        if next == until { isComplete = true }
        return .deliver
    }

    /// The client has reached the end of the partition: no record below `position` is still to come.
    package mutating func reachedEnd(at position: Int64) {
        if position >= until { isComplete = true } else if position > next { next = position }
    }
}
