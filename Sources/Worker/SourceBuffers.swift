// The scratch memory of a source task: decoded columns and the records that did not decode.
//
// Both are made once per task and reused for every chunk. Rejected records are all counted and their offsets kept as
// ranges; raw bytes only of the first few, within the limits of protocol 11, because the rest can be read again by
// offset while Kafka has it.

import Engine

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

/// Counts rejected records of one range and keeps what the quarantine table may hold.
struct RejectCollector {
    private let range: OffsetRange
    private let limits: QuarantineLimits
    private(set) var count: Int64 = 0
    private(set) var kept: [QuarantinedRecord] = []
    private var keptBytes = 0
    private var offsets: [Int64] = []

    init(range: OffsetRange, limits: QuarantineLimits) {
        self.range = range
        self.limits = limits
    }

    mutating func add(_ rejected: [RejectedRecord], of records: UnsafeBufferPointer<RawRecord>) {
        for reject in rejected { add(records[reject.index], reason: reject.reason) }
    }

    mutating func add(_ record: RawRecord, reason: RejectReason) {
        count += 1
        offsets.append(record.offset)
        guard kept.count < limits.recordsPerPartition else { return }
        let length = min(record.length, limits.bytesPerRecord)
        guard keptBytes + length <= limits.bytesPerBatch else { return }
        keptBytes += length
        let raw = record.payload.map { [UInt8](UnsafeBufferPointer(start: $0, count: length)) } ?? []
        kept.append(
            QuarantinedRecord(
                topic: range.topic, partition: range.partition, offset: record.offset, reason: reason, raw: raw))
    }

    var ranges: [OffsetRange] { OffsetRange.covering(offsets, of: range) }
}
