// Walks the records of one batch where they lie: the innermost loop of reading. No record is copied, none becomes an object.
//
//   length | attributes 1 | time delta | offset delta | key length, key | value length, value | headers (not looked at)
//
// Every record is checked: it lies within the batch, key and value lie within it, offsets ascend and stay below the batch's
// end. Reads may go into the slack behind the bytes and are compared afterwards (`FetchBuffer`). Cost: about 5 ns a
// record of 150 bytes; when changing the loop, measure `sluice bench campaign-views-avro` before and after.

package struct RecordRun {
    private var place: UnsafePointer<UInt8>
    private let end: UnsafePointer<UInt8>
    package private(set) var left: Int
    private let baseOffset: Int64
    private let lastDelta: Int64
    private let baseTime: Int64
    /// All ones where a record's own time counts, 0 where the batch's does.
    private let timeMask: Int64
    private var delta: Int64 = -1

    /// - Parameter records: the unpacked records of the batch, in a buffer with slack.
    package init(_ header: RecordBatchHeader, records: UnsafeRawBufferPointer) {
        place = records.baseAddress!.assumingMemoryBound(to: UInt8.self)
        end = place + records.count
        left = Int(header.recordCount)
        baseOffset = header.baseOffset
        lastDelta = Int64(header.lastOffsetDelta)
        let time = header.isStampedByBroker ? header.maxTimeMillis : header.baseTimeMillis
        // -1 is no time, for all of them.
        baseTime = time < 0 ? RawRecord.noTime : time
        timeMask = header.isStampedByBroker || time < 0 ? 0 : -1
    }

    /// Bytes behind the last record. In a packed batch they pass every broker.
    package var trailingBytes: Int { end - place }

    package enum Stop: Sendable, Hashable {
        /// All records of the batch are read, or the room is full.
        case ran
        /// The next record belongs behind the range.
        case beyond
        case broken(String)
    }

    /// What is known of the last record of a call.
    package struct Last {
        package var offset: Int64 = -1
        package var key: UnsafePointer<UInt8>?
        package var keyBytes = 0
        package var value: UnsafePointer<UInt8>?
        package var valueBytes = 0

        package init() {}
    }

    /// Appends the records of [from, until) to `room`, as many as it takes.
    /// - Parameters:
    ///   - count: records in `room`; grows.
    ///   - bytes: of keys and values; grows.
    ///   - last: set to the last record that was appended.
    @inline(__always)
    package mutating func take(
        from: Int64, until: Int64, into room: UnsafeMutableBufferPointer<RawRecord>, count: inout Int, bytes: inout Int,
        last: inout Last
    ) -> Stop {
        var place = self.place
        var left = self.left
        var delta = self.delta
        var made = count
        var sum = 0
        let slots = room.baseAddress!
        let most = room.count
        var (key, keyBytes): (UnsafePointer<UInt8>?, Int) = (nil, -1)
        let madeBefore = made
        defer {
            self.place = place
            self.left = left
            self.delta = delta
            count = made
            bytes += sum
            if made > madeBefore {
                let record = slots[made - 1]
                last = Last()
                last.offset = record.offset
                last.key = key
                last.keyBytes = max(0, keyBytes)
                last.value = record.payload
                last.valueBytes = record.length
            }
        }
        while left > 0 && made < most {
            guard place < end else { return .broken("it holds fewer records than it counts") }
            var reading = place
            let length = Varint.read(&reading)
            guard length >= 0, length <= Int64(end - reading) else { return .broken("a record of \(length) bytes") }
            let recordEnd = reading + Int(length)
            reading += 1
            let timeDelta = Varint.read(&reading)
            let offsetDelta = Varint.read(&reading)
            let keyLength = Varint.read(&reading)
            guard offsetDelta > delta, offsetDelta <= lastDelta else {
                return .broken("offset delta \(offsetDelta) behind \(delta), of \(lastDelta)")
            }
            let offset = baseOffset &+ offsetDelta
            if offset >= until { return .beyond }
            guard keyLength >= -1, keyLength <= Int64(recordEnd - reading) else { return .broken("a key of \(keyLength) bytes") }
            let keyPlace = reading
            if keyLength > 0 { reading += Int(keyLength) }
            let valueLength = Varint.read(&reading)
            guard valueLength >= -1, valueLength <= Int64(recordEnd - reading) else {
                return .broken("a value of \(valueLength) bytes")
            }
            place = recordEnd
            delta = offsetDelta
            left -= 1
            if offset < from { continue }
            let valueBytes = max(0, Int(valueLength))
            (slots + made).initialize(
                to: RawRecord(
                    payload: valueLength < 0 ? nil : reading, length: valueBytes, offset: offset, key: keyLength < 0 ? nil : keyPlace,
                    keyLength: max(0, Int(keyLength)), timeMillis: baseTime &+ (timeDelta & timeMask)))
            made += 1
            sum += valueBytes
            if keyLength >= 0 {
                key = keyPlace
                keyBytes = Int(keyLength)
                sum += keyBytes
            } else {
                key = nil
                keyBytes = -1
            }
        }
        return .ran
    }
}
