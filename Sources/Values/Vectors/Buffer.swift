// Memory for vectors, and the pool that it comes from and goes back to.
//
// The pool keeps a reference to every buffer that it ever gave out. One that nobody else holds is free and is given out
// again: so a buffer comes back by itself when its last reader lets go of it, on whatever thread, and a task that runs the
// same steps over chunk after chunk allocates nothing after the first few. A pool belongs to one thread; the buffers it
// gave out may be read on others.
//
// Nobody writes to a buffer that another vector may see: a step writes what it has just taken, and hands it on.

/// Some bytes, aligned for every element of a vector.
public final class Buffer: @unchecked Sendable {
    public let base: UnsafeMutableRawPointer
    /// In bytes.
    public let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        base = .allocate(byteCount: capacity, alignment: 64)
    }

    deinit { base.deallocate() }
}

/// Gives out buffers and takes them back when nobody holds them any more.
public final class BufferPool {
    /// By the logarithm of the capacity.
    private var classes: [[Buffer]] = Array(repeating: [], count: 48)
    /// Where the next search begins: what was given out longest ago is free first.
    private var cursors: [Int] = Array(repeating: 0, count: 48)
    /// How many buffers were allocated in all; stands still in the steady state.
    package private(set) var allocations = 0

    private static let smallestClass = 8
    /// How many are looked at before a new one is made: where many are held, a long search costs more than a buffer.
    private static let searchLength = 64
    private let keeps: Bool

    public init() { keeps = true }

    /// - Parameter keeps: false for buffers that are kept by whoever takes them and never come back.
    init(keeps: Bool) { self.keeps = keeps }

    /// A buffer of at least `bytes` bytes, whose content is undefined.
    public func take(_ bytes: Int) -> Buffer {
        precondition(bytes < 1 << 40, "a buffer of \(bytes) bytes was asked for")
        let order = max(Self.smallestClass, Int.bitWidth - max(bytes - 1, 1).leadingZeroBitCount)
        if !keeps { return Buffer(capacity: 1 << order) }
        let count = classes[order].count
        for step in 0..<min(count, Self.searchLength) {
            let sum = cursors[order] + step
            let place = sum < count ? sum : sum - count
            if isKnownUniquelyReferenced(&classes[order][place]) {
                cursors[order] = place + 1 < count ? place + 1 : 0
                return classes[order][place]
            }
        }
        let buffer = Buffer(capacity: 1 << order)
        allocations += 1
        classes[order].append(buffer)
        cursors[order] = count > 0 ? (cursors[order] + min(count, Self.searchLength)) % (count + 1) : 0
        return buffer
    }

    /// Gives free memory back to the system: after a chunk that was far larger than the others.
    public func trim() {
        for order in classes.indices {
            var kept: [Buffer] = []
            for place in classes[order].indices where !isKnownUniquelyReferenced(&classes[order][place]) {
                kept.append(classes[order][place])
            }
            classes[order] = kept
            cursors[order] = 0
        }
    }
}

/// NULL by bits: bit `row & 63` of word `row >> 6` is 1 where there is a value.
package enum Bitmap {
    @inline(__always)
    static func wordCount(_ rows: Int) -> Int { (rows + 63) >> 6 }

    @inline(__always)
    package static func isSet(_ words: UnsafePointer<UInt64>, _ row: Int) -> Bool { words[row >> 6] >> UInt64(row & 63) & 1 != 0 }

    @inline(__always)
    package static func clear(_ words: UnsafeMutablePointer<UInt64>, _ row: Int) { words[row >> 6] &= ~(1 << UInt64(row & 63)) }
}
