import Dataflow
import TestSupport
import Values

/// Chunks of any types, in all forms, the same for the same seed.
struct RandomChunks {
    var random: SeededRandom
    let pool = BufferPool()

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    mutating func type(depth: Int = 2) -> SQLType {
        switch random.below(depth > 0 ? 8 : 6) {
        case 6: return .list(type(depth: depth - 1))
        case 7: return .row((0..<random.below(4)).map { RowField(name: "f\($0)", type: type(depth: depth - 1)) })
        default: return random.pick(SQLType.scalars)
        }
    }

    mutating func datum(_ type: SQLType, nulls: Double) -> Datum {
        if random.chance(nulls) { return .null }
        let word = Int64.random(in: .min ... .max, using: &random) >> Int64(random.below(64))
        switch type {
        case .bool: return .bool(random.chance(0.5))
        case .int2: return .word(Int64(Int16(truncatingIfNeeded: word)))
        case .int4, .date: return .word(Int64(Int32(truncatingIfNeeded: word)))
        case .int8, .time, .timestamp, .timestamptz: return .word(word)
        case .float4: return .float(Double(Float(word)) * random.pick([0, -0.0, 1, 0.5]))
        case .float8: return .float(random.pick([0, -0.0, .nan, .infinity, Double(word), Double(word) / 1024]))
        case .numeric:
            return .numeric(
                random.pick([.nan, .infinity, .zero, Numeric(units: Int128(word), scale: 2), Numeric(units: Int128(word) * Int128(word >> 4), scale: UInt8(random.below(5)))]))
        case .interval: return .interval(Interval(months: Int32(truncatingIfNeeded: word), days: 3, micros: word))
        case .uuid: return .uuid(UUIDWords(high: UInt64(bitPattern: word), low: 7))
        case .unknown, .text: return .text(String(repeating: random.pick(["", "a", "ä", "😀b", "sluice"]), count: random.chance(0.02) ? 300 : random.below(5)))
        case .bytea: return .bytes((0..<random.below(9)).map { UInt8(truncatingIfNeeded: $0 * 37 + 200) })
        case .jsonb: return .text(random.pick(["null", "true", "-1.50", "[]", "{}", "[1, \"a\\n\\u0001\", {\"k\": [false]}]", "{\"a\": 1, \"ä\": null}", "\"\\\"\""]))
        case .list(let element): return .list((0..<random.below(4)).map { _ in datum(element, nulls: nulls) })
        case .row(let fields): return .row(fields.map { datum($0.type, nulls: nulls) })
        }
    }

    /// A column, and its values row by row.
    mutating func column(_ type: SQLType, _ count: Int, flat: Bool = false) -> (vector: Vector, data: [Datum]) {
        let nulls = random.pick([0, 0, 0.2, 1])
        switch flat ? 2 : random.below(4) {
        case 0:
            let value = datum(type, nulls: nulls)
            return (Vector.constant(value, type, pool: pool), Array(repeating: value, count: count))
        case 1:
            let entries = (0..<1 + random.below(random.pick([3, 3, 400]))).map { _ in datum(type, nulls: nulls) }
            let numbers = (0..<count).map { _ in random.below(entries.count) }
            return (dictionary(reshaped(Vector.flat(entries, type, pool: pool)), numbers), numbers.map { entries[$0] })
        default:
            let data = (0..<count).map { _ in datum(type, nulls: nulls) }
            let vector = Vector.flat(data, type, pool: pool)
            return (flat ? vector : reshaped(vector), data)
        }
    }

    private func dictionary(_ entries: Vector, _ numbers: [Int]) -> Vector {
        let codes = pool.take(max(numbers.count, 1) * 4)
        for (place, number) in numbers.enumerated() { codes.base.storeBytes(of: Int32(number), toByteOffset: place * 4, as: Int32.self) }
        return Vector(dictionary: entries, codes: codes, count: numbers.count)
    }

