// The slots of a chunk and the buffers behind them: taken when a chunk begins, grown where it needs more, handed on as vectors when it ends.
//
// A slot of a list has a slot of its own for its elements, behind those of the columns. Growing copies what is there; whoever holds a pointer into a
// slot's memory across a call that may grow it reads the slot anew. What failed in a slot is kept beside it until the record is over.

import Values

/// The slots of a chunk, and the memory behind them.
final class SlotTable {
    let slots: UnsafeMutablePointer<ValueSlot>
    /// Slots of columns; those of elements stand behind them.
    let count: Int
    let types: [SQLType]
    private let pool: BufferPool
    private var values: [Buffer?]
    private var extras: [Buffer?]
    private var validity: [Buffer?]
    private var missing: [Buffer?]
    /// Which columns have a default to fill in.
    var hasDefault: [Bool]
    private var lastBytes: [Int]
    private var rows = 0
    /// Set where a column has become so large that the chunk had better end.
    private(set) var isFull = false
    /// Why a slot failed, and the bytes that it failed at; valid while the slot is marked so.
    private(set) var faults: [RowFault?]
    private(set) var failedAt: [UnsafeRawBufferPointer]

    /// - Parameter conversions: one a column; `presence` for those that only have to be there.
    init(_ types: [SQLType], _ conversions: [Conversion], pool: BufferPool) {
        self.pool = pool
        count = types.count
        var all = types
        var kinds = conversions
        var children = [Int32](repeating: -1, count: types.count)
        for (index, type) in types.enumerated() {
            guard case .list(let element) = type, conversions[index] == .list else { continue }
            children[index] = Int32(all.count)
            all.append(element)
            kinds.append(Conversion(element))
            children.append(-1)
        }
        self.types = all
        slots = .allocate(capacity: max(all.count, 1))
        // Never read before `open` has put memory there.
        let nowhere = UnsafeMutableRawPointer(slots)
        for index in all.indices {
            var slot = ValueSlot(values: nowhere, bytes: nowhere.assumingMemoryBound(to: UInt8.self), conversion: kinds[index])
            slot.child = children[index]
            slot.hasSpans = all[index].layout == .bytes || all[index].layout == .list
            (slots + index).initialize(to: slot)
        }
        values = Array(repeating: nil, count: all.count)
        extras = values
        validity = values
        missing = values
        hasDefault = Array(repeating: false, count: all.count)
        lastBytes = Array(repeating: 256, count: all.count)
        faults = Array(repeating: nil, count: all.count)
        failedAt = Array(repeating: UnsafeRawBufferPointer(start: nil, count: 0), count: all.count)
    }

    deinit { slots.deallocate() }

    private func width(_ slot: Int) -> Int {
        switch types[slot].layout {
        case .bool: 1
        case .word, .float, .bytes, .list: 8
        case .wide: 16
        case .row: 0
        }
    }

    /// New memory for `rows` rows.
    func open(rows: Int) {
        self.rows = rows
        isFull = false
        for index in types.indices where slots[index].conversion != .presence {
            let isElement = index >= count
            let room = isElement ? max(Int(slots[index].entryCapacity), 64) : rows
            let buffer = pool.take(max(room * width(index), 1))
            values[index] = buffer
            validity[index] = nil
            slots[index].validity = nil
            slots[index].missingCount = 0
            if hasDefault[index] {
                missing[index] = pool.take(max(rows, 1) * 4)
                slots[index].missing = missing[index]!.base.assumingMemoryBound(to: Int32.self)
            }
            slots[index].values = buffer.base
            slots[index].byteCount = 0
            slots[index].entryCount = 0
            slots[index].entryCapacity = isElement ? Int32(room) : 0
            switch types[index].layout {
            case .bytes:
                let extra = pool.take(lastBytes[index])
                extras[index] = extra
                slots[index].bytes = extra.base.assumingMemoryBound(to: UInt8.self)
                slots[index].byteCapacity = extra.capacity
            case .wide where types[index] == .numeric:
                let extra = pool.take(max(room, 1))
                extras[index] = extra
                slots[index].bytes = extra.base.assumingMemoryBound(to: UInt8.self)
            case .bool, .word, .float, .wide, .list, .row: extras[index] = nil
            }
        }
    }

