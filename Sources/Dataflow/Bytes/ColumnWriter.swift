// Columns of a chunk to bytes: the form is written in `ChunkBytes`.
//
// Rows become entries first: those of a list, of a dictionary's codes, without those that are NULL (holes, numbers below zero). Fields of a
// row are written with the holes of the row, because nothing says what lies under a NULL. Only then do the loops of the layouts run, each
// over a list of entries or, where rows are all rows without NULL, over the vector's own memory.

import Values

enum ColumnWriter {
    static func append(_ vector: Vector, _ list: EntryList, to bytes: inout [UInt8]) {
        switch vector.form {
        case .flat: entries(vector, list, form: 0, to: &bytes) { _ in }
        case .constant:
            // Holes do not matter: who sees them does not look.
            var first: Int32 = 0
            withUnsafePointer(to: &first) { entries(vector, EntryList($0, count: 1), form: ColumnHead.constant, to: &bytes) { _ in } }
        case .dictionary:
            let codes = UnsafePointer(vector.codes!.base.assumingMemoryBound(to: Int32.self))
            withUnsafeTemporaryAllocation(of: Int32.self, capacity: max(list.count, 1)) { buffer in
                let numbers = buffer.baseAddress!
                for place in 0..<list.count { numbers[place] = list.hasHoles && list[place] < 0 ? -1 : codes[list[place]] }
                let all = EntryList(numbers, count: list.count, hasHoles: list.hasHoles)
                if list.hasHoles || !appendDictionary(vector, all, to: &bytes) { entries(vector, all, form: 0, to: &bytes) { _ in } }
            }
        }
    }

