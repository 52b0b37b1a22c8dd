// Bytes of records, as they came or unpacked: memory that is used again, with slack behind the last byte.
//
// The slack is what lets the walk over records read a varint without asking for the end at every byte: it compares afterwards, and
// what it read too far was still ours. Memory is taken as bytes come, never for a length that somebody announced: `room`
// doubles. A buffer that grew for one oversized batch is let go afterwards (`FetchBuffers`), so that what stays is the usual.
//
// Pointers into a buffer hold until it grows or is put back. One thread uses it.

package final class FetchBuffer {
    /// Readable bytes behind the last one.
    package static let slackBytes = 64

    package private(set) var base: UnsafeMutablePointer<UInt8>
    /// Without the slack.
    package private(set) var capacity: Int
    package var count = 0
    /// What its lender counts it as, and whether it is one of the extra ones.
    fileprivate var lentBytes = 0
    package fileprivate(set) var isExtra = false

    package init(capacity: Int) {
        self.capacity = capacity
        base = .allocate(capacity: capacity + Self.slackBytes)
    }

    deinit { base.deallocate() }

    /// Where the next bytes go: at least one, at most `most`. May move what is there.
    package func room(most: Int) -> UnsafeMutableRawBufferPointer {
        if count == capacity { grow(keeping: count, to: capacity * 2) }
        return UnsafeMutableRawBufferPointer(start: base + count, count: min(most, capacity - count))
    }

    /// Room for so many bytes in all; only the first `kept` stay.
    package func grow(keeping kept: Int, to bytes: Int) {
        guard bytes > capacity else { return }
        if kept == 0 {
            // The old one goes first: two of them may be more than is allowed.
            base.deallocate()
            base = .allocate(capacity: bytes + Self.slackBytes)
        } else {
            let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes + Self.slackBytes)
            larger.update(from: base, count: kept)
            base.deallocate()
            base = larger
        }
        capacity = bytes
    }

    /// Makes the slack behind the last byte readable.
    package func seal() { (base + count).initialize(repeating: 0, count: Self.slackBytes) }

    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
}

/// Lends buffers, and keeps free ones for the next who asks. Sizes go by powers of two from 4 KiB on, so that a small answer does
/// not hold a large buffer. What is lent and what is kept come to no more than the budget, unless more than it is lent.
package struct FetchBuffers {
    private var free: [FetchBuffer] = []
    package let budgetBytes: Int
    private var keptBytes = 0
    /// Of the buffers that are out. One that grew counts as what it was until it is put back.
    package private(set) var lentBytes = 0

    private let isExtra: Bool

    package init(budgetBytes: Int, isExtra: Bool = false) {
        self.budgetBytes = budgetBytes
        self.isExtra = isExtra
    }

    package var bytes: Int { keptBytes + lentBytes }
    package var isSpent: Bool { lentBytes >= budgetBytes }

    /// A buffer for about so many bytes; it may grow.
    package mutating func take(_ bytes: Int) -> FetchBuffer {
        var wanted = 4096
        while wanted < bytes { wanted *= 2 }
        // The one that fits best; one of more than four times the size stays for those who need it.
        var best: Int?
        for index in free.indices where free[index].capacity >= bytes && free[index].capacity <= wanted * 4 {
            if best == nil || free[index].capacity < free[best!].capacity { best = index }
        }
        let buffer: FetchBuffer
        if let best {
            free.swapAt(best, free.count - 1)
            buffer = free.removeLast()
            keptBytes -= buffer.capacity
            buffer.count = 0
        } else {
            // What is kept and does not fit makes room.
            while let last = free.last, self.bytes + wanted > budgetBytes {
                keptBytes -= last.capacity
                free.removeLast()
            }
            buffer = FetchBuffer(capacity: wanted)
            buffer.isExtra = isExtra
        }
        buffer.lentBytes = buffer.capacity
        lentBytes += buffer.capacity
        return buffer
    }

    /// A buffer that is out will come to so many bytes.
    package mutating func count(_ buffer: FetchBuffer, as bytes: Int) {
        lentBytes += bytes - buffer.lentBytes
        buffer.lentBytes = bytes
    }

    package mutating func put(_ buffer: FetchBuffer) {
        lentBytes -= buffer.lentBytes
        guard bytes + buffer.capacity <= budgetBytes else { return }
        keptBytes += buffer.capacity
        free.append(buffer)
    }

    package mutating func removeAll() {
        free.removeAll()
        keptBytes = 0
    }
}
