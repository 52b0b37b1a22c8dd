// The content hash of the record at exactly one offset, by which a restart recognises its topic (protocol 6).
//
// It is read as a range would read it: whatever hides a record from a range (compaction, retention, an aborted
// transaction) hides it here, too, and then nothing is proved.

package enum TailRecord {
    /// Nil when no record is (any longer) at that offset.
    package static func hash(
        _ configuration: KafkaConfiguration, _ partition: TopicPartition, offset: Int64, timeoutMillis: Int = 10_000
    ) throws -> UInt64? {
        let reader = RangeReader(configuration, budgetBytes: 1 << 20)
        defer { reader.close() }
        return try reader.readOne(partition, offset: offset, timeoutMillis: timeoutMillis)?.hash
    }
}
