// Asks Kafka where partitions begin and end, and keeps a group's positions, without reading a record or joining a group.
//
// One handle lives as long as the object and answers everything about topics; a second one is made per group that is
// asked for or committed to. All partitions are asked in one call: the time of an answer does not grow with their number.
// The end is what the isolation level lets a reader see: under read_committed the last stable offset. Every call has a
// time limit; a broker that is not there is `brokerUnreachable` with what the client last said about its connection.
//
// A committed position is advice for people and tools, never the truth of a job (protocol 4). Safe from any thread.

import CRdKafka
import Glibc
import Synchronization

package final class OffsetQueries: Sendable {
    package let configuration: KafkaConfiguration
    let client: KafkaClient
    private let groups = Mutex<[String: GroupClient]>([:])
    let timeoutMillis: Int32

    private struct GroupClient {
        var client: KafkaClient
        /// Its connection failures at the last good answer.
        var usualFailures = Int.max
    }

    package init(_ configuration: KafkaConfiguration, timeoutMillis: Int32 = 10_000) throws {
        self.configuration = configuration
        self.timeoutMillis = timeoutMillis
        client = try KafkaClient(configuration, role: .consumer, properties: Self.properties(configuration))
    }

    private static func properties(_ configuration: KafkaConfiguration) -> [KafkaClient.Property] {
        [
            .init("isolation.level", configuration.isolation.rawValue, .fixed),
            .init("enable.auto.commit", "false", .fixed),
            .init("socket.nagle.disable", "true", .ifKnown),
            .init("reconnect.backoff.max.ms", "1000"),
        ]
    }

    /// The brokers that the cluster names, as host:port, sorted.
    package func brokers() throws -> [String] {
        try client.withMetadata(of: nil, doing: "name its brokers", timeoutMillis: timeoutMillis) { metadata in
            (0..<Int(metadata.pointee.broker_cnt)).map { index in
                let broker = metadata.pointee.brokers[index]
                return "\(String(cString: broker.host)):\(broker.port)"
            }.sorted()
        }
    }

    /// Whether the topic exists.
    package func exists(_ topic: String) throws -> Bool {
        do {
            return try !partitions(of: topic).isEmpty
        } catch let failure as Failure where failure.code == .topicMissing {
            return false
        }
    }

    /// The partitions of a topic, sorted.
    /// - Throws: `topicMissing` when there is no such topic.
    package func partitions(of topic: String) throws -> [Int32] {
        try client.partitions(of: topic, timeoutMillis: timeoutMillis)
    }

    /// The offset behind the last readable record of each partition, in one call.
    package func ends(_ partitions: [TopicPartition]) throws -> [TopicPartition: Int64] {
        try ask(partitions, time: Int64(RD_KAFKA_OFFSET_END), doing: "tell the ends of the partitions")
    }

    /// The first offset that each partition still holds, in one call.
    package func starts(_ partitions: [TopicPartition]) throws -> [TopicPartition: Int64] {
        try ask(partitions, time: Int64(RD_KAFKA_OFFSET_BEGINNING), doing: "tell the starts of the partitions")
    }

    /// The first offset of each partition whose record is not older than the time; the end where there is none.
    package func offsets(
        atTimeMillis timeMillis: Int64, _ partitions: [TopicPartition]
    ) throws -> [TopicPartition: Int64] {
        let doing = "look up offsets by time"
        // Negative numbers mean "end" and "start" in the protocol; nothing is older than 1970.
        var found = try ask(partitions, time: max(0, timeMillis), doing: doing)
        let behind = partitions.filter { (found[$0] ?? -1) < 0 }
        if !behind.isEmpty {
            for (partition, end) in try ends(behind) { found[partition] = end }
        }
        return found
    }

    private func ask(_ partitions: [TopicPartition], time: Int64, doing: String) throws -> [TopicPartition: Int64] {
        if partitions.isEmpty { return [:] }
        client.poll()
        let list = TopicPartitionList(partitions, offset: time)
        let code = rd_kafka_offsets_for_times(client.handle, list.pointer, timeoutMillis)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw client.failure(code, doing: doing) }
        var answer: [TopicPartition: Int64] = [:]
        answer.reserveCapacity(partitions.count)
        for index in 0..<list.count {
            let entry = list[index]
            guard entry.error == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw client.failure(entry.error, doing: "\(doing): \(entry.partition)")
            }
            answer[entry.partition] = entry.offset
        }
        return answer
    }

    /// The group's committed positions; partitions without one are left out.
    /// - Parameter stable: whether a position that an open transaction may still change is an error to wait for, instead
    ///   of the one before it; by default, with read_committed.
    /// - Parameter patienceMillis: how long to wait for that, and for a coordinator that is only not ready; by default as
    ///   long as for an answer.
    package func committed(
        group: String, _ partitions: [TopicPartition], stable: Bool? = nil, patienceMillis: Int32? = nil
    ) throws -> [TopicPartition: (offset: Int64, metadata: String?)] {
        if partitions.isEmpty { return [:] }
        let doing = "tell the positions of group \(group)"
        let list = TopicPartitionList(partitions, offset: Int64(RD_KAFKA_OFFSET_INVALID))
        let question = rd_kafka_ListConsumerGroupOffsets_new(group, list.pointer)
        defer { rd_kafka_ListConsumerGroupOffsets_destroy(question) }
        let requireStable = stable ?? (configuration.isolation == .readCommitted)
        return try asking(group, doing, requireStable: requireStable, patienceMillis: patienceMillis) { client, options, queue in
            var questions: [OpaquePointer?] = [question]
            rd_kafka_ListConsumerGroupOffsets(client.handle, &questions, 1, options, queue)
        } _: { client, event in
            var count = 0
            let groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
                rd_kafka_event_ListConsumerGroupOffsets_result(event), &count)
            var answer: [TopicPartition: (offset: Int64, metadata: String?)] = [:]
            for entry in try client.partitions(ofGroups: groups, count: count, doing: doing) where entry.offset >= 0 {
                answer[entry.partition] = (entry.offset, entry.metadata)
            }
            return answer
        }
    }

    /// Commits positions for a group that has no members, and waits for the answer.
    package func commit(group: String, _ positions: [KafkaPosition]) throws {
        if positions.isEmpty { return }
        let doing = "commit the positions of group \(group)"
        let list = TopicPartitionList(positions)
        let change = rd_kafka_AlterConsumerGroupOffsets_new(group, list.pointer)
        defer { rd_kafka_AlterConsumerGroupOffsets_destroy(change) }
        try asking(group, doing) { client, options, queue in
            var changes: [OpaquePointer?] = [change]
            rd_kafka_AlterConsumerGroupOffsets(client.handle, &changes, 1, options, queue)
        } _: { client, event in
            var count = 0
            let groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
                rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count)
            let stored = try client.partitions(ofGroups: groups, count: count, doing: doing)
            guard stored.count == positions.count else {
                throw client.failure(RD_KAFKA_RESP_ERR__BAD_MSG, doing: doing)
            }
        }
    }

    /// Asks the group's coordinator, again and again while it is only not ready (a cluster that has just started, a
    /// coordinator that moves), until the time limit is over.
    private func asking<Answer>(
        _ group: String, _ doing: String, requireStable: Bool = false, patienceMillis: Int32? = nil,
        request: (KafkaClient, OpaquePointer, OpaquePointer) -> Void,
        _ body: (KafkaClient, OpaquePointer) throws -> Answer
    ) throws -> Answer {
        let client = try self.client(of: group)
        let deadline = ContinuousClock.now + .milliseconds(Int(patienceMillis ?? timeoutMillis))
        var pauseMillis: UInt32 = 5
        while true {
            do {
                let answer = try client.administer(doing, timeoutMillis: timeoutMillis, requireStable: requireStable) {
                    request(client, $0, $1)
                } _: {
                    try body(client, $0)
                }
                groups.withLock { $0[group]?.usualFailures = client.connectionFailures }
                return answer
            } catch let failure as Failure {
                guard failure.code == .kafkaTransient && ContinuousClock.now < deadline else {
                    // A question that timed out stays in the handle, waiting for the coordinator; when that is back, librdkafka
                    // 2.16 answers it into freed memory ("eonce->refcnt > 0") and ends the process. It goes with its handle.
                    groups.withLock { if $0[group]?.client === client { $0[group] = nil } }
                    throw failure
                }
                usleep(pauseMillis * 1000)
                pauseMillis = min(200, pauseMillis * 2)
            }
        }
    }

    // A handle that carries the group's name, though it never joins: without one, librdkafka's answer handler stops the
    // process when the coordinator says that it is not (any longer) the right one. A handle that has lost a connection may
    // remember a coordinator that it will never reach again (librdkafka issue 5511), so it is replaced.
    private func client(of group: String) throws -> KafkaClient {
        try groups.withLock { known in
            if let found = known[group], found.client.connectionFailures <= found.usualFailures { return found.client }
            let client = try KafkaClient(
                configuration, role: .consumer,
                properties: Self.properties(configuration) + [.init("group.id", group, .fixed)])
            known[group] = GroupClient(client: client)
            return client
        }
    }

    /// The topic's id in base64; nil where the loaded client or the broker cannot tell it.
    package func topicID(of topic: String) throws -> String? {
        // A mock cluster knows no ids and would let the question time out.
        if client.clusterID(timeoutMillis: timeoutMillis)?.hasPrefix("mockCluster") ?? true { return nil }
        return try TopicIdentity.ask(client, topic: topic, timeoutMillis: timeoutMillis)
    }

    /// What the client last said about a failed connection.
    package var lastTransportError: String? { client.lastTransportError }
}