    /// The same values, children in other forms.
    private mutating func reshaped(_ vector: Vector) -> Vector {
        if vector.children.isEmpty || random.chance(0.3) { return vector }
        let children = vector.children.map { child in
            let inner = reshaped(child)
            if child.count == 0 || random.chance(0.3) { return inner }
            let first = child.datum(0)
            if (0..<child.count).allSatisfy({ Looks.areSame(child.datum($0), first) }) { return Vector.constant(first, child.type, pool: pool) }
            return dictionary(inner, Array(0..<child.count))
        }
        return Vector(vector.type, count: vector.count, values: vector.values, validity: vector.validity, children: children)
    }

    mutating func weights(_ count: Int) -> [Int64]? {
        switch random.below(3) {
        case 0: nil
        case 1: (0..<count).map { _ in random.pick([1, -1, 127, -128]) }
        default: (0..<count).map { _ in Int64(random.below(1 << 40)) - 1 << 39 }
        }
    }

    func buffer(_ weights: [Int64]) -> Buffer {
        let buffer = pool.take(max(weights.count, 1) * 8)
        for (place, weight) in weights.enumerated() { buffer.base.storeBytes(of: weight, toByteOffset: place * 8, as: Int64.self) }
        return buffer
    }

    /// A chunk, and its columns' values.
    mutating func chunk(_ types: [SQLType], _ count: Int, flat: Bool = false) -> (chunk: Dataflow.Chunk, data: [[Datum]]) {
        let columns = types.map { column($0, count, flat: flat) }
        return (Dataflow.Chunk(columns: columns.map(\.vector), count: count, weights: weights(count).map(buffer)), columns.map(\.data))
    }
}

/// What a sink would see.
enum Looks {
    static func areSame(_ a: Datum, _ b: Datum) -> Bool {
        switch (a, b) {
        case (.float(let x), .float(let y)): x.bitPattern == y.bitPattern
        case (.list(let x), .list(let y)), (.row(let x), .row(let y)): x.count == y.count && zip(x, y).allSatisfy { areSame($0, $1) }
        default: a == b
        }
    }

    /// The first row that is another one; nil where all are the same.
    static func difference(_ chunk: Dataflow.Chunk, _ data: [[Datum]], rows: [Int], weights: (Int) -> Int64) -> String? {
        if chunk.count != rows.count || chunk.columns.count != data.count { return "\(chunk.count) rows of \(chunk.columns.count) columns" }
        for (place, row) in rows.enumerated() {
            if chunk.weight(place) != weights(row) { return "row \(place) weighs \(chunk.weight(place))" }
            for (index, column) in chunk.columns.enumerated() where !areSame(column.datum(place), data[index][row]) {
                return "row \(place) of \(column.type.name), \(column.form): \(column.datum(place)), was \(data[index][row])"
            }
        }
        return nil
    }
}

extension ChunkBytes {
    /// Reads chunks of one kind out of a copy of exactly the bytes' size.
    static func chunk(_ types: [SQLType], _ bytes: [UInt8], pool: BufferPool = BufferPool()) throws(BytesFault) -> Dataflow.Chunk {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        var reader = ByteReader(UnsafeRawBufferPointer(copy))
        let chunk = try read(types, from: &reader, pool: pool)
        if !reader.isAtEnd { throw BytesFault(what: "\(reader.left) bytes behind") }
        return chunk
    }

    static func bytes(_ chunk: Dataflow.Chunk) -> [UInt8] {
        var bytes: [UInt8] = []
        append(chunk, to: &bytes)
        return bytes
    }

    static func bytes(_ chunk: Dataflow.Chunk, _ rows: [Int]) -> [UInt8] {
        var bytes: [UInt8] = []
        rows.map { Int32($0) }.withUnsafeBufferPointer { list in
            withUnsafeTemporaryAllocation(of: Int32.self, capacity: 1) { append(chunk, rows: list.baseAddress ?? UnsafePointer($0.baseAddress!), count: list.count, to: &bytes) }
        }
        return bytes
    }
}
