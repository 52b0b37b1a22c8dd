// The records of a range that did not become rows.
//
// They are all counted and their offsets kept as ranges; raw bytes only of the first few, within the limits of protocol 11, because
// the rest can be read again by offset while Kafka has it.

import Engine

/// Counts rejected records of one range and keeps what the quarantine table may hold.
package struct RejectCollector {
    private let range: OffsetRange
    private let limits: QuarantineLimits
    package private(set) var count: Int64 = 0
    /// Records without a value: no bad ones, and nowhere kept.
    package private(set) var tombstones: Int64 = 0
    package private(set) var kept: [QuarantinedRecord] = []
    package private(set) var example: RejectExample?
    /// Bytes that may still be kept.
    package private(set) var bytesLeft: Int
    package private(set) var offsets: OffsetRanges

    /// - Parameters:
    ///   - bytesLeft: of the batch's bound, what the tasks before this one left.
    ///   - listed: so many ranges of offsets are reported; the others go into a file.
    package init(range: OffsetRange, limits: QuarantineLimits, bytesLeft: Int, listed: Int) {
        self.range = range
        self.limits = limits
        self.bytesLeft = bytesLeft
        offsets = OffsetRanges(of: range, limit: listed)
    }

    package mutating func add(_ record: RawRecord, reason: RejectReason, timeMillis: Int64? = nil) {
        if reason == .tombstone {
            tombstones += 1
            return
        }
        count += 1
        offsets.add(record.offset)
        func bytes(_ length: Int) -> [UInt8] {
            record.payload.map { [UInt8](UnsafeBufferPointer(start: $0, count: min(record.length, length))) } ?? []
        }
        if example == nil {
            example = RejectExample(
                partition: range.partition, offset: record.offset, reason: reason, timeMillis: timeMillis, head: bytes(5))
        }
        guard kept.count < limits.recordsPerPartition else { return }
        let raw = min(record.length, limits.bytesPerRecord)
        guard raw <= bytesLeft else { return }
        bytesLeft -= raw
        kept.append(
            QuarantinedRecord(
                topic: range.topic, partition: range.partition, offset: record.offset, reason: reason, raw: bytes(raw)))
    }

    package mutating func endChunk() { offsets.endChunk() }
}
