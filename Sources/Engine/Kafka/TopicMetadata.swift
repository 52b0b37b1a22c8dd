// Asks a broker what it knows of the cluster or of one topic: its brokers, the topic's partitions.
//
// A topic that is not there is an error of its own, `topicMissing`. The answer is borrowed for the length of the body.

import CRdKafka

extension KafkaClient {
    /// The partitions of a topic, sorted.
    func partitions(of topic: String, timeoutMillis: Int32) throws -> [Int32] {
        let doing = "list the partitions of topic \(topic)"
        return try withMetadata(of: topic, doing: doing, timeoutMillis: timeoutMillis) { metadata in
            guard metadata.pointee.topic_cnt == 1 else {
                throw failure(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, doing: doing)
            }
            let found = metadata.pointee.topics[0]
            guard found.err == RD_KAFKA_RESP_ERR_NO_ERROR else { throw failure(found.err, doing: doing) }
            return (0..<Int(found.partition_cnt)).map { found.partitions[$0].id }.sorted()
        }
    }

    /// Without a topic: of the brokers only.
    func withMetadata<Answer>(
        of topic: String?, doing: String, timeoutMillis: Int32,
        _ body: (UnsafePointer<rd_kafka_metadata>) throws -> Answer
    ) throws -> Answer {
        poll()
        var named: OpaquePointer?
        if let topic {
            named = rd_kafka_topic_new(handle, topic, nil)
            if named == nil { throw failure(rd_kafka_last_error(), doing: doing) }
        }
        defer { if let named { rd_kafka_topic_destroy(named) } }
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(handle, 0, named, &metadata, timeoutMillis)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else { throw failure(code, doing: doing) }
        defer { rd_kafka_metadata_destroy(metadata) }
        return try body(metadata)
    }
}
