// Copying rows: the chosen rows of one column to the end of another.
//
// Filters only narrow a selection; rows are copied at the borders, where they leave a task (blocks, sink rows, deltas)
// or outlive the decoder's columns. One loop per type, row numbers in any order and as often as wanted; that is also
// how dictionary codes become text: the codes are the row numbers.

extension FixedColumn {
    func append(_ rows: SelectedRows, of other: FixedColumn<Value>) {
        if rows.count == 0 { return }
        reserve(rows.count)
        let from = other.values
        if let theirs = other.validity {
            let ours = validityForWriting() + count
            let to = values + count
            rows.forEach { position, row in
                to[position] = from[row]
                ours[position] = theirs[row]
            }
        } else {
            let to = values + count
            if rows.rows == nil {
                to.update(from: from, count: rows.count)
            } else {
                rows.forEach { position, row in to[position] = from[row] }
            }
            if validity != nil { (validityForWriting() + count).update(repeating: 1, count: rows.count) }
        }
        commitWritten(rows.count)
    }
}

extension TextColumn {
    func append(_ rows: SelectedRows, of other: TextColumn) {
        if rows.count == 0 { return }
        let ends = other.offsets
        var extraBytes = 0
        rows.forEach { _, row in extraBytes += Int(ends[row + 1] - ends[row]) }
        reserve(rows: rows.count, bytes: extraBytes)
        let from = other.bytes
        let to = bytes
        let ours = offsets + count
        var end = byteCount
        rows.forEach { position, row in
            let start = Int(ends[row])
            let length = Int(ends[row + 1]) - start
            (to + end).update(from: from + start, count: length)
            end += length
            ours[position + 1] = Int32(truncatingIfNeeded: end)
        }
        if let theirs = other.validity {
            let valid = validityForWriting() + count
            rows.forEach { position, row in valid[position] = theirs[row] }
        } else if validity != nil {
            (validityForWriting() + count).update(repeating: 1, count: rows.count)
        }
        commitWritten(rows.count)
    }
}

extension Column {
    /// Appends the chosen rows of a column of the same type.
    func append(_ rows: SelectedRows, of other: Column) {
        switch (self, other) {
        case (.int64(let ours), .int64(let theirs)), (.timestamp(let ours), .timestamp(let theirs)):
            ours.append(rows, of: theirs)
        case (.float64(let ours), .float64(let theirs)): ours.append(rows, of: theirs)
        case (.bool(let ours), .bool(let theirs)): ours.append(rows, of: theirs)
        case (.text(let ours), .text(let theirs)): ours.append(rows, of: theirs)
        default: preconditionFailure("a \(type) column was given rows of a \(other.type) column")
        }
    }

    /// A new column of the chosen rows.
    func gathered(_ rows: SelectedRows) -> Column {
        let result: Column =
            if case .text = self { .text(TextColumn(capacity: rows.count, byteCapacity: 64)) } else {
                Column(type, capacity: rows.count)
            }
        result.append(rows, of: self)
        return result
    }

    /// Bytes that the rows take, allocations rounded down to what is used.
    var byteCount: Int {
        switch self {
        case .int64(let c), .timestamp(let c): c.count * 8 + (c.validity == nil ? 0 : c.count)
        case .float64(let c): c.count * 8 + (c.validity == nil ? 0 : c.count)
        case .bool(let c): c.count + (c.validity == nil ? 0 : c.count)
        case .text(let c): c.byteCount + c.count * 4 + (c.validity == nil ? 0 : c.count)
        }
    }
}

extension Chunk {
    /// The chosen rows of this chunk's columns, in that order, copied.
    func gathered(_ rows: SelectedRows) -> Chunk {
        Chunk(schema: schema, columns: columns.map { $0.gathered(rows) }, rowCount: rows.count)
    }

    /// Bytes that the columns take, selected or not.
    package var byteCount: Int { columns.reduce(0) { $0 + $1.byteCount } }

    /// A copy that holds the selected rows and nothing else.
    package func compacted() -> Chunk { withSelectedRows { gathered($0) } }

    /// Appends the selected rows of a chunk with the same column types. Only for a chunk that nobody else has yet.
    package mutating func append(_ other: Chunk) {
        precondition(selection == nil && columns.count == other.columns.count)
        other.withSelectedRows { rows in
            for (ours, theirs) in zip(columns, other.columns) { ours.append(rows, of: theirs) }
        }
        rowCount += other.selectedCount
    }
}
