// Which rows of a chunk a step looks at: all of them, or a list in ascending order.
//
// A selection is a pointer and a count. Whoever narrows one keeps the memory alive while it is used: a program takes it from
// its pool. Values of rows outside the selection are undefined, and no step reads them.

/// Rows of a chunk, ascending.
public struct Selection: @unchecked Sendable {
    /// nil: the rows 0 ..< count.
    public let rows: UnsafePointer<Int32>?
    public let count: Int

    @inline(__always)
    public init(rows: UnsafePointer<Int32>?, count: Int) {
        self.rows = rows
        self.count = count
    }

    /// The first `count` rows.
    public static func all(_ count: Int) -> Selection { Selection(rows: nil, count: count) }

    @inline(__always)
    public subscript(position: Int) -> Int { rows.map { Int($0[position]) } ?? position }

    @inline(__always)
    public func forEach(_ body: (_ row: Int) -> Void) {
        if let rows {
            for position in 0..<count { body(Int(rows[position])) }
        } else {
            for row in 0..<count { body(row) }
        }
    }
}
