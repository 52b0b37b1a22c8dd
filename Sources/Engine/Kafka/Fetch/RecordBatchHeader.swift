// The 61 bytes before the records of a batch (format 2), and what can be wrong with them. Pure.
//
//   0 base offset 8 | 8 length 4 | 12 leader epoch 4 | 16 format 1 | 17 CRC 4 | 21 attributes 2 | 23 last offset delta 4
//   27 base time 8 | 35 max time 8 | 43 producer 8 | 51 producer epoch 2 | 53 base sequence 4 | 57 record count 4
//
// The CRC covers everything from the attributes on: base offset, length and leader epoch can change without it, and brokers do
// change them. So they are checked against what is known otherwise: where the batch before ended, how many bytes there are.
// Formats 0 and 1 are told by the byte that all formats have at the same place.

package struct RecordBatchHeader: Sendable, Hashable {
    package static let size = 61
    /// Bytes before what `length` counts.
    package static let prefixBytes = 12

    package var baseOffset: Int64
    /// Of the whole batch, its prefix included.
    package var bytes: Int
    package var leaderEpoch: Int32
    package var checksum: UInt32
    package var attributes: Int16
    package var lastOffsetDelta: Int32
    package var baseTimeMillis: Int64
    package var maxTimeMillis: Int64
    package var producerID: Int64
    package var recordCount: Int32

    package var codec: BatchCodec? { BatchCodec(rawValue: UInt8(attributes & 7)) }
    /// The broker stamped the batch when it stored it: all records have its greatest time.
    package var isStampedByBroker: Bool { attributes & 0x08 != 0 }
    package var isTransactional: Bool { attributes & 0x10 != 0 }
    package var isControl: Bool { attributes & 0x20 != 0 }
    /// The position behind the batch, also when it is empty; what is absurd is `problem`.
    package var endOffset: Int64 { baseOffset &+ Int64(lastOffsetDelta) &+ 1 }

    package enum Reading: Sendable, Hashable {
        case whole(RecordBatchHeader)
        /// The broker cut the bytes off inside this batch.
        case cut
        case oldFormat(Int8)
        case broken(String)
    }

    package static func read(_ bytes: UnsafeRawBufferPointer) -> Reading {
        guard bytes.count > 16, let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return .cut }
        let format = Int8(bitPattern: start[16])
        let length = Int32(bitPattern: BigEndian.uint32(start + 8))
        if format == 0 || format == 1 { return .oldFormat(format) }
        guard format == 2 else { return .broken("its format is \(format)") }
        guard Int(length) >= size - prefixBytes else { return .broken("its length is \(length)") }
        guard bytes.count >= size, Int(length) + prefixBytes <= bytes.count else { return .cut }
        let header = RecordBatchHeader(
            baseOffset: Int64(bitPattern: BigEndian.uint64(start)), bytes: Int(length) + prefixBytes,
            leaderEpoch: Int32(bitPattern: BigEndian.uint32(start + 12)), checksum: BigEndian.uint32(start + 17),
            attributes: Int16(bitPattern: BigEndian.uint16(start + 21)),
            lastOffsetDelta: Int32(bitPattern: BigEndian.uint32(start + 23)),
            baseTimeMillis: Int64(bitPattern: BigEndian.uint64(start + 27)), maxTimeMillis: Int64(bitPattern: BigEndian.uint64(start + 35)),
            producerID: Int64(bitPattern: BigEndian.uint64(start + 43)),
            recordCount: Int32(bitPattern: BigEndian.uint32(start + 57)))
        if let problem = header.problem { return .broken(problem) }
        return .whole(header)
    }

    private var problem: String? {
        if baseOffset < 0 || baseOffset > Int64.max - Int64(Int32.max) - 1 { return "its base offset is \(baseOffset)" }
        if lastOffsetDelta < 0 { return "its last offset delta is \(lastOffsetDelta)" }
        if recordCount < 0 || Int64(recordCount) > Int64(lastOffsetDelta) + 1 {
            return "it counts \(recordCount) records up to delta \(lastOffsetDelta)"
        }
        return nil
    }

    /// Whether the checksum is that of the bytes.
    /// - Parameter bytes: the whole batch.
    package func isIntact(_ bytes: UnsafeRawBufferPointer) -> Bool {
        CRC32C.of(UnsafeRawBufferPointer(rebasing: bytes[21..<self.bytes])) == checksum
    }

    /// Of a control batch that ends a transaction: whether the transaction was aborted.
    /// - Parameter bytes: the whole batch; its only record's key is a version and a type, 0 for abort.
    package func isAbortMarker(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard isControl, recordCount > 0, codec == BatchCodec.none else { return false }
        var place = bytes.baseAddress!.assumingMemoryBound(to: UInt8.self) + Self.size
        let end = bytes.baseAddress!.assumingMemoryBound(to: UInt8.self) + self.bytes
        guard end - place >= 10 else { return false }
        // Length, attributes, time, offset; then the key.
        _ = Varint.read(&place)
        place += 1
        _ = Varint.read(&place)
        _ = Varint.read(&place)
        let keyBytes = Varint.read(&place)
        return keyBytes >= 4 && end - place >= 4 && BigEndian.uint16(place + 2) == 0
    }
}

/// The signed varints of records. They read up to ten bytes without asking for the end: see `FetchBuffer.slackBytes`.
enum Varint {
    @inline(__always)
    static func read(_ place: inout UnsafePointer<UInt8>) -> Int64 {
        let first = UInt64(place.pointee)
        if first < 0x80 {
            place += 1
            return signed(first)
        }
        let second = UInt64(place[1])
        if second < 0x80 {
            place += 2
            return signed(first & 0x7f | second << 7)
        }
        return long(&place)
    }

    @inline(__always)
    private static func signed(_ value: UInt64) -> Int64 { Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }

    /// One without an end reads as the smallest number, which is wrong wherever a varint is read.
    @inline(never)
    private static func long(_ place: inout UnsafePointer<UInt8>) -> Int64 {
        var value: UInt64 = 0
        for index in 0..<10 {
            let byte = UInt64(place[index])
            value |= (byte & 0x7f) << UInt64(7 * index)
            if byte < 0x80 {
                place += index + 1
                return signed(value)
            }
        }
        place += 10
        return Int64.min
    }
}
