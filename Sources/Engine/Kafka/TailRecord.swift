// The content hash of the record at exactly one offset, by which a restart recognises its topic (protocol 6).
//
// A range of one offset, read like any other: whatever hides a record from a range (compaction, retention, an aborted
// transaction) hides it here, too, and then nothing is proved.

package enum TailRecord {
    /// Nil when no record is (any longer) at that offset.
    package static func hash(
        _ configuration: KafkaConfiguration, _ partition: TopicPartition, offset: Int64, timeoutMillis: Int = 10_000
    ) throws -> UInt64? {
        let reader = try RangeReader(configuration, budgetBytes: 1 << 20)
        defer { reader.close() }
        do {
            return try reader.read(
                OffsetRange(topic: partition.topic, partition: partition.partition, from: offset, until: offset + 1),
                chunkRecords: 1, timeoutMillis: timeoutMillis, cancelled: { false }, { _ in }
            ).tail?.hash
        } catch let failure as Failure where failure.code == .offsetsGone {
            return nil
        }
    }
}
