// A column that grows and shrinks: what the state of operators is made of.
//
// Entries are numbered; who owns the column says which numbers are in use, and frees one before it is used again. Words, floats and
// wide values lie in one array; bytes in an arena, with a word for each entry that says where (38 bits) and how long (26 bits). What
// was freed of the arena is taken back when it is more than half of it. NULL is a byte an entry, absent until the first one.
//
// Two readings of "the same": `isEqual` is SQL's (1.0 and 1.00, 0 and -0), for keys; `isIdentical` is what a sink would see, for a row
// that is taken back or that has not changed.

import Glibc
import Values

final class StoredColumn {
    let type: SQLType
    let kind: CellKind
    private let width: Int
    private(set) var values: UnsafeMutableRawPointer
    private(set) var capacity: Int
    private var scales: UnsafeMutablePointer<UInt8>?
    private(set) var nulls: UnsafeMutablePointer<UInt8>?
    private var arena = UnsafeMutableRawPointer.allocate(byteCount: 0, alignment: 1)
    private var arenaCapacity = 0
    private var arenaCount = 0
    private var arenaFree = 0
    private var boxes: [Datum] = []

    init(_ type: SQLType, capacity: Int = 16) {
        self.type = type
        self.capacity = capacity
        kind = CellKind(type)
        width = kind.width
        values = .allocate(byteCount: max(capacity * width, 1), alignment: 16)
        values.initializeMemory(as: UInt8.self, repeating: 0, count: capacity * width)
        if kind == .numeric {
            scales = .allocate(capacity: capacity)
            scales!.initialize(repeating: 0, count: capacity)
        }
        if kind == .boxed { boxes = Array(repeating: .null, count: capacity) }
    }

    deinit {
        values.deallocate()
        scales?.deallocate()
        nulls?.deallocate()
        arena.deallocate()
    }

    var byteCount: Int { capacity * (width + (nulls == nil ? 0 : 1) + (scales == nil ? 0 : 1)) + arenaCapacity }

    /// Room for the entries below `count`.
    func reserve(_ count: Int) {
        guard count > capacity else { return }
        let larger = max(count, capacity * 2)
        let fresh = UnsafeMutableRawPointer.allocate(byteCount: max(larger * width, 1), alignment: 16)
        fresh.copyMemory(from: values, byteCount: capacity * width)
        (fresh + capacity * width).initializeMemory(as: UInt8.self, repeating: 0, count: (larger - capacity) * width)
        values.deallocate()
        values = fresh
        if let old = scales { scales = Self.grown(old, capacity, larger) }
        if let old = nulls { nulls = Self.grown(old, capacity, larger) }
        if kind == .boxed { boxes += Array(repeating: .null, count: larger - capacity) }
        capacity = larger
    }

    private static func grown(_ old: UnsafeMutablePointer<UInt8>, _ count: Int, _ capacity: Int) -> UnsafeMutablePointer<UInt8> {
        let fresh = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        fresh.update(from: old, count: count)
        (fresh + count).initialize(repeating: 0, count: capacity - count)
        old.deallocate()
        return fresh
    }

    // MARK: entries

    /// Where the entries lie until the next change.
    var view: StoredView { StoredView(values: UnsafeRawPointer(values), nulls: nulls.map { UnsafePointer($0) }, arena: UnsafeRawPointer(arena)) }

    @inline(__always)
    func isNull(_ entry: Int) -> Bool { nulls != nil && nulls![entry] != 0 }

    @inline(__always)
    var words: UnsafeMutablePointer<Int64> { values.assumingMemoryBound(to: Int64.self) }
    @inline(__always)
    private var floats: UnsafeMutablePointer<Double> { values.assumingMemoryBound(to: Double.self) }
    @inline(__always)
    private var wides: UnsafeMutablePointer<Int128> { values.assumingMemoryBound(to: Int128.self) }
    @inline(__always)
    private var intervals: UnsafeMutablePointer<Interval> { values.assumingMemoryBound(to: Interval.self) }
    @inline(__always)
    private var places: UnsafeMutablePointer<UInt64> { values.assumingMemoryBound(to: UInt64.self) }

