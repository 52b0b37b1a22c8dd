// `value IN (constants)`: one look into a table of the constants instead of a comparison with each.
//
// The table is made with the program. Equality is that of keys, which for two values that are not NULL is that of `=`. A value that
// is not among the constants gives NULL where one of them is NULL, as SQL wants.

struct Members {
    private let entries: Vector
    private let hasNull: Bool
    /// Open addressing: places of entries, -1 where nothing is.
    private let slots: [Int32]
    private let type: SQLType

    /// - Parameter values: of `type`, or NULL.
    init(_ values: [Datum], _ type: SQLType, pool: BufferPool) {
        let known = values.filter { !$0.isNull }
        self.type = type
        hasNull = known.count < values.count
        let entries = Vector.flat(known, type, pool: pool)
        self.entries = entries
        let size = 1 << (Int.bitWidth - max(known.count * 2 - 1, 1).leadingZeroBitCount)
        var slots = [Int32](repeating: -1, count: max(size, 2))
        let hashes = [UInt64](unsafeUninitializedCapacity: known.count) { buffer, count in
            if let base = buffer.baseAddress, !known.isEmpty { KeyOrder.hash([entries], .all(known.count), into: base) }
            count = known.count
        }
        for (place, hash) in hashes.enumerated() {
            var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = Int32(place)
        }
        self.slots = slots
    }

    /// Whether each selected row of `vector` is one of the members.
    func look(_ vector: Vector, _ rows: Selection, count: Int, pool: BufferPool) -> Vector {
        let output = VectorWriter(.bool, count: count, pool: pool)
        let memory = pool.take(max(rows.count, 1) * 8)
        let hashes = memory.base.assumingMemoryBound(to: UInt64.self)
        KeyOrder.hash([vector], rows, into: hashes)
        return slots.withUnsafeBufferPointer { slots in
            var look = MemberLook(view: vector.view, rows: rows, hashes: hashes, slots: slots, hasNull: hasNull, output: output)
            KeyOrder.run(type, vector, entries, &look)
            return withExtendedLifetime((memory, vector)) { look.output.finish() }
        }
    }
}

private struct MemberLook: RowOrderLoop {
    let view: VectorView
    let rows: Selection
    let hashes: UnsafePointer<UInt64>
    let slots: UnsafeBufferPointer<Int32>
    let hasNull: Bool
    var output: VectorWriter

    mutating func run<Order: RowOrder>(_ order: Order) {
        for position in 0..<rows.count {
            let row = rows[position]
            if view.isNull(row) {
                output.setNull(row)
                continue
            }
            var slot = Int(truncatingIfNeeded: hashes[position]) & (slots.count - 1)
            while slots[slot] >= 0 && order.compare(row, Int(slots[slot])) != 0 { slot = (slot + 1) & (slots.count - 1) }
            if slots[slot] < 0 && hasNull { output.setNull(row) } else { output.store(row, slots[slot] >= 0) }
        }
    }
}
