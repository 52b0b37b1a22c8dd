// Rows in memory: columns of equal length, and optionally which of their rows count.
//
// Operators pass chunks on; a filter does not copy, it narrows the selection. `rowCount` is the length of the columns,
// `selectedCount` how many rows an operator shall look at.
//
// What goes to a sink that keeps rows by key may also be keys whose rows go: `isDelete`.

/// The selected rows of a chunk, ascending. Filled by one operator, then frozen.
public final class Selection: @unchecked Sendable {
    public let rows: UnsafeMutablePointer<Int32>
    public private(set) var count: Int

    /// Room for `capacity` row numbers; the caller writes into `rows` and then calls `commit`.
    public init(capacity: Int) {
        rows = .allocate(capacity: max(capacity, 1))
        count = 0
    }

    deinit { rows.deallocate() }

    public func commit(_ n: Int) { count = n }
}

/// Typed columns of equal length with an optional selection.
public struct Chunk: Sendable {
    public var schema: Schema
    public var columns: [Column]
    public var rowCount: Int
    public var selection: Selection?
    /// Each row names a key whose row goes: the columns are those of the sink's key alone, in its order. Of a table with the empty
    /// key, which has one row, it has no column and one row.
    public var isDelete = false

    public init(schema: Schema, columns: [Column], rowCount: Int, selection: Selection? = nil) {
        precondition(schema.fields.count == columns.count)
        self.schema = schema
        self.columns = columns
        self.rowCount = rowCount
        self.selection = selection
    }

    /// An empty chunk to append to.
    public init(schema: Schema, capacity: Int = 1024) {
        self.init(
            schema: schema, columns: schema.fields.map { Column($0.type, capacity: capacity) }, rowCount: 0)
    }

    public var selectedCount: Int { selection?.count ?? rowCount }

    /// Calls `body` with each selected row number: for edges; row loops read `selection` themselves.
    public func forEachSelectedRow(_ body: (Int) throws -> Void) rethrows {
        if let selection {
            for index in 0..<selection.count { try body(Int(selection.rows[index])) }
        } else {
            for row in 0..<rowCount { try body(row) }
        }
    }

    /// One row as boxed values: for edges (sinks, prints, tests).
    public func values(_ row: Int) -> [Value] { columns.map { $0.value(row) } }
}
