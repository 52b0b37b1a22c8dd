// What flows between operators: some rows as columns, with a weight a row where rows may also be taken back.
//
// A weight is a whole number: 1 for a row that comes, -1 for one that is taken back, 2 for two equal rows. Edges on which rows only
// come have no weights, which means 1 for every row and costs nothing. Coordinates of records (topic, partition, offset) are
// ordinary columns, there only where somebody behind needs them.
//
// A chunk is frozen when it is handed on. It owns its vectors, so pointers into them are valid while the chunk is held.

import Values

/// Rows between two operators.
package struct Chunk: Sendable {
    /// Each has at least `count` rows.
    package let columns: [Vector]
    package let count: Int
    /// One `Int64` a row; nil where each row weighs 1.
    package let weights: Buffer?
    /// One `Int32` a row, whoever made the first chunk knows of what: what a row came of, so that one that fails can be named. Nil where
    /// an origin may have several rows, or nobody asks. It goes through maps and windows in which a row is once.
    package let origins: Buffer?

    package init(columns: [Vector], count: Int, weights: Buffer? = nil, origins: Buffer? = nil) {
        self.columns = columns
        self.count = count
        self.weights = weights
        self.origins = origins
    }

    /// What a row came of: for rows that fail.
    func origin(_ row: Int) -> Int32? { origins.map { $0.base.assumingMemoryBound(to: Int32.self)[row] } }

    /// The same rows with what each came of.
    package func with(origins: Buffer) -> Chunk { Chunk(columns: columns, count: count, weights: weights, origins: origins) }

    /// Valid while the chunk lives.
    var weightWords: UnsafePointer<Int64>? { weights.map { UnsafePointer($0.base.assumingMemoryBound(to: Int64.self)) } }

    /// The weight of a row: for edges and tests, not for row loops.
    package func weight(_ row: Int) -> Int64 { weightWords?[row] ?? 1 }

    /// The same rows with some of the columns.
    package func picking(_ numbers: [Int]) -> Chunk { Chunk(columns: numbers.map { columns[$0] }, count: count, weights: weights, origins: origins) }

    /// The rows of a list, copied.
    package func rows(_ rows: UnsafePointer<Int32>, count: Int, pool: BufferPool) -> Chunk {
        let columns = columns.map { Gathering.rows(of: $0, rows, count: count, pool: pool) }
        var origins: Buffer?
        if let from = self.origins?.base.assumingMemoryBound(to: Int32.self) {
            origins = pool.take(max(count, 1) * 4)
            let out = origins!.base.assumingMemoryBound(to: Int32.self)
            for place in 0..<count { out[place] = from[Int(rows[place])] }
        }
        guard let words = weightWords else { return Chunk(columns: columns, count: count, origins: origins) }
        let weights = pool.take(max(count, 1) * 8)
        let out = weights.base.assumingMemoryBound(to: Int64.self)
        for place in 0..<count { out[place] = words[Int(rows[place])] }
        return Chunk(columns: columns, count: count, weights: weights, origins: origins)
    }
}

enum Weights {
    static func buffer(_ weights: [Int64], _ pool: BufferPool) -> Buffer {
        let buffer = pool.take(max(weights.count, 1) * 8)
        weights.withUnsafeBytes { if $0.count > 0 { buffer.base.copyMemory(from: $0.baseAddress!, byteCount: $0.count) } }
        return buffer
    }
}

/// Where operators put what they give.
package final class ChunkList {
    package private(set) var chunks: [Chunk] = []

    package init() {}

    package func emit(_ chunk: Chunk) {
        if chunk.count > 0 { chunks.append(chunk) }
    }

    package func removeAll() -> [Chunk] {
        defer { chunks.removeAll() }
        return chunks
    }
}

/// Rows of vectors in another order.
enum Gathering {
    /// A vector of the listed rows; it shares the bytes and the entries of the old one.
    static func rows(of vector: Vector, _ rows: UnsafePointer<Int32>, count: Int, pool: BufferPool) -> Vector {
        switch vector.form {
        case .constant: return vector
        case .dictionary:
            let codes = pool.take(max(count, 1) * 4)
            let (from, to) = (vector.codes!.base.assumingMemoryBound(to: Int32.self), codes.base.assumingMemoryBound(to: Int32.self))
            for place in 0..<count { to[place] = from[Int(rows[place])] }
            return Vector(
                vector.type, form: .dictionary, count: count, values: vector.values, extra: vector.extra, validity: vector.validity, codes: codes,
                children: vector.children)
        case .flat:
            switch vector.type.layout {
            case .word, .float:
                let values = pool.take(max(count, 1) * 8)
                let (from, to) = (vector.values.base.assumingMemoryBound(to: UInt64.self), values.base.assumingMemoryBound(to: UInt64.self))
                for place in 0..<count { to[place] = from[Int(rows[place])] }
                return Vector(vector.type, count: count, values: values, validity: validity(of: vector, rows, count, pool))
            case .bytes:
                let values = pool.take(max(count, 1) * 8)
                let (from, to) = (vector.values.base.assumingMemoryBound(to: UInt64.self), values.base.assumingMemoryBound(to: UInt64.self))
                for place in 0..<count { to[place] = from[Int(rows[place])] }
                return Vector(vector.type, count: count, values: values, extra: vector.extra, validity: validity(of: vector, rows, count, pool))
            case .bool, .wide, .list, .row:
                // The old entries under codes: no copy of what is wide or nested.
                let codes = pool.take(max(count, 1) * 4)
                codes.base.copyMemory(from: rows, byteCount: count * 4)
                return Vector(dictionary: vector, codes: codes, count: count)
            }
        }
    }

    private static func validity(of vector: Vector, _ rows: UnsafePointer<Int32>, _ count: Int, _ pool: BufferPool) -> Buffer? {
        guard let from = vector.validity?.base.assumingMemoryBound(to: UInt64.self) else { return nil }
        let words = max((count + 63) >> 6, 1)
        let buffer = pool.take(words * 8)
        let to = buffer.base.assumingMemoryBound(to: UInt64.self)
        to.update(repeating: 0, count: words)
        for place in 0..<count {
            let row = Int(rows[place])
            to[place >> 6] |= (from[row >> 6] >> UInt64(row & 63) & 1) << UInt64(place & 63)
        }
        return buffer
    }
}
