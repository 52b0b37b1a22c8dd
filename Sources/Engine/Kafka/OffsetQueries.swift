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
    private let all = Mutex<OffsetQueries?>(nil)
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

    /// Whether the broker that answers knows the topic now. Another may know it sooner or later.
    package func exists(_ topic: String) throws -> Bool {
        try client.listedPartitions(of: topic, timeoutMillis: timeoutMillis)?.isEmpty == false
    }

    /// The partitions of a topic, sorted.
    /// - Throws: `topicMissing` when brokers say, and say again a second later, that there is no such topic.
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

    /// The offset behind the last record of each partition that Kafka counts as stored, in one call: beyond `ends` lies what
    /// open transactions hide from a reader of committed records.
    package func highWatermarks(_ partitions: [TopicPartition]) throws -> [TopicPartition: Int64] {
        try seeingAll().ends(partitions)
    }

    /// The same questions as who reads uncommitted records gets them answered.
    func seeingAll() throws -> OffsetQueries {
        if configuration.isolation == .readUncommitted { return self }
        return try all.withLock { known in
            if let known { return known }
            let made = try OffsetQueries(configuration.with(isolation: .readUncommitted), timeoutMillis: timeoutMillis)
            known = made
            return made
        }
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
        try ask(partitions.map { ($0, time) }, doing: doing).mapValues(\.offset)
    }

    /// One look-up for each partition: by a time, or by one of the protocol's numbers for end and start.
    /// - Returns: offset and, where broker and library tell it, the leader's epoch that belongs to it.
    /// - Throws: `topicMissing` only when brokers say that a partition is not there.
    func ask(
        _ questions: [(partition: TopicPartition, time: Int64)], doing: String
    ) throws -> [TopicPartition: (offset: Int64, leaderEpoch: Int32?)] {
        if questions.isEmpty { return [:] }
        let (list, code) = asked(questions)
        if KafkaTrouble(code: code.rawValue) == .unknownTopic {
            throw try unknown(questions.map(\.partition), client.failure(code, doing: doing))
        }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw client.failure(code, doing: doing) }
        var answer: [TopicPartition: (offset: Int64, leaderEpoch: Int32?)] = [:]
        answer.reserveCapacity(questions.count)
        var missing: [TopicPartition] = []
        for index in 0..<list.count {
            let entry = list[index]
            if KafkaTrouble(code: entry.error.rawValue) == .unknownTopic {
                missing.append(entry.partition)
                continue
            }
            guard entry.error == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw client.failure(entry.error, doing: "\(doing): \(entry.partition)")
            }
            answer[entry.partition] = (entry.offset, LeaderEpochs.of(list.pointer, index))
        }
        if !missing.isEmpty {
            let names = missing.map(\.description).joined(separator: ", ")
            throw try unknown(
                missing, client.failure(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, doing: "\(doing): \(names)"))
        }
        client.succeeded()
        return answer
    }

    /// The answer as it came. A question that was dropped with a broker's handle is put again: another broker may lead by now.
    private func asked(_ questions: [(partition: TopicPartition, time: Int64)]) -> (TopicPartitionList, rd_kafka_resp_err_t) {
        let deadline = ContinuousClock.now + .milliseconds(Int(timeoutMillis))
        while true {
            client.poll()
            let list = TopicPartitionList(questions.map(\.partition), offset: 0)
            for index in questions.indices { list.pointer.pointee.elems[index].offset = questions[index].time }
            let code = rd_kafka_offsets_for_times(client.handle, list.pointer, timeoutMillis)
            let isDropped = code == KafkaTrouble.brokerDropped || (0..<list.count).contains { list[$0].error == KafkaTrouble.brokerDropped }
            guard isDropped, ContinuousClock.now < deadline else { return (list, code) }
            usleep(100_000)
        }
    }

    /// Somebody said that these are not there. With every broker away the library says so itself, so the brokers are asked.
    /// - Returns: `weather`, when they list them all the same.
    private func unknown(_ partitions: [TopicPartition], _ weather: Failure) throws -> Failure {
        for (topic, wanted) in Dictionary(grouping: partitions, by: \.topic).sorted(by: { $0.key < $1.key }) {
            _ = try client.partitions(of: topic, expected: wanted.map(\.partition).sorted(), timeoutMillis: timeoutMillis)
        }
        return weather
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

    /// What the client last said about a failed connection.
    package var lastTransportError: String? { client.lastTransportError }
}