    /// Appends a head, what belongs between it and the entries, and entries.
    private static func entries(_ vector: Vector, _ list: EntryList, form: UInt8, to bytes: inout [UInt8], between: (inout [UInt8]) -> Void) {
        let head = bytes.count
        bytes.append(ColumnHead.tag(vector.type) | form)
        if case .row(let fields) = vector.type { bytes.append(number: fields.count) }
        between(&bytes)
        if vector.validity == nil && !list.hasHoles { return values(vector, list, to: &bytes) }
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: max(list.count, 1)) { buffer in
            let (numbers, start) = (buffer.baseAddress!, bytes.count)
            var nulls = 0
            let words = vector.validity.map { UnsafePointer($0.base.assumingMemoryBound(to: UInt64.self)) }
            bytes.extend((list.count + 7) >> 3) { bits in
                for place in 0..<list.count {
                    let entry = list[place]
                    if entry < 0 || (words != nil && !Bitmap.isSet(words!, entry)) {
                        numbers[place] = -1
                        nulls += 1
                    } else {
                        numbers[place] = Int32(truncatingIfNeeded: entry)
                        setBit(bits, place)
                    }
                }
            }
            if nulls == 0 {
                bytes.removeSubrange(start...)
                return values(vector, EntryList(list.entries, count: list.count), to: &bytes)
            }
            bytes[head] |= ColumnHead.hasNulls
            values(vector, EntryList(numbers, count: list.count, hasHoles: true), to: &bytes)
        }
    }

    @inline(__always)
    private static func setBit(_ bits: UnsafeMutableRawPointer, _ place: Int) {
        let byte = bits.load(fromByteOffset: place >> 3, as: UInt8.self)
        bits.storeBytes(of: byte | 1 << UInt8(place & 7), toByteOffset: place >> 3, as: UInt8.self)
    }

    private static func values(_ vector: Vector, _ list: EntryList, to bytes: inout [UInt8]) {
        let base = vector.values.base
        switch vector.type.layout {
        case .bool:
            let values = base.assumingMemoryBound(to: UInt8.self)
            bytes.extend((list.count + 7) >> 3) { bits in
                for place in 0..<list.count where !(list.hasHoles && list[place] < 0) && values[list[place]] != 0 { setBit(bits, place) }
            }
        case .word, .float: bytes.extend(list.count * 8) { list.copy(UnsafePointer(base.assumingMemoryBound(to: UInt64.self)), zero: 0, to: $0) }
        case .wide:
            if vector.type == .numeric { return numerics(vector, list, to: &bytes) }
            bytes.extend(list.count * 16) { list.copy(UnsafePointer(base.assumingMemoryBound(to: UInt128.self)), zero: 0, to: $0) }
        case .bytes: texts(vector, list, to: &bytes)
        case .list: lists(vector, list, to: &bytes)
        case .row: for child in vector.children { append(child, list, to: &bytes) }
        }
    }

    private static func numerics(_ vector: Vector, _ list: EntryList, to bytes: inout [UInt8]) {
        let units = UnsafePointer(vector.values.base.assumingMemoryBound(to: Int128.self))
        let scales = UnsafePointer(vector.extra!.base.assumingMemoryBound(to: UInt8.self))
        var (isNarrow, first, isOneScale) = (true, -1, true)
        for place in 0..<list.count {
            let entry = list[place]
            if entry < 0 { continue }
            let value = units[entry]
            isNarrow = isNarrow && value == Int128(Int64(truncatingIfNeeded: value))
            let scale = Int(scales[entry])
            if first < 0 { first = scale }
            isOneScale = isOneScale && scale == first
        }
        bytes.append((isNarrow ? NumericHead.narrow : 0) | (isOneScale ? NumericHead.oneScale : 0))
        if isOneScale { bytes.append(UInt8(max(first, 0))) } else { bytes.extend(list.count) { list.copy(scales, zero: 0, to: $0) } }
        if isNarrow {
            bytes.extend(list.count * 8) { to in
                for place in 0..<list.count {
                    let entry = list[place]
                    to.storeBytes(of: entry < 0 ? 0 : Int64(truncatingIfNeeded: units[entry]), toByteOffset: place * 8, as: Int64.self)
                }
            }
        } else {
            bytes.extend(list.count * 16) { list.copy(units, zero: 0, to: $0) }
        }
    }

    /// Appends the lengths of spans, and hands on their sum and the lengths.
    private static func lengths(_ spans: UnsafePointer<Span>, _ list: EntryList, to bytes: inout [UInt8]) -> Int {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: max(list.count, 1)) { buffer in
            let counts = buffer.baseAddress!
            var (greatest, total): (UInt32, Int) = (0, 0)
            for place in 0..<list.count {
                let entry = list[place]
                let count = entry < 0 ? 0 : spans[entry].count
                counts[place] = count
                greatest = max(greatest, count)
                total &+= Int(count)
            }
            bytes.append(narrow: counts, count: list.count, greatest: greatest)
            return total
        }
    }

    /// Calls for spans that lie one behind the other as if they were one.
    @inline(__always)
    private static func runs(_ spans: UnsafePointer<Span>, _ list: EntryList, _ body: (_ start: Int, _ count: Int) -> Void) {
        var (start, end) = (0, 0)
        for place in 0..<list.count {
            let entry = list[place]
            if entry < 0 || spans[entry].count == 0 { continue }
            let span = spans[entry]
            if Int(span.start) != end {
                if end > start { body(start, end - start) }
                start = Int(span.start)
            }
            end = Int(span.start) + Int(span.count)
        }
        if end > start { body(start, end - start) }
    }

    private static func texts(_ vector: Vector, _ list: EntryList, to bytes: inout [UInt8]) {
        let spans = UnsafePointer(vector.values.base.assumingMemoryBound(to: Span.self))
        let total = lengths(spans, list, to: &bytes)
        precondition(total <= UInt32.max, "a column of \(vector.type.name) has \(total) bytes, more than its spans reach")
        guard let from = vector.extra?.base else { return }
        bytes.extend(total) { to in
            var end = 0
            runs(spans, list) { start, count in
                (to + end).copyMemory(from: from + start, byteCount: count)
                end += count
            }
        }
    }

    private static func lists(_ vector: Vector, _ list: EntryList, to bytes: inout [UInt8]) {
        let spans = UnsafePointer(vector.values.base.assumingMemoryBound(to: Span.self))
        let total = lengths(spans, list, to: &bytes)
        precondition(total <= ChunkBytes.mostRows, "a column of \(vector.type.name) has \(total) elements, more than row numbers reach")
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: max(total, 1)) { buffer in
            let numbers = buffer.baseAddress!
            var end = 0
            runs(spans, list) { start, count in
                for element in start..<start + count { numbers[end + element - start] = Int32(truncatingIfNeeded: element) }
                end += count
            }
            append(vector.children[0], EntryList(numbers, count: total), to: &bytes)
        }
    }

    // MARK: dictionaries

    /// Appends the entries that are named, once each and in the order in which they are, where that is smaller.
    private static func appendDictionary(_ vector: Vector, _ list: EntryList, to bytes: inout [UInt8]) -> Bool {
        if vector.type.layout == .bool || list.count < 2 { return false }
        var bound = 0
        for place in 0..<list.count { bound = max(bound, list[place] + 1) }
        // A few rows of very many entries: finding out costs more than it saves.
        if bound > list.count * 16 + 1024 { return false }
        return withUnsafeTemporaryAllocation(of: Int32.self, capacity: bound + list.count) { buffer in
            let (numbers, named) = (buffer.baseAddress!, buffer.baseAddress! + bound)
            numbers.update(repeating: -1, count: bound)
            return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: list.count) { buffer in
                let codes = buffer.baseAddress!
                var count = 0
                for place in 0..<list.count {
                    let entry = list[place]
                    if numbers[entry] < 0 {
                        numbers[entry] = Int32(truncatingIfNeeded: count)
                        named[count] = Int32(truncatingIfNeeded: entry)
                        count += 1
                    }
                    codes[place] = UInt32(truncatingIfNeeded: numbers[entry])
                }
                let few = EntryList(named, count: count)
                let width = count <= 1 << 8 ? 1 : count <= 1 << 16 ? 2 : 4
                if size(vector, few) + list.count * width >= size(vector, list) { return false }
                entries(vector, few, form: ColumnHead.dictionary, to: &bytes) { bytes in
                    bytes.append(number: count)
                    bytes.append(narrow: codes, count: list.count, greatest: UInt32(count - 1))
                }
                return true
            }
        }
    }

    /// About how many bytes entries take.
    private static func size(_ vector: Vector, _ list: EntryList) -> Int {
        switch vector.type.layout {
        case .bool: return list.count >> 3
        case .word, .float: return list.count * 8
        case .wide: return list.count * (vector.type == .numeric ? 9 : 16)
        case .row, .list: return list.count * 16 * max(vector.children.count, 1)
        case .bytes:
            let spans = vector.values.base.assumingMemoryBound(to: Span.self)
            let words = vector.validity.map { UnsafePointer($0.base.assumingMemoryBound(to: UInt64.self)) }
            var total = list.count
            for place in 0..<list.count where words == nil || Bitmap.isSet(words!, list[place]) { total += Int(spans[list[place]].count) }
            return total
        }
    }
}