    @inline(__always)
    func bytes(_ entry: Int) -> UnsafeRawBufferPointer {
        let place = places[entry]
        return UnsafeRawBufferPointer(start: UnsafeRawPointer(arena) + Int(place >> 26), count: Int(place & 0x3ff_ffff))
    }

    private func numeric(_ entry: Int) -> Numeric { Numeric(units: wides[entry], scale: scales![entry]) }

    func setNull(_ entry: Int) {
        if nulls == nil {
            nulls = .allocate(capacity: capacity)
            nulls!.initialize(repeating: 0, count: capacity)
        }
        nulls![entry] = 1
    }

    /// Writes a free entry.
    @inline(__always)
    func set(_ entry: Int, _ view: CellView, _ row: Int) {
        if view.isNull(row) {
            setNull(entry)
            return
        }
        if nulls != nil { nulls![entry] = 0 }
        switch kind {
        case .word: words[entry] = view.word(row)
        case .float: words[entry] = view.word(row)
        case .byte: values.storeBytes(of: view.byte(row), toByteOffset: entry, as: UInt8.self)
        case .interval, .uuid: wides[entry] = view.wide(row)
        case .numeric:
            wides[entry] = view.wide(row)
            scales![entry] = view.scale(row)
        case .bytes, .json: setBytes(entry, view.bytes(row))
        case .boxed: boxes[entry] = view.datum(row)
        }
    }

    /// Writes a free entry as another one is.
    func set(_ entry: Int, from other: StoredColumn, _ source: Int) {
        if other.isNull(source) {
            setNull(entry)
            return
        }
        if nulls != nil { nulls![entry] = 0 }
        switch kind {
        case .word, .float: words[entry] = other.words[source]
        case .byte: values.storeBytes(of: other.values.load(fromByteOffset: source, as: UInt8.self), toByteOffset: entry, as: UInt8.self)
        case .interval, .uuid: wides[entry] = other.wides[source]
        case .numeric:
            wides[entry] = other.wides[source]
            scales![entry] = other.scales![source]
        case .bytes, .json: setBytes(entry, other.bytes(source))
        case .boxed: boxes[entry] = other.boxes[source]
        }
    }

