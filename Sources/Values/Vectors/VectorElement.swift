// The Swift type in which a kernel sees one value, for each layout.
//
// A kernel is written over these (`{ (a: Int64, b: Int64) in ... }`); its loop, inlined, becomes a loop over the layout's
// memory. A `Bytes` points into its vector and is gone with it.

/// A value as kernels see it.
package protocol VectorElement {
    static func load(_ view: VectorView, _ row: Int) -> Self
    /// Whether values of the type lie in a vector as this reads and writes them.
    static func fits(_ type: SQLType) -> Bool
}

/// A value that lies in one place of fixed width.
package protocol FixedElement: VectorElement {
    func store(_ writer: inout VectorWriter, _ row: Int)
}

extension Int64: FixedElement {
    package static func fits(_ type: SQLType) -> Bool { type.layout == .word }
    @inline(__always)
    package static func load(_ view: VectorView, _ row: Int) -> Int64 { view.word(row) }
    @inline(__always)
    package func store(_ writer: inout VectorWriter, _ row: Int) { writer.base.assumingMemoryBound(to: Int64.self)[row] = self }
}

extension Double: FixedElement {
    package static func fits(_ type: SQLType) -> Bool { type.layout == .float }
    @inline(__always)
    package static func load(_ view: VectorView, _ row: Int) -> Double { view.float(row) }
    @inline(__always)
    package func store(_ writer: inout VectorWriter, _ row: Int) { writer.base.assumingMemoryBound(to: Double.self)[row] = self }
}

extension Bool: FixedElement {
    package static func fits(_ type: SQLType) -> Bool { type.layout == .bool }
    @inline(__always)
    package static func load(_ view: VectorView, _ row: Int) -> Bool { view.bool(row) }
    @inline(__always)
    package func store(_ writer: inout VectorWriter, _ row: Int) { writer.base.assumingMemoryBound(to: Bool.self)[row] = self }
}

extension Interval: FixedElement {
    package static func fits(_ type: SQLType) -> Bool { type == .interval }
    @inline(__always)
    package static func load(_ view: VectorView, _ row: Int) -> Interval { view.interval(row) }
    @inline(__always)
    package func store(_ writer: inout VectorWriter, _ row: Int) { writer.base.assumingMemoryBound(to: Interval.self)[row] = self }
}

extension UUIDWords: FixedElement {
    package static func fits(_ type: SQLType) -> Bool { type == .uuid }
    @inline(__always)
    package static func load(_ view: VectorView, _ row: Int) -> UUIDWords { view.uuid(row) }
    @inline(__always)
    package func store(_ writer: inout VectorWriter, _ row: Int) { writer.base.assumingMemoryBound(to: UUIDWords.self)[row] = self }
}

extension Numeric: FixedElement {
    package static func fits(_ type: SQLType) -> Bool { type == .numeric }
    @inline(__always)
    package static func load(_ view: VectorView, _ row: Int) -> Numeric { view.numeric(row) }
    @inline(__always)
    package func store(_ writer: inout VectorWriter, _ row: Int) {
        writer.base.assumingMemoryBound(to: Int128.self)[row] = units
        writer.scales!.storeBytes(of: scale, toByteOffset: row, as: UInt8.self)
    }
}

/// Some bytes of a vector: text in UTF-8, bytea, jsonb.
package typealias Bytes = UnsafeRawBufferPointer

extension UnsafeRawBufferPointer: VectorElement {
    package static func fits(_ type: SQLType) -> Bool { type.layout == .bytes }
    @inline(__always)
    package static func load(_ view: VectorView, _ row: Int) -> UnsafeRawBufferPointer { view.bytes(row) }
}
