// Keys to dense group numbers: the hash table below grouping, state and lookups.
//
// Groups are numbered 0, 1, 2 ... as they first appear. Their keys are ordinary columns (row g is the key of group g),
// accumulators are Int64 columns over the same numbers; so a table becomes a chunk without copying. The index is one
// array of 64-bit slots, probed linearly: the upper half of a slot is the upper half of the key's hash, the lower half
// the group number plus one, 0 is free. Half full at most. It grows from the slots alone, without hashing a key again.
//
// Equal means: the same value, NULL equal to NULL, one zero and one NaN among floats (see `RowHash.bits`). Three loops
// exist: one text key (lookups), only numbers without NULL (grouping on dictionary codes and windows), anything else.
//
// Cost per row with a warm cache: 3-5 ns for numbers, 6-8 ns for a text of 36 bytes. A table beyond the caches waits for
// memory three times a row (slot, end of the key, key), so from `largeSlots` on each is asked for some rows ahead.
// `find` changes nothing, so that threads may share a table that nobody adds to.

import CXXHash

final class GroupTable {
    /// Slots of 256 KiB: half of a second-level cache.
    private static let largeSlots = 1 << 15
    private(set) var keys: [Column]
    private(set) var groupCount = 0
    let accumulators: Accumulators
    private let merges: [AccumulatorLayout.Merge]
    private var slots: UnsafeMutablePointer<UInt64>
    private var mask: Int

    /// - Parameter layout: nil for a table of keys alone.
    init(keyTypes: [ValueType], layout: AccumulatorLayout?, capacity: Int = 16) {
        keys = keyTypes.map { type in
            if case .text = type { .text(TextColumn(capacity: 16, byteCapacity: 64)) } else { Column(type, capacity: 16) }
        }
        accumulators = Accumulators(layout)
        merges = layout?.merges ?? []
        var size = 64
        while size < capacity * 2 { size *= 2 }
        slots = .allocate(capacity: size)
        slots.update(repeating: 0, count: size)
        mask = size - 1
    }

    deinit { slots.deallocate() }

    /// Bytes of keys, accumulators and index.
    var byteCount: Int {
        keys.reduce(0) { $0 + $1.byteCount } + merges.count * groupCount * 8 + accumulators.byteCount + (mask + 1) * 8
    }

    /// Writes the group of position p to `groups[p]`, making groups for new keys.
    func assign(
        _ columns: [Column], _ rows: SelectedRows, hashes: UnsafePointer<UInt64>,
        groups: UnsafeMutablePointer<Int32>
    ) {
        probe(columns, rows, hashes, groups, inserting: true)
        for (column, merge) in zip(accumulators.numbers, merges) {
            let added = groupCount - column.count
            column.reserve(added)
            (column.values + column.count).update(repeating: merge.identity, count: added)
            column.commitWritten(added)
        }
    }

    /// Writes the group of position p to `groups[p]`, -1 for a key that is not there.
    func find(
        _ columns: [Column], _ rows: SelectedRows, hashes: UnsafePointer<UInt64>,
        groups: UnsafeMutablePointer<Int32>
    ) {
        probe(columns, rows, hashes, groups, inserting: false)
    }

    // MARK: probing