    /// The columns with their first `rows` rows; none for a slot of presence.
    func close(rows: Int) -> [Vector?] {
        let vectors = (0..<count).map { index in slots[index].conversion == .presence ? nil : vector(index, rows) }
        for index in types.indices {
            values[index] = nil
            extras[index] = nil
            validity[index] = nil
            missing[index] = nil
        }
        return vectors
    }

    private func vector(_ index: Int, _ rows: Int) -> Vector {
        // A quarter more than this chunk had, so that the next one seldom grows.
        if types[index].layout == .bytes { lastBytes[index] = max(slots[index].byteCount + slots[index].byteCount / 4, 256) }
        let child = Int(slots[index].child)
        let children = child >= 0 ? [vector(child, Int(slots[child].entryCount))] : []
        return Vector(types[index], count: rows, values: values[index]!, extra: extras[index], validity: validity[index], children: children)
    }

    @inline(__always)
    func setNull(_ index: Int, _ row: Int) {
        let slot = slots + index
        if slot.pointee.conversion == .presence { return }
        if slot.pointee.validity == nil { makeValidity(index) }
        Bitmap.clear(slot.pointee.validity!, row)
        // What lies there must not be taken for a span by whoever copies rows.
        if slot.pointee.hasSpans { slot.pointee.set(start: 0, count: 0, row) }
    }

    @inline(never)
    private func makeValidity(_ index: Int) {
        let buffer = validWords(index >= count ? Int(slots[index].entryCapacity) : rows)
        validity[index] = buffer
        slots[index].validity = buffer.base.assumingMemoryBound(to: UInt64.self)
    }

    /// The row gets the default of its column, when the chunk is whole.
    @inline(__always)
    func noteMissing(_ index: Int, _ row: Int) {
        let slot = slots + index
        guard let missing = slot.pointee.missing else { return }
        missing[Int(slot.pointee.missingCount)] = Int32(truncatingIfNeeded: row)
        slot.pointee.missingCount &+= 1
    }

    private func validWords(_ rows: Int) -> Buffer {
        let words = max((rows + 63) / 64, 1)
        let buffer = pool.take(words * 8)
        buffer.base.assumingMemoryBound(to: UInt64.self).update(repeating: .max, count: words)
        return buffer
    }

    // MARK: room

    /// Room for so many more bytes in a slot.
    @inline(__always)
    func reserve(_ slot: UnsafeMutablePointer<ValueSlot>, _ bytes: Int) {
        if slot.pointee.byteCapacity &- slot.pointee.byteCount < bytes { grow(slot - slots, bytes) }
    }

    @inline(never)
    private func grow(_ index: Int, _ bytes: Int) {
        let used = slots[index].byteCount
        let larger = pool.take(max(used + bytes, slots[index].byteCapacity * 2))
        larger.base.copyMemory(from: UnsafeRawPointer(slots[index].bytes), byteCount: used)
        extras[index] = larger
        slots[index].bytes = larger.base.assumingMemoryBound(to: UInt8.self)
        slots[index].byteCapacity = larger.capacity
    }

    /// Writes a copy of some bytes.
    @inline(__always)
    func store(_ bytes: Bytes, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int) {
        reserve(slot, bytes.count)
        if let start = bytes.baseAddress { UnsafeMutableRawPointer(slot.pointee.bytes + slot.pointee.byteCount).copyMemory(from: start, byteCount: bytes.count) }
        slot.pointee.setBytes(bytes.count, row)
    }

    /// Writes a copy of a document; it may be longer than it was in its record.
    func storeDocument(_ bytes: Bytes, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int) {
        store(bytes, slot, row)
        if slot.pointee.byteCount > RecordLimits.columnBytes { isFull = true }
    }

