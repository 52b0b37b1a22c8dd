// Records as they lie in memory, and what is told with them.
//
// Whoever fetched them keeps their bytes where they are until `TopicDecoder.decode` has returned: everything that a chunk shows was copied out
// by then. Headers are asked for only where a query reads `record_headers`.

import Values

/// One record of a topic.
package struct SourceRecord: BitwiseCopyable, @unchecked Sendable {
    package static let noTime = Int64.min

    /// nil for a record without a key, or without a value; an empty one is somewhere.
    package var key: UnsafePointer<UInt8>?
    package var value: UnsafePointer<UInt8>?
    package var keyCount: Int32
    package var valueCount: Int32
    package var offset: Int64
    /// Since 1970; `noTime` where the record has none.
    package var timeMillis: Int64

    package init(
        key: UnsafePointer<UInt8>? = nil, keyCount: Int = 0, value: UnsafePointer<UInt8>?, valueCount: Int, offset: Int64, timeMillis: Int64 = noTime
    ) {
        self.key = key
        self.keyCount = Int32(truncatingIfNeeded: keyCount)
        self.value = value
        self.valueCount = Int32(truncatingIfNeeded: valueCount)
        self.offset = offset
        self.timeMillis = timeMillis
    }
}

/// Records of one partition, in the order of their offsets.
package struct SourceRun {
    /// Calls its second argument with the name and the value of each header of a record, in their order.
    package typealias Headers = (_ record: Int, _ header: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?) -> Void) -> Void

    package var topic: String
    package var partition: Int32
    package var records: UnsafeBufferPointer<SourceRecord>
    package var headers: Headers

    package init(topic: String, partition: Int32, records: UnsafeBufferPointer<SourceRecord>, headers: @escaping Headers = { _, _ in }) {
        self.topic = topic
        self.partition = partition
        self.records = records
        self.headers = headers
    }
}

/// What is held against hostile records.
package enum RecordLimits {
    /// Bytes of a record's key or value; a larger one is refused.
    package static let recordBytes = 16 << 20
    /// Bytes of the records of one chunk, unless it is one record.
    package static let chunkBytes = 16 << 20
    /// Bytes that the values of one column may have become before a chunk is closed: numbers in jsonb can be longer than they were written.
    package static let columnBytes = 64 << 20
    /// Containers inside containers, as jsonb has it.
    package static let depth = JSONParser.maxDepth
    /// Bytes of a value that are kept with a refused record.
    package static let shownBytes = 100
}
