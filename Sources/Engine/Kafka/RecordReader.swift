// What reading a topic means to those who read: exact offset ranges, one after the other, out of partitions that are followed.
//
// Two readers fulfil it, and one suite of tests asks both: `RangeReader` on librdkafka, which can do everything that library can, and
// `FetchReader`, which speaks the protocol itself and is several times faster. `ReaderChoice` says which one a job gets.

package protocol RecordReader: AnyObject {
    /// Says which partitions the next ranges come from and where each begins: `from` counts. Starts to prefetch where
    /// the reader does not stand already.
    ///
    /// A partition that is not named keeps its place for a while, because a partition without new records is in no
    /// batch; it goes when others need its room, or when it was not named for long (it is read elsewhere now).
    /// - Parameter epochs: the leader's epoch of the last batch before a position, where it is known: a reader that can
    ///   lets the leader check whether its log still agrees.
    func follow(_ positions: [OffsetRange], epochs: [TopicPartition: Int32]) throws

    /// Where each partition ends as far as its records are here, in the order of the positions: an end that needs no
    /// question to the broker and a range up to it no fetch.
    /// - Parameters:
    ///   - positions: of each partition what the next range begins with; `from` counts.
    ///   - most: records that may wait in a partition.
    /// - Returns: nil when the partitions do not all stand there, or one has more than that: then the broker knows better.
    func arrived(_ positions: [OffsetRange], most: Int) throws -> [Int64]?

    /// Takes what comes next for the partitions that are followed, while nobody reads; for a reader that has no thread of its own.
    /// - Parameter waitMillis: how long to wait for something to come, when nothing has.
    /// - Returns: whether there is more to take: more is known to lie behind what is here, and it may wait here.
    func prefetch(waitMillis: Int) throws -> Bool

    /// Delivers the records of the range in order, in chunks of at most `chunkRecords`. A chunk's records are valid during
    /// the body's call only.
    /// - Parameters:
    ///   - timeoutMillis: how long the range may stand still.
    ///   - cancelled: asked between chunks and while waiting.
    /// - Throws: `offsetsGone`, `topicRecreated`, `readTimeout`, `taskCancelled`, or what `body` throws.
    func read(
        _ range: OffsetRange, chunkRecords: Int, timeoutMillis: Int, cancelled: () -> Bool,
        _ body: (UnsafeBufferPointer<RawRecord>) throws -> Void
    ) throws -> RangeResult

    /// The record at exactly this offset; nil where there is none any longer (retention, compaction) or never was
    /// (a marker, an aborted row, behind the end).
    func readOne(_ partition: TopicPartition, offset: Int64, timeoutMillis: Int) throws -> RecordContent?

    /// Lets go of all partitions and of the connections.
    func close()

    /// How often a partition was started at an offset; a reader that follows starts each once.
    var startCount: Int { get }
}

extension RecordReader {
    package func follow(_ positions: [OffsetRange]) throws { try follow(positions, epochs: [:]) }

    package func read(
        _ range: OffsetRange, chunkRecords: Int, timeoutMillis: Int, _ body: (UnsafeBufferPointer<RawRecord>) throws -> Void
    ) throws -> RangeResult {
        try read(range, chunkRecords: chunkRecords, timeoutMillis: timeoutMillis, cancelled: { false }, body)
    }

    package func readOne(_ partition: TopicPartition, offset: Int64) throws -> RecordContent? {
        try readOne(partition, offset: offset, timeoutMillis: 10_000)
    }
}
