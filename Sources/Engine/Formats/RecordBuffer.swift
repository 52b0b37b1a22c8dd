// Encoded records one after another in memory that is used again: what an encoder fills and a producer sends from.
//
// Record i is `bytes[ends[i - 1] ..< ends[i]]`, the first starts at 0. `removeAll` keeps the memory. Pointers are valid
// until the next append.

package final class RecordBuffer {
    package private(set) var bytes: UnsafeMutablePointer<UInt8>
    package private(set) var byteCount = 0
    /// Where each record ends.
    package private(set) var ends: [Int] = []
    private var capacity: Int

    package init(capacity: Int = 65_536) {
        self.capacity = max(capacity, 64)
        bytes = .allocate(capacity: self.capacity)
    }

    deinit { bytes.deallocate() }

    package var count: Int { ends.count }

    /// The bytes of one record.
    package func record(_ index: Int) -> UnsafeBufferPointer<UInt8> {
        let start = index == 0 ? 0 : ends[index - 1]
        return UnsafeBufferPointer(start: UnsafePointer(bytes) + start, count: ends[index] - start)
    }

    package func removeAll() {
        byteCount = 0
        ends.removeAll(keepingCapacity: true)
    }

    /// Room for `extra` more bytes; the caller writes there and then calls `endRecord`.
    @inline(__always)
    package func reserve(_ extra: Int) -> UnsafeMutablePointer<UInt8> {
        if byteCount &+ extra > capacity { grow(byteCount + extra) }
        return bytes + byteCount
    }

    /// Closes a record of `length` bytes that were written at the place `reserve` gave.
    @inline(__always)
    package func endRecord(_ length: Int) {
        byteCount &+= length
        ends.append(byteCount)
    }

    private func grow(_ needed: Int) {
        let larger = max(needed, capacity * 2)
        let fresh = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        fresh.update(from: bytes, count: byteCount)
        bytes.deallocate()
        bytes = fresh
        capacity = larger
    }
}
