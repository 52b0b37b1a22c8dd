// An index of numbers by hash: one array of 64-bit slots, probed linearly, half full at most. The upper half of a slot is the upper half of the
// hash, the lower half the number plus one, 0 is free. What is removed leaves no mark: the slots behind it move up.
//
// Whoever probes walks the slots itself, with what makes two keys one compiled into its loop; here is what does not depend on that.

struct HashSlots: ~Copyable {
    /// Slots of 256 KiB: half of a second-level cache. Beyond that memory is asked for ahead.
    private static let large = 1 << 15

    private(set) var base: UnsafeMutablePointer<UInt64>
    private(set) var mask = 63
    private var count = 0

    init() {
        base = .allocate(capacity: 64)
        base.initialize(repeating: 0, count: 64)
    }

    deinit { base.deallocate() }

    var byteCount: Int { (mask + 1) * 8 }
    var isLarge: Bool { mask >= Self.large }

    /// The number in a slot that is not free.
    @inline(__always)
    static func number(_ slot: UInt64) -> Int { Int(truncatingIfNeeded: slot & 0xffff_ffff) &- 1 }

    /// Puts a number into a free slot.
    /// - Returns: whether there are other slots now.
    @inline(__always)
    mutating func put(_ number: Int, tag: UInt64, at place: Int) -> Bool {
        base[place] = tag << 32 | UInt64(number + 1)
        count += 1
        guard count * 2 > mask else { return false }
        grow()
        return true
    }

    /// Another number of the same key.
    mutating func replace(at place: Int, with number: Int) { base[place] = (base[place] >> 32) << 32 | UInt64(number + 1) }

    private mutating func grow() {
        let size = (mask + 1) * 2
        let fresh = UnsafeMutablePointer<UInt64>.allocate(capacity: size)
        fresh.initialize(repeating: 0, count: size)
        for index in 0...mask where base[index] != 0 {
            var at = Int(truncatingIfNeeded: base[index] >> 32) & (size - 1)
            while fresh[at] != 0 { at = (at + 1) & (size - 1) }
            fresh[at] = base[index]
        }
        base.deallocate()
        (base, mask) = (fresh, size - 1)
    }

    /// The slot of a number that is there.
    func place(of number: Int, tag: UInt32) -> Int {
        let slot = UInt64(tag) << 32 | UInt64(number + 1)
        var at = Int(tag) & mask
        while base[at] != slot { at = (at + 1) & mask }
        return at
    }

    /// Frees a slot. What is behind moves up as far as its own place allows.
    mutating func remove(at place: Int) {
        var at = place
        var next = (at + 1) & mask
        while base[next] != 0 {
            let home = Int(truncatingIfNeeded: base[next] >> 32) & mask
            if (next &- home) & mask >= (next &- at) & mask {
                base[at] = base[next]
                at = next
            }
            next = (next + 1) & mask
        }
        base[at] = 0
        count -= 1
    }
}
