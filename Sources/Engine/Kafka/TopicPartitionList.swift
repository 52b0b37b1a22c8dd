// Owns one `rd_kafka_topic_partition_list_t`: the form in which librdkafka takes and answers per-partition questions.
//
// The list is freed with the object; metadata handed in is copied to memory that the list frees itself. Answers are
// copied out into values before the list goes.

import CRdKafka
import Glibc

final class TopicPartitionList {
    let pointer: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

    /// One entry per partition, in the order given.
    init(_ partitions: [TopicPartition], offset: Int64) {
        pointer = rd_kafka_topic_partition_list_new(Int32(partitions.count))
        for partition in partitions {
            rd_kafka_topic_partition_list_add(pointer, partition.topic, partition.partition)!.pointee.offset = offset
        }
    }

    /// Entries to commit.
    init(_ positions: [KafkaPosition]) {
        pointer = rd_kafka_topic_partition_list_new(Int32(positions.count))
        for position in positions {
            let partition = position.partition
            let entry = rd_kafka_topic_partition_list_add(pointer, partition.topic, partition.partition)!
            entry.pointee.offset = position.offset
            guard let metadata = position.metadata, !metadata.isEmpty else { continue }
            entry.pointee.metadata = UnsafeMutableRawPointer(strdup(metadata))
            entry.pointee.metadata_size = metadata.utf8.count
        }
    }

    deinit { rd_kafka_topic_partition_list_destroy(pointer) }

    var count: Int { Int(pointer.pointee.cnt) }

    struct Entry {
        var partition: TopicPartition
        var offset: Int64
        var metadata: String?
        var error: rd_kafka_resp_err_t

        /// Copies everything out of the list.
        init(_ entry: rd_kafka_topic_partition_t) {
            partition = TopicPartition(topic: String(cString: entry.topic), partition: entry.partition)
            offset = entry.offset
            error = entry.err
            if let bytes = entry.metadata, entry.metadata_size > 0 {
                let bytes = UnsafeRawBufferPointer(start: bytes, count: entry.metadata_size)
                metadata = String(decoding: bytes, as: UTF8.self)
            }
        }
    }

    subscript(index: Int) -> Entry { Entry(pointer.pointee.elems[index]) }
}

/// A position of a group in one partition.
package struct KafkaPosition: Sendable, Hashable {
    package var partition: TopicPartition
    /// The next offset to read.
    package var offset: Int64
    package var metadata: String?

    package init(_ partition: TopicPartition, offset: Int64, metadata: String? = nil) {
        self.partition = partition
        self.offset = offset
        self.metadata = metadata
    }
}