    private func setBytes(_ entry: Int, _ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count < 1 << 26, "a value of \(bytes.count) bytes in state, more than 64 MiB")
        if arenaCount + bytes.count > arenaCapacity { growArena(bytes.count) }
        if bytes.count > 0 { (arena + arenaCount).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count) }
        places[entry] = UInt64(arenaCount) << 26 | UInt64(bytes.count)
        arenaCount += bytes.count
    }

    private func growArena(_ more: Int) {
        // Half of it free: it is written anew, in the order of entries.
        let isWorthIt = arenaFree * 2 > arenaCount && arenaFree > more
        let larger = isWorthIt ? arenaCapacity : max(arenaCount + more, arenaCapacity * 2, 256)
        let fresh = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        if isWorthIt {
            var count = 0
            for entry in 0..<capacity where places[entry] & 0x3ff_ffff != 0 {
                let bytes = bytes(entry)
                (fresh + count).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
                places[entry] = UInt64(count) << 26 | UInt64(bytes.count)
                count += bytes.count
            }
            arenaCount = count
            arenaFree = 0
        } else {
            fresh.copyMemory(from: arena, byteCount: arenaCount)
        }
        arena.deallocate()
        arena = fresh
        arenaCapacity = larger
    }

    /// The entry will be written again, or never looked at.
    func free(_ entry: Int) {
        nulls?[entry] = 0
        switch kind {
        case .bytes, .json:
            arenaFree += Int(places[entry] & 0x3ff_ffff)
            places[entry] = 0
        case .boxed: boxes[entry] = .null
        case .byte, .word, .float, .interval, .uuid, .numeric: break
        }
    }

    // MARK: sameness and order

    /// As keys: NULL equals NULL.
    @inline(__always)
    func isEqual(_ entry: Int, _ view: CellView, _ row: Int) -> Bool {
        let isNothing = view.isNull(row)
        if isNothing || isNull(entry) { return isNothing == isNull(entry) }
        switch kind {
        case .word: return words[entry] == view.word(row)
        case .bytes: return CellRules.areSame(bytes(entry), view.bytes(row))
        case .byte: return values.load(fromByteOffset: entry, as: UInt8.self) == view.byte(row)
        case .uuid: return wides[entry] == view.wide(row)
        case .float: return CellRules.floatBits(floats[entry]) == CellRules.floatBits(view.float(row))
        case .interval: return CellRules.span(intervals[entry]) == CellRules.span(view.interval(row))
        case .numeric:
            if scales![entry] == view.scale(row) { return wides[entry] == view.wide(row) }
            return Numeric.compare(numeric(entry), Numeric(units: view.wide(row), scale: view.scale(row))) == 0
        case .json: return CellRules.areSame(bytes(entry), view.bytes(row)) || JSONOrder.compare(bytes(entry), view.bytes(row)) == 0
        case .boxed:
            let (a, b) = (boxes[entry], view.datum(row))
            return a == b || BoxedOrder.compare(a, b, type) == 0
        }
    }

    /// As a sink would see them.
    @inline(__always)
    func isIdentical(_ entry: Int, _ view: CellView, _ row: Int) -> Bool {
        let isNothing = view.isNull(row)
        if isNothing || isNull(entry) { return isNothing == isNull(entry) }
        switch kind {
        case .word, .float: return words[entry] == view.word(row)
        case .bytes, .json: return CellRules.areSame(bytes(entry), view.bytes(row))
        case .byte: return values.load(fromByteOffset: entry, as: UInt8.self) == view.byte(row)
        case .uuid, .interval: return wides[entry] == view.wide(row)
        case .numeric: return wides[entry] == view.wide(row) && scales![entry] == view.scale(row)
        case .boxed: return boxes[entry] == view.datum(row)
        }
    }

    /// -1, 0 or 1; NULL is after everything.
    @inline(__always)
    func compare(_ a: Int, _ b: Int) -> Int { compare(a, with: self, b) }

    /// The same with an entry of another column of this type.
    func compare(_ a: Int, with other: StoredColumn, _ b: Int) -> Int {
        switch (isNull(a), other.isNull(b)) {
        case (true, true): return 0
        case (true, false): return 1
        case (false, true): return -1
        case (false, false): break
        }
        switch kind {
        case .word: return CellRules.compare(words[a], other.words[b])
        case .float: return CellRules.compare(floats[a], other.floats[b])
        case .byte: return CellRules.compare(values.load(fromByteOffset: a, as: UInt8.self), other.values.load(fromByteOffset: b, as: UInt8.self))
        case .bytes: return CellRules.compare(bytes(a), other.bytes(b))
        case .json: return JSONOrder.compare(bytes(a), other.bytes(b))
        case .interval: return CellRules.compare(CellRules.span(intervals[a]), CellRules.span(other.intervals[b]))
        case .uuid:
            let (words, others) = (values.assumingMemoryBound(to: UInt64.self), other.values.assumingMemoryBound(to: UInt64.self))
            return words[a * 2] != others[b * 2] ? CellRules.compare(words[a * 2], others[b * 2]) : CellRules.compare(words[a * 2 + 1], others[b * 2 + 1])
        case .numeric: return Numeric.compare(numeric(a), other.numeric(b))
        case .boxed: return BoxedOrder.compare(boxes[a], other.boxes[b], type)
        }
    }

    /// Orders equal values that look different, so that an order of rows is total.
    @inline(__always)
    func compareLooks(_ a: Int, _ b: Int) -> Int { compareLooks(a, with: self, b) }

    func compareLooks(_ a: Int, with other: StoredColumn, _ b: Int) -> Int {
        guard !isNull(a), !other.isNull(b) else { return compare(a, with: other, b) }
        switch kind {
        case .word, .byte, .bytes, .uuid, .boxed: return 0
        case .float: return CellRules.compare(words[a], other.words[b])
        case .json: return CellRules.compare(bytes(a), other.bytes(b))
        case .interval: return CellRules.compare(wides[a], other.wides[b])
        case .numeric: return CellRules.compare(scales![a], other.scales![b])
        }
    }

    /// A vector of the rows of another one, equal values under one look.
    static func underOneLook(_ vector: Vector, count: Int, keyScale: Int, pool: BufferPool) -> Vector {
        let kind = CellKind(vector.type)
        guard kind == .numeric || kind == .interval || kind == .float else { return vector }
        let column = StoredColumn(vector.type, capacity: count)
        let cells = ChunkCells([vector], count: count)
        for row in 0..<count { column.set(row, cells.views[0], row) }
        return withExtendedLifetime(cells) { column.gather((0..<count).map { Int32($0) }, count: count, pool: pool, keyScale: keyScale) }
    }

    // MARK: out

    /// The entries as a vector; a number below zero is NULL.
    /// - Parameter scale: for keys: of equal numbers that look different the look with so many digits behind the point; below zero the shortest.
    func gather(_ entries: UnsafePointer<Int32>, count: Int, pool: BufferPool, keyScale: Int? = nil) -> Vector {
        if kind == .boxed {
            return Vector.flat((0..<count).map { entries[$0] < 0 ? .null : boxes[Int(entries[$0])] }, type, pool: pool)
        }
        let out = pool.take(max(count * width, 1))
        var (extra, validity): (Buffer?, Buffer?)
        switch kind {
        case .word, .float:
            let (to, from) = (out.base.assumingMemoryBound(to: Int64.self), words)
            for place in 0..<count { to[place] = from[max(Int(entries[place]), 0)] }
            if kind == .float && keyScale != nil {
                for place in 0..<count { to[place] = Int64(bitPattern: CellRules.floatBits(Double(bitPattern: UInt64(bitPattern: to[place])))) }
            }
        case .byte:
            for place in 0..<count { out.base.storeBytes(of: values.load(fromByteOffset: max(Int(entries[place]), 0), as: UInt8.self), toByteOffset: place, as: UInt8.self) }
        case .uuid, .interval:
            let (to, from) = (out.base.assumingMemoryBound(to: Int128.self), wides)
            for place in 0..<count { to[place] = from[max(Int(entries[place]), 0)] }
            if kind == .interval && keyScale != nil {
                let intervals = out.base.assumingMemoryBound(to: Interval.self)
                for place in 0..<count { intervals[place] = intervals[place].canonical }
            }
        case .numeric:
            let to = out.base.assumingMemoryBound(to: Int128.self)
            extra = pool.take(max(count, 1))
            for place in 0..<count {
                let entry = max(Int(entries[place]), 0)
                var (units, scale) = (wides[entry], scales![entry])
                if let keyScale { (units, scale) = Self.look(units, scale, keyScale) }
                to[place] = units
                extra!.base.storeBytes(of: scale, toByteOffset: place, as: UInt8.self)
            }
        case .bytes, .json:
            var total = 0
            for place in 0..<count where entries[place] >= 0 { total += Int(places[Int(entries[place])] & 0x3ff_ffff) }
            precondition(total <= UInt32.max, "a vector of \(type.name) has \(total) bytes, more than its spans reach")
            extra = pool.take(max(total, 1))
            let to = out.base.assumingMemoryBound(to: UInt64.self)
            var end = 0
            for place in 0..<count {
                guard entries[place] >= 0 else {
                    to[place] = 0
                    continue
                }
                let bytes = bytes(Int(entries[place]))
                if bytes.count > 0 { (extra!.base + end).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count) }
                to[place] = UInt64(bytes.count) << 32 | UInt64(end)
                end += bytes.count
            }
        case .boxed: break
        }
        if nulls != nil || (0..<count).contains(where: { entries[$0] < 0 }) {
            let words = max((count + 63) >> 6, 1)
            validity = pool.take(words * 8)
            let bits = validity!.base.assumingMemoryBound(to: UInt64.self)
            bits.update(repeating: 0, count: words)
            for place in 0..<count where entries[place] >= 0 && !isNull(Int(entries[place])) { bits[place >> 6] |= 1 << UInt64(place & 63) }
        }
        return Vector(type, count: count, values: out, extra: extra, validity: validity)
    }

    /// The look of a number among its equals.
    private static func look(_ units: Int128, _ scale: UInt8, _ wanted: Int) -> (Int128, UInt8) {
        if Int(scale) == wanted { return (units, scale) }
        let value = Numeric(units: units, scale: scale).canonical
        guard !value.isSpecial, wanted > Int(value.scale) else { return (value.units, value.scale) }
        var (units, scale) = (value.units, value.scale)
        while Int(scale) < wanted {
            let (more, isOver) = units.multipliedReportingOverflow(by: 10)
            if isOver { break }
            (units, scale) = (more, scale + 1)
        }
        return (units, scale)
    }

    // MARK: state

    /// Writes an entry for state: one way for each value; as a key, one way for all equal ones.
    func write(_ entry: Int, asKey: Bool, to sink: inout StateBytes) {
        if isNull(entry) {
            sink.append(byte: 0)
            return
        }
        sink.append(byte: 1)
        switch kind {
        case .word: sink.append(word: words[entry])
        case .float: sink.append(word: asKey ? Int64(bitPattern: CellRules.floatBits(floats[entry])) : words[entry])
        case .byte: sink.append(byte: values.load(fromByteOffset: entry, as: UInt8.self))
        case .uuid: sink.append(wide: wides[entry])
        case .interval:
            let value = asKey ? intervals[entry].canonical : intervals[entry]
            sink.append(word: value.micros)
            sink.append(word: Int64(value.days) << 32 | Int64(UInt32(bitPattern: value.months)))
        case .numeric:
            let value = asKey ? numeric(entry).canonical : numeric(entry)
            sink.append(wide: value.units)
            sink.append(byte: value.scale)
        case .bytes, .json: sink.append(bytes: bytes(entry))
        case .boxed: sink.append(datum: boxes[entry])
        }
    }

    /// Reads what `write` wrote into a free entry.
    func read(_ entry: Int, from source: inout StateReader) throws(StateFault) {
        if try source.byte() == 0 {
            setNull(entry)
            return
        }
        nulls?[entry] = 0
        switch kind {
        case .word, .float: words[entry] = try source.word()
        case .byte: values.storeBytes(of: try source.byte(), toByteOffset: entry, as: UInt8.self)
        case .uuid: wides[entry] = try source.wide()
        case .interval:
            let micros = try source.word()
            let rest = try source.word()
            intervals[entry] = Interval(months: Int32(truncatingIfNeeded: rest), days: Int32(truncatingIfNeeded: rest >> 32), micros: micros)
        case .numeric:
            wides[entry] = try source.wide()
            scales![entry] = try source.byte()
        case .bytes, .json: setBytes(entry, try source.bytes())
        case .boxed: boxes[entry] = try source.datum()
        }
    }
}

/// Pointers into a stored column, valid until it changes.
struct StoredView: BitwiseCopyable {
    let values: UnsafeRawPointer
    let nulls: UnsafePointer<UInt8>?
    let arena: UnsafeRawPointer

    @inline(__always)
    func bytes(_ entry: Int) -> UnsafeRawBufferPointer {
        let place = values.assumingMemoryBound(to: UInt64.self)[entry]
        return UnsafeRawBufferPointer(start: arena + Int(place >> 26), count: Int(place & 0x3ff_ffff))
    }
}

/// Order of lists and rows: through vectors of one value, because nobody sorts many of them.
enum BoxedOrder {
    static func compare(_ a: Datum, _ b: Datum, _ type: SQLType) -> Int {
        let pool = BufferPool()
        let (left, right) = (Vector.flat([a], type, pool: pool), Vector.flat([b], type, pool: pool))
        return withExtendedLifetime((left, right)) { KeyOrder.rows(type, left, right).compare(0, 0) }
    }
}
