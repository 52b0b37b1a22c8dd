// Encoded events of one partition, one behind the other, between the generator and the producer.
//
// One allocation, used again for every block. Each record may be written by whole 64-byte pieces, so there is room for
// `recordRoom` bytes behind the last record's start; see `AdEventGenerator`. Other traffic says what room it needs.

package final class EventBuffer {
    /// More than any ad event plus the piece that overshoots it.
    package static let adEventRoom = 448

    package let capacity: Int
    let recordRoom: Int
    package private(set) var count = 0
    let bytes: UnsafeMutablePointer<UInt8>
    /// Record `i` is the bytes `[starts[i], starts[i + 1])`.
    let starts: UnsafeMutablePointer<Int>
    let times: UnsafeMutablePointer<Int64>

    package init(capacity: Int, recordRoom: Int = adEventRoom) {
        self.capacity = capacity
        self.recordRoom = recordRoom
        bytes = .allocate(capacity: (capacity + 1) * recordRoom)
        starts = .allocate(capacity: capacity + 1)
        times = .allocate(capacity: capacity)
        starts[0] = 0
    }

    deinit {
        bytes.deallocate()
        starts.deallocate()
        times.deallocate()
    }

    /// Takes over records whose ends and times the generator has written.
    func filled(_ records: Int) {
        precondition(records <= capacity)
        count = records
    }

    package var byteCount: Int { starts[count] }

    /// The bytes of a record; valid until the buffer is filled again.
    package func record(_ index: Int) -> UnsafeBufferPointer<UInt8> {
        precondition(index < count)
        return UnsafeBufferPointer(start: bytes + starts[index], count: starts[index + 1] - starts[index])
    }

    /// The record's timestamp: its event time.
    package func timestampMillis(_ index: Int) -> Int64 {
        precondition(index < count)
        return times[index]
    }
}
