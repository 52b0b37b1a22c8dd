// Filling a new vector: a buffer of the pool, written row by row in any order, then frozen.
//
// Rows that nobody writes hold anything; whoever made the vector knows which rows count. Validity starts absent and is made
// at the first NULL. Checklist: `finish` must not be called twice, and nothing may be written after it.

/// Writes the entries of a flat vector.
package struct VectorWriter {
    package let type: SQLType
    package let count: Int
    @usableFromInline let base: UnsafeMutableRawPointer
    @usableFromInline let scales: UnsafeMutableRawPointer?
    /// What spans point into; nil for layouts without bytes.
    package var bytes: ByteBuilder?

    private let pool: BufferPool
    private let values: Buffer
    private let scaleBuffer: Buffer?
    private var validity: Buffer?
    private var validityWords: UnsafeMutablePointer<UInt64>?

    package init(_ type: SQLType, count: Int, pool: BufferPool) {
        self.type = type
        self.count = count
        self.pool = pool
        let width: Int =
            switch type.layout {
            case .bool: 1
            case .word, .float, .bytes, .list: 8
            case .wide: 16
            case .row: 0
            }
        values = pool.take(max(count * width, 1))
        base = values.base
        scaleBuffer = type == .numeric ? pool.take(max(count, 1)) : nil
        scales = scaleBuffer?.base
        bytes = type.layout == .bytes ? ByteBuilder(pool) : nil
    }

    /// Makes a row NULL.
    package mutating func setNull(_ row: Int) {
        if validityWords == nil { makeValidity() }
        Bitmap.clear(validityWords!, row)
    }

    private mutating func makeValidity() {
        let words = Bitmap.wordCount(count)
        let buffer = pool.take(max(words, 1) * 8)
        validity = buffer
        validityWords = buffer.base.assumingMemoryBound(to: UInt64.self)
        validityWords!.update(repeating: .max, count: max(words, 1))
    }

    @inline(__always)
    package mutating func store<Element: FixedElement>(_ row: Int, _ value: Element) { value.store(&self, row) }

    /// Writes a copy of some bytes.
    @inline(__always)
    package mutating func storeBytes(_ row: Int, _ value: Bytes) {
        let start = bytes!.count
        bytes!.append(value)
        storeSpan(row, Span(start: start, count: value.count))
    }

    @inline(__always)
    package mutating func storeSpan(_ row: Int, _ span: Span) { base.assumingMemoryBound(to: Span.self)[row] = span }

    /// The finished vector.
    package func finish(children: [Vector] = []) -> Vector {
        if let bytes { precondition(bytes.count <= UInt32.max, "a vector of \(type.name) has \(bytes.count) bytes, more than its spans reach") }
        return Vector(type, count: count, values: values, extra: bytes?.buffer ?? scaleBuffer, validity: validity, children: children)
    }

    /// The finished vector, its spans pointing into bytes of another one.
    func finish(sharing extra: Buffer) -> Vector { Vector(type, count: count, values: values, extra: extra, validity: validity) }
}
