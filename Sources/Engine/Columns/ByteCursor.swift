// Little-endian bytes, one after the other: the writer and the reader below `ChunkCodec`.
//
// The writer grows one buffer; the reader never reads past its slice: whatever does not fit is a broken block.

struct ByteWriter {
    private(set) var result: [UInt8] = []

    init(capacity: Int) { result.reserveCapacity(capacity) }

    @inline(__always)
    mutating func number<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { result.append(contentsOf: $0) }
    }

    mutating func bytes(_ bytes: [UInt8]) { result.append(contentsOf: bytes) }

    @inline(__always)
    mutating func bytes(_ bytes: UnsafeRawBufferPointer) { result.append(contentsOf: bytes) }

    /// Writes whether there are NULLs among the rows, and then one bit a row.
    /// - Returns: whether there are.
    mutating func validity(_ validity: UnsafeMutablePointer<UInt8>?, _ rows: SelectedRows) -> Bool {
        var bits = [UInt8](repeating: 0, count: (rows.count + 7) / 8)
        var nulls = 0
        if let validity {
            rows.forEach { position, row in
                if validity[row] == 0 { nulls += 1 } else { bits[position >> 3] |= 1 << UInt8(position & 7) }
            }
        }
        number(UInt8(nulls > 0 ? 1 : 0))
        if nulls > 0 { bytes(bits) }
        return nulls > 0
    }
}

struct ByteReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var remaining: Int { rest.count }
    var isAtEnd: Bool { rest.isEmpty }

    @inline(__always)
    mutating func number<T: FixedWidthInteger>(_ type: T.Type) throws -> T {
        let size = MemoryLayout<T>.size
        guard rest.count >= size else { throw ChunkCodec.broken("it is cut short") }
        let value = rest.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(as: T.self)) }
        rest.removeFirst(size)
        return value
    }

    mutating func bytes(_ count: Int) throws -> ArraySlice<UInt8> {
        guard rest.count >= count else { throw ChunkCodec.broken("it is cut short") }
        defer { rest.removeFirst(count) }
        return rest.prefix(count)
    }

    mutating func copy(_ count: Int, to target: UnsafeMutableRawPointer) throws {
        let source = try bytes(count)
        source.withUnsafeBytes { if let base = $0.baseAddress { target.copyMemory(from: base, byteCount: count) } }
    }

    /// `rows`, if that many values can still follow: asked before memory is taken for them.
    func affordable(_ rows: Int, each: Int) throws -> Int {
        guard rows <= rest.count / each else { throw ChunkCodec.broken("it claims more rows than it holds") }
        return rows
    }
}
