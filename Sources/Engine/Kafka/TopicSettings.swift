// How a topic keeps its records, as its brokers say: what decides when one that was not read is deleted.

import CRdKafka

package struct TopicSettings: Sendable, Equatable {
    /// Age at which records are deleted, in milliseconds; nil for never.
    package var retentionMillis: Int64?
    /// Size of a partition beyond which its oldest records are deleted; nil for none.
    package var retentionBytes: Int64?
    /// A segment is deleted as a whole, and the one that is written to never.
    package var segmentBytes: Int64
    package var segmentMillis: Int64
    /// Records are deleted by age and size at all; a topic that is only compacted keeps the last of each key.
    package var isDeleted: Bool

    package init(
        retentionMillis: Int64?, retentionBytes: Int64?, segmentBytes: Int64 = 1 << 30,
        segmentMillis: Int64 = 7 * 86_400_000, isDeleted: Bool = true
    ) {
        self.retentionMillis = retentionMillis
        self.retentionBytes = retentionBytes
        self.segmentBytes = segmentBytes
        self.segmentMillis = segmentMillis
        self.isDeleted = isDeleted
    }
}

extension OffsetQueries {
    /// - Throws: `notAllowed` where the user may not ask (DescribeConfigs on the topic), `topicMissing`, or an outage.
    package func settings(of topic: String) throws -> TopicSettings {
        let doing = "tell how topic \(topic) is kept"
        let resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic)
        defer { rd_kafka_ConfigResource_destroy(resource) }
        let values: [String: String] = try client.administer(doing, timeoutMillis: timeoutMillis) { options, queue in
            var resources: [OpaquePointer?] = [resource]
            rd_kafka_DescribeConfigs(client.handle, &resources, 1, options, queue)
        } _: { event in
            var count = 0
            guard let result = rd_kafka_event_DescribeConfigs_result(event),
                let found = rd_kafka_DescribeConfigs_result_resources(result, &count), count == 1
            else { return [:] }
            let code = rd_kafka_ConfigResource_error(found[0])
            if code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED {
                var refused = client.failure(code, doing: doing)
                refused.now = "give this user the right DescribeConfigs on that topic in Kafka's access lists"
                throw refused
            }
            if KafkaTrouble(code: code.rawValue) == .unknownTopic { _ = try partitions(of: topic) }
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw client.failure(code, doing: doing) }
            let entries = rd_kafka_ConfigResource_configs(found[0], &count)
            var values: [String: String] = [:]
            for index in 0..<count {
                guard let name = rd_kafka_ConfigEntry_name(entries?[index]),
                    let value = rd_kafka_ConfigEntry_value(entries?[index])
                else { continue }
                values[String(cString: name)] = String(cString: value)
            }
            return values
        }
        func number(_ name: String) -> Int64? { values[name].flatMap { Int64($0) } }
        func bound(_ name: String) -> Int64? { number(name).flatMap { $0 < 0 ? nil : $0 } }
        return TopicSettings(
            retentionMillis: bound("retention.ms"), retentionBytes: bound("retention.bytes"),
            segmentBytes: number("segment.bytes") ?? 1 << 30, segmentMillis: number("segment.ms") ?? 7 * 86_400_000,
            isDeleted: values["cleanup.policy"]?.contains("delete") ?? true)
    }
}
