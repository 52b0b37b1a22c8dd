// Record batches made by hand, right or wrong in whatever way a test wants.

import Engine

/// Bytes as the network has them.
package struct NetworkBytes {
    package var bytes: [UInt8] = []

    package init() {}

    package mutating func int8(_ value: Int) { put(UInt64(bitPattern: Int64(value)), 1) }
    package mutating func int16(_ value: Int) { put(UInt64(bitPattern: Int64(value)), 2) }
    package mutating func int32(_ value: Int) { put(UInt64(bitPattern: Int64(value)), 4) }
    package mutating func int64(_ value: Int64) { put(UInt64(bitPattern: value), 8) }
    package mutating func uint32(_ value: UInt32) { put(UInt64(value), 4) }
    package mutating func text(_ text: String) {
        int16(text.utf8.count)
        bytes += Array(text.utf8)
    }
    package mutating func blob(_ blob: [UInt8]) {
        int32(blob.count)
        bytes += blob
    }
    package mutating func varint(_ value: Int64) {
        var rest = UInt64(bitPattern: (value << 1) ^ (value >> 63))
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func put(_ value: UInt64, _ count: Int) {
        for shift in (0..<count).reversed() { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * shift))) }
    }
}

/// One batch of format 2; what is not set is what a producer would write.
package struct RecordBatchBytes {
    package var baseOffset: Int64
    package var values: [[UInt8]?]
    /// Of each record; ascending from 0 unless set.
    package var deltas: [Int64]?
    package var key: [UInt8]?
    package var format = 2
    package var attributes = 0
    package var leaderEpoch = 0
    package var producerID: Int64 = -1
    package var lastOffsetDelta: Int?
    package var recordCount: Int?
    package var length: Int?
    /// In place of the records, packed or broken.
    package var body: [UInt8]?
    /// Behind the records.
    package var trailer: [UInt8] = []
    package var breaksChecksum = false

    package init(at baseOffset: Int64, _ values: [[UInt8]?]) {
        self.baseOffset = baseOffset
        self.values = values
    }

    /// Numbers as texts, at their own offsets.
    package init(numbers: Range<Int64>) {
        self.init(at: numbers.lowerBound, numbers.map { Array(String($0).utf8) })
    }

    /// The marker that ends a producer's transaction.
    package static func marker(at offset: Int64, producerID: Int64, isCommit: Bool) -> RecordBatchBytes {
        var batch = RecordBatchBytes(at: offset, [[0, 0, 0, 0, 0, 0]])
        batch.key = [0, 0, 0, isCommit ? 1 : 0]
        batch.attributes = 0x30
        batch.producerID = producerID
        return batch
    }

    package var records: [UInt8] {
        var all = NetworkBytes()
        for (index, value) in values.enumerated() {
            var record = NetworkBytes()
            record.int8(0)
            record.varint(Int64(index))
            record.varint(deltas?[index] ?? Int64(index))
            record.varint(key.map { Int64($0.count) } ?? -1)
            record.bytes += key ?? []
            record.varint(value.map { Int64($0.count) } ?? -1)
            record.bytes += value ?? []
            record.varint(0)
            all.varint(Int64(record.bytes.count))
            all.bytes += record.bytes
        }
        return all.bytes
    }

    package var bytes: [UInt8] {
        var covered = NetworkBytes()
        covered.int16(attributes)
        covered.int32(lastOffsetDelta ?? max(0, Int(deltas?.last ?? Int64(values.count - 1))))
        covered.int64(0)
        covered.int64(0)
        covered.int64(producerID)
        covered.int16(producerID < 0 ? -1 : 0)
        covered.int32(producerID < 0 ? -1 : 0)
        covered.int32(recordCount ?? values.count)
        covered.bytes += (body ?? records) + trailer
        var batch = NetworkBytes()
        batch.int64(baseOffset)
        batch.int32(length ?? covered.bytes.count + 9)
        batch.int32(leaderEpoch)
        batch.int8(format)
        batch.uint32(covered.bytes.withUnsafeBytes { CRC32C.byTable($0) } ^ (breaksChecksum ? 1 : 0))
        return batch.bytes + covered.bytes
    }
}