    private func probe(
        _ columns: [Column], _ rows: SelectedRows, _ hashes: UnsafePointer<UInt64>,
        _ groups: UnsafeMutablePointer<Int32>, inserting: Bool
    ) {
        precondition(columns.count == keys.count)
        if columns.count == 1, case .text(let input) = columns[0], input.validity == nil,
            case .text(let stored) = keys[0], stored.validity == nil
        {
            let (ends, bytes) = (input.offsets, input.bytes)
            var (keyEnds, keyBytes) = (stored.offsets, stored.bytes)
            run(rows, hashes, groups, inserting) { group, row in
                let (start, keyStart) = (Int(ends[row]), Int(keyEnds[group]))
                let length = Int(ends[row + 1]) &- start
                return length == Int(keyEnds[group + 1]) &- keyStart
                    && Kernels.areEqual(bytes + start, keyBytes + keyStart, length)
            } soon: { group in
                sluice_prefetch(keyEnds + group)
            } next: { group in
                sluice_prefetch(keyBytes + Int(keyEnds[group]))
            } insert: { row in
                stored.append(bytes + Int(ends[row]), Int(ends[row + 1] - ends[row]))
                (keyEnds, keyBytes) = (stored.offsets, stored.bytes)
            }
            return
        }
        withUnsafeTemporaryAllocation(of: KeyPair.self, capacity: columns.count) { buffer in
            let pairs = buffer.baseAddress!
            for index in columns.indices { (pairs + index).initialize(to: KeyPair(columns[index], keys[index])) }
            let count = columns.count
            let insert = { (row: Int) in
                for index in 0..<count {
                    self.append(row, of: columns[index], to: self.keys[index])
                    pairs[index] = KeyPair(columns[index], self.keys[index])
                }
            }
            if (0..<count).allSatisfy({ pairs[$0].isPlainWord }) {
                if count == 2 {
                    let (first, second) = (pairs[0].words, pairs[1].words)
                    var (firstKeys, secondKeys) = (pairs[0].keyWords, pairs[1].keyWords)
                    run(rows, hashes, groups, inserting) { group, row in
                        first[row] == firstKeys[group] && second[row] == secondKeys[group]
                    } soon: { group in
                        sluice_prefetch(firstKeys + group)
                        sluice_prefetch(secondKeys + group)
                    } next: { _ in
                    } insert: { row in
                        insert(row)
                        (firstKeys, secondKeys) = (pairs[0].keyWords, pairs[1].keyWords)
                    }
                    return
                }
            }
            run(rows, hashes, groups, inserting) { group, row in
                for index in 0..<count where !pairs[index].isSame(group, row) { return false }
                return true
            } soon: { group in
                for index in 0..<count { pairs[index].askForPlace(group) }
            } next: { group in
                for index in 0..<count { pairs[index].askForText(group) }
            } insert: { row in
                insert(row)
            }
        }
    }

    /// - Parameters:
    ///   - soon: asks for what says where the key of a group lies.
    ///   - next: asks for the key itself.
    @inline(__always)
    private func run(
        _ rows: SelectedRows, _ hashes: UnsafePointer<UInt64>, _ groups: UnsafeMutablePointer<Int32>,
        _ inserting: Bool, _ isSame: (Int, Int) -> Bool, soon: (Int) -> Void, next: (Int) -> Void, insert: (Int) -> Void
    ) {
        var (slots, mask) = (self.slots, self.mask)
        let isLarge = mask >= Self.largeSlots
        let last = rows.count &- 1
        rows.forEach { position, row in
            if isLarge {
                // Past the end the last row is asked for again, which costs less than a branch for each step.
                sluice_prefetch(slots + Int(truncatingIfNeeded: hashes[min(position &+ 24, last)] >> 32) & mask)
                if let group = Self.likelyGroup(hashes[min(position &+ 16, last)], slots, mask) { soon(group) }
                if let group = Self.likelyGroup(hashes[min(position &+ 8, last)], slots, mask) { next(group) }
            }
            let tag = hashes[position] >> 32
            var at = Int(truncatingIfNeeded: tag) & mask
            while true {
                let slot = slots[at]
                if slot == 0 {
                    guard inserting else {
                        groups[position] = -1
                        return
                    }
                    precondition(groupCount < Int(Int32.max) - 1, "a table holds at most 2^31 groups")
                    groups[position] = Int32(truncatingIfNeeded: groupCount)
                    groupCount += 1
                    slots[at] = tag << 32 | UInt64(truncatingIfNeeded: groupCount)
                    insert(row)
                    if groupCount * 2 > mask {
                        grow()
                        (slots, mask) = (self.slots, self.mask)
                    }
                    return
                }
                if slot >> 32 == tag {
                    let group = Int(truncatingIfNeeded: slot & 0xffff_ffff) &- 1
                    if isSame(group, row) {
                        groups[position] = Int32(truncatingIfNeeded: group)
                        return
                    }
                }
                at = (at &+ 1) & mask
            }
        }
    }

    /// The group in the first slot of a hash, if it may be the one.
    @inline(__always)
    private static func likelyGroup(_ hash: UInt64, _ slots: UnsafeMutablePointer<UInt64>, _ mask: Int) -> Int? {
        let tag = hash >> 32
        let slot = slots[Int(truncatingIfNeeded: tag) & mask]
        return slot != 0 && slot >> 32 == tag ? Int(truncatingIfNeeded: slot & 0xffff_ffff) &- 1 : nil
    }

    private func grow() {
        let size = (mask + 1) * 2
        let fresh = UnsafeMutablePointer<UInt64>.allocate(capacity: size)
        fresh.update(repeating: 0, count: size)
        for index in 0...mask where slots[index] != 0 {
            var at = Int(truncatingIfNeeded: slots[index] >> 32) & (size - 1)
            while fresh[at] != 0 { at = (at + 1) & (size - 1) }
            fresh[at] = slots[index]
        }
        slots.deallocate()
        slots = fresh
        mask = size - 1
    }