    /// The place of a new element.
    func nextEntry(_ index: Int) -> Int {
        let place = slots[index].entryCount
        if place == slots[index].entryCapacity { growEntries(index) }
        slots[index].entryCount = place + 1
        return Int(place)
    }

    private func growEntries(_ index: Int) {
        let (used, room) = (Int(slots[index].entryCapacity), Int(slots[index].entryCapacity) * 2)
        let larger = pool.take(room * width(index))
        larger.base.copyMemory(from: slots[index].values, byteCount: used * width(index))
        values[index] = larger
        slots[index].values = larger.base
        slots[index].entryCapacity = Int32(room)
        if types[index] == .numeric {
            let scales = pool.take(room)
            scales.base.copyMemory(from: UnsafeRawPointer(slots[index].bytes), byteCount: used)
            extras[index] = scales
            slots[index].bytes = scales.base.assumingMemoryBound(to: UInt8.self)
        }
        if let old = validity[index] {
            let words = validWords(room)
            words.base.copyMemory(from: old.base, byteCount: (used + 63) / 64 * 8)
            validity[index] = words
            slots[index].validity = words.base.assumingMemoryBound(to: UInt64.self)
        }
    }

    // MARK: what a record said

    /// A value that does not become the slot's type.
    @inline(never)
    func fail(_ slot: UnsafeMutablePointer<ValueSlot>, _ stamp: UInt64, _ fault: RowFault, at bytes: UnsafeRawBufferPointer) {
        slot.pointee.mark = stamp | Found.failed
        faults[slot - slots] = fault
        failedAt[slot - slots] = bytes
    }

    /// Where a slot failed, in other memory.
    func place(_ slot: UnsafeMutablePointer<ValueSlot>, _ bytes: UnsafeRawBufferPointer) { failedAt[slot - slots] = bytes }

    /// Writes the default into the rows that lack the column.
    /// - Parameter value: a vector of one row, of the slot's type, not NULL.
    func fill(_ index: Int, with value: Vector) {
        let slot = slots[index]
        if let rows = slot.missing, slot.missingCount > 0 { fill(index, UnsafeBufferPointer(start: rows, count: Int(slot.missingCount)), with: value) }
    }

    private func fill(_ index: Int, _ missing: UnsafeBufferPointer<Int32>, with value: Vector) {
        let view = value.view
        if view.isNull(0) {
            for row in missing { setNull(index, Int(row)) }
            return
        }
        let slot = slots + index
        switch types[index].layout {
        case .bool: for row in missing { slot.pointee.set(view.bool(0), Int(row)) }
        case .word: for row in missing { slot.pointee.set(view.word(0), Int(row)) }
        case .float: for row in missing { slot.pointee.set(view.float(0), Int(row)) }
        case .wide:
            for row in missing {
                switch types[index] {
                case .numeric: slot.pointee.set(view.numeric(0), Int(row))
                case .uuid: slot.pointee.set(view.uuid(0), Int(row))
                default: slot.pointee.set(view.interval(0), Int(row))
                }
            }
        case .bytes:
            // Written once: all the rows point to it.
            let start = slot.pointee.byteCount
            let bytes = view.bytes(0)
            store(bytes, slot, Int(missing[0]))
            for row in missing { slot.pointee.set(start: start, count: bytes.count, Int(row)) }
        case .list:
            let child = Int(slot.pointee.child)
            let (span, elements) = (view.span(0), value.children[0])
            let start = Int(slots[child].entryCount)
            for element in 0..<Int(span.count) {
                let place = nextEntry(child)
                let one = Vector.flat([elements.datum(Int(span.start) + element)], types[child], pool: pool)
                var row = Int32(place)
                withUnsafePointer(to: &row) { fill(child, UnsafeBufferPointer(start: $0, count: 1), with: one) }
            }
            for row in missing { slot.pointee.set(start: start, count: Int(span.count), Int(row)) }
        case .row: break
        }
    }
}
