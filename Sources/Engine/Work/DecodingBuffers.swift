// The scratch memory of a range: decoded columns and the records that did not decode, made once and reused for every chunk.

/// Columns that the decoder fills again and again, and what it says about the rows.
struct DecodingBuffers: ~Copyable {
    let columns: [Column]
    let kept: UnsafeMutablePointer<Int32>
    let offsets: UnsafeMutablePointer<Int64>
    var rejected: [RejectedRecord] = []
    private let capacity: Int

    init(schema: Schema, capacity: Int) {
        columns = schema.fields.map { Column($0.type, capacity: capacity) }
        self.capacity = capacity
        kept = .allocate(capacity: max(capacity, 1))
        offsets = .allocate(capacity: max(capacity, 1))
    }

    deinit {
        kept.deallocate()
        offsets.deallocate()
    }

    mutating func clear() {
        for column in columns { column.removeAll() }
        rejected.removeAll(keepingCapacity: true)
    }

    /// Notes the offset of each row that decoded.
    func setOffsets(_ records: UnsafeBufferPointer<RawRecord>, rows: Int) {
        precondition(records.count <= capacity && rows <= records.count)
        for row in 0..<rows { offsets[row] = records[Int(kept[row])].offset }
    }
}