    private func append(_ row: Int, of input: Column, to key: Column) {
        switch (input, key) {
        case (.int64(let from), .int64(let to)), (.timestamp(let from), .timestamp(let to)):
            if from.isNull(row) { to.appendNull(filler: 0) } else { to.append(from.values[row]) }
        case (.float64(let from), .float64(let to)):
            if from.isNull(row) {
                to.appendNull(filler: 0)
            } else {
                to.append(Double(bitPattern: RowHash.bits(from.values[row])))
            }
        case (.bool(let from), .bool(let to)):
            if from.isNull(row) { to.appendNull(filler: false) } else { to.append(from.values[row]) }
        case (.text(let from), .text(let to)):
            if from.isNull(row) {
                to.appendNull()
            } else {
                to.append(from.bytes + Int(from.offsets[row]), Int(from.offsets[row + 1] - from.offsets[row]))
            }
        default: preconditionFailure("a key of type \(key.type) was given a \(input.type) column")
        }
    }
}

/// The raw memory of one key column and of the column that it is compared with.
private struct KeyPair: BitwiseCopyable {
    enum Kind: UInt8 { case word, float, bool, text }
    let kind: Kind
    let values: UnsafeRawPointer
    let ends: UnsafePointer<Int32>
    let validity: UnsafePointer<UInt8>?
    let keyValues: UnsafeRawPointer
    let keyEnds: UnsafePointer<Int32>
    let keyValidity: UnsafePointer<UInt8>?

    init(_ column: Column, _ key: Column) {
        (kind, values, ends) = KeyPair.memory(column)
        (_, keyValues, keyEnds) = KeyPair.memory(key)
        validity = column.validity.map { UnsafePointer($0) }
        keyValidity = key.validity.map { UnsafePointer($0) }
    }

    private static func memory(_ column: Column) -> (Kind, UnsafeRawPointer, UnsafePointer<Int32>) {
        // `ends` is read for text only; the others put something of the right type there.
        func other(_ kind: Kind, _ values: UnsafeMutableRawPointer) -> (Kind, UnsafeRawPointer, UnsafePointer<Int32>) {
            (kind, UnsafeRawPointer(values), UnsafeRawPointer(values).assumingMemoryBound(to: Int32.self))
        }
        switch column {
        case .int64(let c), .timestamp(let c): return other(.word, c.values)
        case .float64(let c): return other(.float, c.values)
        case .bool(let c): return other(.bool, c.values)
        case .text(let c): return (.text, UnsafeRawPointer(c.bytes), UnsafePointer(c.offsets))
        }
    }

    var isPlainWord: Bool { kind == .word && validity == nil && keyValidity == nil }
    var words: UnsafePointer<Int64> { values.assumingMemoryBound(to: Int64.self) }
    var keyWords: UnsafePointer<Int64> { keyValues.assumingMemoryBound(to: Int64.self) }

    /// Asks for the value of a group, or for where its text lies.
    @inline(__always)
    func askForPlace(_ group: Int) {
        switch kind {
        case .word, .float: sluice_prefetch(keyValues + group &<< 3)
        case .bool: sluice_prefetch(keyValues + group)
        case .text: sluice_prefetch(keyEnds + group)
        }
    }

    @inline(__always)
    func askForText(_ group: Int) {
        if kind == .text { sluice_prefetch(keyValues + Int(keyEnds[group])) }
    }

    @inline(__always)
    func isSame(_ group: Int, _ row: Int) -> Bool {
        let isKnown = validity == nil || validity![row] != 0
        let isKeyKnown = keyValidity == nil || keyValidity![group] != 0
        if !isKnown || !isKeyKnown { return isKnown == isKeyKnown }
        switch kind {
        case .word: return words[row] == keyWords[group]
        case .float:
            return RowHash.bits(values.load(fromByteOffset: row &<< 3, as: Double.self))
                == RowHash.bits(keyValues.load(fromByteOffset: group &<< 3, as: Double.self))
        case .bool:
            return values.load(fromByteOffset: row, as: Bool.self) == keyValues.load(fromByteOffset: group, as: Bool.self)
        case .text:
            let (start, keyStart) = (Int(ends[row]), Int(keyEnds[group]))
            let length = Int(ends[row + 1]) &- start
            return length == Int(keyEnds[group + 1]) &- keyStart
                && Kernels.areEqual(
                    (values + start).assumingMemoryBound(to: UInt8.self),
                    (keyValues + keyStart).assumingMemoryBound(to: UInt8.self), length)
        }
    }
}
